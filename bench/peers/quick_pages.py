"""The answers of the quick Atlas as bytes, rendered once: so the server costs next to nothing while it is measured.

The shapes are those of recorded answers: a snapshot takes some 765 bytes.
"""

import json
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from peers.estate import NOW_USED, RETIRING, Estate

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
ACCOUNT = "111122223333"
ADDRESS = "https://cloud.mongodb.com/api/atlas/v2"
Body = dict[str, Any]


def _page(results: list[Body], total: int, *, goes_on: bool = False) -> bytes:
    links = [{"href": ADDRESS, "rel": rel} for rel in (("self", "next") if goes_on else ("self",))]
    return json.dumps({"links": links, "results": results, "totalCount": total}).encode()


EMPTY = _page([], 0)


def settings() -> bytes:
    """Encryption at rest under the key now used."""
    key = {"customerMasterKeyID": f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/{NOW_USED}", "region": "EU_WEST_1"}
    return json.dumps(
        {"awsKms": {"enabled": True, "valid": True, "roleId": "c0123456789abcdef0123456", **key}}
    ).encode()


@cache
def clusters(estate: Estate, size: int, number: int, *, deleted_too: bool) -> bytes:
    """A page of the project's clusters."""
    kinds = ("living", "sharded", "unscheduled", "free", *(("deleted",) if deleted_too else ()))
    named = [(kind, f"{kind}-{one}") for kind in kinds for one in range(getattr(estate, kind))]
    shown = named[(number - 1) * size : number * size]
    return _page([_cluster(*one) for one in shown], len(named), goes_on=number * size < len(named))


def _cluster(kind: str, name: str) -> Body:
    region = {
        "providerName": "AWS",
        "regionName": "EU_WEST_1",
        "priority": 7,
        "electableSpecs": {"instanceSize": "M0" if kind == "free" else "M10", "nodeCount": 3, "diskSizeGB": 10.0},
    }
    return {
        "id": name.encode().hex()[-24:].rjust(24, "0"),
        "name": name,
        "clusterType": "SHARDED" if kind == "sharded" else "REPLICASET",
        "stateName": "DELETED" if kind == "deleted" else "IDLE",
        "paused": False,
        "encryptionAtRestProvider": "NONE" if kind == "free" else "AWS",
        "backupEnabled": kind in {"living", "sharded"},
        "pitEnabled": False,
        "mongoDBVersion": "8.0.29",
        "replicationSpecs": [{"regionConfigs": [region]}],
    }


@cache
def snapshots(estate: Estate, size: int, number: int) -> bytes:
    """A page of the snapshots that each cluster of the estate holds."""
    first, last = (number - 1) * size, min(number * size, estate.snapshots)
    results = [_snapshot(one, estate.one_in) for one in range(first, last)]
    return _page(results, estate.snapshots, goes_on=last < estate.snapshots)


def _snapshot(number: int, one_in: int) -> Body:
    made = FIRST + timedelta(hours=number % 8000, seconds=number % 3600)
    address = f"{ADDRESS}/groups/b0123456789abcdef0123456/clusters/cluster-209"
    return {
        "cloudProvider": "AWS",
        "copyRegions": [],
        "createdAt": f"{made:%Y-%m-%dT%H:%M:%SZ}",
        "description": None,
        "expiresAt": f"{made + timedelta(days=400):%Y-%m-%dT%H:%M:%SZ}",
        "frequencyType": "hourly",
        "id": f"{number:024x}",
        "links": [
            {"href": f"{address}/backup/snapshots/{number:024x}", "rel": "self"},
            {"href": address, "rel": "https://cloud.mongodb.com/cluster"},
        ],
        "masterKeyUUID": RETIRING if one_in and number % one_in == 0 else NOW_USED,
        "mongodVersion": "8.0.29",
        "policyItems": ["c0123456789abcdef0123456"],
        "replicaSetName": "cluster-209",
        "snapshotType": "scheduled",
        "status": "completed",
        "storageSizeBytes": 1582854144 + number,
        "type": "replicaSet",
    }


def schedule(cluster: str) -> bytes:
    """A backup policy without copies."""
    body = {"clusterId": cluster.encode().hex()[-24:].rjust(24, "0"), "restoreWindowDays": 7, "copySettings": []}
    return json.dumps(body).encode()
