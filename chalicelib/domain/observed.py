"""What Atlas and KMS show: the facts that decisions are made from, as values and nothing more."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from chalicelib.domain.arn import KeyArn


class Encryption(StrEnum):
    """Whose customer key encrypts a cluster (`encryptionAtRestProvider`)."""

    AWS = "AWS"
    AZURE = "AZURE"
    GCP = "GCP"
    NONE = "NONE"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, kw_only=True)
class AtlasProject:
    """A project as its organization lists it."""

    project_id: str
    name: str
    organization: str


@dataclass(frozen=True, kw_only=True)
class Settings:
    """A project's Encryption at Rest settings, read just now.

    `key` is the text Atlas holds (bare id or ARN); `region` is spelt AWS' way; `valid` is Atlas' own
    probe of the key and None when Atlas did not say; `access_key_id` names the IAM user's key (an
    identifier, no secret) of a project that still encrypts with one.
    """

    enabled: bool
    key: str | None = None
    region: str | None = None
    role_id: str | None = None
    valid: bool | None = None
    private_networking: bool = False
    legacy_access_key: bool = False
    other_provider: Encryption = Encryption.NONE
    access_key_id: str | None = None

    @property
    def found_invalid(self) -> bool:
        """Whether Atlas says that it cannot use the key any more; what it does not say is no trouble."""
        return self.enabled and self.valid is False


@dataclass(frozen=True, kw_only=True)
class AtlasRole:
    """An AWS IAM role that Atlas may assume (`cloudProviderAccess`); `arn` is None until authorized."""

    role_id: str
    arn: str | None
    used_for_encryption: bool


@dataclass(frozen=True, kw_only=True)
class LegacyUser:
    """The IAM user whose access key a project still encrypts with, instead of a role."""

    access_key_id: str
    arn: str


@dataclass(frozen=True, kw_only=True)
class PrivateEndpoint:
    """A private endpoint to AWS KMS; `region` is spelt AWS' way, only the status `ACTIVE` serves."""

    region: str
    status: str


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A cluster as Atlas lists it; `tier` is its instance size (`M10`), None when not shown."""

    name: str
    cluster_id: str
    kind: str
    state: str
    paused: bool
    encryption: Encryption
    backups: bool
    point_in_time: bool
    tier: str | None = None
    regions: tuple[str, ...] = ()

    @property
    def shared_tier(self) -> bool:
        """Whether the tier is one on which customer keys do not exist (M0, M2, M5, flex)."""
        return self.tier in {"M0", "M2", "M5", "FLEX"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """One snapshot; `key` is Atlas' `masterKeyUUID` as written, None when the field is missing.

    It is `copied` when the list names a region that has a copy of it; that of a sharded cluster's snapshots names none.
    """

    snapshot_id: str
    status: str
    key: str | None
    created_at: datetime | None
    expires_at: datetime | None
    on_demand: bool = False
    copied: bool = False


@dataclass(frozen=True, kw_only=True)
class RestoreJob:
    """A restore from a cluster's backups; it is `running` until Atlas says that it is over, however it ended.

    `delivery` is Atlas' word (`automated`, `download`, `pointInTime`); a restore to a point in time names no
    snapshot, and Atlas does not show when a job was made unless `created_at` says so.
    """

    job_id: str
    snapshot_id: str | None
    running: bool
    delivery: str
    target_project: str | None
    target_cluster: str | None
    created_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class ExportJob:
    """An export of a snapshot to a bucket; in any `state` that does not end it, it is `running`."""

    job_id: str
    snapshot_id: str | None
    state: str
    running: bool


@dataclass(frozen=True, kw_only=True)
class ProjectEvent:
    """Something that Atlas noted in a project: a hint to look, never a proof."""

    event_id: str
    type: str
    at: datetime
    cluster: str | None


@dataclass(frozen=True, kw_only=True)
class AtlasAlert:
    """An alert of Atlas that is not closed, about the age of a project's key.

    `acknowledged_by` is whom Atlas names; `comment` is what they wrote, cleaned for logs.
    """

    alert_id: str
    opened_at: datetime
    acknowledged_until: datetime | None = None
    acknowledged_by: str | None = None
    comment: str = ""


@dataclass(frozen=True, kw_only=True)
class AlertThreshold:
    """An enabled alert configuration about the age of a project's key, and after how many days it raises one."""

    configuration_id: str
    days: int


