"""The world of a fake Atlas, built into a pretend one, so that both can be asked the same questions."""

from dataclasses import dataclass
from datetime import timedelta

from atlas_stand_in import Pace
from fake_atlas import ACCESS_KEY_ID, CONFIGURATION, NOON, ORGANIZATION, ROLE_ARN, USER_ARN, FakeAtlas

from chalicelib.adapters.atlas import AtlasKeySwapper, AtlasReader
from chalicelib.adapters.atlas_http import AtlasHttp
from chalicelib.adapters.atlas_token import Credentials
from chalicelib.domain.arn import atlas_region, parse_key_arn
from chalicelib.usecases.ports import PermanentError
from sandbox.atlas import AccessKey, AtlasWorld, CopySetting, Habits
from sandbox.atlas.alert_model import Alert, AlertConfig
from sandbox.atlas.cmk import Cmk, KmsSettings, PrivateEndpoint, Role
from sandbox.atlas.jobs_model import ExportJob, RestoreJob
from sandbox.atlas.model import Cluster, Project, ProjectEvent
from sandbox.atlas.policy import Schedule
from sandbox.atlas.snapshot import Copy, Sealed, Snapshot

HOUR = timedelta(hours=1)


class EasyKms:
    """A KMS that knows every key, but for the broken ones; what it encrypts is what it was given."""

    def __init__(self):
        self.broken = set()

    def __call__(self, operation, body, *, principal_arn, region):
        if operation == "DescribeKey":
            state = "Disabled" if body["KeyId"] in self.broken else "Enabled"
            return {"KeyMetadata": {"KeyState": state}}
        return {"CiphertextBlob": body.get("Plaintext"), "Plaintext": body.get("CiphertextBlob")}

    def arn_of(self, access):
        return USER_ARN

    def call(self, operation, body, *, access, region):
        return self(operation, body, principal_arn=USER_ARN, region=region)


@dataclass(frozen=True)
class UserSecret:
    access_key_id: str
    secret_access_key: str


class Mirrored:
    """A side of the contract: the fake is arranged, and at the first question its world is built for the adapter."""

    def __init__(self, server, kms):
        self.fake = FakeAtlas()
        self._server = server
        self._kms = kms
        self._reader = AtlasReader(self._session(server.world.reader), ORGANIZATION)
        self._swapper = AtlasKeySwapper(self._session(server.world.owner), self._credentials)
        self._built = False

    @property
    def atlas(self):
        self._build()
        return self._reader

    @property
    def owner(self):
        self._build()
        return self._swapper

    def _session(self, account):
        pace = Pace()
        return AtlasHttp(
            base_url=self._server.address,
            credentials=lambda: Credentials(client_id=account.client_id, client_secret=account.client_secret),
            now=pace.now,
            sleep=pace.sleep,
            random=lambda: pace.chance,
            seconds_left=lambda: pace.left,
        )

    def _credentials(self, secret_id):
        if secret_id not in self.fake.credentials:
            message = f"the credentials secret {secret_id} does not exist"
            raise PermanentError(message, call="secretsmanager:GetSecretValue", code="ResourceNotFoundException")
        return UserSecret(self.fake.credentials[secret_id].access_key_id, "secret of the user")

    def _build(self):
        if not self._built:
            self._built = True
            for client_id, dates in self.fake.expiries.items():
                (self._server.world.secrets_expire[client_id],) = dates
            for project_id, fake in self.fake.world.items():
                build_project(self._server.world, self._kms, project_id, fake)


def build_project(world: AtlasWorld, kms, project_id, fake):
    shown = fake.settings
    project = Project(project_id=project_id, organization_id=ORGANIZATION, name=fake.name, created_at=NOON)
    project.check, project.was_valid = world.validity.check, shown.valid is True
    project.roles = {role.role_id: build_role(role) for role in fake.roles}
    project.private_endpoints = [
        PrivateEndpoint(endpoint_id=f"{number:024x}", region=atlas_region(one.region), status=one.status)
        for number, one in enumerate(fake.endpoints)
    ]
    project.legacy = shown.legacy_access_key
    if shown.enabled:
        project.encryption = build_settings(shown)
    if shown.valid is False:
        kms.broken.add(shown.key)
    if shown.valid is None:
        world.ground.habits = Habits(shows_valid=False)
    project.alert_configs = build_alerts(fake.threshold)
    if fake.alerts:
        project.key_since = NOON - (fake.threshold + 1) * 24 * HOUR
        project.alerts = {one.alert_id: build_alert(one) for one in fake.alerts}
    project.events = [
        ProjectEvent(event_id=one.event_id, at=one.at, kind=one.type, cluster=one.cluster) for one in fake.events
    ]
    for cluster, deleted in fake.clusters:
        project.clusters[cluster.cluster_id] = build_cluster(fake, project_id, cluster, deleted=deleted)
    world.projects[project_id] = project


