"""What stays readable with a key that others may know: every snapshot that was made with it, as a stored list."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from chalicelib.domain.arn import KeyArn, parse_key_id
from chalicelib.domain.evidence import Unread
from chalicelib.domain.observed import Snapshot
from chalicelib.domain.records import Proof

MOST_LISTED = 2000
"""Snapshots named one by one, the longest-lived first: DynamoDB takes 400 kB for an item. All are counted."""


@dataclass(frozen=True, kw_only=True)
class Readable:
    """One snapshot that the key opens, or may open when `key_shown` is False."""

    cluster: str
    snapshot_id: str
    created_at: datetime | None
    expires_at: datetime | None
    key_shown: bool


@dataclass(frozen=True, kw_only=True)
class Exposure:
    """The list as a stored document, and the figures that people are told.

    `last_expiry` is None where a snapshot among them never expires, or there is none.
    """

    proof: Proof
    counted: int
    clusters: tuple[str, ...]
    last_expiry: datetime | None
    unread: tuple[Unread, ...]


def readable(arn: KeyArn, cluster: str, snapshots: Iterable[Snapshot]) -> Iterable[Readable]:
    """The snapshots of one cluster that the key opens; one that shows no key may be among them."""
    for snapshot in snapshots:
        named = parse_key_id(snapshot.key) if snapshot.key is not None else None
        if named in {None, arn.key_id}:
            yield Readable(
                cluster=cluster,
                snapshot_id=snapshot.snapshot_id,
                created_at=snapshot.created_at,
                expires_at=snapshot.expires_at,
                key_shown=named is not None,
            )


def expose(arn: KeyArn, found: Iterable[Readable], unread: tuple[Unread, ...], at: datetime) -> Exposure:
    """Write the list of everything found; what could not be read is named in it."""
    ordered = sorted(found, key=_longest_lived_first)
    text = json.dumps(
        {
            "key": str(arn),
            "at": at.isoformat(),
            "counted": len(ordered),
            "unread": [f"{one.call}: {one.cause}" for one in unread],
            "snapshots": [
                [one.cluster, one.snapshot_id, _text(one.created_at), _text(one.expires_at), one.key_shown]
                for one in ordered[:MOST_LISTED]
            ],
        }
    )
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Exposure(
        proof=Proof(digest=digest, at=at, arn=arn, document=text),
        counted=len(ordered),
        clusters=tuple(sorted({one.cluster for one in ordered})),
        last_expiry=ordered[0].expires_at if ordered else None,
        unread=unread,
    )


def _longest_lived_first(one: Readable) -> tuple[bool, float, str]:
    lives = one.expires_at.timestamp() if one.expires_at is not None else 0.0
    return (one.expires_at is not None, -lives, one.snapshot_id)


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment is not None else None
