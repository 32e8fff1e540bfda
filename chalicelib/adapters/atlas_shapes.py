"""The shapes of Atlas' answers, only as far as they are used.

Unknown fields are ignored and unknown words kept: real answers differ from the published schema. Fields
that decide something are required, because a missing fact must not look like a harmless one.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Generic, TypeVar

import msgspec
from msgspec import Struct, field

from chalicelib.domain.moments import is_meant

Row = TypeVar("Row")
Instant = Annotated[datetime, msgspec.Meta(tz=True)]

LONGEST_DAYS = 36_600
"""A hundred years: more days are never meant, and counting so far may leave the calendar."""

Days = Annotated[int, msgspec.Meta(ge=0, le=LONGEST_DAYS)]


def _check_years(*moments: datetime | None) -> None:
    """Refuse moments of years that are never meant (snapshots, of which there are many, are looked at as a whole)."""
    for moment in moments:
        if moment is not None and not is_meant(moment):
            raise ValueError(f"the year {moment.year}")


class Link(Struct, gc=False):
    """A link; only what it means is read, never where it leads."""

    rel: str | None = None


class Page(Struct, Generic[Row]):
    """One page of a list; `total_count` is Atlas' own estimate of the whole."""

    results: list[Row]
    total_count: int | None = field(default=None, name="totalCount")
    links: list[Link] | None = None

    @property
    def goes_on(self) -> bool:
        """Whether there is a next page."""
        return any(link.rel == "next" for link in self.links or ())


class ProjectRow(Struct, gc=False):
    """A project in a list."""

    project_id: str = field(name="id")
    name: str
    organization: str | None = field(default=None, name="orgId")


class SnapshotRow(Struct, gc=False):
    """A snapshot in either list; its fields are named like the noun's, so that msgspec turns one into the other."""

    snapshot_id: str = field(name="id")
    status: str
    key: str | None = field(default=None, name="masterKeyUUID")
    created_at: Instant | None = field(default=None, name="createdAt")
    expires_at: Instant | None = field(default=None, name="expiresAt")
    snapshot_type: str | None = field(default=None, name="snapshotType")
    frequency_type: str | None = field(default=None, name="frequencyType")
    copy_regions: list[str] | None = field(default=None, name="copyRegions")

    @property
    def copied(self) -> bool:
        """Whether a copy of it lies in another region, which need not be one of the backup policy as it is now."""
        return bool(self.copy_regions)

    @property
    def on_demand(self) -> bool:
        """Whether a person asked for it; recorded answers say so in either field."""
        return self.snapshot_type == "onDemand" or self.frequency_type == "ondemand"


class _Hardware(Struct):
    size: str | None = field(default=None, name="instanceSize")


class Region(Struct):
    """One region of a cluster, with the provider whose name for it this is."""

    provider: str | None = field(default=None, name="providerName")
    backing_provider: str | None = field(default=None, name="backingProviderName")
    region: str | None = field(default=None, name="regionName")
    electable: _Hardware | None = field(default=None, name="electableSpecs")

    @property
    def in_aws(self) -> bool:
        """Whether it is a region of AWS."""
        return "AWS" in (self.provider, self.backing_provider)


class _Replication(Struct):
    regions: list[Region] | None = field(default=None, name="regionConfigs")


class ClusterRow(Struct):
    """A cluster in a list; a missing `backupEnabled` or `pitEnabled` counts as on, for then it is looked at."""

    name: str
    cluster_id: str = field(name="id")
    kind: str = field(name="clusterType")
    state: str = field(name="stateName")
    paused: bool | None = None
    encryption: str | None = field(default=None, name="encryptionAtRestProvider")
    backups: bool | None = field(default=None, name="backupEnabled")
    point_in_time: bool | None = field(default=None, name="pitEnabled")
    replication: list[_Replication] | None = field(default=None, name="replicationSpecs")

    def regions(self) -> Iterator[Region]:
        """Where its nodes are."""
        for specification in self.replication or ():
            yield from specification.regions or ()


class Threshold(Struct):
    """When an alert is raised; other events than ours write other things here."""

    value: float | str | None = field(default=None, name="threshold")
    units: str | None = None


class AlertConfigurationRow(Struct):
    """An alert configuration in a list; real ones may lack even their event."""

    configuration_id: str = field(name="id")
    event: str | None = field(default=None, name="eventTypeName")
    enabled: bool | None = None
    threshold: Threshold | None = None


