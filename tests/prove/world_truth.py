"""What Atlas truly does with a fleet: clusters that turn to a new key, snapshots that are made, kept, copied, lost."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from random import Random

from fake_atlas import ROLE_ID
from prove.world_things import Clock, Needs, TrueCluster, TrueProject, TrueSnapshot
from simple_world import DAY, HOUR, MINUTE

from chalicelib.domain.observed import (
    CopySetting,
    ExportJob,
    ProjectEvent,
    RestoreJob,
    Settings,
    Snapshot,
)

Do = Callable[[], None]


class Nature:
    """What happens in Atlas by itself, and what people do there; drawn from one seed.

    `skew` is how far Atlas' clock is ahead of ours: every date that it shows is on its clock. With `kept_for` every
    cluster's plan is one snapshot a day, kept for so long.
    """

    def __init__(self, random: Random, clock: Clock, skew: timedelta, *, kept_for: timedelta | None = None) -> None:
        self.random, self.clock, self.skew, self.kept_for = random, clock, skew, kept_for
        self.needs = Needs(clock)
        self.projects: dict[str, TrueProject] = {}
        self.event_misses = 0.03
        self.may_outlive: Callable[[str | None], bool] = lambda _key: True
        """Whether copies under a key are left where they are when nothing shows them any more."""
        self._number = count(1)

    def some(self, low: timedelta, high: timedelta) -> timedelta:
        return low + (high - low) * self.random.random()

    def name(self) -> str:
        return f"{next(self._number):024x}"

    # settings

    def add_project(self, project_id: str, key: str, text: str) -> TrueProject:
        project = self.projects[project_id] = TrueProject(project_id=project_id, wanted=key, text=text)
        self.needs.begin(key, project)
        return project

    def name_key(self, project: TrueProject, key: str, text: str) -> None:
        """Change the key in the settings: the clusters follow one by one."""
        self.needs.begin(key, project)
        if key != project.wanted:
            self.needs.end(project.wanted, project)
        project.wanted, project.text = key, text
        self.note(project, "ENCRYPTION_AT_REST_CONFIGURATION_UPDATED", None)
        for cluster in project.living():
            if cluster.encrypted and not cluster.paused:
                self._turn(project, cluster, self.some(MINUTE, 14 * MINUTE))

    def settings(self, project: TrueProject, *, valid: bool) -> Settings:
        return Settings(enabled=True, key=project.text, region="eu-west-1", role_id=ROLE_ID, valid=valid)

    def _turn(self, project: TrueProject, cluster: TrueCluster, after: timedelta) -> None:
        if cluster.turning:
            return
        cluster.turning = True

        def begin() -> None:
            if cluster.deleted or cluster.paused or not cluster.encrypted:
                cluster.turning = False
                return
            cluster.state, target = "UPDATING", project.wanted
            self.clock.after(self.some(5 * MINUTE, 40 * MINUTE), lambda: end(target))

        def end(target: str) -> None:
            cluster.turning = False
            if cluster.deleted:
                return
            self._use(cluster, target if cluster.encrypted else None)
            if cluster.encrypted and project.wanted != target:
                self._turn(project, cluster, timedelta(0))
            else:
                cluster.state = "IDLE"

        self.clock.after(after, begin)

    def _use(self, cluster: TrueCluster, key: str | None) -> None:
        """The data is under another key now; what is kept for point-in-time restores stays under the former one."""
        left = cluster.uses
        if left == key:
            return
        if left is not None and cluster.window is not None:
            slice_of_oplog = (cluster, object())
            self.needs.begin(left, slice_of_oplog)
            self.clock.after(cluster.window, lambda: self.needs.end(left, slice_of_oplog))
        self.needs.begin(key, cluster)
        self.needs.end(left, cluster)
        cluster.uses = key

    # clusters

    def add_cluster(self, project: TrueProject, name: str | None = None) -> TrueCluster:
        encrypted = self.random.random() < 0.92
        cluster = TrueCluster(
            name=name or f"c{next(self._number)}",
            cluster_id=self.name(),
            plan=self._plan(),
            window=self.random.choice((None, None, 2 * DAY, 7 * DAY)),
            copies=self._copies(),
            uses=None,
            encrypted=encrypted,
            kind=self.random.choice(("REPLICASET", "REPLICASET", "SHARDED")),
        )
        cluster.uses = project.wanted if encrypted else None
        self.needs.begin(cluster.uses, cluster)
        project.clusters.append(cluster)
        if project.two_names(cluster.name):
            self._watch_the_name(project, cluster.name)
        self.note(project, "CLUSTER_CREATED", cluster)
        self.clock.after(self.some(5 * MINUTE, 20 * MINUTE), lambda: self._stand_up(project, cluster))
        for every, keep in cluster.plan:
            self.clock.after(self.some(HOUR, every), lambda e=every, k=keep: self._by_plan(project, cluster, e, k))
        return cluster

    def _watch_the_name(self, project: TrueProject, name: str) -> None:
        since = self.clock.now

        def look() -> None:
            project.unclear.append((since, self.clock.now))
            if project.two_names(name):
                project.unclear.pop()
                self.clock.after(HOUR, look)

        self.clock.after(HOUR, look)

    def _stand_up(self, project: TrueProject, cluster: TrueCluster) -> None:
        if not cluster.deleted:
            cluster.state = "IDLE"
            if cluster.encrypted and cluster.uses != project.wanted:
                self._turn(project, cluster, timedelta(0))

    def _plan(self) -> tuple[tuple[timedelta, timedelta], ...]:
        if self.kept_for is not None:
            return ((DAY, self.kept_for),)
        hourly, daily = (6 * HOUR, 2 * DAY), (DAY, 7 * DAY)
        weekly, monthly, yearly = (7 * DAY, 28 * DAY), (30 * DAY, 360 * DAY), (365 * DAY, 365 * DAY)
        return self.random.choice(
            (
                (daily,),
                (daily, weekly),
                (hourly, daily),
                (daily, weekly, (30 * DAY, 120 * DAY)),
                (daily, monthly, yearly),
            )
        )

    def _copies(self) -> tuple[CopySetting, ...]:
        if self.random.random() > 0.15:
            return ()
        own = self.random.choice((None, 10, 45))
        return (CopySetting(region="us-east-1", longest_retention_days=own),)

    def pause(self, project: TrueProject, cluster: TrueCluster) -> None:
        if cluster.paused or cluster.state != "IDLE" or cluster.turning:
            return
        cluster.paused = True
        self.clock.after(self.some(DAY, 30 * DAY), lambda: self._resume(project, cluster))

    def _resume(self, project: TrueProject, cluster: TrueCluster) -> None:
        if cluster.deleted:
            return
        cluster.paused, cluster.state = False, "UPDATING"
        self.clock.after(self.some(5 * MINUTE, 20 * MINUTE), lambda: self._stand_up(project, cluster))

    def convert(self, cluster: TrueCluster) -> None:
        cluster.kind = "SHARDED"

    def switch_off(self, project: TrueProject, cluster: TrueCluster) -> None:
        """Take a cluster's encryption off: its data is written anew, its snapshots stay."""
        if cluster.encrypted and cluster.state == "IDLE" and not cluster.paused and not cluster.turning:
            cluster.encrypted = False
            self._use(cluster, None)
            self.note(project, "CLUSTER_UPDATE_COMPLETED", cluster)

    def delete_cluster(self, project: TrueProject, cluster: TrueCluster, *, retain: bool) -> None:
        cluster.deleted = True
        self.needs.end(cluster.uses, cluster)
        cluster.uses = None
        self.note(project, "CLUSTER_DELETED", cluster)
        for snapshot in tuple(cluster.copied):
            if not (retain and self.may_outlive(snapshot.key)):
                self._drop_copy(cluster, snapshot)
        if not retain:
            for snapshot in (*cluster.snapshots.values(), *cluster.sharded.values()):
                self.drop(cluster, snapshot)

    def stop_copying(self, cluster: TrueCluster) -> None:
        """Take the copies out of a cluster's schedule; those that were made stay where they are."""
        cluster.copies = ()
        for snapshot in tuple(cluster.copied):
            if not self.may_outlive(snapshot.key):
                self._drop_copy(cluster, snapshot)

    # snapshots

    def _by_plan(self, project: TrueProject, cluster: TrueCluster, every: timedelta, keep: timedelta) -> None:
        if cluster.deleted:
            return
        if not cluster.paused:
            self.take_snapshot(project, cluster, keep)
        self.clock.after(every, lambda: self._by_plan(project, cluster, every, keep))

    def take_snapshot(
        self, project: TrueProject, cluster: TrueCluster, keep: timedelta, *, on_demand: bool = False
    ) -> None:
        """Queue a snapshot: the key is that of this moment, whatever the settings say when it is complete."""
        random = self.random
        shown = Snapshot(
            snapshot_id=self.name(), status="queued", key=None, created_at=None, expires_at=None, on_demand=on_demand
        )
        listed = self.clock.now + (self.some(timedelta(0), 15 * MINUTE) if random.random() < 0.3 else timedelta(0))
        snapshot = TrueSnapshot(key=cluster.uses, shown=shown, listed_from=listed)
        kept = cluster.sharded if cluster.kind == "SHARDED" else cluster.snapshots
        kept[shown.snapshot_id] = snapshot
        self.needs.begin(snapshot.key, snapshot)
        spelled = _spelled(snapshot.key, random)
        early = spelled if random.random() < 0.5 else None
        fails = random.random() < 0.005
        made = self.clock.now + self.some(timedelta(0), 5 * MINUTE)
        done = made + self.some(5 * MINUTE, 40 * MINUTE)

        def run() -> None:
            snapshot.shown = replace(snapshot.shown, status="inProgress", key=early, created_at=made + self.skew)

        def end() -> None:
            if shown.snapshot_id not in kept:
                return
            key, status = (early, "failed") if fails else (spelled, "completed")
            snapshot.shown = replace(snapshot.shown, status=status, key=key)
            self._keep(cluster, snapshot, done + (2 * DAY if fails else keep))
            if not fails:
                self._copy(cluster, snapshot, done)
            elif snapshot.key is not None and early is None:
                project.unclear.append((done, snapshot.expires_at))

        self.clock.at(made, run)
        self.clock.at(done, end)

    def _keep(self, cluster: TrueCluster, snapshot: TrueSnapshot, until: datetime) -> None:
        snapshot.expires_at = until
        snapshot.shown = replace(snapshot.shown, expires_at=until + self.skew)
        self.clock.at(until, lambda: self._expire(cluster, snapshot))

    def _expire(self, cluster: TrueCluster, snapshot: TrueSnapshot) -> None:
        if snapshot.expires_at is not None and snapshot.expires_at <= self.clock.now:
            self.drop(cluster, snapshot)

    def drop(self, cluster: TrueCluster, snapshot: TrueSnapshot) -> None:
        """Let a snapshot be no more."""
        cluster.snapshots.pop(snapshot.shown.snapshot_id, None)
        cluster.sharded.pop(snapshot.shown.snapshot_id, None)
        snapshot.expires_at = None
        self.needs.end(snapshot.key, snapshot)

    def _copy(self, cluster: TrueCluster, snapshot: TrueSnapshot, done: datetime) -> None:
        """Copies are shown in no list; where they have no retention of their own they go with their original."""
        for copy in cluster.copies:
            if copy.longest_retention_days is not None:
                cluster.copied.add(snapshot)
                self.needs.begin(snapshot.key, ("copy", snapshot))
                until = done + timedelta(days=copy.longest_retention_days)
                self.clock.at(until, lambda: self._drop_copy(cluster, snapshot))

    def _drop_copy(self, cluster: TrueCluster, snapshot: TrueSnapshot) -> None:
        cluster.copied.discard(snapshot)
        self.needs.end(snapshot.key, ("copy", snapshot))

    def completed(self, cluster: TrueCluster) -> list[TrueSnapshot]:
        both = (*cluster.snapshots.values(), *cluster.sharded.values())
        return [snapshot for snapshot in both if snapshot.shown.status == "completed"]

    def extend(self, project: TrueProject, cluster: TrueCluster, snapshot: TrueSnapshot) -> None:
        self._keep(cluster, snapshot, snapshot.expires_at + self.some(DAY, 90 * DAY))
        self.note(project, "CPS_SNAPSHOT_RETENTION_MODIFIED_AUDIT", cluster)

    def delete(self, project: TrueProject, cluster: TrueCluster, snapshot: TrueSnapshot) -> None:
        self.drop(cluster, snapshot)
        self.note(project, "CPS_SNAPSHOT_DELETED_AUDIT", cluster)

    # jobs

    def restore(self, project: TrueProject, cluster: TrueCluster, snapshot: TrueSnapshot) -> None:
        """Restore a snapshot: the job reads it to its end, even if the snapshot expires meanwhile."""
        job = RestoreJob(
            job_id=self.name(),
            snapshot_id=snapshot.shown.snapshot_id,
            running=True,
            delivery="automated",
            target_project=project.project_id,
            target_cluster="copy",
            created_at=None,
            finished_at=None,
        )
        cluster.restores.append(job)
        key = snapshot.key
        self.needs.begin(key, job.job_id)
        self.note(project, "CPS_RESTORE_REQUESTED_AUDIT", cluster)

        def end() -> None:
            cluster.restores.remove(job)
            self.needs.end(key, job.job_id)

        self.clock.after(self.some(HOUR, 30 * HOUR), end)

    def export(self, cluster: TrueCluster, snapshot: TrueSnapshot) -> None:
        job = ExportJob(job_id=self.name(), snapshot_id=snapshot.shown.snapshot_id, state="InProgress", running=True)
        cluster.exports[job.job_id] = job
        key = snapshot.key
        self.needs.begin(key, job.job_id)

        def end() -> None:
            del cluster.exports[job.job_id]
            self.needs.end(key, job.job_id)

        self.clock.after(self.some(HOUR, 8 * HOUR), end)

    # events

    def note(self, project: TrueProject, kind: str, cluster: TrueCluster | None) -> None:
        """Write an event, which may show late, or never."""
        if self.random.random() < self.event_misses:
            project.missed.append(self.clock.now)
            return
        lag = self.some(timedelta(0), 30 * MINUTE)
        event = ProjectEvent(
            event_id=self.name(),
            type=kind,
            at=self.clock.now + self.skew,
            cluster=cluster.name if cluster is not None else None,
        )
        project.events.append((self.clock.now + lag, event))


def _spelled(key: str | None, random: Random) -> str | None:
    if key is None:
        return None
    arn = f"arn:aws:kms:eu-west-1:111122223333:key/{key}"
    return random.choice((key, key, key.upper(), arn, arn.upper()))
