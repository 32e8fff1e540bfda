"""The script that a reader of Atlas' documentation writes: one call after another, pages of the default size (100).

As most are written it reads the settings, the clusters, and of each cluster the replica-set list, the restores and
the exports. `whole` makes it read what a proof needs: retained clusters, the sharded list and the schedule too.
"""

import http.client
import json
from collections.abc import Iterator
from typing import Any

from peers.estate import RETIRING, Estate

Row = dict[str, Any]


def read_as_documented(port: int, estate: Estate, *, whole: bool = False) -> int:
    """Read one project; gives how many of the key's snapshots it found, of how many is asserted."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        return _read(connection, estate, whole=whole)
    finally:
        connection.close()


def _read(connection: http.client.HTTPConnection, estate: Estate, *, whole: bool) -> int:
    project = f"/groups/{estate.project_id}"
    _ask(connection, f"{project}/encryptionAtRest")
    clusters = _everything(connection, f"{project}/clusters")
    if whole:
        clusters = _everything(connection, f"{project}/clusters?includeDeletedWithRetainedBackups=true")
    snapshots: list[Row] = []
    for cluster in clusters:
        backup = f"{project}/clusters/{cluster['name']}/backup"
        snapshots += _everything(connection, f"{backup}/snapshots")
        _everything(connection, f"{backup}/restoreJobs")
        _everything(connection, f"{backup}/exports")
        if whole:
            snapshots += _ask(connection, f"{backup}/snapshots/shardedClusters")["results"]
            _ask(connection, f"{backup}/schedule")
    if whole or estate.living == estate.read:
        assert len(snapshots) == estate.all_snapshots, (len(snapshots), estate)
    return sum(snapshot.get("masterKeyUUID") == RETIRING for snapshot in snapshots)


def _everything(connection: http.client.HTTPConnection, path: str) -> list[Row]:
    """Follow the pages for as long as there is a next one."""
    return [row for page in _pages(connection, path) for row in page["results"]]


def _pages(connection: http.client.HTTPConnection, path: str) -> Iterator[Row]:
    number, goes_on = 1, True
    while goes_on:
        page = _ask(connection, f"{path}{'&' if '?' in path else '?'}pageNum={number}")
        yield page
        goes_on = any(link["rel"] == "next" for link in page["links"])
        number += 1


def _ask(connection: http.client.HTTPConnection, path: str) -> Row:
    connection.request("GET", f"/api/atlas/v2{path}", headers={"Authorization": "Bearer quick"})
    return json.loads(connection.getresponse().read())