class AwsKms(Struct):
    """The AWS block; switched off it says `enabled: false` or is missing."""

    enabled: bool | None = None
    key: str | None = field(default=None, name="customerMasterKeyID")
    region: str | None = None
    role_id: str | None = field(default=None, name="roleId")
    valid: bool | None = None
    private_networking: bool | None = field(default=None, name="requirePrivateNetworking")
    access_key: str | None = field(default=None, name="accessKeyID")


class _OtherKms(Struct):
    enabled: bool | None = None


class SettingsAnswer(Struct):
    """The Encryption at Rest settings; switched off they are blocks that say `enabled: false`."""

    aws: AwsKms | None = field(default=None, name="awsKms")
    azure: _OtherKms | None = field(default=None, name="azureKeyVault")
    google: _OtherKms | None = field(default=None, name="googleCloudKms")


class _Usage(Struct):
    feature: str | None = field(default=None, name="featureType")


class _Role(Struct):
    role_id: str = field(name="roleId")
    arn: str | None = field(default=None, name="iamAssumedRoleArn")
    usages: list[_Usage] | None = field(default=None, name="featureUsages")


class RolesAnswer(Struct):
    """The roles that Atlas may assume."""

    roles: list[_Role] = field(name="awsIamRoles")


class CopyItem(Struct):
    """How long copies of one frequency are kept; those taken on demand say nothing, they follow the original."""

    unit: str | None = field(default=None, name="retentionUnit")
    value: int | None = field(default=None, name="retentionValue")


class Copy(Struct):
    """One setting by which snapshots are copied to a region."""

    provider: str | None = field(default=None, name="cloudProvider")
    region: str | None = field(default=None, name="regionName")
    items: list[CopyItem] | None = field(default=None, name="copyPolicyItems")


class ScheduleAnswer(Struct):
    """A backup policy; one that did not say whose it is, or whether there are copies, would hide both."""

    cluster_id: str = field(name="clusterId")
    copies: list[Copy] = field(name="copySettings")
    restore_window_days: Days | None = field(default=None, name="restoreWindowDays")


class RestoreRow(Struct, gc=False):
    """A restore job in a list; named like the noun's fields, as a snapshot's are."""

    job_id: str = field(name="id")
    delivery: str = field(name="deliveryType")
    snapshot_id: str | None = field(default=None, name="snapshotId")
    target_project: str | None = field(default=None, name="targetGroupId")
    target_cluster: str | None = field(default=None, name="targetClusterName")
    created_at: Instant | None = field(default=None, name="createdAt")
    finished_at: Instant | None = field(default=None, name="finishedAt")
    failed: bool | None = None
    cancelled: bool | None = None
    expired: bool | None = None

    @property
    def running(self) -> bool:
        """Whether nothing says that it is over."""
        return self.finished_at is None and not (self.failed or self.cancelled or self.expired)


class ExportRow(Struct, gc=False):
    """An export job in a list; named like the noun's fields, as a snapshot's are."""

    job_id: str = field(name="id")
    snapshot_id: str | None = field(default=None, name="snapshotId")
    state: str = "Unknown"

    @property
    def running(self) -> bool:
        """Whether it is in no state that ends it."""
        return self.state not in {"Successful", "Failed", "Cancelled"}


class EndpointRow(Struct, gc=False):
    """A private endpoint in a list."""

    endpoint_id: str = field(name="id")
    region: str = field(name="regionName")
    status: str


class EventRow(Struct, gc=False):
    """An event in a list; named like the noun's fields, as a snapshot's are."""

    event_id: str = field(name="id")
    type: str = field(name="eventTypeName")
    at: Instant = field(name="created")
    cluster: str | None = field(default=None, name="clusterName")

    def __post_init__(self) -> None:
        """Refuse what no calendar holds."""
        _check_years(self.at)


class AlertRow(Struct):
    """An alert in a list; who acknowledged it, and what for, is told where somebody has."""

    alert_id: str = field(name="id")
    event: str | None = field(default=None, name="eventTypeName")
    opened_at: Instant | None = field(default=None, name="created")
    resolved_at: Instant | None = field(default=None, name="resolved")
    acknowledged_until: Instant | None = field(default=None, name="acknowledgedUntil")
    acknowledged_by: str | None = field(default=None, name="acknowledgingUsername")
    comment: str | None = field(default=None, name="acknowledgementComment")

    def __post_init__(self) -> None:
        """Refuse what no calendar holds."""
        _check_years(self.opened_at, self.acknowledged_until)


class _AccountSecret(Struct):
    expires_at: Instant = field(name="expiresAt")

    def __post_init__(self) -> None:
        """Refuse what no calendar holds."""
        _check_years(self.expires_at)


class ServiceAccountAnswer(Struct):
    """A service account; its secrets show when they expire, and no value."""

    secrets: list[_AccountSecret]
