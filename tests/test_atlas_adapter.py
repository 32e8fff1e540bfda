"""What the Atlas adapter asks, what it makes of the answers, and how it changes a key."""

import json

import pytest
from atlas_stand_in import API, Pace, Reply, StandIn, a_page, a_session
from fake_atlas import ORGANIZATION, PROJECT, ROLE_ID, a_key, some_settings

from chalicelib.adapters.atlas import AtlasKeySwapper, AtlasReader
from chalicelib.adapters.atlas_wire import CONNECT_SECONDS, READ_SECONDS
from chalicelib.domain.observed import AtlasProject, Encryption
from chalicelib.usecases.ports import PermanentError, TemporaryError

GROUP = f"/groups/{PROJECT}"
SETTINGS = f"{GROUP}/encryptionAtRest"
CLUSTER = f"{GROUP}/clusters/main"
V2023 = "application/vnd.atlas.2023-01-01+json"
V2024 = "application/vnd.atlas.2024-08-05+json"
OFF = {"enabled": False}


@pytest.fixture
def pace():
    return Pace()


@pytest.fixture
def atlas():
    with StandIn() as stand_in:
        yield stand_in


@pytest.fixture
def reader(atlas, pace):
    return AtlasReader(a_session(atlas, pace), ORGANIZATION)


@pytest.fixture
def owner(atlas, pace):
    return AtlasKeySwapper(a_session(atlas, pace))


def kms(**fields):
    shown = {"enabled": True, "customerMasterKeyID": str(a_key()), "region": "EU_WEST_1", "valid": True}
    return {"awsKms": {**shown, **fields}, "azureKeyVault": OFF, "googleCloudKms": OFF}


def cluster_row(**fields):
    row = {
        "id": "d" * 24,
        "name": "main",
        "clusterType": "REPLICASET",
        "stateName": "IDLE",
        "paused": False,
        "encryptionAtRestProvider": "AWS",
        "backupEnabled": True,
        "pitEnabled": False,
    }
    return {**row, **fields}


def region(provider="AWS", name="US_EAST_1", size="M10", **fields):
    return {"providerName": provider, "regionName": name, "electableSpecs": {"instanceSize": size}, **fields}


def only_cluster(reader, atlas, **fields):
    atlas.on(f"{GROUP}/clusters", Reply(body=a_page([cluster_row(**fields)])))
    (cluster,) = reader.clusters(PROJECT, deleted_too=False)
    return cluster


def test_each_operation_asks_for_its_own_version(atlas, reader, pace):
    atlas.on("/groups", Reply(body=a_page([])))
    atlas.on(SETTINGS, Reply(body=kms()))
    atlas.on(f"{GROUP}/cloudProviderAccess", Reply(body={"awsIamRoles": []}))
    atlas.on(f"{GROUP}/clusters", Reply(body=a_page([])))
    atlas.on(f"{GROUP}/alertConfigs", Reply(body=a_page([])))
    atlas.on(f"{CLUSTER}/backup/snapshots", Reply(body=a_page([])))
    atlas.on(f"{CLUSTER}/backup/snapshots/shardedClusters", Reply(body=a_page([])))
    atlas.on(f"{CLUSTER}/backup/schedule", Reply(body={"clusterId": "d" * 24, "copySettings": []}))
    atlas.on(f"{CLUSTER}/backup/restoreJobs", Reply(body=a_page([])))
    atlas.on(f"{CLUSTER}/backup/exports", Reply(body=a_page([])))
    atlas.on(f"{SETTINGS}/AWS/privateEndpoints", Reply(body=a_page([])))
    atlas.on(f"{GROUP}/events", Reply(body=a_page([])))

    list(reader.projects())
    reader.settings(PROJECT)
    reader.roles(PROJECT)
    list(reader.clusters(PROJECT, deleted_too=True))
    reader.alert_threshold_days(PROJECT)
    list(reader.snapshots(PROJECT, "main"))
    list(reader.sharded_snapshots(PROJECT, "main"))
    reader.backup_schedule(PROJECT, "main")
    list(reader.restore_jobs(PROJECT, "main"))
    list(reader.export_jobs(PROJECT, "main"))
    reader.private_endpoints(PROJECT)
    list(reader.events(PROJECT, types=(), since=pace.now()))

    accepted = {a.path.removeprefix(API): a.headers["accept"] for a in atlas.asked if a.path.startswith(API)}
    assert accepted == {
        "/groups": V2023,
        SETTINGS: V2023,
        f"{GROUP}/cloudProviderAccess": V2023,
        f"{GROUP}/clusters": V2024,
        f"{GROUP}/alertConfigs": V2023,
        f"{CLUSTER}/backup/snapshots": V2023,
        f"{CLUSTER}/backup/snapshots/shardedClusters": V2023,
        f"{CLUSTER}/backup/schedule": V2024,
        f"{CLUSTER}/backup/restoreJobs": V2023,
        f"{CLUSTER}/backup/exports": V2023,
        f"{SETTINGS}/AWS/privateEndpoints": V2023,
        f"{GROUP}/events": V2023,
    }


