"""Reminds: speaks the rungs that are owed, once each, or starts the rotation where the policy says so."""

import logging
from dataclasses import replace
from datetime import datetime
from functools import partial

from chalicelib.domain.opening import RotationRequest, open_rotation, refusals, rotation_id
from chalicelib.domain.records import AuditEntry, Change, Project
from chalicelib.domain.reminders import cycle_start, due_at, rungs_owed, waits_for_digest, wind
from chalicelib.domain.vocabulary import Mode
from chalicelib.domain.wording import reminder
from chalicelib.usecases.each import do_each
from chalicelib.usecases.ports import Conflict, Due, Outside

BY_POLICY = "keyturn policy"

_log = logging.getLogger(__name__)


def remind_all(outside: Outside) -> int:
    """Speak to every project that the time index holds as due; returns how many were spoken to."""
    due = (project_id for (project_id,) in outside.tracker.due(Due.REMINDER, outside.now()))
    return do_each(due, partial(remind, outside), "projects")


def remind(outside: Outside, project_id: str) -> bool:
    """Speak the rungs that one project owes, in one message; a rotation by policy takes its place when due."""
    now = outside.now()
    project = outside.tracker.project(project_id)
    if project is None:
        return False
    owed = rungs_owed(project, now)
    if not owed or waits_for_digest(project, owed[-1]):
        return _sleep_on(outside, project, now)
    spoken = wind(replace(project, last_rung=owed[-1]), now)
    request = _request(project, owed[-1])
    try:
        if _is_rotated(outside, project, request, owed[-1]):
            _start(outside, spoken, request, now)
            return True
        return _speak(outside, spoken, owed, now)
    except Conflict:
        _log.info("project %s was written by somebody else; it is looked at again", project_id)
        return False


def _is_rotated(outside: Outside, project: Project, request: RotationRequest, rung: int) -> bool:
    """Whether a rotation takes the reminder's place: one that is due by policy, may be opened, and never was."""
    if project.policy.mode is not Mode.ROTATE or rung < 0 or refusals(project, request):
        return False
    # a rung comes again when the due day moved away and back, and its rotation may have ended meanwhile
    name = rotation_id(project.project_id, request.idempotency_key)
    return outside.tracker.rotation(project.project_id, name) is None


def _request(project: Project, rung: int) -> RotationRequest:
    return RotationRequest(
        requested_by=BY_POLICY,
        idempotency_key=f"policy/{cycle_start(project)}/{due_at(project)}/{rung}",
        reason="due by policy",
    )


def _start(outside: Outside, project: Project, request: RotationRequest, now: datetime) -> None:
    rotation, change = open_rotation(project, request, now)
    opened = wind(replace(project, open_rotation=rotation.rotation_id), now)
    outside.tracker.commit(replace(change, records=(opened, rotation)))
    outside.messages.wake_rotation(project.project_id, rotation.rotation_id)


def _speak(outside: Outside, project: Project, owed: tuple[int, ...], now: datetime) -> bool:
    """Speak, and tell whether it was for the first time; a rung that was spoken once is only marked again."""
    entry = AuditEntry(at=now, who="keyturn", what="reminded", subject=project.project_id, after=f"rung {owed[-1]}")
    notice = reminder(project, owed, now)
    try:
        outside.tracker.commit(Change(records=(project,), notices=(notice,), audit=(entry,)))
    except Conflict:
        if outside.tracker.notice(notice.notice_id) is None:
            raise
        outside.tracker.commit(Change(records=(project,)))
        return False
    return True


def _sleep_on(outside: Outside, project: Project, now: datetime) -> bool:
    """Nothing is owed here: move the project on in the time index, so that it is not looked at every hour."""
    moved = wind(project, now)
    if moved != project:
        try:
            outside.tracker.commit(Change(records=(moved,)))
        except Conflict:
            _log.info("project %s was written by somebody else; it is looked at again", project.project_id)
    return False
