"""Builds the outside world once per warm Lambda, each part when it is first needed.

This is the one place where tests and the sandbox furnish another world: `furnish(now=…, sleep=…)` hands in a clock
and a sleeper, and the AWS SDK's own environment (`AWS_ENDPOINT_URL`) and `ATLAS_BASE_URL` say where AWS and Atlas are.
"""

from __future__ import annotations

import logging
import random
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from contextvars import ContextVar, copy_context
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from threading import RLock
from typing import TYPE_CHECKING, Any

from chalicelib.settings import read_settings
from chalicelib.usecases.ports import (
    Atlas,
    AtlasOwner,
    Keys,
    Outside,
    OutsideError,
    PermanentError,
    Roles,
    TemporaryError,
)

if TYPE_CHECKING:
    from chalicelib.adapters.secrets import OrganizationSecret
    from chalicelib.domain.observed import LegacyUser
    from chalicelib.domain.records import Check

_SPARE_SECONDS = 10.0
_SESSION_LIFE = timedelta(minutes=50)
_TOKENS = 64
BLANK = "[secret]"


def system_clock() -> datetime:
    """The time, asked once per wake-up."""
    return datetime.now(tz=UTC)


class _World:
    """What this process has built so far; furnishing another world forgets it all."""

    def __init__(self) -> None:
        self.now: Callable[[], datetime] = system_clock
        self.sleep: Callable[[float], None] = time.sleep
        self.around_atlas: Callable[[Atlas], Atlas] = lambda reader: reader
        self.clients: Mapping[str, Any] = {}
        self.look_every: timedelta | None = None
        self.context: Any = None
        self.outside: Outside | None = None
        self.secrets: Any = None
        self.secret_names: dict[str, str] = {}
        """Under which name the secret of each organization was found last."""
        self.tokens: deque[str] = deque(maxlen=_TOKENS)
        """The latest access tokens, for the filter that blanks them in logs."""
        self.account: str | None = None
        self.parts: dict[Any, tuple[datetime, Any]] = {}


_world = _World()


def furnish(
    *,
    now: Callable[[], datetime] = system_clock,
    sleep: Callable[[float], None] = time.sleep,
    around_atlas: Callable[[Atlas], Atlas] | None = None,
    clients: Mapping[str, Any] | None = None,
    look_every: timedelta | None = None,
) -> None:
    """Forget everything built, take another clock and sleeper (of seconds); the environment is read anew.

    `around_atlas` puts something around each Atlas reader: so a test shows what a blind one would do. `clients` stand
    in for those of AWS, by service: so a test asks another function without a network. `look_every` is how often open
    deletions are looked at, where that is not to be as often as the rules say.
    """
    global _world  # noqa: PLW0603 - the warm Lambda's one world
    _world = _World()
    _world.now, _world.sleep = now, sleep
    _world.around_atlas = around_atlas or _world.around_atlas
    _world.clients = clients or {}
    _world.look_every = look_every
    _client.cache_clear()


_cause: ContextVar[str] = ContextVar("cause", default="")
"""The request that is being served: the audit trail names it as what caused an entry."""


def serve(request_id: str) -> None:
    """Name the request that is served from here on."""
    _cause.set(request_id)


def outside(context: Any = None, *, cause: str | None = None) -> Outside:  # noqa: ANN401 - Lambda's own context
    """The outside world of this process; `context` tells how long this invocation still has.

    What is written from here on was caused by the invocation, or by the request `cause` that led to it.
    """
    _world.context = context
    if context is not None:
        serve(cause or str(getattr(context, "aws_request_id", "")))
    if _world.outside is None:
        _world.outside = _build()
    return _world.outside


