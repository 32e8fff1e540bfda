"""A project's Encryption at Rest settings: what Atlas accepts, what it refuses, and with which code."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from itertools import cycle
from typing import NoReturn

from sandbox.atlas.cmk import Cmk, KmsSettings
from sandbox.atlas.ground import Ground
from sandbox.atlas.keys import Keys, KeyTrouble, Trouble
from sandbox.atlas.lags import NONE
from sandbox.atlas.model import Project
from sandbox.atlas.principals import Principals, locate
from sandbox.atlas.refusals import Refusal, bad_request, conflict
from sandbox.atlas.settings_body import Block, Patch, read_patch
from sandbox.atlas.validity import Validity

_CODES: Mapping[Trouble, tuple[int, str]] = {
    Trouble.NOT_FOUND: (404, "AWS_CUSTOMER_MASTER_KEY_NOT_FOUND"),
    Trouble.DISABLED: (400, "AWS_KMS_CUSTOMER_MASTER_KEY_NOT_ENABLED"),
    Trouble.PENDING_DELETION: (400, "AWS_KMS_CUSTOMER_MASTER_KEY_PENDING_DELETION"),
    Trouble.PENDING_IMPORT: (400, "AWS_KMS_CUSTOMER_MASTER_KEY_PENDING_IMPORT"),
    Trouble.NO_PERMISSION: (400, "NO_PERMISSION_TO_ENCRYPT_DECRYPT"),
    Trouble.NO_ROLE: (400, "CANNOT_ASSUME_ROLE"),
    Trouble.BAD_CREDENTIALS: (400, "INVALID_AWS_CREDENTIALS"),
    Trouble.BROKEN: (400, "NO_PERMISSION_TO_ENCRYPT_DECRYPT"),
}
_NOT_YET_CONSISTENT = (
    "CANNOT_ASSUME_ROLE",
    "INVALID_AWS_CREDENTIALS",
    "CLOUD_PROVIDER_ACCESS_ROLE_NOT_AUTHORIZED",
)


class Encryption:
    """Changes settings. `on_swap` is told when a project's key became another."""

    def __init__(self, ground: Ground, keys: Keys, validity: Validity) -> None:
        self._ground = ground
        self._keys = keys
        self._validity = validity
        self._principals = Principals(keys.users)
        self._first_named: dict[tuple[str, str], datetime] = {}
        self._excuses = cycle(_NOT_YET_CONSISTENT)
        self.on_swap: Callable[[Project], None] = lambda _project: None

    def shown(self, project: Project) -> KmsSettings | None:
        """Give the settings that GET shows: for a while after a change, the former ones."""
        changed = project.changed_at
        if changed is not None and self._ground.now() < changed + self._ground.lags.settings:
            return project.encryption_before
        return project.encryption

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
        self._replace(project, None)
        project.key_since = None
        self._ground.tell(project, "ENCRYPTION_AT_REST_CONFIGURATION_UPDATED")

    def _enable(self, project: Project, block: Block) -> None:
        if project.other_provider is not None:
            text = f"The project encrypts with {project.other_provider}."
            raise conflict("CANNOT_CHANGE_ENCRYPTION_AT_REST_PROVIDER", text)
        wanted = self._settings_wanted(project, block)
        if project.encryption is not None and not self._validity.check(project):
            self._refuse_broken_settings()
        self._check_consistency(project, wanted.cmk)
        self._probe(project, wanted.cmk)
        old = project.encryption
        self._replace(project, wanted)
        project.was_valid, project.legacy = True, wanted.cmk.access is not None
        self._ground.tell(project, "ENCRYPTION_AT_REST_CONFIGURATION_VALIDATION_SUCCEEDED")
        self._ground.tell(project, "ENCRYPTION_AT_REST_CONFIGURATION_UPDATED")
        if old is None or old.cmk.arn != wanted.cmk.arn:
            self._take_up(project, first=old is None)

    def _replace(self, project: Project, settings: KmsSettings | None) -> None:
        project.encryption_before, project.encryption = project.encryption, settings
        project.changed_at = self._ground.now()

    def _check_consistency(self, project: Project, cmk: Cmk) -> None:
        current, lag = project.encryption, self._ground.lags.iam
        if lag == NONE or (current is not None and current.cmk.arn == cmk.arn):
            return
        now = self._ground.now()
        if now < self._first_named.setdefault((project.project_id, str(cmk.arn)), now) + lag:
            raise bad_request(next(self._excuses), "AWS does not know about this yet.", cmk.written)

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
        draft = self._principals.wanted(project, block)
        cmk = locate(str(written), region=str(region), draft=draft.cmk)
        private = block.private_networking
        if private is None:
            private = current is not None and current.private_networking
        return replace(draft, cmk=cmk, private_networking=private)