def build_role(role):
    authorized_at = None if role.arn is None else NOON
    return Role(role_id=role.role_id, arn=role.arn, external_id="e", created_at=NOON, authorized_at=authorized_at)


def build_settings(shown):
    access, principal = None, ROLE_ARN
    if shown.legacy_access_key:
        access = AccessKey(access_key_id=ACCESS_KEY_ID, secret_access_key="secret of the user")
        principal = USER_ARN
    cmk = Cmk(written=shown.key, arn=parse_key_arn(shown.key), principal=principal, access=access)
    return KmsSettings(cmk=cmk, role_id=shown.role_id, private_networking=shown.private_networking)


def build_alerts(days):
    if days is None:
        return {}
    config = AlertConfig(config_id=CONFIGURATION, days=days, enabled=True, created_at=NOON, updated_at=NOON)
    return {config.config_id: config}


def build_alert(shown):
    return Alert(
        alert_id=shown.alert_id,
        config_id=CONFIGURATION,
        kind="AWS_ENCRYPTION_KEY_NEEDS_ROTATION",
        opened_at=shown.opened_at,
        updated_at=shown.opened_at,
        acknowledged_until=shown.acknowledged_until,
        comment=shown.comment,
    )


def build_cluster(fake, project_id, cluster, *, deleted):
    built = Cluster(
        cluster_id=cluster.cluster_id,
        project_id=project_id,
        name=cluster.name,
        kind=cluster.kind,
        tier=cluster.tier,
        shards=1 if cluster.kind == "REPLICASET" else 2,
        regions=tuple(atlas_region(region) for region in cluster.regions),
        created_at=NOON,
        backups=cluster.backups,
        point_in_time=cluster.point_in_time,
        schedule=build_schedule(fake.schedules.get(cluster.name)),
        encryption=cluster.encryption.value,
        paused=cluster.paused,
        deleted=deleted,
        state=cluster.state,
    )
    for sharded, lists in ((False, fake.snapshots), (True, fake.sharded)):
        for one in lists.get(cluster.name, []):
            built.snapshots[one.snapshot_id] = build_snapshot(built, one, sharded=sharded)
    built.restores = {one.job_id: build_restore(one) for one in fake.restores.get(cluster.name, [])}
    built.exports = {one.job_id: build_export(one) for one in fake.exports.get(cluster.name, [])}
    return built


def build_schedule(shown):
    copies = [] if shown is None else shown.copies
    settings = [
        CopySetting(
            region=atlas_region(one.region),
            keep=(("daily", timedelta(days=one.longest_retention_days)),) if one.longest_retention_days else (),
        )
        for one in copies
    ]
    days = 7 if shown is None else shown.restore_window_days
    return Schedule(policy_id="a" * 24, items=(), hour=0, minute=0, restore_window_days=days, copies=tuple(settings))


def build_snapshot(cluster, shown, *, sharded):
    done = shown.status == "completed"
    takes = timedelta(0) if done else timedelta(minutes=8)
    arn = parse_key_arn(f"arn:aws:kms:eu-west-1:111122223333:key/{shown.key}") if shown.key else None
    cmk = None if arn is None else Cmk(written=shown.key, arn=arn, principal=ROLE_ARN)
    return Snapshot(
        snapshot_id=shown.snapshot_id,
        project_id=cluster.project_id,
        cluster_id=cluster.cluster_id,
        cluster_name=cluster.name,
        sharded=sharded,
        frequency="ondemand" if shown.on_demand else "daily",
        description="",
        requested_at=NOON,
        started_at=NOON + takes / 2,
        finished_at=NOON + takes,
        expires_at=shown.expires_at + takes,
        sealed=None if cmk is None else Sealed(cmk=cmk, blob=b"", digest=""),
        copies=(Copy(region="EU_WEST_2", expires_at=None),) if shown.copied else (),
    )


def build_restore(shown):
    return RestoreJob(
        job_id=shown.job_id,
        snapshot_id=shown.snapshot_id,
        delivery=shown.delivery,
        target_project=shown.target_project,
        target_cluster=shown.target_cluster,
        began_at=NOON - HOUR,
        ends_at=shown.finished_at or NOON + HOUR,
        sealed=None,
    )


def build_export(shown):
    ends_at = NOON + HOUR if shown.running else NOON
    return ExportJob(
        job_id=shown.job_id,
        snapshot_id=shown.snapshot_id,
        bucket_id="b" * 24,
        created_at=NOON - HOUR,
        begins_at=NOON - HOUR if shown.state != "Queued" else NOON + HOUR / 2,
        ends_at=ends_at,
        sealed=None,
    )
