"""Waits and asks Atlas again, as long as the invocation lasts; it is the only layer that retries."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from chalicelib.adapters.atlas_wire import SHORTEST_CALL_SECONDS
from chalicelib.usecases.ports import TemporaryError

WAITS_SECONDS = (10.0, 20.0, 40.0)
"""How long to wait before each further attempt where Atlas does not say (as its documentation advises)."""

JITTER = 0.25
"""The largest part of a wait that chance adds to it; a wait is never shorter than asked."""

Given = TypeVar("Given")


@dataclass(frozen=True, kw_only=True)
class Patience:
    """What is needed to wait: a sleeper, chance between 0 and 1, and the seconds that calls may still take."""

    sleep: Callable[[float], None]
    random: Callable[[], float]
    budget: Callable[[], float]

    def insist(self, ask: Callable[[], Given]) -> Given:
        """Ask, and ask again after each temporary failure, until the attempts or the time are used up."""
        for wait in WAITS_SECONDS:
            try:
                return ask()
            except TemporaryError as problem:
                self._rest(problem, wait)
        return ask()

    def _rest(self, problem: TemporaryError, wait: float) -> None:
        """Sleep as long as the problem asks; where that does not fit, let the next invocation do it."""
        asked = wait if problem.retry_after is None else problem.retry_after
        seconds = asked * (1 + JITTER * self.random())
        if seconds + SHORTEST_CALL_SECONDS > self.budget():
            problem.retry_after = asked
            raise problem
        self.sleep(seconds)
