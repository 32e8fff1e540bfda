"""A project's Encryption at Rest settings: what Atlas accepts, what it refuses, and with which code."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NoReturn

from chalicelib.domain.arn import KeyArn, aws_region, parse_key_arn, parse_key_id
from sandbox.atlas.ground import Ground
from sandbox.atlas.keys import Keys, KeyTrouble, Trouble
from sandbox.atlas.model import Cmk, KmsSettings, Project
from sandbox.atlas.refusals import Refusal, bad_request, conflict
from sandbox.atlas.settings_body import Block, Patch, is_supported, read_patch
from sandbox.atlas.validity import Validity

_CODES: Mapping[Trouble, tuple[int, str]] = {
    Trouble.NOT_FOUND: (404, "AWS_CUSTOMER_MASTER_KEY_NOT_FOUND"),
    Trouble.DISABLED: (400, "AWS_KMS_CUSTOMER_MASTER_KEY_NOT_ENABLED"),
    Trouble.PENDING_DELETION: (400, "AWS_KMS_CUSTOMER_MASTER_KEY_PENDING_DELETION"),
    Trouble.PENDING_IMPORT: (400, "AWS_KMS_CUSTOMER_MASTER_KEY_PENDING_IMPORT"),
    Trouble.NO_PERMISSION: (400, "NO_PERMISSION_TO_ENCRYPT_DECRYPT"),
    Trouble.NO_ROLE: (400, "CANNOT_ASSUME_ROLE"),
    Trouble.BROKEN: (400, "NO_PERMISSION_TO_ENCRYPT_DECRYPT"),
}


class Encryption:
    """Changes settings. `on_swap` is told when a project's key became another."""

    def __init__(self, ground: Ground, keys: Keys, validity: Validity) -> None:
        self._ground = ground
        self._keys = keys
        self._validity = validity
        self.on_swap: Callable[[Project], None] = lambda _project: None

    def change(self, project: Project, body: object) -> None:
        """Apply a PATCH body, or refuse it and change nothing."""
        patch = read_patch(body)
        if patch.other_provider is not None:
            self._refuse_other_provider(project, patch)
        if patch.aws is None:
            return
        if patch.aws.enabled is False:
            self._disable(project)
            return
        self._enable(project, patch.aws)

    def _refuse_other_provider(self, project: Project, patch: Patch) -> NoReturn:
        if project.encryption is None:
            text = f"This Atlas does not pretend to encrypt with {patch.other_provider}."
            raise bad_request("ENCRYPTION_AT_REST_PROVIDER_NOT_SUPPORTED", text)
        text = "The provider cannot change while encryption is enabled."
        raise conflict("CANNOT_CHANGE_ENCRYPTION_AT_REST_PROVIDER", text)

    def _disable(self, project: Project) -> None:
        users = [cluster.name for cluster in project.alive() if cluster.encryption == "AWS"]
        if users:
            text = f"Clusters still encrypt with the customer key: {', '.join(users)}."
            raise conflict("CANNOT_DISABLE_ENCRYPTION_AT_REST", text)
        if project.encryption is None:
            return
        if not self._validity.check(project):
            self._refuse_broken_settings()
        project.encryption = project.key_since = None
        self._ground.tell(project, "ENCRYPTION_AT_REST_CONFIGURATION_UPDATED")

    def _enable(self, project: Project, block: Block) -> None:
        if project.other_provider is not None:
            text = f"The project encrypts with {project.other_provider}."
            raise conflict("CANNOT_CHANGE_ENCRYPTION_AT_REST_PROVIDER", text)
        wanted = self._settings_wanted(project, block)
        if project.encryption is not None and not self._validity.check(project):
            self._refuse_broken_settings()
        self._probe(project, wanted.cmk)
        old = project.encryption
        project.encryption, project.was_valid = wanted, True
        self._ground.tell(project, "ENCRYPTION_AT_REST_CONFIGURATION_VALIDATION_SUCCEEDED")
        self._ground.tell(project, "ENCRYPTION_AT_REST_CONFIGURATION_UPDATED")
        if old is None or old.cmk.arn != wanted.cmk.arn:
            self._take_up(project, first=old is None)

    def _take_up(self, project: Project, *, first: bool) -> None:
        project.key_since = self._ground.now()
        if not first:
            self._ground.tell(project, "AWS_ENCRYPTION_KEY_ROTATED")
            self._ground.tell(project, "ENCRYPTION_AT_REST_KEY_ROTATION_STARTED")
        self.on_swap(project)

    def _refuse_broken_settings(self) -> NoReturn:
        text = "The current key does not work; it must work again before the settings can change."
        raise bad_request("ENCRYPTION_AT_REST_SETTINGS_INVALID", text)

    def _probe(self, project: Project, cmk: Cmk) -> None:
        try:
            self._keys.probe(cmk)
        except KeyTrouble as trouble:
            self._ground.tell(project, "ENCRYPTION_AT_REST_CONFIGURATION_VALIDATION_FAILED")
            status, code = _CODES[trouble.trouble]
            raise Refusal(status, code, f"Key {cmk.written}: {trouble.trouble.value}.", (cmk.written,)) from trouble

    def _settings_wanted(self, project: Project, block: Block) -> KmsSettings:
        current = project.encryption
        written = block.key or (current and current.cmk.written)
        region = block.region or (current and current.region)
        for value, name in ((written, "customerMasterKeyID"), (region, "region")):
            if value is None:
                raise bad_request("MISSING_ATTRIBUTE", f"awsKms.{name} is missing.", name)
        draft = self._principal_wanted(project, block)
        cmk = _locate(str(written), region=str(region), principal=draft.cmk.principal)
        private = block.private_networking
        if private is None:
            private = current is not None and current.private_networking
        return replace(draft, cmk=cmk, private_networking=private)

    def _principal_wanted(self, project: Project, block: Block) -> KmsSettings:
        if block.access_key_id is not None or block.secret is not None:
            text = "AWS KMS is reached through a role; access keys are not accepted any more."
            raise bad_request("AWS_KMS_CREDENTIALS_AUTH_DEPRECATED", text)
        current = project.encryption
        role_id = block.role_id or (None if current is None else current.role_id)
        if role_id is not None:
            return _draft(self._role_arn(project, role_id), role_id)
        if current is None:
            raise bad_request("MISSING_ATTRIBUTE", "awsKms.roleId is missing.", "roleId")
        return current

    def _role_arn(self, project: Project, role_id: str) -> str:
        role = project.roles.get(role_id)
        if role is None or role.arn is None or role.authorized_at is None:
            text = f"The role {role_id} is not authorized."
            raise bad_request("CLOUD_PROVIDER_ACCESS_ROLE_NOT_AUTHORIZED", text, role_id)
        return role.arn


def _draft(principal: str, role_id: str) -> KmsSettings:
    nowhere = KeyArn(account="", region="", key_id="")
    return KmsSettings(cmk=Cmk(written="", arn=nowhere, principal=principal), role_id=role_id)


def _locate(written: str, *, region: str, principal: str) -> Cmk:
    """Find the key as Atlas does: an ARN says where it is, a bare id lives in the principal's account.

    Alias names are refused: no page says that Atlas takes them.
    """
    if not is_supported(region):
        raise bad_request("AWS_KMS_REGION_NOT_SUPPORTED", f"Region {region} is not supported.", region)
    arn, key_id = parse_key_arn(written), parse_key_id(written)
    if arn is None and key_id is not None and not written.startswith("arn:"):
        arn = KeyArn(account=principal.split(":")[4], region=aws_region(region), key_id=key_id)
    if arn is None or arn.region != aws_region(region):
        text = f"There is no key {written} in {region}."
        raise Refusal(404, "AWS_CUSTOMER_MASTER_KEY_NOT_FOUND", text, (written,))
    return Cmk(written=written, arn=arn, principal=principal)
