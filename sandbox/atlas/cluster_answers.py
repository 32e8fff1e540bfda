"""What the API shows of clusters."""

from sandbox.atlas.answers import Body, links_to
from sandbox.atlas.habits import Habits
from sandbox.atlas.model import Cluster
from sandbox.atlas.names import stamp


def cluster(known: Cluster, habits: Habits) -> Body:
    """A cluster; a deleted one is what its retained backups hang on."""
    path = f"/groups/{known.project_id}/clusters/{known.name}"
    return {
        "backupEnabled": known.backups,
        "clusterType": known.kind,
        "createDate": stamp(known.created_at),
        "encryptionAtRestProvider": known.encryption,
        "groupId": known.project_id,
        "id": known.cluster_id,
        "labels": [],
        "links": links_to(path),
        "mongoDBMajorVersion": "8.0",
        "mongoDBVersion": "8.0.29",
        "name": known.name,
        "paused": known.paused,
        "pitEnabled": known.point_in_time,
        "replicationSpecs": [_shard(known, number) for number in range(known.shards)],
        "retainBackups": known.deleted,
        "rootCertType": "ISRGROOTX1",
        "stateName": _state(known, habits),
        "tags": [],
        "terminationProtectionEnabled": False,
        "versionReleaseSystem": "LTS",
    }


def _state(known: Cluster, habits: Habits) -> str:
    if known.deleted:
        return habits.state_of_deleted
    return habits.state_of_shut_down if known.down else known.state


def zone_id(known: Cluster, number: int = 0) -> str:
    """The id of a cluster's zone; only a global one has several."""
    return f"{int(known.cluster_id, 16) ^ (number + 1) << 48:024x}"


def _shard(known: Cluster, number: int) -> Body:
    spread = known.kind == "GEOSHARDED"
    zone = number if spread else 0
    regions = (known.regions[number % len(known.regions)],) if spread else known.regions
    return {
        "id": f"{int(known.cluster_id, 16) ^ (number + 1) << 40:024x}",
        "regionConfigs": [_region(known, region) for region in regions],
        "zoneId": zone_id(known, zone),
        "zoneName": f"Zone {zone + 1}",
    }


def _region(known: Cluster, region: str) -> Body:
    if known.tenant:
        return {
            "backingProviderName": "AWS",
            "electableSpecs": {"instanceSize": known.tier},
            "priority": 7,
            "providerName": "TENANT",
            "regionName": region,
        }
    specs = {"diskIOPS": 3000, "diskSizeGB": 10.0, "instanceSize": known.tier, "nodeCount": 3}
    return {"electableSpecs": specs, "priority": 7, "providerName": "AWS", "regionName": region}


def cluster_status(known: Cluster) -> Body:
    """Whether changes are still under way."""
    return {"changeStatus": "PENDING" if known.state != "IDLE" or known.down else "APPLIED"}


def flex_cluster(known: Cluster) -> Body:
    """A flex cluster, which has no customer key."""
    return {
        "backupSettings": {"enabled": True},
        "clusterType": "REPLICASET",
        "createDate": stamp(known.created_at),
        "groupId": known.project_id,
        "id": known.cluster_id,
        "links": links_to(f"/groups/{known.project_id}/flexClusters/{known.name}"),
        "mongoDBVersion": "8.0.29",
        "name": known.name,
        "providerSettings": {
            "backingProviderName": "AWS",
            "diskSizeGB": 5.0,
            "providerName": "FLEX",
            "regionName": known.regions[0],
        },
        "stateName": known.state,
        "tags": [],
        "terminationProtectionEnabled": False,
        "versionReleaseSystem": "LTS",
    }
