"""Snapshots, their copies and the oplog between them: what hangs on a key for as long as it is kept."""

from dataclasses import dataclass, replace
from datetime import datetime

from sandbox.atlas.cmk import Cmk


class CannotRestore(Exception):
    """A backup that cannot be restored."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, kw_only=True)
class PretendSnapshot:
    """A snapshot as an onlooker sees it who knows the whole truth; no key (`key_arn` None) means: none is needed.

    It exists until `expires_at`, its copies included: the API's `expiresAt` may be earlier.
    """

    snapshot_id: str
    project_id: str
    cluster: str
    key_arn: str | None
    status: str
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, kw_only=True)
class Sealed:
    """A data key as KMS encrypted it under a CMK, and the SHA-256 of what it was."""

    cmk: Cmk
    blob: bytes
    digest: str


@dataclass(frozen=True, kw_only=True)
class Copy:
    """A copy in another region: the same data key, a life of its own (None: as long as the original's)."""

    region: str
    expires_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class OplogSlice:
    """The oplog of a while, for restores to a point in time, under the key of that while; open without `until`."""

    sealed: Sealed
    since: datetime
    until: datetime | None = None

    def closed(self, at: datetime) -> "OplogSlice":
        """Let it end: from now on the oplog goes into another slice, or nowhere."""
        return replace(self, until=at)


@dataclass(kw_only=True, slots=True)
class Snapshot:
    """A snapshot. Its status follows from the time; its data key was encrypted by KMS when it began.

    `sealed` is None for clusters without a customer key and for snapshots that failed.
    """

    snapshot_id: str
    project_id: str
    cluster_id: str
    cluster_name: str
    sharded: bool
    frequency: str
    description: str
    requested_at: datetime
    started_at: datetime
    finished_at: datetime
    expires_at: datetime
    failed: bool = False
    sealed: Sealed | None = None
    shards: int = 1
    copies: tuple[Copy, ...] = ()
    fallback: bool = False

    @property
    def on_demand(self) -> bool:
        """Whether a person asked for it."""
        return self.frequency == "ondemand"

    @property
    def kept_until(self) -> datetime:
        """When the last of it is gone, in whichever region."""
        return max([self.expires_at, *(copy.expires_at or self.expires_at for copy in self.copies)])

    def status(self, now: datetime) -> str:
        """How far it is, in Atlas' word."""
        if now < self.started_at:
            return "queued"
        if now < self.finished_at:
            return "inProgress"
        return "failed" if self.failed else "completed"

    def exists(self, now: datetime) -> bool:
        """Whether it or a copy of it is still kept."""
        return now < (self.kept_until if self.copies else self.expires_at)

    def seen(self, now: datetime) -> PretendSnapshot:
        """Show it as an onlooker sees it."""
        return PretendSnapshot(
            snapshot_id=self.snapshot_id,
            project_id=self.project_id,
            cluster=self.cluster_name,
            key_arn=None if self.sealed is None else str(self.sealed.cmk.arn),
            status=self.status(now),
            created_at=self.requested_at,
            expires_at=self.kept_until,
        )

    def expiry(self, now: datetime) -> datetime:
        """The expiry shown: it moves when the snapshot completes, as recorded answers show."""
        if now < self.finished_at:
            return self.expires_at - (self.finished_at - self.requested_at)
        return self.expires_at