def _build() -> Outside:
    from chalicelib.adapters.messages import Addresses, AwsMessages
    from chalicelib.adapters.tracker import DynamoTracker

    settings = read_settings()
    addresses = Addresses(
        alerts_topic=settings["ALERTS_TOPIC_ARN"],
        escalations_topic=settings["ESCALATIONS_TOPIC_ARN"],
        rotations_queue=settings["ROTATIONS_QUEUE_URL"],
        sweeps_queue=settings["SWEEPS_QUEUE_URL"],
        event_bus=settings["EVENT_BUS_NAME"],
    )
    return Outside(
        now=_world.now,
        tracker=DynamoTracker(client("dynamodb"), settings["TABLE_NAME"], _cause.get),
        messages=AwsMessages(_Later("sns"), _Later("sqs"), _Later("events"), addresses),
        organizations=_organizations,
        unread_secrets=_unread_secrets,
        atlas=_reader,
        atlas_owner=_owner,
        keys=_keys,
        at_once=at_once,
        preview=_preview,
        roles=_roles,
        legacy_user=_legacy_user,
        signed_by=_signed_by,
        dead_letters=_dead_letters,
        service_accounts=_service_accounts,
        look_every=_world.look_every,
    )


_building = RLock()
"""Clients and sessions are made one at a time: boto3 promises no more."""


def client(service: str, region: str | None = None) -> Any:  # noqa: ANN401 - boto3 ships no types
    """A boto3 client with timeouts that fit an invocation, made once."""
    with _building:
        stand_in = _world.clients.get(service)
        return stand_in if stand_in is not None else _client(service, region)


class _Later:
    """A client that is made when it is first asked for something: most invocations need one or two of them."""

    def __init__(self, service: str) -> None:
        self._service = service

    def __getattr__(self, operation: str) -> Any:  # noqa: ANN401 - whatever the client has
        return getattr(client(self._service), operation)


@lru_cache
def _client(service: str, region: str | None) -> Any:  # noqa: ANN401 - boto3 ships no types
    import boto3

    waits = {"read_timeout": 20, "attempts": 1} if service == "lambda" else {}
    return boto3.client(service, region_name=region, config=_config(**waits))


def _config(*, read_timeout: int = 10, attempts: int = 3) -> Any:  # noqa: ANN401 - boto3 ships no types
    from botocore.config import Config

    retries = {"mode": "standard", "total_max_attempts": attempts}
    return Config(connect_timeout=3, read_timeout=read_timeout, retries=retries)


def _each_secret() -> Iterator[tuple[str, OrganizationSecret | OutsideError]]:
    """The secret of every organization by its Secrets Manager id, or why it cannot be read: that stops no other."""
    for name in read_settings().atlas_secrets:
        try:
            yield name, _secrets().get(name)
        except OutsideError as problem:
            yield name, problem


def _organizations() -> tuple[str, ...]:
    found = (secret.organization for _, secret in _each_secret() if not isinstance(secret, OutsideError))
    return tuple(dict.fromkeys(found))


def _unread_secrets() -> dict[str, OutsideError]:
    return {name: problem for name, problem in _each_secret() if isinstance(problem, OutsideError)}


def _secrets() -> Any:  # noqa: ANN401 - imported lazily, with its vendor library
    from chalicelib.adapters.secrets import Secrets

    if _world.secrets is None:
        _world.secrets = Secrets(client("secretsmanager"), _world.now)
    return _world.secrets


def _secret_of(organization: str) -> OrganizationSecret:
    """The organization's secret, sought first where it was last: whoever asks Atlas asks for it each time."""
    name = _world.secret_names.get(organization)
    if name is not None:
        with suppress(OutsideError):
            secret: OrganizationSecret = _secrets().get(name)
            if secret.organization == organization:
                return secret
    problems = []
    for name, found in _each_secret():
        if isinstance(found, OutsideError):
            problems.append(found)
        elif found.organization == organization:
            _world.secret_names[organization] = name
            return found
    if problems:
        raise _why_unread(problems)
    text = f"no secret in ATLAS_SECRETS is of organization {organization}"
    raise PermanentError(text, call="settings", code="no_secret")


def _why_unread(problems: list[OutsideError]) -> OutsideError:
    """What to say where one of these secrets may be the wanted one: what may pass comes first."""
    for problem in problems:
        if isinstance(problem, TemporaryError):
            return problem
    first = problems[0]
    # no NotFound: that would say that what was to be asked for in Atlas is gone
    return PermanentError(first.message, call=first.call, code=first.code)


