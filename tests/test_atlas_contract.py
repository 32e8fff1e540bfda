"""The ports Atlas and AtlasOwner, held against the fake that the verbs are tested with and against the adapter.

The adapter speaks over HTTP to a server that shows the same world as the fake.
"""

import json
import re
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from atlas_stand_in import API, TOKEN_PATH, Pace, Reply, StandIn, a_page, a_session
from fake_atlas import (
    NOON,
    ORGANIZATION,
    PROJECT,
    ROLE_ARN,
    ROLE_ID,
    FakeAtlas,
    a_cluster,
    a_key,
    a_role,
    a_snapshot,
    some_settings,
)

from chalicelib.adapters.atlas import AtlasKeySwapper, AtlasReader
from chalicelib.domain.arn import atlas_region, aws_region
from chalicelib.domain.observed import AtlasProject, BackupSchedule, Encryption
from chalicelib.usecases.ports import Atlas, AtlasOwner, NotFound, PermanentError, TemporaryError

OLD, NEW = a_key(1), a_key(2)


class World:
    """The world of a fake, shown as Atlas shows it over HTTP."""

    def __init__(self, fake):
        self.fake = fake
        self.routes = [
            (r"/groups", self.projects),
            (r"/groups/(\w+)/encryptionAtRest", self.settings),
            (r"/groups/(\w+)/cloudProviderAccess", self.roles),
            (r"/groups/(\w+)/clusters", self.clusters),
            (r"/groups/(\w+)/alertConfigs", self.alerts),
            (r"/groups/(\w+)/clusters/([^/]+)/backup/snapshots", self.snapshots),
            (r"/groups/(\w+)/clusters/([^/]+)/backup/snapshots/shardedClusters", self.sharded),
            (r"/groups/(\w+)/clusters/([^/]+)/backup/schedule", self.schedule),
        ]

    def answer(self, asked):
        """Find the route and answer; unknown names are 404 with Atlas' codes."""
        path = asked.path.removeprefix(API)
        for pattern, show in self.routes:
            if (found := re.fullmatch(pattern, path)) is not None:
                return self.show(show, asked, *found.groups())
        return Reply(status=404, body={"error": 404, "errorCode": "RESOURCE_NOT_FOUND"})

    def show(self, show, asked, project_id=None, *cluster):
        if project_id is None:
            return Reply(body=show())
        project = self.fake.world.get(project_id)
        if project is None:
            return Reply(status=404, body={"error": 404, "errorCode": "GROUP_NOT_FOUND"})
        if cluster and cluster[0] not in {known.name for known, _ in project.clusters}:
            return Reply(status=404, body={"error": 404, "errorCode": "CLUSTER_NOT_FOUND"})
        return Reply(body=show(project, asked, *cluster))

    def projects(self):
        rows = [{"id": k, "name": p.name, "orgId": ORGANIZATION} for k, p in self.fake.world.items()]
        return a_page(rows, total=len(rows))

    def settings(self, project, asked):
        if asked.method == "PATCH":
            self.swap(project, json.loads(asked.body)["awsKms"])
        shown = project.settings
        block = {
            "enabled": shown.enabled,
            "customerMasterKeyID": shown.key,
            "region": atlas_region(shown.region),
            "roleId": shown.role_id,
            "valid": shown.valid,
            "requirePrivateNetworking": shown.private_networking,
        }
        return {"awsKms": block, "azureKeyVault": {"enabled": False}, "googleCloudKms": {"enabled": False}}

    def swap(self, project, block):
        project.settings = replace(
            project.settings,
            enabled=block["enabled"],
            key=block["customerMasterKeyID"],
            region=aws_region(block["region"]),
            role_id=block["roleId"],
            private_networking=block["requirePrivateNetworking"],
        )

    def roles(self, project, asked):
        features = [{"featureType": "ENCRYPTION_AT_REST"}]
        return {
            "awsIamRoles": [
                {
                    "roleId": role.role_id,
                    "iamAssumedRoleArn": role.arn,
                    "featureUsages": features if role.used_for_encryption else [],
                }
                for role in project.roles
            ]
        }

    def clusters(self, project, asked):
        retained = asked.query.get("includeDeletedWithRetainedBackups") == "true"
        return a_page([self.cluster(c) for c, deleted in project.clusters if retained or not deleted])

    def cluster(self, cluster):
        size = {"instanceSize": cluster.tier}
        regions = [
            {"providerName": "AWS", "regionName": atlas_region(name), "electableSpecs": size}
            for name in cluster.regions
        ]
        return {
            "id": cluster.cluster_id,
            "name": cluster.name,
            "clusterType": cluster.kind,
            "stateName": cluster.state,
            "paused": cluster.paused,
            "backupEnabled": cluster.backups,
            "pitEnabled": cluster.point_in_time,
            "encryptionAtRestProvider": cluster.encryption,
            "replicationSpecs": [{"regionConfigs": regions}],
        }

    def alerts(self, project, asked):
        threshold = {"operator": "GREATER_THAN", "threshold": project.threshold, "units": "DAYS"}
        row = {"id": "e" * 24, "eventTypeName": "AWS_ENCRYPTION_KEY_NEEDS_ROTATION", "enabled": True}
        return a_page([] if project.threshold is None else [{**row, "threshold": threshold}])

    def snapshots(self, project, asked, cluster):
        return self.listed(project.snapshots.get(cluster, []))

    def sharded(self, project, asked, cluster):
        return self.listed(project.sharded.get(cluster, []))

    def listed(self, snapshots):
        rows = [
            {
                "id": s.snapshot_id,
                "status": s.status,
                "snapshotType": "onDemand" if s.on_demand else "scheduled",
                **({"masterKeyUUID": s.key} if s.key else {}),
                **({"createdAt": s.created_at.isoformat()} if s.created_at else {}),
                **({"expiresAt": s.expires_at.isoformat()} if s.expires_at else {}),
            }
            for s in snapshots
        ]
        return a_page(rows, total=len(rows))

    def schedule(self, project, asked, cluster):
        known = next(c for c, _ in project.clusters if c.name == cluster)
        usual = BackupSchedule(cluster_id=known.cluster_id, restore_window_days=7)
        schedule = project.schedules.get(cluster, usual)
        copies = [{"cloudProvider": "AWS", "regionName": f"R_{n}"} for n in range(schedule.copy_regions)]
        return {
            "clusterId": schedule.cluster_id,
            "restoreWindowDays": schedule.restore_window_days,
            "copySettings": copies,
        }


