"""What will happen and when, in order of time."""

from collections.abc import Callable
from datetime import datetime
from heapq import heappop, heappush
from itertools import count

Action = Callable[[], None]


class Agenda:
    """A queue ordered by time; of two things at the same time the one entered first comes first."""

    def __init__(self) -> None:
        self._entries: list[tuple[datetime, int, Action]] = []
        self._order = count()

    def add(self, at: datetime, action: Action) -> None:
        """Have `action` done at a time. Whether it is still wanted by then, it finds out itself."""
        heappush(self._entries, (at, next(self._order), action))

    def next_at(self) -> datetime | None:
        """When the next thing will happen."""
        return self._entries[0][0] if self._entries else None

    def take_due(self, now: datetime) -> tuple[datetime, Action] | None:
        """Take out the first thing that is due."""
        if not self._entries or self._entries[0][0] > now:
            return None
        at, _, action = heappop(self._entries)
        return at, action
