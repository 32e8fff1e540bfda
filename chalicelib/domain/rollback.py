"""The way back: when the settings may return to the old key, and the rotation that turns round."""

from dataclasses import replace
from datetime import datetime

from chalicelib.domain.records import Key, Project, Rotation
from chalicelib.domain.refusals import No, Refusal
from chalicelib.domain.rotation import Event, may_be_cancelled, next_state
from chalicelib.domain.vocabulary import KeyState
from chalicelib.domain.vocabulary import RotationState as State

_LEFT = frozenset({KeyState.QUARANTINED, KeyState.PENDING_DELETION, KeyState.DELETED})


def turn_round(rotation: Rotation) -> Rotation:
    """Forget how the way there went: from now on the settings are to name the old key again."""
    return replace(
        rotation,
        patch_sent_at=None,
        refusal=None,
        first_refused_at=None,
        settled_since=None,
        deployed_at=None,
        waiting_for=("the settings to go back to the old key",),
    )


def ask_rollback(
    rotation: Rotation, project: Project, old: Key | None, *, who: str, now: datetime
) -> tuple[Rotation, Project]:
    """What a person's wish to go back means; raises Refusal when there is no way back, or no need of one."""
    _check(rotation, project, old)
    asked = replace(rotation, rollback_requested_by=who, next_look_at=now)
    if rotation.state is not State.DEPLOYED:
        return asked, project
    reopened = replace(turn_round(asked), state=next_state(rotation.state, Event.ROLLBACK_ASKED), ended_at=None)
    return reopened, replace(project, open_rotation=rotation.rotation_id)


def _check(rotation: Rotation, project: Project, old: Key | None) -> None:
    if may_be_cancelled(rotation):
        raise Refusal(No.CONFLICT, "the settings are not changed yet: cancel the rotation instead")
    if rotation.new_key is None or rotation.state not in {State.SWAPPING, State.DEPLOYING, State.DEPLOYED}:
        raise Refusal(No.CONFLICT, f"a rotation that is {rotation.state} cannot be rolled back")
    if rotation.new_key == rotation.old_key:
        raise Refusal(No.CONFLICT, "the key did not change: there is no other to go back to")
    if old is not None and (old.deletion_id is not None or old.state in _LEFT):
        raise Refusal(No.CONFLICT, f"the old key {old.arn} is on its way to deletion: call that off first")
    if rotation.state is State.DEPLOYED:
        _check_it_is_the_last(rotation, project)


def _check_it_is_the_last(rotation: Rotation, project: Project) -> None:
    if project.open_rotation is not None:
        raise Refusal(No.CONFLICT, "another rotation is open", rotation_id=project.open_rotation)
    if project.key != rotation.new_key:
        raise Refusal(No.CONFLICT, f"the project uses {project.key} now: only its last rotation can be rolled back")
