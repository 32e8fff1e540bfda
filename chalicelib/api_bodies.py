"""The request bodies that the API takes: what is not named here is refused, with the name of the field."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from chalicelib.domain.counting import counted
from chalicelib.domain.policies import ASSUMABLE
from chalicelib.domain.reminders import LONGEST_QUIET_DAYS
from chalicelib.domain.vocabulary import GuardMode, Mode, Strategy

Days = Annotated[int, Meta(ge=1, le=3650)]
Rung = Annotated[int, Meta(ge=-3650, le=3650)]
RotatedByKms = Annotated[int, Meta(ge=90, le=2560)]
Region = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,32}$")]
Text = Annotated[str, Meta(max_length=1000)]
Secret = Annotated[str, Meta(pattern=r"^keyturn/[A-Za-z0-9/_+=.@-]{1,500}$")]
RoleArn = Annotated[str, Meta(max_length=2048, extra_json_schema={"pattern": ASSUMABLE})]
"""The domain refuses another one, in words: a pattern here would answer with itself."""


class RotationBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """`POST …/rotations`."""

    strategy: Annotated[Strategy | None, Meta(description="How; as the policy says when it is not given.")] = None
    key: Annotated[
        Annotated[str, Meta(min_length=1, max_length=2048)] | None,
        Meta(description="A key of your own: its id, or the full ARN for another account; else one is made."),
    ] = None
    region: Annotated[Region | None, Meta(description="Towards the twin of a multi-Region key.")] = None
    credentials_secret: Annotated[
        Secret | None, Meta(description="The name of the secret with the IAM user that Atlas still calls as.")
    ] = None
    period_days: Annotated[
        RotatedByKms | None, Meta(description="Every how many days KMS rotates, for `kms-automatic`.")
    ] = None
    reason: Text = ""
    emergency: Annotated[
        bool, Meta(description="Others may know the key: list in the end what stays readable with it.")
    ] = False
    dry_run: Annotated[bool, Meta(description="Make every check, and open nothing.")] = False


class DefaultsBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """`PATCH /v1/policy`: only what is named is changed."""

    rotation_period_days: Annotated[
        Days | UnsetType | None, Meta(description="null is as the alert of Atlas says, else 90.")
    ] = UNSET
    ladder: Annotated[
        Annotated[list[Rung], Meta(min_length=1, max_length=50)] | UnsetType,
        Meta(
            description="On which days people are reminded, relative to the due day, each once; negative is before."
            " After the last one a reminder follows every week."
        ),
    ] = UNSET
    mode: Annotated[Mode | UnsetType, Meta(description="Remind people, or rotate by itself on the due day.")] = UNSET
    strategy: Strategy | UnsetType = UNSET
    automatic_period_days: Annotated[
        RotatedByKms | UnsetType, Meta(description="Every how many days KMS rotates, for `kms-automatic`.")
    ] = UNSET
    kms_role_arn: Annotated[
        RoleArn | UnsetType | None,
        Meta(description="The role for keys in another account, named keyturn-… and without a path; null for our own."),
    ] = UNSET
    recipients: Annotated[
        Annotated[list[Text], Meta(max_length=100)] | UnsetType, Meta(description="Whom messages name, for filters.")
    ] = UNSET
    escalate_after_days: Annotated[
        Annotated[int, Meta(ge=0, le=3650)] | UnsetType,
        Meta(description="From how many days overdue on reminders go to the escalations topic too."),
    ] = UNSET
    digest: Annotated[
        bool | UnsetType,
        Meta(description="Whether reminders before the due day come in one message a day for the same recipients."),
    ] = UNSET
    digest_hour: Annotated[
        Annotated[int, Meta(ge=0, le=23)] | UnsetType, Meta(description="The hour, in UTC, from which it is sent.")
    ] = UNSET
    quarantine_days: Annotated[
        Annotated[int, Meta(ge=1, le=365)] | UnsetType,
        Meta(description="How long a key is disabled before its deletion is scheduled."),
    ] = UNSET
    guard: Annotated[
        GuardMode | UnsetType, Meta(description="Call off what would destroy a needed key, or only tell.")
    ] = UNSET
    delete_foreign_keys: Annotated[
        bool | UnsetType, Meta(description="Whether keys that Keyturn has not made may be deleted by it.")
    ] = UNSET
    prove_by_snapshot: Annotated[
        bool | UnsetType,
        Meta(description="Deployed only once every cluster has shown a snapshot made with the next key."),
    ] = UNSET
    attestation_always: Annotated[
        bool | UnsetType, Meta(description="Whether a person must vouch for every key that was in use.")
    ] = UNSET

    def changed(self) -> dict[str, object]:
        """The fields that were named, as the policy holds them."""
        wishes = DefaultsBody.__struct_fields__
        named = {name: getattr(self, name) for name in wishes if getattr(self, name) is not UNSET}
        return {name: tuple(value) if isinstance(value, list) else value for name, value in named.items()}


Wish = Annotated[str, Meta(pattern=f"^({'|'.join(DefaultsBody.__struct_fields__)})$")]


class PolicyBody(DefaultsBody, forbid_unknown_fields=True, kw_only=True):
    """`PATCH …/policy`: only what is named is changed."""

    inherit: Annotated[list[Wish], Meta(description="Fields that are left to the fleet's policy again.")] = (
        msgspec.field(default_factory=list)
    )


class AcknowledgementBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """`POST …/acknowledgement`."""

    until: Annotated[
        datetime,
        Meta(
            tz=True,
            description=f"At most {counted(LONGEST_QUIET_DAYS, 'day')} ahead; under the mode `rotate` the rotation"
            " waits as long.",
        ),
    ]
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
