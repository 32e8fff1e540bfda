"""Ten years of reminders under schedules that skip, double, come late or stop for days, beside what was owed.

What was owed is worked out here anew, from the cycles that really were and the wishes of the time, not by the ladder's
own code. A message covers a rung when it was written in the rung's own cycle, at or after its time, and names it or a
later one.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random

import pytest
from fake_tracker import FakeTracker
from figures import FULL_SIZE, tell
from simple_world import DAY, HOUR, MINUTE, Killed, World

from chalicelib.domain.arn import KeyArn
from chalicelib.domain.records import Change, Desk, Notice, Policy, Project
from chalicelib.domain.reminders import due_at, next_reminder_at, rungs_owed, wind
from chalicelib.domain.vocabulary import NoticeKind
from chalicelib.domain.wording import reminder
from chalicelib.usecases.digest import send_digests
from chalicelib.usecases.ports import Due, Outside
from chalicelib.usecases.relay import send_all_due
from chalicelib.usecases.remind import remind_all
from chalicelib.usecases.steer import acknowledge

SEED = 20270101
BEGIN = datetime(2027, 1, 1, tzinfo=UTC)
YEARS, PROJECTS, TOGETHER = (10, 1_000, 50) if FULL_SIZE else (2, 40, 20)
LADDERS = ((-30, -14, -7, -1, 0, 1, 7), (-7, 0), (0,), (-60, -1, 3))
PERIODS = (30, 90, 180, 365)
SKEW = 10 * MINUTE
LATEST = timedelta(hours=27)
"""The longest that a rung may wait while the schedules run: for the digest's hour, and for the schedule itself."""


@dataclass(frozen=True, kw_only=True)
class Cycle:
    """One key's time in use, and what was wished then."""

    start: datetime
    ladder: tuple[int, ...]
    period: int


@dataclass(kw_only=True)
class Said:
    """One rung of one project, as a person reads of it."""

    at: datetime
    rung: int
    notice_id: str


class LongMemory(FakeTracker):
    """A tracker that lasts ten years: it tells of each change, and forgets notices once they are sent."""

    def __init__(self, told) -> None:
        super().__init__()
        self._told = told
        self.die_at: Counter[str] = Counter()

    def commit(self, change: Change) -> None:
        self._maybe_die("commit")
        super().commit(change)
        self.commits.clear()
        self._links.clear()
        self._told(change)

    def update_notice(self, notice: Notice) -> Notice:
        if notice.sent_at is not None:
            self._maybe_die("mark")
        kept = super().update_notice(notice)
        if notice.sent_at is not None:
            del self._kept["Notice", notice.notice_id]
        return kept

    def _maybe_die(self, where: str) -> None:
        if self.die_at[where]:
            self.die_at[where] -= 1
            raise Killed


