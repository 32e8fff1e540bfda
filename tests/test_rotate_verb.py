"""A rotation from wake-up to wake-up: claim and lease, the chain of steps, back-off, and what stops it."""

from dataclasses import replace

import pytest
from fake_atlas import PROJECT
from simple_world import (
    ANNA,
    BUSY,
    FORBIDDEN,
    HOUR,
    MINUTE,
    SECOND,
    Killed,
    a_rotation,
    a_world,
    in_state,
)

from chalicelib.domain.records import Change
from chalicelib.domain.rotation import LEASE
from chalicelib.domain.vocabulary import KeyState, NoticeKind, RotationState
from chalicelib.usecases.ports import TemporaryError
from chalicelib.usecases.rotate import advance_rotation, advance_woken


@pytest.fixture
def world():
    return a_world()


def test_a_rotation_ends_with_the_new_key_current_and_the_old_one_to_be_swept(world):
    rotation = a_rotation(world)

    done = rotation.go_until("deployed")

    new, old = world.tracker.key(done.new_key), world.tracker.key(done.old_key)
    assert world.in_atlas.settings.key == str(done.new_key)
    assert (new.state, new.created_by_us, new.projects) == (KeyState.CURRENT, True, (PROJECT,))
    assert (old.state, old.deployed_at, old.next_sweep_at) == (KeyState.RETIRING, world.now, world.now)
    assert (world.project.key, world.project.open_rotation, world.project.generation) == (done.new_key, None, 2)
    assert (done.due, done.ended_at, done.lease_until) == (None, world.now, None)
    assert world.told() == ["rotation_started", "rotation_deploying", "rotation_deployed"]


def test_a_doubled_wake_up_takes_no_second_step(world):
    rotation = in_state(world, "deploying")
    before = rotation.now

    answer = rotation.step()

    assert (answer, rotation.now) == (None, before)


def test_a_rotation_in_somebodys_hands_is_left_alone(world):
    rotation = a_rotation(world)
    world.change(rotation.now, lease_until=world.now + MINUTE)

    answer = rotation.step()

    assert (answer, rotation.now.state) == (None, RotationState.REQUESTED)


def test_a_lease_that_ran_out_is_taken_over(world):
    rotation = a_rotation(world)
    world.change(rotation.now, lease_until=world.now)

    answer = rotation.step()

    assert answer.state is RotationState.PREPARING


def test_the_slower_of_two_wake_ups_takes_no_step(world):
    rotation = a_rotation(world)
    commit = world.tracker.commit

    def too_late(change: Change) -> None:
        commit(Change(records=(replace(rotation.now, lease_until=world.now + MINUTE),)))
        commit(change)

    world.outside.tracker.commit = too_late

    answer = rotation.step()

    assert (answer, rotation.now.state) == (None, RotationState.REQUESTED)


def test_unknown_and_finished_rotations_are_left_alone(world):
    rotation = in_state(world, "deployed")
    before = len(world.tracker.commits)

    answers = [
        rotation.step(),
        advance_rotation(world.outside, PROJECT, "unknown"),
        advance_rotation(world.outside, "unknown", rotation.rotation_id),
    ]

    assert (answers, len(world.tracker.commits)) == ([None, None, None], before)


def test_temporary_errors_back_off_in_the_row_and_success_forgets_them(world):
    rotation = a_rotation(world)
    world.atlas.fail("settings", BUSY, times=3)

    waits = [rotation.go().next_look_at - world.now for _ in range(3)]

    assert waits == [20 * SECOND, 40 * SECOND, 80 * SECOND]
    assert rotation.now.waiting_for == (BUSY.message,)
    assert rotation.go().attempts == 0


def test_a_wait_that_atlas_asks_for_is_kept_to_and_never_woken_early(world):
    rotation = a_rotation(world)
    world.atlas.fail("settings", TemporaryError("429", call="GET", retry_after=7.5))

    waiting = rotation.go()

    assert waiting.next_look_at - world.now == 7.5 * SECOND
    assert world.messages.rotation_wakes[-1][2] == 8


def test_a_long_wait_is_left_to_the_time_index(world):
    rotation = a_rotation(world)
    world.atlas.fail("settings", TemporaryError("429", call="GET", retry_after=3600))
    before = len(world.messages.rotation_wakes)

    rotation.go()

    assert len(world.messages.rotation_wakes) == before
    assert rotation.now.due == world.now + HOUR


def test_a_permanent_error_before_the_swap_ends_the_rotation(world):
    rotation = a_rotation(world)
    world.atlas.fail("settings", FORBIDDEN)

    failed = rotation.go()

    assert (failed.state, failed.error.code) == (RotationState.FAILED, "403")


