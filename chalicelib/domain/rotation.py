"""The life of a rotation: everything that may change its state stands in this file.

A rotation is a row in the tracker and an event at a time. Each wake-up gathers the facts that the present state
asks for, the rules here turn them into at most one event, and the table says where it leads. A pair that is not
in the table is an error, never a guess. `docs/states.md` is drawn from the table.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from chalicelib.domain.arn import KeyArn, parse_key_id
from chalicelib.domain.observed import Settings
from chalicelib.domain.records import Problem, Rotation
from chalicelib.domain.records import RotationState as State


class Event(StrEnum):
    """What can happen to a rotation."""

    PREFLIGHT_PASSED = "preflight passed"
    KEY_READY = "key ready"
    SWAP_SEEN = "swap seen"
    SETTLED = "settled"
    REFUSED = "refused"
    CANCELLED = "cancelled"


TABLE: dict[tuple[State, Event], State] = {
    (State.REQUESTED, Event.PREFLIGHT_PASSED): State.PREPARING,
    (State.REQUESTED, Event.REFUSED): State.FAILED,
    (State.REQUESTED, Event.CANCELLED): State.CANCELLED,
    (State.PREPARING, Event.KEY_READY): State.SWAPPING,
    (State.PREPARING, Event.REFUSED): State.FAILED,
    (State.PREPARING, Event.CANCELLED): State.CANCELLED,
    (State.SWAPPING, Event.SWAP_SEEN): State.DEPLOYING,
    (State.SWAPPING, Event.REFUSED): State.FAILED,
    (State.SWAPPING, Event.CANCELLED): State.CANCELLED,
    (State.DEPLOYING, Event.SETTLED): State.DEPLOYED,
    (State.DEPLOYING, Event.REFUSED): State.FAILED,
}


class IllegalTransition(Exception):
    """An event that the present state does not know; nothing was changed."""


def next_state(state: State, event: Event) -> State:
    """Where an event leads; raises IllegalTransition for a pair that is not in the table."""
    try:
        return TABLE[state, event]
    except KeyError:
        raise IllegalTransition(f"a rotation that is {state} cannot take the event “{event}”") from None


LEASE = timedelta(seconds=180)
"""How long one wake-up holds a rotation: longer than the function's timeout and its requests in flight."""

PATCH_SETTLES_WITHIN = timedelta(minutes=10)
"""How long a change of settings may take to be seen before it counts as lost and is sent again."""

INCONSISTENT_FOR = timedelta(minutes=3)
"""How long Atlas may refuse a new key because IAM and KMS have not caught up yet (terraform waits as long)."""

NOT_YET = frozenset({"CANNOT_ASSUME_ROLE", "INVALID_AWS_CREDENTIALS", "CLOUD_PROVIDER_ACCESS_ROLE_NOT_AUTHORIZED"})
"""The refusals of Atlas that pass by themselves once IAM is consistent."""


def backoff(attempts: int) -> timedelta:
    """How long to wait after so many temporary failures in a row: 10 s doubling up to an hour."""
    return min(timedelta(seconds=10 * (1 << min(attempts, 10))), timedelta(hours=1))


def names(settings: Settings, key: KeyArn | None) -> bool:
    """Whether the settings name this key, however they spell it."""
    return key is not None and settings.key is not None and parse_key_id(settings.key) == key.key_id


class Swap(StrEnum):
    """What to do about the settings now."""

    SEND = "send"
    WAIT = "wait"
    SEEN = "seen"
    STOP = "stop"


@dataclass(frozen=True, kw_only=True)
class SwapDecision:
    """What to do about the settings, and why when it is to stop or to wait."""

    swap: Swap
    problem: Problem | None = None
    waiting_for: str = ""


def decide_swap(rotation: Rotation, settings: Settings, now: datetime) -> SwapDecision:
    """Decide from what Atlas shows, never from what we believe we sent.

    The settings are changed only while they are valid and still name the old key; a change whose answer was
    lost is looked for, and sent again only after it had time enough to show.
    """
    if not settings.enabled:
        return _stop("encryption_disabled", "encryption at rest was switched off in Atlas meanwhile")
    if names(settings, rotation.new_key):
        if settings.valid:
            return SwapDecision(swap=Swap.SEEN)
        return SwapDecision(swap=Swap.WAIT, waiting_for="Atlas has the new key but has not found it valid yet")
    if not names(settings, rotation.old_key):
        return _stop("key_changed_by_hand", f"the settings name {settings.key}, neither the old key nor the new one")
    return _decide_to_send(rotation, settings, now)


def _decide_to_send(rotation: Rotation, settings: Settings, now: datetime) -> SwapDecision:
    if not settings.valid:
        return _stop(
            "current_key_invalid",
            "Atlas finds the current key invalid and takes no other before it is restored:"
            " enable the key or mend its policy, then request the rotation again",
        )
    if rotation.patch_sent_at is not None and now < rotation.patch_sent_at + PATCH_SETTLES_WITHIN:
        return SwapDecision(swap=Swap.WAIT, waiting_for="the change of settings was sent and is not seen yet")
    return SwapDecision(swap=Swap.SEND)


def _stop(code: str, detail: str) -> SwapDecision:
    return SwapDecision(swap=Swap.STOP, problem=Problem(code=code, detail=detail))
