"""What a cluster's backup policy says: when snapshots are taken, how long they are kept, where copies go."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class BackupPolicy:
    """One line of a backup policy: `every` is the API's `frequencyInterval`.

    It means: every so many hours, every day, the day of the week (1 is Monday), the day of the month (40 is the
    last), the month of the year.
    """

    kind: Literal["hourly", "daily", "weekly", "monthly", "yearly"]
    keep: timedelta
    every: int = 1


@dataclass(frozen=True, kw_only=True)
class CopySetting:
    """To which region (Atlas' spelling) snapshots are copied, and by frequency how long copies are kept.

    With retentions of its own, snapshots of the frequencies named are copied; without any, every snapshot is,
    and its copy lives as long as the original.
    """

    region: str
    keep: tuple[tuple[str, timedelta], ...] = ()
    oplogs: bool = False


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A cluster's backup policy."""

    policy_id: str
    items: tuple[BackupPolicy, ...]
    hour: int
    minute: int
    restore_window_days: int = 7
    copies: tuple[CopySetting, ...] = ()
