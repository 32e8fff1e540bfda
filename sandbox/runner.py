"""The pump: what Lambda, EventBridge and the event source mappings do, done by hand and in order of virtual time.

It keeps nothing that a new runner would need: schedule positions and the place in the stream lie in the world,
messages in their queues. Softer than AWS: a scheduled or CloudTrail invocation that fails is not repeated (the next
firing is its repetition), and a batch of the stream is tried five times at once, then left to `relay`.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import app as hall
from sandbox import lambda_shapes
from sandbox.gateway import Api
from sandbox.lambda_shapes import Context, Shape
from sandbox.rhythms import A_DAY, Rhythms
from sandbox.world import World

MOST_ROUNDS = 10_000
"""More steps at one moment of virtual time than this are a loop that never ends."""

_STREAM_ATTEMPTS = 5
_QUEUES = {"rotate": "RotationsQueue", "sweep": "SweepsQueue"}
_LONGEST = 900.0
_log = logging.getLogger(__name__)


class NeverIdle(RuntimeError):
    """The functions keep each other busy without virtual time going on."""


class Runner:
    """Runs the functions of one world; a failed invocation is logged, noted in `failures`, and life goes on."""

    def __init__(self, world: World, *, idle: timedelta = A_DAY) -> None:
        self._world = world
        self._rhythms = Rhythms(world.progress, world.clock.now(), idle=idle, changes=lambda: world.changes)
        self._batches = {one.name: one.batch_size for one in hall.app.event_sources if hasattr(one, "batch_size")}
        guard = next(one for one in hall.app.event_sources if one.name == "guard")
        calls, _ = vars(guard)["event_pattern"]["$or"]
        self._calls_guarded = frozenset(calls["detail"]["eventName"])
        self._api = Api(world)
        self._sqs = world.aws.client("sqs")
        self._streams = world.aws.client("dynamodbstreams")

    @property
    def failures(self) -> list[str]:
        """Every invocation in this world that raised: when, which function, and what."""
        return self._world.progress.failures

    def run_until(self, then: datetime) -> None:
        """Let virtual time pass until `then`, everything that falls due on the way done in order."""
        while True:
            self.settle()
            at, do = self._next()
            if at > then:
                break
            self._turn_to(at)
            do()
        self._turn_to(then)
        self.settle()

    def settle(self) -> None:
        """Do what can be done without any time passing; raises NeverIdle when that does not end."""
        for _ in range(MOST_ROUNDS):
            if not (self._deliver_next() or self._guard_next() or self._announce_next() or self._handle_queues()):
                return
        raise NeverIdle(f"at {self._world.clock.now()} the functions do not come to rest")

    def _turn_to(self, then: datetime) -> None:
        self._world.clock.advance_to(max(then, self._world.clock.now()))

    def _next(self) -> tuple[datetime, Callable[[], None]]:
        at, name = self._rhythms.next_firing(self._due())
        choices: list[tuple[datetime, int, Callable[[], None]]] = [(at, 2, lambda: self._fire(name))]
        event = self._world.atlas.next_event_at()
        if event is not None:
            choices.append((event, 0, self._world.atlas.run_due))
        depths = self._world.aws.queue_depths()
        seen = [depths[self._queue(which)["url"]].next_visible_at for which in _QUEUES]
        choices += [(moment, 1, _nothing) for moment in seen if moment is not None]
        first = min(choices, key=lambda choice: choice[:2])
        return first[0], first[2]

    def _due(self) -> dict[str, datetime]:
        found = self._world.aws.due_items(self._world.resources["TrackerTable"]["name"])
        return {kind: datetime.fromisoformat(at) for kind, at in found.items()}

    def _fire(self, name: str) -> None:
        now, aws = self._world.clock.now(), self._world.aws
        self._rhythms.fired(name, now)
        if self._invoke(name, lambda_shapes.scheduled(name, now, account=aws.account, region=aws.region)) is None:
            self._rhythms.failed(name)

    def _deliver_next(self) -> bool:
        """Post what Atlas has sent to our webhook; what is not taken well, Atlas sends again some day."""
        webhooks = self._world.progress.webhooks
        if not webhooks:
            return False
        raw, headers = webhooks[0]
        self._api.ask("POST", "/v1/webhooks/atlas", raw.decode(), caller="", headers=headers)
        webhooks.popleft()
        return True

    def _guard_next(self) -> bool:
        calls = self._world.progress.kms_calls
        if not calls:
            return False
        event = calls[0]
        if event["detail"]["eventName"] in self._calls_guarded:
            self._invoke("guard", event)
        calls.popleft()  # only now: an event whose handling was cut short is handled again by the next runner
        return True

    def _announce_next(self) -> bool:
        progress, table = self._world.progress, self._world.resources["TrackerTable"]
        if not any(_is_new_notice(record) for record in self._world.aws.streamed(table["name"], progress.stream_read)):
            return False  # the filter of the event source mapping lets nothing through
        arn = table["stream_arn"]
        answer = self._streams.get_records(ShardIterator=progress.stream_iterator or self._horizon(arn))
        records = answer["Records"]
        wanted = [record for record in records if _is_new_notice(record)]
        size = self._batches["announce"]
        for start in range(0, len(wanted), size):
            self._announce(lambda_shapes.streamed(wanted[start : start + size], arn))
        progress.stream_iterator = answer["NextShardIterator"]
        progress.stream_read += len(records)
        return True

    def _horizon(self, arn: str) -> str:
        shard = self._streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"][0]["ShardId"]
        kind = "TRIM_HORIZON"
        found = self._streams.get_shard_iterator(StreamArn=arn, ShardId=shard, ShardIteratorType=kind)
        return str(found["ShardIterator"])

    def _announce(self, event: Shape) -> None:
        for _ in range(_STREAM_ATTEMPTS):
            answer = self._invoke("announce", event)
            failed = {one["itemIdentifier"] for one in (answer or {}).get("batchItemFailures", [])}
            if answer is not None and not failed:
                return
            event = {"Records": _from_first_failed(event["Records"], failed)}

    def _handle_queues(self) -> bool:
        depths = self._world.aws.queue_depths()
        busy = [name for name in _QUEUES if depths[self._queue(name)["url"]].visible]
        return any(self._handle_batch(name) for name in busy)

    def _handle_batch(self, name: str) -> bool:
        queue, size = self._queue(name), self._batches[name]
        got = self._sqs.receive_message(QueueUrl=queue["url"], MaxNumberOfMessages=size, AttributeNames=["All"])
        messages = got.get("Messages", [])
        if not messages:
            return False
        answer = self._invoke(name, lambda_shapes.queued(messages, queue["arn"], self._world.aws.region))
        if answer is not None:
            failed = {one["itemIdentifier"] for one in answer.get("batchItemFailures", [])}
            self._delete(queue["url"], [one for one in messages if one["MessageId"] not in failed])
        return True

    def _delete(self, url: str, messages: list[dict[str, Any]]) -> None:
        for message in messages:
            self._sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

    def _queue(self, name: str) -> dict[str, str]:
        return self._world.resources[_QUEUES[name]]

    def _invoke(self, name: str, event: Shape) -> Shape | None:
        """Call a function as Lambda does; None when it raised."""
        context = Context(function_name=f"keyturn-{name}", timeout_seconds=_LONGEST)
        try:
            answer = lambda_shapes.run(getattr(hall, name), event, context)
        except Exception as problem:  # noqa: BLE001 - whatever a function raises, Lambda goes on
            self.failures.append(
                f"{self._world.clock.now():%Y-%m-%d %H:%M} {name}: {type(problem).__name__}: {problem}"
            )
            _log.warning("%s failed at %s", name, self._world.clock.now(), exc_info=True)
            return None
        return answer if isinstance(answer, dict) else {}


def _is_new_notice(record: Shape) -> bool:
    """The filter of the shipped event source mapping."""
    return bool(record["eventName"] == "INSERT" and record["dynamodb"]["Keys"]["sk"] == {"S": "NOTICE"})


def _from_first_failed(records: list[Shape], failed: set[str]) -> list[Shape]:
    """What a stream's mapping gives again: everything from the first record that failed."""
    numbers = [record["dynamodb"]["SequenceNumber"] for record in records]
    first = next((place for place, number in enumerate(numbers) if number in failed), 0)
    return records[first:]


def _nothing() -> None:
    """A message has become visible: the next settling takes it."""
