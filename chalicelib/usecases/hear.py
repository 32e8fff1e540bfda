"""Hears Atlas' alert webhook: who has the secret may make us look, once, and nothing else."""

import binascii
import logging
from base64 import b64decode
from dataclasses import replace
from typing import Any

from chalicelib.domain.observed import AtlasProject
from chalicelib.domain.records import AuditEntry, Change, Project
from chalicelib.domain.webhook import Alert, is_timely, read_alert
from chalicelib.usecases.looking import discover_project
from chalicelib.usecases.ports import Conflict, Outside

_log = logging.getLogger(__name__)
FORGED, HEARD, LEFT = "forged", "heard", "left alone"


def hear_asked(outside: Outside, message: dict[str, Any]) -> dict[str, str]:
    """Answer one webhook call, its raw body in base64: forged, heard, or left alone because nothing follows from it."""
    try:
        body = b64decode(message["body"], validate=True)
    except binascii.Error:
        return {"verdict": FORGED}
    organization = outside.signed_by(body, str(message["signature"]))
    if organization is None:
        return {"verdict": FORGED}
    alert, now = read_alert(body), outside.now()
    project = outside.tracker.project(alert.project_id) if alert is not None else None
    if alert is None or project is None or project.organization != organization or not is_timely(alert, now):
        return {"verdict": LEFT}
    return {"verdict": HEARD if _is_new(outside, alert) and _look(outside, project, alert) else LEFT}


def _is_new(outside: Outside, alert: Alert) -> bool:
    """Write the message into the trail, which holds each once: the same message sent again is not new."""
    entry = AuditEntry(
        at=alert.at,
        who="atlas",
        what=f"alert {alert.event_type}",
        subject=f"alert {alert.alert_id}",
        after=alert.status,
    )
    try:
        outside.tracker.commit(Change(records=(), audit=(entry,)))
    except Conflict:
        _log.info("alert %s was heard already", alert.alert_id)
        return False
    return True


def _look(outside: Outside, project: Project, alert: Alert) -> bool:
    found = AtlasProject(project_id=project.project_id, name=project.name, organization=project.organization)
    seen = discover_project(outside, found)
    if seen is None or not alert.is_about_rotation:
        return True
    now, fresh = outside.now(), outside.tracker.project(project.project_id)
    if fresh is not None and fresh.due is not None and fresh.due > now:
        try:
            outside.tracker.commit(Change(records=(replace(fresh, next_reminder_at=now),)))
        except Conflict:
            _log.info("project %s was written by somebody else just now", project.project_id)
    return True
