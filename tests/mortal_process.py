"""A process that dies at an outside call of your choice: every HTTP request of boto3 and of the Atlas adapter counts.

Both speak through urllib3, so that one place sees them all. A dead process stays dead: whatever its clean-up still
tries to send is refused too, until `be_born` lets a new one live.
"""

from contextlib import contextmanager
from enum import StrEnum

import urllib3

from sandbox.aws_time import replaced


class Side(StrEnum):
    """Whether the call that kills still reaches the other side."""

    BEFORE = "before"
    AFTER = "after"


class Killed(BaseException):
    """The process is gone; no `except Exception` may hold that up."""


class Fate:
    """Counts outside calls and says which of them kills; it counts on from one process to the next."""

    def __init__(self):
        self.calls, self.sent = [], []
        self._deadly, self._side = _never, Side.BEFORE
        self._dead = False

    def be_born(self, world):
        """Let a new process live: it remembers nothing of the one before."""
        self._dead = False
        world.start_functions()

    def die_at(self, number, side):
        """Die before or after the outside call of this number, counted from one, from now on."""
        last = len(self.calls) + number
        self._deadly, self._side = lambda _: len(self.calls) == last, side

    def die_of(self, name, side):
        """Die before or after the next outside call whose name begins so."""
        self._deadly, self._side = lambda call: call.startswith(name), side

    def spare(self):
        """Nobody dies any more."""
        self._deadly = _never

    def let_pass(self, call, send):
        """Send a request, unless the process is dead or dies of it."""
        if self._dead:
            raise Killed(f"dead already: {call}")
        self.calls.append(call)
        deadly = self._deadly(call)
        if deadly and self._side is Side.BEFORE:
            self._die(call)
        self.sent.append(call)
        answer = send()
        if deadly:
            self._die(call)
        return answer

    def _die(self, call):
        self._dead, self._deadly = True, _never
        raise Killed(f"{self._side} outside call {len(self.calls)}, {call}")


def _never(_call):
    return False


@contextmanager
def mortal():
    """All HTTP requests of this process are in the hands of the Fate that this gives."""
    fate, really = Fate(), urllib3.HTTPConnectionPool.urlopen

    def urlopen(pool, method, url, *rest, **named):
        target = (named.get("headers") or {}).get("X-Amz-Target", b"")
        name = target.decode() if isinstance(target, bytes) else target
        return fate.let_pass(name or f"{method} {url}", lambda: really(pool, method, url, *rest, **named))

    with replaced(urllib3.HTTPConnectionPool, "urlopen", urlopen):
        yield fate
