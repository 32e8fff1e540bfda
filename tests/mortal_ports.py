"""A process in memory that dies at a call to the outside or at a line of its own, and takes turns with another one.

Death is a BaseException, and a dead process that still says something to the outside is found out: `Fate.late_words`.
"""

import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from simple_world import Killed, World

import chalicelib.usecases.rotating
from chalicelib.usecases import rotate

ROTATING = Path(chalicelib.usecases.rotating.__file__).parent
ROTATE_PATH = frozenset({rotate.__file__, *(str(path) for path in ROTATING.glob("*.py"))})
"""The files of which every line may be the last one."""


@dataclass(kw_only=True)
class Fate:
    """Dies at the call of this number and at the next of this name, before it or `after` its effect, and at a line.

    With `instead` something else happens in that place. `baton` lets other processes go first.
    """

    dies_at: int | None = None
    after: bool = False
    dies_of: str | None = None
    dies_at_line: int | None = None
    instead: Callable[[], object] | None = None
    baton: Callable[[], None] | None = None
    calls: int = 0
    lines: int = 0
    deaths: int = 0
    dead: bool = False
    late_words: list[str] = field(default_factory=list)

    def passes(self, name: str, *, after: bool) -> None:
        """Let one call go out, or its answer come back."""
        if self.dead:
            self.late_words.append(name)
            raise Killed
        if self.baton is not None and not after:
            self.baton()
        self.calls += not after
        if self.after is after and self._is_fatal(name):
            if self.instead is None:
                self.die()
            self.instead()

    def _is_fatal(self, name: str) -> bool:
        if self.dies_at == self.calls:
            self.dies_at = None
            return True
        if self.dies_of == name:
            self.dies_of = None
            return True
        return False

    def sees_line(self) -> None:
        """Let one line of the rotate path be run."""
        self.lines += 1
        if self.lines == self.dies_at_line:
            self.dies_at_line = None
            self.die()

    def die(self) -> None:
        """End the process here and now."""
        self.dead, self.deaths = True, self.deaths + 1
        raise Killed

    def live(self, process: Callable[[], object]) -> bool:
        """Run a process to its end; tells whether that was its death. The next one is alive again."""
        try:
            with Watched(self) if self.dies_at_line is not None else _Unwatched():
                process()
        except Killed:
            return True
        finally:
            self.dead = False
        return False


class _Unwatched:
    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None


class Watched:
    """Tells a Fate of every line of the rotate path that this thread runs."""

    def __init__(self, fate: Fate) -> None:
        self._fate = fate

    def __enter__(self):
        self._former = sys.gettrace()
        sys.settrace(self._enters)
        return self

    def __exit__(self, *_):
        sys.settrace(self._former)

    def _enters(self, frame, event, argument):
        return self._goes_on if frame.f_code.co_filename in ROTATE_PATH else None

    def _goes_on(self, frame, event, argument):
        if event == "line":
            self._fate.sees_line()
        return self._goes_on


@dataclass(frozen=True, kw_only=True)
class Mortal:
    """A port of which each call may be the last one."""

    port: Any
    fate: Fate

    def __getattr__(self, name: str) -> Any:
        there = getattr(self.port, name)
        if not callable(there):
            return there

        def call(*args, **named):
            self.fate.passes(name, after=False)
            try:
                return there(*args, **named)
            finally:
                self.fate.passes(name, after=True)

        return call


def mortal_outside(world: World, fate: Fate):
    """The world's outside as a process sees it that this Fate watches."""
    outside, atlas = world.outside, Mortal(port=world.outside.atlas(world.atlas.organization), fate=fate)
    return replace(
        outside,
        tracker=Mortal(port=outside.tracker, fate=fate),
        messages=Mortal(port=outside.messages, fate=fate),
        atlas=lambda _: atlas,
        atlas_owner=lambda _: atlas,
        keys=lambda region, role: Mortal(port=outside.keys(region, role), fate=fate),
        roles=lambda _: Mortal(port=world.roles, fate=fate),
        legacy_user=atlas.legacy_user,
    )


class Baton:
    """Lets several processes run in turns: at each of its calls a process asks who goes on.

    `choices` gives a number for each turn; `between` is done before each, in whoever holds the baton.
    """

    def __init__(self, choices: Iterator[int], between: Callable[[], None]) -> None:
        self._choices, self._between = choices, between
        self._turns: list[threading.Semaphore] = []
        self._running: list[int] = []
        self.switches = 0

    def run(self, processes: list[Callable[[Callable[[], None]], None]]) -> None:
        """Run the processes to their ends; each is given what it calls before it says something to the outside."""
        self._turns = [threading.Semaphore(0) for _ in processes]
        self._running = list(range(len(processes)))
        threads = [threading.Thread(target=self._runs, args=(*one,), daemon=True) for one in enumerate(processes)]
        for thread in threads:
            thread.start()
        self._turns[next(self._choices) % len(processes)].release()
        for thread in threads:
            thread.join(30)
            assert not thread.is_alive(), "the baton was lost"

    def _runs(self, number: int, process: Callable[[Callable[[], None]], None]) -> None:
        self._turns[number].acquire()
        try:
            process(lambda: self._ask(number))
        finally:
            self._running.remove(number)
            if self._running:
                self._turns[self._running[next(self._choices) % len(self._running)]].release()

    def _ask(self, number: int) -> None:
        self._between()
        goes_on = self._running[next(self._choices) % len(self._running)]
        if goes_on != number:
            self.switches += 1
            self._turns[goes_on].release()
            self._turns[number].acquire()
