"""An Atlas organization in memory, for tests of the verbs: it satisfies the ports Atlas and AtlasOwner."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from chalicelib.domain.arn import KeyArn
from chalicelib.domain.observed import (
    AlertThreshold,
    AtlasAlert,
    AtlasProject,
    AtlasRole,
    BackupSchedule,
    Cluster,
    Encryption,
    ExportJob,
    LegacyUser,
    PrivateEndpoint,
    ProjectEvent,
    RestoreJob,
    Settings,
    Snapshot,
)
from chalicelib.usecases.ports import NotFound, OutsideError, PermanentError

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ORGANIZATION = "a0123456789abcdef0123456"
PROJECT = "b0123456789abcdef0123456"
ROLE_ID = "c0123456789abcdef0123456"
ROLE_ARN = "arn:aws:iam::111122223333:role/atlas"
READER = "mdb_sa_id_reader"
"""The client id of the reader's service account."""
CONFIGURATION = "e" * 24
ACKNOWLEDGED_BY = "somebody@example.com"
USER_ARN = "arn:aws:iam::111122223333:user/atlas"
ACCESS_KEY_ID = "AKIA0123456789012345"
CREDENTIALS = "keyturn/atlas-user"
"""The id of a secret with an IAM user's credentials."""


def a_key(number: int = 1, *, region: str = "eu-west-1", account: str = "111122223333") -> KeyArn:
    """A CMK; different numbers are different keys."""
    return KeyArn(account=account, region=region, key_id=f"00000000-0000-4000-8000-{number:012x}")


def some_settings(key: KeyArn | None = None, **changes: object) -> Settings:
    """Settings that are enabled, valid and name `key` by its ARN."""
    arn = key or a_key()
    settings = Settings(enabled=True, key=str(arn), region=arn.region, role_id=ROLE_ID, valid=True)
    return replace(settings, **changes)


def legacy_settings(key: KeyArn | None = None, **changes: object) -> Settings:
    """Settings of a project that encrypts with an IAM user's credentials."""
    held = {"role_id": None, "legacy_access_key": True, "access_key_id": ACCESS_KEY_ID}
    return some_settings(key, **{**held, **changes})


def a_role(**changes: object) -> AtlasRole:
    """An authorized role that encryption uses."""
    return replace(AtlasRole(role_id=ROLE_ID, arn=ROLE_ARN, used_for_encryption=True), **changes)


def a_cluster(name: str = "main", **changes: object) -> Cluster:
    """A running, encrypted, backed-up M10 replica set."""
    cluster = Cluster(
        name=name,
        cluster_id=name.encode().hex()[:24].rjust(24, "0"),
        kind="REPLICASET",
        state="IDLE",
        paused=False,
        encryption=Encryption.AWS,
        backups=True,
        point_in_time=False,
        tier="M10",
        regions=("eu-west-1",),
    )
    return replace(cluster, **changes)


def a_snapshot(number: int = 1, key: KeyArn | None = None, **changes: object) -> Snapshot:
    """A completed snapshot under `key`, made at noon, kept for a week."""
    snapshot = Snapshot(
        snapshot_id=f"{number:024x}",
        status="completed",
        key=(key or a_key()).key_id,
        created_at=NOON,
        expires_at=NOON + timedelta(days=7),
    )
    return replace(snapshot, **changes)


def a_restore(number: int = 1, **changes: object) -> RestoreJob:
    """A running restore of snapshot 1 to the cluster `copy` of the same project."""
    job = RestoreJob(
        job_id=f"{number:024x}",
        snapshot_id=f"{1:024x}",
        running=True,
        delivery="automated",
        target_project=PROJECT,
        target_cluster="copy",
        created_at=None,
        finished_at=None,
    )
    return replace(job, **changes)


def an_export(number: int = 1, **changes: object) -> ExportJob:
    """A running export of snapshot 1."""
    job = ExportJob(job_id=f"{number:024x}", snapshot_id=f"{1:024x}", state="InProgress", running=True)
    return replace(job, **changes)


def an_event(number: int = 1, **changes: object) -> ProjectEvent:
    """The start of a key's rotation, at noon."""
    kind = "ENCRYPTION_AT_REST_KEY_ROTATION_STARTED"
    return replace(ProjectEvent(event_id=f"{number:024x}", type=kind, at=NOON, cluster=None), **changes)


