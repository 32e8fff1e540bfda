"""What the quick Atlas holds, said by the name of a project alone: one server serves fleets of every size.

A project is named by letters with numbers (`l5d1s200`), so that who asks and who answers agree without a file.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Self

NOW_USED = "00000000-0000-4000-8000-000000000002"
RETIRING = "00000000-0000-4000-8000-000000000001"
"""The keys that the snapshots name."""

_LETTERS = {
    "l": "living",
    "h": "sharded",
    "d": "deleted",
    "u": "unscheduled",
    "f": "free",
    "s": "snapshots",
    "n": "one_in",
    "p": "number",
}


@dataclass(frozen=True, kw_only=True)
class Estate:
    """One project: how many clusters of each kind it has, and how many snapshots each of them holds.

    `deleted` ones have retained backups, `unscheduled` ones run without backups now, `free` ones are of a tier
    without customer keys. One snapshot in `one_in` was made with the retiring key, none for 0. `number` tells
    apart projects that are else alike.
    """

    living: int = 0
    sharded: int = 0
    deleted: int = 0
    unscheduled: int = 0
    free: int = 0
    snapshots: int = 0
    one_in: int = 4
    number: int = 0

    @classmethod
    def named(cls, project_id: str) -> Self:
        """The estate that a project's id describes."""
        return cls(**{_LETTERS[letter]: int(count) for letter, count in re.findall(r"([a-z])(\d+)", project_id)})

    @cached_property
    def project_id(self) -> str:
        """The name that says it all."""
        return "".join(f"{letter}{getattr(self, name)}" for letter, name in _LETTERS.items())

    @property
    def read(self) -> int:
        """Clusters that a proof has to look at."""
        return self.living + self.sharded + self.deleted + self.unscheduled

    @property
    def scheduled(self) -> int:
        """Clusters that live and have backups, and so a schedule."""
        return self.living + self.sharded

    @property
    def all_snapshots(self) -> int:
        """Snapshots in all of its lists."""
        return self.read * self.snapshots

    @property
    def of_retiring_key(self) -> int:
        """Those made with the retiring key."""
        return self.read * -(-self.snapshots // self.one_in) if self.one_in else 0
