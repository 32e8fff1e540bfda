"""Alerts, and the configurations that say when there is one."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

NEEDS_ROTATION = "AWS_ENCRYPTION_KEY_NEEDS_ROTATION"
KEY_INVALID = frozenset({"AWS_ENCRYPTION_KEY_INVALID", "ENCRYPTION_AT_REST_CONFIG_NO_LONGER_VALID"})
"""The kinds that this Atlas raises while a key does not work; they have no threshold."""


TO_EVERY_OWNER: dict[str, Any] = {
    "delayMin": 0,
    "emailEnabled": True,
    "intervalMin": 60,
    "notifierId": "d" * 24,
    "roles": ["GROUP_OWNER"],
    "smsEnabled": False,
    "typeName": "GROUP",
}
"""Whom a configuration of Atlas' own making tells."""


@dataclass(kw_only=True)
class AlertConfig:
    """When the project wants to be told something; only what is about a key's age has `days`."""

    config_id: str
    kind: str = NEEDS_ROTATION
    days: int | None
    enabled: bool
    created_at: datetime
    updated_at: datetime
    matchers: list[Any] = field(default_factory=list)
    notifications: list[Any] = field(default_factory=lambda: [dict(TO_EVERY_OWNER)])


@dataclass(kw_only=True)
class Alert:
    """One alert, open until what it is about is over."""

    alert_id: str
    config_id: str
    kind: str
    opened_at: datetime
    updated_at: datetime
    resolved_at: datetime | None = None
    acknowledged_until: datetime | None = None
    comment: str | None = None

    def status(self, now: datetime) -> str:
        """Atlas' word for it; one that somebody acknowledged is tracked until then."""
        if self.resolved_at is not None:
            return "CLOSED"
        acknowledged = self.acknowledged_until is not None and now < self.acknowledged_until
        return "TRACKING" if acknowledged else "OPEN"
