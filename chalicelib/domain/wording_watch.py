"""What people read of what nobody did and yet somebody should know: what waits, expires, piles up, or begins."""

from datetime import datetime, timedelta

from chalicelib.domain.acknowledgement import NOT_ACKNOWLEDGED
from chalicelib.domain.counting import counted
from chalicelib.domain.expiry import Expiry, days_left
from chalicelib.domain.observed import AtlasProject
from chalicelib.domain.records import Notice, Project, Rotation
from chalicelib.domain.reminders import due_at, period_days
from chalicelib.domain.vocabulary import Mode, NoticeKind
from chalicelib.domain.waiting import waits_for, waits_since
from chalicelib.domain.wording import day, drift, notice_id, subject_line

MOST_LINES = 50
"""How many projects an email names; the others are counted."""


def alert_not_acknowledged(project: Project, why: str, now: datetime) -> Notice:
    """A rotation is done, Atlas' alert is still open, and Keyturn may not acknowledge it."""
    return drift(
        project,
        NOT_ACKNOWLEDGED,
        (
            f"its key was rotated, but Atlas' alert about that is still open and was not acknowledged: {why}\n"
            "What to do: acknowledge the alert in Atlas, or give the reader the role Project Alerts Manager."
        ),
        now,
    )


def encryption_enabled(project: Project, now: datetime) -> Notice:
    """A project has begun to encrypt with a customer key: what Keyturn will do from now on."""
    rotates = project.policy.mode is Mode.ROTATE
    then = "the rotation starts by itself" if rotates else "you are reminded before, and request the rotation"
    return Notice(
        notice_id=notice_id("encryption enabled", project.project_id, project.key),
        kind=NoticeKind.ENCRYPTION_ENABLED,
        subject=subject_line(f"Keyturn: {project.name} encrypts with a customer key now"),
        text=(
            f"Atlas project {project.name} ({project.project_id}) has begun to encrypt with the key {project.key}.\n"
            f"From now on Keyturn watches over it: the next rotation is due on {day(due_at(project))}, every"
            f" {counted(period_days(project), 'day')}, and {then}. No key that a snapshot still needs will be called"
            " free.\n"
            f"What to do: nothing; to change any of this, PATCH /v1/projects/{project.project_id}/policy."
        ),
        created_at=now,
        project_id=project.project_id,
        key_id=project.key.key_id if project.key is not None else None,
        recipients=project.policy.recipients,
    )


def rotation_waits(project: Project, rotation: Rotation, now: datetime) -> Notice:
    """A rotation makes no headway for more than a day; told once for each day."""
    since = waits_since(rotation)
    days = (now - since) // timedelta(days=1)
    waiting = "\n".join(f"- {one}" for one in waits_for(rotation))
    return Notice(
        notice_id=notice_id("rotation waits", rotation.rotation_id, rotation.state, since, days),
        kind=NoticeKind.ROTATION_BLOCKED,
        subject=subject_line(f"Keyturn: key rotation of {project.name} waits for {days} day{'s' if days > 1 else ''}"),
        text=(
            f"The key rotation {rotation.rotation_id} of project {project.name} ({project.project_id}) is"
            f" {rotation.state} since {day(since)} and waits for:\n{waiting}\n"
            "What to do: see to what it waits for; it goes on by itself. Leave both keys alone until it has ended."
        ),
        created_at=now,
        project_id=project.project_id,
        key_id=(rotation.new_key or rotation.old_key).key_id,
        recipients=project.policy.recipients,
        escalate=True,
        detail={"rotation_id": rotation.rotation_id, "state": rotation.state},
    )


def organization_unreachable(organization: str, why: str, now: datetime) -> Notice:
    """Atlas does not let a whole organization be looked at; told once a day."""
    return Notice(
        notice_id=notice_id("organization unreachable", organization, day(now)),
        kind=NoticeKind.ATLAS_UNREACHABLE,
        subject=subject_line(f"Keyturn: Atlas organization {organization} cannot be looked at"),
        text=(
            f"The projects of Atlas organization {organization} could not be listed: {why}\n"
            "Until this is mended nobody sees there what changes: new projects, keys changed by hand, keys that Atlas"
            " finds invalid. Reminders go on by what is known; no key is called free, and none is taken away.\n"
            "What to do: mend what the first line names. The next look, within a day, takes it up; this is told once a"
            " day until then."
        ),
        created_at=now,
        escalate=True,
        detail={"organization": organization},
    )


