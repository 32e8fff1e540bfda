"""The way back: from a deployment or after it, refused where it would cut people off, resumable like the way there."""

import contextlib

import pytest
from fake_atlas import PROJECT, some_settings
from simple_world import (
    ANNA,
    DAY,
    LOST,
    MINUTE,
    START,
    Killed,
    a_request,
    a_rotation,
    a_world,
    found,
    in_state,
    old_key,
    raising,
)

from chalicelib.domain.observed import KeyStatus
from chalicelib.domain.policies import NO_WISHES
from chalicelib.domain.refusals import No, Refusal
from chalicelib.domain.vocabulary import KeyState, NoticeKind, RotationState
from chalicelib.usecases.discover import discover_project
from chalicelib.usecases.ports import PermanentError
from chalicelib.usecases.request_rotation import request_rotation, roll_back_rotation


@pytest.fixture
def world():
    return a_world()


def going_back(world, *, after="deploying"):
    """A rotation on its way back."""
    rotation = in_state(world, after)
    rotation.roll_back()
    rotation.go_until("rolling_back")
    return rotation


@pytest.mark.parametrize("after", ["deploying", "deployed"])
def test_a_rollback_puts_the_old_key_back_and_tracks_the_new_one(world, after):
    rotation = going_back(world, after=after)

    back = rotation.go_until("rolled_back")

    old, new = world.tracker.key(back.old_key), world.tracker.key(back.new_key)
    assert world.in_atlas.settings.key == str(old_key(world))
    assert (old.state, old.replaced_at, old.due) == (KeyState.CURRENT, None, None)
    assert (new.state, new.deployed_at, new.due) == (KeyState.RETIRING, world.now, world.now)
    assert (world.swaps(), back.due, world.project.open_rotation) == (2, None, None)
    assert world.told()[-1] == NoticeKind.ROTATION_ROLLED_BACK


@pytest.mark.parametrize("after", ["deploying", "deployed"])
def test_after_a_rollback_the_cycle_of_the_old_key_goes_on_from_its_start(after):
    began = START - 50 * DAY
    world = a_world(key_since=began)

    going_back(world, after=after).go_until("rolled_back")

    assert (world.project.key, world.project.key_since) == (old_key(world), began)
    assert world.project.next_reminder_at == began + 60 * DAY


def test_the_key_that_was_left_is_not_named_again_by_the_next_rotation(world):
    left = going_back(world).go_until("rolled_back")

    again = a_rotation(world, idempotency_key="two").go_until("deployed")

    assert (world.created(), again.new_key == left.new_key, again.alias == left.alias) == (2, False, False)


def test_the_way_back_soaks_as_long_as_the_way_there(world):
    rotation = going_back(world)
    rotation.go_until("returning")
    returned = world.now

    rotation.go_until("rolled_back")

    assert world.now - returned >= 30 * MINUTE


def test_a_rollback_that_is_asked_for_while_the_swap_is_not_seen_waits_for_it(world):
    world.atlas.delay_swaps = True
    rotation = in_state(world, "swapping")
    rotation.go(2)
    rotation.roll_back()
    world.atlas.delay_swaps = False
    world.atlas.settle()

    back = rotation.go_until("rolled_back")

    assert (world.swaps(), world.in_atlas.settings.key) == (2, str(back.old_key))


def test_before_the_swap_there_is_nothing_to_roll_back(world):
    rotation = in_state(world, "preparing")

    with pytest.raises(Refusal, match="cancel the rotation"):
        rotation.roll_back()

    assert rotation.now.rollback_requested_by is None


@pytest.mark.parametrize("state", ["rolling_back", "returning", "rolled_back"])
def test_a_rotation_is_rolled_back_once(world, state):
    rotation = going_back(world)
    rotation.go_until(state)

    with pytest.raises(Refusal) as no:
        rotation.roll_back()

    assert no.value.no == No.CONFLICT


@pytest.mark.parametrize("after", ["deploying", "deployed"])
@pytest.mark.parametrize(
    "changes", [{"deletion_id": "d"}, {"state": KeyState.QUARANTINED}, {"state": KeyState.PENDING_DELETION}]
)
def test_a_rollback_to_a_key_on_its_way_to_deletion_is_refused(world, after, changes):
    rotation = in_state(world, after)
    world.change(world.tracker.key(old_key(world)), **changes)

    with pytest.raises(Refusal, match="on its way to deletion"):
        rotation.roll_back()

    assert rotation.now.rollback_requested_by is None


def test_a_rollback_is_refused_while_another_rotation_is_open(world):
    rotation = in_state(world, "deployed")
    other = request_rotation(world.outside, PROJECT, a_request(idempotency_key="two"))

    with pytest.raises(Refusal) as no:
        rotation.roll_back()

    assert no.value.details == {"rotation_id": other.rotation_id}


