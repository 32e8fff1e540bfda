"""The life of a rotation: everything that may change its state stands in this file.

A rotation is a row in the tracker and an event at a time. Each wake-up gathers the facts that the present state
asks for, the rules turn them into at most one event, and the table says where it leads. A pair that is not in the
table is an error, never a guess. `docs/states.md` is drawn from the table.
"""

from datetime import timedelta
from enum import StrEnum

from chalicelib.domain.records import Rotation
from chalicelib.domain.transition import follow
from chalicelib.domain.vocabulary import RotationState as State


class Event(StrEnum):
    """What can happen to a rotation."""

    PREFLIGHT_PASSED = "preflight passed"
    KEY_STAYS = "preflight passed, the key stays"
    KEY_READY = "key ready"
    SWAP_SEEN = "swap seen"
    SETTLED = "settled"
    RENEWED = "renewed by KMS"
    ROLLBACK_ASKED = "rollback asked"
    ROLLBACK_REFUSED = "rollback refused"
    SWAPPED_BACK = "old key seen again"
    REFUSED = "refused"
    CANCELLED = "cancelled"


TABLE: dict[tuple[State, Event], State] = {
    (State.REQUESTED, Event.PREFLIGHT_PASSED): State.PREPARING,
    (State.REQUESTED, Event.KEY_STAYS): State.RENEWING,
    (State.REQUESTED, Event.REFUSED): State.FAILED,
    (State.REQUESTED, Event.CANCELLED): State.CANCELLED,
    (State.PREPARING, Event.KEY_READY): State.SWAPPING,
    (State.PREPARING, Event.REFUSED): State.FAILED,
    (State.PREPARING, Event.CANCELLED): State.CANCELLED,
    (State.SWAPPING, Event.SWAP_SEEN): State.DEPLOYING,
    (State.SWAPPING, Event.REFUSED): State.FAILED,
    (State.SWAPPING, Event.CANCELLED): State.CANCELLED,
    (State.DEPLOYING, Event.SETTLED): State.DEPLOYED,
    (State.DEPLOYING, Event.ROLLBACK_ASKED): State.ROLLING_BACK,
    (State.DEPLOYING, Event.REFUSED): State.FAILED,
    (State.RENEWING, Event.RENEWED): State.DEPLOYED,
    (State.RENEWING, Event.REFUSED): State.FAILED,
    (State.RENEWING, Event.CANCELLED): State.CANCELLED,
    (State.DEPLOYED, Event.ROLLBACK_ASKED): State.ROLLING_BACK,
    (State.ROLLING_BACK, Event.SWAPPED_BACK): State.RETURNING,
    (State.ROLLING_BACK, Event.ROLLBACK_REFUSED): State.DEPLOYING,
    (State.ROLLING_BACK, Event.REFUSED): State.FAILED,
    (State.RETURNING, Event.SETTLED): State.ROLLED_BACK,
    (State.RETURNING, Event.REFUSED): State.FAILED,
}


def next_state(state: State, event: Event) -> State:
    """Where an event leads; raises IllegalTransition for a pair that is not in the table."""
    return follow(TABLE, state, event, of="rotation")


LEASE = timedelta(seconds=180)
"""How long one wake-up holds a rotation: longer than the function's timeout and its requests in flight."""

TIDY_AFTER = timedelta(hours=1)
"""When a key that was made for a rotation that gave up is looked for once more: KMS lists new keys late."""


def may_be_cancelled(rotation: Rotation) -> bool:
    """Whether nothing that others can see has been changed yet, nor may be on its way."""
    untouched = rotation.patch_sent_at is None and rotation.renewal_sent_at is None
    return untouched and (rotation.state, Event.CANCELLED) in TABLE


def backoff(attempts: int) -> timedelta:
    """How long to wait after so many temporary failures in a row: 10 s doubling up to an hour."""
    return min(timedelta(seconds=10 * (1 << min(attempts, 10))), timedelta(hours=1))
