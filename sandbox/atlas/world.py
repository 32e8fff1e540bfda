"""The pretend Atlas' world, and what a customer does in it: projects, clusters, backups, keys."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from random import Random
from threading import RLock
from typing import Any

from chalicelib.domain.arn import KeyArn, atlas_region, parse_key_arn
from sandbox.atlas.backups import Backups
from sandbox.atlas.deployment import Deployment
from sandbox.atlas.encryption import Encryption
from sandbox.atlas.ground import Ground
from sandbox.atlas.habits import Habits
from sandbox.atlas.keys import Keys
from sandbox.atlas.model import (
    AlertConfig,
    BackupPolicy,
    CannotRestore,
    Cluster,
    Organization,
    PretendSnapshot,
    Project,
    Role,
    Schedule,
    ServiceAccount,
    Snapshot,
)
from sandbox.atlas.refusals import bad_request, conflict, no_such_project
from sandbox.atlas.validity import Validity

DEFAULT_POLICIES = (
    BackupPolicy(kind="hourly", every=6, keep=timedelta(days=7)),
    BackupPolicy(kind="daily", keep=timedelta(days=7)),
    BackupPolicy(kind="weekly", every=6, keep=timedelta(weeks=4)),
    BackupPolicy(kind="monthly", every=40, keep=timedelta(days=365)),
    BackupPolicy(kind="yearly", every=12, keep=timedelta(days=365)),
)
"""What Atlas gives a new cluster."""
ORGANIZATION = "5f0000000000000000000a71"
ALERT_CONFIG = "5f00000000000000000a1e27"
"""The id of every project's default alert configuration: known beforehand, for tests and demonstrations."""
DAYS_BEFORE_ALERT = 90
PRETEND_ACCOUNT = "123456789012"


