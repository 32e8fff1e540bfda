"""The ports Atlas and AtlasOwner, held against the fake that the verbs are tested with and against the adapter.

The adapter speaks over HTTP to a pretend Atlas that has the same world as the fake.
"""

from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from fake_atlas import (
    ACCESS_KEY_ID,
    ACKNOWLEDGED_BY,
    CONFIGURATION,
    CREDENTIALS,
    NOON,
    ORGANIZATION,
    PROJECT,
    READER,
    ROLE_ARN,
    ROLE_ID,
    FakeAtlas,
    a_cluster,
    a_key,
    a_restore,
    a_role,
    a_snapshot,
    an_alert,
    an_event,
    an_export,
    legacy_settings,
    some_settings,
)
from pretend_atlas_mirror import EasyKms, Mirrored

from chalicelib.domain.observed import (
    AlertThreshold,
    AtlasProject,
    BackupSchedule,
    CopySetting,
    Encryption,
    PrivateEndpoint,
    Settings,
)
from chalicelib.usecases.ports import Atlas, AtlasOwner, NotFound, PermanentError, TemporaryError
from sandbox.atlas import AtlasWorld, PretendAtlas
from sandbox.atlas.operation import OWNER

OLD, NEW = a_key(1), a_key(2)


@dataclass(frozen=True)
class Side:
    """One implementation of the ports and the world behind it, to be arranged by the tests."""

    fake: FakeAtlas
    atlas: Atlas
    owner: AtlasOwner


@pytest.fixture(params=["the fake", "the adapter on the pretend Atlas"])
def side(request):
    if request.param == "the fake":
        fake = FakeAtlas()
        yield Side(fake, fake, fake)
        return
    kms = EasyKms()
    world = AtlasWorld(lambda: NOON, kms, users=kms, organization=ORGANIZATION)
    with PretendAtlas(world) as server:
        server.reader_roles.add(OWNER)
        yield Mirrored(server, kms)


def test_it_names_its_organization(side):
    assert side.atlas.organization == ORGANIZATION


def test_it_lists_every_project(side):
    side.fake.add(name="payments")
    side.fake.add("f" * 24, name="search")

    projects = list(side.atlas.projects())

    assert projects == [
        AtlasProject(project_id=PROJECT, name="payments", organization=ORGANIZATION),
        AtlasProject(project_id="f" * 24, name="search", organization=ORGANIZATION),
    ]


@pytest.mark.parametrize(
    "settings",
    [
        some_settings(OLD),
        some_settings(OLD, valid=False),
        some_settings(OLD, private_networking=True),
        legacy_settings(OLD),
        Settings(enabled=False),
    ],
)
def test_it_shows_the_settings(side, settings):
    side.fake.add(settings=settings)

    assert side.atlas.settings(PROJECT) == settings


def test_it_shows_the_roles(side):
    side.fake.add(roles=[a_role(), a_role(role_id="f" * 24, arn=None, used_for_encryption=False)])

    used, waiting = side.atlas.roles(PROJECT)

    assert (used.role_id, used.arn, used.used_for_encryption) == (ROLE_ID, ROLE_ARN, True)
    assert (waiting.arn, waiting.used_for_encryption) == (None, False)


def test_it_lists_deleted_clusters_only_when_asked(side):
    there = a_cluster("main", kind="SHARDED", paused=True, encryption=Encryption.NONE, point_in_time=True)
    gone = a_cluster("old", backups=False, tier="M30", regions=("us-east-1", "eu-west-1"))
    project = side.fake.add(clusters=[(there, False), (gone, True)])
    project.snapshots["old"] = [a_snapshot(1)]

    assert list(side.atlas.clusters(PROJECT, deleted_too=False)) == [there]
    assert list(side.atlas.clusters(PROJECT, deleted_too=True)) == [there, gone]


def test_it_lists_both_kinds_of_snapshots(side):
    making = replace(a_snapshot(1, status="queued", created_at=None, on_demand=True), key=None)
    project = side.fake.add()
    project.snapshots["main"] = [a_snapshot(2, OLD), making]
    project.sharded["main"] = [a_snapshot(3, NEW, expires_at=NOON + timedelta(days=400))]

    assert list(side.atlas.snapshots(PROJECT, "main")) == [a_snapshot(2, OLD), making]
    assert list(side.atlas.sharded_snapshots(PROJECT, "main")) == project.sharded["main"]


