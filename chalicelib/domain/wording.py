"""What people read: one function a notice, each readable in ten seconds: what, which, since when, what to do.

The id of a notice is made from what it is about, so that saying the same thing twice is impossible.
"""

import hashlib
from datetime import datetime, timedelta

from chalicelib.domain.counting import counted
from chalicelib.domain.records import Key, Notice, Project
from chalicelib.domain.reminders import cycle_start, due_at, period_days
from chalicelib.domain.vocabulary import NoticeKind

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
    late = "due today" if not overdue else f"overdue by {counted(overdue, 'day')}"
    when = f"due in {counted(-overdue, 'day')}" if now < due else late
    missed = f"\nEarlier reminders that could not be sent: {len(rungs) - 1}." if len(rungs) > 1 else ""
    return Notice(
        notice_id=notice_id("reminder", project.project_id, cycle_start(project), due, rungs[-1]),
        kind=NoticeKind.REMINDER,
        subject=subject_line(f"Keyturn: key rotation of {project.name} is {when}"),
        text=(
            f"The encryption key of Atlas project {project.name} ({project.project_id}) is {when} for rotation"
            f" (on {day(due)}, every {counted(period_days(project), 'day')}).\n"
            f"Key: {project.key}\nIn use since: {day(cycle_start(project))}{missed}\n\n"
            f"What to do: see with `keyturn rotate {project.project_id} --dry-run` whether it would go through, then"
            " rotate it without `--dry-run` (POST /v1/projects/"
            f"{project.project_id}/rotations), or be left in peace until a day with `keyturn ack {project.project_id}`."
        ),
        created_at=now,
        project_id=project.project_id,
        key_id=project.key.key_id if project.key is not None else None,
        rung=rungs[-1],
        recipients=project.policy.recipients,
        escalate=overdue >= project.policy.escalate_after_days,
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
