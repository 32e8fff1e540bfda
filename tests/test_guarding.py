"""What a KMS call that somebody made means for a key."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

import app
from chalicelib.domain.arn import KeyArn
from chalicelib.domain.guarding import (
    DELETED,
    NOBODY_KNOWN,
    WATCHED,
    Act,
    decide,
    harm_of,
    is_going,
    is_needed,
    read_call,
    unseen_call,
)
from chalicelib.domain.observed import KeyDescription, KeyStatus
from chalicelib.domain.records import Deletion, Harm, Key, Policy, Project, Reason
from chalicelib.domain.vocabulary import DeletionState, GuardMode, KeyState

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
ARN = KeyArn(account="111122223333", region="eu-west-1", key_id="12345678-1234-1234-1234-123456789abc")
MALLORY = "arn:aws:iam::111122223333:user/mallory"
PROJECT = Project(project_id="p1", name="Shop", organization="o1", seen_at=NOW)
TELLING = replace(PROJECT, project_id="p2", policy=Policy(guard=GuardMode.TELL))
FREE = Key(arn=ARN, state=KeyState.RETIRING, projects=("p1",), first_seen_at=NOW, safe_since=NOW, proof_digest="d")
NEEDED = replace(FREE, safe_since=None, reasons=(Reason(kind="snapshots", text="3 snapshots need it"),))


def event(operation="ScheduleKeyDeletion", *, key_id=str(ARN), resources=(), window=7, **detail):
    parameters = {"keyId": key_id}
    if operation == "ScheduleKeyDeletion" and window is not None:
        parameters["pendingWindowInDays"] = window
    return {
        "id": "outer",
        "source": "aws.kms",
        "account": "111122223333",
        "region": "eu-west-1",
        "time": "2027-03-01T12:00:00Z",
        "detail": {
            "eventName": operation,
            "eventID": "e-1",
            "eventTime": "2027-03-01T11:59:00Z",
            "awsRegion": "eu-west-1",
            "recipientAccountId": "111122223333",
            "userIdentity": {"type": "IAMUser", "arn": MALLORY},
            "requestParameters": parameters,
            "resources": [{"type": "AWS::KMS::Key", "ARN": arn} for arn in resources],
            **detail,
        },
    }


SCHEDULED = read_call(event())
SEEN = Harm(operation="ScheduleKeyDeletion", actor=MALLORY, seen_at=NOW, deletion_date=NOW + timedelta(days=7))


def test_what_a_patrol_finds_says_the_day_better_and_the_actor_not_at_all():
    day = NOW + timedelta(days=7, minutes=3)
    found = unseen_call(KeyDescription(arn=ARN, status=KeyStatus.PENDING_DELETION, deletion_date=day), None, NOW)

    assert harm_of(found, SEEN, NOW) == replace(SEEN, deletion_date=day)
    assert harm_of(found, None, NOW).deletion_date == day


def test_a_patrol_names_who_an_event_named_and_writes_nothing_new():
    shown = KeyDescription(arn=ARN, status=KeyStatus.PENDING_DELETION, deletion_date=SEEN.deletion_date)

    found = unseen_call(shown, SEEN, NOW)

    assert found.actor == MALLORY
    assert harm_of(found, SEEN, NOW + timedelta(days=1)) == SEEN
    disabled = KeyDescription(arn=ARN, status=KeyStatus.DISABLED)
    assert unseen_call(disabled, SEEN, NOW).actor == NOBODY_KNOWN
    assert harm_of(unseen_call(disabled, SEEN, NOW), SEEN, NOW).operation == "DisableKey"


def test_a_call_that_leaves_a_key_as_it_was_does_no_harm():
    assert harm_of(read_call(event("PutKeyPolicy")), None, NOW) is None
    assert harm_of(read_call(event("DeleteAlias")), SEEN, NOW) == SEEN


def test_kms_takes_thirty_days_where_no_window_is_given():
    harm = harm_of(read_call(event(window=None)), None, NOW)

    assert harm.deletion_date == SCHEDULED.at + timedelta(days=30)


def test_only_a_needed_key_is_going_to_be_missed():
    assert is_going(replace(NEEDED, harm=SEEN))
    assert not is_going(replace(FREE, harm=SEEN))
    assert not is_going(replace(NEEDED, harm=replace(SEEN, operation="DisableKey", deletion_date=None)))


def deletion(state: DeletionState) -> Deletion:
    return Deletion(
        deletion_id="x",
        arn=ARN,
        state=state,
        digest="d",
        requested_by="a",
        requested_at=NOW,
        expires_at=NOW + timedelta(days=3),
    )


def test_a_call_is_read_with_its_actor_moment_and_window():
    call = read_call(event())

    assert (call.arn, call.actor, call.window_days, call.event_id) == (ARN, MALLORY, 7, "e-1")
    assert call.at == NOW - timedelta(minutes=1)


@pytest.mark.parametrize(
    "given",
    [
        event(key_id=ARN.key_id),
        event(key_id=ARN.key_id.upper()),
        event("DeleteAlias", key_id="", resources=["arn:aws:kms:eu-west-1:111122223333:alias/x", str(ARN)]),
        event(resources=[str(ARN)], requestParameters=None),
    ],
)
def test_the_key_is_found_however_the_call_names_it(given):
    assert read_call(given).arn == ARN


def test_the_rule_in_the_stack_lets_through_what_is_watched_and_nothing_else():
    assert set(app.KMS_OPERATIONS) == WATCHED


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"source": "aws.kms", "detail": None},
        event("TagResource"),
        event(errorCode="AccessDenied"),
        event(key_id="alias/x"),
        event(key_id=""),
        {**event(), "source": "aws.s3"},
    ],
)
def test_what_is_no_successful_watched_call_on_a_key_is_not_read(given):
    assert read_call(given) is None


def test_an_assumed_service_or_unknown_caller_still_has_a_name():
    assert read_call(event(userIdentity={"invokedBy": "cloudformation.amazonaws.com"})).actor.startswith("cloudf")
    assert read_call(event(userIdentity=None)).actor == "unknown"


@pytest.mark.parametrize("operation", ["ScheduleKeyDeletion", "DisableKey"])
@pytest.mark.parametrize(
    "key",
    [
        NEEDED,
        replace(FREE, state=KeyState.CURRENT),
        replace(FREE, state=KeyState.DEPLOYING),
        replace(FREE, safe_since=None),
    ],
)
def test_a_needed_key_is_brought_back_and_so_is_one_that_no_sweep_has_found_free(operation, key):
    assert decide(read_call(event(operation)), key, None, (PROJECT,)) is Act.BRING_BACK


@pytest.mark.parametrize("operation", ["PutKeyPolicy", "DeleteAlias"])
def test_what_cannot_be_undone_is_told(operation):
    assert decide(read_call(event(operation)), NEEDED, None, (PROJECT,)) is Act.TELL


def test_one_project_that_wishes_to_be_told_only_is_enough():
    assert decide(read_call(event()), NEEDED, None, (PROJECT, TELLING)) is Act.TELL


@pytest.mark.parametrize("key", [None, FREE, replace(NEEDED, state=KeyState.DELETED)])
def test_a_key_that_is_unknown_free_or_gone_is_left_alone(key):
    assert decide(read_call(event()), key, None, (PROJECT,)) is Act.NOTHING


@pytest.mark.parametrize(
    ("state", "operation", "window", "act"),
    [
        (DeletionState.REQUESTED, "DisableKey", None, Act.BRING_BACK),
        (DeletionState.APPROVED, "DisableKey", None, Act.NOTHING),
        (DeletionState.APPROVED, "ScheduleKeyDeletion", 30, Act.BRING_BACK),
        (DeletionState.QUARANTINED, "DisableKey", None, Act.NOTHING),
        (DeletionState.QUARANTINED, "ScheduleKeyDeletion", 30, Act.NOTHING),
        (DeletionState.QUARANTINED, "ScheduleKeyDeletion", None, Act.NOTHING),
        (DeletionState.QUARANTINED, "ScheduleKeyDeletion", 7, Act.BRING_BACK),
        (DeletionState.QUARANTINED, "ScheduleKeyDeletion", "soon", Act.BRING_BACK),
        (DeletionState.SCHEDULED, "ScheduleKeyDeletion", 30, Act.NOTHING),
        (DeletionState.RESCUED, "ScheduleKeyDeletion", 30, Act.BRING_BACK),
        (DeletionState.CALLED_OFF, "DisableKey", None, Act.BRING_BACK),
        (DeletionState.QUARANTINED, "PutKeyPolicy", None, Act.TELL),
    ],
)
def test_only_the_call_that_the_approved_deletion_makes_is_left_alone(state, operation, window, act):
    call = read_call(event(operation, window=window))

    assert decide(call, NEEDED, deletion(state), (PROJECT,)) is act


def told_by_kms(**changes):
    return {
        "id": "k-1",
        "source": "aws.kms",
        "detail-type": "KMS CMK Deletion",
        "account": "111122223333",
        "region": "eu-west-1",
        "time": "2027-03-01T12:00:00Z",
        "resources": [str(ARN)],
        "detail": {"key-id": ARN.key_id},
        **changes,
    }


def test_kms_own_word_that_a_key_is_gone_is_read():
    call = read_call(told_by_kms())

    assert (call.operation, call.arn, call.actor, call.event_id) == (DELETED, ARN, "KMS", "k-1")
    assert (call.at, call.account) == (NOW, ARN.account)


@pytest.mark.parametrize(
    "changes",
    [{"detail": None}, {"detail": {}}, {"detail": {"key-id": "alias/x"}}, {"source": "aws.s3"}],
    ids=str,
)
def test_a_word_of_kms_that_names_no_key_is_not_read(changes):
    assert read_call(told_by_kms(**changes)) is None


@pytest.mark.parametrize("state", [None, *DeletionState])
def test_a_needed_key_that_is_gone_is_told_whatever_deletion_was_open(state):
    call = read_call(told_by_kms())

    assert decide(call, NEEDED, None if state is None else deletion(state), (PROJECT,)) is Act.TELL


def test_a_key_that_went_when_it_was_free_is_no_news():
    assert decide(read_call(told_by_kms()), FREE, None, (PROJECT,)) is Act.NOTHING


@pytest.mark.parametrize(
    ("status", "operation", "act"),
    [
        (KeyStatus.DISABLED, "DisableKey", Act.BRING_BACK),
        (KeyStatus.PENDING_DELETION, "ScheduleKeyDeletion", Act.BRING_BACK),
        (KeyStatus.PENDING_REPLICA_DELETION, "ScheduleKeyDeletion", Act.BRING_BACK),
        (KeyStatus.GONE, DELETED, Act.TELL),
    ],
)
def test_what_no_event_told_is_seen_in_the_state_of_the_key(status, operation, act):
    call = unseen_call(KeyDescription(arn=ARN, status=status), None, NOW)

    assert (call.operation, call.arn, call.account) == (operation, ARN, ARN.account)
    assert decide(call, NEEDED, None, (PROJECT,)) is act


@pytest.mark.parametrize(
    "status",
    [
        KeyStatus.ENABLED,
        KeyStatus.CREATING,
        KeyStatus.UPDATING,
        KeyStatus.UNAVAILABLE,
        KeyStatus.PENDING_IMPORT,
        KeyStatus.UNKNOWN,
    ],
)
def test_a_key_that_nobody_disabled_or_scheduled_tells_nothing(status):
    assert unseen_call(KeyDescription(arn=ARN, status=status), None, NOW) is None


def test_what_is_seen_in_one_week_is_one_event_and_in_the_next_another():
    first, later, next_week = (
        unseen_call(KeyDescription(arn=ARN, status=KeyStatus.DISABLED), None, NOW + timedelta(days=days)).event_id
        for days in (0, 5, 7)
    )

    assert (first == later, first == next_week) == (True, False)


@pytest.mark.parametrize("state", [DeletionState.QUARANTINED, DeletionState.SCHEDULED])
def test_a_window_that_nobody_saw_being_asked_for_counts_as_too_short(state):
    call = unseen_call(KeyDescription(arn=ARN, status=KeyStatus.PENDING_DELETION), None, NOW)

    assert decide(call, NEEDED, deletion(state), (PROJECT,)) is Act.BRING_BACK


@pytest.mark.parametrize(
    ("key", "needed"),
    [
        (NEEDED, True),
        (replace(FREE, state=KeyState.CURRENT), True),
        (replace(FREE, state=KeyState.DEPLOYING), True),
        (replace(FREE, safe_since=None), True),
        (replace(FREE, reasons=NEEDED.reasons), True),
        (FREE, False),
        (replace(FREE, state=KeyState.QUARANTINED), False),
        (replace(NEEDED, state=KeyState.DELETED), False),
    ],
)
def test_a_key_is_needed_unless_a_sweep_found_it_free_and_nothing_came_since(key, needed):
    assert is_needed(key) is needed
