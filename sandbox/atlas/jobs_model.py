"""Restores and exports: jobs that need a snapshot's key until they end."""

from dataclasses import dataclass
from datetime import datetime

from sandbox.atlas.snapshot import Sealed


@dataclass(kw_only=True)
class RestoreJob:
    """A restore from a snapshot, or with `point_in_time` (and no snapshot) from the oplog."""

    job_id: str
    snapshot_id: str | None
    delivery: str
    target_project: str | None
    target_cluster: str | None
    began_at: datetime
    ends_at: datetime
    sealed: Sealed | None
    point_in_time: datetime | None = None
    failed: bool = False
    cancelled: bool = False

    def over(self, now: datetime) -> bool:
        """Whether it has ended, however."""
        return self.cancelled or self.ends_at <= now


@dataclass(kw_only=True)
class ExportJob:
    """An export of a snapshot into a customer's bucket."""

    job_id: str
    snapshot_id: str
    bucket_id: str
    created_at: datetime
    begins_at: datetime
    ends_at: datetime
    sealed: Sealed | None
    failed: bool = False
    cancelled: bool = False

    def state(self, now: datetime) -> str:
        """How far it is, in Atlas' word."""
        if self.cancelled:
            return "Cancelled"
        if now < self.begins_at:
            return "Queued"
        if now < self.ends_at:
            return "InProgress"
        return "Failed" if self.failed else "Successful"

    def over(self, now: datetime) -> bool:
        """Whether it has ended, however."""
        return self.cancelled or self.ends_at <= now
