"""Projects that give Atlas an IAM user's credentials: named by their secret, never held, and rotated too."""

import pytest
from fake_atlas import ACCESS_KEY_ID, CREDENTIALS, PROJECT, USER_ARN
from simple_world import LOST, MINUTE, START, a_legacy_world, a_policy_for, a_rotation, a_world, old_key, raising

from chalicelib.domain.key_policy import missing_permissions
from chalicelib.domain.vocabulary import KeyState, RotationState
from chalicelib.usecases.ports import PermanentError, TemporaryError

OLD_USER_KEY = "AKIA0000000000000000"


@pytest.fixture
def world():
    return a_legacy_world()


def test_a_project_with_credentials_gets_a_key_for_their_user_and_the_credentials_in_the_same_change(world):
    done = a_rotation(world, credentials_secret=CREDENTIALS).go_until("deployed")

    settings = world.in_atlas.settings
    assert (settings.key, settings.access_key_id, settings.role_id) == (str(done.new_key), ACCESS_KEY_ID, None)
    assert missing_permissions(world.keys.policy(done.new_key), USER_ARN) == ()
    assert world.swaps() == 1


def test_a_project_with_credentials_is_refused_without_their_secret(world):
    failed = a_rotation(world).go()

    assert (failed.state, failed.error.code, world.swaps()) == (RotationState.FAILED, "principal_known", 0)
    assert "credentials_secret" in failed.error.detail


def test_a_project_with_a_role_is_refused_credentials_with_what_atlas_says():
    world = a_world()

    failed = a_rotation(world, credentials_secret=CREDENTIALS).go()

    assert (failed.error.code, world.swaps()) == ("credentials_allowed", 0)
    assert "AWS_KMS_CREDENTIALS_AUTH_DEPRECATED" in failed.error.detail


def test_a_secret_that_is_not_there_ends_the_rotation_before_anything_is_changed(world):
    failed = a_rotation(world, credentials_secret="keyturn/missing").go()

    assert (failed.state, failed.error.code) == (RotationState.FAILED, "principal_known")
    assert "keyturn/missing" in failed.error.detail
    assert (world.created(), world.swaps()) == (0, 0)


def only_credentials(world):
    world.keys.set_policy(old_key(world), a_policy_for(USER_ARN))
    return a_rotation(world, key=str(old_key(world)), credentials_secret=CREDENTIALS)


def test_credentials_alone_are_changed_under_the_same_key(world):
    done = only_credentials(world).go_until("deployed")

    assert (done.new_key, world.created(), world.swaps()) == (old_key(world), 0, 1)
    assert world.in_atlas.settings.access_key_id == ACCESS_KEY_ID
    assert world.tracker.key(old_key(world)).state is KeyState.CURRENT
    assert [key.arn for key in world.tracker.keys_of(PROJECT)] == [old_key(world)]


def test_credentials_alone_leave_the_cycle_of_the_key_as_it_is(world):
    world.change(world.project, key_since=START)

    only_credentials(world).go_until("deployed")

    assert (world.project.key_since, world.project.generation) == (START, 1)


def test_a_lost_answer_to_new_credentials_is_looked_for_by_their_access_key(world):
    rotation = only_credentials(world)
    rotation.go_until("swapping")
    world.atlas.after_swap = raising(LOST)

    rotation.go_until("deployed")

    assert world.swaps() == 1


def test_credentials_that_did_not_arrive_are_not_taken_for_changed(world):
    rotation = only_credentials(world)
    rotation.go_until("swapping")
    world.atlas.delay_swaps = True

    waiting = rotation.go(5)

    assert (waiting.state, world.in_atlas.settings.access_key_id) == (RotationState.SWAPPING, OLD_USER_KEY)


def test_a_secret_that_cannot_be_read_just_now_means_that_nothing_was_sent(world):
    rotation = only_credentials(world)
    rotation.go_until("swapping")
    world.atlas.fail("swap_key", TemporaryError("throttled", call="secretsmanager:GetSecretValue"))

    waiting = rotation.go()
    done = rotation.go_until("deployed")

    assert (waiting.patch_sent_at, waiting.attempts, waiting.waiting_for) == (None, 1, ("throttled",))
    assert done.swapped_at - START < MINUTE


def test_a_change_of_credentials_alone_has_no_key_to_go_back_to(world):
    rotation = only_credentials(world)
    rotation.go_until("deployed")

    with pytest.raises(Exception, match="the key did not change"):
        rotation.roll_back()

    assert rotation.now.rollback_requested_by is None


def test_credentials_that_atlas_refuses_leave_everything_in_place(world):
    rotation = only_credentials(world)
    rotation.go_until("swapping")
    no = PermanentError("INVALID_ATTRIBUTE", call="PATCH", code="INVALID_ATTRIBUTE")
    world.atlas.fail("swap_key", no)

    failed = rotation.go_until("failed")

    assert (failed.error.code, world.in_atlas.settings.access_key_id) == ("INVALID_ATTRIBUTE", OLD_USER_KEY)
    assert world.tracker.key(old_key(world)).state is KeyState.CURRENT


def test_nothing_of_the_credentials_is_ever_written_down_but_the_name_of_their_secret(world):
    a_rotation(world, credentials_secret=CREDENTIALS).go_until("deployed")

    written = [repr(change) for change in world.tracker.commits]
    assert any(CREDENTIALS in text for text in written)
    assert not any(ACCESS_KEY_ID in text for text in written)
    assert not any(CREDENTIALS in repr(notice) for notice in world.tracker.notices)