def test_it_shows_which_snapshots_have_copies_elsewhere(side):
    project = side.fake.add()
    project.snapshots["main"] = [a_snapshot(2, copied=True), a_snapshot(1)]

    assert list(side.atlas.snapshots(PROJECT, "main")) == project.snapshots["main"]


def test_it_lists_the_snapshots_of_a_deleted_cluster(side):
    project = side.fake.add(clusters=[(a_cluster("old"), True)])
    project.snapshots["old"] = [a_snapshot(1)]

    assert list(side.atlas.snapshots(PROJECT, "old")) == [a_snapshot(1)]


def test_a_cluster_without_snapshots_has_two_empty_lists(side):
    side.fake.add()

    assert list(side.atlas.snapshots(PROJECT, "main")) == []
    assert list(side.atlas.sharded_snapshots(PROJECT, "main")) == []


def test_it_shows_the_backup_schedule(side):
    project = side.fake.add(clusters=[(a_cluster(cluster_id="d" * 24), False)])
    copies = (
        CopySetting(region="eu-west-3", longest_retention_days=90),
        CopySetting(region="us-west-2", longest_retention_days=None),
    )
    project.schedules["main"] = BackupSchedule(
        cluster_id="d" * 24, restore_window_days=3, copy_regions=2, copies=copies
    )

    assert side.atlas.backup_schedule(PROJECT, "main") == project.schedules["main"]


def test_it_lists_restores_and_exports_with_whether_they_run(side):
    project = side.fake.add()
    over = a_restore(1, running=False, finished_at=NOON)
    anywhen = a_restore(2, snapshot_id=None, delivery="pointInTime")
    project.restores["main"] = [over, anywhen]
    project.exports["main"] = [
        an_export(1),
        an_export(2, state="Queued"),
        an_export(3, state="Successful", running=False),
    ]

    assert sorted(side.atlas.restore_jobs(PROJECT, "main"), key=lambda job: job.job_id) == [over, anywhen]
    exports = sorted(side.atlas.export_jobs(PROJECT, "main"), key=lambda job: job.job_id)
    assert exports == project.exports["main"]


def test_it_shows_events_of_the_types_asked_for_and_no_older_ones(side):
    early, late = an_event(1, at=NOON - timedelta(days=1)), an_event(2, at=NOON)
    other = an_event(3, type="CLUSTER_DELETED", cluster="main", at=NOON)
    side.fake.add(events=[early, late, other])

    everything = sorted(
        side.atlas.events(PROJECT, types=(), since=NOON - timedelta(days=2)), key=lambda one: one.event_id
    )

    assert everything == [early, late, other]
    assert list(side.atlas.events(PROJECT, types=(late.type,), since=NOON)) == [late]
    both = side.atlas.events(PROJECT, types=(late.type, other.type), since=NOON)
    assert sorted(both, key=lambda one: one.event_id) == [late, other]


def test_it_shows_the_private_endpoints(side):
    endpoints = [
        PrivateEndpoint(region="us-east-1", status="ACTIVE"),
        PrivateEndpoint(region="eu-west-1", status="FAILED"),
    ]
    side.fake.add(endpoints=endpoints)

    assert list(side.atlas.private_endpoints(PROJECT)) == endpoints


@pytest.mark.parametrize("days", [90, None])
def test_it_shows_after_how_many_days_atlas_nags(side, days):
    side.fake.add(threshold=days)

    assert side.atlas.alert_threshold_days(PROJECT) == days
    shown = [AlertThreshold(configuration_id=CONFIGURATION, days=days)] if days else []
    assert list(side.atlas.alert_thresholds(PROJECT)) == shown


def test_the_days_after_which_atlas_nags_can_be_set(side):
    side.fake.add(threshold=90)

    side.atlas.set_alert_threshold(PROJECT, CONFIGURATION, 120)

    assert side.atlas.alert_threshold_days(PROJECT) == 120


