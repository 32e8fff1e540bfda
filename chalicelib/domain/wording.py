"""What people read: one function a notice, each readable in ten seconds: what, which, since when, what to do.

The id of a notice is made from what it is about, so that saying the same thing twice is impossible.
"""

import hashlib
from datetime import datetime, timedelta

from chalicelib.domain.deployment import banner
from chalicelib.domain.records import Key, Notice, NoticeKind, Project, Rotation
from chalicelib.domain.reminders import cycle_start, due_at, period_days

_SUBJECT = 100
"""What SNS allows as the subject of an email."""


def notice_id(*parts: object) -> str:
    """Name a notice by what it is about."""
    return hashlib.sha256("\n".join(str(part) for part in parts).encode()).hexdigest()[:32]


def day(moment: datetime | None) -> str:
    """A date as people read it."""
    return f"{moment:%Y-%m-%d}" if moment is not None else "an unknown day"


def subject_line(text: str) -> str:
    """A subject as SNS takes it: printable, at most 100 characters."""
    return text.encode("ascii", "replace").decode()[:_SUBJECT]


def reminder(project: Project, rungs: tuple[int, ...], now: datetime) -> Notice:
    """A rotation is due soon, today, or overdue; rungs that were missed are told along."""
    due = due_at(project)
    assert due is not None  # noqa: S101 - rungs are owed only where a due date exists
    overdue = (now - due) // timedelta(days=1)
    when = f"due in {-overdue} days" if now < due else ("due today" if overdue == 0 else f"overdue by {overdue} days")
    missed = f"\nEarlier reminders that could not be sent: {len(rungs) - 1}." if len(rungs) > 1 else ""
    return Notice(
        notice_id=notice_id("reminder", project.project_id, cycle_start(project), due, rungs[-1]),
        kind=NoticeKind.REMINDER,
        subject=subject_line(f"Keyturn: key rotation of {project.name} is {when}"),
        text=(
            f"The encryption key of Atlas project {project.name} ({project.project_id}) is {when} for rotation"
            f" (on {day(due)}, every {period_days(project)} days).\n"
            f"Key: {project.key}\nIn use since: {day(cycle_start(project))}{missed}\n\n"
            f"What to do: request the rotation with POST /v1/projects/{project.project_id}/rotations,"
            " or acknowledge this reminder until a date."
        ),
        created_at=now,
        project_id=project.project_id,
        key_id=project.key.key_id if project.key is not None else None,
        rung=rungs[-1],
        recipients=project.policy.recipients,
    )


def rotation_news(kind: NoticeKind, project: Project, rotation: Rotation, now: datetime) -> Notice:
    """A rotation has begun, is being deployed, is done, failed, is blocked or was cancelled."""
    headline, body = _rotation_words(kind, project, rotation)
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


def _rotation_words(kind: NoticeKind, project: Project, rotation: Rotation) -> tuple[str, str]:
    match kind:
        case NoticeKind.ROTATION_STARTED:
            return (
                f"key rotation of {project.name} has been requested",
                (
                    f"Requested by: {rotation.requested_by}\nReason: {rotation.reason or 'none given'}\n"
                    "What to do: nothing; you will be told how it ends."
                ),
            )
        case NoticeKind.ROTATION_DEPLOYING:
            return (
                f"key rotation of {project.name} is being deployed",
                (
                    f"Attention: {banner(rotation)}.\nNew key: {rotation.new_key}\n"
                    "What to do: leave both keys alone until the next message."
                ),
            )
        case NoticeKind.ROTATION_DEPLOYED:
            paused = ", ".join(rotation.paused_clusters)
            still = f"\nPaused clusters still on the old key: {paused}." if paused else ""
            return (
                f"key rotation of {project.name} is done",
                (
                    f"Every running cluster uses the new key {rotation.new_key}.{still}\n"
                    f"Keep the old key {rotation.old_key}: snapshots still need it. You will be told when it is free."
                ),
            )
        case NoticeKind.ROTATION_CANCELLED:
            return (
                f"key rotation of {project.name} was cancelled",
                f"By: {rotation.cancel_requested_by}\nThe project keeps its key {rotation.old_key}.",
            )
        case NoticeKind.ROTATION_BLOCKED:
            return (
                f"key rotation of {project.name} waits for a person",
                f"{'; '.join(rotation.waiting_for)}\nWhat to do: mend this; the rotation goes on by itself.",
            )
        case _:
            problem = rotation.error.detail if rotation.error is not None else "unknown"
            made = f"\nA new key was made and is not used: {rotation.new_key}." if rotation.new_key else ""
            return (
                f"key rotation of {project.name} failed",
                (
                    f"Why: {problem}\nThe settings name {rotation.old_key} or what a person chose.{made}\n"
                    "What to do: mend the cause, then request the rotation again."
                ),
            )


def drift(project: Project, code: str, text: str, now: datetime) -> Notice:
    """Something was changed from outside."""
    return Notice(
        notice_id=notice_id("drift", project.project_id, code, now),
        kind=NoticeKind.DRIFT,
        subject=subject_line(f"Keyturn: {project.name}: {code.replace('_', ' ')}"),
        text=f"Project {project.name} ({project.project_id}): {text}\nKeyturn has changed nothing.",
        created_at=now,
        project_id=project.project_id,
        key_id=project.key.key_id if project.key is not None else None,
        recipients=project.policy.recipients,
        detail={"drift": code},
    )


def atlas_unreachable(project: Project, text: str, now: datetime) -> Notice:
    """A project could not be read."""
    return Notice(
        notice_id=notice_id("unreachable", project.project_id, text, now),
        kind=NoticeKind.ATLAS_UNREACHABLE,
        subject=subject_line(f"Keyturn: {project.name} could not be read"),
        text=f"Project {project.name} ({project.project_id}) could not be read: {text}",
        created_at=now,
        project_id=project.project_id,
        recipients=project.policy.recipients,
    )


def key_is_safe(key: Key) -> Notice:
    """Nothing needs the key any more, and this is the proof."""
    return _about_key(
        NoticeKind.KEY_SAFE,
        key,
        f"key {key.arn.key_id} is safe to delete",
        f"Nothing needs {key.arn} any more: two sweeps at least 24 hours apart found no snapshot, window, cluster or"
        f" project that does.\nProof: {key.proof_digest}\n\n"
        f"What to do: request its deletion with POST /v1/keys/{key.arn.key_id}/deletion; another person approves.",
    )


def key_is_needed_again(key: Key) -> Notice:
    """A key that was safe is needed after all."""
    reasons = "\n".join(f"- {reason.text}" for reason in key.reasons)
    return _about_key(
        NoticeKind.KEY_NEEDED_AGAIN,
        key,
        f"key {key.arn.key_id} is needed again",
        f"{key.arn} was safe to delete and is not any more:\n{reasons}\n\nWhat to do: do not delete it.",
    )


def _about_key(kind: NoticeKind, key: Key, headline: str, body: str) -> Notice:
    moment = key.swept_at or key.first_seen_at
    return Notice(
        notice_id=notice_id(kind, key.arn, moment),
        kind=kind,
        subject=subject_line(f"Keyturn: {headline}"),
        text=f"{headline[0].upper()}{headline[1:]}.\n{body}",
        created_at=moment,
        key_id=key.arn.key_id,
        project_id=key.projects[0] if len(key.projects) == 1 else None,
        detail={"proof": key.proof_digest or "", "key": str(key.arn)},
    )
