"""Bench P1: the calls and bytes of a full proof beside the floor of its scope, counted by the server.

The floor is what a proof cannot do without: settings + 2 cluster lists + for each cluster its snapshots, sharded
snapshots, restores and exports (+ its schedule, where it lives and has backups). A list of snapshots is one call up to
500; a longer one is read twice by design, because Atlas numbers its pages and they shift while they are read.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from gauges.figures import AT_MOST, goal, head, interpreter, row, slope  # noqa: E402 - found by the line above
from gauges.sweeping import sweeping  # noqa: E402 - the same
from peers.docs_script import read_as_documented  # noqa: E402 - the same
from peers.estate import Estate  # noqa: E402 - the same
from peers.quick_atlas import Counted, QuickAtlas, quick_atlas  # noqa: E402 - the same

PAGE = 500
SNAPSHOTS = (50, 100, 200, 500, 1_000, 2_000, 5_000)
CLUSTERS = (1, 2, 5, 10, 20, 50)
SCOPES = {
    "5 clusters": Estate(living=5, snapshots=200),
    "5 clusters, 2 deleted with backups, 2 without, 1 sharded, 3 free": Estate(
        living=5, deleted=2, unscheduled=2, sharded=1, free=3, snapshots=200
    ),
}
MOST_SLOPE = 1.0
FORMULA = (
    "floor = settings + 2 cluster lists + per cluster snapshots, sharded, restores, exports (+ schedule for living ones"
    " with backups); the token, shared by many sweeps, is not in it; KB are of bodies"
)


def floor(estate: Estate) -> int:
    """The calls that a proof of this project's scope cannot do without; lists are read once."""
    pages = -(-estate.snapshots // PAGE)
    paged = estate.read - estate.sharded
    lists_of_snapshots = paged * pages + estate.sharded + estate.read
    return 1 + 2 + lists_of_snapshots + 2 * estate.read + estate.scheduled


def owed(estate: Estate) -> int:
    """The calls that our proof makes: the floor, and lists of more than a page once more."""
    pages = -(-estate.snapshots // PAGE)
    return floor(estate) + (estate.read - estate.sharded) * (pages if pages > 1 else 0)


def prove(server: QuickAtlas, estate: Estate) -> Counted:
    """One gathering, its work and its calls asserted."""
    swept = sweeping(server.address, estate)
    server.counts()
    swept.gather()
    counted = server.counts()
    assert counted.asked == owed(estate), (counted, owed(estate))
    return counted


def print_scopes(server: QuickAtlas) -> None:
    """Full proofs beside their floors, and the documented script that reads less."""
    ratios = []
    print(head("scope, 200 snapshots each", "calls", "floor", "x floor", "KB", "a plain script's calls", "KB"))
    for name, estate in SCOPES.items():
        counted, least = prove(server, estate), floor(estate)
        read_as_documented(server.port, estate)
        plain = server.counts()
        ratios.append(counted.asked / least)
        figures = (counted.asked, least, f"{ratios[-1]:.2f}", f"{counted.sent / 1000:,.0f}")
        print(row(name, *figures, plain.asked, f"{plain.sent / 1000:,.0f}"))
    assert min(ratios) >= 1, "fewer calls than a proof needs"
    print(goal("calls / floor of the scope", max(ratios), AT_MOST, 1.0))


def print_growth(server: QuickAtlas) -> None:
    """How calls grow with snapshots and with clusters."""
    by_snapshots = {count: prove(server, Estate(living=5, snapshots=count)) for count in SNAPSHOTS}
    by_clusters = {count: prove(server, Estate(living=count, snapshots=200)) for count in CLUSTERS}
    print(head("5 clusters, snapshots in each", *(f"{count:,}" for count in SNAPSHOTS)))
    print(row("calls", *(counted.asked for counted in by_snapshots.values())))
    print(row("KB", *(f"{counted.sent / 1000:,.0f}" for counted in by_snapshots.values())))
    print()
    print(head("clusters with 200 snapshots", *(str(count) for count in CLUSTERS)))
    print(row("calls", *(counted.asked for counted in by_clusters.values())))
    calls = {count: float(counted.asked) for count, counted in by_snapshots.items()}
    flat = slope({count: asked for count, asked in calls.items() if count <= PAGE})
    steep = slope({count: asked for count, asked in calls.items() if count >= PAGE})
    print(goal(f"slope of calls against snapshots, up to {PAGE} a cluster", flat, AT_MOST, 0.0))
    print(goal(f"slope of calls against snapshots, {PAGE} to {SNAPSHOTS[-1]:,} a cluster", steep, AT_MOST, MOST_SLOPE))
    clusters = slope({count: float(counted.asked) for count, counted in by_clusters.items()})
    print(goal("slope of calls against clusters", clusters, AT_MOST, MOST_SLOPE))


def main() -> None:
    """Scopes, then growth."""
    print(f"P1: calls and bytes of a full proof, counted by the server; {interpreter()}")
    print(FORMULA)
    with quick_atlas() as server:
        print_scopes(server)
        print_growth(server)


if __name__ == "__main__":
    main()
