"""How Keyturn says no to a person: what kind of no, and every reason."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chalicelib.domain.records import Reason


class No(StrEnum):
    """The kinds of no; the API gives each its HTTP status."""

    INVALID = "invalid"
    FORBIDDEN = "forbidden"
    UNKNOWN = "unknown"
    CONFLICT = "conflict"
    STALE = "stale"
    """What was to be changed is not what was read any more."""
    CONTRADICTION = "contradiction"
    """The same idempotency key with another request."""


class Refusal(Exception):
    """A request that is not carried out, with every reason; nothing was changed."""

    def __init__(self, no: No, text: str, reasons: Iterable[Reason] = (), **details: str) -> None:
        super().__init__(text)
        self.no = no
        self.text = text
        self.reasons = tuple(reasons)
        self.details = details
