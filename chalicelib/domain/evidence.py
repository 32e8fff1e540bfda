"""What one sweep has read about one key: facts and counts, no judgement.

Snapshots are counted as they stream by, so that memory does not grow with their number.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from chalicelib.domain.arn import parse_key_id
from chalicelib.domain.observed import BackupSchedule, Cluster, Encryption, Settings, Snapshot
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
    """

    read: int = 0
    of_this_key: int = 0
    without_expiry: int = 0
    on_demand: int = 0
    unidentified: int = 0
    unfinished: int = 0
    failed: int = 0
    last_expiry: datetime | None = None


def tally(
    so_far: Tally, snapshots: Iterable[Snapshot], *, key_id: str, known: frozenset[str], encrypted: bool
) -> Tally:
    """Count a stream of snapshots on top of what was counted; `known` are all key ids we can name."""
    for snapshot in snapshots:
        so_far = _count(so_far, snapshot, key_id=key_id, known=known, encrypted=encrypted)
    return so_far


def _count(so_far: Tally, snapshot: Snapshot, *, key_id: str, known: frozenset[str], encrypted: bool) -> Tally:
    named = None if snapshot.key is None else parse_key_id(snapshot.key)
    so_far = replace(so_far, read=so_far.read + 1)
    if named == key_id:
        return _count_ours(so_far, snapshot)
    if named in known:
        return so_far
    if snapshot.key is None and not encrypted:
        return so_far
    if snapshot.status in {"queued", "inProgress"}:
        return replace(so_far, unfinished=so_far.unfinished + 1)
    if snapshot.status == "failed":
        return replace(so_far, failed=so_far.failed + 1)
    return replace(so_far, unidentified=so_far.unidentified + 1)


def _count_ours(so_far: Tally, snapshot: Snapshot) -> Tally:
    expiries = [e for e in (so_far.last_expiry, snapshot.expires_at) if e is not None]
    return replace(
        so_far,
        of_this_key=so_far.of_this_key + 1,
        without_expiry=so_far.without_expiry + (snapshot.expires_at is None),
        on_demand=so_far.on_demand + snapshot.on_demand,
        last_expiry=max(expiries, default=None),
    )


@dataclass(frozen=True, kw_only=True)
class ClusterEvidence:
    """What one cluster, alive or deleted with retained backups, holds."""

    cluster: Cluster
    alive: bool
    tally: Tally = Tally()
    schedule: BackupSchedule | None = None
    unread: tuple[Unread, ...] = ()

    @property
    def encrypted(self) -> bool:
        """Whether the project's customer key may encrypt it; a provider we do not know counts."""
        return self.cluster.encryption in {Encryption.AWS, Encryption.UNKNOWN}


@dataclass(frozen=True, kw_only=True)
class ProjectEvidence:
    """What one project shows of the key."""

    project_id: str
    settings: Settings | None
    open_rotation_keys: tuple[str, ...] = ()
    """Bare ids of the old and new key of the project's open rotation."""
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

    @property
    def now(self) -> datetime:
        """The later of our own clock and Atlas', so that neither clock running behind saves a look."""
        return max(self.gathered_at, self.atlas_date) if self.atlas_date is not None else self.gathered_at

    def clusters(self) -> Iterable[tuple[str, ClusterEvidence]]:
        """Every cluster with its project's id."""
        return ((p.project_id, c) for p in self.projects for c in p.clusters)
