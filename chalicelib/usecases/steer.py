"""Steers: an operator changes a policy, a project's or the fleet's, or acknowledges a reminder."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from chalicelib.domain.policies import FIELDS, FLEET, read_wishes, same_wishes, steer
from chalicelib.domain.records import AuditEntry, Change, Fleet, Policy, Project
from chalicelib.domain.refusals import No, Refusal
from chalicelib.domain.reminders import check_quiet, wind
from chalicelib.domain.wording_policy import change_told, wishes_named
from chalicelib.usecases.locate import project_named
from chalicelib.usecases.ports import Outside


def change_policy(
    outside: Outside,
    project_id: str,
    changed: dict[str, object],
    *,
    who: str,
    inherited: Collection[str] = (),
    if_version: Collection[str] | None = None,
) -> Project:
    """Change the named fields of a project's policy, leave the `inherited` ones to the fleet, and set its ladder anew.

    Where nothing comes of it, nothing is written.

    `if_version` names the versions that may be changed. Raises Refusal for a project that has another by now, for a
    field that is both changed and inherited, and for a wish that could never come true; one written in between is the
    tracker's Conflict.
    """
    wishes = read_wishes(changed)
    project = project_named(outside, project_id)
    _only(project.version, if_version, "the project")
    both = sorted(wishes.keys() & set(inherited))
    if both:
        raise Refusal(No.INVALID, f"{', '.join(both)} cannot be set and left to the fleet at once")
    now = outside.now()
    steered = steer(project, outside.tracker.fleet().policy, wishes, inherited, now)
    if same_wishes(project, steered, (*wishes, *inherited)):
        return project
    entry = AuditEntry(
        at=now,
        who=who,
        what="policy changed",
        subject=project_id,
        after=_told(project.policy, steered.policy, wishes, inherited),
        why=f"left to the fleet: {wishes_named(inherited)}" if inherited else "",
    )
    outside.tracker.commit(Change(records=(steered,), audit=(entry,)))
    return replace(steered, version=steered.version + 1)


def change_defaults(
    outside: Outside, changed: dict[str, object], *, who: str, if_version: Collection[str] | None = None
) -> Fleet:
    """Change what holds for every project that wishes nothing else; each takes it up at its next daily look."""
    wishes = read_wishes(changed)
    fleet = outside.tracker.fleet()
    _only(fleet.version, if_version, "the fleet's policy")
    now = outside.now()
    policy: Policy = replace(fleet.policy, **wishes)
    if policy == fleet.policy:
        return fleet
    steered = replace(fleet, policy=policy)
    entry = AuditEntry(
        at=now,
        who=who,
        what="policy changed",
        subject=FLEET,
        after=_told(fleet.policy, policy, wishes),
    )
    outside.tracker.commit(Change(records=(steered,), audit=(entry,)))
    return replace(steered, version=steered.version + 1)


def _only(version: int, wanted: Collection[str] | None, what: str) -> None:
    if wanted is not None and str(version) not in wanted:
        raise Refusal(No.STALE, f"{what} has changed since it was read: read it again")


def _told(before: Policy, after: Policy, *names: Collection[str]) -> str:
    named = {name for those in names for name in those}
    return change_told(before, after, [name for name in FIELDS if name in named])


def acknowledge(outside: Outside, project_id: str, *, until: datetime, comment: str, who: str) -> Project:
    """Be quiet about a project until a date; what its policy rotates by itself waits as long."""
    project = project_named(outside, project_id)
    now = outside.now()
    check_quiet(until, now)
    quiet = wind(replace(project, quiet_until=until, acknowledged_by=who), now)
    entry = AuditEntry(
        at=now, who=who, what="reminder acknowledged", subject=project_id, why=comment, after=until.isoformat()
    )
    outside.tracker.commit(Change(records=(quiet,), audit=(entry,)))
    return replace(quiet, version=quiet.version + 1)
