"""Faults that a test or a demonstration orders: refused, lost, cut and garbled answers."""

import re
from dataclasses import dataclass, field
from typing import Literal

FaultKind = Literal["status", "drop_before", "drop_after", "truncate", "not_json", "no_results", "429"]


@dataclass
class Fault:
    """From the `nth` matching call on, `times` calls go wrong; `path_pattern` is a regular expression.

    Of `drop_before`, `status` and `429` the world sees nothing; with the other kinds the call has its effect.
    """

    method: str
    path_pattern: str
    kind: FaultKind
    status: int = 500
    times: int = 1
    nth: int = 1
    seen: int = field(default=0, init=False)

    def strikes(self, method: str, path: str) -> bool:
        """Count a call, and tell whether it goes wrong."""
        if method != self.method or re.search(self.path_pattern, path) is None:
            return False
        self.seen += 1
        return self.nth <= self.seen < self.nth + self.times


def first_striking(faults: list[Fault], method: str, path: str) -> Fault | None:
    """Give the fault that a call meets; every fault counts the call."""
    striking = [fault for fault in faults if fault.strikes(method, path)]
    return striking[0] if striking else None
