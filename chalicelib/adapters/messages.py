"""Everything that leaves: notices to SNS and the event bus, wake-ups to our own SQS queues."""

import json
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, ParamValidationError
from botocore.parsers import ResponseParserError

from chalicelib.domain.arn import KeyArn
from chalicelib.domain.records import Notice
from chalicelib.usecases.ports import OutsideError, PermanentError, TemporaryError

SOURCE = "keyturn"
SCHEMA_VERSION = "1"
_LONGEST_DELAY = 900
_SUBJECT = 100
_TOO_MANY, _SERVER_FAILED = 429, 500
_PASSING_WORDS = ("Throttl", "ExpiredToken", "TooManyRequests", "RequestLimitExceeded", "ConcurrentModification")
_PLAIN = str.maketrans(
    {
        "\N{EN DASH}": "-",
        "\N{EM DASH}": "-",
        "\N{MINUS SIGN}": "-",
        "\N{LEFT SINGLE QUOTATION MARK}": "'",
        "\N{RIGHT SINGLE QUOTATION MARK}": "'",
        "\N{LEFT DOUBLE QUOTATION MARK}": '"',
        "\N{RIGHT DOUBLE QUOTATION MARK}": '"',
        "\N{RIGHTWARDS ARROW}": "->",
    }
)


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

    def publish(self, notice: Notice) -> None:
        """Send a notice to its topic, or to both topics when it escalates, and to the event bus."""
        for topic in (self._to.alerts_topic, *([self._to.escalations_topic] if notice.escalate else [])):
            _ask(
                self._sns.publish,
                "sns:Publish",
                TopicArn=topic,
                Subject=subject(notice.subject),
                Message=notice.text,
                MessageAttributes=attributes(notice),
            )
        answer = _ask(self._events.put_events, "events:PutEvents", Entries=[self._event(notice)])
        if answer.get("FailedEntryCount"):
            code = ", ".join(entry.get("ErrorCode", "") for entry in answer.get("Entries", ()))
            text = f"the event bus {self._to.event_bus} did not take notice {notice.notice_id}: {code or 'no reason'}"
            raise TemporaryError(text, call="events:PutEvents", code=code)

    def _event(self, notice: Notice) -> dict[str, Any]:
        detail = {
            **notice.detail,
            "schema_version": SCHEMA_VERSION,
            "notice_id": notice.notice_id,
            "kind": notice.kind,
            "subject": notice.subject,
            "text": notice.text,
            "created_at": _written(notice.created_at),
            "project_id": notice.project_id,
            "key_id": notice.key_id,
            "rung": notice.rung,
        }
        return {
            "Source": SOURCE,
            "DetailType": notice.kind,
            "Detail": json.dumps(detail),
            "EventBusName": self._to.event_bus,
            "Time": notice.created_at,
        }

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


def subject(text: str) -> str:
    """What SNS takes as the subject of an email: one line of printable ASCII, at most 100 characters."""
    apart = unicodedata.normalize("NFKD", " ".join(text.split()).translate(_PLAIN))
    letters = "".join(c for c in apart if not unicodedata.combining(c))
    printable = "".join(c if " " <= c <= "~" else "?" for c in letters)
    if len(printable) > _SUBJECT:
        printable = printable[: _SUBJECT - 3].rstrip() + "..."
    return printable or "Keyturn"


def attributes(notice: Notice) -> dict[str, dict[str, str]]:
    """The message attributes that subscribers' filter policies read."""
    texts = {
        "kind": notice.kind,
        "notice_id": notice.notice_id,
        "project_id": notice.project_id,
        "key_id": notice.key_id,
    }
    shown = {name: {"DataType": "String", "StringValue": str(text)} for name, text in texts.items() if text}
    if notice.rung is not None:
        shown["rung"] = {"DataType": "Number", "StringValue": str(notice.rung)}
    if notice.recipients:
        shown["recipients"] = {"DataType": "String.Array", "StringValue": json.dumps(list(notice.recipients))}
    return shown


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


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