@dataclass(kw_only=True)
class Calendar:
    """Some projects through the years, and the schedules that serve them."""

    seed: int
    projects: int
    verbs: tuple[Callable[[Outside], int], ...] = (remind_all, send_digests, send_all_due)
    world: World = field(init=False)
    cycles: dict[str, list[Cycle]] = field(default_factory=lambda: defaultdict(list))
    quiet: dict[str, list[tuple[datetime, datetime]]] = field(default_factory=lambda: defaultdict(list))
    said: dict[str, list[Said]] = field(default_factory=lambda: defaultdict(list))
    outages: list[tuple[datetime, datetime]] = field(default_factory=list)
    tally: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.luck = Random(self.seed)
        self.world = World(now=BEGIN, tracker=LongMemory(self._hear))
        for number in range(self.projects):
            self._begin(number)

    def _begin(self, number: int) -> None:
        policy = Policy(
            rotation_period_days=self.luck.choice(PERIODS),
            ladder=self.luck.choice(LADDERS),
            digest=bool(number % 2),
            digest_hour=self.luck.randrange(24),
        )
        name = f"{number:024d}"
        since = BEGIN - self.luck.random() * 60 * DAY
        arn = KeyArn(account="111122223333", region="eu-west-1", key_id=name)
        project = Project(
            project_id=name, name=name, organization="o", seen_at=BEGIN, key=arn, key_since=since, policy=policy
        )
        self.world.put(wind(project, BEGIN))
        self._note_cycle(name, since, policy)

    def _note_cycle(self, name: str, start: datetime, policy: Policy) -> None:
        self.cycles[name].append(Cycle(start=start, ladder=policy.ladder, period=policy.rotation_period_days or 0))

    def _hear(self, change: Change) -> None:
        for notice in change.notices:
            if notice.kind is NoticeKind.REMINDER:
                self._note(notice.project_id or "", notice.rung or 0, notice)
            elif notice.kind is NoticeKind.DIGEST:
                desk = next(record for record in change.records if isinstance(record, Desk))
                for told in desk.unmarked:
                    self._note(told.project_id, told.rung, notice)

    def _note(self, name: str, rung: int, notice: Notice) -> None:
        self.said[name].append(Said(at=notice.created_at, rung=rung, notice_id=notice.notice_id))
        self.tally["reminders in digests" if notice.kind is NoticeKind.DIGEST else "reminders"] += 1

    # ---- what happens ----

    def live(self, until: datetime) -> None:
        """Let the years pass, an hour after the other."""
        tick, outage_until = BEGIN, BEGIN
        while tick < until:
            self._let_people_act(tick)
            if tick >= outage_until and self.luck.random() < 1 / 2_000:
                outage_until = tick + self.luck.choice((3 * HOUR, 12 * HOUR, 3 * DAY))
                self.outages.append((tick, outage_until))
            if tick >= outage_until and self.luck.random() > 0.05:
                self._fire(tick)
            tick += HOUR

    def _fire(self, tick: datetime) -> None:
        at = tick + self.luck.choice((timedelta(0), timedelta(0), 5 * MINUTE, 50 * MINUTE))
        skew = self.luck.uniform(-1, 1) * SKEW
        for _ in range(self.luck.choice((1, 1, 1, 2))):
            self.world.now = at + skew
            if self.luck.random() < 1 / 200:
                where = self.luck.choice(("commit", "mark"))
                self.world.tracker.die_at[where] += self.luck.randrange(3) == 0
            for verb in self.verbs:
                try:
                    verb(self.world.outside)
                except Killed:
                    self.tally["crashes"] += 1

    def _let_people_act(self, now: datetime) -> None:
        self.world.now = now
        if self.luck.random() < self.projects / (120 * 24):
            self._rotate(f"{self.luck.randrange(self.projects):024d}", now)
        if self.luck.random() < self.projects / (400 * 24):
            name = f"{self.luck.randrange(self.projects):024d}"
            until = now + self.luck.randrange(1, 20) * DAY
            with suppress(Killed):
                acknowledge(self.world.outside, name, until=until, comment="", who="anna")
                self.quiet[name].append((now, until))

    def _rotate(self, name: str, now: datetime) -> None:
        """Somebody rotates by hand: discovery then begins a cycle just so."""
        project = self.world.tracker.project(name)
        changed = replace(project, key_since=now, last_rung=None, quiet_until=None, acknowledged_by=None)
        with suppress(Killed):
            self.world.put(wind(changed, now))
            self._note_cycle(name, now, project.policy)
            self.quiet[name].append((now, now))

    # ---- what was owed ----

    def judge(self, until: datetime) -> None:
        """Count what was missed, repeated, early or late; the copies of one notice are counted by their id."""
        for name, cycles in self.cycles.items():
            ends = [*(cycle.start for cycle in cycles[1:]), until]
            for cycle, end in zip(cycles, ends, strict=True):
                self._judge_cycle(name, cycle, end)
        copies = Counter(notice_id for notice_id, channel in self.world.messages.sent if channel == "alerts")
        self.tally["copies by a crash"] += sum(count - 1 for count in copies.values())
        self.tally["unsent"] += len({one.notice_id for those in self.said.values() for one in those} - copies.keys())

    def _judge_cycle(self, name: str, cycle: Cycle, end: datetime) -> None:
        heard = [one for one in self.said[name] if cycle.start <= one.at < end]
        self.tally["repeated"] += sum(after.rung <= before.rung for before, after in pairwise(heard))
        for rung in self._rungs(cycle, end):
            at = cycle.start + (cycle.period + rung) * DAY
            latest = self._awake_after(name, max(at, cycle.start, BEGIN), end)
            covered = [one for one in heard if one.rung >= rung and one.at >= at - SKEW]
            self.tally["early"] += sum(one.rung == rung and one.at < at - SKEW for one in heard)
            if latest is not None:
                self.tally["rungs owed"] += 1
                self.tally["missed"] += not covered
                self.tally["late"] += bool(covered) and min(one.at for one in covered) > latest

    def _rungs(self, cycle: Cycle, end: datetime) -> Iterator[int]:
        weekly = range(cycle.ladder[-1] + 7, 4_000, 7)
        for rung in (*(rung for rung in cycle.ladder if -rung < cycle.period), *weekly):
            if cycle.start + (cycle.period + rung) * DAY >= end:
                return
            yield rung

    def _awake_after(self, name: str, at: datetime, end: datetime) -> datetime | None:
        """By when a rung must have been spoken; None when the cycle ended, or somebody wanted quiet, before that."""
        latest, moved = at + LATEST, True
        while moved:
            moved = False
            for begin, stop in (*self.outages, *self.quiet[name]):
                if begin < latest and stop + LATEST > latest and stop > at:
                    latest, moved = stop + LATEST, True
        return latest if latest < end else None


