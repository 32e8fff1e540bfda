"""Puts latency on every call through the ports, and keeps what was called, when, and how often."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from functools import wraps
from typing import Any

from chalicelib.usecases.ports import Outside
from chalicelib.wiring import at_once

PER_ATLAS_CALL, PER_AWS_CALL = 0.100, 0.020
SILENT = {"latest_date"}
"""Methods of the ports that ask nobody."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call through a port: the requests it stands for, and when it ran (seconds of one clock)."""

    place: str
    name: str
    requests: int
    began: float
    ended: float


@dataclass(kw_only=True)
class Path:
    """Everything that was called; `wakes` says after how many calls each wake-up began."""

    calls: list[Call] = field(default_factory=list)
    wakes: list[int] = field(default_factory=list)
    chains: set[str] = field(default_factory=set)
    """Subjects of the audit trail that were read or written: the tracker remembers where their chains end."""

    def requests(self, place: str) -> int:
        """How many requests went to a place."""
        return sum(call.requests for call in self.calls if call.place == place)

    def busy(self, place: str) -> float:
        """For how many seconds at least one request to a place was under way: parallel ones count once."""
        total, reached = 0.0, 0.0
        for call in sorted((call for call in self.calls if call.place == place), key=lambda call: call.began):
            total += max(0.0, call.ended - max(call.began, reached))
            reached = max(reached, call.ended)
        return total

    def by_wake(self) -> Iterator[list[Call]]:
        """The calls of each wake-up."""
        for start, end in zip(self.wakes, [*self.wakes[1:], len(self.calls)], strict=True):
            yield self.calls[start:end]


class Slow:
    """A port whose every call takes its time."""

    def __init__(self, port: Any, place: str, seconds: float, path: Path) -> None:  # noqa: ANN401 - any port
        self._port, self._place, self._seconds, self._path = port, place, seconds, path

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the port has
        part = getattr(self._port, name)
        return self._slowed(name, part) if callable(part) and name not in SILENT else part

    def _slowed(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def call(*given: Any, **named: Any) -> Any:  # noqa: ANN401 - the port's own
            began, requests = time.perf_counter(), self._requests(name, given)
            time.sleep(self._seconds * requests)
            try:
                answer = method(*given, **named)
                return iter(list(answer)) if isinstance(answer, Iterator) else answer
            finally:
                ended = time.perf_counter()
                self._path.calls.append(Call(place=self._place, name=name, requests=requests, began=began, ended=ended))

        return call

    def _requests(self, name: str, given: tuple[Any, ...]) -> int:
        """How many requests the real adapter sends: a commit reads the heads of chains that it does not know yet."""
        if name == "rotation":
            self._path.chains.add(given[0])
        if name != "commit":
            return _requests(self._port, name)
        subjects = {entry.subject for entry in given[0].audit}
        unknown = subjects - self._path.chains
        self._path.chains |= subjects
        return 1 + bool(unknown)


def slowed(outside: Outside, path: Path) -> Outside:
    """The same outside with latency on every call of every port."""

    def slow_aws(port: object) -> Slow:
        return Slow(port, "AWS", PER_AWS_CALL, path)

    def each(make: Callable[..., object], slow: Callable[[object], Slow]) -> Callable[..., Slow]:
        return lambda *given: slow(make(*given))

    def slow_atlas(port: object) -> Slow:
        return Slow(port, "Atlas", PER_ATLAS_CALL, path)

    changes: dict[str, Any] = {
        "tracker": slow_aws(outside.tracker),
        "messages": slow_aws(outside.messages),
        "atlas": each(outside.atlas, slow_atlas),
        "atlas_owner": each(outside.atlas_owner, slow_atlas),
    }
    for port in fields(outside):
        if port.name in {"keys", "roles"}:
            changes[port.name] = each(getattr(outside, port.name), slow_aws)
    return replace(outside, at_once=at_once, **changes)


def _requests(port: Any, name: str) -> int:  # noqa: ANN401 - whichever port it is
    """How many requests the real adapter sends for a call; most send one."""
    if name == "find_by_rotation":
        return 1 + len(port.arns)  # ListKeys, and the tags of each key
    return 2 if name == "rotations" else 1
