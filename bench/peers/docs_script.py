"""The script that a reader of Atlas' documentation writes: one call after another, pages of the default size (100).

As most are written it reads the settings, the clusters, and of each cluster the replica-set list, the restores and
the exports. `whole` makes it read what a proof needs: retained clusters, the sharded list and the schedule too.
"""

import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from peers.estate import RETIRING, Estate

Row = dict[str, Any]
VERSION, CLUSTERS_VERSION = (f"application/vnd.atlas.{date}+json" for date in ("2023-01-01", "2024-08-05"))


def read_as_documented(port: int, estate: Estate, *, whole: bool = False) -> int:
    """Read one project; gives how many of the key's snapshots it found, of how many is asserted."""
    snapshots = read_snapshots(port, estate.project_id, whole=whole)
    if whole or estate.living == estate.read:
        assert len(snapshots) == estate.all_snapshots, (len(snapshots), estate)
    return sum(snapshot.get("masterKeyUUID") == RETIRING for snapshot in snapshots)


def read_snapshots(port: int, project_id: str, *, token: str = "quick", whole: bool = False) -> list[Row]:
    """Every snapshot of a project that the script finds."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        return _Script(connection=connection, token=token).read(f"/groups/{project_id}", whole=whole)
    finally:
        connection.close()


@dataclass(frozen=True, kw_only=True)
class _Script:
    """One kept connection, and the token that it comes with."""

    connection: http.client.HTTPConnection
    token: str

    def read(self, project: str, *, whole: bool) -> list[Row]:
        self._ask(f"{project}/encryptionAtRest")
        clusters = self._everything(f"{project}/clusters")
        if whole:
            clusters = self._everything(f"{project}/clusters?includeDeletedWithRetainedBackups=true")
        snapshots: list[Row] = []
        for cluster in clusters:
            backup = f"{project}/clusters/{cluster['name']}/backup"
            snapshots += self._everything(f"{backup}/snapshots")
            self._everything(f"{backup}/restoreJobs")
            self._everything(f"{backup}/exports")
            if whole:
                snapshots += self._ask(f"{backup}/snapshots/shardedClusters")["results"]
                self._ask(f"{backup}/schedule")
        return snapshots

    def _everything(self, path: str) -> list[Row]:
        """Follow the pages for as long as there is a next one."""
        return [row for page in self._pages(path) for row in page["results"]]

    def _pages(self, path: str) -> Iterator[Row]:
        number, goes_on = 1, True
        while goes_on:
            page = self._ask(f"{path}{'&' if '?' in path else '?'}pageNum={number}")
            yield page
            goes_on = any(link["rel"] == "next" for link in page["links"])
            number += 1

    def _ask(self, path: str) -> Row:
        version = CLUSTERS_VERSION if path.partition("?")[0].endswith(("/clusters", "/schedule")) else VERSION
        headers = {"Authorization": f"Bearer {self.token}", "Accept": version}
        self.connection.request("GET", f"/api/atlas/v2{path}", headers=headers)
        answer = self.connection.getresponse()
        body = answer.read()
        assert answer.status == HTTPStatus.OK, (answer.status, path, body[:300])
        row: Row = json.loads(body)
        return row
