"""The guard undoes what would destroy a needed key, and tells who did it; what it hears twice it tells once."""

from dataclasses import replace

import pytest
from deletion_world import ARN, Leaving
from simple_world import DAY, START, raising

from chalicelib.domain.observed import KeyStatus
from chalicelib.domain.records import Policy, Reason
from chalicelib.domain.vocabulary import GuardMode, NoticeKind
from chalicelib.usecases.guard import guard_key
from chalicelib.usecases.ports import Conflict, PermanentError, TemporaryError


@pytest.fixture
def world():
    return Leaving()


def kms_event(operation="ScheduleKeyDeletion", event_id="e-1"):
    return {
        "source": "aws.kms",
        "detail": {
            "eventName": operation,
            "eventID": event_id,
            "awsRegion": ARN.region,
            "recipientAccountId": ARN.account,
            "userIdentity": {"arn": "arn:aws:iam::111122223333:user/mallory"},
            "requestParameters": {"keyId": str(ARN), "pendingWindowInDays": 7},
        },
    }


def need(world):
    reasons = (Reason(kind="snapshots", text="3 snapshots of main need it"),)
    world.change(world.key, safe_since=None, reasons=reasons)


def test_the_guard_brings_a_needed_key_back_and_names_the_caller(world):
    need(world)
    world.keys.schedule_deletion(ARN, days=7)

    guard_key(world.outside, kms_event())

    (notice,) = world.tracker.notices
    assert world.status is KeyStatus.ENABLED
    assert (notice.kind, notice.escalate, notice.recipients) == (NoticeKind.KEY_RESCUED, True, ("a@b",))
    assert notice.detail["actor"].endswith("user/mallory")
    assert "user/mallory" in notice.text


def test_the_same_event_told_twice_is_one_notice_and_another_event_is_another(world):
    need(world)

    for event_id in ("e-1", "e-1", "e-2"):
        guard_key(world.outside, kms_event(event_id=event_id))

    assert len(world.tracker.notices) == 2


def test_the_guard_only_tells_where_policy_says_so_and_once(world):
    need(world)
    world.change(world.project, policy=Policy(guard=GuardMode.TELL))

    for _ in range(2):
        guard_key(world.outside, kms_event())

    assert (world.told(), world.touched()) == ([NoticeKind.DRIFT], [])


def test_what_the_guard_only_tells_of_is_remembered_with_who_did_it_and_when_kms_deletes_the_key(world):
    need(world)
    world.change(world.project, policy=Policy(guard=GuardMode.TELL))

    going = guard_key(world.outside, kms_event())

    harm = world.key.harm
    assert (going, harm.actor.rpartition("/")[2], harm.deletion_date) == (1, "mallory", START + 7 * DAY)


def test_an_event_of_disabling_that_comes_late_hides_no_deletion_that_is_scheduled(world):
    need(world)
    world.change(world.project, policy=Policy(guard=GuardMode.TELL))

    guard_key(world.outside, kms_event())
    going = guard_key(world.outside, kms_event("DisableKey", "e-0"))

    assert (going, world.key.harm.operation) == (1, "ScheduleKeyDeletion")


def test_a_guard_that_undoes_a_call_leaves_nothing_to_remember(world):
    need(world)

    assert guard_key(world.outside, kms_event()) == 0
    assert world.key.harm is None


def test_a_guard_that_kms_refuses_tells_and_tries_again(world):
    need(world)
    world.keys.trouble = {"enable": TemporaryError("slow down", call="kms")}
    with pytest.raises(TemporaryError):
        guard_key(world.outside, kms_event())
    world.keys.trouble = {}

    guard_key(world.outside, kms_event())

    assert world.told() == [NoticeKind.KEY_NEEDED_AGAIN, NoticeKind.KEY_RESCUED]


def test_a_guard_whose_role_cannot_be_assumed_tells_and_remembers_what_it_could_not_undo(world):
    need(world)
    denied = PermanentError("sts:AssumeRole was refused", call="sts:AssumeRole")
    barred = replace(world.outside, keys=raising(denied))

    for _ in range(2):
        with pytest.raises(PermanentError):
            guard_key(barred, kms_event())

    (notice,) = world.tracker.notices
    assert (notice.kind, denied.message in notice.text) == (NoticeKind.KEY_NEEDED_AGAIN, True)
    assert world.key.harm.deletion_date == START + 7 * DAY


def test_a_notice_that_could_not_be_written_is_not_taken_for_a_duplicate(world):
    need(world)

    def crash(change):
        raise Conflict("busy", call="commit")

    world.tracker.before_commit = crash

    with pytest.raises(Conflict):
        guard_key(world.outside, kms_event())


def test_the_guard_leaves_free_keys_unknown_keys_and_our_own_calls_alone(world):
    guard_key(world.outside, kms_event())
    guard_key(world.outside, {})
    world.quarantined()
    guard_key(world.outside, kms_event("DisableKey", "e-9"))
    world.tracker.lose(world.key)
    guard_key(world.outside, kms_event(event_id="e-3"))

    assert "enable" not in world.touched()
    assert NoticeKind.KEY_RESCUED not in world.told()


def test_the_guard_tells_at_once_that_a_needed_key_is_gone_and_touches_nothing(world):
    need(world)
    event = {
        "id": "k-1",
        "source": "aws.kms",
        "detail-type": "KMS CMK Deletion",
        "account": ARN.account,
        "region": ARN.region,
        "detail": {"key-id": ARN.key_id},
    }

    for _ in range(2):
        guard_key(world.outside, event)

    (notice,) = world.tracker.notices
    assert (notice.kind, notice.escalate, world.touched()) == (NoticeKind.DRIFT, True, [])
    assert "KeyDeleted" in notice.text


def test_a_key_disabled_again_and_the_first_event_told_again_is_enabled_again_and_told_once(world):
    need(world)
    for _ in range(2):
        world.keys.disable(ARN)
        guard_key(world.outside, kms_event("DisableKey"))

    assert (world.status, world.told()) == (KeyStatus.ENABLED, [NoticeKind.KEY_RESCUED])
