"""Moments, money and names as people read them."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

_SAFE_SPACES = {"\n", "\t"}


def plain(text: object) -> str:
    """A text from outside without characters that would command the terminal."""
    return "".join(c if c.isprintable() or c in _SAFE_SPACES else "\N{REPLACEMENT CHARACTER}" for c in str(text))


def moment(text: str) -> datetime:
    """A time of the API's."""
    read = datetime.fromisoformat(text)
    return read if read.tzinfo is not None else read.replace(tzinfo=UTC)


def days_until(text: str, now: datetime) -> int:
    """Days in the calendar (UTC) until a time, negative when its day is past."""
    return (moment(text).astimezone(UTC).date() - now.astimezone(UTC).date()).days


def day(text: str | None) -> str:
    """The day of a time."""
    return text[:10] if text else "-"


def minute(text: str | None) -> str:
    """The minute of a time, in UTC as the API says it."""
    return f"{text[:10]} {text[11:16]} UTC" if text else "-"


def when(text: str | None, now: datetime) -> str:
    """A day, and how far it is from now."""
    return f"{day(text)} ({distance(text, now)})" if text else "-"


def distance(text: str, now: datetime) -> str:
    """How far a time is from now."""
    days = days_until(text, now)
    if days == 0:
        return "today"
    return f"in {count(days, 'day')}" if days > 0 else f"{count(-days, 'day')} ago"


def count(number: int, noun: str) -> str:
    """A number with its noun, in the plural where that is right."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def entries(number: int) -> str:
    """So many entries of an audit trail."""
    return "1 entry" if number == 1 else f"{number:,} entries"


def dollars(amount: float) -> str:
    """An amount of money."""
    return f"${amount:,.2f}"


def key_id(arn: str | None) -> str:
    """The id in a key's ARN."""
    return arn.rpartition("/")[2] if arn else "-"


def who(arn: str | None) -> str:
    """The name at the end of a principal's ARN."""
    return plain(arn.rpartition(":")[2].partition("/")[2] or arn) if arn else "-"


def listed(parts: Iterable[str]) -> str:
    """Words with commas, and an `and` before the last."""
    *first, last = parts
    return f"{', '.join(first)} and {last}" if first else last


def named(shape: Mapping[str, Any], key: str) -> str:
    """A text of a shape, plain and in one line; a dash where there is none."""
    value = shape.get(key)
    return " ".join(plain("" if value is None else value).split()) or "-"
