"""Takes a request for a rotation, for its preview or for its cancellation; it touches neither KMS nor Atlas."""

from dataclasses import replace

from chalicelib.domain.opening import RotationRequest, open_rotation, recognise, request_checks, rotation_id
from chalicelib.domain.records import AuditEntry, Change, Check, Rotation, RotationState
from chalicelib.domain.refusals import No, Refusal
from chalicelib.usecases.locate import project_named
from chalicelib.usecases.ports import Outside


def request_rotation(outside: Outside, project_id: str, request: RotationRequest) -> Rotation:
    """Open a rotation and wake it; the same idempotency key gives the rotation it made before."""
    project = project_named(outside, project_id)
    existing = outside.tracker.rotation(project_id, rotation_id(project_id, request.idempotency_key))
    if existing is not None:
        return recognise(existing, request)
    rotation, change = open_rotation(project, request, outside.now())
    outside.tracker.commit(change)
    outside.messages.wake_rotation(project_id, rotation.rotation_id)
    return replace(rotation, version=1)


def preview_rotation(outside: Outside, project_id: str, request: RotationRequest) -> tuple[Check, ...]:
    """What the tracker can tell of a request without making it; KMS and Atlas are asked when it is made."""
    return request_checks(project_named(outside, project_id), request)


def cancel_rotation(outside: Outside, project_id: str, rotation: str, *, who: str) -> Rotation:
    """Ask for a rotation to be given up; possible until the settings are changed."""
    project_named(outside, project_id)
    found = outside.tracker.rotation(project_id, rotation)
    if found is None:
        raise Refusal(No.UNKNOWN, f"project {project_id} has no rotation {rotation}")
    if found.state.terminal:
        raise Refusal(No.CONFLICT, f"the rotation is {found.state} already")
    if found.state is RotationState.DEPLOYING or found.patch_sent_at is not None:
        raise Refusal(No.CONFLICT, "the settings are changed already: a rotation is cancelled before that only")
    now = outside.now()
    asked = replace(found, cancel_requested_by=who, next_look_at=now)
    entry = AuditEntry(at=now, who=who, what="rotation cancel requested", subject=project_id, after=rotation)
    outside.tracker.commit(Change(records=(asked,), audit=(entry,)))
    outside.messages.wake_rotation(project_id, rotation)
    return replace(asked, version=asked.version + 1)
