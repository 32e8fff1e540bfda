"""Bench P7: the peak memory of a sweep beside that of an idle handler; a process of its own for each figure.

The snapshots lie in 20 clusters, up to 5,000 in each; one more row has them all in one cluster, which no schedule of
Atlas comes near to. This program itself stays small: a process inherits its parent's peak.
"""

import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]

from gauges.figures import AT_MOST, goal, head, interpreter, row, slope, spread  # noqa: E402 - found by the line above
from peers.estate import Estate  # noqa: E402 - the same
from peers.quick_atlas import quick_atlas  # noqa: E402 - the same

ROUNDS = 5
CLUSTERS = 20
SNAPSHOTS = (100, 1_000, 10_000, 100_000)
MOST_RATIO, MOST_SLOPE = 1.3, 0.1
MEGABYTE = 1024 if sys.platform != "darwin" else 1024 * 1024
IDLE, ONE_LIST = "idle handler", f"sweep of {SNAPSHOTS[-1]:,} snapshots in one list"


def peak(address: str, estate: Estate | None) -> float:
    """The peak memory (MB) of a process that loads the handlers and sweeps an estate, or does not."""
    program = ROOT / "bench" / "gauges" / "handler_memory.py"
    asked = [] if estate is None else [estate.project_id]
    command = [sys.executable, str(program), address, *asked]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(done.stdout.splitlines()[-1]) / MEGABYTE


def estates() -> dict[str, Estate | None]:
    """Everything that is measured, named for the table."""
    spread_out = {
        f"sweep of {count:,} snapshots": Estate(living=CLUSTERS, snapshots=count // CLUSTERS) for count in SNAPSHOTS
    }
    return {IDLE: None, **spread_out, ONE_LIST: Estate(living=1, snapshots=SNAPSHOTS[-1])}


def main() -> None:
    """Interleave the rounds, print the table and the goals."""
    measured: dict[str, list[float]] = {name: [] for name in estates()}
    with quick_atlas() as server:
        for _ in range(ROUNDS):
            for name, estate in estates().items():
                measured[name].append(peak(server.address, estate))
    medians = {name: statistics.median(values) for name, values in measured.items()}
    print(f"P7: peak memory of a sweep; {CLUSTERS} clusters; medians of {ROUNDS} interleaved rounds; {interpreter()}")
    print(head("", "MB", "min-max", "x idle"))
    for name, values in measured.items():
        print(row(name, f"{medians[name]:.1f}", spread(values, digits=1), f"{medians[name] / medians[IDLE]:.2f}"))
    sweeps = {count: medians[f"sweep of {count:,} snapshots"] for count in SNAPSHOTS}
    print(goal("peak / idle handler", max(sweeps.values()) / medians[IDLE], AT_MOST, MOST_RATIO))
    print(goal("slope of peak memory against snapshots", slope(sweeps), AT_MOST, MOST_SLOPE, digits=3))


if __name__ == "__main__":
    main()
