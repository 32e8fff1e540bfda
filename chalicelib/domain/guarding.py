"""What a KMS call that somebody made means for a key: leave it alone, tell, or bring the key back."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from chalicelib.domain.arn import KeyArn, locate_key, parse_key_arn
from chalicelib.domain.observed import KeyDescription, KeyStatus
from chalicelib.domain.records import Deletion, Harm, Key, Project
from chalicelib.domain.retention import is_safe
from chalicelib.domain.retirement import WINDOW_DAYS
from chalicelib.domain.vocabulary import DeletionState as State
from chalicelib.domain.vocabulary import GuardMode, KeyState

DELETED = "KeyDeleted"
"""Our word for KMS' own event after a key is gone: too late for anything but telling."""

NOBODY_KNOWN = "unknown: no event told of it; see CloudTrail"
"""The actor of what was found, and not told."""

DISABLE = "DisableKey"
SCHEDULE = "ScheduleKeyDeletion"
UNDOING = frozenset({"EnableKey", "CancelKeyDeletion"})
"""What undoes the worst of it; whether all is well again shows in KMS alone, for a cancelled key is still disabled."""

WATCHED = frozenset({DISABLE, SCHEDULE, "PutKeyPolicy", "DeleteAlias"}) | UNDOING


@dataclass(frozen=True, kw_only=True)
class KeyCall:
    """One KMS call that succeeded, as CloudTrail tells it; `window_days` belongs to ScheduleKeyDeletion."""

    event_id: str
    operation: str
    arn: KeyArn
    actor: str
    account: str
    at: datetime | None = None
    window_days: int | None = None
    deletion_date: datetime | None = None
    """As KMS says it to who looks; a call says its window alone."""


class Act(StrEnum):
    """What the guard does."""

    NOTHING = "nothing"
    TELL = "tell"
    BRING_BACK = "bring back"


def unseen_call(described: KeyDescription, harm: Harm | None, now: datetime) -> KeyCall | None:
    """What must have been called on a key that is in this state; None for a healthy key.

    Who called is known where an event told of it before.
    """
    arn = described.arn
    operation = {
        KeyStatus.DISABLED: DISABLE,
        KeyStatus.PENDING_DELETION: SCHEDULE,
        KeyStatus.PENDING_REPLICA_DELETION: SCHEDULE,
        KeyStatus.GONE: DELETED,
    }.get(described.status)
    if operation is None:
        return None
    return KeyCall(
        event_id=f"patrol {now:%G-W%V}",  # a state that lasts is told once a week, not with every look
        operation=operation,
        arn=arn,
        actor=harm.actor if harm is not None and harm.operation == operation else NOBODY_KNOWN,
        account=arn.account,
        window_days=0,
        deletion_date=described.deletion_date,
    )


def _read_deletion(event: dict[str, Any]) -> KeyCall | None:
    """KMS says itself that a key is gone (detail type `KMS CMK Deletion`)."""
    arn = _key_in({"requestParameters": {"keyId": _dict(event.get("detail")).get("key-id")}, **event}, event)
    if arn is None:
        return None
    at = _moment(event.get("time"))
    return KeyCall(event_id=str(event.get("id")), operation=DELETED, arn=arn, actor="KMS", account=arn.account, at=at)


def read_call(event: dict[str, Any]) -> KeyCall | None:
    """Read an EventBridge event; None for what is no successful watched call on a key that it names."""
    if event.get("source") == "aws.kms" and event.get("detail-type") == "KMS CMK Deletion":
        return _read_deletion(event)
    detail = event.get("detail")
    if event.get("source") != "aws.kms" or not isinstance(detail, dict):
        return None
    operation = detail.get("eventName")
    arn = _key_in(detail, event)
    if operation not in WATCHED or detail.get("errorCode") or arn is None:
        return None
    request = _dict(detail.get("requestParameters"))
    return KeyCall(
        event_id=str(detail.get("eventID") or event.get("id")),
        operation=operation,
        arn=arn,
        actor=_actor(_dict(detail.get("userIdentity"))),
        account=str(detail.get("recipientAccountId") or event.get("account") or arn.account),
        at=_moment(detail.get("eventTime") or event.get("time")),
        window_days=_days(request.get("pendingWindowInDays")) if operation == SCHEDULE else None,
    )


