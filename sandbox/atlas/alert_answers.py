"""What the API shows of alerts and of their configurations."""

from datetime import datetime

from sandbox.atlas.alert_model import Alert, AlertConfig
from sandbox.atlas.answers import Body, links_to
from sandbox.atlas.model import Project
from sandbox.atlas.names import stamp


def config_body(known: AlertConfig, project_id: str) -> Body:
    """When the project is told something, and how."""
    notification = {
        "delayMin": 0,
        "emailEnabled": True,
        "intervalMin": 60,
        "roles": ["GROUP_OWNER"],
        "smsEnabled": False,
        "typeName": "GROUP",
    }
    body: Body = {
        "created": stamp(known.created_at),
        "enabled": known.enabled,
        "eventTypeName": known.kind,
        "groupId": project_id,
        "id": known.config_id,
        "links": links_to(f"/groups/{project_id}/alertConfigs/{known.config_id}"),
        "matchers": [],
        "notifications": [notification],
        "updated": stamp(known.updated_at),
    }
    if known.days is not None:
        body["threshold"] = {"operator": "GREATER_THAN", "threshold": known.days, "units": "DAYS"}
    return body


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
