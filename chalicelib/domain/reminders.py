"""When a rotation is due and which reminder is owed: by the next unsent rung, never by equality of days.

The ladder counts days from the due date. After its last rung a reminder follows every week. The highest rung whose
time has come and that was not spoken yet is owed; the ones below it that were missed are spoken with it, in one
message. Where the policy wants a digest, rungs before the due day wait for its hour.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count, takewhile

from chalicelib.domain.counting import counted
from chalicelib.domain.records import Policy, Project
from chalicelib.domain.refusals import No, Refusal
from chalicelib.domain.vocabulary import Mode

DEFAULT_PERIOD_DAYS = 90
"""The threshold of Atlas' own alert for new projects."""

LONGEST_QUIET_DAYS = 90
"""How far ahead silence may be asked for: it puts off what a policy rotates by itself too, so it ends within one period
of Atlas' own alert; whoever needs longer means another rotation period."""

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
    """The rungs within a cycle: nobody who has just rotated is told that the next rotation is near."""
    rungs = {rung for rung in project.policy.ladder if -rung < period_days(project)}
    if project.policy.mode is Mode.ROTATE:
        rungs.add(0)
    return tuple(sorted(rungs)) or (0,)


def check_quiet(until: datetime, now: datetime) -> None:
    """Refuse silence that is over already, or so long that a rotation would be forgotten."""
    if until <= now:
        raise Refusal(No.INVALID, "`until` must lie in the future")
    if until > now + LONGEST_QUIET_DAYS * _DAY:
        text = (
            f"`until` may lie {counted(LONGEST_QUIET_DAYS, 'day')} ahead at the most: acknowledge again then, or set a"
            " longer rotation period"
        )
        raise Refusal(No.INVALID, text)


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


def waits_for_digest(project: Project, rung: int) -> bool:
    """Whether a rung is spoken in a digest: one before the due day, where the policy says so."""
    return project.policy.digest and rung < 0


def wind(project: Project, now: datetime) -> Project:
    """Set when the project's ladder is looked at next, and by whom."""
    at = next_reminder_at(project, now)
    rungs = rungs_owed(project, at) if at is not None else ()
    if at is None or not rungs or not waits_for_digest(project, rungs[-1]):
        return replace(project, next_reminder_at=at, in_digest=False)
    return replace(project, next_reminder_at=_at_hour(at, project.policy.digest_hour), in_digest=True)


def _at_hour(moment: datetime, hour: int) -> datetime:
    """The first time, at or after a moment, that it is this hour of the day in UTC."""
    that_day = moment.astimezone(UTC).replace(hour=hour, minute=0, second=0, microsecond=0)
    return that_day if moment <= that_day else that_day + _DAY


def follow_policy(project: Project, policy: Policy, own: tuple[str, ...], now: datetime) -> Project:
    """The project under another policy, its ladder set anew."""
    steered = replace(project, policy=policy, policy_own=own)
    return wind(replace(steered, last_rung=forget_rungs_ahead(steered, now)), now)


def next_reminder_at(project: Project, now: datetime) -> datetime | None:
    """When a rung is owed next, leaving digests aside; None for a project that has no due date."""
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
