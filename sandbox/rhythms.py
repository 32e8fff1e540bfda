"""When schedules fire: their rates are those that app.py declares, their positions are kept in the world.

Those named in FINDS_WORK find their work in the table's time index and nowhere else. A firing that would find nothing
there is left out, which is what lets a virtual year pass in seconds; once a day, or as seldom as one is told to be
idle, they run all the same. So does watch, which in the stack looks every hour. Those named in WATCHES look at what
others did: who may be idle for longer than a day looks on the day after something was done. How often an open deletion
is looked at is no matter of these rhythms: it is asked for by `look_every` of chalicelib.wiring.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from app import app
from sandbox.world import Progress

FINDS_WORK: Mapping[str, frozenset[str]] = {
    "remind": frozenset({"reminder"}),
    "digest": frozenset({"digest", "unmarked"}),
    "track": frozenset({"sweep", "rotation"}),
    "retire": frozenset({"deletion"}),
    "relay": frozenset({"notice"}),
    "watch": frozenset(),
}
"""Per function the kinds in the time index that it looks for; a function that is named nowhere always has work."""

WATCHES = frozenset({"discover", "patrol"})
"""The functions that look at Atlas and KMS: where nothing changed since, they would find what they found."""

A_DAY = timedelta(days=1)
A_WEEK = timedelta(weeks=1)
"""How long those may be idle who live through months."""

_RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")


def rates() -> dict[str, timedelta]:
    """Per function how often app.py wants it."""
    return rates_of(app.event_sources)


def rates_of(event_sources: Iterable[Any]) -> dict[str, timedelta]:
    """Per scheduled one of Chalice's event sources its rate; ValueError for an expression that is not a rate."""
    declared = [(one.name, getattr(one, "schedule_expression", None)) for one in event_sources]
    return {str(name): _rate(expression) for name, expression in declared if expression is not None}


def _rate(expression: object) -> timedelta:
    found = _RATE.fullmatch(str(expression))
    if found is None:
        raise ValueError(f"the sandbox knows schedules of the form rate(…) only, not {expression}")
    return timedelta(**{f"{found[2]}s": int(found[1])})


class Rhythms:
    """Knows which schedule fires next; what is due is given as the earliest moment per kind of work.

    `changes` gives another value whenever something happened in Atlas or KMS that a look could find.
    """

    def __init__(
        self, progress: Progress, start: datetime, *, idle: timedelta = A_DAY, changes: Callable[[], object] = object
    ) -> None:
        self._progress = progress
        self._idle = idle
        self._changes = changes
        self._rates = rates()
        for name in self._rates:
            progress.next_tick.setdefault(name, start)

    def next_firing(self, due: Mapping[str, datetime]) -> tuple[datetime, str]:
        """The next firing that could do something, and whose it is."""
        return min((self._firing(name, due), name) for name in self._rates)

    def _firing(self, name: str, due: Mapping[str, datetime]) -> datetime:
        tick, last = self._progress.next_tick[name], self._progress.last_fired.get(name)
        if last is None:
            return tick
        wanted = [due[kind] for kind in FINDS_WORK.get(name, ()) if kind in due]
        return self._on_the_beat(name, max(tick, min([last + self._rest_of(name), *wanted])))

    def _rest_of(self, name: str) -> timedelta:
        """How long a function may rest that nothing calls."""
        rests = name in FINDS_WORK or self._would_see_the_same(name)
        return self._idle if rests else timedelta(0)

    def _would_see_the_same(self, name: str) -> bool:
        return name in WATCHES and self._progress.seen.get(name) == self._changes()

    def _on_the_beat(self, name: str, wanted: datetime) -> datetime:
        tick, rate = self._progress.next_tick[name], self._rates[name]
        beats = -((tick - wanted) // rate)
        return tick + beats * rate

    def fired(self, name: str, at: datetime) -> None:
        """Note a firing, so that the next one is a whole beat later."""
        self._progress.last_fired[name] = at
        if name in WATCHES:
            self._progress.seen[name] = self._changes()
        self._progress.next_tick[name] = at + self._rates[name]

    def failed(self, name: str) -> None:
        """Note that a firing came to nothing: the next beat is its repetition."""
        self._progress.seen.pop(name, None)
