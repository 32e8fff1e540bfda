"""What one sweep has read about one key: facts and counts, no judgement.

Snapshots are counted as they stream by, so that memory does not grow with their number.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from chalicelib.domain.arn import parse_key_id
from chalicelib.domain.moments import is_meant
from chalicelib.domain.observed import BackupSchedule, Cluster, Encryption, KeyUse, Settings, Snapshot
from chalicelib.domain.records import Key


@dataclass(frozen=True, kw_only=True)
class Unread:
    """A call that did not answer, and why."""

    call: str
    cause: str


@dataclass(frozen=True, kw_only=True)
class Tally:
    """What the snapshots of one cluster say of one key.

    `unidentified` have no key id, or one that belongs to no key we know; `unfinished` are queued or running.
    `by_key` counts every snapshot under the key id that it names, empty for none.
    """

    read: int = 0
    of_this_key: int = 0
    without_expiry: int = 0
    on_demand: int = 0
    unidentified: int = 0
    unfinished: int = 0
    failed: int = 0
    copied: int = 0
    """Of this key's snapshots, those that have copies in other regions."""
    last_expiry: datetime | None = None
    newest: datetime | None = None
    """When the youngest snapshot of this key was made."""
    by_key: tuple[tuple[str, int], ...] = ()


def tally(
    so_far: Tally, snapshots: Iterable[Snapshot], *, key_id: str, known: frozenset[str], encrypted: bool
) -> Tally:
    """Count a stream of snapshots on top of what was counted; `known` are all key ids we can name."""
    by_key, ours, strange = Counter[str](), _Ours(), Counter[str]()
    for snapshot in snapshots:
        named = _key_named(snapshot.key)
        by_key[named] += 1
        if named == key_id:
            ours.add(snapshot)
        elif named not in known and (encrypted or snapshot.key is not None):
            strange[_STANDING.get(snapshot.status, "unidentified")] += 1
    return merge(so_far, ours.tally(read=by_key.total(), by_key=tuple(sorted(by_key.items())), **strange))


def merge(one: Tally, other: Tally) -> Tally:
    """What two lists of the same cluster say together."""
    return Tally(
        read=one.read + other.read,
        of_this_key=one.of_this_key + other.of_this_key,
        without_expiry=one.without_expiry + other.without_expiry,
        on_demand=one.on_demand + other.on_demand,
        unidentified=one.unidentified + other.unidentified,
        unfinished=one.unfinished + other.unfinished,
        failed=one.failed + other.failed,
        copied=one.copied + other.copied,
        last_expiry=_later(one.last_expiry, other.last_expiry),
        newest=_later(one.newest, other.newest),
        by_key=tuple(sorted((Counter(dict(one.by_key)) + Counter(dict(other.by_key))).items())),
    )


_STANDING = {"queued": "unfinished", "inProgress": "unfinished", "failed": "failed"}
"""How a snapshot counts by its status, as long as it names no key that we know."""


@lru_cache(maxsize=1024)
def _key_named(text: str | None) -> str:
    """The bare key id that a snapshot names, empty for none; a fleet names few keys, so that each is parsed once."""
    return "" if text is None else parse_key_id(text) or ""


class _Ours:
    """The snapshots of the key in question, counted in place: a list may be long."""

    def __init__(self) -> None:
        self._count = self._without_expiry = self._on_demand = self._copied = 0
        self._last_expiry: datetime | None = None
        self._newest: datetime | None = None

    def add(self, snapshot: Snapshot) -> None:
        self._count += 1
        self._on_demand += snapshot.on_demand
        self._copied += snapshot.copied
        expiry, made = snapshot.expires_at, snapshot.created_at
        if expiry is None:
            self._without_expiry += 1
        elif self._last_expiry is None or expiry > self._last_expiry:
            self._last_expiry = expiry
        if made is not None and (self._newest is None or made > self._newest):
            self._newest = made

    def tally(self, **others: Any) -> Tally:  # noqa: ANN401 - the other figures of a tally
        no_expiry = self._last_expiry is not None and not is_meant(self._last_expiry)
        return Tally(
            of_this_key=self._count,
            without_expiry=self._without_expiry + no_expiry,
            on_demand=self._on_demand,
            copied=self._copied,
            last_expiry=None if no_expiry else self._last_expiry,
            newest=self._newest if self._newest is not None and is_meant(self._newest) else None,
            **others,
        )


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    if one is None or other is None:
        return one or other
    return max(one, other)


@dataclass(frozen=True, kw_only=True)
class Jobs:
    """What is being done with a cluster's snapshots, and what left Atlas: downloads need their key for ever."""

    restores_running: int = 0
    exports_running: int = 0
    downloads: int = 0


@dataclass(frozen=True, kw_only=True)
class ClusterEvidence:
    """What one cluster, alive or deleted with retained backups, holds."""

    cluster: Cluster
    alive: bool
    tally: Tally = Tally()
    schedule: BackupSchedule | None = None
    jobs: Jobs = Jobs()
    unread: tuple[Unread, ...] = ()

    @property
    def encrypted(self) -> bool:
        """Whether the project's customer key may encrypt it; a provider we do not know counts."""
        return self.cluster.encryption in {Encryption.AWS, Encryption.UNKNOWN}

    @property
    def was_encrypted(self) -> bool:
        """Whether a customer key may encrypt it now, or did so when one of its snapshots was made."""
        return self.encrypted or any(name for name, _ in self.tally.by_key)


@dataclass(frozen=True, kw_only=True)
class ProjectEvidence:
    """What one project shows of the key."""

    project_id: str
    settings: Settings | None
    open_rotation_keys: tuple[str, ...] = ()
    """Bare ids of the old and new key of the project's open rotation."""
    drift: tuple[str, ...] = ()
    """What is known to be wrong with the project's current key."""
    attestation_wanted: bool = False
    clusters: tuple[ClusterEvidence, ...] = ()
    unread: tuple[Unread, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """One sweep of everything that may still need one key, from one generation of readings."""

    key: Key
    gathered_at: datetime
    atlas_date: datetime | None
    projects: tuple[ProjectEvidence, ...]
    unread: tuple[Unread, ...] = ()
    used: KeyUse | None = None
    """The last use that KMS recorded; None where it would not say."""

    @property
    def now(self) -> datetime:
        """The later of our own clock and Atlas', so that neither clock running behind saves a look."""
        return max(self.gathered_at, self.atlas_date) if self.atlas_date is not None else self.gathered_at

    def clusters(self) -> Iterable[tuple[str, ClusterEvidence]]:
        """Every cluster with its project's id."""
        return ((p.project_id, c) for p in self.projects for c in p.clusters)
