"""Ids and times as Atlas writes them; the same seed gives the same ids."""

from datetime import UTC, datetime
from itertools import count
from random import Random
from uuid import UUID


class Names:
    """Makes ids that never repeat."""

    def __init__(self, seed: int) -> None:
        self._random = Random(f"names {seed}")
        self._counter = count(self._random.randrange(0x100000))
        self._process = f"{self._random.getrandbits(40):010x}"

    def object_id(self, at: datetime) -> str:
        """Make 24 hexadecimal digits that begin with the time, as MongoDB makes them."""
        return f"{int(at.timestamp()):08x}{self._process}{next(self._counter) % 0x1000000:06x}"

    def uuid(self) -> str:
        """Make a version 4 UUID."""
        return str(UUID(int=self._random.getrandbits(128), version=4))


def stamp(at: datetime) -> str:
    """Write a time as Atlas does: UTC, whole seconds, `Z`."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
