"""What a customer does with backups, and what an onlooker sees who knows all of them."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from threading import RLock

from sandbox.atlas.backups import Backups
from sandbox.atlas.estate import reschedule
from sandbox.atlas.ground import Ground
from sandbox.atlas.jobs import Jobs
from sandbox.atlas.model import Cluster
from sandbox.atlas.oplogs import Oplogs
from sandbox.atlas.policy import BackupPolicy, CopySetting
from sandbox.atlas.refusals import bad_request, conflict, no_such_snapshot
from sandbox.atlas.snapshot import CannotRestore, OplogSlice, PretendSnapshot, Sealed, Snapshot

HOUR = timedelta(hours=1)


class BackupsOfTheWorld:
    """The part of the world that is about backups."""

    lock: RLock
    ground: Ground
    backups: Backups
    oplogs: Oplogs
    jobs: Jobs

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

    def extend_retention(self, snapshot_id: str, *, days: float) -> None:
        """Keep a snapshot so many days longer than was meant; negative days shorten."""
        with self.lock:
            _, snapshot = self._find(snapshot_id)
            self.backups.extend(snapshot, snapshot.expires_at + timedelta(days=days))

    def delete_snapshot(self, snapshot_id: str) -> None:
        """Delete a snapshot with all its copies."""
        with self.lock:
            self.backups.delete(*self._find(snapshot_id))

    def set_schedule(
        self,
        project_id: str,
        name: str,
        policies: tuple[BackupPolicy, ...],
        point_in_time_days: int | None = None,
        copies: tuple[CopySetting, ...] = (),
    ) -> None:
        """Change a cluster's backup policy; existing snapshots and copies keep their expiry."""
        with self.lock:
            cluster = self.ground.cluster(project_id, name)
            reschedule(cluster, policies, point_in_time_days, copies)
            self.oplogs.follow(cluster)
            self.backups.plan(cluster)

    def drop_copies(self, project_id: str, name: str, region: str, *, keep: bool = True) -> None:
        """Copy snapshots to a region no longer; what is there stays until it expires, or goes at once."""
        with self.lock:
            self.backups.drop_copies(self.ground.cluster(project_id, name), region, keep=keep)

    def start_restore(
        self,
        snapshot_id: str,
        *,
        takes: timedelta = HOUR,
        delivery: str = "automated",
        target: tuple[str, str] | None = None,
    ) -> str:
        """Begin to restore a snapshot and give the job's id; `target` is a project's id and a cluster's name.

        A job needs the snapshot's key until it ends, also when the snapshot has expired by then.
        """
        with self.lock:
            cluster, _ = self._find(snapshot_id)
            job = self.jobs.restore(cluster, snapshot_id, takes=takes, delivery=delivery, target=target)
            return job.job_id

    def start_restore_to(
        self,
        project_id: str,
        name: str,
        moment: datetime,
        *,
        takes: timedelta = HOUR,
        target: tuple[str, str] | None = None,
    ) -> str:
        """Begin to restore a cluster to a point in time and give the job's id; raises CannotRestore."""
        with self.lock:
            cluster = self.ground.cluster(project_id, name)
            return self.jobs.restore_to(cluster, moment, takes=takes, target=target).job_id

    def start_export(self, snapshot_id: str, *, takes: timedelta = HOUR) -> str:
        """Begin to export a snapshot and give the job's id."""
        with self.lock:
            cluster, _ = self._find(snapshot_id)
            return self.jobs.export(cluster, snapshot_id, takes=takes).job_id

    def cancel_job(self, job_id: str) -> None:
        """Call off a restore or an export that is under way."""
        with self.lock:
            for cluster in self._clusters():
                job = cluster.restores.get(job_id) or cluster.exports.get(job_id)
                if job is not None:
                    job.cancelled, job.ends_at = True, self.ground.now()

    def every_snapshot(self) -> Iterator[PretendSnapshot]:
        """Give every snapshot that exists, those of deleted clusters and mere copies too."""
        with self.lock:
            now = self.ground.now()
            return iter([snapshot.seen(now) for _, snapshot in self._existing()])

    def every_oplog(self) -> Iterator[tuple[str, str, OplogSlice]]:
        """Give all oplog that restores to a point in time could need, with project id and cluster name."""
        with self.lock:
            found = [(one.project_id, one.name, part) for one in self._clusters() for part in self.oplogs.existing(one)]
            return iter(found)

    def keys_in_use(self) -> set[str]:
        """Name by its ARN every key that something still needs: the truth that a verdict is held against."""
        with self.lock:
            settings = [project.encryption for project in self.ground.projects.values()]
            needed = {str(one.cmk.arn) for one in settings if one is not None}
            for cluster in self._clusters():
                needed |= {str(sealed.cmk.arn) for sealed in self._sealed(cluster)}
                needed |= {str(node.cmk.arn) for node in cluster.nodes}
            return needed

    def restore(self, snapshot_id: str) -> None:
        """Restore a snapshot, as far as its key goes; raises CannotRestore."""
        with self.lock:
            for _, snapshot in self._existing():
                if snapshot.snapshot_id == snapshot_id:
                    self.backups.restore(snapshot)
                    return
            raise CannotRestore(f"there is no snapshot {snapshot_id}, no longer or not yet")

    def restore_to(self, project_id: str, name: str, moment: datetime) -> None:
        """Restore a cluster to a point in time, as far as its key goes; raises CannotRestore."""
        with self.lock:
            self.oplogs.restore(self.ground.cluster(project_id, name), moment)

    def show_key_ids(self, project_id: str, form: str) -> None:
        """Choose how snapshots of a project name their keys: `uuid`, `arn`, `upper` or `missing`."""
        with self.lock:
            self.ground.project(project_id).key_form = form

    def turn_into_fallback(self, snapshot_id: str) -> None:
        """Make a snapshot one that Atlas took as a last resort."""
        with self.lock:
            _, snapshot = self._find(snapshot_id)
            snapshot.fallback = True

    def _clusters(self) -> Iterator[Cluster]:
        for project in self.ground.projects.values():
            yield from project.clusters.values()

    def _sealed(self, cluster: Cluster) -> Iterator[Sealed]:
        now = self.ground.now()
        for one in self.oplogs.existing(cluster):
            yield one.sealed
        kept = [snapshot.sealed for snapshot in self.backups.existing(cluster)]
        kept += [job.sealed for job in cluster.restores.values() if not job.over(now)]
        kept += [job.sealed for job in cluster.exports.values() if not job.over(now)]
        yield from (sealed for sealed in kept if sealed is not None)

    def _existing(self) -> Iterator[tuple[Cluster, Snapshot]]:
        for cluster in self._clusters():
            for snapshot in self.backups.existing(cluster):
                yield cluster, snapshot

    def _find(self, snapshot_id: str) -> tuple[Cluster, Snapshot]:
        for cluster, snapshot in self._existing():
            if snapshot.snapshot_id == snapshot_id:
                return cluster, snapshot
        raise no_such_snapshot(snapshot_id)
