"""Steers: an operator changes a project's policy or acknowledges its reminder."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from chalicelib.domain.records import AuditEntry, Change, Policy, Project
from chalicelib.domain.refusals import No, Refusal
from chalicelib.domain.reminders import forget_rungs_ahead, next_reminder_at
from chalicelib.usecases.locate import project_named
from chalicelib.usecases.ports import Outside


def change_policy(
    outside: Outside,
    project_id: str,
    changed: dict[str, object],
    *,
    who: str,
    if_version: Collection[str] | None = None,
) -> Project:
    """Change the named fields of a project's policy and set its ladder anew; `if_version` names who may be changed.

    Raises Refusal for a project that has another version by now; one written in between is the tracker's Conflict.
    """
    project = project_named(outside, project_id)
    if if_version is not None and str(project.version) not in if_version:
        raise Refusal(No.STALE, "the project has changed since it was read: read it again")
    now = outside.now()
    policy: Policy = replace(project.policy, **changed)  # type: ignore[arg-type]  # the door has checked each field
    steered = replace(project, policy=policy)
    steered = replace(steered, last_rung=forget_rungs_ahead(steered, now))
    steered = replace(steered, next_reminder_at=next_reminder_at(steered, now))
    entry = AuditEntry(
        at=now,
        who=who,
        what="policy changed",
        subject=project_id,
        before=str({name: getattr(project.policy, name) for name in changed}),
        after=str(changed),
    )
    outside.tracker.commit(Change(records=(steered,), audit=(entry,)))
    return replace(steered, version=steered.version + 1)


def acknowledge(outside: Outside, project_id: str, *, until: datetime, comment: str, who: str) -> Project:
    """Be quiet about a project until a date."""
    project = project_named(outside, project_id)
    now = outside.now()
    if until <= now:
        raise Refusal(No.INVALID, "`until` must lie in the future")
    quiet = replace(project, quiet_until=until, acknowledged_by=who)
    quiet = replace(quiet, next_reminder_at=next_reminder_at(quiet, now))
    entry = AuditEntry(
        at=now, who=who, what="reminder acknowledged", subject=project_id, why=comment, after=until.isoformat()
    )
    outside.tracker.commit(Change(records=(quiet,), audit=(entry,)))
    return replace(quiet, version=quiet.version + 1)
