"""What people read of a rotation: each kind of news one function, from the request to the end and the way back."""

from collections.abc import Callable
from datetime import datetime

from chalicelib.domain.counting import agreeing, counted
from chalicelib.domain.deployment import banner
from chalicelib.domain.exposure import Exposure
from chalicelib.domain.records import Notice, Project, Rotation
from chalicelib.domain.vocabulary import NoticeKind, Strategy
from chalicelib.domain.wording import day, notice_id, subject_line

Words = tuple[str, str]
"""What follows the project's name in the headline, and the body."""


def rotation_news(kind: NoticeKind, project: Project, rotation: Rotation, now: datetime) -> Notice:
    """A rotation has begun, is being deployed, is done, failed, is blocked, was cancelled or rolled back."""
    what, body = _WORDS[kind](rotation)
    headline = f"key rotation of {project.name} {what}"
    return Notice(
        notice_id=notice_id(kind, rotation.rotation_id, rotation.state, *rotation.waiting_for[:1]),
        kind=kind,
        subject=subject_line(f"Keyturn: {headline}"),
        text=f"{headline[0].upper()}{headline[1:]} (project {project.project_id}).\n{body}",
        created_at=now,
        project_id=project.project_id,
        key_id=(rotation.new_key or rotation.old_key).key_id,
        recipients=project.policy.recipients,
        detail={
            "rotation_id": rotation.rotation_id,
            "state": rotation.state,
            "old_key": str(rotation.old_key),
            "new_key": str(rotation.new_key or ""),
        },
    )


def _started(rotation: Rotation) -> Words:
    return (
        "has been requested",
        (
            f"Requested by: {rotation.requested_by}\nReason: {rotation.reason or 'none given'}\n"
            "What to do: nothing; you will be told how it ends."
        ),
    )


def _deploying(rotation: Rotation) -> Words:
    arriving = "New key" if rotation.rollback_requested_by is None else "The way back; key of before"
    key = rotation.new_key if rotation.rollback_requested_by is None else rotation.old_key
    return (
        "is being deployed",
        f"Attention: {banner(rotation)}.\n{arriving}: {key}\nWhat to do: leave both keys alone until the next message.",
    )


def _deployed(rotation: Rotation) -> Words:
    if rotation.strategy is not Strategy.NEW_CMK:
        shown = "\n".join(rotation.evidence) or "KMS shows nothing more."
        return "is done", f"KMS renewed the material of {rotation.old_key}; the settings stay as they were.\n{shown}"
    paused = ", ".join(rotation.paused_clusters)
    still = f"\nPaused clusters still on the old key: {paused}." if paused else ""
    return (
        "is done",
        (
            f"Every running cluster uses the new key {rotation.new_key}.{still}\n"
            f"Keep the old key {rotation.old_key}: snapshots still need it. You will be told when it is free."
        ),
    )


def _cancelled(rotation: Rotation) -> Words:
    return (
        "was cancelled",
        (
            f"By: {rotation.cancel_requested_by}\nThe project keeps its key {rotation.old_key}."
            f"{_what_becomes_of_the_new_key(rotation)}"
        ),
    )


def _blocked(rotation: Rotation) -> Words:
    return (
        "waits for a person",
        f"{'; '.join(rotation.waiting_for)}\nWhat to do: mend this; the rotation goes on by itself.",
    )


def _failed(rotation: Rotation) -> Words:
    problem = rotation.error.detail if rotation.error is not None else "unknown"
    return (
        "failed",
        (
            f"Why: {problem}\n{_what_the_settings_name(rotation)}"
            f"{_what_becomes_of_the_new_key(rotation)}\n"
            "What to do: mend the cause, then request the rotation again."
        ),
    )


def _rolled_back(rotation: Rotation) -> Words:
    return (
        "was rolled back",
        (
            f"Asked for by: {rotation.rollback_requested_by}\nThe project uses its key {rotation.old_key} again.\n"
            f"Keep {rotation.new_key} too: snapshots may have been made with it. You will be told when it is free."
        ),
    )


def _what_the_settings_name(rotation: Rotation) -> str:
    if rotation.swapped_at is None:
        return f"The settings name {rotation.old_key} or what a person chose."
    return f"The settings name {rotation.new_key}, {rotation.old_key} or what a person chose: look in Atlas."


def _what_becomes_of_the_new_key(rotation: Rotation) -> str:
    if rotation.new_key is None or rotation.swapped_at is not None:
        return ""
    if rotation.created_by_us:
        return f"\nThe key that was made for it, {rotation.new_key}, is not used: it is taken back within a day."
    return f"\nYour key {rotation.new_key} is not used and stays as it is."


_WORDS: dict[NoticeKind, Callable[[Rotation], Words]] = {
    NoticeKind.ROTATION_STARTED: _started,
    NoticeKind.ROTATION_DEPLOYING: _deploying,
    NoticeKind.ROTATION_DEPLOYED: _deployed,
    NoticeKind.ROTATION_CANCELLED: _cancelled,
    NoticeKind.ROTATION_BLOCKED: _blocked,
    NoticeKind.ROTATION_FAILED: _failed,
    NoticeKind.ROTATION_ROLLED_BACK: _rolled_back,
}


def still_readable(project: Project, rotation: Rotation, exposure: Exposure, now: datetime) -> Notice:
    """After an emergency: what the old key still opens, for the people who must decide about it."""
    unread = "".join(f"\nNot read: {one.call} ({one.cause})" for one in exposure.unread)
    until = f", the last until {day(exposure.last_expiry)}" if exposure.last_expiry is not None else ""
    snapshots, stay = counted(exposure.counted, "snapshot"), agreeing(exposure.counted, "stays", "stay")
    return Notice(
        notice_id=notice_id("still readable", rotation.rotation_id),
        kind=NoticeKind.STILL_READABLE,
        subject=subject_line(f"Keyturn: {project.name}: {snapshots} {stay} readable with the old key"),
        text=(
            f"Project {project.name} ({project.project_id}) uses a new key since the emergency rotation"
            f" {rotation.rotation_id}.\nWhoever has {rotation.old_key} can still read {snapshots} of"
            f" {', '.join(exposure.clusters) or 'no cluster'}{until}.{unread}\n"
            f"List: GET /v1/projects/{project.project_id}/rotations/{rotation.rotation_id}, `still_readable`\n\n"
            "What to do: delete in Atlas the snapshots that must not stay readable; Keyturn deletes none."
        ),
        created_at=now,
        project_id=project.project_id,
        key_id=rotation.old_key.key_id,
        recipients=project.policy.recipients,
        escalate=True,
        detail={"rotation_id": rotation.rotation_id, "document": exposure.proof.digest},
    )
