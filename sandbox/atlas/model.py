"""What exists in the pretend Atlas: organizations, projects, clusters, and what is told about them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from sandbox.atlas.alert_model import Alert, AlertConfig
from sandbox.atlas.cmk import Cmk, KmsSettings, PrivateEndpoint, Role
from sandbox.atlas.jobs_model import ExportJob, RestoreJob
from sandbox.atlas.policy import Schedule
from sandbox.atlas.snapshot import OplogSlice, Snapshot

TENANT_TIERS = frozenset({"M0", "M2", "M5"})
FLEX = "FLEX"
NODES_PER_SHARD = 3


class ServiceAccount(NamedTuple):
    """What somebody logs in to the API with."""

    client_id: str
    client_secret: str


@dataclass(kw_only=True)
class Node:
    """A node's MongoDB master key, as it lies there: encrypted under a CMK."""

    cmk: Cmk
    wrapped: bytes


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
    down: bool = False
    """Whether Atlas shut its processes down because the project's key does not work."""
    state: str = "IDLE"
    cmk: Cmk | None = None
    """The key in use; it changes when the last node has changed."""
    nodes: list[Node] = field(default_factory=list)
    rolling: Rolling | None = None
    master_keys_due: datetime | None = None
    renewals: int = 0
    """How often its MongoDB master keys were renewed."""
    snapshots: dict[str, Snapshot] = field(default_factory=dict)
    oplogs: list[OplogSlice] = field(default_factory=list)
    restores: dict[str, RestoreJob] = field(default_factory=dict)
    exports: dict[str, ExportJob] = field(default_factory=dict)
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
        """Whether its nodes are meant to run."""
        return not (self.paused or self.deleted)

    @property
    def keyed(self) -> bool:
        """Whether it runs on the project's customer key."""
        return self.encryption == "AWS" and self.running


@dataclass(frozen=True, kw_only=True)
class ProjectEvent:
    """A line of the project's activity feed."""

    event_id: str
    at: datetime
    kind: str
    cluster: str | None = None


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
    encryption_before: KmsSettings | None = None
    """What the settings were before they last changed: what a lagging answer shows."""
    changed_at: datetime | None = None
    other_provider: str | None = None
    legacy: bool = False
    """Whether it may still encrypt with an IAM user's credentials; a role ends that for good."""
    private_endpoints: list[PrivateEndpoint] = field(default_factory=list)
    key_form: str | None = None
    """How snapshots name their key in this project; None as `Habits` say."""
    was_valid: bool = True
    looked_at: datetime | None = None
    """The last of Atlas' quarter-hourly looks at the key."""
    check: Callable[["Project"], bool] = lambda _project: True
    key_since: datetime | None = None
    clusters: dict[str, Cluster] = field(default_factory=dict)
    events: list[ProjectEvent] = field(default_factory=list)
    alert_configs: dict[str, AlertConfig] = field(default_factory=dict)
    alerts: dict[str, Alert] = field(default_factory=dict)

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
