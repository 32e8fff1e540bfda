"""The rehearsal: what the days ahead bring one project if nothing changes, and every rotation is made on its due day.

It lives the ladder itself ahead of time, by the same rules, so that what is rehearsed is what will be.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from chalicelib.domain.arn import KeyArn
from chalicelib.domain.countdown import DOLLARS_PER_KEY_MONTH, free_at
from chalicelib.domain.cycle import begin, renewed
from chalicelib.domain.records import Key, Project
from chalicelib.domain.reminders import rungs_owed, waits_for_digest, wind
from chalicelib.domain.vocabulary import KeyState, Mode, Strategy

_GONE = frozenset({KeyState.DELETED, KeyState.PENDING_DELETION})
_STEP = timedelta(hours=1)
"""How far to go on where nothing is owed at the moment that was named: the schedule's own beat."""


@dataclass(frozen=True, kw_only=True)
class Mail:
    """One reminder to come."""

    at: datetime
    rung: int
    in_digest: bool


@dataclass(frozen=True, kw_only=True)
class KeyAhead:
    """A key's days ahead; `arn` is None for one that is not made yet, `free_at` None while nobody can say."""

    arn: KeyArn | None
    since: datetime | None
    replaced_at: datetime | None = None
    free_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Rehearsal:
    """What the days ahead bring one project."""

    project: Project
    mails: tuple[Mail, ...]
    rotations: tuple[datetime, ...]
    keys: tuple[KeyAhead, ...]

    def alive(self, moment: datetime) -> int:
        """How many keys cost money at a moment, if each is given up as soon as it is free and its quarantine over."""
        quarantine = timedelta(days=self.project.policy.quarantine_days)
        return sum(
            (key.since is None or key.since <= moment) and (key.free_at is None or moment < key.free_at + quarantine)
            for key in self.keys
        )

    def dollars(self, moment: datetime) -> float:
        """What these keys cost in a month."""
        return self.alive(moment) * DOLLARS_PER_KEY_MONTH


@dataclass(kw_only=True)
class _Life:
    """The project as it goes on, and what has happened to it."""

    project: Project
    kept_for: timedelta | None
    mails: list[Mail] = field(default_factory=list)
    rotations: list[datetime] = field(default_factory=list)
    old: list[KeyAhead] = field(default_factory=list)
    current: KeyAhead | None = None


def rehearse(project: Project, keys: Iterable[Key], now: datetime, *, days: int) -> Rehearsal:
    """Live so many days ahead."""
    known = tuple(keys)
    old = [_ahead(key) for key in known if key.state not in _GONE and key.arn != project.key]
    current = KeyAhead(arn=project.key, since=project.key_since) if project.key is not None else None
    life = _Life(project=project, kept_for=keeps_for(known), old=old, current=current)
    if project.open_rotation is not None:
        _rotate(life, now)
    _live(life, now, now + timedelta(days=days))
    return Rehearsal(
        project=project,
        mails=tuple(life.mails),
        rotations=tuple(life.rotations),
        keys=(*life.old, *((life.current,) if life.current is not None else ())),
    )


def keeps_for(keys: Iterable[Key]) -> timedelta | None:
    """How long an old key is needed once it is replaced: the longest that any is or was; None before one was swept."""
    kept = [
        until - key.replaced_at for key in keys if key.replaced_at is not None and (until := free_at(key)) is not None
    ]
    return max(kept, default=None)


def _ahead(key: Key) -> KeyAhead:
    return KeyAhead(arn=key.arn, since=key.first_seen_at, replaced_at=key.replaced_at, free_at=free_at(key))


def _live(life: _Life, now: datetime, end: datetime) -> None:
    life.project = wind(life.project, now)
    while life.project.next_reminder_at is not None and life.project.next_reminder_at <= end:
        at = max(life.project.next_reminder_at, now)
        owed = rungs_owed(life.project, at)
        if not owed:
            now = at + _STEP
            life.project = wind(life.project, now)
            continue
        now = at
        _speak(life, owed[-1], at)


def _speak(life: _Life, rung: int, at: datetime) -> None:
    due = rung >= 0
    if not due or life.project.policy.mode is Mode.REMIND:
        life.mails.append(Mail(at=at, rung=rung, in_digest=waits_for_digest(life.project, rung)))
    life.project = wind(replace(life.project, last_rung=rung), at)
    if due:
        _rotate(life, at)


def _rotate(life: _Life, at: datetime) -> None:
    life.rotations.append(at)
    rotated = replace(life.project, open_rotation=None)
    if life.project.policy.strategy is not Strategy.NEW_CMK:
        life.project = wind(renewed(rotated, at), at)
        return
    if life.current is not None:
        until = at + life.kept_for if life.kept_for is not None else None
        life.old.append(replace(life.current, replaced_at=at, free_at=until))
    life.current = KeyAhead(arn=None, since=at)
    life.project = wind(begin(rotated, None, at, rotated.generation + 1), at)
