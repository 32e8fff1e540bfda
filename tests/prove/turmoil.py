"""Weather over the outside calls: what befalls which of them, told in advance or drawn from a seed."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from typing import Any

from simple_world import Killed

from chalicelib.usecases.ports import PermanentError, TemporaryError


class Fault(StrEnum):
    """What befalls one call."""

    BUSY = "a temporary error, nothing done"
    LOST = "done, but the answer is lost"
    REFUSED = "a permanent error, nothing done"
    DIES_BEFORE = "the process dies before it"
    DIES_AFTER = "the process dies after it"


_AFTER = frozenset({Fault.LOST, Fault.DIES_AFTER})


def _error_of(fault: Fault, call: str) -> BaseException:
    if fault in {Fault.DIES_BEFORE, Fault.DIES_AFTER}:
        return Killed(call)
    if fault is Fault.REFUSED:
        return PermanentError(f"{call}: refused", call=call, code="refused")
    return TemporaryError(f"{call}: {fault}", call=call)


@dataclass(kw_only=True)
class Weather:
    """Faults to come: `strike` sets one, `storm` lets each call be befallen by chance, `calm` ends all of it."""

    calls: int = 0
    befallen: Counter = field(default_factory=Counter)
    _coming: dict[int, Fault] = field(default_factory=dict)
    _named: dict[str, Fault | Callable[[], object]] = field(default_factory=dict)
    _meddling: dict[int, Callable[[], object]] = field(default_factory=dict)
    _chance: float = 0.0
    _kinds: tuple[Fault, ...] = tuple(Fault)
    _random: Random = field(default_factory=lambda: Random(0))
    broken: Callable[[str, tuple], Fault | None] = lambda _call, _args: None
    """A fault that lasts, for the calls that it names."""

    def strike(self, fault: Fault, *, after_calls: int) -> None:
        """Let a fault befall the call that comes after so many others."""
        self._coming[self.calls + 1 + after_calls] = fault

    def strike_at(self, call: str, trouble: Fault | Callable[[], object]) -> None:
        """Let a fault befall the next call of a name, or somebody else work just before it."""
        self._named[call] = trouble

    def meddle(self, work: Callable[[], object], *, after_calls: int) -> None:
        """Let somebody else work just before the call that comes after so many others."""
        self._meddling[self.calls + 1 + after_calls] = work

    def storm(self, random: Random, chance: float, kinds: tuple[Fault, ...] = tuple(Fault)) -> None:
        """Let every call be befallen with a chance."""
        self._random, self._chance, self._kinds = random, chance, kinds

    def calm(self) -> None:
        """Let nothing happen any more."""
        self._coming.clear()
        self._meddling.clear()
        self._named.clear()
        self._chance = 0.0

    @property
    def faults(self) -> int:
        """How many calls have been befallen."""
        return self.befallen.total()

    def draw(self, call: str, args: tuple) -> Fault | None:
        """What befalls the call that is about to be made."""
        self.calls += 1
        number = self.calls
        self._meddling.pop(number, lambda: None)()
        trouble = self._named.pop(call, None)
        if trouble is not None and not isinstance(trouble, Fault):
            trouble()
            trouble = None
        fault = self._coming.pop(number, None) or trouble or self.broken(call, args)
        if fault is None and self._chance and self._random.random() < self._chance:
            fault = self._random.choice(self._kinds)
        if fault is not None:
            self.befallen[fault] += 1
        return fault


Watch = Callable[[str, tuple, Any], None]


class Exposed:
    """A port under the weather; `reaches` is told of every call that arrives, `answered` of what it gave."""

    def __init__(self, port: Any, called: str, weather: Weather, *, reaches: Watch, answered: Watch) -> None:
        self._port, self._called, self._weather = port, called, weather
        self._reaches, self._answered = reaches, answered

    def __getattr__(self, name: str) -> Any:
        there = getattr(self._port, name)
        if not callable(there):
            return there
        called = f"{self._called}.{name}"

        def call(*args, **named):
            fault = self._weather.draw(called, args)
            if fault is not None and fault not in _AFTER:
                raise _error_of(fault, called)
            self._reaches(called, args, named)
            answer = there(*args, **named)
            if fault is not None:
                raise _error_of(fault, called)
            self._answered(called, args, answer)
            return answer

        return call