def test_one_connection_serves_many_calls(atlas, reader):
    atlas.on(SETTINGS, Reply(body=kms()))

    for _ in range(5):
        reader.settings(PROJECT)

    assert len(atlas.connections) == 1


def test_a_compressed_answer_is_read(atlas, reader):
    atlas.on(SETTINGS, Reply(body=kms(), zipped=True))

    settings = reader.settings(PROJECT)

    assert settings.enabled
    assert atlas.requests(SETTINGS)[0].headers["accept-encoding"] == "gzip"


def test_the_settings_are_read_with_the_region_spelt_as_aws_does(atlas, reader):
    shown = kms(roleId=ROLE_ID, requirePrivateNetworking=True, unheardOf={"new": 1})
    atlas.on(SETTINGS, Reply(body=shown))

    settings = reader.settings(PROJECT)

    assert settings == some_settings(private_networking=True)


def test_a_present_block_that_says_disabled_is_not_enabled(atlas, reader):
    atlas.on(SETTINGS, Reply(body={"awsKms": OFF, "azureKeyVault": OFF, "googleCloudKms": OFF}))

    settings = reader.settings(PROJECT)

    assert (settings.enabled, settings.key, settings.valid) == (False, None, None)


@pytest.mark.parametrize(
    ("block", "provider"), [("azureKeyVault", Encryption.AZURE), ("googleCloudKms", Encryption.GCP)]
)
def test_another_provider_is_named(atlas, reader, block, provider):
    atlas.on(SETTINGS, Reply(body={"awsKms": OFF, block: {"enabled": True}}))

    settings = reader.settings(PROJECT)

    assert (settings.enabled, settings.other_provider) == (False, provider)


def test_a_project_on_static_credentials_is_seen_as_such(atlas, reader):
    atlas.on(SETTINGS, Reply(body=kms(accessKeyID="AKIA0123456789012345")))

    assert reader.settings(PROJECT).legacy_access_key


@pytest.mark.parametrize("body", [{}, {"awsKms": None}, {"awsKms": {"customerMasterKeyID": "x"}}, [], "no"])
def test_settings_that_do_not_say_whether_they_are_enabled_are_an_error(atlas, reader, body):
    atlas.on(SETTINGS, Reply(body=body))

    with pytest.raises(PermanentError, match="shape"):
        reader.settings(PROJECT)


def test_projects_of_another_organization_are_left_out(atlas, reader):
    rows = [
        {"id": "1" * 24, "name": "ours", "orgId": ORGANIZATION},
        {"id": "2" * 24, "name": "theirs", "orgId": "f" * 24},
        {"id": "3" * 24, "name": "not said"},
    ]
    atlas.on("/groups", Reply(body=a_page(rows)))

    projects = list(reader.projects())

    assert [project.name for project in projects] == ["ours", "not said"]
    assert projects[0] == AtlasProject(project_id="1" * 24, name="ours", organization=ORGANIZATION)


