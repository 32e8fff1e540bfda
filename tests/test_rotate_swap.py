"""The change of settings: sent once, its answer not trusted, and believed only when it is read back."""

from dataclasses import replace

import pytest
from fake_atlas import a_key, some_settings
from simple_world import (
    BUSY,
    DAY,
    FORBIDDEN,
    LOST,
    MINUTE,
    SECOND,
    Killed,
    a_world,
    found,
    in_state,
    let_time_pass,
    old_key,
    raising,
)

from chalicelib.domain.observed import KeyStatus, Settings
from chalicelib.domain.policies import NO_WISHES
from chalicelib.domain.swap import SETTLES_WITHIN
from chalicelib.domain.vocabulary import KeyState, NoticeKind, RotationState
from chalicelib.usecases.discover import discover_project
from chalicelib.usecases.ports import PermanentError, TemporaryError

NOT_YET = ("CANNOT_ASSUME_ROLE", "INVALID_AWS_CREDENTIALS", "CLOUD_PROVIDER_ACCESS_ROLE_NOT_AUTHORIZED")
FOR_GOOD = ("NO_PERMISSION_TO_ENCRYPT_DECRYPT", "INVALID_ATTRIBUTE", "ATLAS_ENCRYPTION_AT_REST_UNAVAILABLE", "403")


def found_invalid(world):
    """From the swap on Atlas finds the key in the settings invalid."""

    def hook(*_):
        world.in_atlas.settings = replace(world.in_atlas.settings, valid=False)

    world.atlas.after_swap = hook


def refusal(code):
    return PermanentError(f"PATCH /encryptionAtRest: 400 {code}", call="PATCH /encryptionAtRest", code=code)


@pytest.fixture
def world():
    return a_world()


def test_the_settings_are_changed_once_however_often_it_is_woken(world):
    world.atlas.delay_swaps = True
    rotation = in_state(world, "swapping")

    rotation.go(8)

    assert (rotation.now.state, world.swaps()) == (RotationState.SWAPPING, 1)
    assert rotation.now.waiting_for == ("the change of settings was sent and is not seen yet",)


def test_a_change_that_shows_late_is_waited_for(world):
    world.atlas.delay_swaps = True
    rotation = in_state(world, "swapping")
    rotation.go(4)
    world.atlas.settle()

    seen = rotation.go()

    assert (seen.state, seen.swapped_at, world.swaps()) == (RotationState.DEPLOYING, world.now, 1)


def test_a_change_that_never_shows_is_sent_again_once_it_must_be_lost(world):
    world.atlas.delay_swaps = True
    rotation = in_state(world, "swapping")
    rotation.go()
    world.wait(SETTLES_WITHIN)

    rotation.go()

    assert world.swaps() == 2


def test_a_new_key_that_atlas_has_not_found_valid_yet_is_waited_for(world):
    rotation = in_state(world, "swapping")
    found_invalid(world)

    waiting = rotation.go()

    assert waiting.state is RotationState.SWAPPING
    assert "has not found it valid" in waiting.waiting_for[0]


def test_an_answer_that_is_lost_is_looked_for_and_not_asked_again(world):
    rotation = in_state(world, "swapping")
    world.atlas.after_swap = raising(LOST)

    rotation.go_until("deploying")

    assert world.swaps() == 1


def test_a_crash_just_after_the_change_is_found_by_looking(world):
    rotation = in_state(world, "swapping")
    world.atlas.after_swap = raising(Killed())
    with pytest.raises(Killed):
        rotation.go()

    rotation.go_until("deploying")

    assert world.swaps() == 1


def test_a_read_back_that_fails_keeps_the_mark_that_a_change_is_on_its_way(world):
    rotation = in_state(world, "swapping")
    sent = rotation.go()
    world.atlas.fail("settings", BUSY)

    waiting = rotation.go()

    assert (waiting.patch_sent_at, waiting.attempts) == (sent.patch_sent_at, 1)
    assert rotation.go().state is RotationState.DEPLOYING


def test_a_key_changed_by_hand_before_the_swap_stops_it(world):
    rotation = in_state(world, "swapping")
    world.in_atlas.settings = some_settings(a_key(9))

    failed = rotation.go()

    assert (failed.error.code, world.swaps()) == ("key_changed_by_hand", 0)
    assert world.in_atlas.settings.key == str(a_key(9))


def test_a_new_key_set_by_hand_counts_as_the_swap(world):
    rotation = in_state(world, "swapping")
    world.in_atlas.settings = some_settings(rotation.now.new_key)

    seen = rotation.go()

    assert (seen.state, world.swaps()) == (RotationState.DEPLOYING, 0)


def test_a_refusal_during_the_deployment_of_a_key_set_by_hand_only_waits(world):
    rotation = in_state(world, "swapping")
    world.in_atlas.settings = some_settings(rotation.now.new_key)
    rotation.go()
    world.atlas.fail("settings", FORBIDDEN)

    waiting = rotation.go()

    assert waiting.state is RotationState.DEPLOYING