def secret_unread(secret: str, why: str, now: datetime) -> Notice:
    """The secret of an organization cannot be read, so that none of its projects is seen; told once a day."""
    return Notice(
        notice_id=notice_id("secret unread", secret, day(now)),
        kind=NoticeKind.ATLAS_UNREACHABLE,
        subject=subject_line(f"Keyturn: the Atlas organization of secret {secret} cannot be looked at"),
        text=(
            f"The Atlas organization of the secret {secret} cannot be looked at, nor rotated: {why}\n"
            "Until this is mended nobody sees there what changes, and rotations wait or fail. Reminders go on by what"
            " is known; no key is called free, and none is taken away. Other organizations are not held up.\n"
            "What to do: mend the secret in Secrets Manager, or take it out of the stack's parameter AtlasSecrets. The"
            " next look, within a day, takes it up; this is told once a day until then."
        ),
        created_at=now,
        escalate=True,
        detail={"secret": secret},
    )


def projects_not_looked_at(organization: str, failed: tuple[tuple[AtlasProject, str], ...], now: datetime) -> Notice:
    """Projects of an organization that the daily look failed for, each with why; told once a day."""
    lines = "\n".join(f"- {found.name} ({found.project_id}): {why}" for found, why in failed[:MOST_LINES])
    more = f"\n… and {len(failed) - MOST_LINES} more." if len(failed) > MOST_LINES else ""
    number = counted(len(failed), "project")
    return Notice(
        notice_id=notice_id("projects not looked at", organization, day(now)),
        kind=NoticeKind.ATLAS_UNREACHABLE,
        subject=subject_line(f"Keyturn: {number} of Atlas organization {organization} could not be looked at"),
        text=(
            f"The daily look failed for {number} of Atlas organization {organization}:\n{lines}{more}\n"
            "Until this is mended nobody sees there what changes. Reminders go on by what is known; no key is called"
            " free, and none is taken away.\n"
            "What to do: mend what the lines name. The next look, within a day, takes it up; this is told once a day"
            " until then."
        ),
        created_at=now,
        escalate=True,
        detail={"organization": organization},
    )


def secret_expires(expiry: Expiry, rung: int, now: datetime) -> Notice:
    """A secret of a service account expires soon, or has expired."""
    left = days_left(expiry, now)
    when = f"expires in {left} day{'s' if left > 1 else ''}" if left > 0 else "has expired"
    return Notice(
        notice_id=notice_id("secret expires", expiry.client_id, expiry.at, rung),
        kind=NoticeKind.SECRET_EXPIRES,
        subject=subject_line(f"Keyturn: a secret of the Atlas {expiry.role} {when}"),
        text=(
            f"A secret of Atlas service account {expiry.client_id}, the {expiry.role} of organization"
            f" {expiry.organization}, {when} ({day(expiry.at)}). Without it Keyturn cannot"
            f" {'rotate' if expiry.role == 'owner' else 'look'} any more.\n"
            "What to do: make a new secret for the service account in Atlas and put it into the organization's secret"
            " in Secrets Manager; Keyturn takes it up within an hour. Then delete the old one in Atlas."
        ),
        created_at=now,
        rung=rung,
        escalate=rung >= -1,
        detail={"organization": expiry.organization, "client_id": expiry.client_id},
    )


def dead_letters(queue: str, messages: int, now: datetime) -> Notice:
    """A queue of messages that could not be handled has something in it."""
    return Notice(
        notice_id=notice_id("dead letters", queue, now),
        kind=NoticeKind.DEAD_LETTERS,
        subject=subject_line(f"Keyturn: {queue} is not empty"),
        text=(
            f"The dead-letter queue {queue} holds {messages} message{'s' if messages > 1 else ''} that Keyturn could"
            " not handle, however often it tried.\n"
            "What to do: look into the functions' logs for the error, mend its cause, then have the messages handled"
            " again (in the SQS console: Start DLQ redrive), or purge them. They carry ids and no decision, so that"
            " handling one again does no harm. This is told once until the queue has been empty."
        ),
        created_at=now,
        escalate=True,
        detail={"queue": queue, "messages": str(messages)},
    )
