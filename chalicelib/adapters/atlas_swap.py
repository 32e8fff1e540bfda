"""The `awsKms` block that names another key: what stands in it, and when it may not be sent."""

from collections.abc import Mapping
from typing import Protocol

from chalicelib.adapters.atlas_calls import CHANGE_SETTINGS, Call
from chalicelib.domain.arn import KeyArn, atlas_region
from chalicelib.domain.observed import Settings
from chalicelib.usecases.ports import PermanentError


class AccessKey(Protocol):
    """The credentials of an IAM user, whoever keeps them."""

    @property
    def access_key_id(self) -> str:
        """Which key it is; no secret."""
        ...

    @property
    def secret_access_key(self) -> str:
        """The secret."""
        ...


def no_credentials(secret_id: str) -> AccessKey:
    """Stand in where nothing was furnished that reads secrets: always a PermanentError."""
    text = f"the secret {secret_id} cannot be read here: Keyturn was given no way to read credentials"
    raise PermanentError(text, call="secretsmanager:GetSecretValue", code="not_furnished")


def by_role(role_id: str | None) -> dict[str, str]:
    """The principal of the block: a role that Atlas may assume."""
    return {"roleId": role_id or ""}


def by_access_key(given: AccessKey) -> dict[str, str]:
    """The principal of the block: an IAM user, for projects that still hold one's credentials."""
    return {"accessKeyID": given.access_key_id, "secretAccessKey": given.secret_access_key}


def aws_kms(key: KeyArn, settings: Settings, principal: Mapping[str, str]) -> dict[str, str | bool]:
    """The complete block, for Atlas' documentation is of two minds about leaving out what stays the same."""
    return {
        "enabled": True,
        "customerMasterKeyID": str(key),
        "region": atlas_region(key.region),
        **principal,
        "requirePrivateNetworking": settings.private_networking,
    }


def check_sendable(project_id: str, settings: Settings, *, principal_known: bool) -> None:
    """Refuse a change that would switch encryption on, or that Atlas cannot take, by a PermanentError."""
    if not settings.enabled:
        code, why = "not_enabled", "encryption at rest with an AWS key is not enabled, and Keyturn never enables it"
    elif settings.valid is not True:
        code, why = "current_key_invalid", "Atlas does not find the current key valid: restore that key first"
    elif not principal_known:
        code, why = "no_role", "no IAM role is known that Atlas may assume"
    else:
        return
    call = Call(operation=CHANGE_SETTINGS, project=project_id)
    raise PermanentError(f"{call} for project {project_id}: not sent: {why}", call=str(call), code=code)
