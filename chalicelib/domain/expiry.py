"""When people are told that a secret of Atlas' service accounts expires: by the next rung, each told once."""

from dataclasses import dataclass
from datetime import datetime, timedelta

RUNGS = (-30, -14, -7, -1, 0)
"""Days relative to the expiry, as reminders count them."""

_DAY = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Expiry:
    """When a secret of a service account expires; `role` is what Keyturn uses the account as."""

    organization: str
    role: str
    client_id: str
    at: datetime


def rung_owed(expiry: Expiry, now: datetime) -> int | None:
    """The highest rung whose time has come; None while there is time."""
    return max((rung for rung in RUNGS if expiry.at + rung * _DAY <= now), default=None)


def days_left(expiry: Expiry, now: datetime) -> int:
    """Whole days until then, rounded up; none or fewer once it has expired."""
    return -((now - expiry.at) // _DAY)


def in_question(expiries: tuple[datetime, ...], now: datetime) -> datetime | None:
    """The date that matters of an account's secrets: the first to come, for nobody sees which of them is in use.

    Once all have expired it is the last.
    """
    ahead = [at for at in expiries if at > now]
    return min(ahead) if ahead else max(expiries, default=None)
