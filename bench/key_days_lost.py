"""Bench P8: key-days lost, from the end of a key's last need to the notice that says so, beside a sweep every day.

Random fleets live through two virtual years, each twice: with the shipped verbs, rules and schedule of looks, and with
every key that is not free swept daily by the same verbs. The fleets are those of the proofs (tests/prove): their oracle
knows what truly needs a key, and Keyturn sees what Atlas shows. `python bench/key_days_lost.py 250` takes 250 fleets.
"""

import logging
import statistics
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from gauges.figures import AT_MOST, goal, head, interpreter, row, slope  # noqa: E402 - found by the line above
from prove.worlds import LENGTH, Outcome, World  # noqa: E402 - the same
from simple_world import DAY  # noqa: E402 - the same

SEED, FLEETS = 41, 10
RETENTIONS, FLEETS_EACH = (7, 30, 120), 3
MOST_OF_DAILY, MOST_CALLS, NONE, NO_SLOPE = 1.0, 1 / 8, 0, 0.0


@dataclass(frozen=True, kw_only=True)
class Lived:
    """What came of some fleets together."""

    projects: int
    waits: Sequence[float]
    """Days from when a key could be proved free to the notice."""
    since_free: Sequence[float]
    """Days from the end of its last need."""
    calls: Counter[str]
    reads_once_a_day: int
    naive_calls: int
    wrong: int
    """Keys called free while something needed them."""
    taken: int
    """Keys disabled or scheduled for deletion while something needed them."""
    late: int
    naive_wrong: int

    @property
    def proving(self) -> int:
        """Calls to find out what is free: sweeps, and the events that move them earlier."""
        return self.calls["sweeps"] + self.calls["events"]


def live(seed: int, *, daily: bool = False, kept_for: timedelta | None = None) -> tuple[int, Outcome]:
    """One fleet from its seed, to its end; says how many projects it had."""
    logging.disable(logging.CRITICAL)
    world = World(seed, daily=daily, kept_for=kept_for)
    return len(world.nature.projects), world.run()


def together(lived: Iterable[tuple[int, Outcome]]) -> Lived:
    """Some fleets as one; that they lived and that keys came free is asserted."""
    projects, outcomes = zip(*lived, strict=True)
    sums = {name: sum(getattr(one, name) for one in outcomes) for name in ("sweeps", "reads_once_a_day", "naive_calls")}
    waits = [wait / DAY for one in outcomes for wait in one.waits.values()]
    since_free = [wait / DAY for one in outcomes for wait in one.waits_since_free]
    assert sums.pop("sweeps") > 0
    assert len(waits) == len(since_free) > len(outcomes), (len(waits), len(since_free))
    counts = {
        "wrong": "false_safe",
        "taken": "taken_too_early",
        "late": "late",
        "naive_wrong": "naive_wrong",
    }
    return Lived(
        projects=sum(projects),
        waits=waits,
        since_free=since_free,
        calls=sum((one.calls for one in outcomes), Counter()),
        **sums,
        **{name: sum(len(getattr(one, field)) for one in outcomes) for name, field in counts.items()},
    )


def print_table(ours: Lived, daily: Lived) -> None:
    """How long free keys waited, and what finding that out took."""
    names = ("days since the last need, mean", "since it could be proved, mean", "median", "most")
    print(head("", "keys that came free", *names, "calls to prove", "called free too early", "taken too early"))
    for name, lived in (("Keyturn", ours), ("every key swept daily", daily)):
        days = (lived.since_free, statistics.mean), (lived.waits, statistics.mean), (lived.waits, statistics.median)
        figures = [f"{of(waits):.2f}" for waits, of in days] + [f"{max(lived.waits):.1f}"]
        print(row(name, len(lived.waits), *figures, f"{lived.proving:,}", lived.wrong, lived.taken))
    script = "script: daily, snapshot lists alone, by bare id"
    print(row(script, *[""] * 5, f"{ours.naive_calls:,}", ours.naive_wrong, ""))
    print(f"calls of ours for else: {', '.join(f'{name} {count:,}' for name, count in _else(ours))}")


def _else(lived: Lived) -> list[tuple[str, int]]:
    return sorted((name, count) for name, count in lived.calls.items() if name not in {"sweeps", "events"})


def print_goals(ours: Lived, daily: Lived) -> None:
    """The goals of P8 but for growth; each pair of means is of the same run."""
    provable = statistics.mean(ours.waits) / statistics.mean(daily.waits)
    all_days = statistics.mean(ours.since_free) / statistics.mean(daily.since_free)
    print(goal("mean days since the last need / daily sweep", all_days, AT_MOST, MOST_OF_DAILY))
    print(goal("mean days since it could be proved / daily sweep", provable, AT_MOST, MOST_OF_DAILY))
    print(
        goal("calls to prove / daily sweep of every key", ours.proving / daily.proving, AT_MOST, MOST_CALLS, digits=3)
    )
    once = ours.proving / daily.reads_once_a_day
    name = "calls to prove / daily sweep that reads each project once for all its keys"
    print(goal(name, once, AT_MOST, MOST_CALLS, digits=3))
    print(goal("keys called free too early", ours.wrong, AT_MOST, NONE, digits=0))
    print(goal("keys taken too early", ours.taken, AT_MOST, NONE, digits=0))
    print(goal("keys told of later than the margins allow", ours.late, AT_MOST, NONE, digits=0))


def print_growth(by_days: dict[int, Lived]) -> None:
    """How the wait grows with the retention of snapshots: by a straight line, with the error of its slope."""
    print(head("snapshots kept for days", *(str(days) for days in by_days)))
    print(row("keys that came free", *(len(lived.waits) for lived in by_days.values())))
    means = {days: statistics.mean(lived.waits) for days, lived in by_days.items()}
    print(row("mean days since it could be proved", *(f"{mean:.2f}" for mean in means.values())))
    print(goal("slope of the mean against retention", slope(means), AT_MOST, NO_SLOPE, digits=3))


def main() -> None:
    """Every fleet twice, and fleets of each retention; two processes at once, for nothing here is timed."""
    fleets = int(sys.argv[1]) if len(sys.argv) > 1 else FLEETS
    seeds = range(SEED, SEED + fleets)
    with ProcessPoolExecutor() as processes:
        asleep, awake = (processes.map(partial(live, daily=daily), seeds) for daily in (False, True))
        kept = {
            days: processes.map(partial(live, kept_for=days * DAY), range(SEED, SEED + FLEETS_EACH))
            for days in RETENTIONS
        }
        ours, daily = together(asleep), together(awake)
        by_days = {days: together(lived) for days, lived in kept.items()}
    assert ours.projects == daily.projects
    years = f"{ours.projects} random projects in {fleets} fleets over {LENGTH.days} virtual days, seeds from {SEED}"
    print(f"P8: key-days lost; {years}; {interpreter()}")
    print_table(ours, daily)
    print_goals(ours, daily)
    print_growth(by_days)


if __name__ == "__main__":
    main()
