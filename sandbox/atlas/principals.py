"""As whom Atlas uses a project's key: a role, or in old projects an IAM user; and where that finds the key."""

from dataclasses import replace

from chalicelib.domain.arn import KeyArn, aws_region, parse_key_arn, parse_key_id
from sandbox.atlas.cmk import AccessKey, Cmk, KmsSettings
from sandbox.atlas.keys import BadCredentials, Users
from sandbox.atlas.model import Project
from sandbox.atlas.refusals import Refusal, bad_request
from sandbox.atlas.settings_body import Block, is_supported

_NOWHERE = KeyArn(account="", region="", key_id="")


class Principals:
    """Reads from a change of settings whom the key is to be used as."""

    def __init__(self, users: Users) -> None:
        self._users = users

    def wanted(self, project: Project, block: Block) -> KmsSettings:
        """Give settings with the right principal, their key still open; refused where there is none."""
        if block.access_key_id is not None or block.secret is not None:
            return self._user_wanted(project, block)
        current = project.encryption
        role_id = block.role_id or (None if current is None else current.role_id)
        if role_id is not None:
            return KmsSettings(cmk=_assumed(project, role_id), role_id=role_id)
        if current is None:
            raise bad_request("MISSING_ATTRIBUTE", "awsKms.roleId is missing.", "roleId")
        return current

    def _user_wanted(self, project: Project, block: Block) -> KmsSettings:
        if not project.legacy:
            text = "AWS KMS is reached through a role; access keys are not accepted any more."
            raise bad_request("AWS_KMS_CREDENTIALS_AUTH_DEPRECATED", text)
        if block.access_key_id is None or block.secret is None:
            missing = "accessKeyID" if block.access_key_id is None else "secretAccessKey"
            raise bad_request("MISSING_ATTRIBUTE", f"awsKms.{missing} is missing.", missing)
        access = AccessKey(access_key_id=block.access_key_id, secret_access_key=block.secret)
        return KmsSettings(cmk=_draft(self._user_arn(access), access=access))

    def _user_arn(self, access: AccessKey) -> str:
        try:
            return self._users.arn_of(access)
        except BadCredentials as nobody:
            text = "The AWS credentials are not valid."
            raise bad_request("INVALID_AWS_CREDENTIALS", text, access.access_key_id) from nobody


def _draft(principal: str, *, access: AccessKey | None = None, external_id: str = "") -> Cmk:
    return Cmk(written="", arn=_NOWHERE, principal=principal, access=access, external_id=external_id)


def _assumed(project: Project, role_id: str) -> Cmk:
    role = project.roles.get(role_id)
    if role is None or role.arn is None or role.authorized_at is None:
        text = f"The role {role_id} is not authorized."
        raise bad_request("CLOUD_PROVIDER_ACCESS_ROLE_NOT_AUTHORIZED", text, role_id)
    return _draft(role.arn, external_id=role.external_id)


def locate(written: str, *, region: str, draft: Cmk) -> Cmk:
    """Find the key of a draft as Atlas does: an ARN says where it is, a bare id lives in the principal's account.

    Alias names are refused: no page says that Atlas takes them.
    """
    if not is_supported(region):
        raise bad_request("AWS_KMS_REGION_NOT_SUPPORTED", f"Region {region} is not supported.", region)
    arn, key_id = parse_key_arn(written), parse_key_id(written)
    if arn is None and key_id is not None and not written.startswith("arn:"):
        arn = KeyArn(account=draft.principal.split(":")[4], region=aws_region(region), key_id=key_id)
    if arn is None or arn.region != aws_region(region):
        text = f"There is no key {written} in {region}."
        raise Refusal(404, "AWS_CUSTOMER_MASTER_KEY_NOT_FOUND", text, (written,))
    return replace(draft, written=written, arn=arn)