class WorldOverHttp(StandIn):
    """A server that shows a world."""

    def __init__(self, world):
        super().__init__()
        self.world = world

    def answer(self, asked):
        """Let the stand-in give tokens and the world everything else."""
        return super().answer(asked) if asked.path == TOKEN_PATH else self.world.answer(asked)


@dataclass(frozen=True)
class Side:
    """One implementation of the ports and the world behind it, to be arranged by the tests."""

    fake: FakeAtlas
    atlas: Atlas
    owner: AtlasOwner


@pytest.fixture(params=["the fake", "the adapter over HTTP"])
def side(request):
    fake = FakeAtlas()
    if request.param == "the fake":
        yield Side(fake, fake, fake)
        return
    with WorldOverHttp(World(fake)) as server:
        session = a_session(server, Pace())
        yield Side(fake, AtlasReader(session, ORGANIZATION), AtlasKeySwapper(session))


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


@pytest.mark.parametrize("changes", [{}, {"enabled": False}, {"valid": False}, {"private_networking": True}])
def test_it_shows_the_settings(side, changes):
    side.fake.add(settings=some_settings(OLD, **changes))

    assert side.atlas.settings(PROJECT) == some_settings(OLD, **changes)


def test_it_shows_the_roles(side):
    side.fake.add(roles=[a_role(), a_role(role_id="f" * 24, arn=None, used_for_encryption=False)])

    used, waiting = side.atlas.roles(PROJECT)

    assert (used.role_id, used.arn, used.used_for_encryption) == (ROLE_ID, ROLE_ARN, True)
    assert (waiting.arn, waiting.used_for_encryption) == (None, False)


