"""What Atlas' alert webhook says: never more than a reason to look.

Atlas signs the body alone, without a time or a number used once: a call may be an old one sent again. So a message
counts for a day, once, and only makes somebody look at what is true now.
"""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

COUNTS_FOR = timedelta(hours=24)
AHEAD_BY = timedelta(minutes=10)
"""How far Atlas' clock may be ahead of ours."""

DUE = "AWS_ENCRYPTION_KEY_NEEDS_ROTATION"


class Verdict(StrEnum):
    """What became of one call of the webhook."""

    FORGED = "forged"
    HEARD = "heard"
    LEFT = "left alone"


@dataclass(frozen=True, kw_only=True)
class Alert:
    """One change of one alert, as Atlas tells it."""

    alert_id: str
    project_id: str
    event_type: str
    status: str
    at: datetime

    @property
    def is_about_rotation(self) -> bool:
        """Whether Atlas says that the project's key should be rotated."""
        return self.event_type == DUE and self.status == "OPEN"


def read_alert(body: bytes) -> Alert | None:
    """Read a webhook's body; None for any shape that is not known, which is harmless."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict):
        return None
    at = _moment(said.get("updated")) or _moment(said.get("created"))
    texts = [said.get(name) for name in ("id", "groupId", "eventTypeName", "status")]
    if at is None or not all(isinstance(text, str) and _is_a_name(text) for text in texts):
        return None
    alert_id, project_id, event_type, status = (str(text) for text in texts)
    return Alert(alert_id=alert_id, project_id=project_id, event_type=event_type, status=status, at=at)


_LONGEST = 200


def _is_a_name(text: str) -> bool:
    """Ids and words of Atlas are short and plain; anything else could not even be written down."""
    return 0 < len(text) <= _LONGEST and text.isascii() and text.isprintable()


def is_timely(alert: Alert, now: datetime) -> bool:
    """Whether the message is young enough to count; one from the future is not."""
    return now - COUNTS_FOR <= alert.at <= now + AHEAD_BY


def _moment(text: Any) -> datetime | None:  # noqa: ANN401 - whatever the body holds
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo is not None else None
