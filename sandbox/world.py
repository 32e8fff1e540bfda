"""One pretend world: clock, AWS with the shipped resources in it, an Atlas, and the functions furnished with both."""

import json
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import RLock
from types import TracebackType
from typing import Any, Protocol, Self

import boto3

import app as hall
from chalicelib import wiring
from sandbox import lambda_shapes
from sandbox.aws import PretendAws, User
from sandbox.clock import VirtualClock
from sandbox.lambda_shapes import Context, Shape
from sandbox.template import defaults_of, read_template

START = datetime(2027, 1, 4, 6, tzinfo=UTC)
"""When a pretend world begins, unless somebody says otherwise."""

WEBHOOK_SECRET = "pretend-webhook-secret"  # noqa: S105 - of a pretend Atlas
_PREVIEW, _HEAR, _ADJUST = "keyturn-preview", "keyturn-hear", "keyturn-adjust"
_DEAD_LETTERS = ("RotationsDeadLetters", "SweepsDeadLetters", "AsyncDeadLetters")
_ASKED_SECONDS = 20.0
_EVERYTHING: dict[str, object] = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}
_NOTHING: dict[str, object] = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": "*"}],
}
LONGEST_REAL_WAIT = 10.0
"""Seconds: a shorter wait is one that a foreign Atlas asked for; a longer one would hold up the whole world."""

_FOREIGN = ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONFIG_FILE")
"""What must not leak from the machine into the pretend world."""


@dataclass(frozen=True, kw_only=True)
class AtlasPlace:
    """Where an Atlas is and how to come in; `reader` and `owner` are (client id, client secret)."""

    address: str
    organization: str
    reader: tuple[str, str]
    owner: tuple[str, str]


class AtlasTime(Protocol):
    """An Atlas whose time is ours."""

    @property
    def changes(self) -> object:
        """A value that is another one after whatever a look at the projects could find."""

    def next_event_at(self) -> datetime | None:
        """When something will happen in it next."""

    def run_due(self) -> None:
        """Let happen what is due."""


class Timeless:
    """An Atlas of somebody else's: nothing in it happens by our clock."""

    @property
    def changes(self) -> object:
        """Always another: what happens in it we do not know."""
        return object()

    def next_event_at(self) -> datetime | None:
        """Never."""
        return None

    def run_due(self) -> None:
        """Do nothing."""


@dataclass(kw_only=True)
class Progress:
    """How far the pump has come. It belongs to the world, so that a new runner goes on where the old one stopped."""

    next_tick: dict[str, datetime] = field(default_factory=dict)
    """Per schedule the first moment of its rhythm that has not been dealt with."""
    last_fired: dict[str, datetime] = field(default_factory=dict)
    seen: dict[str, object] = field(default_factory=dict)
    """Per schedule that watches what `World.changes` gave when it fired last, unless it failed."""
    stream_iterator: str | None = None
    stream_read: int = 0
    kms_calls: deque[dict[str, Any]] = field(default_factory=deque)
    webhooks: deque[tuple[bytes, dict[str, str]]] = field(default_factory=deque)
    """What Atlas has sent to our webhook and nobody has taken: raw body and headers."""
    failures: list[str] = field(default_factory=list)


AtlasMaker = Callable[["World"], tuple[AtlasPlace, AtlasTime]]