def an_alert(number: int = 1, **changes: object) -> AtlasAlert:
    """An alert about the age of the key, raised at noon, that nobody acknowledged."""
    return replace(AtlasAlert(alert_id=f"{number:024x}", opened_at=NOON), **changes)


@dataclass(kw_only=True)
class FakeProject:
    """Everything that this Atlas knows about one project; tests change it as they like."""

    name: str = "payments"
    settings: Settings = field(default_factory=some_settings)
    roles: list[AtlasRole] = field(default_factory=lambda: [a_role()])
    clusters: list[tuple[Cluster, bool]] = field(default_factory=lambda: [(a_cluster(), False)])
    """Each with whether it is deleted, its backups retained."""
    snapshots: dict[str, list[Snapshot]] = field(default_factory=dict)
    sharded: dict[str, list[Snapshot]] = field(default_factory=dict)
    schedules: dict[str, BackupSchedule] = field(default_factory=dict)
    threshold: int | None = 90
    more_thresholds: list[AlertThreshold] = field(default_factory=list)
    alerts: list[AtlasAlert] = field(default_factory=list)
    endpoints: list[PrivateEndpoint] = field(default_factory=list)
    restores: dict[str, list[RestoreJob]] = field(default_factory=dict)
    exports: dict[str, list[ExportJob]] = field(default_factory=dict)
    events: list[ProjectEvent] = field(default_factory=list)


@dataclass(kw_only=True)
class _Failure:
    call: str
    error: OutsideError
    times: int | None
    only: str | None


Hook = Callable[[str, KeyArn], None]


