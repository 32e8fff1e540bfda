"""Hears Atlas' alert webhook: who has the secret may make us look, once, and nothing else.

A message is written down after its look: one whose look failed is answered with an error, and Atlas sends it again.
"""

import binascii
from base64 import b64decode
from dataclasses import replace
from datetime import datetime
from typing import Any

from chalicelib.domain.activity import ALERT
from chalicelib.domain.observed import AtlasProject
from chalicelib.domain.records import AuditEntry, Change, Project
from chalicelib.domain.webhook import Alert, Verdict, is_timely, read_alert
from chalicelib.usecases.acknowledging import follow_alerts
from chalicelib.usecases.looking import discover_project
from chalicelib.usecases.ports import Outside


def hear_asked(outside: Outside, message: dict[str, Any]) -> dict[str, str]:
    """Answer one webhook call, its raw body in base64: forged, heard, or left alone because nothing follows from it."""
    try:
        body = b64decode(message["body"], validate=True)
    except binascii.Error:
        return {"verdict": Verdict.FORGED}
    organization = outside.signed_by(body, str(message["signature"]))
    if organization is None:
        return {"verdict": Verdict.FORGED}
    alert, now = read_alert(body), outside.now()
    project = outside.tracker.project(alert.project_id) if alert is not None else None
    if alert is None or project is None or project.organization != organization or not is_timely(alert, now):
        return {"verdict": Verdict.LEFT}
    entry = _entry(alert)
    trail = outside.tracker.trail(entry.subject)
    if entry in trail.entries:
        return {"verdict": Verdict.LEFT}
    found = AtlasProject(project_id=project.project_id, name=project.name, organization=organization)
    discover_project(outside, found, outside.tracker.fleet().policy)
    follow_alerts(outside, project.project_id)
    reminded = _reminded_now(outside.tracker.project(project.project_id), now) if alert.is_about_rotation else ()
    read = ((trail.subject, trail.length),)
    outside.tracker.commit(Change(records=reminded, audit=(entry,), trails_read=read))
    return {"verdict": Verdict.HEARD}


def _entry(alert: Alert) -> AuditEntry:
    return AuditEntry(
        at=alert.at,
        who="atlas",
        what=f"alert {alert.event_type}",
        subject=f"{ALERT}{alert.alert_id}",
        after=alert.status,
    )


def _reminded_now(project: Project | None, now: datetime) -> tuple[Project, ...]:
    if project is None or project.due is None or project.due <= now:
        return ()
    return (replace(project, next_reminder_at=now, in_digest=False),)
