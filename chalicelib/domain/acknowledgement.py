"""What Atlas' own alert about a key's age means to us, and what is ours to say to it.

An alert that people acknowledged in Atlas makes us quiet as long as it does them. An alert that is still open some
time after a rotation is about material that is no longer in use: it is acknowledged in the rotation's name.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from chalicelib.domain.observed import AtlasAlert
from chalicelib.domain.records import AuditEntry, Project, Rotation
from chalicelib.domain.reminders import cycle_start, due_at, period_days, wind
from chalicelib.domain.vocabulary import RotationState

ATLAS_RESETS_WITHIN = timedelta(hours=6)
"""How long after a rotation Atlas may take to close its alert by itself; nobody says."""

NOT_ACKNOWLEDGED = "alert_not_acknowledged"
"""The drift of a project whose alert Atlas did not let us acknowledge."""

_OURS = "Keyturn rotation "
_DAY = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Acknowledgement:
    """What Atlas is to be told of one alert."""

    alert_id: str
    until: datetime
    comment: str


def is_worth_asking(project: Project, now: datetime) -> bool:
    """Whether Atlas may hold an alert that matters here: the key is old enough, or something waits for an answer."""
    if project.key is None or project.open_rotation is not None:
        return False
    waits = project.alert_to_answer is not None or project.quiet_in_atlas_until is not None
    return waits or _is_old_enough(project, now)


def _is_old_enough(project: Project, now: datetime) -> bool:
    """Atlas counts from the change of settings: what KMS rotates by itself it does not see."""
    if project.atlas_threshold_days is None or project.key_since is None:
        return False
    return now - project.key_since >= project.atlas_threshold_days * _DAY


def be_quiet_with_atlas(project: Project, alerts: Iterable[AtlasAlert], now: datetime) -> Project:
    """The project, quiet until people said so in Atlas; what they took back there no longer counts.

    An alert that was raised before the present cycle is about another key or material, and one that we
    acknowledged ourselves is nobody's wish.
    """
    start = cycle_start(project)
    counting = [
        (alert.acknowledged_until, alert.acknowledged_by)
        for alert in alerts
        if alert.acknowledged_until is not None
        and alert.acknowledged_until > now
        and not alert.comment.startswith(_OURS)
        and start is not None
        and alert.opened_at >= start
    ]
    until, who = max(counting, key=lambda one: one[0], default=(None, None))
    if (until, who) == (project.quiet_in_atlas_until, project.quiet_in_atlas_by):
        return project
    quiet = replace(project, quiet_in_atlas_until=until, quiet_in_atlas_by=who)
    return wind(quiet, now)


def told_by_atlas(before: Project, after: Project, alerts: Iterable[AtlasAlert], now: datetime) -> AuditEntry | None:
    """The line of the trail about an acknowledgement that was made, changed or taken back in Atlas."""
    until, former = after.quiet_in_atlas_until, before.quiet_in_atlas_until
    if (until, after.quiet_in_atlas_by) == (former, before.quiet_in_atlas_by):
        return None
    if until is None and former is not None and former <= now:
        return None
    said = next((alert.comment for alert in alerts if alert.acknowledged_until == until), "")
    who = after.quiet_in_atlas_by or before.quiet_in_atlas_by or "somebody"
    return AuditEntry(
        at=now,
        who=f"atlas: {who}" if until is not None else "atlas",
        what="alert acknowledged in Atlas" if until is not None else "acknowledgement withdrawn in Atlas",
        subject=after.project_id,
        why=said if until is not None else "",
        before=former.isoformat() if former is not None else "",
        after=until.isoformat() if until is not None else "",
    )


def must_wait(rotation: Rotation | None, now: datetime) -> bool:
    """Whether Atlas may still close the alert of this rotation by itself."""
    ended = rotation.ended_at if rotation is not None else None
    return ended is not None and now - ended < ATLAS_RESETS_WITHIN


def left_open(rotation: Rotation | None, alerts: Iterable[AtlasAlert]) -> tuple[AtlasAlert, ...]:
    """The alerts about what a deployed rotation has replaced."""
    if rotation is None or rotation.state is not RotationState.DEPLOYED or rotation.ended_at is None:
        return ()
    return tuple(alert for alert in alerts if alert.opened_at <= rotation.ended_at)


def answered_already(rotation: Rotation, alerts: Iterable[AtlasAlert]) -> tuple[AtlasAlert, ...]:
    """The alerts that carry this rotation's acknowledgement: it was sent, and perhaps nobody wrote that down."""
    return tuple(alert for alert in alerts if alert.comment.startswith(f"{_OURS}{rotation.rotation_id} "))


def answers(
    project: Project, rotation: Rotation, alerts: Iterable[AtlasAlert], now: datetime
) -> tuple[Acknowledgement, ...]:
    """What to tell Atlas of each alert that nobody has acknowledged: until the next rotation is due."""
    due = due_at(project)
    until = max(due if due is not None else now + period_days(project) * _DAY, now + _DAY)
    comment = f"{_OURS}{rotation.rotation_id} ({rotation.strategy}) is deployed since {rotation.ended_at:%Y-%m-%d}"
    return tuple(
        Acknowledgement(alert_id=alert.alert_id, until=until, comment=comment)
        for alert in alerts
        if alert.acknowledged_until is None or alert.acknowledged_until <= now
    )