class World:
    """A context manager: while it is open, this process' environment and wiring are those of the pretend world.

    `make_atlas` is called once AWS stands; what it opens it enters on the world's `stack`. `sleep` waits real seconds.
    The functions reach AWS without a socket, unless they must go `over_the_wire`: to be timed or killed there.
    """

    def __init__(
        self,
        make_atlas: AtlasMaker,
        *,
        start: datetime = START,
        aws_port: int = 0,
        sleep: Callable[[float], None] = time.sleep,
        over_the_wire: bool = False,
    ) -> None:
        self.clock = VirtualClock(start)
        self.aws = PretendAws(self.clock, port=aws_port)
        self.lock = RLock()
        self.stack = ExitStack()
        self.progress = Progress()
        self.resources: dict[str, dict[str, str]] = {}
        self.operators: tuple[User, ...] = ()
        self._make_atlas = make_atlas
        self._sleep = sleep
        self._over_the_wire = over_the_wire

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.stack = stack
            stack.enter_context(self.aws)
            self.operators = tuple(self.aws.create_user(name, _NOTHING) for name in ("operator-ada", "operator-grace"))
            self.place, self.atlas = self._make_atlas(self)
            self._provision()
            self._keep_secret()
            stack.enter_context(_environment(self._variables()))
            stack.enter_context(_furnished(self.start_functions))
            self.aws.kms.on_api_call = self.progress.kms_calls.append
            self.aws.functions[_PREVIEW] = _asked(hall.preview, _PREVIEW)
            self.aws.functions[_HEAR] = _asked(hall.hear, _HEAR)
            self.aws.functions[_ADJUST] = _asked(hall.adjust, _ADJUST)
            self.stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stack.close()

    def start_functions(self) -> None:
        """Let the next invocation find a new process, with nothing kept from before; credentials are read anew."""
        boto3.setup_default_session()
        if not self._over_the_wire:
            boto3.DEFAULT_SESSION.events.register("before-send", self.aws.within)
        wiring.furnish(now=self.clock.now, sleep=self._wait_for_atlas)

    def _wait_for_atlas(self, seconds: float) -> None:
        """Wait for an Atlas that had no answer.

        Our own would not change while we wait: the clock stands still during an invocation, as turning it from
        within would pass over what falls due. The waiting that counts is that of the next wake-up. A foreign Atlas
        goes by real time, so the seconds that it asks for are real.
        """
        if isinstance(self.atlas, Timeless) and seconds < LONGEST_REAL_WAIT:
            self._sleep(seconds)

    @property
    def changes(self) -> object:
        """A value that is another one after whatever a look at Atlas' projects or at the keys could find."""
        return self.aws.changes, self.atlas.changes

    @property
    def secret_name(self) -> str:
        """The Secrets Manager id of the organization's credentials."""
        return f"keyturn/{self.place.organization}"

    def _provision(self) -> None:
        template = read_template()
        parameters = defaults_of(template) | {"AtlasSecrets": self.secret_name, "AtlasBaseUrl": self.place.address}
        self.resources = self.aws.provision(template["Resources"], parameters)

    def _keep_secret(self) -> None:
        place = self.place
        accounts = {"reader": place.reader, "owner": place.owner}
        held = {name: {"client_id": one[0], "client_secret": one[1]} for name, one in accounts.items()}
        text = json.dumps({"organization": place.organization, **held, "webhook_secrets": [WEBHOOK_SECRET]})
        self.aws.client("secretsmanager").create_secret(Name=self.secret_name, SecretString=text)

    def _variables(self) -> dict[str, str]:
        functions = self.aws.create_user("keyturn-functions", _EVERYTHING)
        return {
            "AWS_ENDPOINT_URL": self.aws.address,
            "AWS_ACCESS_KEY_ID": functions.access_key_id,
            "AWS_SECRET_ACCESS_KEY": functions.secret_access_key,
            "AWS_DEFAULT_REGION": self.aws.region,
            "AWS_REGION": self.aws.region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "ATLAS_BASE_URL": self.place.address,
            "ATLAS_SECRETS": self.secret_name,
            "TABLE_NAME": self.resources["TrackerTable"]["name"],
            "ROTATIONS_QUEUE_URL": self.resources["RotationsQueue"]["url"],
            "SWEEPS_QUEUE_URL": self.resources["SweepsQueue"]["url"],
            "ALERTS_TOPIC_ARN": self.resources["AlertsTopic"]["arn"],
            "ESCALATIONS_TOPIC_ARN": self.resources["EscalationsTopic"]["arn"],
            "EVENT_BUS_NAME": self.resources["EventBus"]["name"],
            "PREVIEW_FUNCTION": _PREVIEW,
            "HEAR_FUNCTION": _HEAR,
            "ADJUST_FUNCTION": _ADJUST,
            "DEAD_LETTER_QUEUES": ",".join(self.resources[name]["url"] for name in _DEAD_LETTERS),
        }


def _asked(function: Callable[..., Any], name: str) -> Callable[[Shape], Any]:
    """What Lambda runs when the API asks another function."""
    return lambda event: lambda_shapes.run(function, event, Context(function_name=name, timeout_seconds=_ASKED_SECONDS))


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set the functions' environment; the machine's own comes back afterwards."""
    before = dict(os.environ)
    for name in _FOREIGN:
        os.environ.pop(name, None)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _furnished(start: Callable[[], None]) -> Iterator[None]:
    """Give the functions the world's clock; boto3's default session keeps credentials, so it is made anew."""
    start()
    try:
        yield
    finally:
        wiring.furnish()
        boto3.DEFAULT_SESSION = None  # whoever is next makes one with credentials of their own
