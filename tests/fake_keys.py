"""KMS of one account and region in memory: it refuses what KMS refuses, with the codes of KMS."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from chalicelib.domain.arn import KeyArn, partition_of
from chalicelib.domain.observed import ON_DEMAND_LIMIT, KeyDescription, KeyRotations, KeyStatus, KeyUse, NewKey
from chalicelib.usecases.ports import NotFound, OutsideError, PermanentError, TemporaryError

OWNER = "keyturn"
_SHORTEST, _LONGEST = 7, 30
_SHORTEST_PERIOD, _LONGEST_PERIOD = 90, 2560
_TOO_NEAR = timedelta(minutes=20)
_MOST_TAGS, _LONGEST_TAG = 50, 256
_ALIAS = re.compile(r"alias/[a-zA-Z0-9/_-]+")
_LEAVING = {KeyStatus.PENDING_DELETION, KeyStatus.GONE}


@dataclass(kw_only=True)
class _Kept:
    description: KeyDescription
    policy: str
    tags: dict[str, str] = field(default_factory=dict)
    period: timedelta | None = None
    next_at: datetime | None = None
    running_since: datetime | None = None
    on_demand: int = 0
    rotated: list[datetime] = field(default_factory=list)
    used: tuple[str, datetime] | None = None


class FakeKeys:
    """`fail` makes the next call of a name raise, `trouble` each; `calls` says what was asked, in order.

    A rotation on demand is done `rotation_takes` after it was asked for. A key is found by its tags only `listed_after`
    its making: KMS' lists lag, look-ups of an alias do not.
    """

    rotation_takes = timedelta(minutes=2)
    listed_after = timedelta(0)

    def __init__(self, now: Callable[[], datetime], account: str = "123456789012", region: str = "us-east-1") -> None:
        self.account = account
        self.region = region
        self.calls: list[str] = []
        self.aliases: dict[str, KeyArn] = {}
        self.trouble: dict[str, OutsideError] = {}
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
        partition = partition_of(self.region)
        arn = KeyArn(account=self.account, region=self.region, key_id=key_id, partition=partition)
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

    def use(self, arn: KeyArn, operation: str = "Encrypt") -> None:
        """Let somebody encrypt or decrypt with the key at this moment."""
        self._kept[arn].used = (operation, self._now())

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
        automatic = kept.period is not None and self._description(arn).status not in _LEAVING
        return KeyRotations(
            automatic=automatic,
            dates=tuple(kept.rotated),
            period_days=kept.period.days if automatic else None,
            next_at=kept.next_at if automatic else None,
            on_demand=kept.on_demand,
            on_demand_running_since=kept.running_since,
        )

    def last_used(self, arn: KeyArn) -> KeyUse:
        self._begin("last_used")
        kept = self._existing(arn, "GetKeyLastUsage")
        operation, at = kept.used or (None, None)
        return KeyUse(at=at, operation=operation, tracked_since=kept.description.created_at)

    def policy(self, arn: KeyArn) -> str:
        self._begin("policy")
        return self._existing(arn, "GetKeyPolicy").policy

    def find_by_alias(self, alias: str) -> KeyArn | None:
        self._begin("find_by_alias")
        return self._named(alias)

    def find_by_rotation(self, rotation_id: str) -> KeyArn | None:
        self._begin("find_by_rotation")
        wanted = {"keyturn:owner": OWNER, "keyturn:rotation": rotation_id}.items()
        carrying = (a for a, kept in self._kept.items() if wanted <= kept.tags.items() and self._is_listed(kept))
        return next((arn for arn in carrying if self._description(arn).status is not KeyStatus.GONE), None)

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

    def rotate_on_demand(self, arn: KeyArn) -> None:
        self._begin("rotate_on_demand")
        kept = self._rotating(self._kept_for_good(arn, "RotateKeyOnDemand"), "RotateKeyOnDemand")
        near = kept.next_at is not None and kept.next_at - self._now() <= _TOO_NEAR
        if kept.running_since is not None or near:
            text = f"KMS RotateKeyOnDemand: a rotation of {arn} runs or is near"
            raise TemporaryError(text, call="kms:RotateKeyOnDemand", code="ConflictException")
        if kept.on_demand >= ON_DEMAND_LIMIT:
            raise _refused("RotateKeyOnDemand", "LimitExceededException")
        kept.running_since = self._now()

    def rotate_automatically(self, arn: KeyArn, *, period_days: int = 365) -> None:
        self._begin("rotate_automatically")
        if not _SHORTEST_PERIOD <= period_days <= _LONGEST_PERIOD:
            raise _refused("EnableKeyRotation", "ValidationException")
        kept = self._rotating(self._seen(arn, "EnableKeyRotation"), "EnableKeyRotation")
        period = timedelta(days=period_days)
        if kept.period != period:
            kept.period, kept.next_at = period, self._now() + period

    def enable(self, arn: KeyArn) -> None:
        self._begin("enable")
        kept = self._kept_for_good(arn, "EnableKey")
        if kept.next_at is not None and kept.period is not None and kept.next_at <= self._now():
            kept.rotated.append(self._now())
            kept.next_at = self._now() + kept.period
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
        if call in self.trouble:
            raise self.trouble[call]
        waiting = self._failures.get(call)
        if waiting:
            raise waiting.pop(0)

    def _is_listed(self, kept: _Kept) -> bool:
        made_at = kept.description.created_at
        return made_at is None or made_at + self.listed_after <= self._now()

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
        kept = self._kept[arn]
        if kept.description.status is KeyStatus.ENABLED:
            self._settle(kept)
        return kept

    def _settle(self, kept: _Kept) -> None:
        """Let the rotations happen that fell due since the last look; a look at each change keeps them in order."""
        done = None if kept.running_since is None else kept.running_since + self.rotation_takes
        if done is not None and done <= self._now():
            kept.rotated.append(done)
            kept.on_demand += 1
            kept.running_since = None
        while kept.period is not None and kept.next_at is not None and kept.next_at <= self._now():
            kept.rotated.append(kept.next_at)
            kept.next_at += kept.period
        kept.rotated.sort()

    def _rotating(self, kept: _Kept, call: str) -> _Kept:
        shown = kept.description
        if shown.status is KeyStatus.DISABLED:
            raise _refused(call, "DisabledException")
        if shown.status is KeyStatus.PENDING_IMPORT or (shown.origin == "EXTERNAL" and call == "RotateKeyOnDemand"):
            raise _refused(call, "KMSInvalidStateException")
        if not _rotates(shown) or shown.replica or shown.custom_store or shown.aws_managed:
            raise _refused(call, "UnsupportedOperationException")
        return kept

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