class FakeAtlas:
    """The organization. `calls` logs every call; `before_swap` and `after_swap` may change things or raise.

    An `after_swap` that raises is a lost answer: the settings have changed. With `delay_swaps` a swap shows
    only after `settle()`; else it takes effect `effect_after` it was sent and is shown `shown_after` that.
    `applied` lists the changes that took effect. `credentials` are the secrets that hold an IAM user's credentials,
    by their ids; it may stand in for STS as `legacy_user`. Any call can be made to `fail`, reading them as
    `credentials`.
    """

    def __init__(self, *, organization: str = ORGANIZATION, now: Callable[[], datetime] = lambda: NOON) -> None:
        self.organization = organization
        self.world: dict[str, FakeProject] = {}
        self.calls: list[tuple[str, ...]] = []
        self.before_swap: Hook | None = None
        self.after_swap: Hook | None = None
        self.delay_swaps = False
        self.effect_after = self.shown_after = timedelta(0)
        self.applied: list[tuple[str, str | None]] = []
        self.credentials = {CREDENTIALS: LegacyUser(access_key_id=ACCESS_KEY_ID, arn=USER_ARN)}
        self.expiries: dict[str, tuple[datetime, ...]] = {}
        self._now = now
        self._date: datetime | None = None
        self._failures: list[_Failure] = []
        self._delayed: list[tuple[datetime, str, Settings]] = []
        self._former: dict[str, tuple[datetime, Settings]] = {}

    def add(self, project_id: str = PROJECT, **changes: object) -> FakeProject:
        """Add a project and give it, to be changed."""
        self.world[project_id] = FakeProject(**changes)
        return self.world[project_id]

    def fail(self, call: str, error: OutsideError, *, times: int | None = 1, only: str | None = None) -> None:
        """Make the next `times` calls of a method raise (None: every call), `only` for a project or cluster."""
        self._failures.append(_Failure(call=call, error=error, times=times, only=only))

    def mend(self) -> None:
        """Make nothing fail any more."""
        self._failures.clear()

    def settle(self, until: datetime | None = None) -> None:
        """Let delayed swaps take effect: all, or those whose time has come."""
        for sent in tuple(self._delayed):
            effect_at, project_id, settings = sent
            if until is None or effect_at <= until:
                self._delayed.remove(sent)
                self._former[project_id] = (effect_at + self.shown_after, self.world[project_id].settings)
                self.world[project_id].settings = settings
                self.applied.append((project_id, settings.key))

    def projects(self) -> Iterator[AtlasProject]:
        self._begin("projects")
        for project_id, project in list(self.world.items()):
            yield AtlasProject(project_id=project_id, name=project.name, organization=self.organization)

    def settings(self, project_id: str) -> Settings:
        self._begin("settings", project_id)
        now = self._project(project_id, f"GET /groups/{project_id}/encryptionAtRest").settings
        shown_from, former = self._former.get(project_id, (self._now(), now))
        return now if shown_from <= self._now() else former

    def roles(self, project_id: str) -> tuple[AtlasRole, ...]:
        self._begin("roles", project_id)
        return tuple(self._project(project_id, f"GET /groups/{project_id}/cloudProviderAccess").roles)

    def private_endpoints(self, project_id: str) -> tuple[PrivateEndpoint, ...]:
        self._begin("private_endpoints", project_id)
        call = f"GET /groups/{project_id}/encryptionAtRest/AWS/privateEndpoints"
        return tuple(self._project(project_id, call).endpoints)

    def clusters(self, project_id: str, *, deleted_too: bool) -> Iterator[Cluster]:
        self._begin("clusters", project_id)
        clusters = self._project(project_id, f"GET /groups/{project_id}/clusters").clusters
        yield from [cluster for cluster, deleted in clusters if deleted_too or not deleted]

    def snapshots(self, project_id: str, cluster: str) -> Iterator[Snapshot]:
        self._begin("snapshots", project_id, cluster)
        project = self._with_cluster(project_id, cluster, "backup/snapshots")
        yield from list(project.snapshots.get(cluster, ()))

    def sharded_snapshots(self, project_id: str, cluster: str) -> Iterator[Snapshot]:
        self._begin("sharded_snapshots", project_id, cluster)
        project = self._with_cluster(project_id, cluster, "backup/snapshots/shardedClusters")
        yield from list(project.sharded.get(cluster, ()))

    def backup_schedule(self, project_id: str, cluster: str) -> BackupSchedule:
        self._begin("backup_schedule", project_id, cluster)
        project = self._with_cluster(project_id, cluster, "backup/schedule")
        known = next(c for c, _ in project.clusters if c.name == cluster)
        usual = BackupSchedule(cluster_id=known.cluster_id, restore_window_days=7)
        return project.schedules.get(cluster, usual)

    def restore_jobs(self, project_id: str, cluster: str) -> Iterator[RestoreJob]:
        self._begin("restore_jobs", project_id, cluster)
        project = self._with_cluster(project_id, cluster, "backup/restoreJobs")
        yield from list(project.restores.get(cluster, ()))

    def export_jobs(self, project_id: str, cluster: str) -> Iterator[ExportJob]:
        self._begin("export_jobs", project_id, cluster)
        project = self._with_cluster(project_id, cluster, "backup/exports")
        yield from list(project.exports.get(cluster, ()))

    def events(self, project_id: str, *, types: tuple[str, ...], since: datetime) -> Iterator[ProjectEvent]:
        self._begin("events", project_id)
        known = self._project(project_id, f"GET /groups/{project_id}/events").events
        floor = since.replace(microsecond=0)
        yield from [event for event in known if event.at >= floor and (not types or event.type in types)]

    def alert_threshold_days(self, project_id: str) -> int | None:
        self._begin("alert_threshold_days", project_id)
        return min((one.days for one in self._thresholds(project_id)), default=None)

    def alert_thresholds(self, project_id: str) -> tuple[AlertThreshold, ...]:
        self._begin("alert_thresholds", project_id)
        return self._thresholds(project_id)

    def _thresholds(self, project_id: str) -> tuple[AlertThreshold, ...]:
        project = self._project(project_id, f"GET /groups/{project_id}/alertConfigs")
        usual = () if project.threshold is None else ((CONFIGURATION, project.threshold),)
        ours = tuple(AlertThreshold(configuration_id=name, days=days) for name, days in usual)
        return (*ours, *project.more_thresholds)

    def set_alert_threshold(self, project_id: str, configuration_id: str, days: int) -> None:
        self._begin("set_alert_threshold", project_id, configuration_id, str(days))
        project = self._project(project_id, f"GET /groups/{project_id}/alertConfigs/{configuration_id}")
        project.threshold = days

    def open_alerts(self, project_id: str) -> tuple[AtlasAlert, ...]:
        self._begin("open_alerts", project_id)
        return tuple(self._project(project_id, f"GET /groups/{project_id}/alerts").alerts)

    def acknowledge_alert(self, project_id: str, alert_id: str, *, until: datetime, comment: str) -> None:
        self._begin("acknowledge_alert", project_id, alert_id)
        call = f"PATCH /groups/{project_id}/alerts/{alert_id}"
        project = self._project(project_id, call)
        if alert_id not in {alert.alert_id for alert in project.alerts}:
            raise NotFound(f"{call}: no such alert", call=call, code="ALERT_NOT_FOUND")
        said = {"acknowledged_until": until, "acknowledged_by": ACKNOWLEDGED_BY, "comment": comment}
        project.alerts = [replace(one, **said) if one.alert_id == alert_id else one for one in project.alerts]

    def secret_expiries(self, client_id: str) -> tuple[datetime, ...]:
        self._begin("secret_expiries", client_id)
        call = f"GET /orgs/{self.organization}/serviceAccounts/{client_id}"
        if client_id not in self.expiries:
            raise NotFound(f"{call}: no such account", call=call, code="SERVICE_ACCOUNT_NOT_FOUND")
        return self.expiries[client_id]

    def latest_date(self) -> datetime | None:
        return self._date

    def legacy_user(self, secret_id: str) -> LegacyUser:
        """Whose credentials a secret holds; PermanentError for one that is not there."""
        self._begin("credentials", secret_id)
        if secret_id not in self.credentials:
            message = f"the credentials secret {secret_id} does not exist"
            raise PermanentError(message, call="secretsmanager:GetSecretValue", code="ResourceNotFoundException")
        return self.credentials[secret_id]

    def swap_key(
        self,
        project_id: str,
        key: KeyArn,
        *,
        settings: Settings,
        role_id: str | None,
        credentials_secret: str | None = None,
    ) -> None:
        self._begin("swap_key", project_id, str(key))
        call = f"PATCH /groups/{project_id}/encryptionAtRest"
        if not settings.enabled:
            raise PermanentError(f"{call}: not sent: not enabled", call=call, code="not_enabled")
        if settings.valid is not True:
            raise PermanentError(f"{call}: not sent: not valid", call=call, code="current_key_invalid")
        if not role_id and credentials_secret is None:
            raise PermanentError(f"{call}: not sent: no role", call=call, code="no_role")
        user = None if credentials_secret is None else self.legacy_user(credentials_secret)
        project = self._project(project_id, call)
        if user is not None and not project.settings.legacy_access_key:
            raise PermanentError(f"{call}: take a role", call=call, code="AWS_KMS_CREDENTIALS_AUTH_DEPRECATED")
        if self.before_swap is not None:
            self.before_swap(project_id, key)
        swapped = replace(
            project.settings,
            key=str(key),
            region=key.region,
            role_id=role_id if user is None else None,
            enabled=True,
            legacy_access_key=user is not None,
            access_key_id=None if user is None else user.access_key_id,
        )
        self._delayed.append((self._now() + self.effect_after, project_id, swapped))
        if not self.delay_swaps:
            self.settle(self._now())
        if self.after_swap is not None:
            self.after_swap(project_id, key)

    def _begin(self, call: str, *about: str) -> None:
        self.calls.append((call, *about))
        if not self.delay_swaps:
            self.settle(self._now())
        failure = next((f for f in self._failures if f.call == call and f.only in (None, *about)), None)
        if failure is None:
            self._date = self._now()
            return
        if failure.times is not None:
            failure.times -= 1
            if failure.times <= 0:
                self._failures.remove(failure)
        raise failure.error

    def _project(self, project_id: str, call: str) -> FakeProject:
        if project_id not in self.world:
            message = f"{call} for project {project_id}: no such project"
            raise NotFound(message, call=call, code="GROUP_NOT_FOUND")
        return self.world[project_id]

    def _with_cluster(self, project_id: str, cluster: str, tail: str) -> FakeProject:
        call = f"GET /groups/{project_id}/clusters/{cluster}/{tail}"
        project = self._project(project_id, call)
        if cluster not in {known.name for known, _ in project.clusters}:
            message = f"{call} for project {project_id}: no cluster {cluster}"
            raise NotFound(message, call=call, code="CLUSTER_NOT_FOUND")
        return project
