"""What the API shows of alerts and of their configurations."""

from datetime import datetime
from typing import Any

from sandbox.atlas.alert_model import Alert, AlertConfig
from sandbox.atlas.answers import Body, links_to
from sandbox.atlas.model import Project
from sandbox.atlas.names import stamp

SECRET = frozenset({"serviceKey", "webhookSecret", "apiToken"})
"""What of a notification is a secret."""
_ASTERISKS = "****"


def config_body(known: AlertConfig, project_id: str) -> Body:
    """When the project is told something, and how."""
    body: Body = {
        "created": stamp(known.created_at),
        "enabled": known.enabled,
        "eventTypeName": known.kind,
        "groupId": project_id,
        "id": known.config_id,
        "links": links_to(f"/groups/{project_id}/alertConfigs/{known.config_id}"),
        "matchers": known.matchers,
        "notifications": [_redacted(one) for one in known.notifications],
        "updated": stamp(known.updated_at),
    }
    if known.days is not None:
        body["threshold"] = {"operator": "GREATER_THAN", "threshold": known.days, "units": "DAYS"}
    return body


def _redacted(notification: Any) -> Any:  # noqa: ANN401 - as somebody sent it
    """Show no secret, as Atlas does; who sends the asterisks back has them for a secret."""
    hidden = {name: _ASTERISKS for name in notification if name in SECRET}
    return notification | hidden


def alert_body(known: Alert, project: Project, now: datetime) -> Body:
    """An alert, open or closed."""
    body: Body = {
        "alertConfigId": known.config_id,
        "created": stamp(known.opened_at),
        "eventTypeName": known.kind,
        "groupId": project.project_id,
        "id": known.alert_id,
        "lastNotified": stamp(known.updated_at),
        "links": links_to(f"/groups/{project.project_id}/alerts/{known.alert_id}"),
        "orgId": project.organization_id,
        "status": known.status(now),
        "updated": stamp(known.updated_at),
    }
    if known.resolved_at is not None:
        body["resolved"] = stamp(known.resolved_at)
    if known.acknowledged_until is not None:
        body["acknowledgedUntil"] = stamp(known.acknowledged_until)
        body["acknowledgementComment"] = known.comment or ""
        body["acknowledgingUsername"] = "somebody@example.com"
    return body