def test_a_rollback_is_refused_after_another_rotation_took_over(world):
    rotation = in_state(world, "deployed")
    a_rotation(world, idempotency_key="two").go_until("deployed")

    with pytest.raises(Refusal, match="only its last rotation"):
        rotation.roll_back()


def test_a_rollback_of_what_nobody_knows_is_refused(world):
    with pytest.raises(Refusal) as no:
        roll_back_rotation(world.outside, PROJECT, "unknown", who=ANNA)

    assert no.value.no == No.UNKNOWN


@pytest.mark.parametrize("status", [KeyStatus.DISABLED, KeyStatus.PENDING_DELETION])
def test_a_rollback_to_a_key_that_cannot_be_used_is_given_up_and_the_deployment_goes_on(world, status):
    rotation = going_back(world)
    world.keys.change(old_key(world), status=status)

    given_up = rotation.go()
    done = rotation.go_until("deployed")

    assert (given_up.state, given_up.error.code) == (RotationState.DEPLOYING, "rollback_refused")
    assert (done.new_key, world.swaps()) == (world.project.key, 1)
    assert world.tracker.key(done.new_key).state is KeyState.CURRENT
    assert world.tracker.key(done.old_key).due is not None
    assert len(world.told(NoticeKind.ROTATION_BLOCKED)) == 1


def test_a_rollback_that_atlas_refuses_is_given_up_and_the_deployment_goes_on(world):
    rotation = going_back(world)
    no = PermanentError("NO_PERMISSION", call="PATCH", code="NO_PERMISSION_TO_ENCRYPT_DECRYPT")
    world.atlas.fail("swap_key", no)

    rotation.go_until("deploying")
    done = rotation.go_until("deployed")

    assert (done.error.code, done.rollback_requested_by) == ("rollback_refused", None)
    assert world.in_atlas.settings.key == str(done.new_key)


def test_a_rollback_that_was_given_up_can_be_asked_for_again(world):
    rotation = going_back(world)
    world.keys.change(old_key(world), status=KeyStatus.DISABLED)
    rotation.go()
    world.keys.change(old_key(world), status=KeyStatus.ENABLED)
    world.wait(MINUTE)
    rotation.roll_back()

    back = rotation.go_until("rolled_back")

    assert world.in_atlas.settings.key == str(back.old_key)


def test_settings_that_somebody_put_back_already_count_as_the_rollback(world):
    rotation = going_back(world)
    world.in_atlas.settings = some_settings(old_key(world))

    rotation.go_until("rolled_back")

    assert world.swaps() == 1


@pytest.mark.parametrize("after", ["rolling_back", "returning"])
def test_a_third_key_on_the_way_back_ends_it_and_leaves_no_key_unwatched(world, after):
    rotation = going_back(world)
    rotation.go_until(after)
    third = world.keys.add()
    world.in_atlas.settings = some_settings(third)

    failed = rotation.go_until("failed")
    discover_project(world.outside, found(), NO_WISHES)

    old, new = world.tracker.key(failed.old_key), world.tracker.key(failed.new_key)
    assert (failed.error.code, world.project.key) == ("key_changed_by_hand", third)
    assert (old.state, new.state) == (KeyState.RETIRING, KeyState.RETIRING)
    assert None not in {old.due, new.due}


@pytest.mark.parametrize("trouble", [LOST, Killed()])
def test_an_answer_that_is_lost_on_the_way_back_is_looked_for(world, trouble):
    rotation = going_back(world)
    world.atlas.after_swap = raising(trouble)
    with contextlib.suppress(Killed):
        rotation.go()

    rotation.go_until("rolled_back")

    assert world.swaps() == 2


def test_a_rollback_that_does_not_show_is_sent_once_and_waited_for(world):
    rotation = going_back(world)
    world.atlas.delay_swaps = True

    waiting = rotation.go(5)

    assert (waiting.state, world.swaps()) == (RotationState.ROLLING_BACK, 2)


def test_a_rollback_stands_in_the_trail_with_the_name_of_the_person(world):
    rotation = in_state(world, "deploying")
    rotation.roll_back(who="bert")

    rotation.go_until("rolled_back")

    said = [(e.who, e.what) for e in world.tracker.audit if e.who == "bert"]
    assert ("bert", "rollback requested") in said
    assert ("bert", "settings changed") in said


def test_a_rollback_of_an_emergency_keeps_the_list_of_what_stays_readable(world):
    rotation = in_state(world, "deployed", emergency=True)
    listed = rotation.now.still_readable
    rotation.roll_back()

    back = rotation.go_until("rolled_back")

    assert (back.still_readable, len(world.told(NoticeKind.STILL_READABLE))) == (listed, 1)
