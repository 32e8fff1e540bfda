"""Restores, exports, events, private endpoints and copies, held against the fake and against the adapter over HTTP.

No answer about encryption, copies or private endpoints was ever recorded: these are made from the documented fields.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

import pytest
from atlas_stand_in import API, TOKEN_PATH, Pace, Reply, StandIn, a_page, a_session
from fake_atlas import (
    NOON,
    ORGANIZATION,
    PROJECT,
    FakeAtlas,
    a_cluster,
    a_restore,
    an_event,
    an_export,
    legacy_settings,
)

from chalicelib.adapters.atlas import AtlasReader
from chalicelib.domain.arn import atlas_region
from chalicelib.domain.observed import BackupSchedule, CopySetting, PrivateEndpoint
from chalicelib.usecases.ports import Atlas, NotFound, PermanentError, TemporaryError

GROUP = f"/groups/{PROJECT}"
BACKUP = f"{GROUP}/clusters/main/backup"
RESTORES, EXPORTS, SCHEDULE = (f"{BACKUP}/{tail}" for tail in ("restoreJobs", "exports", "schedule"))
ENDPOINTS = f"{GROUP}/encryptionAtRest/AWS/privateEndpoints"
EVENTS = f"{GROUP}/events"
STARTED, UPDATED = "ENCRYPTION_AT_REST_KEY_ROTATION_STARTED", "CLUSTER_UPDATE_STARTED"


class JobsOverHttp(StandIn):
    """The world of a fake, as far as these lists go, shown as Atlas shows it."""

    def __init__(self, fake):
        super().__init__()
        self.fake = fake
        self.routes = {
            r"/groups/(\w+)/encryptionAtRest/AWS/privateEndpoints": self.endpoints,
            r"/groups/(\w+)/events": self.events,
            r"/groups/(\w+)/clusters/([^/]+)/backup/restoreJobs": self.restores,
            r"/groups/(\w+)/clusters/([^/]+)/backup/exports": self.exports,
        }

    def answer(self, asked):
        if asked.path == TOKEN_PATH:
            return super().answer(asked)
        self.asked.append(asked)
        path = asked.path.removeprefix(API)
        show, found = next((show, m) for route, show in self.routes.items() if (m := re.fullmatch(route, path)))
        project_id, *cluster = found.groups()
        project = self.fake.world.get(project_id)
        if project is None:
            return Reply(status=404, body={"error": 404, "errorCode": "GROUP_NOT_FOUND"})
        if cluster and cluster[0] not in {known.name for known, _ in project.clusters}:
            return Reply(status=404, body={"error": 404, "errorCode": "CLUSTER_NOT_FOUND"})
        rows = show(project, asked, *cluster)
        return Reply(body=a_page(rows, total=len(rows)))

    def endpoints(self, project, asked):
        shown = [{"regionName": atlas_region(e.region), "status": e.status} for e in project.endpoints]
        return [{"id": f"{n:024x}", "cloudProvider": "AWS", **row} for n, row in enumerate(shown)]

    def events(self, project, asked):
        since, types = asked.query["minDate"], asked.query_lists.get("eventType")
        rows = [
            {"id": e.event_id, "eventTypeName": e.type, "created": e.at.isoformat(), "isGlobalAdmin": False}
            | ({"clusterName": e.cluster} if e.cluster else {})
            for e in project.events
        ]
        return [
            row
            for row in rows
            if datetime.fromisoformat(row["created"]) >= datetime.fromisoformat(since)
            and (types is None or row["eventTypeName"] in types)
        ]

    def restores(self, project, asked, cluster):
        return [restore_row(job) for job in project.restores.get(cluster, [])]

    def exports(self, project, asked, cluster):
        jobs = project.exports.get(cluster, [])
        return [{"id": job.job_id, "snapshotId": job.snapshot_id, "state": job.state} for job in jobs]


def restore_row(job):
    return {
        "id": job.job_id,
        "deliveryType": job.delivery,
        "deliveryUrl": [],
        "cancelled": False,
        "expired": False,
        "failed": not job.running and job.finished_at is None,
        **({"snapshotId": job.snapshot_id} if job.snapshot_id else {}),
        **({"targetGroupId": job.target_project} if job.target_project else {}),
        **({"targetClusterName": job.target_cluster} if job.target_cluster else {}),
        **({"finishedAt": job.finished_at.isoformat()} if job.finished_at else {}),
    }


@dataclass(frozen=True)
class Side:
    """One implementation of the port, and the fake whose world it shows."""

    fake: FakeAtlas
    atlas: Atlas


@pytest.fixture(params=["the fake", "the adapter over HTTP"])
def side(request):
    fake = FakeAtlas()
    if request.param == "the fake":
        yield Side(fake, fake)
        return
    with JobsOverHttp(fake) as server:
        yield Side(fake, AtlasReader(a_session(server, Pace()), ORGANIZATION))


READS = {
    "encryptionAtRest/AWS/privateEndpoints": lambda atlas: list(atlas.private_endpoints(PROJECT)),
    "events": lambda atlas: list(atlas.events(PROJECT, types=(), since=NOON)),
    "clusters/main/backup/restoreJobs": lambda atlas: list(atlas.restore_jobs(PROJECT, "main")),
    "clusters/main/backup/exports": lambda atlas: list(atlas.export_jobs(PROJECT, "main")),
}


def test_it_shows_the_private_endpoints(side):
    endpoints = [PrivateEndpoint(region="us-east-1", status="ACTIVE"), PrivateEndpoint(region="eu-west-1", status="X")]
    side.fake.add(endpoints=endpoints)

    assert side.atlas.private_endpoints(PROJECT) == tuple(endpoints)


def test_it_lists_restore_jobs_however_they_go(side):
    jobs = [
        a_restore(1),
        a_restore(2, running=False, finished_at=NOON),
        a_restore(3, running=False),
        a_restore(4, delivery="pointInTime", snapshot_id=None),
        a_restore(5, delivery="download", target_project=None, target_cluster=None),
    ]
    side.fake.add(restores={"main": jobs})

    assert list(side.atlas.restore_jobs(PROJECT, "main")) == jobs


def test_it_lists_export_jobs_however_they_go(side):
    ended = [an_export(n, state=state, running=False) for n, state in enumerate(("Successful", "Failed", "Cancelled"))]
    going = [an_export(n, state=state) for n, state in enumerate(("Queued", "InProgress", "SomethingNew"), start=3)]
    side.fake.add(exports={"main": [*ended, *going]})

    assert list(side.atlas.export_jobs(PROJECT, "main")) == [*ended, *going]


def test_it_lists_events_of_the_wanted_types_only(side):
    started, updated = an_event(1), an_event(2, type=UPDATED, cluster="main")
    side.fake.add(events=[started, updated, an_event(3, type="OTHER")])

    assert list(side.atlas.events(PROJECT, types=(STARTED, UPDATED), since=NOON)) == [started, updated]
    assert list(side.atlas.events(PROJECT, types=(UPDATED,), since=NOON)) == [updated]
    assert len(list(side.atlas.events(PROJECT, types=(), since=NOON))) == 3


def test_it_lists_events_from_the_wanted_second_on(side):
    early, late = an_event(1, at=NOON - timedelta(seconds=1)), an_event(2)
    side.fake.add(events=[late, early])
    in_another_zone = (NOON + timedelta(microseconds=900)).astimezone(timezone(timedelta(hours=5)))

    assert list(side.atlas.events(PROJECT, types=(STARTED,), since=in_another_zone)) == [late]


@pytest.mark.parametrize("tail", READS)
def test_nothing_there_is_an_empty_list(side, tail):
    side.fake.add()

    assert READS[tail](side.atlas) == []


@pytest.mark.parametrize("tail", READS)
def test_a_project_that_is_not_there_is_not_found(side, tail):
    with pytest.raises(NotFound, match=PROJECT) as problem:
        READS[tail](side.atlas)

    assert (problem.value.call, problem.value.code) == (f"GET /groups/{PROJECT}/{tail}", "GROUP_NOT_FOUND")


@pytest.mark.parametrize("tail", [tail for tail in READS if "main" in tail])
def test_jobs_of_a_cluster_that_is_not_there_are_not_found_and_never_none(side, tail):
    side.fake.add(clusters=[(a_cluster("other"), False)])

    with pytest.raises(NotFound) as problem:
        READS[tail](side.atlas)

    assert (problem.value.call, problem.value.code) == (f"GET /groups/{PROJECT}/{tail}", "CLUSTER_NOT_FOUND")


def test_the_fake_can_fail_each_of_these_calls():
    fake = FakeAtlas()
    fake.add()
    for call in ("private_endpoints", "events", "restore_jobs", "export_jobs"):
        fake.fail(call, TemporaryError("not now", call=call))

    for read in READS.values():
        with pytest.raises(TemporaryError):
            read(fake)

    assert [read(fake) for read in READS.values()] == [[]] * 4


@pytest.fixture
def atlas():
    with StandIn() as stand_in:
        yield stand_in


@pytest.fixture
def reader(atlas):
    return AtlasReader(a_session(atlas, Pace()), ORGANIZATION)


PATHS = {"private_endpoints": ENDPOINTS, "events": EVENTS, "restore_jobs": RESTORES, "export_jobs": EXPORTS}
READERS = dict(zip(PATHS.values(), READS.values(), strict=True))
ROWS = {
    ENDPOINTS: {"regionName": "US_EAST_1", "status": "ACTIVE"},
    EVENTS: {"eventTypeName": STARTED, "created": "2026-03-01T12:00:00Z"},
    RESTORES: {"deliveryType": "automated"},
    EXPORTS: {"state": "Queued"},
}


@pytest.mark.parametrize("path", ROWS)
def test_each_list_is_read_to_its_last_page_and_once_more(atlas, reader, path):
    def page(asked):
        number = int(asked.query["pageNum"])
        return Reply(body=a_page([{"id": f"{number:024x}", **ROWS[path]}], total=2, goes_on=number < 2))

    atlas.on(path, page)

    assert len(READERS[path](reader)) == 2
    assert [asked.query["pageNum"] for asked in atlas.requests(path)] == ["1", "2", "1", "2"]
    assert {asked.headers["accept"] for asked in atlas.requests(path)} == {"application/vnd.atlas.2023-01-01+json"}


@pytest.mark.parametrize(
    ("path", "missing"),
    [(path, name) for path, row in ROWS.items() for name in ("id", *row) if name != "state"],
)
def test_a_row_without_what_decides_is_an_error(atlas, reader, path, missing):
    row = {"id": "1" * 24, **ROWS[path]}
    atlas.on(path, Reply(body=a_page([{name: value for name, value in row.items() if name != missing}])))

    with pytest.raises(PermanentError, match="shape"):
        READERS[path](reader)


@pytest.mark.parametrize("path", ROWS)
def test_a_list_shorter_than_its_count_is_an_error(atlas, reader, path):
    atlas.on(path, Reply(body=a_page([{"id": "1" * 24, **ROWS[path]}], total=2)))

    with pytest.raises(TemporaryError, match="counts 2 items and showed 1"):
        READERS[path](reader)


@pytest.mark.parametrize(
    ("path", "role"),
    [
        (ENDPOINTS, "Project Owner"),
        (EVENTS, "Project Read Only"),
        (RESTORES, "Project Backup Manager"),
        (EXPORTS, "Project Backup Manager"),
    ],
)
def test_a_refused_list_names_the_role_that_may_read_it(atlas, reader, path, role):
    atlas.on(path, Reply(status=401, body={"error": 401, "errorCode": "USER_UNAUTHORIZED"}))

    with pytest.raises(PermanentError, match=f"the role {role} in project"):
        READERS[path](reader)


def test_a_query_for_events_names_each_type_and_the_moment(atlas, reader):
    atlas.on(EVENTS, Reply(body=a_page([])))

    list(reader.events(PROJECT, types=(STARTED, "A&B=C"), since=NOON))

    (asked,) = atlas.requests(EVENTS)
    assert (asked.query_lists["eventType"], asked.query["minDate"]) == ([STARTED, "A&B=C"], "2026-03-01T12:00:00Z")


@pytest.mark.parametrize(
    ("fields", "running"),
    [
        ({}, True),
        ({"failed": None, "cancelled": None, "expired": None, "finishedAt": None}, True),
        ({"finishedAt": "2026-03-01T12:00:00Z"}, False),
        ({"failed": True}, False),
        ({"cancelled": True}, False),
        ({"expired": True}, False),
    ],
)
def test_a_restore_runs_until_atlas_says_that_it_is_over(atlas, reader, fields, running):
    atlas.on(RESTORES, Reply(body=a_page([{"id": "1" * 24, "deliveryType": "automated", **fields}])))

    (job,) = reader.restore_jobs(PROJECT, "main")

    assert job.running is running


def test_the_time_of_the_snapshot_is_not_taken_for_the_time_of_the_restore(atlas, reader):
    row = {"id": "1" * 24, "deliveryType": "automated", "timestamp": "2026-01-01T00:00:00Z"}
    atlas.on(RESTORES, Reply(body=a_page([row])))

    (job,) = reader.restore_jobs(PROJECT, "main")

    assert job.created_at is None


def test_an_export_that_does_not_say_its_state_runs(atlas, reader):
    atlas.on(EXPORTS, Reply(body=a_page([{"id": "1" * 24}])))

    (job,) = reader.export_jobs(PROJECT, "main")

    assert (job.running, job.snapshot_id) == (True, None)


def kept(value, unit, kind="daily"):
    return {"frequencyType": kind, "retentionValue": value, "retentionUnit": unit}


def copies_shown(atlas, reader, *settings):
    atlas.on(SCHEDULE, Reply(body={"clusterId": "d" * 24, "copySettings": list(settings)}))
    return reader.backup_schedule(PROJECT, "main")


@pytest.mark.parametrize(
    ("items", "longest"),
    [
        ([kept(7, "days")], 7),
        ([kept(4, "weeks", "weekly")], 28),
        ([kept(12, "months", "monthly")], 372),
        ([kept(1, "years", "yearly")], 366),
        ([kept(7, "days"), kept(2, "months", "monthly"), {"frequencyType": "ondemand"}], 62),
        ([{"frequencyType": "ondemand"}], None),
        ([], None),
        (None, None),
    ],
)
def test_the_longest_own_retention_of_copies_counts_months_and_years_at_their_longest(atlas, reader, items, longest):
    setting = {"cloudProvider": "AWS", "regionName": "US_EAST_1", "zoneId": "z", "copyPolicyItems": items}

    schedule = copies_shown(atlas, reader, setting)

    assert schedule.copies == (CopySetting(region="us-east-1", longest_retention_days=longest),)


def test_each_setting_for_copies_is_shown_and_each_region_counted_once(atlas, reader):
    one = {"cloudProvider": "AWS", "regionName": "US_EAST_1", "zoneId": "1"}

    schedule = copies_shown(atlas, reader, one, {**one, "zoneId": "2", "copyPolicyItems": [kept(9, "days")]}, {})

    assert [(c.region, c.longest_retention_days) for c in schedule.copies] == [
        ("us-east-1", None),
        ("us-east-1", 9),
        ("unknown", None),
    ]
    assert schedule.copy_regions == 2


def test_a_region_of_another_cloud_keeps_its_name(atlas, reader):
    schedule = copies_shown(atlas, reader, {"cloudProvider": "AZURE", "regionName": "US_EAST_2"})

    assert schedule.copies[0].region == "US_EAST_2"


@pytest.mark.parametrize("item", [kept(3, "moons"), kept(None, "days"), kept(3, None)])
def test_a_retention_of_copies_that_is_not_understood_is_an_error(atlas, reader, item):
    with pytest.raises(PermanentError, match="copies are kept for"):
        copies_shown(atlas, reader, {"cloudProvider": "AWS", "regionName": "US_EAST_1", "copyPolicyItems": [item]})


def test_a_schedule_without_copies_has_none():
    assert BackupSchedule(cluster_id=None, restore_window_days=7).copies == ()


@pytest.mark.parametrize(
    ("shown", "known"), [("AKIA0123456789012345", "AKIA0123456789012345"), ("", None), (None, None)]
)
def test_the_settings_name_the_access_key_of_a_legacy_project(atlas, reader, shown, known):
    expected = legacy_settings(access_key_id=known, legacy_access_key=known is not None)
    block = {"enabled": True, "customerMasterKeyID": expected.key, "region": "EU_WEST_1", "valid": True}
    atlas.on(f"{GROUP}/encryptionAtRest", Reply(body={"awsKms": {**block, "accessKeyID": shown}}))

    assert reader.settings(PROJECT) == expected
