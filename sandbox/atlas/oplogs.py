"""The oplog that restores to a point in time need: kept for the restore window, encrypted like everything else.

Which key Atlas keeps old oplog under after a swap is not documented; here it is the one of its moment.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from sandbox.atlas.ground import Ground
from sandbox.atlas.keys import Keys, KeyTrouble
from sandbox.atlas.model import Cluster
from sandbox.atlas.snapshot import CannotRestore, OplogSlice


class Oplogs:
    """Keeps the oplog of clusters that can be restored to a point in time."""

    def __init__(self, ground: Ground, keys: Keys) -> None:
        self._ground = ground
        self._keys = keys

    def follow(self, cluster: Cluster) -> None:
        """Go on under the key that the cluster has now; without window, key or cluster the oplog ends."""
        now, slices = self._ground.now(), [one for one in cluster.oplogs if self._kept(cluster, one)]
        wanted = cluster.cmk if cluster.point_in_time and not cluster.deleted else None
        last = slices[-1] if slices and slices[-1].until is None else None
        if last is not None and (wanted is None or last.sealed.cmk.arn != wanted.arn):
            slices[-1] = last.closed(now)
            last = None
        cluster.oplogs = slices
        if last is None and wanted is not None:
            self._begin(cluster)

    def existing(self, cluster: Cluster) -> Iterator[OplogSlice]:
        """Give the slices that somebody could still want restored."""
        return (one for one in cluster.oplogs if self._kept(cluster, one))

    def window_of(self, cluster: Cluster) -> timedelta:
        """How far back the cluster can be restored."""
        return timedelta(days=cluster.schedule.restore_window_days)

    def slice_at(self, cluster: Cluster, moment: datetime) -> OplogSlice:
        """Give the oplog of a moment; raises CannotRestore when it is not kept."""
        now = self._ground.now()
        if now - self.window_of(cluster) <= moment <= now:
            for one in cluster.oplogs:
                if one.since <= moment and (one.until is None or moment <= one.until):
                    return one
        raise CannotRestore(f"{cluster.name} keeps no oplog of {moment:%Y-%m-%dT%H:%M:%SZ}")

    def restore(self, cluster: Cluster, moment: datetime) -> None:
        """Decrypt what a restore to a moment needs; raises CannotRestore."""
        needed = self.slice_at(cluster, moment)
        settings = self._ground.project(cluster.project_id).encryption
        try:
            self._keys.unseal(needed.sealed, None if settings is None else settings.cmk)
        except KeyTrouble as trouble:
            raise CannotRestore(str(trouble)) from trouble

    def _begin(self, cluster: Cluster) -> None:
        if cluster.cmk is None:
            return
        try:
            sealed = self._keys.seal(cluster.cmk)
        except KeyTrouble:
            # Without its key the cluster writes no oplog that could be kept.
            return
        cluster.oplogs.append(OplogSlice(sealed=sealed, since=self._ground.now()))

    def _kept(self, cluster: Cluster, one: OplogSlice) -> bool:
        if cluster.deleted and not self._ground.habits.deleted_clusters_keep_oplog:
            return False
        return one.until is None or self._ground.now() < one.until + self.window_of(cluster)
