"""Atlas as the ports want it: a reader of one organization, and the one hand that may change a project's key.

How the calls are named, sent, waited for, read and refused stands in the other files whose names begin with
`atlas`; everything that Atlas says is taken for incomplete until it shows that it is whole.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import chain
from operator import attrgetter

import msgspec

from chalicelib.adapters import atlas_answers as answers
from chalicelib.adapters import atlas_calls as calls
from chalicelib.adapters import atlas_shapes as shapes
from chalicelib.adapters.atlas_calls import Call
from chalicelib.adapters.atlas_http import AtlasHttp
from chalicelib.adapters.atlas_lists import Rows, read_pages, read_single_page
from chalicelib.adapters.atlas_swap import (
    AccessKey,
    aws_kms,
    by_access_key,
    by_role,
    check_sendable,
    no_credentials,
)
from chalicelib.domain.arn import KeyArn
from chalicelib.domain.observed import (
    AlertThreshold,
    AtlasAlert,
    AtlasProject,
    AtlasRole,
    BackupSchedule,
    Cluster,
    ExportJob,
    PrivateEndpoint,
    ProjectEvent,
    RestoreJob,
    Settings,
    Snapshot,
)

_settings = msgspec.json.Decoder(shapes.SettingsAnswer)
_roles = msgspec.json.Decoder(shapes.RolesAnswer)
_schedule = msgspec.json.Decoder(shapes.ScheduleAnswer)
_projects = Rows(shapes.ProjectRow, attrgetter("project_id"))
_clusters = Rows(shapes.ClusterRow, attrgetter("cluster_id"))
_snapshots = Rows(shapes.SnapshotRow, attrgetter("snapshot_id"))
_restores = Rows(shapes.RestoreRow, attrgetter("job_id"))
_exports = Rows(shapes.ExportRow, attrgetter("job_id"))
_endpoints = Rows(shapes.EndpointRow, attrgetter("endpoint_id"))
_events = Rows(shapes.EventRow, attrgetter("event_id"))
_configurations = Rows(shapes.AlertConfigurationRow, attrgetter("configuration_id"))
_alerts = Rows(shapes.AlertRow, attrgetter("alert_id"))
_account = msgspec.json.Decoder(shapes.ServiceAccountAnswer)

_NOT_CLOSED = ("OPEN", "TRACKING")
"""The states of an alert whose reason lasts; nobody says in which of them an acknowledged one is shown."""


class AtlasReader:
    """One organization, read with its reader's service account; satisfies the port `Atlas`."""

    def __init__(self, http: AtlasHttp, organization: str) -> None:
        self._http = http
        self.organization = organization

    def projects(self) -> Iterator[AtlasProject]:
        """Every project of the organization that the service account may see."""
        for page in read_pages(self._http, Call(operation=calls.LIST_PROJECTS), _projects):
            for row in page:
                if row.organization in (None, self.organization):
                    yield answers.as_project(row, self.organization)

    def settings(self, project_id: str) -> Settings:
        """The Encryption at Rest settings; reading them makes Atlas probe the key."""
        call = Call(operation=calls.READ_SETTINGS, project=project_id)
        return answers.as_settings(answers.read_answer(_settings, call, self._http.read(call)), call)

    def roles(self, project_id: str) -> tuple[AtlasRole, ...]:
        """The IAM roles that Atlas may assume for this project."""
        call = Call(operation=calls.LIST_ROLES, project=project_id)
        return answers.as_roles(answers.read_answer(_roles, call, self._http.read(call)))

    def private_endpoints(self, project_id: str) -> tuple[PrivateEndpoint, ...]:
        """The private endpoints to AWS KMS; Atlas shows them to a Project Owner alone."""
        call = Call(operation=calls.LIST_PRIVATE_ENDPOINTS, project=project_id)
        pages = read_pages(self._http, call, _endpoints)
        return tuple(answers.as_private_endpoint(row) for page in pages for row in page)

    def clusters(self, project_id: str, *, deleted_too: bool) -> Iterator[Cluster]:
        """Every cluster; with `deleted_too` also deleted ones whose backups are retained."""
        operation = calls.LIST_CLUSTERS_AND_RETAINED if deleted_too else calls.LIST_CLUSTERS
        for page in read_pages(self._http, Call(operation=operation, project=project_id), _clusters):
            yield from map(answers.as_cluster, page)

    def snapshots(self, project_id: str, cluster: str) -> Iterator[Snapshot]:
        """The replica-set list of snapshots, complete or an error; an unknown cluster is an error too."""
        call = Call(operation=calls.LIST_SNAPSHOTS, project=project_id, cluster=cluster)
        return chain.from_iterable(map(answers.as_snapshots, read_pages(self._http, call, _snapshots)))

    def sharded_snapshots(self, project_id: str, cluster: str) -> Iterator[Snapshot]:
        """The sharded-cluster list of snapshots, complete or an error; an unknown cluster is an error too."""
        call = Call(operation=calls.LIST_SHARDED_SNAPSHOTS, project=project_id, cluster=cluster)
        yield from answers.as_snapshots(read_single_page(self._http, call, _snapshots))

    def backup_schedule(self, project_id: str, cluster: str) -> BackupSchedule:
        """The cluster's backup policy."""
        call = Call(operation=calls.READ_SCHEDULE, project=project_id, cluster=cluster)
        return answers.as_schedule(answers.read_answer(_schedule, call, self._http.read(call)), call)

    def restore_jobs(self, project_id: str, cluster: str) -> Iterator[RestoreJob]:
        """The restores from the cluster's backups, complete or an error."""
        call = Call(operation=calls.LIST_RESTORE_JOBS, project=project_id, cluster=cluster)
        for page in read_pages(self._http, call, _restores):
            yield from answers.as_restore_jobs(page)

    def export_jobs(self, project_id: str, cluster: str) -> Iterator[ExportJob]:
        """The exports of the cluster's snapshots, complete or an error."""
        call = Call(operation=calls.LIST_EXPORTS, project=project_id, cluster=cluster)
        for page in read_pages(self._http, call, _exports):
            yield from answers.as_export_jobs(page)

    def events(self, project_id: str, *, types: tuple[str, ...], since: datetime) -> Iterator[ProjectEvent]:
        """The project's events of these types (of all types for none) since a moment, complete or an error."""
        call = Call(operation=calls.LIST_EVENTS, project=project_id, query=calls.events_since(types, since))
        for page in read_pages(self._http, call, _events):
            yield from answers.as_events(page)

    def alert_threshold_days(self, project_id: str) -> int | None:
        """After how many days Atlas itself nags about this project's key; None when it does not."""
        return min((one.days for one in self.alert_thresholds(project_id)), default=None)

    def alert_thresholds(self, project_id: str) -> tuple[AlertThreshold, ...]:
        """Every enabled alert configuration about the age of this project's key."""
        call = Call(operation=calls.LIST_ALERT_CONFIGURATIONS, project=project_id)
        rows = (row for page in read_pages(self._http, call, _configurations) for row in page)
        found = ((row.configuration_id, answers.threshold_days(row, call)) for row in rows)
        return tuple(AlertThreshold(configuration_id=name, days=days) for name, days in found if days is not None)

    def set_alert_threshold(self, project_id: str, configuration_id: str, days: int) -> None:
        """Read a configuration and send all of it back with another threshold: what is left out Atlas might forget."""
        reading = Call(operation=calls.READ_ALERT_CONFIGURATION, project=project_id, item=configuration_id)
        body = answers.with_threshold(self._http.read(reading), days, reading)
        self._http.change(
            Call(operation=calls.CHANGE_ALERT_CONFIGURATION, project=project_id, item=configuration_id, body=body)
        )

    def open_alerts(self, project_id: str) -> tuple[AtlasAlert, ...]:
        """The alerts about the age of this project's key that are not closed."""
        found: dict[str, AtlasAlert] = {}
        for status in _NOT_CLOSED:
            call = Call(operation=calls.LIST_ALERTS, project=project_id, query=f"status={status}")
            rows = (row for page in read_pages(self._http, call, _alerts) for row in page)
            alerts = (answers.as_alert(row, call) for row in rows)
            found |= {alert.alert_id: alert for alert in alerts if alert is not None}
        return tuple(found.values())

    def acknowledge_alert(self, project_id: str, alert_id: str, *, until: datetime, comment: str) -> None:
        """Acknowledge an alert until a moment, once; whether it came about the next look shows."""
        moment = until.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        said = {"acknowledgedUntil": moment, "acknowledgementComment": comment[: answers.LONGEST_COMMENT]}
        body = msgspec.json.encode(said)
        self._http.change(Call(operation=calls.ACKNOWLEDGE_ALERT, project=project_id, item=alert_id, body=body))

    def secret_expiries(self, client_id: str) -> tuple[datetime, ...]:
        """When the secrets of one of the organization's service accounts expire."""
        call = Call(operation=calls.READ_SERVICE_ACCOUNT, organization=self.organization, item=client_id)
        account = answers.read_answer(_account, call, self._http.read(call))
        return tuple(secret.expires_at for secret in account.secrets)

    def latest_date(self) -> datetime | None:
        """The Date header of the latest answer from this Atlas, None before the first."""
        return self._http.latest_date


