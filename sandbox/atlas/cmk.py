"""Customer keys as projects name them, and whom Atlas uses them as: a role, or in old projects an IAM user."""

from dataclasses import dataclass, field
from datetime import datetime

from chalicelib.domain.arn import KeyArn, atlas_region


@dataclass(frozen=True, kw_only=True)
class Role:
    """An IAM role offered to Atlas (`cloudProviderAccess`); without an ARN it was never authorized."""

    role_id: str
    arn: str | None
    external_id: str
    created_at: datetime
    authorized_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class AccessKey:
    """An IAM user's credentials, with which projects from before 2021 may still encrypt."""

    access_key_id: str
    secret_access_key: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Cmk:
    """A customer master key as the settings name it (`written`), and the principal that Atlas uses it as.

    With `access` the principal is an IAM user, and calls are signed with its credentials. A role is assumed with
    `external_id`, which Atlas gave for it in this project.
    """

    written: str
    arn: KeyArn
    principal: str
    access: AccessKey | None = None
    external_id: str = ""


@dataclass(frozen=True, kw_only=True)
class KmsSettings:
    """A project's `awsKms` block while it is enabled; it names a role or holds an IAM user's credentials."""

    cmk: Cmk
    role_id: str | None = None
    private_networking: bool = False

    @property
    def region(self) -> str:
        """The key's region in Atlas' spelling."""
        return atlas_region(self.cmk.arn.region)


@dataclass(frozen=True, kw_only=True)
class PrivateEndpoint:
    """An endpoint through which Atlas reaches KMS in one region (Atlas' spelling); only `ACTIVE` ones serve."""

    endpoint_id: str
    region: str
    status: str
