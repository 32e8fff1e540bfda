"""When a rotation is due and which reminder is owed: by the next unsent rung, never by equality of days.

The ladder counts days from the due date. After its last rung a reminder follows every week. The highest rung whose
time has come and that was not spoken yet is owed; the ones below it that were missed are spoken with it, in one
message.
"""

from datetime import datetime, timedelta
from itertools import count, takewhile

from chalicelib.domain.records import Mode, Project

DEFAULT_PERIOD_DAYS = 90
"""The threshold of Atlas' own alert for new projects."""

WEEK = 7
_DAY = timedelta(days=1)


def period_days(project: Project) -> int:
    """The rotation period: the project's policy, else the threshold of its Atlas alert, else 90 days."""
    return project.policy.rotation_period_days or project.atlas_threshold_days or DEFAULT_PERIOD_DAYS


def cycle_start(project: Project) -> datetime | None:
    """When the present key, or its present material, came into use; None while no key is known."""
    dates = [d for d in (project.key_since, project.rotated_by_kms_at) if d is not None]
    return max(dates) if project.key_since is not None else None


def due_at(project: Project) -> datetime | None:
    """The day the rotation is due; None for a project that is not covered."""
    start = cycle_start(project)
    if start is None or project.not_covered_because is not None:
        return None
    return start + period_days(project) * _DAY


def _ladder(project: Project) -> tuple[int, ...]:
    rungs = set(project.policy.ladder)
    if project.policy.mode is Mode.ROTATE:
        rungs.add(0)
    return tuple(sorted(rungs)) or (0,)


def rungs_passed(project: Project, now: datetime) -> tuple[int, ...]:
    """Every rung, weekly ones included, whose time has come; lowest first."""
    due = due_at(project)
    if due is None:
        return ()
    ladder = _ladder(project)
    come = [rung for rung in ladder if due + rung * _DAY <= now]
    if len(come) == len(ladder):
        weekly = (ladder[-1] + WEEK * n for n in count(1))
        come += takewhile(lambda rung: due + rung * _DAY <= now, weekly)
    return tuple(come)


def rungs_owed(project: Project, now: datetime) -> tuple[int, ...]:
    """The rungs to speak now, in one message; empty while quiet, while a rotation is open, or up to date."""
    if project.open_rotation is not None or (project.silent_until is not None and now < project.silent_until):
        return ()
    return tuple(r for r in rungs_passed(project, now) if project.last_rung is None or r > project.last_rung)


def next_reminder_at(project: Project, now: datetime) -> datetime | None:
    """When to look at this project's ladder again; None for a project that has no due date."""
    due = due_at(project)
    if due is None:
        return None
    if project.open_rotation is not None:
        return now + _DAY
    if rungs_owed(project, now):
        return now
    if project.silent_until is not None and now < project.silent_until:
        return project.silent_until
    ladder = _ladder(project)
    spoken = project.last_rung if project.last_rung is not None else ladder[0] - 1
    ahead = [rung for rung in ladder if rung > spoken]
    rung = ahead[0] if ahead else spoken + WEEK - (spoken - ladder[-1]) % WEEK
    return due + rung * _DAY


def forget_rungs_ahead(project: Project, now: datetime) -> int | None:
    """The last rung that still counts as spoken after the due date moved: rungs ahead are owed again."""
    passed = rungs_passed(project, now)
    if project.last_rung is None or not passed:
        return None
    return min(project.last_rung, passed[-1])
