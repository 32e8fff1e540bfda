"""What the next step of a deletion is: facts and a clock in, one decision out.

A need found at any moment brings the key back. What could not be read makes the deletion wait, and brings the key
back when waiting longer could cost it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from chalicelib.domain.observed import KeyStatus
from chalicelib.domain.records import Deletion, Key, Reason
from chalicelib.domain.retention import PASSING
from chalicelib.domain.vocabulary import DeletionState as State

LOOK_EVERY = timedelta(hours=22)
"""How often an open deletion is looked at: a need is found within 24 hours, the schedule's own period included."""

UNREAD_WAITS = timedelta(hours=1)
TROUBLE_WAITS = timedelta(minutes=15)

LAST_CHANCE = timedelta(hours=72)
"""So near the deletion date, what cannot be read counts as a need, and what fails is for people."""

FRESH = timedelta(minutes=15)
"""How old evidence may be when KMS is called on its strength."""

WINDOW_DAYS = 30
"""The longest time KMS gives before it deletes."""

_SAME = timedelta(minutes=1)
"""How far two spellings of one date may be apart."""

_WAITS = frozenset({"unread", "confirmation"}) | PASSING
_PENDING = frozenset({KeyStatus.PENDING_DELETION, KeyStatus.PENDING_REPLICA_DELETION})


class Step(StrEnum):
    """What to do now."""

    WAIT = "wait"
    EXPIRE = "expire"
    DISABLE = "disable"
    SCHEDULE = "schedule"
    RESCUE = "rescue"
    CALL_OFF = "call off"
    FINISH = "finish"


@dataclass(frozen=True, kw_only=True)
class Look:
    """What one look has found; `status` is None where KMS was not asked or did not answer."""

    key: Key
    now: datetime
    status: KeyStatus | None = None
    deletion_date: datetime | None = None
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The step to take, the reasons behind a rescue or a wait, and when to look again if nothing is done."""

    step: Step
    reasons: tuple[Reason, ...] = ()
    look_at: datetime | None = None
    scheduled_at: datetime | None = None
    """When the deletion was scheduled that KMS shows and that is our own, for the step that records it."""


def decide(deletion: Deletion, look: Look, *, every: timedelta = LOOK_EVERY) -> Decision:
    """Decide the next step of a deletion that is not over; `every` is how often it is looked at between its steps."""
    if look.status is KeyStatus.GONE:
        return Decision(step=Step.FINISH)
    if deletion.called_off_by is not None:
        return Decision(step=Step.CALL_OFF)
    if deletion.state is State.REQUESTED and look.now >= deletion.expires_at:
        return Decision(step=Step.EXPIRE)
    reasons = (*look.reasons, *_records_say(deletion, look), *_kms_says(deletion, look))
    return _keep(deletion, reasons, look.now) if reasons else _go_on(deletion, look, every)


def _keep(deletion: Deletion, reasons: tuple[Reason, ...], now: datetime) -> Decision:
    untouched = deletion.state in {State.REQUESTED, State.APPROVED}
    waits = _WAITS | {"drift"} if untouched else _WAITS
    needs = tuple(reason for reason in reasons if reason.kind not in waits)
    if needs:
        return Decision(step=Step.RESCUE, reasons=needs)
    if is_last_chance(deletion, now):
        return Decision(step=Step.RESCUE, reasons=reasons)
    look_at = now + UNREAD_WAITS
    if deletion.state is State.REQUESTED:
        look_at = min(look_at, deletion.expires_at)
    return Decision(step=Step.WAIT, reasons=reasons, look_at=look_at)


def quarantine_ends(deletion: Deletion) -> datetime | None:
    """When the quarantine is over, at least a day after it began but for a key that never served; None before it."""
    if deletion.quarantined_at is None:
        return None
    return deletion.quarantined_at + timedelta(days=0 if deletion.compensation else max(1, deletion.quarantine_days))


def next_look(deletion: Deletion, now: datetime, every: timedelta = LOOK_EVERY) -> datetime:
    """When to look again after a look that found nothing: daily, and when the quarantine or the key ends."""
    turn = quarantine_ends(deletion) if deletion.state is State.QUARANTINED else deletion.deletion_date
    if turn is None or turn > now + every:
        return now + every
    return turn if turn > now else now + UNREAD_WAITS


def is_last_chance(deletion: Deletion, now: datetime) -> bool:
    """Whether the day of a scheduled deletion is too near to wait any longer."""
    if deletion.state is not State.SCHEDULED:
        return False
    return deletion.deletion_date is None or now > deletion.deletion_date - LAST_CHANCE


def is_hurried(deletion: Deletion, shown: datetime | None) -> bool:
    """Whether a key goes before the time that KMS gives it from our mark on: then another hand scheduled that."""
    mark = deletion.scheduled_at
    return mark is None or _earlier(shown, mark + timedelta(days=WINDOW_DAYS))


def went_by_another_hand(deletion: Deletion, now: datetime) -> bool:
    """Whether a key that is gone by now went before the day that was set for it, or without any."""
    mark = deletion.scheduled_at
    ours = deletion.deletion_date or (None if mark is None else mark + timedelta(days=WINDOW_DAYS))
    return ours is None or _earlier(now, ours)


def _go_on(deletion: Deletion, look: Look, every: timedelta) -> Decision:
    if deletion.state is State.REQUESTED:
        return Decision(step=Step.WAIT, look_at=deletion.expires_at)
    if deletion.state is State.APPROVED:
        return Decision(step=Step.DISABLE)
    ends = quarantine_ends(deletion)
    if deletion.state is State.QUARANTINED and ends is not None and look.now >= ends:
        # a later mark would make of our own deletion a hurried one, should this look die before it is recorded
        mark = deletion.scheduled_at if look.status in _PENDING else None
        return Decision(step=Step.SCHEDULE, scheduled_at=mark)
    return Decision(step=Step.WAIT, look_at=next_look(deletion, look.now, every))


def _records_say(deletion: Deletion, look: Look) -> Iterable[Reason]:
    if look.key.deletion_id != deletion.deletion_id:
        yield Reason(kind="unread", text="the key's record does not know this deletion", call="tracker key")
    if look.key.state.in_use:
        yield Reason(kind="current", text="it is in use again")


def _kms_says(deletion: Deletion, look: Look) -> Iterable[Reason]:
    """A hand that brought the key back objects; one that hurries its deletion has no approval."""
    match deletion.state, look.status:
        case State.QUARANTINED, KeyStatus.ENABLED:
            yield Reason(kind="enabled_by_hand", text="somebody enabled it during its quarantine")
        case State.QUARANTINED, status if status in _PENDING and is_hurried(deletion, look.deletion_date):
            yield Reason(kind="scheduled_by_hand", text="somebody scheduled its deletion during its quarantine")
        case State.SCHEDULED, KeyStatus.ENABLED | KeyStatus.DISABLED:
            yield Reason(kind="cancelled_by_hand", text="somebody cancelled its deletion in KMS")
        case State.SCHEDULED, KeyStatus.PENDING_DELETION if _earlier(look.deletion_date, deletion.deletion_date):
            yield Reason(kind="scheduled_by_hand", text="somebody scheduled its deletion anew, for an earlier day")
        case State.SCHEDULED | State.QUARANTINED, KeyStatus.UNKNOWN:
            yield Reason(kind="unread", text="KMS shows a state that is not known", call="kms:DescribeKey")
        case _:
            return


def _earlier(shown: datetime | None, known: datetime | None) -> bool:
    return shown is not None and known is not None and shown < known - _SAME