def _reader(organization: str) -> Atlas:
    from chalicelib.adapters.atlas import AtlasReader

    def build() -> Atlas:
        return _world.around_atlas(AtlasReader(_http(lambda: _secret_of(organization).reader), organization))

    reader: Atlas = _once(("reader", organization), build)
    return reader


def _owner(organization: str) -> AtlasOwner:
    from chalicelib.adapters.atlas import AtlasKeySwapper

    def build() -> AtlasOwner:
        http = _http(lambda: _secret_of(organization).owner)
        return AtlasKeySwapper(http, lambda secret_id: _secrets().credentials(secret_id))

    owner: AtlasOwner = _once(("owner", organization), build)
    return owner


def _http(credentials: Callable[[], Any]) -> Any:  # noqa: ANN401 - imported lazily, with its vendor library
    from chalicelib.adapters.atlas_http import AtlasHttp

    return AtlasHttp(
        base_url=read_settings()["ATLAS_BASE_URL"],
        credentials=credentials,
        now=_world.now,
        sleep=_world.sleep,
        random=random.random,
        seconds_left=_seconds_left,
        known_secrets=_secrets().current_values,
        on_token=_world.tokens.append,
    )


def _seconds_left() -> float:
    remaining = getattr(_world.context, "get_remaining_time_in_millis", None)
    return remaining() / 1000 - _SPARE_SECONDS if remaining is not None else 60.0


def _keys(region: str, role_arn: str | None) -> Keys:
    from chalicelib.adapters.kms import KmsKeys

    def build() -> Keys:
        if role_arn is None:
            return KmsKeys(client("kms", region), _own_account(), region)
        return KmsKeys(_assumed("kms", role_arn, region), role_arn.split(":")[4], region)

    keys: Keys = _once(("keys", region, role_arn), build, assumed=role_arn is not None)
    return keys


def _roles(role_arn: str | None) -> Roles:
    from chalicelib.adapters.iam import IamRoles

    def build() -> Roles:
        if role_arn is None:
            return IamRoles(client("iam"), _own_account())
        return IamRoles(_assumed("iam", role_arn), role_arn.split(":")[4])

    roles: Roles = _once(("roles", role_arn), build, assumed=role_arn is not None)
    return roles


def _legacy_user(secret_id: str) -> LegacyUser:
    """Whose credentials a secret holds, as STS says to who calls with them."""
    import boto3

    from chalicelib.adapters.sts import Sts
    from chalicelib.domain.observed import LegacyUser

    given = _secrets().credentials(secret_id)
    signed = boto3.client(
        "sts",
        config=_config(),
        aws_access_key_id=given.access_key_id,
        aws_secret_access_key=given.secret_access_key,
    )
    return LegacyUser(access_key_id=given.access_key_id, arn=Sts(signed).caller(f"the credentials secret {secret_id}"))


def _signed_by(body: bytes, signature: str) -> str | None:
    problems = []
    for _, secret in _each_secret():
        if isinstance(secret, OutsideError):
            problems.append(secret)
        elif secret.has_signed(body, signature):
            return secret.organization
    if problems:
        raise _why_unread(problems)
    return None


def _dead_letters() -> dict[str, int]:
    from chalicelib.adapters.messages import DeadLetters

    return DeadLetters(client("sqs"), read_settings().dead_letter_queues).count()


def _service_accounts(organization: str) -> dict[str, str]:
    secret = _secret_of(organization)
    return {"reader": secret.reader.client_id, "owner": secret.owner.client_id}


def adjust(project_id: str, who: str) -> dict[str, Any]:
    """Have Atlas' alert set by the function that may speak to Atlas; gives what came of it."""
    from chalicelib.adapters.functions import Functions

    return Functions(client("lambda"), read_settings()).adjust(project_id, who)


def hear(message: dict[str, str]) -> str:
    """Have a webhook call judged by the function that may read the secrets; gives its verdict."""
    from chalicelib.adapters.functions import Functions

    return Functions(client("lambda"), read_settings()).hear(message)


def _preview(project_id: str, request: Any) -> tuple[Check, ...]:  # noqa: ANN401 - whatever the verb asks for
    from chalicelib.adapters.functions import Functions

    return Functions(client("lambda"), read_settings()).preview(project_id, asdict(request))


