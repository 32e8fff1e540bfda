"""What the API shows of backups: snapshots of both kinds, and the policy they are taken by."""

from collections.abc import Callable
from datetime import datetime, timedelta

from chalicelib.domain.arn import KeyArn
from sandbox.atlas.answers import Body, links_to
from sandbox.atlas.backups import next_snapshot_at
from sandbox.atlas.cluster_answers import zone_id
from sandbox.atlas.model import Cluster
from sandbox.atlas.names import stamp
from sandbox.atlas.policy import BackupPolicy, CopySetting
from sandbox.atlas.snapshot import Snapshot

ShowKey = Callable[[KeyArn], str | None]


def snapshot(known: Snapshot, now: datetime, show_key: ShowKey) -> Body:
    """A snapshot; what is not known before it has completed is absent until then, as in recorded answers."""
    kind = "shardedCluster" if known.sharded else ""
    path = f"/groups/{known.project_id}/clusters/{known.cluster_name}/backup/snapshots/{kind}"
    status = known.status(now)
    body: Body = {
        "description": known.description,
        "expiresAt": stamp(known.expiry(now)),
        "frequencyType": known.frequency,
        "id": known.snapshot_id,
        "links": links_to(f"{path.rstrip('/')}/{known.snapshot_id}"),
        "policyItems": [],
        "snapshotType": _type(known),
        "status": status,
        "storageSizeBytes": 0,
        "type": "shardedCluster" if known.sharded else "replicaSet",
    }
    body |= (
        _members(known)
        if known.sharded
        else {"copyRegions": _copy_regions(known, now), "replicaSetName": known.cluster_name}
    )
    if status == "completed":
        body |= _completed(known, show_key)
    return body


def _type(known: Snapshot) -> str:
    if known.fallback:
        return "fallback"
    return "onDemand" if known.on_demand else "scheduled"


def _copy_regions(known: Snapshot, now: datetime) -> list[str]:
    return [copy.region for copy in known.copies if now < (copy.expires_at or known.expires_at)]


def _completed(known: Snapshot, show_key: ShowKey) -> Body:
    body: Body = {
        "createdAt": stamp(known.requested_at),
        "mongodVersion": "8.0.29",
        "storageSizeBytes": 1582854144,
    }
    if not known.sharded:
        body["cloudProvider"] = "AWS"
    shown = None if known.sealed is None else show_key(known.sealed.cmk.arn)
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
        "copyPolicyItemsEnabled": any(one.keep for one in known.schedule.copies),
        "copySettings": [_copy_setting(one, known) for one in known.schedule.copies],
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


def _copy_setting(setting: CopySetting, known: Cluster) -> Body:
    items = [
        {"frequencyType": kind, "retentionUnit": "days", "retentionValue": max(1, round(keep / timedelta(days=1)))}
        for kind, keep in setting.keep
    ]
    body: Body = {
        "cloudProvider": "AWS",
        "regionName": setting.region,
        "shouldCopyOplogs": setting.oplogs,
        "zoneId": zone_id(known),
    }
    return body | ({"copyPolicyItems": items} if items else {"frequencies": ["HOURLY", "DAILY", "WEEKLY", "MONTHLY"]})
