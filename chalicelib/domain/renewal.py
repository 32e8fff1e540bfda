"""The strategies that leave the settings alone: KMS gives the same key new material, and its list proves it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from chalicelib.domain.counting import counted
from chalicelib.domain.observed import ON_DEMAND_LIMIT, KeyDescription, KeyRotations
from chalicelib.domain.records import Rotation
from chalicelib.domain.vocabulary import Strategy

SHOWN_WITHIN = timedelta(minutes=10)
"""How long a renewal may take to be seen before it counts as lost and is asked for again."""


class Renewal(StrEnum):
    """What to do about the key's material now."""

    SEND = "send"
    WAIT = "wait"
    DONE = "done"


@dataclass(frozen=True, kw_only=True)
class RenewalDecision:
    """What to do, what is waited for, and the proof when it is done."""

    renewal: Renewal
    waiting_for: str = ""
    evidence: tuple[str, ...] = ()


def decide_renewal(rotation: Rotation, shown: KeyRotations, now: datetime) -> RenewalDecision:
    """Decide from what KMS lists; asking twice would use up two of the few on-demand rotations a key has."""
    if rotation.strategy is Strategy.KMS_AUTOMATIC:
        done = shown.automatic and shown.period_days == rotation.period_days
        return _done(shown) if done else RenewalDecision(renewal=Renewal.SEND)
    return _decide_on_demand(rotation, shown, now)


def _decide_on_demand(rotation: Rotation, shown: KeyRotations, now: datetime) -> RenewalDecision:
    before, sent_at = rotation.renewals_before, rotation.renewal_sent_at
    if before is not None and sent_at is not None and shown.on_demand > before:
        return _done(shown)
    if shown.on_demand_running_since is not None:
        return RenewalDecision(renewal=Renewal.WAIT, waiting_for="KMS to finish the on-demand rotation")
    if sent_at is not None and now < sent_at + SHOWN_WITHIN:
        return RenewalDecision(renewal=Renewal.WAIT, waiting_for="KMS to show the on-demand rotation")
    return RenewalDecision(renewal=Renewal.SEND)


def _done(shown: KeyRotations) -> RenewalDecision:
    return RenewalDecision(renewal=Renewal.DONE, evidence=tuple(_what_kms_shows(shown)))


def _what_kms_shows(shown: KeyRotations) -> Iterable[str]:
    yield from (f"KMS rotated the key's material at {date.isoformat()}" for date in shown.dates)
    if shown.on_demand:
        yield f"{ON_DEMAND_LIMIT - shown.on_demand} of {ON_DEMAND_LIMIT} on-demand rotations are left"
    if shown.automatic:
        following = f", next on {shown.next_at:%Y-%m-%d}" if shown.next_at is not None else ""
        often = f" every {counted(shown.period_days, 'day')}" if shown.period_days is not None else ""
        yield f"KMS rotates the key by itself{often}{following}"


def objections(strategy: Strategy, key: KeyDescription, shown: KeyRotations | None) -> tuple[str, ...]:
    """Why KMS cannot renew this key under this strategy, as far as it shows; empty when it can.

    Source: the operation pages of RotateKeyOnDemand and EnableKeyRotation in AWS KMS' API reference.
    """
    found = [
        (key.spec != "SYMMETRIC_DEFAULT", f"its spec is {key.spec}: KMS renews symmetric encryption keys only"),
        (key.custom_store, "it lives in a custom key store"),
        (key.origin == "EXTERNAL", "its material was imported: import new material instead"),
        (key.replica, "it is a multi-Region replica: rotate its primary key"),
        (key.aws_managed, "it is managed by AWS"),
    ]
    if strategy is Strategy.KMS_ON_DEMAND and shown is not None:
        found += [
            (
                shown.on_demand >= ON_DEMAND_LIMIT,
                f"all {ON_DEMAND_LIMIT} on-demand rotations of the key are used up: make a new CMK",
            )
        ]
    return tuple(text for wrong, text in found if wrong)
