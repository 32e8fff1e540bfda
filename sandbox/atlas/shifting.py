"""Lists that change while somebody reads them page by page."""

from collections.abc import Mapping
from operator import attrgetter

from sandbox.atlas.world import AtlasWorld


class ShiftingPages:
    """Deletes and takes snapshots of one cluster after each page that is read of its list.

    Deleted are the newest, so what follows moves up into pages that were read already; an instance is an
    `after_call` of the pretend Atlas. After `rounds` of it the list is at rest.
    """

    def __init__(
        self, world: AtlasWorld, project_id: str, cluster: str, *, delete: int = 0, insert: int = 0, rounds: int = 1
    ) -> None:
        self._world = world
        self._project_id = project_id
        self._cluster = cluster
        self._delete = delete
        self._insert = insert
        self.rounds = rounds

    def __call__(self, method: str, path: str, _query: Mapping[str, str]) -> None:
        """Change the list if this call read a page of it."""
        mine = path.endswith(f"/groups/{self._project_id}/clusters/{self._cluster}/backup/snapshots")
        if method != "GET" or not mine or self.rounds <= 0:
            return
        self.rounds -= 1
        cluster = self._world.ground.cluster(self._project_id, self._cluster)
        newest = sorted(cluster.snapshots.values(), key=attrgetter("requested_at", "snapshot_id"), reverse=True)
        for snapshot in newest[: self._delete]:
            self._world.backups.delete(cluster, snapshot)
        for _ in range(self._insert):
            self._world.take_snapshot(self._project_id, self._cluster)
