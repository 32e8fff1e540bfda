"""A stack in the sandbox whose every invocation, call and unit is metered, for as long as a cycle takes.

The functions are the real ones, run by the sandbox's runner on its virtual clock; AWS and Atlas are the sandbox's. What
the runner leaves out because it would find nothing (sandbox.rhythms) is counted here by the rates that app.py declares.
"""

import io
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any

import boto3
from gauges.metered_table import Metered, MeteredTable

import app as hall
from chalicelib import wiring

os.environ["POWERTOOLS_METRICS_DISABLED"] = "false"  # the sandbox has them off unless somebody says otherwise
from sandbox.cast import Stage
from sandbox.gateway import Answer, Api
from sandbox.lambda_shapes import Printed, Shape
from sandbox.rhythms import rates
from sandbox.runner import Runner

SERVICES = ("events", "iam", "kms", "lambda", "secretsmanager", "sns", "sqs", "sts")
API = "api_handler"
EVENTS = "GET /api/atlas/v2/groups/{groupId}/events"


@dataclass(kw_only=True)
class Use:
    """What invocations of one function took together."""

    invocations: int = 0
    cold: int = 0
    processor_seconds: float = 0.0
    atlas_calls: int = 0
    events_calls: int = 0
    """Those of the Atlas calls that read a project's events."""
    sent: int = 0
    """Bytes of the bodies that Atlas answered with."""
    aws_calls: Counter[str] = field(default_factory=Counter)
    """By service, and `dynamodb` for all of the table's."""
    write_units: int = 0
    read_units: int = 0
    log_bytes: int = 0

    def add(self, other: "Use", times: int = 1) -> None:
        """Take in what another took, so many times."""
        for name in (one.name for one in fields(self) if one.name != "aws_calls"):
            setattr(self, name, getattr(self, name) + times * getattr(other, name))
        self.aws_calls.update({service: times * count for service, count in other.aws_calls.items()})


@dataclass(kw_only=True)
class Counting:
    """A boto3 client whose calls are counted under its service; clients that it does not know are made by boto3."""

    service: str
    client: Any
    calls: Counter[str]

    def __getattr__(self, operation: str) -> Any:  # noqa: ANN401 - whatever boto3 has
        part = getattr(self.client, operation)
        if not callable(part) or operation in {"exceptions", "meta"}:
            return part

        def counted(*given: Any, **named: Any) -> Any:  # noqa: ANN401 - the same
            self.calls[self.service] += 1
            return part(*given, **named)

        return counted


class MeteredRunner(Runner):
    """A runner that meters each function."""

    def __init__(self, stage: Stage, table: MeteredTable, calls: Counter[str], said: io.StringIO, idle: float) -> None:
        super().__init__(stage.world)
        self.stage, self._calls, self._table, self._said = stage, calls, table, said
        self.idle = timedelta(seconds=idle)
        self._last: dict[str, datetime] = {}
        self.uses: dict[str, Use] = {}
        self.metrics: set[tuple[str, ...]] = set()

    def _invoke(self, name: str, event: Shape) -> Shape | None:
        with self.metering(name):
            return super()._invoke(name, event)

    @contextmanager
    def metering(self, name: str) -> Iterator[None]:
        """Meter one invocation of a function."""
        now, server = self.stage.world.clock.now(), self.stage.server
        calls, self._table.metered = Counter(self._calls), Metered()
        atlas, sent, said, table = Counter(server.calls), server.sent, self._said.tell(), self._table.calls
        begun = time.thread_time()
        try:
            yield
        finally:
            use = Use(
                invocations=1,
                cold=int(now - self._last.get(name, datetime.min.replace(tzinfo=now.tzinfo)) > self.idle),
                processor_seconds=time.thread_time() - begun,
                atlas_calls=server.calls.total() - atlas.total(),
                events_calls=server.calls[EVENTS] - atlas[EVENTS],
                sent=server.sent - sent,
                aws_calls=self._calls - calls,
                write_units=self._table.metered.write_units,
                read_units=self._table.metered.read_units,
                log_bytes=self._said.tell() - said,
            )
            use.aws_calls["dynamodb"] = self._table.calls - table
            self.uses.setdefault(name, Use()).add(use)
            self._last[name] = now
            self._note_metrics(said)

    def _note_metrics(self, since: int) -> None:
        """Each name with its dimensions that was printed for CloudWatch is a metric that costs."""
        self._said.seek(since)
        for line in self._said.read().splitlines():
            if '"_aws"' not in line:
                continue
            told = json.loads(line)
            for directive in told["_aws"]["CloudWatchMetrics"]:
                for names in directive["Dimensions"]:
                    where = tuple(f"{name}={told[name]}" for name in names)
                    self.metrics |= {(directive["Namespace"], one["Name"], *where) for one in directive["Metrics"]}

    def fire_every_schedule(self) -> dict[str, Use]:
        """Fire each schedule twice with nothing due; gives what the second firing took."""
        kept, self.uses = self.uses, {}
        for name in rates():
            self._fire(name)
        self.settle()
        self.uses = {}
        for name in rates():
            self._fire(name)
        quiet, self.uses = self.uses, kept
        return {name: quiet[name] for name in rates()}


@dataclass(kw_only=True)
class Installed:
    """What is open while a stack is metered."""

    runner: MeteredRunner
    api: Api

    def ask(self, method: str, target: str, body: object, *, person: int, **headers: str) -> Answer:
        """Ask the API as one of the two operators, metered."""
        world = self.runner.stage.world
        with self.runner.metering(API):
            answer = self.api.ask(method, target, body, caller=world.operators[person].arn, headers=headers)
        self.runner.settle()
        return answer


@contextmanager
def metered_stack(stage: Stage, *, idle: float) -> Iterator[Installed]:
    """Install Keyturn on a stage, its clients of AWS counted and its table metered."""
    world = stage.world
    calls: Counter[str] = Counter()
    said = io.StringIO()
    table = MeteredTable(client=boto3.client("dynamodb"), name=world.resources["TrackerTable"]["name"])
    counted = {name: Counting(service=name, client=boto3.client(name), calls=calls) for name in SERVICES}
    clients: Mapping[str, Any] = {"dynamodb": table, **counted}
    wiring.furnish(now=world.clock.now, sleep=lambda _: None, clients=clients)
    handlers = [handler for handler in hall.logger.handlers if hasattr(handler, "setStream")]
    Printed.sink = said
    for handler in handlers:
        handler.setStream(said)
    try:
        yield Installed(runner=MeteredRunner(stage, table, calls, said, idle), api=Api(world))
    finally:
        Printed.sink = None
        for handler in handlers:
            handler.setStream(sys.stdout)
