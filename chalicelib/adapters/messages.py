"""Everything that leaves: notices to SNS and the event bus, wake-ups to our own SQS queues."""

import json
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, ParamValidationError
from botocore.parsers import ResponseParserError

from chalicelib.adapters.messages_shapes import SOURCE, attributes, detail, message, subject
from chalicelib.domain.arn import KeyArn
from chalicelib.domain.records import Notice
from chalicelib.domain.vocabulary import Channel
from chalicelib.usecases.ports import OutsideError, PermanentError, TemporaryError

_LONGEST_DELAY = 900
_TOO_MANY, _SERVER_FAILED = 429, 500
_PASSING_WORDS = ("Throttl", "ExpiredToken", "TooManyRequests", "RequestLimitExceeded", "ConcurrentModification")


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """Where messages go."""

    alerts_topic: str
    escalations_topic: str
    rotations_queue: str
    sweeps_queue: str
    event_bus: str


class AwsMessages:
    """Notices over SNS and EventBridge, wake-ups over SQS."""

    def __init__(self, sns: Any, sqs: Any, events: Any, addresses: Addresses) -> None:  # noqa: ANN401 - boto3 ships no types
        self._sns = sns
        self._sqs = sqs
        self._events = events
        self._to = addresses

    def publish(self, notice: Notice, channel: Channel) -> None:
        """Send a notice over one channel."""
        match channel:
            case Channel.ALERTS:
                self._mail(self._to.alerts_topic, notice)
            case Channel.ESCALATIONS:
                self._mail(self._to.escalations_topic, notice)
            case Channel.BUS:
                self._put(notice)

    def _mail(self, topic: str, notice: Notice) -> None:
        _ask(
            self._sns.publish,
            "sns:Publish",
            TopicArn=topic,
            Subject=subject(notice.subject),
            Message=message(notice),
            MessageStructure="json",
            MessageAttributes=attributes(notice),
        )

    def _put(self, notice: Notice) -> None:
        event = {
            "Source": SOURCE,
            "DetailType": notice.kind,
            "Detail": json.dumps(detail(notice), ensure_ascii=False),
            "EventBusName": self._to.event_bus,
            "Time": notice.created_at,
        }
        answer = _ask(self._events.put_events, "events:PutEvents", Entries=[event])
        if answer.get("FailedEntryCount"):
            code = ", ".join(entry.get("ErrorCode", "") for entry in answer.get("Entries", ()))
            text = f"the event bus {self._to.event_bus} did not take notice {notice.notice_id}: {code or 'no reason'}"
            raise TemporaryError(text, call="events:PutEvents", code=code)

    def wake_rotation(self, project_id: str, rotation_id: str, *, delay_seconds: int = 0) -> None:
        """Have the next step of a rotation taken after a delay."""
        _ask(
            self._sqs.send_message,
            "sqs:SendMessage",
            QueueUrl=self._to.rotations_queue,
            MessageBody=json.dumps({"project_id": project_id, "rotation_id": rotation_id}),
            DelaySeconds=max(0, min(delay_seconds, _LONGEST_DELAY)),
        )

    def wake_sweep(self, arn: KeyArn) -> None:
        """Have a key's evidence gathered soon."""
        _ask(
            self._sqs.send_message,
            "sqs:SendMessage",
            QueueUrl=self._to.sweeps_queue,
            MessageBody=json.dumps({"key": str(arn)}),
        )


class DeadLetters:
    """The queues in which lies what nobody could handle."""

    def __init__(self, sqs: Any, urls: tuple[str, ...]) -> None:  # noqa: ANN401 - boto3 ships no types
        self._sqs = sqs
        self._urls = urls

    def count(self) -> dict[str, int]:
        """About how many messages lie in each queue, by its name."""
        return {url.rpartition("/")[2]: self._messages_in(url) for url in self._urls}

    def _messages_in(self, url: str) -> int:
        wanted = "ApproximateNumberOfMessages"
        answer = _ask(self._sqs.get_queue_attributes, "sqs:GetQueueAttributes", QueueUrl=url, AttributeNames=[wanted])
        return int(answer["Attributes"][wanted])


def _ask(call: Any, name: str, **arguments: Any) -> dict[str, Any]:  # noqa: ANN401 - boto3 ships no types
    try:
        answer: dict[str, Any] = call(**arguments)
    except ClientError as error:
        raise _ours(error, name) from error
    except (NoCredentialsError, ParamValidationError) as error:
        raise PermanentError(f"{name} cannot be asked: {error}", call=name) from error
    except (BotoCoreError, ResponseParserError) as error:
        raise TemporaryError(f"{name} got no answer: {error}", call=name) from error
    return answer


def _ours(error: ClientError, name: str) -> OutsideError:
    said = error.response.get("Error", {})
    code, text = str(said.get("Code", "")), f"{name} failed: {said.get('Code')}: {said.get('Message', '')}"
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if status == _TOO_MANY or status >= _SERVER_FAILED or any(word in code for word in _PASSING_WORDS):
        return TemporaryError(text, call=name, code=code)
    return PermanentError(text, call=name, code=code)
