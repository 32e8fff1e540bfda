"""What Atlas' own events mean for the next sweep: they move a look earlier, and never make a key safe.

A sweep sleeps until the last reason of its key passes. What could lengthen or shorten that shows as an event of the
project. Names of events change (Atlas says so itself): events that cannot be read count as one that matters.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from chalicelib.domain.observed import ProjectEvent
from chalicelib.domain.records import Key
from chalicelib.domain.vocabulary import KeyState

EVENTS = (
    "CLUSTER_CREATED",
    "CLUSTER_DELETED",
    "CPS_DATA_PROTECTION_DISABLED",
    "CPS_DATA_PROTECTION_ENABLED",
    "CPS_DATA_PROTECTION_UPDATED",
    "CPS_RESTORE_REQUESTED_AUDIT",
    "CPS_SNAPSHOT_DELETED_AUDIT",
    "CPS_SNAPSHOT_RETENTION_MODIFIED_AUDIT",
    "CPS_SNAPSHOT_SCHEDULE_UPDATED_AUDIT",
    "ENCRYPTION_AT_REST_CONFIGURATION_UPDATED",
    "ENCRYPTION_AT_REST_CONFIG_NO_LONGER_VALID",
)
"""The types of a project's events after which a key may be needed for longer, or for less long."""

OVERLAP = timedelta(hours=1)
"""How late an event may show in the list."""

_ABOUT_BACKUPS = frozenset(
    {
        "CLUSTER_DELETED",
        "CPS_DATA_PROTECTION_DISABLED",
        "CPS_DATA_PROTECTION_ENABLED",
        "CPS_DATA_PROTECTION_UPDATED",
        "CPS_RESTORE_REQUESTED_AUDIT",
        "CPS_SNAPSHOT_DELETED_AUDIT",
        "CPS_SNAPSHOT_RETENTION_MODIFIED_AUDIT",
        "CPS_SNAPSHOT_SCHEDULE_UPDATED_AUDIT",
    }
)
"""What may end a need before its day, or is done with what needs the key. All else can only add needs, and those of
a key that is held anyway are found when it is swept."""

_ASLEEP = timedelta(hours=12)
"""A sweep that is due sooner than this needs no rumour to come."""


def asleep(keys: Iterable[Key], now: datetime) -> tuple[Key, ...]:
    """The keys whose next sweep lies far enough ahead for events to matter."""
    return tuple(key for key in keys if _sleeps(key, now))


def _sleeps(key: Key, now: datetime) -> bool:
    swept = key.state in {KeyState.RETIRING, KeyState.UNUSED} and key.swept_at is not None
    return swept and key.next_sweep_at is not None and key.next_sweep_at > now + _ASLEEP


def listen_since(keys: Iterable[Key]) -> datetime | None:
    """From when on events matter: since the earliest of the keys' last sweeps; None without a key that sleeps."""
    swept = [key.swept_at for key in keys if key.swept_at is not None]
    return min(swept) - OVERLAP if swept else None


def concerning(events: Iterable[ProjectEvent], key: Key, now: datetime) -> tuple[datetime, ...]:
    """When something happened that the key cannot sleep through; an event that names no cluster may concern any."""
    held = any(reason.until is not None and reason.until > now for reason in key.reasons)
    concerns = _may_change if held else _may_be_new
    return tuple(event.at for event in events if concerns(event, key))


def _may_change(event: ProjectEvent, key: Key) -> bool:
    """For a key that is held until a day: what is done with backups of the clusters that hold it."""
    named = event.cluster is None or any(reason.cluster == event.cluster for reason in key.reasons)
    return event.type in _ABOUT_BACKUPS and named


def _may_be_new(event: ProjectEvent, key: Key) -> bool:
    """For a key that nothing holds: all but what happens where its last sweep found no snapshot of it."""
    return all(tally.cluster != event.cluster or tally.snapshots for tally in key.clusters)


def wake(keys: Iterable[Key], events: Iterable[datetime] | None, now: datetime) -> tuple[Key, ...]:
    """The keys to be swept now, of those that sleep: something happened after their sweep, or nobody can say."""
    moments = None if events is None else tuple(events)
    return tuple(
        replace(key, next_sweep_at=now)
        for key in keys
        if moments is None or any(key.swept_at is None or moment > key.swept_at - OVERLAP for moment in moments)
    )