def test_an_old_key_that_the_tracker_lost_is_recorded_at_the_swap(world):
    other = world.keys.add()
    world.change(world.project, key=other)
    world.in_atlas.settings = some_settings(other)

    rotation = in_state(world, "deploying")

    assert world.tracker.key(rotation.now.old_key).state is KeyState.RETIRING


def test_a_row_that_lost_its_new_key_ends_without_a_change(world):
    rotation = in_state(world, "swapping")
    world.change(rotation.now, new_key=None)

    failed = rotation.go()

    assert (failed.state, world.swaps()) == (RotationState.FAILED, 0)


@pytest.mark.parametrize("code", FOR_GOOD)
def test_a_refusal_that_does_not_show_as_done_ends_the_rotation_with_the_old_key_in_place(world, code):
    rotation = in_state(world, "swapping")
    world.atlas.fail("swap_key", refusal(code), times=None)

    failed = rotation.go_until("failed")

    assert (failed.error.code, world.swaps()) == (code, 1)
    assert world.in_atlas.settings.key == str(old_key(world))
    assert (world.project.key, world.project.open_rotation) == (old_key(world), None)
    assert world.tracker.key(failed.new_key).next_sweep_at == world.now


@pytest.mark.parametrize("code", [*NOT_YET, *FOR_GOOD])
def test_a_refusal_whose_effect_shows_counts_as_done(world, code):
    rotation = in_state(world, "swapping")
    world.atlas.after_swap = raising(refusal(code))

    rotation.go_until("deploying")

    assert (world.swaps(), rotation.now.error, rotation.now.refusal) == (1, None, None)


@pytest.mark.parametrize("code", ["500", "503", "409"])
def test_an_error_whose_effect_shows_counts_as_done(world, code):
    rotation = in_state(world, "swapping")
    world.atlas.after_swap = raising(TemporaryError(f"PATCH: {code}", call="PATCH", code=code))

    rotation.go_until("deploying")

    assert world.swaps() == 1


@pytest.mark.parametrize("code", NOT_YET)
def test_a_refusal_that_passes_with_time_is_asked_again_every_twenty_seconds(world, code):
    rotation = in_state(world, "swapping")
    world.atlas.fail("swap_key", refusal(code), times=3)
    began = world.now

    rotation.go_until("deploying")

    assert (world.swaps(), rotation.now.swapped_at - began) == (4, 60 * SECOND)


@pytest.mark.parametrize("code", NOT_YET)
def test_a_refusal_that_has_not_passed_is_asked_again_for_three_minutes_and_no_longer(world, code):
    rotation = in_state(world, "swapping")
    world.atlas.fail("swap_key", refusal(code), times=None)
    began = world.now

    failed = rotation.go_until("failed")

    assert failed.error.code == code
    assert 3 * MINUTE <= world.now - began < 4 * MINUTE
    assert world.swaps() == 10


def test_a_current_key_that_became_invalid_is_not_changed_and_alarmed_about_at_once(world):
    rotation = in_state(world, "swapping")
    world.in_atlas.settings = some_settings(old_key(world), valid=False)

    failed = rotation.go()

    assert (failed.error.code, world.swaps()) == ("current_key_invalid", 0)
    assert (world.project.valid, world.project.drift) == (False, ("key_invalid",))
    assert world.told().count(NoticeKind.DRIFT) == 1


def test_a_new_key_that_atlas_finds_invalid_is_alarmed_about_once_however_often_it_is_seen(world):
    rotation = in_state(world, "swapping")
    found_invalid(world)

    rotation.go(6)

    assert (rotation.now.state, world.told().count(NoticeKind.DRIFT)) == (RotationState.SWAPPING, 1)


def test_an_effect_that_shows_after_a_refusal_ended_the_rotation_is_adopted_and_its_key_kept(world):
    world.atlas.delay_swaps = True
    world.atlas.after_swap = raising(refusal("INVALID_ATTRIBUTE"))
    rotation = in_state(world, "swapping")
    failed = rotation.go_until("failed")
    world.wait(5 * MINUTE)
    world.atlas.settle()

    let_time_pass(world, DAY)
    discover_project(world.outside, found(), NO_WISHES)

    assert (world.project.key, world.tracker.key(failed.new_key).state) == (failed.new_key, KeyState.CURRENT)
    assert world.keys.describe(failed.new_key).status is KeyStatus.ENABLED


def test_encryption_that_is_switched_off_before_the_swap_stays_off(world):
    rotation = in_state(world, "swapping")
    world.in_atlas.settings = Settings(enabled=False)

    failed = rotation.go()

    assert (failed.error.code, world.swaps(), world.in_atlas.settings.enabled) == ("encryption_disabled", 0, False)
