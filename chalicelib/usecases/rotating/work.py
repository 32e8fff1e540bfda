"""What a step is given and what it comes to; the words that every step ends with."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from chalicelib.domain.observed import Settings
from chalicelib.domain.records import AuditEntry, Change, Notice, Problem, Project, Record, Rotation
from chalicelib.domain.rotation import Event, backoff
from chalicelib.domain.vocabulary import NoticeKind
from chalicelib.usecases.ports import Outside, TemporaryError

AT_ONCE = timedelta(0)


FRESH = timedelta(seconds=10)
"""How old what was seen may be when the settings are changed on its strength."""


@dataclass(frozen=True, kw_only=True)
class Sight:
    """The settings as somebody saw them, and when."""

    settings: Settings
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Work:
    """One step's place: the outside, the rotation and project as read, and the moment of the step.

    `may_go_on` says that the same wake-up takes the next step if nothing has to be waited for; `sight` and `marked`
    are what its step before saw, and whether that has announced the change of settings already.
    """

    outside: Outside
    project: Project
    rotation: Rotation
    now: datetime
    may_go_on: bool = False
    sight: Sight | None = None
    marked: bool = False

    @property
    def fresh_sight(self) -> Sight | None:
        """What this wake-up has just seen, None when it is too old to act on now, however long the step has taken."""
        return self.sight if self.sight is not None and self.outside.now() < self.sight.at + FRESH else None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a step has come to: the rotation as it is now, what else changed, and when to look again."""

    rotation: Rotation
    event: Event | None = None
    others: tuple[Record, ...] = ()
    look_again: timedelta = AT_ONCE
    news: tuple[NoticeKind, ...] = ()
    notices: tuple[Notice, ...] = ()
    entries: tuple[AuditEntry, ...] = ()
    seen: Settings | None = None
    """The settings as the step saw them: trouble in them is told at once, and the next step may act on them."""
    marked: bool = False
    """The change of settings is announced in this very record: the next step only has to send it."""


def write_ahead(work: Work, rotation: Rotation, *entries: AuditEntry) -> Work:
    """Make a mark durable before the effect that it announces: a crash in between is found by looking, not guessed."""
    work.outside.tracker.commit(Change(records=(rotation,), audit=entries))
    return replace(work, rotation=replace(rotation, version=rotation.version + 1))


def put_off(rotation: Rotation, problem: TemporaryError) -> Outcome:
    """Try the step again later, at the moment that was asked for or ever more slowly."""
    attempts, asked = rotation.attempts + 1, problem.retry_after
    pause = timedelta(seconds=max(1.0, asked)) if asked is not None else backoff(attempts)
    return Outcome(rotation=replace(rotation, attempts=attempts, waiting_for=(problem.message,)), look_again=pause)


def refuse(work: Work, problem: Problem, *others: Record) -> Outcome:
    """The rotation ends here, with its reason."""
    return Outcome(
        rotation=replace(work.rotation, error=problem, waiting_for=()),
        event=Event.REFUSED,
        others=others,
        news=(NoticeKind.ROTATION_FAILED,),
    )


def wait(work: Work, what_for: str, look_again: timedelta) -> Outcome:
    """Nothing to do but to look again; waiting is no failure."""
    return Outcome(rotation=replace(work.rotation, attempts=0, waiting_for=(what_for,)), look_again=look_again)


def audit(work: Work, what: str, *, before: str, after: str) -> AuditEntry:
    """One line of the trail about this rotation."""
    return AuditEntry(
        at=work.now,
        who=work.rotation.rollback_requested_by or work.rotation.requested_by,
        what=what,
        subject=work.project.project_id,
        why=work.rotation.reason or work.rotation.rotation_id,
        before=before,
        after=after,
    )
