"""The one clock of the pretend world: it stands still until somebody turns it."""

from datetime import datetime
from threading import Lock


class VirtualClock:
    """A clock that moves only when told to, and never backwards; safe to share between threads."""

    def __init__(self, start: datetime) -> None:
        if start.tzinfo is None:
            raise ValueError("the virtual clock starts at a time with a time zone, for example UTC")
        self._now = start
        self._lock = Lock()

    def now(self) -> datetime:
        """The virtual time."""
        return self._now

    def advance_to(self, then: datetime) -> None:
        """Turn the clock to `then`; a time that has passed already raises ValueError."""
        with self._lock:
            if then < self._now:
                raise ValueError(f"the virtual clock stands at {self._now} and cannot go back to {then}")
            self._now = then