def decide(call: KeyCall, key: Key | None, deletion: Deletion | None, projects: tuple[Project, ...]) -> Act:
    """Decide for a key as it is known now; only a key that something still needs is guarded."""
    if key is None or not is_needed(key) or went_through_workflow(call, deletion):
        return Act.NOTHING
    if call.operation not in {DISABLE, SCHEDULE}:
        return Act.TELL  # a policy or alias is for people to mend, and what is gone nobody brings back
    tell_only = any(p.policy.guard is GuardMode.TELL for p in projects)
    return Act.TELL if tell_only else Act.BRING_BACK


def harm_of(call: KeyCall, before: Harm | None, now: datetime) -> Harm | None:
    """What stands after a call that nobody undid; None for one that leaves the key as it was.

    Who looks later knows the date better, and the actor not at all.
    """
    if call.operation not in {DISABLE, SCHEDULE, DELETED}:
        return before
    window = call.window_days if call.window_days is not None else WINDOW_DAYS
    date = call.deletion_date or (call.at or now) + timedelta(days=window)
    harm = Harm(
        operation=call.operation,
        actor=call.actor,
        seen_at=now,
        deletion_date=date if call.operation == SCHEDULE else None,
    )
    if before is None:
        return harm
    if before.operation == harm.operation and call.actor in {NOBODY_KNOWN, before.actor}:
        return replace(before, deletion_date=harm.deletion_date)
    overtaken = (before.operation, call.operation) == (SCHEDULE, DISABLE) and call.actor != NOBODY_KNOWN
    return before if overtaken else harm  # KMS disables no key that is pending deletion: the event came late


def is_going(key: Key) -> bool:
    """Whether KMS is going to delete a needed key because somebody scheduled that outside Keyturn."""
    return key.harm is not None and key.harm.operation == SCHEDULE and is_needed(key)


def is_needed(key: Key) -> bool:
    """Whether anything may need the key; one that no sweep has found free yet counts as needed."""
    return key.state is not KeyState.DELETED and not is_safe(key)


def went_through_workflow(call: KeyCall, deletion: Deletion | None) -> bool:
    """Whether the call is the one that the key's approved deletion makes at this point."""
    state = deletion.state if deletion is not None else None
    if call.operation == DISABLE:
        return state in {State.APPROVED, State.QUARANTINED, State.SCHEDULED}
    if call.operation == SCHEDULE:
        # KMS takes 30 days when no window is given
        long_enough = call.window_days is None or call.window_days >= WINDOW_DAYS
        return state in {State.QUARANTINED, State.SCHEDULED} and long_enough
    return False


def _key_in(detail: dict[str, Any], event: dict[str, Any]) -> KeyArn | None:
    resources = detail.get("resources")
    for resource in resources if isinstance(resources, list) else ():
        arn = parse_key_arn(str(_dict(resource).get("ARN", "")))
        if arn is not None:
            return arn
    text = str(_dict(detail.get("requestParameters")).get("keyId", ""))
    account = str(detail.get("recipientAccountId") or event.get("account", ""))
    return locate_key(text, account=account, region=str(detail.get("awsRegion") or event.get("region", "")))


def _actor(identity: dict[str, Any]) -> str:
    return str(identity.get("arn") or identity.get("invokedBy") or identity.get("principalId") or "unknown")


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _days(value: object) -> int | None:
    """A window that cannot be read counts as the shortest."""
    if value is None:
        return None
    return int(value) if isinstance(value, int | float) or (isinstance(value, str) and value.isdecimal()) else 0


def _moment(value: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(value))
    except ValueError:
        return None
