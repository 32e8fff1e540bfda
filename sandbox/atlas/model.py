"""What exists in the pretend Atlas: organizations, projects, clusters, snapshots and the keys they hang on."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from chalicelib.domain.arn import KeyArn, atlas_region

TENANT_TIERS = frozenset({"M0", "M2", "M5"})
FLEX = "FLEX"
NODES_PER_SHARD = 3


@dataclass(frozen=True, kw_only=True)
class Role:
    """An IAM role offered to Atlas (`cloudProviderAccess`); without an ARN it was never authorized."""

    role_id: str
    arn: str | None
    external_id: str
    created_at: datetime
    authorized_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Cmk:
    """A customer master key as the settings name it (`written`), and the principal that Atlas uses it as."""

    written: str
    arn: KeyArn
    principal: str


@dataclass(frozen=True, kw_only=True)
class KmsSettings:
    """A project's `awsKms` block while it is enabled."""

    cmk: Cmk
    role_id: str | None = None
    private_networking: bool = False

    @property
    def region(self) -> str:
        """The key's region in Atlas' spelling."""
        return atlas_region(self.cmk.arn.region)


@dataclass(frozen=True, kw_only=True)
class BackupPolicy:
    """One line of a backup policy: `every` is the API's `frequencyInterval`.

    It means: every so many hours, every day, the day of the week (1 is Monday), the day of the month (40 is the
    last), the month of the year.
    """

    kind: Literal["hourly", "daily", "weekly", "monthly", "yearly"]
    keep: timedelta
    every: int = 1


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A cluster's backup policy."""

    policy_id: str
    items: tuple[BackupPolicy, ...]
    hour: int
    minute: int
    restore_window_days: int = 7


@dataclass(kw_only=True)
class Node:
    """A node's MongoDB master key, as it lies there: encrypted under a CMK."""

    cmk: Cmk
    wrapped: bytes


class ServiceAccount(NamedTuple):
    """What somebody logs in to the API with."""

    client_id: str
    client_secret: str


@dataclass(frozen=True, kw_only=True)
class PretendSnapshot:
    """A snapshot as an onlooker sees it now; `key_arn` is None where no customer key is needed."""

    snapshot_id: str
    project_id: str
    cluster: str
    key_arn: str | None
    status: str
    created_at: datetime
    expires_at: datetime


class CannotRestore(Exception):
    """A snapshot that cannot be restored."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(kw_only=True, slots=True)
class Snapshot:
    """A snapshot. Its status follows from the time; its data key was encrypted by KMS when it began.

    `cmk`, `blob` and `digest` (SHA-256 of the data key) are None for clusters without a customer key and
    for snapshots that failed.
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
    cmk: Cmk | None = None
    blob: bytes | None = None
    digest: str | None = None
    shards: int = 1

    @property
    def on_demand(self) -> bool:
        """Whether a person asked for it."""
        return self.frequency == "ondemand"

    def status(self, now: datetime) -> str:
        """How far it is, in Atlas' word."""
        if now < self.started_at:
            return "queued"
        if now < self.finished_at:
            return "inProgress"
        return "failed" if self.failed else "completed"

    def exists(self, now: datetime) -> bool:
        """Whether it is still kept."""
        return now < self.expires_at

    def seen(self, now: datetime) -> PretendSnapshot:
        """Show it as an onlooker sees it."""
        return PretendSnapshot(
            snapshot_id=self.snapshot_id,
            project_id=self.project_id,
            cluster=self.cluster_name,
            key_arn=None if self.cmk is None else str(self.cmk.arn),
            status=self.status(now),
            created_at=self.requested_at,
            expires_at=self.expires_at,
        )

    def expiry(self, now: datetime) -> datetime:
        """The expiry shown: it moves when the snapshot completes, as recorded answers show."""
        if now < self.finished_at:
            return self.expires_at - (self.finished_at - self.requested_at)
        return self.expires_at


@dataclass(kw_only=True)
class Rolling:
    """A change going through a cluster's nodes one by one; `renew` makes new MongoDB master keys."""

    target: Cmk
    renew: bool
    done: int = 0
    patience: timedelta = timedelta(minutes=15)


@dataclass(kw_only=True)
class Cluster:
    """A cluster, or what is left of a deleted one: its retained backups."""

    cluster_id: str
    project_id: str
    name: str
    kind: str
    tier: str
    shards: int
    regions: tuple[str, ...]
    created_at: datetime
    backups: bool
    point_in_time: bool
    schedule: Schedule
    encryption: str = "NONE"
    paused: bool = False
    deleted: bool = False
    state: str = "IDLE"
    cmk: Cmk | None = None
    """The key in use; it changes when the last node has changed."""
    nodes: list[Node] = field(default_factory=list)
    rolling: Rolling | None = None
    master_keys_due: datetime | None = None
    renewals: int = 0
    """How often its MongoDB master keys were renewed."""
    snapshots: dict[str, Snapshot] = field(default_factory=dict)
    taken: int = 0
    schedule_number: int = 0
    """Counts changes of the timetable: what an older one planned is not done any more."""

    @property
    def sharded(self) -> bool:
        """Whether its snapshots appear in the list of sharded clusters."""
        return self.kind != "REPLICASET"

    @property
    def tenant(self) -> bool:
        """Whether it is a shared tier without customer keys and without backups of its own."""
        return self.tier in TENANT_TIERS

    @property
    def flex(self) -> bool:
        """Whether it is a flex cluster, which has an API of its own."""
        return self.tier == FLEX

    @property
    def dedicated(self) -> bool:
        """Whether it can have a customer key and backups of its own."""
        return not (self.tenant or self.flex)

    @property
    def running(self) -> bool:
        """Whether its nodes run."""
        return not (self.paused or self.deleted)


@dataclass(frozen=True, kw_only=True)
class ProjectEvent:
    """A line of the project's activity feed."""

    event_id: str
    at: datetime
    kind: str
    cluster: str | None = None


@dataclass(kw_only=True)
class AlertConfig:
    """When the project wants to be told that its key is old."""

    config_id: str
    days: int
    enabled: bool
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, kw_only=True)
class Organization:
    """A customer."""

    organization_id: str
    name: str


@dataclass(kw_only=True)
class Project:
    """A project ("group" in the API) with everything in it."""

    project_id: str
    organization_id: str
    name: str
    created_at: datetime
    roles: dict[str, Role] = field(default_factory=dict)
    encryption: KmsSettings | None = None
    other_provider: str | None = None
    was_valid: bool = True
    check: Callable[["Project"], bool] = lambda _project: True
    key_since: datetime | None = None
    clusters: dict[str, Cluster] = field(default_factory=dict)
    events: list[ProjectEvent] = field(default_factory=list)
    alert_configs: dict[str, AlertConfig] = field(default_factory=dict)

    @property
    def key(self) -> str | None:
        """The customer key as the settings name it; None while encryption is off."""
        return None if self.encryption is None else self.encryption.cmk.written

    def valid(self) -> bool:
        """Whether the key works, probed now."""
        return self.check(self)

    def alive(self) -> list[Cluster]:
        """The clusters that exist."""
        return [cluster for cluster in self.clusters.values() if not cluster.deleted]
