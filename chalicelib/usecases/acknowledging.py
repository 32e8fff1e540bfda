"""Follows Atlas' own alert about a key's age: hears what people acknowledged there, and answers after a rotation.

What cannot be read changes nothing: what was last known stands. An acknowledgement is sent after a look and looked
for before it is sent again, so that a process that dies in between does not send it twice.
"""

import logging
from dataclasses import replace
from datetime import datetime

from chalicelib.domain.acknowledgement import (
    NOT_ACKNOWLEDGED,
    Acknowledgement,
    answered_already,
    answers,
    be_quiet_with_atlas,
    is_worth_asking,
    left_open,
    must_wait,
    told_by_atlas,
)
from chalicelib.domain.discovery import PROJECT_GONE
from chalicelib.domain.observed import AtlasAlert
from chalicelib.domain.records import AuditEntry, Change, Notice, Project, Rotation
from chalicelib.domain.wording_watch import alert_not_acknowledged
from chalicelib.usecases.ports import Conflict, NotFound, Outside, OutsideError, TemporaryError

_log = logging.getLogger(__name__)
_TRIES = 3


def follow_alerts(outside: Outside, project_id: str) -> None:
    """Look at Atlas' alerts about one project's key, once more where somebody else wrote first."""
    for _ in range(_TRIES):
        try:
            _follow_once(outside, project_id)
        except Conflict:
            _log.info("project %s was written by somebody else: its alerts are looked at anew", project_id)
        else:
            return


def _follow_once(outside: Outside, project_id: str) -> None:
    now = outside.now()
    project = outside.tracker.project(project_id)
    if project is None or PROJECT_GONE in project.drift or not is_worth_asking(project, now):
        return
    try:
        alerts = outside.atlas(project.organization).open_alerts(project_id)
    except OutsideError as problem:
        _log.warning("the alerts of project %s could not be read: %s", project_id, problem.message)
        return
    followed = be_quiet_with_atlas(project, alerts, now)
    heard = told_by_atlas(project, followed, alerts, now)
    followed, said, notices = _answer(outside, followed, alerts, now)
    if followed != project:
        audit = (*((heard,) if heard is not None else ()), *said)
        outside.tracker.commit(Change(records=(followed,), notices=notices, audit=audit))


def _answer(
    outside: Outside, project: Project, alerts: tuple[AtlasAlert, ...], now: datetime
) -> tuple[Project, tuple[AuditEntry, ...], tuple[Notice, ...]]:
    """Acknowledge what a deployed rotation left open; gives the project, what was done, and what to tell of it."""
    if project.alert_to_answer is None:
        return project, (), ()
    rotation = outside.tracker.rotation(project.project_id, project.alert_to_answer)
    if must_wait(rotation, now):
        return project, (), ()
    left = left_open(rotation, alerts)
    if rotation is None or not left:
        return _done(project), (), ()
    done = [_entry(project, rotation, alert.alert_id, now) for alert in answered_already(rotation, left)]
    try:
        for answer in answers(project, rotation, left, now):
            _acknowledge(outside, project, answer)
            done.append(_entry(project, rotation, answer.alert_id, now))
    except TemporaryError as problem:
        _log.warning("the alert of project %s could not be acknowledged yet: %s", project.project_id, problem.message)
        return project, (), ()
    except OutsideError as problem:
        return _refused(project, problem.message, now)
    return _done(project), tuple(done), ()


def _acknowledge(outside: Outside, project: Project, answer: Acknowledgement) -> None:
    try:
        outside.atlas(project.organization).acknowledge_alert(
            project.project_id, answer.alert_id, until=answer.until, comment=answer.comment
        )
    except NotFound:
        _log.info("alert %s of project %s was gone before it was acknowledged", answer.alert_id, project.project_id)


def _done(project: Project) -> Project:
    drift = tuple(code for code in project.drift if code != NOT_ACKNOWLEDGED)
    return replace(project, alert_to_answer=None, drift=drift)


def _refused(project: Project, why: str, now: datetime) -> tuple[Project, tuple[AuditEntry, ...], tuple[Notice, ...]]:
    """A refusal is told once; it is tried again at every look, for somebody may give the role."""
    _log.warning("the alert of project %s could not be acknowledged: %s", project.project_id, why)
    if NOT_ACKNOWLEDGED in project.drift:
        return project, (), ()
    told = replace(project, drift=(*project.drift, NOT_ACKNOWLEDGED))
    return told, (), (alert_not_acknowledged(told, why, now),)


def _entry(project: Project, rotation: Rotation, alert_id: str, now: datetime) -> AuditEntry:
    return AuditEntry(
        at=now,
        who="keyturn",
        what="Atlas' alert acknowledged",
        subject=project.project_id,
        why=f"rotation {rotation.rotation_id}",
        after=alert_id,
    )
