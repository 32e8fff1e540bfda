"""Every answer recorded from Atlas, of an operation that Keyturn uses, is understood when it comes over HTTP.

Bodies recorded one by one (a cluster, a snapshot) are also shown as the one item of a list. None of the
recordings is about encryption: those answers are made from the documented fields, in the other tests.
"""

import json
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path

import pytest
from atlas_stand_in import API, Pace, Reply, StandIn, a_page, a_session
from fake_atlas import ORGANIZATION, PROJECT

from chalicelib.adapters import atlas_calls
from chalicelib.adapters.atlas import AtlasReader
from chalicelib.adapters.atlas_calls import Operation
from chalicelib.domain.observed import Encryption
from chalicelib.usecases.ports import NotFound, OutsideError, PermanentError, TemporaryError

FOLDER = Path(__file__).parents[2] / "shared" / "atlas" / "recordings"
RECORDINGS = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
HOP_BY_HOP = {"content-length", "content-type", "date", "connection", "transfer-encoding", "content-encoding"}

pytestmark = pytest.mark.skipif(not RECORDINGS, reason="the recordings of Atlas are not beside this checkout")

LISTS = {
    "listGroups": lambda reader, ids: list(reader.projects()),
    "listGroupClusters": lambda reader, ids: list(reader.clusters(ids[0], deleted_too=False)),
    "listGroupClusterBackupSnapshots": lambda reader, ids: list(reader.snapshots(*ids)),
    "listGroupClusterBackupRestoreJobs": lambda reader, ids: list(reader.restore_jobs(*ids)),
}
SINGLES = {
    "listGroupCloudProviderAccess": lambda reader, ids: reader.roles(*ids),
    "getGroupClusterBackupSchedule": lambda reader, ids: reader.backup_schedule(*ids),
}
ALERTS = ("listGroupAlerts", "acknowledgeGroupAlert")
CONFIGURATIONS = ("getGroupAlertConfig", "updateGroupAlertConfig")
CLUSTERS = {"getGroupCluster", "createGroupCluster", "updateGroupCluster"}
SNAPSHOTS = {"getGroupClusterBackupSnapshot", "takeGroupClusterBackupSnapshots"}


def recorded(*operations, good=True):
    """The names of the recordings of these operations (all operations when none is named)."""
    chosen = [
        name
        for name, recording in RECORDINGS.items()
        if (not operations or recording["operationId"] in operations) and (recording["status"] < 400) is good
    ]
    return chosen or [pytest.param("none", marks=pytest.mark.skip(reason="no such recording here"))]


@pytest.fixture
def atlas():
    with StandIn() as stand_in:
        yield stand_in


@pytest.fixture
def reader(atlas):
    return AtlasReader(a_session(atlas, Pace()), ORGANIZATION)


def reply(recording):
    headers = {k: v for k, v in (recording["headers"] or {}).items() if k.lower() not in HOP_BY_HOP}
    return Reply(status=recording["status"], body=recording["body"], headers=headers)


def ids_in(path):
    parts = path.removeprefix(f"{API}/").split("/")
    return [parts[i + 1] for i in range(0, len(parts) - 1, 2) if parts[i] in {"groups", "clusters"}]


@pytest.mark.parametrize("name", recorded(*LISTS))
def test_a_recorded_list_is_read_whole(atlas, name):
    recording = RECORDINGS[name]
    organizations = {row.get("orgId", ORGANIZATION) for row in recording["body"]["results"]}
    reader = AtlasReader(a_session(atlas, Pace()), organizations.pop())
    atlas.on(recording["path"], reply(recording))

    items = LISTS[recording["operationId"]](reader, ids_in(recording["path"]))

    assert len(items) == len(recording["body"]["results"]) == recording["body"]["totalCount"]


@pytest.mark.parametrize("name", recorded(*SINGLES))
def test_a_recorded_answer_is_understood(atlas, reader, name):
    recording = RECORDINGS[name]
    atlas.on(recording["path"], reply(recording))

    assert SINGLES[recording["operationId"]](reader, ids_in(recording["path"]))


