"""Takes what people decide about a rotation: to have one, to look ahead, to give it up, to go back.

Nothing here touches KMS or Atlas: who may look at them is asked to, and `rotate` carries out what is written.
"""

import logging
from dataclasses import replace

from chalicelib.domain.opening import RotationRequest, open_rotation, recognise, request_checks, rotation_id
from chalicelib.domain.preflight import problem_of
from chalicelib.domain.records import AuditEntry, Change, Check, Reason, Rotation
from chalicelib.domain.refusals import No, Refusal
from chalicelib.domain.rollback import ask_rollback
from chalicelib.domain.rotation import may_be_cancelled
from chalicelib.usecases.locate import project_named, rotation_named
from chalicelib.usecases.ports import Conflict, Outside, OutsideError

_log = logging.getLogger(__name__)


LOOKS_AGAIN = 3
"""How often a request is read anew when somebody else wrote first: mostly the same request, sent twice."""


def request_rotation(outside: Outside, project_id: str, request: RotationRequest) -> Rotation:
    """Open a rotation and wake it; the same idempotency key gives the rotation it made before.

    Of two requests at once one opens the rotation, and the other is answered as if it had come a moment later.
    """
    for _ in range(LOOKS_AGAIN):
        try:
            return _request(outside, project_id, request)
        except Conflict:
            _log.info("project %s was written by somebody else, the request is looked at again", project_id)
    return _request(outside, project_id, request)


def _request(outside: Outside, project_id: str, request: RotationRequest) -> Rotation:
    project = project_named(outside, project_id)
    existing = outside.tracker.rotation(project_id, rotation_id(project_id, request.idempotency_key))
    if existing is not None:
        return recognise(existing, request)
    rotation, change = open_rotation(project, request, outside.now())
    _refuse_what_fails(_look_ahead(outside, project_id, request))
    outside.tracker.commit(change)
    outside.messages.wake_rotation(project_id, rotation.rotation_id)
    return replace(rotation, version=1)


def preview_rotation(outside: Outside, project_id: str, request: RotationRequest) -> tuple[Check, ...]:
    """Every check of a request, without making it."""
    project = project_named(outside, project_id)
    known = request_checks(project, request)
    if problem_of(known) is not None:
        return known
    return (*known, *_look_ahead(outside, project_id, request))


def _look_ahead(outside: Outside, project_id: str, request: RotationRequest) -> tuple[Check, ...]:
    """The preflight as somebody with eyes on Atlas and KMS makes it; without an answer the rotation finds out."""
    try:
        return outside.preview(project_id, request)
    except OutsideError as problem:
        _log.warning("no preview of a rotation of project %s: %s", project_id, problem.message)
        return (Check(name="preview", passed=None, text=f"could not look ahead: {problem.message}"),)


def _refuse_what_fails(checks: tuple[Check, ...]) -> None:
    problem = problem_of(checks)
    if problem is not None:
        failed = (check for check in checks if check.passed is False)
        raise Refusal(No.CONFLICT, problem.detail, [Reason(kind=check.name, text=check.text) for check in failed])


def cancel_rotation(outside: Outside, project_id: str, rotation: str, *, who: str) -> Rotation:
    """Ask for a rotation to be given up; possible until the settings are changed."""
    found = rotation_named(outside, project_id, rotation)
    if found.state.terminal:
        raise Refusal(No.CONFLICT, f"the rotation is {found.state} already")
    if not may_be_cancelled(found):
        raise Refusal(No.CONFLICT, "the settings are changed already: roll the rotation back instead")
    now = outside.now()
    asked = replace(found, cancel_requested_by=who, next_look_at=now)
    entry = AuditEntry(at=now, who=who, what="rotation cancel requested", subject=project_id, after=rotation)
    outside.tracker.commit(Change(records=(asked,), audit=(entry,)))
    outside.messages.wake_rotation(project_id, rotation)
    return replace(asked, version=asked.version + 1)


def roll_back_rotation(outside: Outside, project_id: str, rotation: str, *, who: str) -> Rotation:
    """Ask for the settings to go back to the old key; possible while that key is kept and no other took over."""
    project = project_named(outside, project_id)
    found = rotation_named(outside, project_id, rotation)
    now = outside.now()
    asked, reopened = ask_rollback(found, project, outside.tracker.key(found.old_key), who=who, now=now)
    entry = AuditEntry(at=now, who=who, what="rollback requested", subject=project_id, after=rotation)
    records = (asked, reopened) if reopened != project else (asked,)
    outside.tracker.commit(Change(records=records, audit=(entry,)))
    outside.messages.wake_rotation(project_id, rotation)
    return replace(asked, version=asked.version + 1)
