"""What was sent: every message published to a topic and every event put on a bus, with virtual times."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from threading import Lock
from typing import Any

from moto.events.models import EventsBackend
from moto.sns.models import Topic

from sandbox.aws_time import replaced


class Post:
    """Keeps copies of messages and events as they pass."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._lock = Lock()
        self._messages: list[dict[str, Any]] = []
        self._events: list[dict[str, Any]] = []

    @contextmanager
    def copied(self) -> Iterator[None]:
        """Keep copies of what moto's SNS and EventBridge accept until the block ends."""
        with ExitStack() as stack:
            stack.enter_context(replaced(Topic, "publish", self._publishing(Topic.publish)))
            putting = self._putting(EventsBackend.put_events)
            stack.enter_context(replaced(EventsBackend, "put_events", putting))
            yield

    def messages(self) -> list[dict[str, Any]]:
        """Every message so far: time, topic (ARN), subject, body, attributes {name: value}."""
        with self._lock:
            return list(self._messages)

    def events(self) -> list[dict[str, Any]]:
        """Every accepted event so far, as EventBridge would deliver it, with the name of its `bus`."""
        with self._lock:
            return list(self._events)

    def _publishing(self, publish: Callable[..., str]) -> Callable[..., str]:
        def publish_and_copy(topic: Topic, message: str, *given: Any, **named: Any) -> str:  # noqa: ANN401 - moto's
            message_id = publish(topic, message, *given, **named)
            subject = named.get("subject", given[0] if given else None)
            attributes = named.get("message_attributes", given[1] if len(given) > 1 else None) or {}
            copy = {
                "time": written(self._now()),
                "topic": topic.arn,
                "subject": subject,
                "body": _text(message, named.get("message_structure")),
                "attributes": {name: value["Value"] for name, value in attributes.items()},
            }
            with self._lock:
                self._messages.append(copy)
            return message_id

        return publish_and_copy

    def _putting(self, put: Callable[..., list[dict[str, Any]]]) -> Callable[..., list[dict[str, Any]]]:
        def put_and_copy(backend: EventsBackend, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
            results = put(backend, events)
            with self._lock:
                self._events.extend(
                    self._envelope(backend, event, result["EventId"])
                    for event, result in zip(events, results, strict=True)
                    if "EventId" in result
                )
            return results

        return put_and_copy

    def _envelope(self, backend: EventsBackend, event: dict[str, Any], event_id: str) -> dict[str, Any]:
        return {
            "bus": event.get("EventBusName", "default").rsplit("/", 1)[-1],
            "version": "0",
            "id": event_id,
            "detail-type": event["DetailType"],
            "source": event["Source"],
            "account": backend.account_id,
            "time": written(self._now()),
            "region": backend.region_name,
            "resources": event.get("Resources", []),
            "detail": json.loads(event["Detail"]),
        }


def _text(message: str, structure: str | None) -> str:
    """What mail would show: of a message in several shapes the one for everybody."""
    return str(json.loads(message)["default"]) if structure == "json" else message


def written(time: datetime) -> str:
    """A time as the sandbox's answers carry it: ISO 8601 with `Z`."""
    return time.isoformat().replace("+00:00", "Z")