def test_a_permanent_error_after_the_swap_parks_with_one_notice_and_goes_on_when_mended(world):
    rotation = in_state(world, "deploying")
    world.atlas.fail("settings", FORBIDDEN, times=3)

    parked = rotation.go(3)
    notices = len(world.told(NoticeKind.ROTATION_BLOCKED))
    done = rotation.go_until("deployed")

    assert (parked.state, parked.waiting_for, notices) == (RotationState.DEPLOYING, (FORBIDDEN.message,), 1)
    assert done.error is None


def test_a_block_that_comes_back_after_other_trouble_is_told_once_and_holds_nothing_up(world):
    rotation = in_state(world, "deploying")
    for trouble in (FORBIDDEN, BUSY, FORBIDDEN):
        world.atlas.fail("settings", trouble)

    rotation.go(3)

    assert rotation.now.waiting_for == (FORBIDDEN.message,)
    assert len(world.told(NoticeKind.ROTATION_BLOCKED)) == 1


def test_every_change_of_state_stands_in_the_audit_trail(world):
    rotation = a_rotation(world)

    rotation.go_until("deployed")

    moves = [(e.before, e.after) for e in world.tracker.audit if e.what.startswith("rotation: ")]
    assert moves == [
        ("requested", "preparing"),
        ("preparing", "swapping"),
        ("swapping", "deploying"),
        ("deploying", "deployed"),
    ]
    assert [e.what for e in world.tracker.audit].count("settings changed") == 1


def test_one_wake_up_takes_every_step_that_can_be_taken_at_once_under_one_lease(world):
    rotation = a_rotation(world)

    rotation.wake()

    held = [r for change in world.tracker.commits for r in change.records if getattr(r, "lease_until", None)]
    assert rotation.now.state is RotationState.DEPLOYING
    assert {record.lease_until for record in held} == {world.now + LEASE}
    assert len(world.messages.rotation_wakes) == 2


def test_every_step_of_a_chain_is_saved_by_itself(world):
    rotation = a_rotation(world)

    rotation.wake()

    states = [r.state for change in world.tracker.commits for r in change.records if hasattr(r, "requested_by")]
    assert list(dict.fromkeys(states)) == ["requested", "preparing", "swapping", "deploying"]


def test_a_queue_message_takes_the_steps_that_can_be_taken_at_once(world):
    rotation = a_rotation(world)

    advance_woken(world.outside, {"project_id": PROJECT, "rotation_id": rotation.rotation_id})

    assert rotation.now.state is RotationState.DEPLOYING


def test_a_wake_up_that_has_used_its_time_hands_the_next_step_to_another(world):
    rotation = a_rotation(world)

    rotation.step()

    assert (rotation.now.state, rotation.now.lease_until) == (RotationState.PREPARING, None)
    assert world.messages.rotation_wakes[-1] == (PROJECT, rotation.rotation_id, 0)


def test_the_last_step_wakes_nobody(world):
    rotation = in_state(world, "deploying")
    rotation.go_until("deployed")
    wakes = len(world.messages.rotation_wakes)

    answer = rotation.go(3)

    assert (answer.next_look_at, len(world.messages.rotation_wakes)) == (None, wakes)


def test_a_step_overtaken_by_a_cancellation_changes_nothing_and_the_next_one_cancels(world):
    rotation = a_rotation(world)
    settings = world.atlas.settings

    def cancelled_meanwhile(project_id):
        world.change(rotation.now, cancel_requested_by=ANNA)
        return settings(project_id)

    world.atlas.settings = cancelled_meanwhile
    answer = rotation.wake()
    world.atlas.settings = settings

    cancelled = rotation.go()

    assert (answer, world.swaps(), cancelled.state) == (None, 0, RotationState.CANCELLED)


def test_a_step_that_somebody_overtook_is_looked_at_again_when_its_lease_is_over(world):
    rotation = a_rotation(world)
    settings = world.atlas.settings

    def written_meanwhile(project_id):
        world.change(rotation.now, reason="another")
        return settings(project_id)

    world.atlas.settings = written_meanwhile

    rotation.wake()

    assert world.messages.rotation_wakes[-1] == (PROJECT, rotation.rotation_id, 180)
    assert rotation.now.due == world.now + LEASE


def test_a_wake_up_that_fails_after_its_lease_was_taken_over_writes_nothing(world):
    rotation = a_rotation(world)

    def held_up(_project_id):
        world.wait(LEASE + MINUTE)
        world.change(rotation.now, lease_until=world.now + LEASE)
        raise BUSY

    world.atlas.settings = held_up

    answer = rotation.wake()

    assert (answer, rotation.now.attempts, rotation.now.lease_until) == (None, 0, world.now + LEASE)


def test_a_wake_up_that_dies_holds_the_rotation_no_longer_than_its_lease(world):
    rotation = a_rotation(world)
    world.atlas.fail("settings", Killed())
    with pytest.raises(Killed):
        rotation.wake()
    early = rotation.step()
    world.wait(LEASE)

    later = rotation.wake()

    assert (early, later.rotation_id) == (None, rotation.rotation_id)
    assert rotation.go_until("deployed").error is None
