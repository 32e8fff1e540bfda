"""Bench P6: what a steady sweep writes to the table, beside one item for each snapshot rewritten every day.

The real verb on the real tracker adapter, whose requests go to a table that meters them. Two sweeps a day apart come
before the one that is measured, so that nothing in it is new: neither the key nor, for a free one, its proof's place.
"""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import msgspec  # noqa: E402 - after the line above, like the rest
from gauges.figures import AT_MOST, goal, head, interpreter, row, slope  # noqa: E402 - found by the line above
from gauges.metered_table import Metered, metered_table, size_of, units  # noqa: E402 - the same
from gauges.sweeping import RETIRING_KEY, reader, sweeping  # noqa: E402 - the same
from peers.estate import Estate  # noqa: E402 - the same
from peers.quick_atlas import QuickAtlas, quick_atlas  # noqa: E402 - the same

from chalicelib.adapters.tracker import DynamoTracker  # noqa: E402 - the same
from chalicelib.domain.observed import Snapshot  # noqa: E402 - the same
from chalicelib.domain.records import Key  # noqa: E402 - the same
from chalicelib.usecases.sweep import sweep_key  # noqa: E402 - the same

CLUSTERS, SNAPSHOTS = 5, 200
BY_SNAPSHOTS, BY_CLUSTERS = (10, 50, 200, 500, 2_000), (1, 2, 5, 10, 20, 50)
BEFORE = 2
MOST_RATIO, MOST_SLOPE, NO_SLOPE = 1 / 50, 1.0, 0.0
NEEDED, FREE = 4, 0
"""One snapshot in four was made with the key, or none."""


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """What one steady sweep wrote, and what rewriting an item for each snapshot would have."""

    ours: Metered
    per_snapshot: Metered


def sweep(server: QuickAtlas, estate: Estate) -> Sweep:
    """The sweep after some like it; its verdict and what it saw are asserted."""
    with metered_table() as table:
        swept = sweeping(server.address, estate, tracker=DynamoTracker(table, table.name))
        for _ in range(BEFORE):
            sweep_key(swept.world.outside, RETIRING_KEY)
            swept.world.wait(timedelta(hours=25))
        table.metered = ours = Metered()
        key = sweep_key(swept.world.outside, RETIRING_KEY)
    check_work(key, estate)
    assert ours.items, "nothing was written"
    return Sweep(
        ours=ours, per_snapshot=rewrite(reader(server.address).snapshots(estate.project_id, "living-0"), estate)
    )


def check_work(key: Key | None, estate: Estate) -> None:
    """Every snapshot of the key is accounted for, and the verdict is right."""
    assert key is not None
    assert sum(cluster.snapshots for cluster in key.clusters) == estate.of_retiring_key, key.clusters
    assert (key.safe_since is not None) == (estate.one_in == FREE), key.reasons


def rewrite(snapshots: Iterable[Snapshot], estate: Estate) -> Metered:
    """One item for each snapshot, outside of any transaction and in no index: the cheapest way to keep them all."""
    sizes = [size_of(_item(snapshot)) for snapshot in snapshots]
    assert len(sizes) == estate.snapshots
    one = sum(map(units, sizes))
    return Metered(items=estate.all_snapshots, written_bytes=sum(sizes) * estate.read, write_units=one * estate.read)


def _item(snapshot: Snapshot) -> dict[str, dict[str, str]]:
    body = msgspec.json.encode(snapshot).decode()
    return {
        "pk": {"S": f"KEY#{RETIRING_KEY.key_id}"},
        "sk": {"S": f"SNAPSHOT#{snapshot.snapshot_id}"},
        "body": {"S": body},
    }


def print_table(measured: dict[str, Sweep]) -> None:
    """What is written once, and the goal."""
    print(head("", "items", "bytes", "write units", "read units", "units / one item per snapshot"))
    for name, one in measured.items():
        ours, plain = one.ours, one.per_snapshot
        share = f"1/{plain.write_units / ours.write_units:.0f}"
        print(row(name, ours.items, f"{ours.written_bytes:,}", ours.write_units, ours.read_units, share))
    plain = next(iter(measured.values())).per_snapshot
    print(row("one item per snapshot, daily", plain.items, f"{plain.written_bytes:,}", plain.write_units, "", "1"))
    ratio = max(one.ours.write_units / one.per_snapshot.write_units for one in measured.values())
    print(goal("write units / one item per snapshot", ratio, AT_MOST, MOST_RATIO, digits=4))


def print_growth(server: QuickAtlas, one_in: int, name: str) -> None:
    """How the writes grow."""
    by_snapshots = {
        count: sweep(server, Estate(living=CLUSTERS, snapshots=count, one_in=one_in)).ours for count in BY_SNAPSHOTS
    }
    by_clusters = {
        count: sweep(server, Estate(living=count, snapshots=SNAPSHOTS, one_in=one_in)).ours for count in BY_CLUSTERS
    }
    for title, measured in (("snapshots a cluster", by_snapshots), ("clusters", by_clusters)):
        print()
        print(head(f"{name}: {title}", *(f"{count:,}" for count in measured)))
        print(row("write units (bytes)", *(f"{one.write_units} ({one.written_bytes:,})" for one in measured.values())))
    flat = slope({count: one.write_units for count, one in by_snapshots.items()})
    digits = slope({count: one.written_bytes for count, one in by_snapshots.items()})
    steep = slope({count: one.write_units for count, one in by_clusters.items()})
    print(
        goal(f"{name}: slope of write units against snapshots", flat, AT_MOST, NO_SLOPE, digits=3),
        f"(of bytes: {digits:.3f})",
    )
    print(goal(f"{name}: slope of write units against clusters", steep, AT_MOST, MOST_SLOPE, digits=3))


def main() -> None:
    """A key that is still needed, and one that is free."""
    kinds = {"a key still needed": NEEDED, "a free key, with its proof": FREE}
    print(f"P6: table writes of a steady sweep; {CLUSTERS} clusters, {SNAPSHOTS} snapshots each; {interpreter()}")
    with quick_atlas() as server:
        usual = {
            name: sweep(server, Estate(living=CLUSTERS, snapshots=SNAPSHOTS, one_in=one_in))
            for name, one_in in kinds.items()
        }
        print_table(usual)
        for name, one_in in kinds.items():
            print_growth(server, one_in, name)


if __name__ == "__main__":
    main()
