"""Restores and exports over time: each needs the key of what it reads until it ends."""

from datetime import datetime, timedelta
from functools import partial

from sandbox.atlas.ground import Ground
from sandbox.atlas.jobs_model import ExportJob, RestoreJob
from sandbox.atlas.keys import Keys, KeyTrouble
from sandbox.atlas.model import Cluster
from sandbox.atlas.oplogs import Oplogs
from sandbox.atlas.refusals import bad_request, no_such_snapshot
from sandbox.atlas.snapshot import Sealed, Snapshot

EXPORT_QUEUED_FOR = timedelta(minutes=10)


class Jobs:
    """Runs restores and exports."""

    def __init__(self, ground: Ground, keys: Keys, oplogs: Oplogs) -> None:
        self._ground = ground
        self._keys = keys
        self._oplogs = oplogs

    def restore(
        self, cluster: Cluster, snapshot_id: str, *, takes: timedelta, delivery: str, target: tuple[str, str] | None
    ) -> RestoreJob:
        """Begin a restore of a snapshot; `target` is a project's id and a cluster's name, None for a download."""
        snapshot = self._restorable(cluster, snapshot_id)
        return self._begin(cluster, snapshot.sealed, takes, target, snapshot_id=snapshot_id, delivery=delivery)

    def restore_to(
        self, cluster: Cluster, moment: datetime, *, takes: timedelta, target: tuple[str, str] | None
    ) -> RestoreJob:
        """Begin a restore to a point in time; raises CannotRestore where its oplog is not kept."""
        sealed = self._oplogs.slice_at(cluster, moment).sealed
        job = self._begin(cluster, sealed, takes, target, snapshot_id=None, delivery="pointInTime")
        job.point_in_time = moment
        return job

    def export(self, cluster: Cluster, snapshot_id: str, *, takes: timedelta) -> ExportJob:
        """Begin an export of a snapshot."""
        snapshot, now = self._restorable(cluster, snapshot_id), self._ground.now()
        job = ExportJob(
            job_id=self._ground.names.object_id(now),
            snapshot_id=snapshot_id,
            bucket_id=self._ground.names.object_id(now),
            created_at=now,
            begins_at=now + EXPORT_QUEUED_FOR,
            ends_at=now + EXPORT_QUEUED_FOR + takes,
            sealed=snapshot.sealed,
        )
        cluster.exports[job.job_id] = job
        self._ground.agenda.add(job.ends_at, partial(self._finish, cluster, job, "CPS_EXPORT"))
        return job

    def _begin(
        self,
        cluster: Cluster,
        sealed: Sealed | None,
        takes: timedelta,
        target: tuple[str, str] | None,
        *,
        snapshot_id: str | None,
        delivery: str,
    ) -> RestoreJob:
        now = self._ground.now()
        project_id, name = target or (None, None)
        job = RestoreJob(
            job_id=self._ground.names.object_id(now),
            snapshot_id=snapshot_id,
            delivery=delivery,
            target_project=project_id,
            target_cluster=name,
            began_at=now,
            ends_at=now + takes,
            sealed=sealed,
        )
        cluster.restores[job.job_id] = job
        self._tell(cluster, "CPS_RESTORE_REQUESTED_AUDIT")
        self._ground.agenda.add(job.ends_at, partial(self._finish, cluster, job, "CPS_RESTORE"))
        return job

    def _restorable(self, cluster: Cluster, snapshot_id: str) -> Snapshot:
        now, snapshot = self._ground.now(), cluster.snapshots.get(snapshot_id)
        if snapshot is None or not snapshot.exists(now):
            raise no_such_snapshot(snapshot_id)
        if snapshot.status(now) != "completed":
            raise bad_request("SNAPSHOT_NOT_COMPLETED", f"The snapshot {snapshot_id} is not completed.", snapshot_id)
        return snapshot

    def _finish(self, cluster: Cluster, job: RestoreJob | ExportJob, kind: str) -> None:
        if job.cancelled or cluster.project_id not in self._ground.projects:
            return
        settings = self._ground.project(cluster.project_id).encryption
        try:
            if job.sealed is not None:
                self._keys.unseal(job.sealed, None if settings is None else settings.cmk)
        except KeyTrouble:
            job.failed = True
        self._tell(cluster, f"{kind}_{'FAILED' if job.failed else 'SUCCESSFUL'}")

    def _tell(self, cluster: Cluster, kind: str) -> None:
        self._ground.tell(self._ground.project(cluster.project_id), kind, cluster.name)