@pytest.mark.parametrize("name", recorded(*CLUSTERS))
def test_a_recorded_cluster_is_understood_in_a_list(atlas, reader, name):
    body = RECORDINGS[name]["body"]
    atlas.on(f"/groups/{PROJECT}/clusters", Reply(body=a_page([body], total=1)))

    (cluster,) = reader.clusters(PROJECT, deleted_too=True)

    assert (cluster.name, cluster.cluster_id, cluster.state) == (body["name"], body["id"], body["stateName"])
    assert cluster.encryption is Encryption.NONE
    assert cluster.tier in {"M0", "M10", "M30"}
    assert all(region.islower() and "-" in region for region in cluster.regions)


@pytest.mark.parametrize("name", recorded(*SNAPSHOTS))
def test_a_recorded_snapshot_is_understood_in_a_list(atlas, reader, name):
    body = RECORDINGS[name]["body"]
    atlas.on(f"/groups/{PROJECT}/clusters/main/backup/snapshots", Reply(body=a_page([body], total=1)))

    (snapshot,) = reader.snapshots(PROJECT, "main")

    assert (snapshot.snapshot_id, snapshot.status) == (body["id"], body["status"])
    assert (snapshot.key, snapshot.on_demand, snapshot.copied) == (None, True, False)


@pytest.mark.parametrize("name", recorded("getGroupClusterBackupRestoreJob"))
def test_a_recorded_restore_is_understood_in_a_list(atlas, reader, name):
    body = RECORDINGS[name]["body"]
    atlas.on(f"/groups/{PROJECT}/clusters/main/backup/restoreJobs", Reply(body=a_page([body], total=1)))

    (job,) = reader.restore_jobs(PROJECT, "main")

    assert (job.job_id, job.snapshot_id, job.delivery) == (body["id"], body["snapshotId"], body["deliveryType"])
    assert (job.target_project, job.target_cluster) == (body["targetGroupId"], body["targetClusterName"])
    assert (job.running, job.created_at) == (False, None)
    assert job.finished_at.isoformat() == body["finishedAt"].replace("Z", "+00:00")


@pytest.mark.parametrize("name", recorded("getGroupClusterBackupExport", "createGroupClusterBackupExport"))
def test_a_recorded_export_is_understood_in_a_list(atlas, reader, name):
    body = RECORDINGS[name]["body"]
    atlas.on(f"/groups/{PROJECT}/clusters/main/backup/exports", Reply(body=a_page([body], total=1)))

    (job,) = reader.export_jobs(PROJECT, "main")

    assert (job.job_id, job.snapshot_id, job.state) == (body["id"], body["snapshotId"], body["state"])
    assert job.running is ("finishedAt" not in body)


@pytest.mark.parametrize("name", recorded("listGroupEvents"))
def test_recorded_events_are_understood(atlas, reader, name):
    recording = RECORDINGS[name]
    atlas.on(recording["path"], reply(recording))

    events = list(reader.events(*ids_in(recording["path"]), types=(), since=datetime(2026, 8, 1, tzinfo=UTC)))

    shown = recording["body"]["results"]
    assert [event.type for event in events] == [row["eventTypeName"] for row in shown]
    assert [event.cluster for event in events] == [row.get("clusterName") for row in shown]


@pytest.mark.parametrize("name", recorded("listGroupAlertConfigs"))
def test_a_recorded_page_of_alert_configurations_is_understood(atlas, reader, name):
    recording = RECORDINGS[name]
    first = recording["body"]
    missing = first["totalCount"] - len(first["results"])
    second = deepcopy(first)
    second["links"] = [link for link in first["links"] if link["rel"] != "next"]
    second["results"] = [{**row, "id": f"{n:024x}"} for n, row in enumerate(first["results"][:missing])]
    atlas.on(recording["path"], lambda asked: Reply(body=first if asked.query["pageNum"] == "1" else second))

    days = reader.alert_threshold_days(*ids_in(recording["path"]))

    named = [row for row in first["results"] if row.get("eventTypeName") == "AWS_ENCRYPTION_KEY_NEEDS_ROTATION"]
    assert days == min((row["threshold"]["threshold"] for row in named if row["enabled"]), default=None)


@pytest.mark.parametrize("name", recorded("listGroupAlertConfigs"))
def test_a_recorded_first_page_alone_is_not_taken_for_the_whole(atlas, reader, name):
    recording = RECORDINGS[name]
    atlas.on(recording["path"], reply(recording))

    with pytest.raises(TemporaryError):
        reader.alert_threshold_days(*ids_in(recording["path"]))


