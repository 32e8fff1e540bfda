"""The pretend AWS: moto in this process behind one loopback address, with the strict KMS in front of it.

Where moto or this house is more lenient than AWS: only KMS and STS refuse unknown access keys, signatures
are not checked here, moto checks no IAM policies (KMS and AssumeRole do), no rule or schedule fires by
itself, SNS delivers whatever a queue's policy says, items are not deleted when their TTL is over, and a key
policy may name anybody in an account that has no users and roles here.
"""

from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from threading import RLock
from types import TracebackType
from typing import Any, Self

import boto3
from moto.core.base_backend import BackendDict
from moto.dynamodb.models import dynamodb_backends
from moto.sqs.models import Message, Queue, sqs_backends

from sandbox.aws_door import Door
from sandbox.aws_functions import Function
from sandbox.aws_people import Expired, People, User
from sandbox.aws_post import Post
from sandbox.aws_provision import Made, Template
from sandbox.aws_quick import quickened
from sandbox.aws_table import Tables, Tokens
from sandbox.aws_time import moto_on
from sandbox.aws_within import BeforeSend, answering
from sandbox.clock import VirtualClock
from sandbox.kms_callers import Caller
from sandbox.strict_kms import StrictKms
from sandbox.web import serving

__all__ = ["Depth", "PretendAws", "User"]

_ADMINISTRATOR: dict[str, object] = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}
_TICK = timedelta(milliseconds=1)


@dataclass(frozen=True, kw_only=True)
class Depth:
    """How many messages of a queue are visible now, and when the next hidden one will be (None: never)."""

    visible: int
    next_visible_at: datetime | None


