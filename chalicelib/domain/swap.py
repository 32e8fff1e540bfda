"""Whether to change the settings now: from what Atlas shows, never from what we believe we sent."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from chalicelib.domain.arn import KeyArn, parse_key_arn, parse_key_id
from chalicelib.domain.observed import Settings
from chalicelib.domain.records import Problem, Rotation
from chalicelib.domain.vocabulary import RotationState

SETTLES_WITHIN = timedelta(minutes=16)
"""How long a change of settings may take to be seen before it counts as lost and is sent again.

Atlas says nothing about it: a change that takes effect ten minutes late, or is shown a quarter of an hour late, must
not be sent twice; the minute more is what a call may last.
"""

INCONSISTENT_FOR = timedelta(minutes=3)
"""How long Atlas may refuse a new key because IAM and KMS have not caught up yet (terraform waits as long)."""

NOT_YET = frozenset({"CANNOT_ASSUME_ROLE", "INVALID_AWS_CREDENTIALS", "CLOUD_PROVIDER_ACCESS_ROLE_NOT_AUTHORIZED"})
"""The refusals of Atlas that pass by themselves once IAM is consistent."""


def names(settings: Settings, key: KeyArn | None) -> bool:
    """Whether the settings name this key, however they spell it; the twins of a multi-Region key share their id."""
    if key is None or settings.key is None or parse_key_id(settings.key) != key.key_id:
        return False
    arn = parse_key_arn(settings.key)
    return (arn.region if arn is not None else settings.region) in {None, key.region}


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """One change of settings: from which key to which, and how far it has come.

    `access_key_id` is that of the IAM user whose credentials go along, None where Atlas assumes a role.
    """

    leaving: KeyArn
    wanted: KeyArn
    access_key_id: str | None = None
    sent_at: datetime | None = None
    refusal: Problem | None = None
    earlier_sent_at: datetime | None = None
    """When the rotation before sent a change that it never saw."""

    def is_shown_by(self, settings: Settings) -> bool:
        """Whether the settings are as the exchange wants them."""
        theirs = self.access_key_id is None or settings.access_key_id == self.access_key_id
        return theirs and names(settings, self.wanted)


def exchange_of(
    rotation: Rotation, *, access_key_id: str | None = None, earlier_sent_at: datetime | None = None
) -> Exchange | None:
    """The change that a rotation is about: forward, or back again; None while it has no new key."""
    if rotation.new_key is None:
        return None
    back = rotation.state is RotationState.ROLLING_BACK
    leaving, wanted = (rotation.new_key, rotation.old_key) if back else (rotation.old_key, rotation.new_key)
    return Exchange(
        leaving=leaving,
        wanted=wanted,
        access_key_id=access_key_id,
        sent_at=rotation.patch_sent_at,
        refusal=rotation.refusal,
        earlier_sent_at=earlier_sent_at,
    )


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


def decide_swap(exchange: Exchange, settings: Settings, now: datetime) -> SwapDecision:
    """Send only while the settings are valid and still name the key that is left; send a lost change again late."""
    if not settings.enabled:
        return _stop("encryption_disabled", "encryption at rest was switched off in Atlas meanwhile")
    if exchange.is_shown_by(settings):
        if settings.valid:
            return SwapDecision(swap=Swap.SEEN)
        return _wait(f"Atlas has {exchange.wanted} in its settings but has not found it valid yet")
    if not names(settings, exchange.leaving):
        return _stop(
            "key_changed_by_hand", f"the settings name {settings.key}, neither {exchange.leaving} nor {exchange.wanted}"
        )
    return _decide_to_send(exchange, settings, now)


def _decide_to_send(exchange: Exchange, settings: Settings, now: datetime) -> SwapDecision:
    if exchange.refusal is not None:
        return SwapDecision(swap=Swap.STOP, problem=exchange.refusal)
    if exchange.sent_at is not None and now < exchange.sent_at + SETTLES_WITHIN:
        return _wait("the change of settings was sent and is not seen yet")
    if exchange.earlier_sent_at is not None and now < exchange.earlier_sent_at + SETTLES_WITHIN:
        return _wait("the rotation before sent a change of settings that may still take effect")
    if not settings.valid:
        return _stop(
            "current_key_invalid",
            "Atlas finds the current key invalid and takes no other before it is restored:"
            " enable the key, mend its policy or the role that Atlas uses, then request the rotation again",
        )
    return SwapDecision(swap=Swap.SEND)


def _wait(what_for: str) -> SwapDecision:
    return SwapDecision(swap=Swap.WAIT, waiting_for=what_for)


def _stop(code: str, detail: str) -> SwapDecision:
    return SwapDecision(swap=Swap.STOP, problem=Problem(code=code, detail=detail))