@pytest.mark.parametrize("until", [None, NOON + timedelta(days=3)])
def test_it_shows_the_alerts_that_are_not_closed_and_who_acknowledged_them(side, until):
    who = {"acknowledged_until": until, "acknowledged_by": ACKNOWLEDGED_BY, "comment": "in May"} if until else {}
    side.fake.add(alerts=[an_alert(**who)])

    assert list(side.atlas.open_alerts(PROJECT)) == [an_alert(**who)]


def test_an_alert_can_be_acknowledged_until_a_second(side):
    side.fake.add(alerts=[an_alert()])
    until = NOON + timedelta(days=90)

    side.atlas.acknowledge_alert(PROJECT, an_alert().alert_id, until=until, comment="rotated")

    (alert,) = side.atlas.open_alerts(PROJECT)
    assert (alert.acknowledged_until, alert.acknowledged_by, alert.comment) == (until, ACKNOWLEDGED_BY, "rotated")


def test_an_alert_that_is_not_there_cannot_be_acknowledged(side):
    side.fake.add()

    with pytest.raises(NotFound) as problem:
        side.atlas.acknowledge_alert(PROJECT, "9" * 24, until=NOON, comment="")

    assert problem.value.code == "ALERT_NOT_FOUND"


def test_it_shows_when_the_secrets_of_a_service_account_expire(side):
    side.fake.expiries[READER] = (NOON + timedelta(days=20),)

    assert side.atlas.secret_expiries(READER) == (NOON + timedelta(days=20),)


def test_a_service_account_that_is_not_there_is_not_found(side):
    with pytest.raises(NotFound) as problem:
        side.atlas.secret_expiries("mdb_sa_id_nobody")

    assert problem.value.call == f"GET /orgs/{ORGANIZATION}/serviceAccounts/mdb_sa_id_nobody"


READS = {
    "encryptionAtRest": lambda atlas: atlas.settings(PROJECT),
    "cloudProviderAccess": lambda atlas: atlas.roles(PROJECT),
    "clusters": lambda atlas: list(atlas.clusters(PROJECT, deleted_too=True)),
    "alerts": lambda atlas: atlas.open_alerts(PROJECT),
    "alertConfigs": lambda atlas: atlas.alert_threshold_days(PROJECT),
    "clusters/main/backup/snapshots": lambda atlas: list(atlas.snapshots(PROJECT, "main")),
    "clusters/main/backup/snapshots/shardedClusters": lambda atlas: list(atlas.sharded_snapshots(PROJECT, "main")),
    "clusters/main/backup/schedule": lambda atlas: atlas.backup_schedule(PROJECT, "main"),
    "clusters/main/backup/restoreJobs": lambda atlas: list(atlas.restore_jobs(PROJECT, "main")),
    "clusters/main/backup/exports": lambda atlas: list(atlas.export_jobs(PROJECT, "main")),
    "encryptionAtRest/AWS/privateEndpoints": lambda atlas: atlas.private_endpoints(PROJECT),
    "events": lambda atlas: list(atlas.events(PROJECT, types=(), since=NOON)),
}


@pytest.mark.parametrize("tail", READS)
def test_a_project_that_is_not_there_is_not_found(side, tail):
    with pytest.raises(NotFound, match=PROJECT) as problem:
        READS[tail](side.atlas)

    assert (problem.value.call, problem.value.code) == (f"GET /groups/{PROJECT}/{tail}", "GROUP_NOT_FOUND")


@pytest.mark.parametrize("tail", [tail for tail in READS if "main" in tail])
def test_a_cluster_that_is_not_there_is_not_found_and_never_empty(side, tail):
    side.fake.add(clusters=[])

    with pytest.raises(NotFound, match=PROJECT) as problem:
        READS[tail](side.atlas)

    assert (problem.value.call, problem.value.code) == (f"GET /groups/{PROJECT}/{tail}", "CLUSTER_NOT_FOUND")


def test_a_swap_changes_the_key_and_keeps_the_rest(side):
    before = some_settings(OLD, private_networking=True)
    side.fake.add(settings=before)

    side.owner.swap_key(PROJECT, NEW, settings=before, role_id=ROLE_ID)

    assert side.atlas.settings(PROJECT) == some_settings(NEW, private_networking=True)


def test_a_swap_to_another_region_and_account_changes_both(side):
    side.fake.add(settings=some_settings(OLD), roles=[a_role(), a_role(role_id="f" * 24)])
    abroad = a_key(3, region="us-east-1", account="999988887777")

    side.owner.swap_key(PROJECT, abroad, settings=some_settings(OLD), role_id="f" * 24)

    assert side.atlas.settings(PROJECT) == some_settings(abroad, role_id="f" * 24)