class AtlasWorld:
    """The state of one organization on a virtual clock; share it between threads under `lock`."""

    def __init__(
        self,
        now: Callable[[], datetime],
        kms: Callable[..., dict[str, Any]],
        *,
        organization: str = ORGANIZATION,
        seed: int = 0,
        habits: Habits | None = None,
    ) -> None:
        self.lock = RLock()
        self.ground = Ground(now, seed=seed, habits=habits or Habits())
        self.organization = Organization(organization_id=organization, name="Pretend organization")
        self._keys = Keys(kms)
        self.validity = Validity(self.ground, self._keys)
        self.deployment = Deployment(self.ground, self._keys)
        self.backups = Backups(self.ground, self._keys, self.validity.check)
        self.encryption = Encryption(self.ground, self._keys, self.validity)
        self.encryption.on_swap = self.deployment.swap
        secrets = Random(f"service accounts {seed}")
        self.reader = _service_account("reader", secrets)
        self.owner = _service_account("owner", secrets)

    @property
    def projects(self) -> dict[str, Project]:
        """The projects by id."""
        return self.ground.projects

    def now(self) -> datetime:
        """The virtual time."""
        return self.ground.now()

    def next_event_at(self) -> datetime | None:
        """When the next thing happens by itself."""
        with self.lock:
            return self.ground.agenda.next_at()

    def run_due(self) -> None:
        """Do all that is due, each thing at its own moment; KMS sees the present, so call this at every event."""
        with self.lock:
            until = self.ground.clock()
            while (due := self.ground.agenda.take_due(until)) is not None:
                at, action = due
                with self.ground.at(at):
                    action()

    def add_project(
        self,
        name: str,
        *,
        key: str | None = None,
        region: str = "us-east-1",
        role_arn: str | None = None,
        provider: str | None = None,
    ) -> str:
        """Make a project and give its id; with a key, encryption is enabled with it, else a Refusal is raised."""
        with self.lock:
            project = self._new_project(name)
            if provider in {"AZURE", "GCP"}:
                project.other_provider = provider
            arn = None if key is None else parse_key_arn(key)
            role_arn = role_arn or (None if key is None else _role_beside(arn))
            role = None if role_arn is None else self._new_role(project, role_arn)
            if key is not None and role is not None:
                where = atlas_region(region if arn is None else arn.region)
                block = {"enabled": True, "customerMasterKeyID": key, "region": where, "roleId": role.role_id}
                self.encryption.change(project, {"awsKms": block})
            self.projects[project.project_id] = project
            return project.project_id

    def add_cluster(  # noqa: PLR0913 - a cluster has so many independent properties, each with a default
        self,
        project_id: str,
        name: str,
        *,
        kind: str = "REPLICASET",
        tier: str = "M10",
        encrypted: bool = True,
        backups: bool = True,
        point_in_time_days: int | None = None,
        policies: tuple[BackupPolicy, ...] = DEFAULT_POLICIES,
        paused: bool = False,
    ) -> str:
        """Make a cluster and give its id; M0, M2, M5 and FLEX have neither customer key nor backups."""
        with self.lock:
            project = self.ground.project(project_id)
            if any(cluster.name == name for cluster in project.alive()):
                raise bad_request("DUPLICATE_CLUSTER_NAME", f"There is a cluster {name} already.", name)
            cluster = self._new_cluster(project, name, kind, tier)
            dedicated = not (cluster.tenant or cluster.flex)
            cluster.backups = backups and dedicated
            self._schedule(cluster, policies, point_in_time_days)
            if encrypted and dedicated:
                self._encrypt(cluster, project)
            project.clusters[cluster.cluster_id] = cluster
            cluster.paused = paused
            self.ground.tell(project, "CLUSTER_CREATED", name)
            self.backups.plan(cluster)
            return cluster.cluster_id

    def pause(self, project_id: str, name: str) -> None:
        """Stop a cluster: it takes no snapshots and no new key until it runs again."""
        with self.lock:
            cluster = self.ground.cluster(project_id, name)
            cluster.paused = True
            self.deployment.halt(cluster)
            self.backups.plan(cluster)

    def resume(self, project_id: str, name: str) -> None:
        """Start a paused cluster; it catches up with its project's key."""
        with self.lock:
            cluster = self.ground.cluster(project_id, name)
            cluster.paused = False
            self.deployment.catch_up(cluster)
            self.backups.plan(cluster)

    def delete_cluster(self, project_id: str, name: str, *, retain_backups: bool) -> None:
        """Delete a cluster; its snapshots stay until they expire when they are retained."""
        with self.lock:
            project, cluster = self.ground.project(project_id), self.ground.cluster(project_id, name)
            cluster.deleted = True
            self.deployment.halt(cluster)
            self.backups.plan(cluster)
            if not retain_backups:
                del project.clusters[cluster.cluster_id]
            self.ground.tell(project, "CLUSTER_DELETED", name)

    def take_snapshot(self, project_id: str, name: str, *, retention_days: int = 7, description: str = "") -> str:
        """Take a snapshot on demand and give its id."""
        with self.lock:
            cluster = self.ground.cluster(project_id, name)
            if cluster.paused:
                raise conflict("CANNOT_UPDATE_PAUSED_CLUSTER", f"The cluster {name} is paused.", name)
            if not cluster.backups:
                raise bad_request("BACKUP_NOT_ENABLED", f"The cluster {name} has no backups.", name)
            keep = timedelta(days=retention_days)
            return self.backups.take(cluster, keep=keep, frequency="ondemand", description=description).snapshot_id

    def switch_key_by_hand(self, project_id: str, key: str) -> None:
        """Change the project's key as somebody with a browser does; a Refusal is raised as the API answers it."""
        arn = parse_key_arn(key)
        block: dict[str, object] = {"enabled": True, "customerMasterKeyID": key}
        if arn is not None:
            block["region"] = atlas_region(arn.region)
        with self.lock:
            self.encryption.change(self.ground.project(project_id), {"awsKms": block})

    def disable_encryption(self, project_id: str) -> None:
        """Take the customer key off all clusters and then off the project."""
        with self.lock:
            project = self.ground.project(project_id)
            for cluster in project.alive():
                self.deployment.decrypt(cluster)
            self.encryption.change(project, {"awsKms": {"enabled": False}})

    def remove_project(self, project_id: str) -> None:
        """Remove a project with all that is in it, backups too."""
        with self.lock:
            for cluster in self.ground.project(project_id).alive():
                self.delete_cluster(project_id, cluster.name, retain_backups=False)
            if self.projects.pop(project_id, None) is None:
                raise no_such_project(project_id)

    def set_schedule(
        self, project_id: str, name: str, policies: tuple[BackupPolicy, ...], point_in_time_days: int | None = None
    ) -> None:
        """Change a cluster's backup policy; existing snapshots keep their expiry."""
        with self.lock:
            cluster = self.ground.cluster(project_id, name)
            self._schedule(cluster, policies, point_in_time_days)
            self.backups.plan(cluster)

    def every_snapshot(self) -> Iterator[PretendSnapshot]:
        """Give every snapshot that exists, those of deleted clusters too."""
        with self.lock:
            now = self.now()
            return iter([_seen(snapshot, now) for snapshot in self._existing()])

    def restore(self, snapshot_id: str) -> None:
        """Restore a snapshot, as far as its key goes; raises CannotRestore."""
        with self.lock:
            for snapshot in self._existing():
                if snapshot.snapshot_id == snapshot_id:
                    self.backups.restore(snapshot)
                    return
            raise CannotRestore(f"there is no snapshot {snapshot_id}, no longer or not yet")

    def _existing(self) -> Iterator[Snapshot]:
        for project in self.projects.values():
            for cluster in project.clusters.values():
                yield from self.backups.existing(cluster)

    def _new_project(self, name: str) -> Project:
        now = self.now()
        alert = AlertConfig(
            config_id=ALERT_CONFIG, days=DAYS_BEFORE_ALERT, enabled=True, created_at=now, updated_at=now
        )
        return Project(
            project_id=self.ground.names.object_id(now),
            organization_id=self.organization.organization_id,
            name=name,
            created_at=now,
            check=self.validity.check,
            alert_configs={ALERT_CONFIG: alert},
        )

    def _new_role(self, project: Project, role_arn: str) -> Role:
        now = self.now()
        role = Role(
            role_id=self.ground.names.object_id(now),
            arn=role_arn,
            external_id=self.ground.names.uuid(),
            created_at=now,
            authorized_at=now,
        )
        project.roles[role.role_id] = role
        return role

    def _new_cluster(self, project: Project, name: str, kind: str, tier: str) -> Cluster:
        now = self.now()
        return Cluster(
            cluster_id=self.ground.names.object_id(now),
            project_id=project.project_id,
            name=name,
            kind=kind,
            tier=tier,
            shards=1 if kind == "REPLICASET" else 2,
            regions=("US_EAST_1",),
            created_at=now,
            backups=False,
            point_in_time=False,
            schedule=Schedule(policy_id="", items=(), hour=0, minute=0),
        )

    def _schedule(
        self, cluster: Cluster, policies: tuple[BackupPolicy, ...], point_in_time_days: int | None
    ) -> None:
        cluster.point_in_time = cluster.backups and point_in_time_days is not None
        cluster.schedule = Schedule(
            policy_id=cluster.schedule.policy_id or self.ground.names.object_id(self.now()),
            items=policies,
            hour=cluster.created_at.hour,
            minute=cluster.created_at.minute,
            restore_window_days=point_in_time_days or 7,
        )

    def _encrypt(self, cluster: Cluster, project: Project) -> None:
        if project.other_provider is not None:
            cluster.encryption = project.other_provider
        elif project.encryption is not None:
            self.deployment.encrypt(cluster)


def _service_account(role: str, secrets: Random) -> ServiceAccount:
    return ServiceAccount(f"mdb_sa_id_{role}", f"mdb_sa_sk_{secrets.getrandbits(160):040x}")


def _role_beside(arn: KeyArn | None) -> str:
    account = PRETEND_ACCOUNT if arn is None else arn.account
    return f"arn:aws:iam::{account}:role/atlas"


def _seen(snapshot: Snapshot, now: datetime) -> PretendSnapshot:
    return PretendSnapshot(
        snapshot_id=snapshot.snapshot_id,
        project_id=snapshot.project_id,
        cluster=snapshot.cluster_name,
        key_arn=None if snapshot.cmk is None else str(snapshot.cmk.arn),
        status=snapshot.status(now),
        created_at=snapshot.requested_at,
        expires_at=snapshot.expires_at,
    )
