"""Backups: when they are taken, under which key, how long they are kept, and whether they can be restored."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256
from secrets import token_bytes

from sandbox.atlas.ground import Ground
from sandbox.atlas.keys import Keys, KeyTrouble
from sandbox.atlas.model import BackupPolicy, CannotRestore, Cluster, Project, Snapshot
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
        """Begin a snapshot now; its data key is encrypted now, under the key that the cluster uses."""
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
        cluster.snapshots[snapshot.snapshot_id] = snapshot
        self._prune_sometimes(cluster)
        return snapshot

    def existing(self, cluster: Cluster) -> Iterator[Snapshot]:
        """Give the cluster's snapshots that are still kept, the oldest first."""
        now = self._ground.now()
        return (snapshot for snapshot in cluster.snapshots.values() if snapshot.exists(now))

    def restore(self, snapshot: Snapshot) -> None:
        """Decrypt the snapshot's data key as the project's principal; raises CannotRestore."""
        status = snapshot.status(self._ground.now())
        if status != "completed":
            raise CannotRestore(f"snapshot {snapshot.snapshot_id} is {status}")
        if snapshot.cmk is None or snapshot.blob is None:
            return
        try:
            data_key = self._keys.unwrap(snapshot.cmk, snapshot.blob)
        except KeyTrouble as trouble:
            raise CannotRestore(str(trouble)) from trouble
        if sha256(data_key).hexdigest() != snapshot.digest:
            raise CannotRestore(f"{snapshot.cmk.arn} decrypted another data key than it encrypted")

    def _encrypt(self, snapshot: Snapshot, cluster: Cluster) -> None:
        if cluster.cmk is None:
            return
        data_key = token_bytes(32)
        try:
            snapshot.blob = self._keys.wrap(cluster.cmk, data_key)
        except KeyTrouble:
            snapshot.failed = True
            self._on_refused(self._ground.project(cluster.project_id))
            return
        snapshot.cmk, snapshot.digest = cluster.cmk, sha256(data_key).hexdigest()

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


def next_snapshot_at(cluster: Cluster, now: datetime) -> datetime | None:
    """Tell when the cluster's next scheduled snapshot will be, None when there will be none."""
    coming = next_time(cluster.schedule, now) if cluster.backups and cluster.running else None
    return None if coming is None else coming[0]
