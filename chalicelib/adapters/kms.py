"""KMS in one account and region: the keys that Keyturn makes, describes, and at the very end retires."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, ParamValidationError
from botocore.parsers import ResponseParserError

from chalicelib.domain.arn import KeyArn, parse_key_arn
from chalicelib.domain.observed import KeyDescription, KeyRotations, KeyStatus, KeyUse, NewKey
from chalicelib.usecases.ports import NotFound, OutsideError, PermanentError, TemporaryError

OWNER = "keyturn"
_TAG_LENGTH = 256
_TAG_PUNCTUATION = " _.:/=+-@"
"""What a tag value may hold beside letters and digits; KMS refuses the whole creation for anything else."""
_MOST_KEYS_A_PAGE = 1000
_SERVER_FAILED = 500
_MAY_PASS = {
    "ConflictException",  # RotateKeyOnDemand alone: a rotation runs, or is to begin within minutes
    "DependencyTimeoutException",
    "ExpiredTokenException",
    "KMSInternalException",
    "KeyUnavailableException",
    "RequestExpired",
    "ThrottlingException",
}
_FORBIDDEN = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}
_OUTSIDE_KMS = {"AWS_CLOUDHSM", "EXTERNAL_KEY_STORE"}
_SENT_ONCE = {
    "CreateKey": "look for its key before making another",
    "RotateKeyOnDemand": "look at the key's rotations before starting another",
}
_LEAVING = {KeyStatus.PENDING_DELETION, KeyStatus.PENDING_REPLICA_DELETION, KeyStatus.GONE}

Part = TypeVar("Part")


class KmsKeys:
    """The CMKs of one AWS account and region.

    However often the client repeats its calls, CreateKey and RotateKeyOnDemand are sent once: each sending
    would make another key or use up one of the few rotations of a key.
    """

    def __init__(self, client: Any, account: str, region: str) -> None:  # noqa: ANN401 - boto3 ships no types
        self._client = client
        for action in _SENT_ONCE:
            client.meta.events.register_first(f"needs-retry.kms.{action}", _never_repeat, unique_id=f"keyturn-{action}")
        self.account = account
        self.region = region

    def describe(self, arn: KeyArn) -> KeyDescription:
        """The key as KMS sees it; GONE when KMS does not know it."""
        try:
            return self._describe(str(arn))
        except NotFound:
            return KeyDescription(arn=arn, status=KeyStatus.GONE)

    def _describe(self, named: str) -> KeyDescription:
        with self._speaking("DescribeKey", named):
            shown = self._client.describe_key(KeyId=named).get("KeyMetadata", {})
        return KeyDescription(
            arn=_arn_in(shown, "Arn", "DescribeKey"),
            status=_status(shown.get("KeyState")),
            spec=shown.get("KeySpec", ""),
            usage=shown.get("KeyUsage", ""),
            origin=shown.get("Origin", ""),
            multi_region=shown.get("MultiRegion", False),
            created_at=_utc(shown.get("CreationDate")),
            deletion_date=_utc(shown.get("DeletionDate")),
            replica=shown.get("MultiRegionConfiguration", {}).get("MultiRegionKeyType") == "REPLICA",
            custom_store=_is_outside_kms(shown),
            aws_managed=shown.get("KeyManager") == "AWS",
        )

    def rotations(self, arn: KeyArn) -> KeyRotations:
        """Whether KMS rotates the key by itself, and when it did; keys of kinds that it cannot rotate: never."""
        try:
            with self._speaking("GetKeyRotationStatus", arn):
                answer = self._client.get_key_rotation_status(KeyId=str(arn))
            done = self._all_pages("ListKeyRotations", self._client.list_key_rotations, "Rotations", KeyId=str(arn))
        except PermanentError as problem:
            if problem.code == "UnsupportedOperationException":
                return KeyRotations(automatic=False)
            raise
        dates = (_part(rotation, "RotationDate", "ListKeyRotations", datetime) for rotation in done)
        return KeyRotations(
            automatic=_part(answer, "KeyRotationEnabled", "GetKeyRotationStatus", bool),
            dates=tuple(sorted(date.astimezone(UTC) for date in dates)),
            period_days=answer.get("RotationPeriodInDays"),
            next_at=_utc(answer.get("NextRotationDate")),
            on_demand=sum(rotation.get("RotationType") == "ON_DEMAND" for rotation in done),
            on_demand_running_since=_utc(answer.get("OnDemandRotationStartDate")),
        )

    def last_used(self, arn: KeyArn) -> KeyUse:
        """The last use of the key that KMS recorded; an SDK that cannot ask gives the code `not_available`."""
        ask = getattr(self._client, "get_key_last_usage", None)
        if ask is None:
            text = "the AWS SDK here is too old to ask KMS when a key was last used: botocore 1.44 knows how"
            raise PermanentError(text, call="kms:GetKeyLastUsage", code="not_available")
        with self._speaking("GetKeyLastUsage", arn):
            answer = ask(KeyId=str(arn))
        tracked_since = _part(answer, "TrackingStartDate", "GetKeyLastUsage", datetime).astimezone(UTC)
        used = answer.get("KeyLastUsage")
        if not used:
            return KeyUse(at=None, operation=None, tracked_since=tracked_since)
        at = _part(used, "Timestamp", "GetKeyLastUsage", datetime).astimezone(UTC)
        return KeyUse(at=at, operation=used.get("Operation"), tracked_since=tracked_since)

    def policy(self, arn: KeyArn) -> str:
        """The key policy, as JSON text."""
        with self._speaking("GetKeyPolicy", arn):
            answer = self._client.get_key_policy(KeyId=str(arn), PolicyName="default")
        return _part(answer, "Policy", "GetKeyPolicy", str)

    def find_by_alias(self, alias: str) -> KeyArn | None:
        """The key that an alias points to."""
        try:
            return self._describe(alias).arn
        except NotFound:
            return None

    def find_by_rotation(self, rotation_id: str) -> KeyArn | None:
        """Our own key that carries this rotation id in its tags, also one that is on its way out."""
        keys = self._all_pages("ListKeys", self._client.list_keys, "Keys", Limit=_MOST_KEYS_A_PAGE)
        for entry in keys:
            arn = _arn_in(entry, "KeyArn", "ListKeys")
            if self._carries(arn, rotation_id):
                return arn
        return None

    def _carries(self, arn: KeyArn, rotation_id: str) -> bool:
        try:
            tags = self._all_pages("ListResourceTags", self._client.list_resource_tags, "Tags", KeyId=str(arn))
        except NotFound as problem:
            text = f"{arn} is listed but its tags are not there yet, or no longer: look again in a while"
            raise TemporaryError(text, call=problem.call, code=problem.code) from problem
        except PermanentError as problem:
            if problem.code in _FORBIDDEN and "resource-based polic" in problem.message:
                return False  # a key whose own policy shuts us out is none that we made
            raise
        shown = {tag.get("TagKey"): tag.get("TagValue") for tag in tags}
        return shown.get("keyturn:owner") == OWNER and shown.get("keyturn:rotation") == rotation_id

    def create(self, new: NewKey) -> KeyArn:
        """Create a symmetric CMK with its tags and policy in one call. Not idempotent: look first."""
        tags = {
            **new.tags,
            "keyturn:owner": OWNER,
            "keyturn:project": new.project_id,
            "keyturn:project-name": new.project_name,
            "keyturn:rotation": new.rotation_id,
        }
        with self._speaking("CreateKey", new.alias):
            made = self._client.create_key(
                Policy=new.policy,
                Description=f"MongoDB Atlas encryption at rest of project {new.project_id}",
                KeySpec="SYMMETRIC_DEFAULT",
                KeyUsage="ENCRYPT_DECRYPT",
                Tags=[{"TagKey": name, "TagValue": tag_value(value)} for name, value in tags.items()],
                # KMS' check asks whether the caller itself could change the policy again. It may not, on purpose: the
                # policy that we write keeps the account in control.
                BypassPolicyLockoutSafetyCheck=True,
            )
        return _arn_in(made.get("KeyMetadata", {}), "Arn", "CreateKey")

    def name(self, arn: KeyArn, alias: str) -> None:
        """Point a new alias at the key; already pointing there is fine."""
        try:
            with self._speaking("CreateAlias", arn), _soon_to_be_seen(arn):
                self._client.create_alias(AliasName=alias, TargetKeyId=str(arn))
        except PermanentError as problem:
            if problem.code != "AlreadyExistsException":
                raise
            self._check_alias(alias, arn, problem)

    def _check_alias(self, alias: str, arn: KeyArn, problem: PermanentError) -> None:
        named = self.find_by_alias(alias)
        if named != arn:
            text = f"{alias} in account {self.account}, region {self.region} names {named} already, not {arn}"
            raise PermanentError(text, call=problem.call, code=problem.code) from problem

    def rotate_on_demand(self, arn: KeyArn) -> None:
        """Start a rotation of the key's material, which KMS finishes later. Not idempotent: look first."""
        with self._speaking("RotateKeyOnDemand", arn):
            self._client.rotate_key_on_demand(KeyId=str(arn))

    def rotate_automatically(self, arn: KeyArn, *, period_days: int = 365) -> None:
        """Turn KMS' own rotation on, every 90 to 2560 days; already on with this period is fine."""
        with self._speaking("EnableKeyRotation", arn), _soon_to_be_seen(arn):
            self._client.enable_key_rotation(KeyId=str(arn), RotationPeriodInDays=period_days)

    def enable(self, arn: KeyArn) -> None:
        """Enable the key; already enabled is fine."""
        with self._speaking("EnableKey", arn):
            self._client.enable_key(KeyId=str(arn))

    def disable(self, arn: KeyArn) -> None:
        """Disable the key; already disabled is fine."""
        with self._speaking("DisableKey", arn):
            self._client.disable_key(KeyId=str(arn))

    def schedule_deletion(self, arn: KeyArn, *, days: int) -> datetime:
        """Schedule the deletion and give its date; already scheduled gives the date it has."""
        try:
            with self._speaking("ScheduleKeyDeletion", arn):
                answer = self._client.schedule_key_deletion(KeyId=str(arn), PendingWindowInDays=days)
        except PermanentError as problem:
            if problem.code != "KMSInvalidStateException":
                raise
            shown = self.describe(arn)
            if shown.status is not KeyStatus.PENDING_DELETION or shown.deletion_date is None:
                raise
            return shown.deletion_date
        if "DeletionDate" not in answer:
            text = f"KMS gave no date for the deletion of {arn} ({answer.get('KeyState')}): replicas come first"
            raise PermanentError(text, call="kms:ScheduleKeyDeletion", code="no_deletion_date")
        return _part(answer, "DeletionDate", "ScheduleKeyDeletion", datetime).astimezone(UTC)

    def cancel_deletion(self, arn: KeyArn) -> None:
        """Call a scheduled deletion off, which leaves the key disabled; not scheduled is fine."""
        try:
            with self._speaking("CancelKeyDeletion", arn):
                self._client.cancel_key_deletion(KeyId=str(arn))
        except PermanentError as problem:
            if problem.code != "KMSInvalidStateException" or self.describe(arn).status in _LEAVING:
                raise

    def _all_pages(
        self,
        action: str,
        call: Callable[..., dict[str, Any]],
        part: str,
        **request: Any,  # noqa: ANN401 - boto3's request
    ) -> list[dict[str, Any]]:
        """Every page of a list, or an error: a list that breaks off would look like keys that are not there."""
        found: list[dict[str, Any]] = []
        while True:
            with self._speaking(action, request.get("KeyId", "all keys")):
                answer = call(**request)
            found += _part(answer, part, action, list)
            if not answer.get("Truncated"):
                return found
            request["Marker"] = _part(answer, "NextMarker", action, str)

    @contextmanager
    def _speaking(self, action: str, about: object) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            raise self._ours(error, action, about) from error
        except (NoCredentialsError, ParamValidationError) as error:
            raise PermanentError(f"KMS {action} on {about} cannot be asked: {error}", call=f"kms:{action}") from error
        except (BotoCoreError, ResponseParserError) as error:
            raise TemporaryError(f"KMS {action} on {about} got no answer: {error}", call=f"kms:{action}") from error

    def _ours(self, error: ClientError, action: str, about: object) -> OutsideError:
        code = error.response.get("Error", {}).get("Code", "")
        said = error.response.get("Error", {}).get("Message", "")
        where = f"KMS {action} on {about} in account {self.account}, region {self.region}"
        call = f"kms:{action}"
        if code in _MAY_PASS or _failed_inside(error):
            return TemporaryError(f"{where} may work later: {code}: {said}", call=call, code=code)
        if code in _FORBIDDEN:
            text = f"{where} is not allowed: allow Keyturn's role {call} in IAM and in the key's policy ({said})"
            return PermanentError(text, call=call, code=code)
        if code == "NotFoundException":
            return NotFound(f"{where}: not found: {said}", call=call, code=code)
        return PermanentError(f"{where} was refused: {code}: {said}", call=call, code=code)


