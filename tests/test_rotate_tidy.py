"""A rotation that is given up: until when it can be, and what becomes of the key that was made for it."""

import pytest
from fake_atlas import PROJECT
from simple_world import (
    ANNA,
    BUSY,
    DAY,
    FORBIDDEN,
    HOUR,
    START,
    Killed,
    a_policy_for,
    a_world,
    in_state,
    let_time_pass,
    old_key,
)

from chalicelib.domain.observed import BackupSchedule, KeyStatus
from chalicelib.domain.records import Key
from chalicelib.domain.refusals import No, Refusal
from chalicelib.domain.vocabulary import DeletionState, KeyState, NoticeKind, RotationState, Strategy
from chalicelib.usecases.request_deletion import call_off_deletion

GRANTS = a_policy_for()


@pytest.fixture
def world():
    return a_world()


@pytest.mark.parametrize("state", ["requested", "preparing", "swapping"])
def test_a_rotation_can_be_cancelled_until_the_settings_are_changed(world, state):
    rotation = in_state(world, state)
    rotation.cancel()

    cancelled = rotation.go()

    assert (cancelled.state, world.swaps(), world.project.open_rotation) == (RotationState.CANCELLED, 0, None)
    assert world.told()[-1] == NoticeKind.ROTATION_CANCELLED


def test_a_key_made_for_a_cancelled_rotation_stays_in_sight(world):
    rotation = in_state(world, "swapping")
    rotation.cancel()

    cancelled = rotation.go()

    abandoned = world.tracker.key(cancelled.new_key)
    assert (abandoned.state, abandoned.due) == (KeyState.UNUSED, world.now)


def test_a_brought_key_that_somebody_else_uses_is_left_alone_by_a_cancellation(world):
    wanted = world.keys.add(policy=GRANTS)
    world.put(Key(arn=wanted, state=KeyState.CURRENT, projects=("other",), first_seen_at=START))
    rotation = in_state(world, "swapping", key=str(wanted))
    rotation.cancel()

    rotation.go()

    assert world.tracker.key(wanted).due is None


@pytest.mark.parametrize("changed", [{"patch_sent_at": START}, {"state": RotationState.DEPLOYING}])
def test_a_wish_to_cancel_that_comes_too_late_is_passed_over(world, changed):
    rotation = in_state(world, "swapping")
    world.change(rotation.now, cancel_requested_by=ANNA, **changed)

    later = rotation.go()

    assert later.state is not RotationState.CANCELLED


def test_a_renewal_can_be_cancelled_until_kms_was_asked(world):
    rotation = in_state(world, "renewing", strategy=Strategy.KMS_ON_DEMAND)
    rotation.cancel()

    cancelled = rotation.go()

    assert (cancelled.state, world.keys.calls.count("rotate_on_demand")) == (RotationState.CANCELLED, 0)


@pytest.mark.parametrize(
    ("asked", "state"),
    [
        ({}, "deploying"),
        ({}, "deployed"),
        ({}, "rolling_back"),
        ({}, "returning"),
        ({}, "rolled_back"),
        ({"strategy": Strategy.KMS_ON_DEMAND}, "deployed"),
    ],
)
def test_a_rotation_that_has_changed_something_cannot_be_cancelled(world, asked, state):
    rotation = in_state(world, "deploying" if not asked else "renewing", **asked)
    if state in {"rolling_back", "returning", "rolled_back"}:
        rotation.roll_back()
    rotation.go_until(state)

    with pytest.raises(Refusal) as no:
        rotation.cancel()

    assert (no.value.no, rotation.now.cancel_requested_by) == (No.CONFLICT, None)


def test_a_renewal_that_kms_was_asked_for_cannot_be_cancelled(world):
    rotation = in_state(world, "renewing", strategy=Strategy.KMS_ON_DEMAND)
    rotation.go()

    with pytest.raises(Refusal):
        rotation.cancel()


def test_a_swap_that_may_be_on_its_way_cannot_be_cancelled(world):
    world.atlas.delay_swaps = True
    rotation = in_state(world, "swapping")
    rotation.go()

    with pytest.raises(Refusal):
        rotation.cancel()


@pytest.mark.parametrize("how", ["cancelled", "failed"])
def test_a_rotation_that_is_over_cannot_be_cancelled_again(world, how):
    rotation = in_state(world, "swapping")
    if how == "cancelled":
        rotation.cancel()
    else:
        world.atlas.fail("swap_key", FORBIDDEN)
    rotation.go_until(how)

    with pytest.raises(Refusal, match=how):
        rotation.cancel()


def ended(world, how):
    """A rotation that ended before its swap, with a key of its own made."""
    rotation = in_state(world, "swapping")
    if how == "cancelled":
        rotation.cancel()
    else:
        world.atlas.fail("swap_key", FORBIDDEN)
    rotation.go_until(how)
    return rotation


@pytest.mark.parametrize("how", ["cancelled", "failed"])
def test_the_key_of_a_rotation_that_ended_early_is_taken_back_within_a_day(world, how):
    made = ended(world, how).now.new_key

    let_time_pass(world, DAY)

    assert world.keys.describe(made).status is KeyStatus.PENDING_DELETION
    assert world.tracker.deletion(world.tracker.key(made).deletion_id).compensation
    assert world.keys.describe(old_key(world)).status is KeyStatus.ENABLED
    assert len(world.keys.arns) == 2


