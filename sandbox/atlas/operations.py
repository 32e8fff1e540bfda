"""Every operation of the Admin API that this Atlas knows."""

from sandbox.atlas import (
    alert_calls,
    backup_calls,
    cluster_calls,
    encryption_calls,
    event_calls,
    organization_calls,
)
from sandbox.atlas.operation import API, Operation

OPERATIONS = (
    *organization_calls.OPERATIONS,
    *encryption_calls.OPERATIONS,
    *cluster_calls.OPERATIONS,
    *backup_calls.OPERATIONS,
    *alert_calls.OPERATIONS,
    *event_calls.OPERATIONS,
)

__all__ = ["API", "OPERATIONS", "Operation"]
