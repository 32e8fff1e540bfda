"""Whether a rotation makes no headway, since when, and what it waits for."""

from datetime import datetime, timedelta

from chalicelib.domain.records import Rotation

PATIENCE = timedelta(days=1)
"""How long a rotation may wait for something before people are told, and how often they are told."""


def waits_since(rotation: Rotation) -> datetime:
    """When it last got on: it was requested, or its swap or its renewal was seen or sent."""
    marks = (rotation.requested_at, rotation.swapped_at, rotation.renewal_sent_at, rotation.deployed_at)
    return max(mark for mark in marks if mark is not None)


def waits_for(rotation: Rotation) -> tuple[str, ...]:
    """What it waits for, in its own words."""
    return rotation.waiting_for or ("nothing that it could name: look into the log of the function rotate",)


def waits_too_long(rotation: Rotation, now: datetime) -> bool:
    """Whether people should be told."""
    return not rotation.state.terminal and now - waits_since(rotation) >= PATIENCE
