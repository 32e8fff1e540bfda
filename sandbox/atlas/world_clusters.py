"""What a customer does with clusters."""

from threading import RLock
from typing import Literal

from sandbox.atlas.backups import Backups
from sandbox.atlas.deployment import Deployment
from sandbox.atlas.estate import DEFAULT_POLICIES, SHARDS, new_cluster, reschedule
from sandbox.atlas.ground import Ground
from sandbox.atlas.model import Cluster, Project
from sandbox.atlas.oplogs import Oplogs
from sandbox.atlas.policy import BackupPolicy, CopySetting
from sandbox.atlas.refusals import bad_request


class ClustersOfTheWorld:
    """The part of the world that is about clusters."""

    lock: RLock
    ground: Ground
    backups: Backups
    oplogs: Oplogs
    deployment: Deployment

    def add_cluster(  # noqa: PLR0913 - a cluster has so many independent properties, each with a default
        self,
        project_id: str,
        name: str,
        *,
        kind: Literal["REPLICASET", "SHARDED", "GEOSHARDED"] = "REPLICASET",
        tier: str = "M10",
        encrypted: bool = True,
        backups: bool = True,
        point_in_time_days: int | None = None,
        policies: tuple[BackupPolicy, ...] = DEFAULT_POLICIES,
        copies: tuple[CopySetting, ...] = (),
        paused: bool = False,
        regions: tuple[str, ...] = ("US_EAST_1",),
    ) -> str:
        """Make a cluster and give its id; M0, M2, M5 and FLEX have neither customer key nor backups.

        The name of a deleted cluster may be used again; what is kept of the old one is then found under it too.
        """
        with self.lock:
            project = self.ground.project(project_id)
            if any(cluster.name == name for cluster in project.alive()):
                raise bad_request("DUPLICATE_CLUSTER_NAME", f"There is a cluster {name} already.", name)
            cluster = new_cluster(self.ground, project, name, kind=kind, tier=tier, regions=regions)
            cluster.backups, cluster.paused = backups and cluster.dedicated, paused
            reschedule(cluster, policies, point_in_time_days, copies)
            if encrypted and cluster.dedicated:
                self._encrypt(cluster, project)
            self.oplogs.follow(cluster)
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
            cluster.nodes = []
            self.deployment.halt(cluster)
            self.oplogs.follow(cluster)
            self.backups.plan(cluster)
            if not retain_backups:
                del project.clusters[cluster.cluster_id]
            self.ground.tell(project, "CLUSTER_DELETED", name)

    def decrypt_cluster(self, project_id: str, name: str) -> None:
        """Take the customer key off one cluster; its old snapshots keep theirs."""
        with self.lock:
            self.deployment.decrypt(self.ground.cluster(project_id, name))

    def convert_to_sharded(self, project_id: str, name: str) -> None:
        """Make a sharded cluster of a replica set; its old snapshots stay in the list of replica sets."""
        with self.lock:
            cluster = self.ground.cluster(project_id, name)
            cluster.kind, cluster.shards = "SHARDED", SHARDS
            self.deployment.grow(cluster)

    def _encrypt(self, cluster: Cluster, project: Project) -> None:
        if project.other_provider is not None:
            cluster.encryption = project.other_provider
        elif project.encryption is not None:
            self.deployment.encrypt(cluster)
