"""What the API shows of restores and exports."""

from datetime import datetime

from sandbox.atlas.answers import Body, links_to
from sandbox.atlas.jobs_model import ExportJob, RestoreJob
from sandbox.atlas.model import Cluster
from sandbox.atlas.names import stamp


def restore_job(known: RestoreJob, cluster: Cluster, now: datetime) -> Body:
    """A restore; when it began it does not say, and `timestamp` is the moment that it restores."""
    over = known.over(now)
    path = f"/groups/{cluster.project_id}/clusters/{cluster.name}/backup/restoreJobs/{known.job_id}"
    body: Body = {
        "cancelled": known.cancelled,
        "deliveryType": known.delivery,
        "deliveryUrl": [],
        "desiredTimestamp": {"date": None, "increment": None},
        "expired": False,
        "failed": over and known.failed,
        "id": known.job_id,
        "links": links_to(path),
        "timestamp": stamp(known.point_in_time or known.began_at),
    }
    if over:
        body["finishedAt"] = stamp(known.ends_at)
    if known.snapshot_id is not None:
        body["snapshotId"] = known.snapshot_id
    if known.point_in_time is not None:
        body["pointInTimeUTCSeconds"] = int(known.point_in_time.timestamp())
    if known.target_cluster is not None:
        body |= {"targetClusterName": known.target_cluster, "targetGroupId": known.target_project}
    return body


def export_job(known: ExportJob, cluster: Cluster, now: datetime) -> Body:
    """An export."""
    state = known.state(now)
    where = f"exported_snapshots/{cluster.project_id}/{cluster.name}/{known.created_at:%Y-%m-%dT%H%M}"
    body: Body = {
        "createdAt": stamp(known.created_at),
        "customData": [],
        "exportBucketId": known.bucket_id,
        "exportStatus": {"exportedCollections": 0, "totalCollections": 0},
        "id": known.job_id,
        "prefix": f"{where}/{int(known.created_at.timestamp())}",
        "snapshotId": known.snapshot_id,
        "state": state,
    }
    return body | ({"finishedAt": stamp(known.ends_at)} if state in {"Successful", "Failed"} else {})