def test_a_role_shows_its_arn_once_authorized_and_what_uses_it(atlas, reader):
    roles = [
        {"roleId": "1" * 24, "iamAssumedRoleArn": None, "featureUsages": []},
        {
            "roleId": "2" * 24,
            "iamAssumedRoleArn": "arn:aws:iam::1:role/x",
            "featureUsages": [{"featureType": "ENCRYPTION_AT_REST"}],
        },
    ]
    atlas.on(f"{GROUP}/cloudProviderAccess", Reply(body={"awsIamRoles": roles}))

    waiting, used = reader.roles(PROJECT)

    assert (waiting.arn, waiting.used_for_encryption) == (None, False)
    assert (used.arn, used.used_for_encryption) == ("arn:aws:iam::1:role/x", True)


@pytest.mark.parametrize(("deleted_too", "asked"), [(True, "true"), (False, None)])
def test_deleted_clusters_with_retained_backups_are_asked_for_on_demand(atlas, reader, deleted_too, asked):
    atlas.on(f"{GROUP}/clusters", Reply(body=a_page([cluster_row()])))

    list(reader.clusters(PROJECT, deleted_too=deleted_too))

    assert atlas.requests(f"{GROUP}/clusters")[0].query.get("includeDeletedWithRetainedBackups") == asked


@pytest.mark.parametrize(
    ("configuration", "tier"),
    [
        (region(size="M30"), "M30"),
        (region("TENANT", size="M0", backingProviderName="AWS"), "M0"),
        ({"providerName": "FLEX", "backingProviderName": "AWS", "regionName": "US_EAST_1"}, "FLEX"),
    ],
)
def test_the_tier_is_the_size_of_the_electable_nodes(atlas, reader, configuration, tier):
    cluster = only_cluster(reader, atlas, replicationSpecs=[{"regionConfigs": [configuration]}])

    assert (cluster.tier, cluster.regions) == (tier, ("us-east-1",))


def test_regions_of_other_clouds_keep_their_names(atlas, reader):
    spread = [region(), region("AZURE", "US_EAST_2"), region()]

    cluster = only_cluster(reader, atlas, replicationSpecs=[{"regionConfigs": spread}])

    assert cluster.regions == ("us-east-1", "US_EAST_2")


def test_an_unknown_provider_is_unknown_not_none(atlas, reader):
    assert only_cluster(reader, atlas, encryptionAtRestProvider="OCI").encryption is Encryption.UNKNOWN


def test_a_cluster_without_its_optional_facts_is_still_listed(atlas, reader):
    bare = {"id": "d" * 24, "name": "gone", "clusterType": "SHARDED", "stateName": "DELETED"}
    atlas.on(f"{GROUP}/clusters", Reply(body=a_page([bare])))

    (cluster,) = reader.clusters(PROJECT, deleted_too=True)

    assert (cluster.tier, cluster.encryption, cluster.backups) == (None, Encryption.UNKNOWN, True)


def test_a_name_cannot_reach_out_of_its_place_in_the_path(atlas, reader):
    with pytest.raises(PermanentError):
        list(reader.snapshots(PROJECT, "../../orgs?x="))

    assert atlas.asked[-1].path == f"{API}{GROUP}/clusters/..%2F..%2Forgs%3Fx%3D/backup/snapshots"


def test_the_schedule_tells_its_cluster_window_and_copies(atlas, reader):
    copies = [{"cloudProvider": "AWS", "regionName": "US_EAST_1"}, {"cloudProvider": "AWS", "regionName": "EU_WEST_1"}]
    answer = {"clusterId": "d" * 24, "restoreWindowDays": 7, "copySettings": [*copies, copies[0]], "policies": []}
    atlas.on(f"{CLUSTER}/backup/schedule", Reply(body=answer))

    schedule = reader.backup_schedule(PROJECT, "main")

    assert (schedule.cluster_id, schedule.restore_window_days, schedule.copy_regions) == ("d" * 24, 7, 2)


