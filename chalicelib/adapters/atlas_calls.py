"""The calls of the Atlas Admin API that Keyturn makes: each with its path, its own version and the role it needs.

Atlas versions every operation by date and refuses unknown dates (406), so each operation names its own.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote, urlencode

ITEMS_PER_PAGE = 500
"""The largest page that Atlas gives."""

_ALL_ABOUT_THE_PAGE = f"includeCount=true&itemsPerPage={ITEMS_PER_PAGE}&pageNum="


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One operation of the API; `role` is the least Atlas role that may call it."""

    name: str
    path: str
    version: str = "2023-01-01"
    role: str = "Project Read Only"
    method: str = "GET"
    query: str = ""
    paged: bool = False

    @property
    def media_type(self) -> str:
        """The versioned media type of the answer, and of the body where there is one."""
        return f"application/vnd.atlas.{self.version}+json"


@dataclass(frozen=True, kw_only=True)
class Call:
    """One operation on one project and cluster; `str()` names it as errors and evidence do.

    With `confidential` the body holds a secret: then nothing that Atlas says to it is repeated but the code.
    """

    operation: Operation
    project: str | None = None
    cluster: str | None = None
    organization: str | None = None
    item: str | None = None
    """The one alert, alert configuration or service account that is meant."""
    query: str = ""
    page: int = 1
    body: bytes | None = field(default=None, repr=False)
    confidential: bool = False

    @property
    def path(self) -> str:
        """The path with its ids, which are quoted: a name can never reach out of its place."""
        ids = {
            "project": self.project,
            "cluster": self.cluster,
            "organization": self.organization,
            "item": self.item,
        }
        return self.operation.path.format_map({name: quote(text or "", safe="") for name, text in ids.items()})

    @property
    def target(self) -> str:
        """Path and query; the address of a page is always made here, never taken from an answer."""
        paging = f"{_ALL_ABOUT_THE_PAGE}{self.page}" if self.operation.paged else ""
        query = "&".join(part for part in (self.operation.query, self.query, paging) if part)
        return f"/api/atlas/v2{self.path}" + (f"?{query}" if query else "")

    def __str__(self) -> str:
        return f"{self.operation.method} {self.path}"


LIST_PROJECTS = Operation(name="listGroups", path="/groups", role="Organization Read Only", paged=True)
READ_SETTINGS = Operation(name="getGroupEncryptionAtRest", path="/groups/{project}/encryptionAtRest")
CHANGE_SETTINGS = Operation(
    name="updateGroupEncryptionAtRest",
    method="PATCH",
    path="/groups/{project}/encryptionAtRest",
    role="Project Owner",
)
LIST_ROLES = Operation(name="listGroupCloudProviderAccess", path="/groups/{project}/cloudProviderAccess")
LIST_CLUSTERS = Operation(name="listGroupClusters", path="/groups/{project}/clusters", version="2024-08-05", paged=True)
LIST_CLUSTERS_AND_RETAINED = Operation(
    name="listGroupClusters",
    path="/groups/{project}/clusters",
    version="2024-08-05",
    query="includeDeletedWithRetainedBackups=true",
    paged=True,
)
LIST_SNAPSHOTS = Operation(
    name="listGroupClusterBackupSnapshots",
    path="/groups/{project}/clusters/{cluster}/backup/snapshots",
    paged=True,
)
LIST_SHARDED_SNAPSHOTS = Operation(
    name="listGroupClusterBackupSnapshotShardedClusters",
    path="/groups/{project}/clusters/{cluster}/backup/snapshots/shardedClusters",
)
READ_SCHEDULE = Operation(
    name="getGroupClusterBackupSchedule",
    path="/groups/{project}/clusters/{cluster}/backup/schedule",
    version="2024-08-05",
)
LIST_RESTORE_JOBS = Operation(
    name="listGroupClusterBackupRestoreJobs",
    path="/groups/{project}/clusters/{cluster}/backup/restoreJobs",
    role="Project Backup Manager",
    paged=True,
)
LIST_EXPORTS = Operation(
    name="listGroupClusterBackupExports",
    path="/groups/{project}/clusters/{cluster}/backup/exports",
    role="Project Backup Manager",
    paged=True,
)
LIST_PRIVATE_ENDPOINTS = Operation(
    name="listGroupEncryptionAtRestPrivateEndpoints",
    path="/groups/{project}/encryptionAtRest/AWS/privateEndpoints",
    role="Project Owner",
    paged=True,
)
LIST_EVENTS = Operation(name="listGroupEvents", path="/groups/{project}/events", paged=True)
LIST_ALERT_CONFIGURATIONS = Operation(name="listGroupAlertConfigs", path="/groups/{project}/alertConfigs", paged=True)
READ_ALERT_CONFIGURATION = Operation(name="getGroupAlertConfig", path="/groups/{project}/alertConfigs/{item}")
CHANGE_ALERT_CONFIGURATION = Operation(
    name="updateGroupAlertConfig",
    method="PUT",
    path="/groups/{project}/alertConfigs/{item}",
    role="Project Alerts Manager",
)
LIST_ALERTS = Operation(name="listGroupAlerts", path="/groups/{project}/alerts", paged=True)
ACKNOWLEDGE_ALERT = Operation(
    name="acknowledgeGroupAlert",
    method="PATCH",
    path="/groups/{project}/alerts/{item}",
    version="2024-05-30",
    role="Project Alerts Manager",
)
READ_SERVICE_ACCOUNT = Operation(
    name="getOrgServiceAccount",
    path="/orgs/{organization}/serviceAccounts/{item}",
    version="2024-08-05",
    role="Organization Read Only",
)


def events_since(types: tuple[str, ...], since: datetime) -> str:
    """Give the query that narrows events to these types and to this second and later."""
    moment = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return urlencode([*(("eventType", kind) for kind in types), ("minDate", moment)])
