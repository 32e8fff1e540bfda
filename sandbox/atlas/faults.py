"""Faults that a test or a demonstration orders: refused, lost, late, cut and garbled answers."""

import re
from dataclasses import dataclass, field
from typing import Literal

Before = Literal["status", "drop_before", "429", "429_bare", "token_revoked", "late_effect", "echo", "echo_code"]
"""The world sees nothing of the call; after `late_effect` it does so `seconds` of virtual time later.

A refusal that is an `echo` repeats what the call was authorized with and what it sent, as careless proxies do;
`echo_code` does so in the code of the error.
"""
After = Literal["status_after", "drop_after", "truncate", "not_json", "latency", "echo_sunset"]
"""The call has its effect; only the answer suffers. With `latency` it comes `seconds` of real time late, with
`echo_sunset` its header Sunset repeats what the call was authorized with."""
Garbled = Literal[
    "no_results", "null_results", "wrong_total", "goes_on", "bad_dates", "unknown_keys", "no_keys", "no_ids"
]
"""The call has its effect, and the answer is JSON that says something wrong."""
FaultKind = Before | After | Garbled


@dataclass
class Fault:
    """From the `nth` matching call on, `times` calls go wrong (None: all).

    `method` may be `*`; `path_pattern` is a regular expression, so an empty one matches every path. `status` and
    `code` are what refusals say, `seconds` is how late something is, `amount` is what `wrong_total` adds.
    """

    method: str
    path_pattern: str
    kind: FaultKind
    status: int = 500
    times: int | None = 1
    nth: int = 1
    code: str = "UNEXPECTED_ERROR"
    seconds: float = 0.0
    amount: int = 1
    seen: int = field(default=0, init=False)

    def strikes(self, method: str, path: str) -> bool:
        """Count a call, and tell whether it goes wrong."""
        if self.method not in {method, "*"} or re.search(self.path_pattern, path) is None:
            return False
        self.seen += 1
        return self.nth <= self.seen and (self.times is None or self.seen < self.nth + self.times)


def first_striking(faults: list[Fault], method: str, path: str) -> Fault | None:
    """Give the fault that a call meets; every fault counts the call."""
    striking = [fault for fault in faults if fault.strikes(method, path)]
    return striking[0] if striking else None
