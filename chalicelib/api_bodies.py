"""The request bodies that the API takes: what is not named here is refused, with the name of the field."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from chalicelib.domain.records import GuardMode, Mode, Strategy

Days = Annotated[int, Meta(ge=1, le=3650)]
Rung = Annotated[int, Meta(ge=-3650, le=3650)]
RotatedByKms = Annotated[int, Meta(ge=90, le=2560)]
Region = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,32}$")]
Text = Annotated[str, Meta(max_length=1000)]


class RotationBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """`POST …/rotations`."""

    strategy: Strategy | None = None
    key: Annotated[str, Meta(min_length=1, max_length=2048)] | None = None
    region: Region | None = None
    credentials_secret: Annotated[str, Meta(pattern=r"^keyturn/[A-Za-z0-9/_+=.@-]{1,500}$")] | None = None
    period_days: RotatedByKms | None = None
    reason: Text = ""
    emergency: bool = False
    dry_run: bool = False


class PolicyBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """`PATCH …/policy`: only what is named is changed."""

    rotation_period_days: Days | UnsetType | None = UNSET
    ladder: Annotated[list[Rung], Meta(min_length=1, max_length=50)] | UnsetType = UNSET
    mode: Mode | UnsetType = UNSET
    strategy: Strategy | UnsetType = UNSET
    automatic_period_days: RotatedByKms | UnsetType = UNSET
    kms_role_arn: Annotated[str, Meta(pattern=r"^arn:aws[a-z-]*:iam::\d{12}:role/.+$")] | UnsetType | None = UNSET
    recipients: list[Text] | UnsetType = UNSET
    escalate_after_days: Annotated[int, Meta(ge=0, le=3650)] | UnsetType = UNSET
    quarantine_days: Annotated[int, Meta(ge=1, le=365)] | UnsetType = UNSET
    guard: GuardMode | UnsetType = UNSET
    delete_foreign_keys: bool | UnsetType = UNSET
    attestation_always: bool | UnsetType = UNSET

    def changed(self) -> dict[str, object]:
        """The fields that were named, as the policy holds them."""
        named = {name: getattr(self, name) for name in self.__struct_fields__ if getattr(self, name) is not UNSET}
        return {name: tuple(value) if isinstance(value, list) else value for name, value in named.items()}


class AcknowledgementBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """`POST …/acknowledgement`."""

    until: Annotated[datetime, Meta(tz=True)]
    comment: Text = ""


class DeletionBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """`POST /v1/keys/{key_id}/deletion`."""

    reason: Text = ""


class ApprovalBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """`POST /v1/deletions/{id}/approval`: the digest of the proof that is approved."""

    digest: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]


class AttestationBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """`POST /v1/keys/{key_id}/attestation`."""

    statement: Annotated[str, Meta(min_length=1, max_length=1000)]
