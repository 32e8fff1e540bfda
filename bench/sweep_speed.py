"""Bench P2: how fast real sweeps read, beside the ceiling (connections / latency) and beside plain scripts.

The sweeps go through the real verb and adapter over HTTP to a server in a process of its own that takes 60 ms for
each answer; 8 connections, as in Lambda. The scripts ask one call after another, with pages of the default size.
"""

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from gauges.figures import AT_LEAST, AT_MOST, goal, head, interpreter, row, slope, spread  # noqa: E402 - found above
from gauges.sweeping import sweeping  # noqa: E402 - the same
from peers.docs_script import read_as_documented  # noqa: E402 - the same
from peers.estate import Estate  # noqa: E402 - the same
from peers.quick_atlas import QuickAtlas, quick_atlas  # noqa: E402 - the same

LATENCY, CONNECTIONS, ROUNDS = 0.060, 8, 5
CLUSTERS, USUAL = 60, 200
SNAPSHOTS = (50, 200, 500)
SCRIPT_CLUSTERS = 3
PROJECTS = (1, 2, 4)
LEAST_OF_CEILING, LEAST_SPEEDUP, MOST_SLOPE = 0.93, 7.0, 1.05
PER_SECOND = CONNECTIONS / LATENCY
"""The most calls that so many connections can have answered in a second."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run: seconds and CPU seconds of this process, the calls that the server counted, the snapshots read."""

    seconds: float
    cpu: float
    calls: int
    snapshots: int

    @property
    def of_ceiling(self) -> float:
        """Calls a second beside the most that the connections allow."""
        return self.calls / self.seconds / PER_SECOND

    @property
    def speed(self) -> float:
        """Snapshots a second."""
        return self.snapshots / self.seconds


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way to read some projects, named for the table."""

    name: str
    estates: tuple[Estate, ...]
    read: Callable[[], object]


def ours(server: QuickAtlas, name: str, *estates: Estate) -> Way:
    """The real sweep, warm: connections are made before it is measured."""
    return Way(name=name, estates=estates, read=sweeping(server.address, *estates).gather)


def script(server: QuickAtlas, name: str, *, whole: bool) -> Way:
    """A script on a few clusters: its speed does not depend on their number."""
    estate = Estate(living=SCRIPT_CLUSTERS, snapshots=USUAL)
    return Way(name=name, estates=(estate,), read=lambda: read_as_documented(server.port, estate, whole=whole))


def measure(server: QuickAtlas, way: Way) -> Run:
    """Read once; what was read is asserted by who reads."""
    server.counts()
    began, cpu_began = time.perf_counter(), time.process_time()
    way.read()
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu_began
    snapshots = sum(estate.all_snapshots for estate in way.estates)
    return Run(seconds=seconds, cpu=cpu, calls=server.counts().asked, snapshots=snapshots)


def ways(server: QuickAtlas) -> tuple[Way, ...]:
    """All that is compared."""
    busy = (ours(server, f"Keyturn, {s} each", Estate(living=CLUSTERS, snapshots=s)) for s in SNAPSHOTS)
    usual = (Estate(living=5, snapshots=USUAL, number=number) for number in range(PROJECTS[-1]))
    small = tuple(usual)
    return (
        *busy,
        *(ours(server, f"Keyturn, projects of 5 clusters: {count}", *small[:count]) for count in PROJECTS),
        script(server, "plain script, the same lists", whole=True),
        script(server, "plain script, no retained, sharded, schedule", whole=False),
    )


def median(runs: list[Run], figure: str) -> float:
    """The median of one figure."""
    figures: list[float] = [getattr(run, figure) for run in runs]
    return statistics.median(figures)


def print_table(runs: dict[str, list[Run]]) -> None:
    """One line for each way."""
    print(head("", "calls", "seconds", "min-max", "of the ceiling", "snapshots/s", "sweeps/min", "CPU us per call"))
    for name, many in runs.items():
        seconds, calls = median(many, "seconds"), many[0].calls
        cpu = median(many, "cpu") / calls * 1e6
        times = (f"{seconds:.2f}", spread([run.seconds for run in many], digits=2))
        shares = (f"{median(many, 'of_ceiling'):.2f}", f"{median(many, 'speed'):,.0f}", f"{60 / seconds:,.0f}")
        print(row(name, calls, *times, *shares, f"{cpu:,.0f}"))


def print_goals(named: tuple[Way, ...], runs: dict[str, list[Run]]) -> None:
    """The goals of P2, each with its figure."""
    busy, projects = named[: len(SNAPSHOTS)], named[len(SNAPSHOTS) : len(SNAPSHOTS) + len(PROJECTS)]
    usual = runs[busy[SNAPSHOTS.index(USUAL)].name]
    same, less = (median(runs[way.name], "speed") for way in named[-2:])
    speed = median(usual, "speed")
    print(goal("calls/s / (connections / latency)", median(usual, "of_ceiling"), AT_LEAST, LEAST_OF_CEILING))
    print(goal("snapshots/s / plain script that reads the same lists", speed / same, AT_LEAST, LEAST_SPEEDUP))
    print(f"snapshots/s / plain script that reads fewer lists, no proof: {speed / less:.2f} (no goal)")
    by_snapshots = {count: median(runs[way.name], "seconds") for count, way in zip(SNAPSHOTS, busy, strict=True)}
    by_projects = {count: median(runs[way.name], "seconds") for count, way in zip(PROJECTS, projects, strict=True)}
    print(goal("slope of seconds against snapshots", slope(by_snapshots), AT_MOST, MOST_SLOPE, digits=3))
    print(goal("slope of seconds against projects", slope(by_projects), AT_MOST, MOST_SLOPE, digits=3))


def main() -> None:
    """Warm everything, interleave the rounds, print."""
    with quick_atlas(latency=LATENCY) as server:
        named = ways(server)
        runs: dict[str, list[Run]] = {way.name: [] for way in named}
        for way in named[: len(SNAPSHOTS) + len(PROJECTS)]:
            way.read()
        for _ in range(ROUNDS):
            for way in named:
                runs[way.name].append(measure(server, way))
    setting = f"{CONNECTIONS} connections, {LATENCY * 1000:.0f} ms an answer: at most {PER_SECOND:.1f} calls/s"
    print(f"P2: sweep speed; {setting}; medians of {ROUNDS} interleaved rounds; {interpreter()}")
    print_table(runs)
    print_goals(named, runs)


if __name__ == "__main__":
    main()