class AtlasKeySwapper:
    """The owner's service account, used for the swap alone; satisfies the port `AtlasOwner`.

    `credentials(secret_id)` reads the credentials of an IAM user at the moment of a swap; they go into that one
    request and nowhere else.
    """

    def __init__(self, http: AtlasHttp, credentials: Callable[[str], AccessKey] = no_credentials) -> None:
        self._http = http
        self._credentials = credentials

    def swap_key(
        self,
        project_id: str,
        key: KeyArn,
        *,
        settings: Settings,
        role_id: str | None,
        credentials_secret: str | None = None,
    ) -> None:
        """Send one complete `awsKms` block naming `key`, once; read the settings back to learn what came of it.

        Refuses to send where the settings are not enabled or not known to be valid: Atlas would read the
        block as switching encryption on, or take no new key while the current one is out of reach. With
        `credentials_secret`, the id of a Secrets Manager secret that is named `keyturn/…`, the block carries
        the credentials it holds instead of the role.
        """
        check_sendable(project_id, settings, principal_known=bool(role_id or credentials_secret))
        principal = by_role(role_id)
        if credentials_secret is not None:
            principal = by_access_key(self._credentials(credentials_secret))
        body = msgspec.json.encode({"awsKms": aws_kms(key, settings, principal)})
        confidential = credentials_secret is not None
        self._http.change(
            Call(operation=calls.CHANGE_SETTINGS, project=project_id, body=body, confidential=confidential)
        )
