"""The digest: one message a day for all projects of the same recipients whose due day draws near, the nearest first.

A digest is spoken like a reminder, each rung once: its desk holds what it spoke until every project's own record says
so, and is cleared before the next digest is begun.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from chalicelib.domain.counting import agreeing, counted
from chalicelib.domain.records import AuditEntry, Desk, Notice, Project, Told
from chalicelib.domain.reminders import cycle_start, due_at, rungs_owed, waits_for_digest, wind
from chalicelib.domain.vocabulary import NoticeKind
from chalicelib.domain.wording import day, notice_id, subject_line

MOST_TOLD = 2000
"""Of how many projects one digest speaks: its desk is one record, and DynamoDB takes 400 KB."""

MOST_LINES = 50
"""How many projects an email names; the others are counted."""


@dataclass(frozen=True, kw_only=True)
class Digest:
    """What is to be said to one group, and the desk as it stands once it is said."""

    desk: Desk
    notice: Notice


def group_of(project: Project) -> str:
    """Name the group whose digest a project belongs to: the same recipients, the same hour."""
    wanted = json.dumps([sorted(set(project.policy.recipients)), project.policy.digest_hour])
    return hashlib.sha256(wanted.encode()).hexdigest()[:16]


def owes_digest(project: Project, now: datetime) -> bool:
    """Whether a project owes a rung that is spoken in a digest."""
    owed = rungs_owed(project, now)
    return bool(owed) and waits_for_digest(project, owed[-1])


def compose(desk: Desk, projects: Iterable[Project], now: datetime) -> Digest | None:
    """The digest of the projects that owe one; None when none does. The desk must be clear."""
    owing = [project for project in projects if owes_digest(project, now)]
    nearest = sorted(owing, key=lambda project: (due_at(project), project.project_id))[:MOST_TOLD]
    if not nearest:
        return None
    told = tuple(_told(project, now) for project in nearest)
    return Digest(desk=replace(desk, unmarked=told, told_at=now), notice=_notice(desk.group, nearest, told, now))


def _told(project: Project, now: datetime) -> Told:
    start = cycle_start(project)
    assert start is not None  # noqa: S101 - rungs are owed only where a cycle has begun
    return Told(project_id=project.project_id, cycle_start=start, rung=rungs_owed(project, now)[-1])


def mark(project: Project, told: Told, now: datetime) -> tuple[Project, AuditEntry] | None:
    """The project that knows what the digest said of it; None where it knows, or a new cycle has begun."""
    known = project.last_rung is not None and project.last_rung >= told.rung
    if known or cycle_start(project) != told.cycle_start:
        return None
    entry = AuditEntry(
        at=now, who="keyturn", what="reminded", subject=project.project_id, after=f"rung {told.rung}, in a digest"
    )
    return wind(replace(project, last_rung=told.rung), now), entry


def _notice(group: str, projects: list[Project], told: tuple[Told, ...], now: datetime) -> Notice:
    number = len(projects)
    what = f"{counted(number, 'key rotation')} {agreeing(number, 'is', 'are')}"
    headline = f"{what} coming up, the first on {day(due_at(projects[0]))}"
    lines = "\n".join(_line(project, now) for project in projects[:MOST_LINES])
    more = len(projects) - MOST_LINES
    rest = f"\n… and {more} more, all due later: see `keyturn status`." if more > 0 else ""
    return Notice(
        notice_id=notice_id("digest", group, *told),
        kind=NoticeKind.DIGEST,
        subject=subject_line(f"Keyturn: {headline}"),
        text=(
            f"{headline[0].upper()}{headline[1:]}. The nearest first:\n{lines}{rest}\n\n"
            "What to do: rotate each before its day with `keyturn rotate PROJECT_ID --dry-run`, then without"
            " `--dry-run`. On its due day each project is told of by itself."
        ),
        created_at=now,
        recipients=projects[0].policy.recipients,
        detail={"projects": str(len(projects))},
    )


def _line(project: Project, now: datetime) -> str:
    due = due_at(project)
    assert due is not None  # noqa: S101 - as for the cycle
    left = -((now - due) // timedelta(days=1))
    link = f"https://cloud.mongodb.com/v2/{project.project_id}"
    return f"- {day(due)}, in {counted(left, 'day')}: {project.name} ({project.project_id}) {link}"
