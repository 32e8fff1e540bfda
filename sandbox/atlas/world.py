"""The pretend Atlas' world, and what a customer does in it: projects, clusters, backups, keys."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from random import Random
from threading import RLock
from typing import Any, Literal

from chalicelib.domain.arn import atlas_region, parse_key_arn
from sandbox.atlas.backups import Backups
from sandbox.atlas.deployment import Deployment
from sandbox.atlas.encryption import Encryption
from sandbox.atlas.estate import (
    DEFAULT_POLICIES,
    add_role,
    new_cluster,
    new_project,
    reschedule,
    role_beside,
)
from sandbox.atlas.ground import Ground
from sandbox.atlas.habits import Habits
from sandbox.atlas.keys import Keys
from sandbox.atlas.model import (
    BackupPolicy,
    CannotRestore,
    Cluster,
    Organization,
    PretendSnapshot,
    Project,
    ServiceAccount,
    Snapshot,
)
from sandbox.atlas.refusals import bad_request, conflict
from sandbox.atlas.validity import Validity

ORGANIZATION = "5f0000000000000000000a71"


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
        keys = Keys(kms)
        self.validity = Validity(self.ground, keys)
        self.deployment = Deployment(self.ground, keys)
        self.backups = Backups(self.ground, keys, self.validity.check)
        self.encryption = Encryption(self.ground, keys, self.validity)
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
        provider: Literal["AWS", "AZURE", "GCP"] | None = None,
    ) -> str:
        """Make a project and give its id; with a key, encryption is enabled with it, else a Refusal is raised.

        Without `role_arn` the key is used by a role in its own account. Providers but AWS only show as enabled.
        """
        with self.lock:
            project = new_project(self.ground, name, self.organization.organization_id)
            project.check = self.validity.check
            project.other_provider = provider if provider in {"AZURE", "GCP"} else None
            if key is not None:
                self._enable(project, key, region, role_arn)
            elif role_arn is not None:
                add_role(self.ground, project, role_arn)
            self.projects[project.project_id] = project
            return project.project_id

    def add_cluster(  # noqa: PLR0913 - a cluster has so many independent properties, each with a default
        self,
        project_id: str,
        name: str,
        *,
        kind: Literal["REPLICASET", "SHARDED"] = "REPLICASET",
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
            cluster = new_cluster(self.ground, project, name, kind=kind, tier=tier)
            cluster.backups, cluster.paused = backups and cluster.dedicated, paused
            reschedule(cluster, policies, point_in_time_days)
            if encrypted and cluster.dedicated:
                self._encrypt(cluster, project)
            project.clusters[cluster.cluster_id] = cluster
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
        """Take the customer key off all clusters and then off the project; old snapshots keep theirs."""
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
            del self.projects[project_id]

    def set_schedule(
        self, project_id: str, name: str, policies: tuple[BackupPolicy, ...], point_in_time_days: int | None = None
    ) -> None:
        """Change a cluster's backup policy; existing snapshots keep their expiry."""
        with self.lock:
            cluster = self.ground.cluster(project_id, name)
            reschedule(cluster, policies, point_in_time_days)
            self.backups.plan(cluster)

    def every_snapshot(self) -> Iterator[PretendSnapshot]:
        """Give every snapshot that exists, those of deleted clusters too."""
        with self.lock:
            now = self.now()
            return iter([snapshot.seen(now) for snapshot in self._existing()])

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

    def _enable(self, project: Project, key: str, region: str, role_arn: str | None) -> None:
        arn = parse_key_arn(key)
        role = add_role(self.ground, project, role_arn or role_beside(arn))
        where = atlas_region(region if arn is None else arn.region)
        block = {"enabled": True, "customerMasterKeyID": key, "region": where, "roleId": role.role_id}
        self.encryption.change(project, {"awsKms": block})

    def _encrypt(self, cluster: Cluster, project: Project) -> None:
        if project.other_provider is not None:
            cluster.encryption = project.other_provider
        elif project.encryption is not None:
            self.deployment.encrypt(cluster)


def _service_account(role: str, secrets: Random) -> ServiceAccount:
    return ServiceAccount(f"mdb_sa_id_{role}", f"mdb_sa_sk_{secrets.getrandbits(160):040x}")