def alert(number, event="AWS_ENCRYPTION_KEY_NEEDS_ROTATION", *, enabled=True, **threshold):
    row = {"id": f"{number:024x}", "eventTypeName": event, "enabled": enabled}
    return {**row, "threshold": {"operator": "GREATER_THAN", "units": "DAYS", **threshold}}


@pytest.mark.parametrize(
    ("rows", "days"),
    [
        ([], None),
        ([alert(1, threshold=90)], 90),
        ([alert(1, threshold=90), alert(2, threshold=30)], 30),
        ([alert(1, threshold=90, enabled=False)], None),
        ([alert(1, "OTHER", threshold="many", units="THINGS"), {"id": "2" * 24, "enabled": True}], None),
        ([alert(1, threshold=2160, units="HOURS")], 90),
    ],
)
def test_the_threshold_is_that_of_an_enabled_alert_on_the_age_of_the_key(atlas, reader, rows, days):
    atlas.on(f"{GROUP}/alertConfigs", Reply(body=a_page(rows)))

    assert reader.alert_threshold_days(PROJECT) == days


@pytest.mark.parametrize("threshold", [{"threshold": "soon"}, {"threshold": 3, "units": "MOONS"}, {}])
def test_a_threshold_that_is_no_number_of_days_is_an_error(atlas, reader, threshold):
    atlas.on(f"{GROUP}/alertConfigs", Reply(body=a_page([alert(1, **threshold)])))

    with pytest.raises(PermanentError, match="threshold"):
        reader.alert_threshold_days(PROJECT)


def test_the_latest_date_is_that_of_the_latest_answer(atlas, reader, pace):
    before = reader.latest_date()
    atlas.on(SETTINGS, Reply(body=kms()))

    reader.settings(PROJECT)

    assert (before, reader.latest_date()) == (None, pace.time)


def test_the_swap_sends_one_complete_block_and_nothing_else(atlas, owner):
    atlas.on(SETTINGS, Reply(body=kms()), method="PATCH")
    new = a_key(2, region="us-east-1", account="999988887777")

    owner.swap_key(PROJECT, new, settings=some_settings(private_networking=True), role_id=ROLE_ID)

    (sent,) = atlas.requests(SETTINGS, "PATCH")
    assert json.loads(sent.body) == {
        "awsKms": {
            "enabled": True,
            "customerMasterKeyID": str(new),
            "region": "US_EAST_1",
            "roleId": ROLE_ID,
            "requirePrivateNetworking": True,
        }
    }
    assert (sent.headers["accept"], sent.headers["content-type"]) == (V2023, V2023)


@pytest.mark.parametrize("changes", [{"enabled": False}, {"valid": False}, {"valid": None}])
def test_no_swap_is_sent_over_settings_that_are_not_enabled_and_valid(atlas, owner, changes):
    with pytest.raises(PermanentError, match=f"{PROJECT}: not sent"):
        owner.swap_key(PROJECT, a_key(2), settings=some_settings(**changes), role_id=ROLE_ID)

    assert atlas.asked == []


def test_no_swap_is_sent_without_a_role(atlas, owner):
    with pytest.raises(PermanentError, match="no IAM role"):
        owner.swap_key(PROJECT, a_key(2), settings=some_settings(), role_id="")

    assert atlas.asked == []


@pytest.mark.parametrize("lost", [Reply(status=503), Reply(status=429), Reply(drop=True), Reply(body=kms(), cut=20)])
def test_a_swap_is_sent_once_whatever_becomes_of_its_answer(atlas, owner, pace, lost):
    atlas.on(SETTINGS, lost, Reply(body=kms()), method="PATCH")

    with pytest.raises(TemporaryError):
        owner.swap_key(PROJECT, a_key(2), settings=some_settings(), role_id=ROLE_ID)

    assert len(atlas.requests(SETTINGS, "PATCH")) == 1
    assert pace.slept == []


