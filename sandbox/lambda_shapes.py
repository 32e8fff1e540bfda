"""What Lambda hands to a function: its context, and the events of each trigger in their real shapes."""

import io
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TextIO
from uuid import uuid4

Shape = dict[str, Any]


@dataclass(kw_only=True)
class Context:
    """Lambda's context object; the time that is left is real time, as the function really runs."""

    function_name: str
    timeout_seconds: float
    account: str = "123456789012"
    region: str = "us-east-1"
    memory_limit_in_mb: int = 512
    function_version: str = "$LATEST"
    aws_request_id: str = field(default_factory=lambda: str(uuid4()))
    _started: float = field(default_factory=time.monotonic)

    @property
    def invoked_function_arn(self) -> str:
        """The function's ARN."""
        return f"arn:aws:lambda:{self.region}:{self.account}:function:{self.function_name}"

    def get_remaining_time_in_millis(self) -> int:
        """How long this invocation may still run."""
        return max(0, int(1000 * (self.timeout_seconds - (time.monotonic() - self._started))))


class Printed:
    """Where what functions print goes: nowhere, unless somebody asks for it. stdout belongs to the sandbox."""

    sink: TextIO | None = None


def run(function: Callable[[Shape, Context], Any], event: Shape, context: Context) -> Any:  # noqa: ANN401 - its answer
    """Run a function; its metrics, which it prints for CloudWatch, go to whoever asked for them (`Printed`)."""
    with redirect_stdout(Printed.sink if Printed.sink is not None else io.StringIO()):
        return function(event, context)


def scheduled(name: str, at: datetime, *, account: str, region: str) -> Shape:
    """EventBridge's event of a schedule's rule."""
    return {
        "version": "0",
        "id": str(uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": account,
        "time": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": region,
        "resources": [f"arn:aws:events:{region}:{account}:rule/keyturn-{name}"],
        "detail": {},
    }


def queued(messages: Iterable[Mapping[str, Any]], queue_arn: str, region: str) -> Shape:
    """A batch of messages that SQS' ReceiveMessage gave."""
    return {"Records": [_message(message, queue_arn, region) for message in messages]}


def _message(message: Mapping[str, Any], queue_arn: str, region: str) -> Shape:
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": dict(message.get("Attributes", {})),
        "messageAttributes": {},
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": region,
    }


def streamed(records: Iterable[Mapping[str, Any]], stream_arn: str) -> Shape:
    """A batch of records that DynamoDB Streams' GetRecords gave."""
    return {"Records": [_record(record, stream_arn) for record in records]}


def _record(record: Mapping[str, Any], stream_arn: str) -> Shape:
    change = dict(record["dynamodb"])
    if isinstance(change.get("ApproximateCreationDateTime"), datetime):
        change["ApproximateCreationDateTime"] = change["ApproximateCreationDateTime"].timestamp()
    return {**record, "eventSourceARN": stream_arn, "dynamodb": change}