def test_it_lists_deleted_clusters_only_when_asked(side):
    there = a_cluster("main", kind="SHARDED", paused=True, encryption=Encryption.NONE, point_in_time=True)
    gone = a_cluster("old", backups=False, tier="M30", regions=("us-east-1", "eu-west-1"))
    side.fake.add(clusters=[(there, False), (gone, True)])

    assert list(side.atlas.clusters(PROJECT, deleted_too=False)) == [there]
    assert list(side.atlas.clusters(PROJECT, deleted_too=True)) == [there, gone]


def test_it_lists_both_kinds_of_snapshots(side):
    making = a_snapshot(2, status="queued", key=None, created_at=None, expires_at=None, on_demand=True)
    project = side.fake.add()
    project.snapshots["main"] = [a_snapshot(1, OLD), making]
    project.sharded["main"] = [a_snapshot(3, NEW, expires_at=NOON + timedelta(days=400))]

    assert list(side.atlas.snapshots(PROJECT, "main")) == [a_snapshot(1, OLD), making]
    assert list(side.atlas.sharded_snapshots(PROJECT, "main")) == project.sharded["main"]


def test_it_lists_the_snapshots_of_a_deleted_cluster(side):
    project = side.fake.add(clusters=[(a_cluster("old"), True)])
    project.snapshots["old"] = [a_snapshot(1)]

    assert list(side.atlas.snapshots(PROJECT, "old")) == [a_snapshot(1)]


def test_a_cluster_without_snapshots_has_two_empty_lists(side):
    side.fake.add()

    assert list(side.atlas.snapshots(PROJECT, "main")) == []
    assert list(side.atlas.sharded_snapshots(PROJECT, "main")) == []


def test_it_shows_the_backup_schedule(side):
    project = side.fake.add()
    project.schedules["main"] = BackupSchedule(cluster_id="d" * 24, restore_window_days=3, copy_regions=2)

    assert side.atlas.backup_schedule(PROJECT, "main") == project.schedules["main"]


@pytest.mark.parametrize("days", [90, None])
def test_it_shows_after_how_many_days_atlas_nags(side, days):
    side.fake.add(threshold=days)

    assert side.atlas.alert_threshold_days(PROJECT) == days


READS = {
    "encryptionAtRest": lambda atlas: atlas.settings(PROJECT),
    "cloudProviderAccess": lambda atlas: atlas.roles(PROJECT),
    "clusters": lambda atlas: list(atlas.clusters(PROJECT, deleted_too=True)),
    "alertConfigs": lambda atlas: atlas.alert_threshold_days(PROJECT),
    "clusters/main/backup/snapshots": lambda atlas: list(atlas.snapshots(PROJECT, "main")),
    "clusters/main/backup/snapshots/shardedClusters": lambda atlas: list(atlas.sharded_snapshots(PROJECT, "main")),
    "clusters/main/backup/schedule": lambda atlas: atlas.backup_schedule(PROJECT, "main"),
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
    side.fake.add(settings=some_settings(OLD))
    abroad = a_key(3, region="us-east-1", account="999988887777")

    side.owner.swap_key(PROJECT, abroad, settings=some_settings(OLD), role_id="f" * 24)

    assert side.atlas.settings(PROJECT) == some_settings(abroad, role_id="f" * 24)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"enabled": False}, "not_enabled"),
        ({"valid": False}, "current_key_invalid"),
        ({"valid": None}, "current_key_invalid"),
    ],
)
def test_no_swap_happens_over_settings_that_are_not_enabled_and_valid(side, changes, code):
    shown = some_settings(OLD, **changes)
    side.fake.add(settings=shown)

    with pytest.raises(PermanentError) as problem:
        side.owner.swap_key(PROJECT, NEW, settings=shown, role_id=ROLE_ID)

    assert problem.value.code == code
    assert side.atlas.settings(PROJECT) == shown


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
