"""Atlas as the ports want it: a reader of one organization, and the one hand that may change a project's key.

How the calls are named, sent, waited for, read and refused stands in the other files whose names begin with
`atlas`; everything that Atlas says is taken for incomplete until it shows that it is whole.
"""

from collections.abc import Iterator
from datetime import datetime
from operator import attrgetter

import msgspec

from chalicelib.adapters import atlas_answers as answers
from chalicelib.adapters import atlas_calls as calls
from chalicelib.adapters import atlas_shapes as shapes
from chalicelib.adapters.atlas_calls import Call
from chalicelib.adapters.atlas_http import AtlasHttp
from chalicelib.adapters.atlas_lists import Rows, read_pages, read_single_page
from chalicelib.domain.arn import KeyArn, atlas_region
from chalicelib.domain.observed import AtlasProject, AtlasRole, BackupSchedule, Cluster, Settings, Snapshot
from chalicelib.usecases.ports import PermanentError

_settings = msgspec.json.Decoder(shapes.SettingsAnswer)
_roles = msgspec.json.Decoder(shapes.RolesAnswer)
_schedule = msgspec.json.Decoder(shapes.ScheduleAnswer)
_projects = Rows(shapes.ProjectRow, attrgetter("project_id"))
_clusters = Rows(shapes.ClusterRow, attrgetter("cluster_id"))
_snapshots = Rows(shapes.SnapshotRow, attrgetter("snapshot_id"))
_alerts = Rows(shapes.AlertRow, attrgetter("configuration_id"))


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

    def clusters(self, project_id: str, *, deleted_too: bool) -> Iterator[Cluster]:
        """Every cluster; with `deleted_too` also deleted ones whose backups are retained."""
        operation = calls.LIST_CLUSTERS_AND_RETAINED if deleted_too else calls.LIST_CLUSTERS
        for page in read_pages(self._http, Call(operation=operation, project=project_id), _clusters):
            yield from map(answers.as_cluster, page)

    def snapshots(self, project_id: str, cluster: str) -> Iterator[Snapshot]:
        """The replica-set list of snapshots, complete or an error; an unknown cluster is an error too."""
        call = Call(operation=calls.LIST_SNAPSHOTS, project=project_id, cluster=cluster)
        for page in read_pages(self._http, call, _snapshots):
            yield from answers.as_snapshots(page)

    def sharded_snapshots(self, project_id: str, cluster: str) -> Iterator[Snapshot]:
        """The sharded-cluster list of snapshots, complete or an error; an unknown cluster is an error too."""
        call = Call(operation=calls.LIST_SHARDED_SNAPSHOTS, project=project_id, cluster=cluster)
        yield from answers.as_snapshots(read_single_page(self._http, call, _snapshots))

    def backup_schedule(self, project_id: str, cluster: str) -> BackupSchedule:
        """The cluster's backup policy."""
        call = Call(operation=calls.READ_SCHEDULE, project=project_id, cluster=cluster)
        return answers.as_schedule(answers.read_answer(_schedule, call, self._http.read(call)))

    def alert_threshold_days(self, project_id: str) -> int | None:
        """After how many days Atlas itself nags about this project's key; None when it does not."""
        call = Call(operation=calls.LIST_ALERT_CONFIGURATIONS, project=project_id)
        rows = (row for page in read_pages(self._http, call, _alerts) for row in page)
        days = (answers.threshold_days(row, call) for row in rows)
        return min((day for day in days if day is not None), default=None)

    def latest_date(self) -> datetime | None:
        """The Date header of the latest answer from this Atlas, None before the first."""
        return self._http.latest_date


class AtlasKeySwapper:
    """The owner's service account, used for the swap alone; satisfies the port `AtlasOwner`."""

    def __init__(self, http: AtlasHttp) -> None:
        self._http = http

    def swap_key(self, project_id: str, key: KeyArn, *, settings: Settings, role_id: str) -> None:
        """Send one complete `awsKms` block naming `key`, once; read the settings back to learn what came of it.

        Refuses to send where the settings are not enabled or not known to be valid: Atlas would read the
        block as switching encryption on, or take no new key while the current one is out of reach.
        """
        body = msgspec.json.encode({"awsKms": _aws_kms(key, settings, role_id)})
        call = Call(operation=calls.CHANGE_SETTINGS, project=project_id, body=body)
        _check_sendable(call, settings, role_id)
        self._http.change(call)


def _aws_kms(key: KeyArn, settings: Settings, role_id: str) -> dict[str, str | bool]:
    return {
        "enabled": True,
        "customerMasterKeyID": str(key),
        "region": atlas_region(key.region),
        "roleId": role_id,
        "requirePrivateNetworking": settings.private_networking,
    }


def _check_sendable(call: Call, settings: Settings, role_id: str) -> None:
    if not settings.enabled:
        code, why = "not_enabled", "encryption at rest with an AWS key is not enabled, and Keyturn never enables it"
    elif settings.valid is not True:
        code, why = "current_key_invalid", "Atlas does not find the current key valid: restore that key first"
    elif not role_id:
        code, why = "no_role", "no IAM role is known that Atlas may assume"
    else:
        return
    message = f"{call} for project {call.project}: not sent: {why}"
    raise PermanentError(message, call=str(call), code=code)