def test_the_alias_of_a_key_that_is_taken_back_stays_as_a_tombstone(world):
    rotation = ended(world, "cancelled")

    let_time_pass(world, DAY)

    assert world.keys.aliases[rotation.now.alias] == rotation.now.new_key


def test_a_key_that_waits_for_its_name_is_taken_back_when_the_rotation_is_cancelled(world):
    rotation = in_state(world, "preparing")
    world.keys.fail("name", BUSY)
    made = rotation.go().new_key
    rotation.cancel()

    let_time_pass(world, DAY)

    assert rotation.now.state is RotationState.CANCELLED
    assert world.keys.describe(made).status is KeyStatus.PENDING_DELETION


def test_copies_of_snapshots_in_other_regions_do_not_keep_a_key_that_never_served(world):
    main = world.in_atlas.clusters[0][0]
    world.in_atlas.schedules["main"] = BackupSchedule(cluster_id=main.cluster_id, restore_window_days=7, copy_regions=2)
    made = ended(world, "cancelled").now.new_key

    let_time_pass(world, DAY)

    assert world.keys.describe(made).status is KeyStatus.PENDING_DELETION


def test_a_key_that_is_made_while_somebody_cancels_is_found_and_taken_back(world):
    rotation = in_state(world, "preparing")
    create = world.keys.create

    def cancelled_meanwhile(new):
        rotation.cancel()
        return create(new)

    world.keys.create = cancelled_meanwhile
    rotation.go_until("cancelled")
    made = world.keys.arns[-1]

    let_time_pass(world, DAY)

    assert (world.created(), world.swaps()) == (1, 0)
    assert world.keys.describe(made).status is KeyStatus.PENDING_DELETION


def a_lost_key(world):
    """A rotation cancelled after its key was made and before anybody wrote it down, unseen by KMS' lists so far."""
    rotation = in_state(world, "preparing")
    world.keys.fail("name", Killed())
    with pytest.raises(Killed):
        rotation.go()
    rotation.cancel()
    rotation.go_until("cancelled")
    return rotation


def test_a_key_that_was_made_but_never_recorded_is_found_an_hour_later(world):
    rotation = a_lost_key(world)
    before = rotation.now
    lost = world.keys.arns[-1]

    found = rotation.go()

    assert (before.new_key, before.untidy, before.due) == (None, True, before.ended_at + HOUR)
    assert (found.new_key, found.untidy, found.due) == (lost, False, None)
    assert (found.state, found.ended_at) == (RotationState.CANCELLED, before.ended_at)
    assert (world.tracker.key(lost).state, world.tracker.key(lost).due) == (KeyState.UNUSED, world.now)


def test_a_key_that_was_made_but_never_recorded_is_taken_back_within_a_day(world):
    a_lost_key(world)
    lost = world.keys.arns[-1]

    let_time_pass(world, DAY)

    assert world.keys.describe(lost).status is KeyStatus.PENDING_DELETION


def test_a_kms_that_will_not_answer_the_last_look_is_asked_again(world):
    rotation = a_lost_key(world)
    world.keys.fail("find_by_alias", FORBIDDEN)
    lost = world.keys.arns[-1]

    let_time_pass(world, DAY)

    assert world.keys.describe(lost).status is KeyStatus.PENDING_DELETION
    assert not rotation.now.untidy


def test_a_rotation_that_made_no_key_leaves_nothing_to_look_for(world):
    rotation = in_state(world, "preparing")
    rotation.cancel()

    cancelled = rotation.go()

    assert (cancelled.untidy, cancelled.due) == (False, None)


def test_two_sweeps_an_hour_apart_come_before_anything_is_taken_back(world):
    made = ended(world, "cancelled").now.new_key

    let_time_pass(world, HOUR)

    assert (world.tracker.key(made).clean_since, world.tracker.key(made).deletion_id) == (START, None)
    assert world.keys.describe(made).status is KeyStatus.ENABLED


def test_a_key_that_a_person_wants_to_keep_is_kept(world):
    made = ended(world, "cancelled").now.new_key
    let_time_pass(world, 2 * HOUR)
    deletion = world.tracker.key(made).deletion_id
    call_off_deletion(world.outside, deletion, who=ANNA)

    let_time_pass(world, 3 * DAY)

    assert world.tracker.deletion(deletion).state is DeletionState.CALLED_OFF
    assert world.keys.describe(made).status is KeyStatus.ENABLED
    assert world.tracker.key(made).deletion_id is None


@pytest.mark.parametrize("how", ["cancelled", "failed"])
def test_a_brought_key_is_never_taken_back(world, how):
    wanted = world.keys.add(policy=GRANTS)
    rotation = in_state(world, "swapping", key=str(wanted))
    if how == "cancelled":
        rotation.cancel()
    else:
        world.atlas.fail("swap_key", FORBIDDEN)
    rotation.go_until(how)

    let_time_pass(world, 3 * DAY)

    assert world.keys.describe(wanted).status is KeyStatus.ENABLED
    assert world.tracker.key(wanted).deletion_id is None


def test_a_key_that_a_person_put_into_the_settings_meanwhile_is_not_taken_back(world):
    rotation = ended(world, "cancelled")
    world.atlas.swap_key(PROJECT, rotation.now.new_key, settings=world.in_atlas.settings, role_id="role")

    let_time_pass(world, 2 * DAY)

    assert world.keys.describe(rotation.now.new_key).status is KeyStatus.ENABLED