def tag_value(text: str) -> str:
    """A text as KMS takes it for the value of a tag: at most 256 characters, others than it knows become `_`."""
    return "".join(c if c.isalnum() or c in _TAG_PUNCTUATION else "_" for c in text)[:_TAG_LENGTH]


@contextmanager
def _soon_to_be_seen(arn: KeyArn) -> Iterator[None]:
    """Only fresh keys are named and set to rotate: one that is not found has not been seen everywhere yet."""
    try:
        yield
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") != "NotFoundException":
            raise
        text = f"{arn} is not to be seen yet, as happens after a creation: it may be in a while"
        raise TemporaryError(text, call=f"kms:{error.operation_name}", code="NotFoundException") from error


def _never_repeat(response: Any, operation: Any, **_: object) -> None:  # noqa: ANN401 - botocore's own
    """Stop before botocore repeats; it would repeat refusals too, and LimitExceededException is one of them."""
    http, parsed = response or (None, {})
    if http is None or http.status_code >= _SERVER_FAILED:
        text = f"the answer to {operation.name} was lost or a failure: {_SENT_ONCE[operation.name]}"
        raise TemporaryError(text, call=f"kms:{operation.name}", code="answer_lost")
    if "Error" in parsed:
        raise ClientError(parsed, operation.name)


def _part(answer: dict[str, Any], name: str, action: str, kind: type[Part]) -> Part:
    value = answer.get(name)
    if not isinstance(value, kind):
        raise TemporaryError(f"KMS {action} answered without {name}", call=f"kms:{action}", code="unreadable")
    return value


def _arn_in(answer: dict[str, Any], name: str, action: str) -> KeyArn:
    arn = parse_key_arn(_part(answer, name, action, str))
    if arn is None:
        text = f"KMS {action} named a key in a way that Keyturn does not know: {answer[name]}"
        raise PermanentError(text, call=f"kms:{action}", code="unreadable")
    return arn


def _is_outside_kms(shown: dict[str, Any]) -> bool:
    stores = shown.get("CustomKeyStoreId") or shown.get("XksKeyConfiguration")
    return bool(stores) or shown.get("Origin") in _OUTSIDE_KMS


def _status(text: str | None) -> KeyStatus:
    try:
        return KeyStatus(text or "")
    except ValueError:
        return KeyStatus.UNKNOWN


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone(UTC)


def _failed_inside(error: ClientError) -> bool:
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return isinstance(status, int) and status >= _SERVER_FAILED
