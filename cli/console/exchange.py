"""What comes to the console and what it answers."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

MOST_BYTES = 64 * 1024
"""Of a body: the API takes no more either."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request; header names in lower case, each header that came twice joined by a comma."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """One answer; the headers that every answer has are the server's."""

    status: int
    body: bytes
    media_type: str
    headers: Mapping[str, str] = field(default_factory=dict)


class TurnedAway(Exception):
    """A request that the console does not let through: a status of HTTP and why, in words."""

    def __init__(self, status: HTTPStatus, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


def problem(status: int, text: str, *, kind: str = "turned-away") -> Reply:
    """A problem (RFC 9457) of the console's own."""
    title = HTTPStatus(status).phrase
    shape = {"type": f"urn:keyturn:console:{kind}", "title": title, "status": status, "detail": text}
    return Reply(status=status, body=json.dumps(shape).encode(), media_type="application/problem+json")
