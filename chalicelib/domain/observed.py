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
    probe of the key and None when Atlas did not say.
    """

    enabled: bool
    key: str | None = None
    region: str | None = None
    role_id: str | None = None
    valid: bool | None = None
    private_networking: bool = False
    legacy_access_key: bool = False
    other_provider: Encryption = Encryption.NONE


@dataclass(frozen=True, kw_only=True)
class AtlasRole:
    """An AWS IAM role that Atlas may assume (`cloudProviderAccess`); `arn` is None until authorized."""

    role_id: str
    arn: str | None
    used_for_encryption: bool


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


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """One snapshot; `key` is Atlas' `masterKeyUUID` as written, None when the field is missing."""

    snapshot_id: str
    status: str
    key: str | None
    created_at: datetime | None
    expires_at: datetime | None
    on_demand: bool = False


@dataclass(frozen=True, kw_only=True)
class BackupSchedule:
    """What a cluster's backup policy says; `cluster_id` tells a re-used name from the cluster meant.

    `restore_window_days` bounds point-in-time restores; `copy_regions` counts the regions that keep copies.
    """

    cluster_id: str | None
    restore_window_days: int | None
    copy_regions: int = 0


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
    """A key as KMS describes it; `created_at` and `deletion_date` are None where KMS did not say."""

    arn: KeyArn
    status: KeyStatus
    spec: str = "SYMMETRIC_DEFAULT"
    usage: str = "ENCRYPT_DECRYPT"
    origin: str = "AWS_KMS"
    multi_region: bool = False
    created_at: datetime | None = None
    deletion_date: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class KeyRotations:
    """What KMS itself has rotated: whether by itself, and every date so far (`ListKeyRotations`)."""

    automatic: bool
    dates: tuple[datetime, ...] = ()


@dataclass(frozen=True, kw_only=True)
class NewKey:
    """Everything a new CMK is created with; the rotation id makes the creation findable again."""

    project_id: str
    project_name: str
    rotation_id: str
    alias: str
    policy: str
    tags: dict[str, str] = field(default_factory=dict)