@dataclass(frozen=True, kw_only=True)
class CopySetting:
    """One setting by which snapshots are copied to a region (spelt AWS' way where it is one of AWS).

    `longest_retention_days` is the longest that copies have of their own, months and years counted at their
    longest; None when the copies live as long as their originals.
    """

    region: str
    longest_retention_days: int | None


@dataclass(frozen=True, kw_only=True)
class BackupSchedule:
    """What a cluster's backup policy says; `cluster_id` tells a re-used name from the cluster meant.

    `restore_window_days` bounds point-in-time restores; `copy_regions` counts the regions that keep copies.
    """

    cluster_id: str | None
    restore_window_days: int | None
    copy_regions: int = 0
    copies: tuple[CopySetting, ...] = ()


class KeyStatus(StrEnum):
    """The state that KMS reports for a key (`KeyState`)."""

    CREATING = "Creating"
    ENABLED = "Enabled"
    DISABLED = "Disabled"
    PENDING_DELETION = "PendingDeletion"
    PENDING_IMPORT = "PendingImport"
    PENDING_REPLICA_DELETION = "PendingReplicaDeletion"
    UNAVAILABLE = "Unavailable"
    UPDATING = "Updating"
    GONE = "Gone"
    """Our word for a key that KMS no longer knows."""
    UNKNOWN = "Unknown"


@dataclass(frozen=True, kw_only=True)
class KeyDescription:
    """A key as KMS describes it; `created_at` and `deletion_date` are None where KMS did not say.

    A `replica` follows a primary key in another region, a `custom_store` keeps the material outside of KMS
    (CloudHSM or an external key store), an `aws_managed` key belongs to an AWS service.
    """

    arn: KeyArn
    status: KeyStatus
    spec: str = "SYMMETRIC_DEFAULT"
    usage: str = "ENCRYPT_DECRYPT"
    origin: str = "AWS_KMS"
    multi_region: bool = False
    created_at: datetime | None = None
    deletion_date: datetime | None = None
    replica: bool = False
    custom_store: bool = False
    aws_managed: bool = False


ON_DEMAND_LIMIT = 25
"""How often KMS rotates one key on demand, in the key's whole life."""


@dataclass(frozen=True, kw_only=True)
class KeyRotations:
    """What KMS itself has rotated: every date so far (`ListKeyRotations`), and whether it does so by itself.

    `period_days` and `next_at` are known while it rotates by itself; `on_demand` counts the rotations of
    that kind that are done, `on_demand_running_since` says when one began that is not.
    """

    automatic: bool
    dates: tuple[datetime, ...] = ()
    period_days: int | None = None
    next_at: datetime | None = None
    on_demand: int = 0
    on_demand_running_since: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class KeyUse:
    """The last use of a key that KMS recorded (`GetKeyLastUsage`), None for none since `tracked_since`.

    A use before KMS kept records does not show: no use here is no proof that nobody needs the key.
    """

    at: datetime | None
    operation: str | None
    tracked_since: datetime | None


class Grant(StrEnum):
    """What a principal's own IAM policies say about one action on one key (`SimulatePrincipalPolicy`)."""

    ALLOWED = "allowed"
    EXPLICIT_DENY = "explicitDeny"
    IMPLICIT_DENY = "implicitDeny"


@dataclass(frozen=True, kw_only=True)
class NewKey:
    """Everything a new CMK is created with; the rotation id makes the creation findable again."""

    project_id: str
    project_name: str
    rotation_id: str
    alias: str
    policy: str
    tags: dict[str, str] = field(default_factory=dict)