SIDE_BY_SIDE = 8
"""How many calls are under way at the same time."""


@lru_cache
def _threads() -> Any:  # noqa: ANN401 - imported lazily
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(max_workers=SIDE_BY_SIDE, thread_name_prefix="keyturn")


def at_once(*calls: Callable[[], Any]) -> tuple[Any, ...]:
    """Make calls that make no calls at once themselves side by side; the first error, in their order, is raised.

    Every call has ended when this returns: nothing goes on behind the back of the next step. Each serves the request
    that is served here.
    """
    futures = [_threads().submit(copy_context().run, call) for call in calls]
    errors = [future.exception() for future in futures]
    for error in errors:
        if error is not None:
            raise error
    return tuple(future.result() for future in futures)


def _own_account() -> str:
    """The account that this process runs in, which never changes: asked once."""
    from chalicelib.adapters.sts import Sts

    with _building:
        if _world.account is None:
            _world.account = Sts(client("sts")).account()
        return _world.account


def _assumed(service: str, role_arn: str, region: str | None = None) -> Any:  # noqa: ANN401 - boto3 ships no types
    import boto3

    from chalicelib.adapters.sts import Sts

    given = Sts(client("sts")).session(role_arn)
    return boto3.client(
        service,
        region_name=region,
        config=_config(),
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
    )


def _once(name: Any, build: Callable[[], Any], *, assumed: bool = False) -> Any:  # noqa: ANN401 - keeps parts of every kind
    """Keep a part with its connections for good; one with an assumed role's session for less than its hour."""
    with _building:
        kept = _world.parts.get(name)
        if kept is None or (assumed and _world.now() - kept[0] > _SESSION_LIFE):
            kept = (_world.now(), build())
            _world.parts[name] = kept
        return kept[1]


def each_message(event: dict[str, Any], context: Any, handle: Callable[[Any], None]) -> Any:  # noqa: ANN401 - Lambda's own shapes
    """Handle each SQS message by itself; what fails is given back and comes again."""
    from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response

    outside(context)
    return process_partial_response(
        event=event,
        record_handler=lambda record: handle(record.json_body),
        processor=BatchProcessor(EventType.SQS),
        context=context,
    )


def each_record(event: dict[str, Any], context: Any, handle: Callable[[str], None]) -> Any:  # noqa: ANN401 - Lambda's own shapes
    """Handle each stream record by its partition key's name (`NOTICE#…`); what fails comes again."""
    from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response

    outside(context)
    return process_partial_response(
        event=event,
        record_handler=lambda record: handle(record.dynamodb.keys["pk"].partition("#")[2]),
        processor=BatchProcessor(EventType.DynamoDBStreams),
        context=context,
    )


class SecretsFilter(logging.Filter):
    """Blanks every secret in memory wherever a log line would show it, its traceback included, however written.

    It also keeps each message on a line of its own: what commands a terminal or begins a line is written as an escape.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the message; the line itself always passes."""
        from chalicelib.adapters.atlas_secrecy import blank

        values = _world.secrets.current_values() if _world.secrets is not None else ()
        secrets = (*values, *tuple(_world.tokens))
        record.msg, record.args = _printable(blank(record.getMessage(), secrets, BLANK)), ()
        if isinstance(record.exc_info, tuple) and record.exc_info[0] is not None:
            shown = logging.Formatter().formatException(record.exc_info)
            blanked = "\n".join(map(_printable, blank(shown, secrets, BLANK).split("\n")))
            if blanked != shown:  # every formatter writes an exception its own way: this one is text from now on
                record.msg, record.exc_info, record.exc_text = f"{record.msg}\n{blanked}", None, None
        return True


def _printable(text: str) -> str:
    """One line: whatever is not printable stands there as Python would write it."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def guard_logs(logger: Any) -> None:  # noqa: ANN401 - Powertools' logger
    """Put the filter before every handler of the root and of the given logger."""
    for handler in (*logging.getLogger().handlers, *logger.handlers):
        handler.addFilter(SecretsFilter())