@pytest.mark.parametrize(
    ("shown", "code"),
    [
        (Settings(enabled=False), "not_enabled"),
        (some_settings(OLD, valid=False), "current_key_invalid"),
        (some_settings(OLD, valid=None), "current_key_invalid"),
    ],
)
def test_no_swap_happens_over_settings_that_are_not_enabled_and_valid(side, shown, code):
    side.fake.add(settings=shown)

    with pytest.raises(PermanentError) as problem:
        side.owner.swap_key(PROJECT, NEW, settings=shown, role_id=ROLE_ID)

    assert problem.value.code == code
    assert side.atlas.settings(PROJECT) == shown


def test_an_old_project_takes_the_credentials_of_a_user(side):
    before = legacy_settings(OLD)
    side.fake.add(settings=before)

    side.owner.swap_key(PROJECT, NEW, settings=before, role_id=None, credentials_secret=CREDENTIALS)

    after = side.atlas.settings(PROJECT)
    assert after == legacy_settings(NEW)
    assert after.access_key_id == ACCESS_KEY_ID


def test_an_old_project_can_go_over_to_a_role(side):
    side.fake.add(settings=legacy_settings(OLD))

    side.owner.swap_key(PROJECT, NEW, settings=legacy_settings(OLD), role_id=ROLE_ID)

    assert side.atlas.settings(PROJECT) == some_settings(NEW)


def test_other_projects_take_no_credentials(side):
    side.fake.add(settings=some_settings(OLD))

    with pytest.raises(PermanentError) as problem:
        side.owner.swap_key(PROJECT, NEW, settings=some_settings(OLD), role_id=None, credentials_secret=CREDENTIALS)

    assert problem.value.code == "AWS_KMS_CREDENTIALS_AUTH_DEPRECATED"
    assert side.atlas.settings(PROJECT) == some_settings(OLD)


def test_a_swap_in_a_project_that_is_not_there_is_not_found(side):
    with pytest.raises(NotFound) as problem:
        side.owner.swap_key(PROJECT, NEW, settings=some_settings(OLD), role_id=ROLE_ID)

    assert problem.value.call == f"PATCH /groups/{PROJECT}/encryptionAtRest"


def test_the_latest_date_is_known_from_the_first_answer_on(side):
    side.fake.add()
    before = side.atlas.latest_date()

    side.atlas.settings(PROJECT)

    assert (before, side.atlas.latest_date()) == (None, NOON)


def a_fault(call="GET /groups"):
    return TemporaryError("not now", call=call, code="HTTP_503")


def test_the_fake_fails_as_often_as_told_and_only_where_told():
    fake = FakeAtlas()
    fake.add(clusters=[(a_cluster("main"), False), (a_cluster("other"), False)])
    fake.fail("snapshots", a_fault(), times=2, only="other")

    for _ in range(2):
        with pytest.raises(TemporaryError):
            list(fake.snapshots(PROJECT, "other"))

    assert list(fake.snapshots(PROJECT, "main")) == list(fake.snapshots(PROJECT, "other")) == []
    assert fake.calls[0] == ("snapshots", PROJECT, "other")


def test_the_fake_can_lose_the_answer_to_a_swap():
    fake = FakeAtlas()
    project = fake.add(settings=some_settings(OLD))

    def lose(project_id, key):
        raise a_fault(f"PATCH /groups/{project_id}/encryptionAtRest")

    fake.after_swap = lose
    with pytest.raises(TemporaryError):
        fake.swap_key(PROJECT, NEW, settings=project.settings, role_id=ROLE_ID)

    assert fake.settings(PROJECT).key == str(NEW)


def test_the_fake_can_show_a_swap_late():
    fake = FakeAtlas()
    project = fake.add(settings=some_settings(OLD))
    fake.delay_swaps = True
    fake.swap_key(PROJECT, NEW, settings=project.settings, role_id=ROLE_ID)
    before = fake.settings(PROJECT).key

    fake.settle()

    assert (before, fake.settings(PROJECT).key) == (str(OLD), str(NEW))