class PretendAws:
    """A context manager: all of AWS that Keyturn touches, on a virtual clock, reset on enter.

    moto's state belongs to the process, so there can be one pretend AWS at a time.
    """

    account = "123456789012"
    region = "us-east-1"

    def __init__(self, clock: VirtualClock, *, port: int = 0, consistency_delay: timedelta = timedelta(0)) -> None:
        self.clock = clock
        self.address = ""
        self._port = port
        self._lock = RLock()
        self._stack = ExitStack()
        self._clients: dict[tuple[str, str, str], Any] = {}
        self._people = People(clock.now, self.account)
        self._post = Post(clock.now)
        self._tables = Tables()
        self.kms = StrictKms(clock, identities=self._people, consistency_delay=consistency_delay)
        self.functions: dict[str, Function] = {}
        """What Lambda's Invoke reaches, by name."""
        self.admin = User(arn="", access_key_id="", secret_access_key="")
        self.within: BeforeSend
        """For a botocore session of this process to register for `before-send`, and leave the socket out."""

    def __enter__(self) -> Self:
        BackendDict.reset()
        with ExitStack() as stack:
            stack.callback(BackendDict.reset)
            stack.enter_context(moto_on(self.clock))
            stack.enter_context(quickened())
            stack.enter_context(self._people.remembered())
            stack.enter_context(self._tables.corrected())
            stack.enter_context(self._post.copied())
            self.admin = self.create_user("account-administrator", _ADMINISTRATOR)
            door = Door(self.kms, self._people, Tokens(now=self.clock.now), self.functions, self._lock)
            self.address = stack.enter_context(serving(door, self._port))
            self.within = answering(door, self.address)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    @property
    def changes(self) -> tuple[int, int]:
        """A value that is another one after every change to a key or to what people may do."""
        return self.kms.changes, self._people.changes

    def create_user(self, name: str, policy: dict[str, object]) -> User:
        """Make an IAM user of the sandbox's account with one policy and one access key."""
        with self._lock:
            return self._people.create_user(name, policy)

    def create_role(
        self,
        name: str,
        trust: dict[str, object],
        policy: dict[str, object] | None = None,
        *,
        account: str = account,
    ) -> str:
        """Make an IAM role in any account and give its ARN; None for a role without a policy of its own."""
        with self._lock:
            return self._people.create_role(name, trust, policy, account)

    def secret_of(self, access_key_id: str) -> str | None:
        """The secret of an access key, for whoever checks signatures; None when nobody has that key."""
        return self._people.secret_of(access_key_id)

    def caller_of(self, access_key_id: str) -> Caller | None:
        """Who an access key belongs to: a user or a role session; None for unknown keys and ended sessions."""
        try:
            return self._people.caller_of(access_key_id)
        except Expired:
            return None

    def trusts(self, role_arn: str, caller: Caller, *, external_id: str) -> bool:
        """Whether a role exists and lets somebody assume it whom an account of its own lets ask."""
        return self._people.trusts(role_arn, caller, external_id)

    def client(self, service: str, user: User | None = None, region: str = region) -> Any:  # noqa: ANN401 - boto3's
        """The boto3 client bound to this AWS, as `user` or as the account's administrator; made once for all."""
        who = user or self.admin
        wanted = (service, who.access_key_id, region)
        with self._lock:  # a session may not make two clients at once
            if wanted not in self._clients:
                self._clients[wanted] = _session().client(
                    service,
                    region_name=region,
                    endpoint_url=self.address,
                    aws_access_key_id=who.access_key_id,
                    aws_secret_access_key=who.secret_access_key,
                )
            return self._clients[wanted]

    def provision(self, resources: dict[str, Any], parameters: dict[str, str] | None = None) -> dict[str, Made]:
        """Make the tables, queues, topics and buses of a template's `Resources`.

        Gives per logical id `arn`, `name`, `ref` (what Ref gives) and, where there is one, `url` or
        `stream_arn`. An intrinsic that cannot be resolved raises ValueError.
        """
        template = Template(
            resources=resources,
            client=self.client,
            account=self.account,
            region=self.region,
            parameters=parameters or {},
        )
        return template.make_all()

    def queue_depths(self) -> dict[str, Depth]:
        """Per queue URL what is visible now and when more will be; a look at moto's memory, no receive."""
        with self._lock:
            queues = sqs_backends[self.account][self.region].queues.values()
            now = self.clock.now()
            return {f"{self.address}/{self.account}/{queue.name}": _depth(queue, now) for queue in queues}

    def stream_position(self) -> int:
        """A number that grows with every record in any table's stream."""
        with self._lock:
            tables = dynamodb_backends[self.account][self.region].tables.values()
            return sum(len(table.stream_shard.items) for table in tables if table.stream_shard is not None)

    def streamed(self, table: str, after: int) -> list[dict[str, Any]]:
        """The records of a table's stream but for the first `after`; a look at moto's memory, no read of the stream."""
        with self._lock:
            shard = dynamodb_backends[self.account][self.region].tables[table].stream_shard
            return [] if shard is None else [item.record for item in shard.items[after:]]

    def due_items(self, table: str, index: str = "due", now: datetime | None = None) -> dict[str, str]:
        """Per hash value of a time index (`due_kind`) the earliest range value (`due_at`) in the table.

        With `now` only what is due by then; the table needs a stream, by which the index is kept.
        """
        edge = None if now is None else now.isoformat(timespec="microseconds").replace("+00:00", "Z")
        with self._lock:
            found = dynamodb_backends[self.account][self.region].tables[table]
            earliest = self._tables.earliest(found, index)
        return {kind: at for kind, at in earliest.items() if edge is None or at <= edge}

    def inbox(self) -> list[dict[str, Any]]:
        """Every message published to any topic: time, topic (ARN), subject, body, attributes."""
        return self._post.messages()

    def bus_events(self) -> list[dict[str, Any]]:
        """Every event put on a bus, as EventBridge would deliver it, with the name of its `bus`."""
        return self._post.events()


@cache
def _session() -> Any:  # noqa: ANN401 - boto3 ships no types
    """One session for the clients of every pretend AWS, for each brings its own credentials: it is slow to make."""
    return boto3.session.Session()


def _depth(queue: Queue, now: datetime) -> Depth:
    times = [_visible_from(message) for message in queue._messages if _kept(queue, message, now)]  # noqa: SLF001 - moto shows only visible ones
    later = [time for time in times if time > now]
    return Depth(visible=len(times) - len(later), next_visible_at=min(later, default=None))


def _visible_from(message: Message) -> datetime:
    # moto shows a message after its `visible_at` has passed, but on its `delayed_until` already.
    hidden = _time(message.visible_at) + _TICK if message.visible_at else _time(0)
    return max(hidden, _time(message.delayed_until))


def _kept(queue: Queue, message: Message, now: datetime) -> bool:
    # moto sets both from outside, so its annotations do not know them.
    retention = timedelta(seconds=getattr(queue, "message_retention_period"))  # noqa: B009 - mypy believes the annotations
    return now - _time(message.sent_timestamp or 0) < retention


def _time(milliseconds: float) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, tz=UTC)