@pytest.mark.parametrize("name", recorded(*CONFIGURATIONS))
def test_a_recorded_configuration_goes_back_whole_but_for_its_threshold(atlas, reader, name):
    # No configuration that was recorded alone has a threshold; this is the documented form of one.
    path, shown = RECORDINGS[name]["path"], deepcopy(RECORDINGS[name]["body"])
    shown["threshold"] = {"operator": "GREATER_THAN", "threshold": 90, "units": "DAYS"}
    atlas.on(path, Reply(body=shown))
    atlas.on(path, reply(RECORDINGS[name]), method="PUT")

    reader.set_alert_threshold(*ids_in(path), shown["id"], 365)

    (sent,) = atlas.requests(path, "PUT")
    assert json.loads(sent.body) == {**shown, "threshold": {**shown["threshold"], "threshold": 365}}


@pytest.mark.parametrize("name", recorded(*CONFIGURATIONS))
def test_a_recorded_configuration_that_has_no_threshold_is_not_given_one(atlas, reader, name):
    path = RECORDINGS[name]["path"]
    atlas.on(path, reply(RECORDINGS[name]))

    with pytest.raises(PermanentError) as problem:
        reader.set_alert_threshold(*ids_in(path), RECORDINGS[name]["body"]["id"], 365)

    assert problem.value.code == "unknown_shape"
    assert not atlas.requests(path, "PUT")


@pytest.mark.parametrize("name", recorded("listGroupAlertConfigs"))
def test_every_recorded_configuration_with_a_threshold_goes_back_whole_but_for_that(atlas, reader, name):
    path = f"{RECORDINGS[name]['path']}/{'e' * 24}"
    with_one = [row for row in RECORDINGS[name]["body"]["results"] if "threshold" in row]
    atlas.on(path, *(Reply(body=row) for row in with_one))
    atlas.on(path, Reply(body={}), method="PUT")

    for _ in with_one:
        reader.set_alert_threshold(*ids_in(path), "e" * 24, 365)

    sent = [json.loads(asked.body) for asked in atlas.requests(path, "PUT")]
    wished = {"threshold": 365, "units": "DAYS"}
    assert sent == [{**row, "threshold": {**row["threshold"], **wished}} for row in with_one]
    assert sent


@pytest.mark.parametrize("name", recorded(*ALERTS))
def test_recorded_alerts_are_understood_as_if_they_were_about_a_key(atlas, reader, name):
    body = deepcopy(RECORDINGS[name]["body"])
    rows = body.get("results") or [body]
    about_a_key = [{**row, "eventTypeName": "AWS_ENCRYPTION_KEY_NEEDS_ROTATION"} for row in rows]
    atlas.on(f"/groups/{PROJECT}/alerts", Reply(body={"links": [], "results": about_a_key}))

    alerts = reader.open_alerts(PROJECT)

    shown = [row for row in rows if "resolved" not in row]
    assert [alert.alert_id for alert in alerts] == [row["id"] for row in shown]
    assert [alert.acknowledged_by for alert in alerts] == [row.get("acknowledgingUsername") for row in shown]


@pytest.mark.parametrize("name", recorded(good=False))
def test_a_recorded_error_is_named_by_its_code(atlas, reader, name):
    recording = RECORDINGS[name]
    atlas.on(f"/groups/{PROJECT}/cloudProviderAccess", reply(recording))

    with pytest.raises(OutsideError) as problem:
        reader.roles(PROJECT)

    assert problem.value.code == recording["body"]["errorCode"]
    assert type(problem.value) is (NotFound if recording["status"] == 404 else PermanentError)


def test_every_operation_in_use_that_was_recorded_is_replayed_here():
    in_use = {one.name for one in vars(atlas_calls).values() if isinstance(one, Operation)}
    recorded_too = in_use & {recording["operationId"] for recording in RECORDINGS.values()}
    replayed = {*LISTS, *SINGLES, *CONFIGURATIONS, *ALERTS, "listGroupAlertConfigs", "listGroupEvents"}

    assert recorded_too == replayed & in_use
