"""The strategies that keep the key: KMS renews its material, once per rotation, and its own list is the proof."""

import contextlib

import pytest
from fake_atlas import PROJECT
from simple_world import BUSY, DAY, FORBIDDEN, MINUTE, START, Killed, a_rotation, a_world, in_state, old_key

from chalicelib.domain.vocabulary import KeyState, NoticeKind, RotationState, Strategy
from chalicelib.usecases.ports import PermanentError

ON_DEMAND, AUTOMATIC = Strategy.KMS_ON_DEMAND, Strategy.KMS_AUTOMATIC
BOTH = pytest.mark.parametrize("strategy", [ON_DEMAND, AUTOMATIC])


@pytest.fixture
def world():
    return a_world()


def used(world):
    """How many of its on-demand rotations the key has used up, a running one included."""
    world.wait(MINUTE * 3)
    return world.keys.rotations(old_key(world)).on_demand


def asked(world, call="rotate_on_demand"):
    return world.keys.calls.count(call)


def test_an_on_demand_rotation_ends_with_kms_own_date_and_what_is_left(world):
    done = a_rotation(world, strategy=ON_DEMAND).go_until("deployed")

    assert (asked(world), used(world)) == (1, 1)
    assert done.evidence == (
        f"KMS rotated the key's material at {(START + 2 * MINUTE).isoformat()}",
        "24 of 25 on-demand rotations are left",
    )


def test_an_automatic_rotation_ends_with_the_period_that_kms_shows(world):
    done = a_rotation(world, strategy=AUTOMATIC, period_days=180).go_until("deployed")

    assert done.evidence == ("KMS rotates the key by itself every 180 days, next on 2027-08-28",)


def test_an_automatic_rotation_that_is_on_already_is_left_alone(world):
    world.keys.rotate_automatically(old_key(world), period_days=180)

    a_rotation(world, strategy=AUTOMATIC, period_days=180).go_until("deployed")

    assert asked(world, "rotate_automatically") == 1


@BOTH
def test_the_settings_and_the_key_stay_as_they_are(world, strategy):
    before = world.in_atlas.settings

    a_rotation(world, strategy=strategy).go_until("deployed")

    assert (world.in_atlas.settings, world.swaps(), world.created()) == (before, 0, 0)
    assert world.project.key == old_key(world)
    assert world.tracker.key(old_key(world)).state is KeyState.CURRENT


@BOTH
def test_a_renewed_key_begins_a_new_cycle_and_is_told_of(world, strategy):
    rotation = a_rotation(world, strategy=strategy)
    rotation.go_until("deployed")

    assert (world.project.rotated_by_kms_at, world.project.open_rotation) == (world.now, None)
    assert world.project.generation == 1
    assert world.told() == ["rotation_started", "rotation_deployed"]
    assert "the settings stay as they were" in world.told(NoticeKind.ROTATION_DEPLOYED)[0]


@pytest.mark.parametrize(
    ("strategy", "described", "said"),
    [
        (ON_DEMAND, {"origin": "EXTERNAL"}, "imported"),
        (ON_DEMAND, {"replica": True, "multi_region": True}, "replica"),
        (AUTOMATIC, {"replica": True, "multi_region": True}, "replica"),
        (ON_DEMAND, {"custom_store": True}, "custom key store"),
        (AUTOMATIC, {"custom_store": True}, "custom key store"),
        (ON_DEMAND, {"spec": "RSA_2048"}, "symmetric"),
        (AUTOMATIC, {"origin": "EXTERNAL"}, "imported"),
        (ON_DEMAND, {"aws_managed": True}, "managed by AWS"),
    ],
)
def test_a_kind_of_key_that_kms_cannot_renew_is_refused_with_the_reason(world, strategy, described, said):
    world.keys.change(old_key(world), **described)

    failed = a_rotation(world, strategy=strategy).go()

    assert (failed.state, failed.error.code) == (RotationState.FAILED, "kms_can_renew")
    assert said in failed.error.detail
    assert asked(world) == 0


def test_a_key_whose_on_demand_rotations_are_used_up_is_refused(world):
    for _ in range(25):
        world.keys.rotate_on_demand(old_key(world))
        world.wait(3 * MINUTE)
        world.keys.rotations(old_key(world))

    failed = a_rotation(world, strategy=ON_DEMAND).go()

    assert "all 25 on-demand rotations of the key are used up" in failed.error.detail


def test_a_refusal_by_kms_itself_ends_the_rotation_with_its_word(world):
    rotation = in_state(world, "renewing", strategy=ON_DEMAND)
    no = PermanentError("LimitExceededException", call="kms:RotateKeyOnDemand", code="LimitExceededException")
    world.keys.fail("rotate_on_demand", no)

    failed = rotation.go_until("failed")

    assert (failed.error.code, world.project.open_rotation) == ("LimitExceededException", None)


def test_a_crash_between_the_mark_and_the_call_uses_up_one_rotation(world):
    rotation = in_state(world, "renewing", strategy=ON_DEMAND)
    world.keys.fail("rotate_on_demand", Killed())
    with pytest.raises(Killed):
        rotation.go()
    marked = rotation.now

    rotation.go_until("deployed")

    assert (marked.renewals_before, used(world)) == (0, 1)


@pytest.mark.parametrize("trouble", [BUSY, FORBIDDEN, Killed()])
def test_an_answer_that_is_lost_after_the_effect_uses_up_one_rotation(world, trouble):
    rotation = in_state(world, "renewing", strategy=ON_DEMAND)
    ask = world.keys.rotate_on_demand

    def lost(arn):
        ask(arn)
        raise trouble

    world.keys.rotate_on_demand = lost
    with contextlib.suppress(Killed):
        rotation.go()
    world.keys.rotate_on_demand = ask

    while rotation.now.due is not None:
        rotation.go()

    assert (asked(world), used(world)) == (1, 1)


def test_a_rotation_that_kms_shows_late_is_not_asked_for_again(world):
    world.keys.rotation_takes = 3 * DAY
    rotation = in_state(world, "renewing", strategy=ON_DEMAND)

    waiting = rotation.go(60)

    assert (asked(world), waiting.waiting_for) == (1, ("KMS to finish the on-demand rotation",))


def test_a_renewal_has_no_key_to_roll_back_to(world):
    rotation = in_state(world, "deployed", strategy=ON_DEMAND)

    with pytest.raises(Exception, match="cannot be rolled back"):
        rotation.roll_back()

    assert rotation.now.rollback_requested_by is None


def test_every_renewal_stands_in_the_audit_trail(world):
    a_rotation(world, strategy=ON_DEMAND, reason="audit").go_until("deployed")

    entries = [e for e in world.tracker.audit if e.what == "key renewed by KMS (kms-on-demand)"]
    assert [(e.subject, e.why, e.after) for e in entries] == [(PROJECT, "audit", str(old_key(world)))]