@pytest.mark.parametrize("group", range(PROJECTS // TOGETHER))
def test_no_reminder_is_missed_and_none_repeated(group):
    calendar = Calendar(seed=SEED + group, projects=TOGETHER)
    until = BEGIN + YEARS * 365 * DAY

    calendar.live(until)
    calendar.judge(until)

    tally = calendar.tally
    tell(calendar=group, years=YEARS, projects=TOGETHER, outages=len(calendar.outages), **tally, seed=SEED + group)
    assert tally["rungs owed"] > 5 * TOGETHER * YEARS
    assert {name: tally[name] for name in ("missed", "late", "early", "repeated", "unsent")} == dict.fromkeys(
        ("missed", "late", "early", "repeated", "unsent"), 0
    )
    assert tally["copies by a crash"] <= tally["crashes"]


# ---- broken reminders that the judge must find out ----


def remind_on_equal_days(outside: Outside) -> int:
    """Speak a rung on its own day only, as many reminders do: a day that is missed is missed for good."""
    now = outside.now()
    for number in range(TOGETHER):
        project = outside.tracker.project(f"{number:024d}")
        due = due_at(project)
        today = [rung for rung in project.policy.ladder if (due + rung * DAY).date() == now.date()]
        if today and project.last_rung != today[-1]:
            spoken = replace(project, last_rung=today[-1])
            outside.tracker.commit(Change(records=(spoken,), notices=(reminder(project, (today[-1],), now),)))
    return 0


def remind_without_memory(outside: Outside) -> int:
    """Speak what is owed and write down only when to look again."""
    now = outside.now()
    for (project_id,) in tuple(outside.tracker.due(Due.REMINDER, now)):
        project = outside.tracker.project(project_id)
        owed = rungs_owed(project, now)
        later = replace(project, next_reminder_at=max(now + DAY, next_reminder_at(project, now)))
        notices = (reminder(project, owed, now),) if owed else ()
        again = tuple(replace(notice, notice_id=f"{notice.notice_id} {now}") for notice in notices)
        outside.tracker.commit(Change(records=(later,), notices=again))
    return 0


@pytest.mark.parametrize(("remind", "found"), [(remind_on_equal_days, "missed"), (remind_without_memory, "repeated")])
def test_reminders_that_go_by_the_day_or_forget_are_found_out(remind, found):
    calendar = Calendar(seed=SEED, projects=TOGETHER, verbs=(remind, send_digests, send_all_due))
    until = BEGIN + 365 * DAY

    calendar.live(until)
    calendar.judge(until)

    tell(broken=remind.__name__, **calendar.tally, seed=SEED)
    assert calendar.tally[found] > TOGETHER