def test_calls_have_time_limits():
    assert 0 < CONNECT_SECONDS < READ_SECONDS <= 60


CONFIGURATION = f"{GROUP}/alertConfigs/{'e' * 24}"
SHOWN = {
    "id": "e" * 24,
    "eventTypeName": "AWS_ENCRYPTION_KEY_NEEDS_ROTATION",
    "enabled": True,
    "severityOverride": "WARNING",
    "matchers": [{"fieldName": "x", "operator": "EQUALS", "value": "y"}],
    "notifications": [
        {"typeName": "PAGER_DUTY", "notifierId": "d" * 24, "serviceKey": "****1234", "delayMin": 0},
        {"typeName": "GROUP", "emailEnabled": True, "roles": ["GROUP_OWNER"]},
    ],
    "threshold": {"operator": "GREATER_THAN", "threshold": 2160, "units": "HOURS"},
    "somethingNew": {"kept": [1, 2.5, None]},
}


def test_a_threshold_is_changed_by_sending_back_all_that_atlas_showed_but_what_it_hides(atlas, reader):
    atlas.on(CONFIGURATION, Reply(body=SHOWN))
    atlas.on(CONFIGURATION, Reply(body={}), method="PUT")

    reader.set_alert_threshold(PROJECT, "e" * 24, 365)

    sent = json.loads(atlas.requests(CONFIGURATION, "PUT")[0].body)
    assert sent["threshold"] == {"operator": "GREATER_THAN", "threshold": 365, "units": "DAYS"}
    assert sent["notifications"][0] == {"typeName": "PAGER_DUTY", "notifierId": "d" * 24, "delayMin": 0}
    assert {**sent, "threshold": 0, "notifications": 0} == {**SHOWN, "threshold": 0, "notifications": 0}
    assert sent["notifications"][1] == SHOWN["notifications"][1]


def test_a_configuration_without_a_threshold_is_not_sent_back(atlas, reader):
    atlas.on(CONFIGURATION, Reply(body={"id": "e" * 24}))

    with pytest.raises(PermanentError) as problem:
        reader.set_alert_threshold(PROJECT, "e" * 24, 365)

    assert problem.value.code == "unknown_shape"
    assert not atlas.requests(CONFIGURATION, "PUT")


def test_what_people_write_to_an_acknowledgement_is_one_printable_line(atlas, reader):
    row = {
        "id": "1" * 24,
        "eventTypeName": "AWS_ENCRYPTION_KEY_NEEDS_ROTATION",
        "created": "2026-03-01T12:00:00Z",
        "acknowledgedUntil": "2026-04-01T12:00:00Z",
        "acknowledgingUsername": "ada\nforged: yes",
        "acknowledgementComment": "first\x1b[31m\r\nsecond" + "x" * 300,
    }
    atlas.on(f"{GROUP}/alerts", Reply(body=a_page([row])))

    (alert,) = reader.open_alerts(PROJECT)

    assert alert.acknowledged_by == "ada forged: yes"
    assert alert.comment.startswith("first [31m second")
    assert len(alert.comment) == 200


@pytest.mark.parametrize("change", [{"eventTypeName": "NO_PRIMARY"}, {"resolved": "2026-03-02T12:00:00Z"}])
def test_alerts_about_other_things_and_closed_ones_are_left_out(atlas, reader, change):
    row = {"id": "1" * 24, "eventTypeName": "AWS_ENCRYPTION_KEY_NEEDS_ROTATION", "created": "2026-03-01T12:00:00Z"}
    atlas.on(f"{GROUP}/alerts", Reply(body=a_page([row | change])))

    assert reader.open_alerts(PROJECT) == ()
