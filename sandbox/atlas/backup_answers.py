"""What the API shows of backups: snapshots of both kinds, and the policy they are taken by."""

from datetime import datetime, timedelta

from sandbox.atlas.answers import Body, links_to
from sandbox.atlas.backups import next_snapshot_at
from sandbox.atlas.habits import Habits
from sandbox.atlas.model import BackupPolicy, Cluster, Snapshot
from sandbox.atlas.names import stamp


def snapshot(known: Snapshot, now: datetime, habits: Habits) -> Body:
    """A snapshot; what is not known before it has completed is absent until then, as in recorded answers."""
    kind = "shardedClusters" if known.sharded else ""
    path = f"/groups/{known.project_id}/clusters/{known.cluster_name}/backup/snapshots/{kind}"
    body: Body = {
        "description": known.description,
        "expiresAt": stamp(known.expiry(now)),
        "frequencyType": known.frequency,
        "id": known.snapshot_id,
        "links": links_to(f"{path.rstrip('/')}/{known.snapshot_id}"),
        "policyItems": [],
        "snapshotType": "onDemand" if known.on_demand else "scheduled",
        "status": known.status(now),
        "storageSizeBytes": 0,
        "type": "shardedCluster" if known.sharded else "replicaSet",
    }
    body |= _members(known) if known.sharded else {"copyRegions": [], "replicaSetName": known.cluster_name}
    if known.status(now) == "completed":
        body |= _completed(known, habits)
    return body


def _completed(known: Snapshot, habits: Habits) -> Body:
    body: Body = {
        "createdAt": stamp(known.requested_at),
        "mongodVersion": "8.0.29",
        "storageSizeBytes": 1582854144,
    }
    if not known.sharded:
        body["cloudProvider"] = "AWS"
    shown = None if known.cmk is None else habits.show_master_key(known.cmk.arn)
    if shown is not None:
        body["masterKeyUUID"] = shown
    return body


def _members(known: Snapshot) -> Body:
    ids = [f"{int(known.snapshot_id, 16) ^ (number + 1) << 40:024x}" for number in range(known.shards)]
    members = [
        {"cloudProvider": "AWS", "id": member, "replicaSetName": f"{known.cluster_name}-shard-{number}"}
        for number, member in enumerate(ids)
    ]
    return {"configServerType": "DEDICATED", "members": members, "snapshotIds": ids}


def schedule(known: Cluster, now: datetime) -> Body:
    """A cluster's backup policy."""
    path = f"/groups/{known.project_id}/clusters/{known.name}/backup/schedule"
    body: Body = {
        "autoExportEnabled": False,
        "clusterId": known.cluster_id,
        "clusterName": known.name,
        "copySettings": [],
        "links": links_to(path),
        "policies": [_policy(known)],
        "referenceHourOfDay": known.schedule.hour,
        "referenceMinuteOfHour": known.schedule.minute,
        "restoreWindowDays": known.schedule.restore_window_days,
        "useOrgAndGroupNamesInExportPrefix": False,
    }
    coming = next_snapshot_at(known, now)
    return body if coming is None else body | {"nextSnapshot": stamp(coming)}


def _policy(known: Cluster) -> Body:
    first = int(known.schedule.policy_id, 16) + (1 << 40)
    items = [_policy_item(item, f"{first + number:024x}") for number, item in enumerate(known.schedule.items)]
    return {"id": known.schedule.policy_id, "policyItems": items}


def _policy_item(item: BackupPolicy, item_id: str) -> Body:
    return {
        "frequencyInterval": item.every,
        "frequencyType": item.kind,
        "id": item_id,
        "retentionUnit": "days",
        "retentionValue": max(1, round(item.keep / timedelta(days=1))),
    }
