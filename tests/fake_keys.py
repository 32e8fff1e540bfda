"""KMS of one account and region in memory: it refuses what KMS refuses, with the codes of KMS."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from chalicelib.domain.arn import KeyArn
from chalicelib.domain.observed import KeyDescription, KeyRotations, KeyStatus, NewKey
from chalicelib.usecases.ports import NotFound, OutsideError, PermanentError, TemporaryError

OWNER = "keyturn"
_SHORTEST, _LONGEST = 7, 30
_MOST_TAGS, _LONGEST_TAG = 50, 256
_ALIAS = re.compile(r"alias/[a-zA-Z0-9/_-]+")
_LEAVING = {KeyStatus.PENDING_DELETION, KeyStatus.GONE}


@dataclass(kw_only=True)
class _Kept:
    description: KeyDescription
    policy: str
    tags: dict[str, str] = field(default_factory=dict)
    automatic: bool = False
    rotated: list[datetime] = field(default_factory=list)


class FakeKeys:
    """`fail` makes the next call of a name raise; `calls` says what was asked, in order."""

    def __init__(self, now: Callable[[], datetime], account: str = "123456789012", region: str = "us-east-1") -> None:
        self.account = account
        self.region = region
        self.calls: list[str] = []
        self.aliases: dict[str, KeyArn] = {}
        self._now = now
        self._kept: dict[KeyArn, _Kept] = {}
        self._failures: dict[str, list[OutsideError]] = {}
        self._made = 0

    def fail(self, call: str, error: OutsideError) -> None:
        """Let the next call of this port method raise; several wait their turn."""
        self._failures.setdefault(call, []).append(error)

    def add(self, policy: str = "{}", tags: dict[str, str] | None = None, **described: object) -> KeyArn:
        """Put a key of somebody else's there, for example with `spec`, `usage`, `origin` or `status` of its own."""
        self._made += 1
        key_id = f"{self._made:08x}-{int(self.account) % 65536:04x}-4000-8000-{self._made:012x}"
        arn = KeyArn(account=self.account, region=self.region, key_id=key_id)
        facts = {"status": KeyStatus.ENABLED, "created_at": self._now()} | described
        shown = replace(KeyDescription(arn=arn, status=KeyStatus.ENABLED), **facts)
        self._kept[arn] = _Kept(description=shown, policy=policy, tags=tags or {})
        return arn

    def change(self, arn: KeyArn, **described: object) -> None:
        """Change what KMS shows of a key, as somebody else's hand would."""
        self._kept[arn].description = replace(self._kept[arn].description, **described)

    def set_policy(self, arn: KeyArn, policy: str) -> None:
        """Change a key's policy, as somebody else's hand would."""
        self._kept[arn].policy = policy

    def rotate_now(self, arn: KeyArn) -> None:
        """Let KMS rotate the key's material at this moment."""
        self._kept[arn].rotated.append(self._now())

    def tags(self, arn: KeyArn) -> dict[str, str]:
        """The tags that a key carries."""
        return dict(self._kept[arn].tags)

    @property
    def arns(self) -> tuple[KeyArn, ...]:
        """Every key ever made here that is not gone."""
        return tuple(arn for arn in self._kept if self._description(arn).status is not KeyStatus.GONE)

    def describe(self, arn: KeyArn) -> KeyDescription:
        self._begin("describe")
        return self._description(arn)

    def rotations(self, arn: KeyArn) -> KeyRotations:
        self._begin("rotations")
        kept = self._existing(arn, "GetKeyRotationStatus")
        if not _rotates(kept.description):
            return KeyRotations(automatic=False)
        leaving = self._description(arn).status in _LEAVING
        return KeyRotations(automatic=kept.automatic and not leaving, dates=tuple(kept.rotated))

    def policy(self, arn: KeyArn) -> str:
        self._begin("policy")
        return self._existing(arn, "GetKeyPolicy").policy

    def find_by_alias(self, alias: str) -> KeyArn | None:
        self._begin("find_by_alias")
        return self._named(alias)

    def find_by_rotation(self, rotation_id: str) -> KeyArn | None:
        self._begin("find_by_rotation")
        wanted = {"keyturn:owner": OWNER, "keyturn:rotation": rotation_id}.items()
        carrying = (arn for arn, kept in self._kept.items() if wanted <= kept.tags.items())
        return next((arn for arn in carrying if self._description(arn).status not in _LEAVING), None)

    def create(self, new: NewKey) -> KeyArn:
        self._begin("create")
        tags = {
            **new.tags,
            "keyturn:owner": OWNER,
            "keyturn:project": new.project_id,
            "keyturn:project-name": new.project_name[:_LONGEST_TAG],
            "keyturn:rotation": new.rotation_id,
        }
        if any(name.lower().startswith("aws:") for name in tags) or len(tags) > _MOST_TAGS:
            raise _refused("CreateKey", "TagException")
        if not _leaves_account_in_control(new.policy, self.account):
            raise _refused("CreateKey", "MalformedPolicyDocumentException")
        return self.add(policy=new.policy, tags=tags)

    def name(self, arn: KeyArn, alias: str) -> None:
        self._begin("name")
        if _ALIAS.fullmatch(alias) is None:
            raise _refused("CreateAlias", "ValidationException")
        self._seen(arn, "CreateAlias")
        if self._named(alias) not in {None, arn}:
            raise _refused("CreateAlias", "AlreadyExistsException")
        self.aliases[alias] = arn

    def rotate_automatically(self, arn: KeyArn) -> None:
        self._begin("rotate_automatically")
        kept = self._seen(arn, "EnableKeyRotation")
        if not _rotates(kept.description):
            raise _refused("EnableKeyRotation", "UnsupportedOperationException")
        if kept.description.status is KeyStatus.DISABLED:
            raise _refused("EnableKeyRotation", "DisabledException")
        kept.automatic = True

    def enable(self, arn: KeyArn) -> None:
        self._begin("enable")
        self._kept_for_good(arn, "EnableKey")
        self.change(arn, status=KeyStatus.ENABLED)

    def disable(self, arn: KeyArn) -> None:
        self._begin("disable")
        self._kept_for_good(arn, "DisableKey")
        self.change(arn, status=KeyStatus.DISABLED)

    def schedule_deletion(self, arn: KeyArn, *, days: int) -> datetime:
        self._begin("schedule_deletion")
        shown = self._existing(arn, "ScheduleKeyDeletion").description
        if shown.status is KeyStatus.PENDING_DELETION and shown.deletion_date is not None:
            return shown.deletion_date
        if not _SHORTEST <= days <= _LONGEST:
            raise _refused("ScheduleKeyDeletion", "ValidationException")
        date = self._now() + timedelta(days=days)
        self.change(arn, status=KeyStatus.PENDING_DELETION, deletion_date=date)
        return date

    def cancel_deletion(self, arn: KeyArn) -> None:
        self._begin("cancel_deletion")
        if self._existing(arn, "CancelKeyDeletion").description.status is KeyStatus.PENDING_DELETION:
            self.change(arn, status=KeyStatus.DISABLED, deletion_date=None)

    def _begin(self, call: str) -> None:
        self.calls.append(call)
        waiting = self._failures.get(call)
        if waiting:
            raise waiting.pop(0)

    def _description(self, arn: KeyArn) -> KeyDescription:
        kept = self._kept.get(arn)
        if kept is None:
            return KeyDescription(arn=arn, status=KeyStatus.GONE)
        date = kept.description.deletion_date
        over = kept.description.status is KeyStatus.PENDING_DELETION and date is not None and date <= self._now()
        return KeyDescription(arn=arn, status=KeyStatus.GONE) if over else kept.description

    def _named(self, alias: str) -> KeyArn | None:
        arn = self.aliases.get(alias)
        return None if arn is None or self._description(arn).status is KeyStatus.GONE else arn

    def _existing(self, arn: KeyArn, call: str) -> _Kept:
        if self._description(arn).status is KeyStatus.GONE:
            raise NotFound(f"KMS {call}: there is no key {arn}", call=f"kms:{call}", code="NotFoundException")
        return self._kept[arn]

    def _kept_for_good(self, arn: KeyArn, call: str) -> _Kept:
        kept = self._existing(arn, call)
        if kept.description.status is KeyStatus.PENDING_DELETION:
            raise _refused(call, "KMSInvalidStateException")
        return kept

    def _seen(self, arn: KeyArn, call: str) -> _Kept:
        """Only fresh keys are named and set to rotate: one that is not found may be found later."""
        try:
            return self._kept_for_good(arn, call)
        except NotFound as problem:
            raise TemporaryError(problem.message, call=problem.call, code=problem.code) from problem


def _rotates(shown: KeyDescription) -> bool:
    return shown.spec == "SYMMETRIC_DEFAULT" and shown.origin == "AWS_KMS"


def _leaves_account_in_control(policy: str, account: str) -> bool:
    try:
        statements = json.loads(policy)["Statement"]
        principals = [s["Principal"]["AWS"] for s in statements if "kms:*" in s["Action"] and s["Effect"] == "Allow"]
    except (ValueError, KeyError, TypeError):
        return False
    return f"arn:aws:iam::{account}:root" in principals


def _refused(call: str, code: str) -> PermanentError:
    return PermanentError(f"KMS {call} was refused: {code}", call=f"kms:{call}", code=code)
