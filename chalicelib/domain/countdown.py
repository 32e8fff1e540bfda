"""When a key comes free, what keeps it longest, what it costs until then, and what a shorter retention would change."""

from datetime import datetime, timedelta

from chalicelib.domain.records import Key, Reason
from chalicelib.domain.retention import MARGIN, MARGIN_UNUSED, never_served
from chalicelib.domain.vocabulary import KeyState

DOLLARS_PER_KEY_MONTH = 1.0
"""What AWS charges for a CMK that is not pending deletion (aws.amazon.com/kms/pricing)."""

_FREE_OF_CHARGE = frozenset({KeyState.PENDING_DELETION, KeyState.DELETED})
_SNAPSHOTS = "snapshots"


def free_at(key: Key) -> datetime | None:
    """The day the key comes free if nothing changes; None when that cannot be said."""
    if key.safe_since is not None:
        return key.safe_since
    return _free_after(key, tuple((reason.kind, reason.until) for reason in key.reasons))


def _free_after(key: Key, reasons: tuple[tuple[str, datetime | None], ...]) -> datetime | None:
    last: datetime | None = None
    for _, until in reasons:
        if until is None:
            return None
        last = until if last is None else max(last, until)
    if last is None or any(kind == "confirmation" for kind, _ in reasons):
        return last
    return last + (MARGIN_UNUSED if never_served(key) else MARGIN)


def held_longest_by(key: Key) -> Reason | None:
    """The reason that passes last; one whose end nobody knows comes before all others."""
    unknown = next((reason for reason in key.reasons if reason.until is None), None)
    if unknown is not None or not key.reasons:
        return unknown
    return max(key.reasons, key=lambda reason: (reason.until is not None, reason.until))


def free_at_with(key: Key, retention_days: int) -> datetime | None:
    """The day the key would come free if every snapshot were kept for so many days at most.

    None when another reason has no known end, or a cluster does not show when its youngest snapshot was made.
    """
    newest = {(tally.project_id, tally.cluster): tally.newest for tally in key.clusters if tally.snapshots}
    shortened: list[tuple[str, datetime | None]] = []
    for reason in key.reasons:
        until = reason.until
        if reason.kind == _SNAPSHOTS:
            made = newest.get((reason.project_id or "", reason.cluster or ""))
            cut = made + timedelta(days=retention_days) if made is not None else None
            until = cut if until is None or cut is None else min(until, cut)
        shortened.append((reason.kind, until))
    return key.safe_since or _free_after(key, tuple(shortened))


def used_since(key: Key) -> datetime | None:
    """When KMS last recorded a use of a key whose successor had reached every cluster by then."""
    late = key.last_used_at is not None and key.deployed_at is not None and key.last_used_at > key.deployed_at
    return key.last_used_at if late else None


def dollars_per_month(key: Key) -> float:
    """What the key costs while it stays as it is."""
    return 0.0 if key.state in _FREE_OF_CHARGE else DOLLARS_PER_KEY_MONTH
