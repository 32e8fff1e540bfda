"""Two virtual years of random fleets: a key is never called free too early, nor kept for long when it is free."""

import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from figures import FULL_SIZE, tell
from prove.worlds import Outcome, World
from simple_world import DAY

SEED = 41
SWEEPS = 100_000 if FULL_SIZE else 2_000
LENGTH = (730 if FULL_SIZE else 500) * DAY
AT_MOST_ONE_CALL_IN = 8 if FULL_SIZE else 5
"""Few worlds scatter: at the small size only the order of magnitude is held."""


@dataclass(kw_only=True)
class Fleets:
    """The same worlds lived through twice: slept through as the verbs do, and swept every day."""

    asleep: list[Outcome] = field(default_factory=list)
    daily: list[Outcome] = field(default_factory=list)

    @property
    def every(self) -> list[Outcome]:
        return [*self.asleep, *self.daily]

    @property
    def sweeps(self) -> int:
        return sum(outcome.sweeps for outcome in self.every)


@pytest.fixture(scope="module")
def fleets() -> Iterator[Fleets]:
    logging.disable(logging.CRITICAL)
    yield live_through_them()
    logging.disable(logging.NOTSET)


def live_through_them() -> Fleets:
    lived = Fleets()
    seed = SEED
    while lived.sweeps < SWEEPS:
        lived.asleep.append(World(seed, length=LENGTH).run())
        lived.daily.append(World(seed, length=LENGTH, daily=True).run())
        seed += 1
    return lived


def mean_wait(outcomes: list[Outcome]) -> float:
    """Key-days between the moment that a key could be proved free and the first verdict that said so."""
    waits = [wait for outcome in outcomes for wait in outcome.waits.values()]
    return sum(waits, timedelta(0)) / DAY / len(waits)


def all_calls(outcomes: list[Outcome]) -> Counter:
    return sum((outcome.calls for outcome in outcomes), Counter())


def test_no_key_is_called_free_or_taken_away_while_anything_depends_on_it(fleets):
    false_safe = [case for outcome in fleets.every for case in outcome.false_safe]
    taken = [case for outcome in fleets.every for case in outcome.taken_too_early]
    freed, deleted = (sum(each) for each in zip(*((len(o.waits), o.deleted) for o in fleets.every), strict=True))

    tell(
        worlds=len(fleets.every),
        seeds=f"{SEED}-{SEED + len(fleets.asleep) - 1}",
        virtual_days=LENGTH.days * len(fleets.every),
        sweeps=fleets.sweeps,
        of_them_as_the_verbs_want_them=sum(outcome.sweeps for outcome in fleets.asleep),
        keys_that_came_free=freed,
        keys_deleted=deleted,
        false_safe=len(false_safe),
        taken_too_early=len(taken),
    )
    assert (false_safe, taken) == ([], [])
    assert (fleets.sweeps >= SWEEPS, freed > 10, deleted > 0) == (True, True, True)


def test_no_free_key_is_kept_longer_than_the_margins_allow(fleets):
    late = [case for outcome in fleets.asleep for case in outcome.late]

    tell(false_unsafe=len(late), events_that_never_showed=sum(o.missed_events for o in fleets.asleep))
    assert late == []


def test_sleeping_loses_no_more_key_days_than_a_daily_sweep_at_an_eighth_of_its_calls(fleets):
    ours, daily = all_calls(fleets.asleep), all_calls(fleets.daily)
    slept, swept = mean_wait(fleets.asleep), mean_wait(fleets.daily)
    naive = sum(outcome.naive_calls for outcome in fleets.asleep)
    spent = ours["sweeps"] + ours["events"]

    tell(
        mean_days_to_the_verdict=f"{slept:.2f}",
        with_daily_sweeps=f"{swept:.2f}",
        calls_for_sweeps=ours["sweeps"],
        for_events=ours["events"],
        for_daily_sweeps=daily["sweeps"],
        ratio=f"1/{daily['sweeps'] / spent:.1f}",
        naive_daily_script=naive,
        ratio_to_it=f"1/{naive / spent:.1f}",
        keys_it_would_have_given_up_too_early=sum(len(outcome.naive_wrong) for outcome in fleets.asleep),
        apart_from_these_discovery=ours["discovery"],
        looks_at_free_keys=ours["sweeps of free keys"],
        looks_of_deletions=ours["deletions"],
        rotations=ours["other"],
    )
    assert slept <= swept
    assert spent <= daily["sweeps"] / AT_MOST_ONE_CALL_IN
