"""How a notice looks to those who get it: mail and its filters, Amazon Q Developer in chat (Slack, Teams), machines."""

import json
import unicodedata
from datetime import UTC, datetime
from typing import Any, TypedDict

from chalicelib.domain.records import Notice

SOURCE = "keyturn"
SCHEMA_VERSION = "1"
_LONGEST_SUBJECT = 99
"""Characters: SNS documents "less than 100"."""

LONGEST_TEXT = 60_000
"""In bytes: SNS takes 256 KB for all shapes of one message together, EventBridge for one event."""

_LONGEST_CHAT = 8_000
"""In characters: what Amazon Q Developer shows of a custom notification."""

TO_DO = "What to do: "
"""How the part of a text begins that says what people should do."""

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


class Detail(TypedDict):
    """The `detail` of an event on the bus; beside these it holds texts that belong to its kind."""

    schema_version: str
    notice_id: str
    kind: str
    subject: str
    text: str
    created_at: str
    project_id: str | None
    key_id: str | None
    rung: int | None
    recipients: list[str]


def detail(notice: Notice) -> dict[str, Any]:
    """What machines get: `Detail`, and beside it what belongs to the kind, which never hides one of its fields."""
    known: Detail = {
        "schema_version": SCHEMA_VERSION,
        "notice_id": notice.notice_id,
        "kind": notice.kind,
        "subject": notice.subject,
        "text": shorten(notice.text),
        "created_at": _written(notice.created_at),
        "project_id": notice.project_id,
        "key_id": notice.key_id,
        "rung": notice.rung,
        "recipients": list(notice.recipients),
    }
    return {**notice.detail, **known}


def message(notice: Notice) -> str:
    """The message of SNS in its shapes: text for mail and everybody, and over HTTPS what chat reads."""
    shapes = {"default": shorten(notice.text), "https": json.dumps(chat(notice), ensure_ascii=False)}
    return json.dumps(shapes, ensure_ascii=False)


def chat(notice: Notice) -> dict[str, Any]:
    """A custom notification, as Amazon Q Developer in chat applications reads it (its schema, version 1.0).

    One project's or key's news stand in one thread.
    """
    story, _, to_do = notice.text.partition(TO_DO)
    related = [text for text in (notice.detail.get("key"), notice.detail.get("new_key")) if text]
    return {
        "version": "1.0",
        "source": "custom",
        "id": notice.notice_id,
        "content": {
            "textType": "client-markdown",
            "title": notice.subject,
            "description": story.strip()[:_LONGEST_CHAT],
            "nextSteps": [to_do.strip()[:_LONGEST_CHAT]] if to_do else [],
            "keywords": [notice.kind],
        },
        "metadata": {
            "threadId": notice.project_id or notice.key_id or notice.kind,
            "summary": notice.subject,
            "eventType": notice.kind,
            "relatedResources": related,
            "additionalContext": {"notice_id": notice.notice_id},
        },
    }


def shorten(text: str) -> str:
    """A text that fits beside the other shapes of its message, cut between two characters and said to be cut."""
    raw = text.encode()
    if len(raw) <= LONGEST_TEXT:
        return text
    return raw[:LONGEST_TEXT].decode(errors="ignore") + "\n… cut here: ask the API for the whole of it."


def subject(text: str) -> str:
    """What SNS takes as the subject of an email: one line of printable ASCII, shorter than 100 characters."""
    apart = unicodedata.normalize("NFKD", text.translate(_PLAIN))
    letters = "".join(c for c in apart if not unicodedata.combining(c))
    printable = "".join(c if " " <= c <= "~" else "?" for c in " ".join(letters.split()))
    if len(printable) > _LONGEST_SUBJECT:
        printable = printable[: _LONGEST_SUBJECT - 3].rstrip() + "..."
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
