"""When a backup policy takes snapshots, and how long it keeps them."""

from calendar import monthrange
from collections.abc import Iterator
from datetime import datetime, timedelta

from sandbox.atlas.policy import BackupPolicy, Schedule

LAST_DAY_OF_MONTH = 40
"""The `frequencyInterval` that stands for the last day of a month."""


def next_time(schedule: Schedule, after: datetime) -> tuple[datetime, tuple[BackupPolicy, ...]] | None:
    """Give the next time at which the policy wants a snapshot, and every line that wants it then."""
    times = [(_next(item, schedule, after), item) for item in schedule.items]
    if not times:
        return None
    first = min(at for at, _ in times)
    return first, tuple(item for at, item in times if at == first)


def add_months(start: datetime, months: int) -> datetime:
    """Add calendar months; the day is cut to the length of the month it lands in."""
    years, month = divmod(start.month - 1 + months, 12)
    year = start.year + years
    return start.replace(year=year, month=month + 1, day=min(start.day, monthrange(year, month + 1)[1]))


def _next(item: BackupPolicy, schedule: Schedule, after: datetime) -> datetime:
    return next(at for at in _times(item, schedule, after) if at > after)


def _times(item: BackupPolicy, schedule: Schedule, after: datetime) -> Iterator[datetime]:
    today = after.replace(hour=schedule.hour, minute=schedule.minute, second=0, microsecond=0)
    match item.kind:
        case "hourly":
            return _every(today - timedelta(days=1), timedelta(hours=item.every))
        case "daily":
            return _every(today, timedelta(days=1))
        case "weekly":
            first = today + timedelta(days=(item.every - today.isoweekday()) % 7)
            return _every(first, timedelta(weeks=1))
        case "monthly":
            return _monthly(today, item.every)
        case "yearly":
            return _yearly(today, item.every)
        case _:
            raise ValueError(f"{item.kind!r} is no backup frequency")


def _every(first: datetime, step: timedelta) -> Iterator[datetime]:
    while True:
        yield first
        first += step


def _monthly(today: datetime, day: int) -> Iterator[datetime]:
    first = today.replace(day=1)
    while True:
        length = monthrange(first.year, first.month)[1]
        yield first.replace(day=length if day == LAST_DAY_OF_MONTH else min(day, length))
        first = add_months(first, 1)


def _yearly(today: datetime, month: int) -> Iterator[datetime]:
    first = today.replace(month=month, day=1)
    while True:
        yield first
        first = add_months(first, 12)
