"""Bench P3: the CPU that a snapshot costs, from the socket to the tally, beside json.loads with the same rules.

Ours is the real adapter (urllib3, msgspec, every check that a list is complete) and the real rules. The figure is
of lists of one page, as nearly all are; longer ones are read twice by design, for pages shift while they are read.
"""

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from gauges.figures import AT_MOST, goal, head, interpreter, row, slope, spread  # noqa: E402 - found by the line above
from gauges.sweeping import count_snapshots, reader  # noqa: E402 - the same
from peers.estate import Estate  # noqa: E402 - the same
from peers.plain_count import PlainCount  # noqa: E402 - the same
from peers.quick_atlas import QuickAtlas, quick_atlas  # noqa: E402 - the same

from chalicelib.domain.evidence import Tally  # noqa: E402 - the same

ROUNDS = 9
PAGE, LISTS = 500, 20
LONG_LISTS = (1_000, 3_000, 10_000, 30_000)
LONG_ROUNDS = 5
MOST_RATIO, MOST_SLOPE = 0.45, 1.05
Count = Callable[[Estate], Tally]
OURS, ON_DICTIONARIES, ON_VALUES = "Keyturn", "json.loads, rules on dictionaries", "json.loads, the same classify"


def cpu_per_thousand(count: Count, estate: Estate, times: int = 1) -> float:
    """CPU microseconds for every 1,000 snapshots of the estate, counted so many times; the result is asserted."""
    began = time.process_time()
    for _ in range(times):
        tally = count(estate)
    spent = time.process_time() - began
    assert (tally.read, tally.of_this_key) == (estate.all_snapshots, estate.of_retiring_key), tally
    return spent * 1e9 / (times * estate.all_snapshots)


def estate_of(snapshots: int) -> Estate:
    """One cluster with so many snapshots."""
    return Estate(living=1, snapshots=snapshots)


def measure(ways: dict[str, Count], snapshots: int, *, rounds: int, times: int) -> dict[str, list[float]]:
    """Interleaved rounds of every way; first each once, and all of them must count the same."""
    estate = estate_of(snapshots)
    tallies = [count(estate) for count in ways.values()]
    assert all(tally == tallies[0] for tally in tallies), tallies
    measured: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, count in ways.items():
            measured[name].append(cpu_per_thousand(count, estate, times))
    return measured


def print_page(measured: dict[str, list[float]]) -> None:
    """The table of one page, and its goal."""
    medians = {name: statistics.median(values) for name, values in measured.items()}
    print(head("", "CPU us per 1,000 snapshots", "min-max", "x the same classify"))
    for name, values in measured.items():
        print(row(name, f"{medians[name]:,.0f}", spread(values), f"{medians[name] / medians[ON_VALUES]:.2f}"))
    ratio, bare = (medians[OURS] / medians[name] for name in (ON_VALUES, ON_DICTIONARIES))
    print(goal("CPU / raw socket + json.loads + the same classify", ratio, AT_MOST, MOST_RATIO))
    print(f"CPU / raw socket + json.loads + rules written out for dictionaries, no value made: {bare:.2f} (no goal)")


def print_growth(ways: dict[str, Count]) -> None:
    """How the CPU grows with the length of long lists."""
    print(head("snapshots in one list", "Keyturn CPU ms (read twice)", "json.loads CPU ms (read once)"))
    totals: dict[str, dict[int, float]] = {name: {} for name in ways}
    for snapshots in LONG_LISTS:
        measured = measure(ways, snapshots, rounds=LONG_ROUNDS, times=1)
        for name, values in measured.items():
            totals[name][snapshots] = statistics.median(values) * snapshots / 1e6
        print(row(f"{snapshots:,}", *(f"{total[snapshots]:.1f}" for total in totals.values())))
    ours, plain = (slope(total) for total in totals.values())
    print(goal("slope of CPU against snapshots", ours, AT_MOST, MOST_SLOPE, digits=3), f"(json.loads: {plain:.3f})")


def main() -> None:
    """One page first, then long lists."""
    with quick_atlas() as server:
        run(server)


def run(server: QuickAtlas) -> None:
    """Measure on a running server."""
    atlas, plain = reader(server.address), PlainCount(server.port)
    ways: dict[str, Count] = {
        OURS: lambda estate: count_snapshots(atlas, estate),
        ON_VALUES: plain.on_values,
        ON_DICTIONARIES: plain.on_dictionaries,
    }
    print(f"P3: decode and classify; medians of {ROUNDS} interleaved rounds of {LISTS} pages; {interpreter()}")
    print_page(measure(ways, PAGE, rounds=ROUNDS, times=LISTS))
    print_growth({OURS: ways[OURS], ON_DICTIONARIES: ways[ON_DICTIONARIES]})
    plain.close()


if __name__ == "__main__":
    main()
