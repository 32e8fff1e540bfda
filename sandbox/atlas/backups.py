"""Backups: when they are taken, under which key, how long they and their copies are kept, and whether they restore."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from sandbox.atlas.cmk import Cmk
from sandbox.atlas.ground import Ground
from sandbox.atlas.keys import Keys, KeyTrouble
from sandbox.atlas.model import Cluster, Project
from sandbox.atlas.policy import BackupPolicy, CopySetting
from sandbox.atlas.snapshot import CannotRestore, Copy, Snapshot
from sandbox.atlas.timetable import next_time

QUEUED_FOR = timedelta(minutes=3)
TAKEN_IN = timedelta(minutes=5)
PRUNED_EVERY = 64
"""Expired snapshots are invisible at once; their memory is freed after so many new ones."""


class Backups:
    """Takes snapshots; `on_refused` is told of a project whose key refused a snapshot."""

    def __init__(self, ground: Ground, keys: Keys, on_refused: Callable[[Project], object]) -> None:
        self._ground = ground
        self._keys = keys
        self._on_refused = on_refused

    def plan(self, cluster: Cluster) -> None:
        """Follow the cluster's timetable as it is now; what an older one planned is dropped."""
        cluster.schedule_number += 1
        if cluster.backups and cluster.running:
            self._expect_next(cluster, cluster.schedule_number)

    def take(self, cluster: Cluster, *, keep: timedelta, frequency: str, description: str = "") -> Snapshot:
        """Begin a snapshot now; its data key is encrypted now, under the key of the node that it is taken from."""
        now = self._ground.now()
        finished_at = now + QUEUED_FOR + TAKEN_IN
        snapshot = Snapshot(
            snapshot_id=self._ground.names.object_id(now),
            project_id=cluster.project_id,
            cluster_id=cluster.cluster_id,
            cluster_name=cluster.name,
            sharded=cluster.sharded,
            frequency=frequency,
            description=description,
            requested_at=now,
            started_at=now + QUEUED_FOR,
            finished_at=finished_at,
            expires_at=finished_at + keep,
            shards=cluster.shards,
        )
        self._encrypt(snapshot, cluster)
        if not snapshot.failed:
            snapshot.copies = _copies(snapshot, cluster.schedule.copies)
        cluster.snapshots[snapshot.snapshot_id] = snapshot
        self._tell_of(snapshot, cluster)
        self._prune_sometimes(cluster)
        return snapshot

    def existing(self, cluster: Cluster) -> Iterator[Snapshot]:
        """Give the cluster's snapshots that are still kept somewhere, the oldest first."""
        now = self._ground.now()
        return (snapshot for snapshot in cluster.snapshots.values() if snapshot.exists(now))

    def listed(self, cluster: Cluster) -> Iterator[Snapshot]:
        """Give those of them that the API lists."""
        now, late = self._ground.now(), self._ground.lags.lists
        for snapshot in self.existing(cluster):
            kept = now < snapshot.expires_at or self._ground.habits.copies_keep_originals_listed
            if kept and snapshot.requested_at + late <= now:
                yield snapshot

    def gone(self, cluster: Cluster) -> bool:
        """Whether nothing is left of a cluster: it is deleted, and so are its last snapshot and copy."""
        return cluster.deleted and next(self.existing(cluster), None) is None

    def extend(self, snapshot: Snapshot, until: datetime) -> None:
        """Have a snapshot kept until another time; copies that live as long as it does follow."""
        snapshot.expires_at = until
        self._tell(snapshot, "CPS_SNAPSHOT_RETENTION_MODIFIED_AUDIT")

    def delete(self, cluster: Cluster, snapshot: Snapshot) -> None:
        """Delete a snapshot, and all its copies with it."""
        del cluster.snapshots[snapshot.snapshot_id]
        self._tell(snapshot, "CPS_SNAPSHOT_DELETED_AUDIT")

    def drop_copies(self, cluster: Cluster, region: str, *, keep: bool) -> None:
        """Copy to a region no longer; the copies that are there stay until their time, or go at once."""
        left = tuple(copy for copy in cluster.schedule.copies if copy.region != region)
        cluster.schedule = replace(cluster.schedule, copies=left)
        if not keep:
            for snapshot in cluster.snapshots.values():
                snapshot.copies = tuple(copy for copy in snapshot.copies if copy.region != region)

    def restore(self, snapshot: Snapshot) -> None:
        """Decrypt the snapshot's data key as the project's principal; raises CannotRestore."""
        status = snapshot.status(self._ground.now())
        if status != "completed":
            raise CannotRestore(f"snapshot {snapshot.snapshot_id} is {status}")
        if snapshot.sealed is None:
            return
        settings = self._ground.project(snapshot.project_id).encryption
        try:
            self._keys.unseal(snapshot.sealed, None if settings is None else settings.cmk)
        except KeyTrouble as trouble:
            raise CannotRestore(str(trouble)) from trouble

    def _encrypt(self, snapshot: Snapshot, cluster: Cluster) -> None:
        cmk = self._key_of_a_node(cluster)
        if cmk is None:
            return
        try:
            snapshot.sealed = self._keys.seal(cmk)
        except KeyTrouble:
            snapshot.failed = True
            self._on_refused(self._ground.project(cluster.project_id))

    def _key_of_a_node(self, cluster: Cluster) -> Cmk | None:
        """While a new key goes round, one node has it already and the next has not: chance chooses the node."""
        if cluster.rolling is None or not cluster.nodes:
            return cluster.cmk
        return self._ground.chance.choice(cluster.nodes).cmk

    def _tell_of(self, snapshot: Snapshot, cluster: Cluster) -> None:
        project = self._ground.project(cluster.project_id)
        word = "FAILED" if snapshot.failed else "SUCCESSFUL"
        self._ground.tell(project, "CPS_SNAPSHOT_STARTED", cluster.name, at=snapshot.started_at)
        self._ground.tell(project, f"CPS_SNAPSHOT_{word}", cluster.name, at=snapshot.finished_at)
        for _ in snapshot.copies:
            self._ground.tell(project, "CPS_COPY_SNAPSHOT_SUCCESSFUL", cluster.name, at=snapshot.finished_at)

    def _tell(self, snapshot: Snapshot, kind: str) -> None:
        self._ground.tell(self._ground.project(snapshot.project_id), kind, snapshot.cluster_name)

    def _expect_next(self, cluster: Cluster, number: int) -> None:
        coming = next_time(cluster.schedule, self._ground.now())
        if coming is not None:
            at, policies = coming
            self._ground.agenda.add(at, partial(self._take_planned, cluster, policies, number))

    def _take_planned(self, cluster: Cluster, policies: tuple[BackupPolicy, ...], number: int) -> None:
        if number != cluster.schedule_number:
            return
        longest = max(policies, key=lambda policy: policy.keep)
        self.take(cluster, keep=longest.keep, frequency=longest.kind)
        self._expect_next(cluster, number)

    def _prune_sometimes(self, cluster: Cluster) -> None:
        cluster.taken += 1
        if cluster.taken % PRUNED_EVERY == 0:
            cluster.snapshots = {snapshot.snapshot_id: snapshot for snapshot in self.existing(cluster)}


def _copies(snapshot: Snapshot, settings: tuple[CopySetting, ...]) -> tuple[Copy, ...]:
    copies = []
    for setting in settings:
        own = dict(setting.keep).get(snapshot.frequency)
        if own is not None:
            copies.append(Copy(region=setting.region, expires_at=snapshot.finished_at + own))
        elif not setting.keep:
            copies.append(Copy(region=setting.region, expires_at=None))
    return tuple(copies)


def next_snapshot_at(cluster: Cluster, now: datetime) -> datetime | None:
    """Tell when the cluster's next scheduled snapshot will be, None when there will be none."""
    coming = next_time(cluster.schedule, now) if cluster.backups and cluster.running else None
    return None if coming is None else coming[0]
