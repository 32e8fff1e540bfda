"""Bench P5: from the trigger of a rotation to swapped settings, beside the floor and beside a plain script.

Ours runs on the fakes of the tests with a real sleep for every call through the ports, unscaled: 100 ms to Atlas,
20 ms to AWS. The plain script runs against a sandbox in a process of its own, with the same sleeps before its calls.
The hop of a message to the next wake-up of the function is not in the figure; its sending is.
"""

import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path as FilePath

ROOT = FilePath(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from fake_atlas import PROJECT, a_cluster  # noqa: E402 - found by the line above
from gauges.figures import AT_MOST, goal, head, interpreter, row, slope, spread  # noqa: E402 - the same
from gauges.injected_latency import PER_ATLAS_CALL, PER_AWS_CALL, Path, slowed  # noqa: E402 - the same
from peers.plain_swap import Place, create_and_swap, key_in_settings, sandbox  # noqa: E402 - the same
from simple_world import World, a_rotation, a_world  # noqa: E402 - the same

from chalicelib.domain.arn import parse_key_id  # noqa: E402 - the same
from chalicelib.usecases.rotate import advance_rotation  # noqa: E402 - the same

ROUNDS = 5
CLUSTERS = (1, 10, 100)
MOST_STEPS = 40
FLEET, AT_ONCE = 50, 8
MOST_RATIO, MOST_ATLAS_CALLS, MOST_SLOPE, MOST_FLEET_SECONDS = 1.10, 4, 0.1, 5.0

FLOOR = (
    ("AWS", "read the rotation and its project in one call"),
    ("AWS", "claim it"),
    ("Atlas", "read the settings; roles, clusters, alias and old key beside it"),
    ("AWS", "create the key"),
    ("AWS", "name it"),
    ("AWS", "record the key, and that a change is on its way"),
    ("Atlas", "change the settings"),
    ("Atlas", "read them back"),
    ("AWS", "record what was read"),
)
"""The minimal serial path of a rotation that may be killed at any line: nothing on it waits for less than it needs."""
FLOOR_SECONDS = sum(PER_ATLAS_CALL if place == "Atlas" else PER_AWS_CALL for place, _ in FLOOR)


@dataclass(frozen=True, kw_only=True)
class Run:
    """One rotation from its trigger to its swap; `waited` is virtual: what the rotation asked to sleep."""

    seconds: float
    cpu_seconds: float
    waited: timedelta
    path: Path


def rotate_until_swapped(clusters: int) -> Run:
    """Request a rotation and wake it until its settings are seen swapped; the work done is asserted."""
    world = a_world()
    world.in_atlas.clusters = [(a_cluster(f"c{number}"), False) for number in range(clusters)]
    rotation, path, waited = a_rotation(world), Path(), timedelta(0)
    outside = slowed(world.outside, path)
    began, cpu_began = time.perf_counter(), time.thread_time()
    while rotation.now.swapped_at is None and len(path.wakes) < MOST_STEPS and rotation.now.due is not None:
        sleep = max(timedelta(0), rotation.now.due - world.now)
        waited, world.now = waited + sleep, world.now + sleep
        path.wakes.append(len(path.calls))
        advance_rotation(outside, PROJECT, rotation.rotation_id)
    cpu = time.thread_time() - cpu_began
    recorded = max(call.ended for call in path.calls if call.name == "commit")
    seconds = recorded - began  # what follows the record, asking to be woken for the deployment, is not on the path
    check_work(world, rotation.rotation_id)
    return Run(seconds=seconds + waited.total_seconds(), cpu_seconds=cpu, waited=waited, path=path)


def check_work(world: World, rotation_id: str) -> None:
    """One key made, one change of settings sent, the settings name that key, and the rotation knows it."""
    rotation = world.tracker.rotation(PROJECT, rotation_id)
    done = (world.created(), world.swaps(), rotation.swapped_at is not None, rotation.state)
    assert done == (1, 1, True, "deploying"), (done, rotation.error, rotation.waiting_for)
    assert rotation.new_key.key_id == parse_key_id(world.in_atlas.settings.key)


def swap_plainly(place: Place) -> float:
    """The plain script once; what it did is asserted."""
    began = time.perf_counter()
    key = create_and_swap(place, per_aws_call=PER_AWS_CALL, per_atlas_call=PER_ATLAS_CALL)
    seconds = time.perf_counter() - began
    assert key_in_settings(place) == key
    return seconds


def rotate_fleet() -> float:
    """Seconds in which many projects, so many at once, are swapped: each in a world of its own."""
    began = time.perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as threads:
        runs = list(threads.map(rotate_until_swapped, [1] * FLEET))
    return time.perf_counter() - began + max(run.waited for run in runs).total_seconds()


def shown(name: str, seconds: list[float], run: Run | None = None) -> str:
    """One line of the table: median, spread, ratio to the floor, and what was called."""
    median = statistics.median(seconds)
    called: tuple[object, ...] = ("", "", "")
    if run is not None:
        called = (run.path.requests("Atlas"), run.path.requests("AWS"), len(run.path.wakes))
    milliseconds = [second * 1000 for second in seconds]
    return row(name, f"{median * 1000:.0f}", spread(milliseconds), f"{median / FLOOR_SECONDS:.2f}", *called)


def print_calls(run: Run) -> None:
    """Every call on the path, a line a wake-up."""
    for number, calls in enumerate(run.path.by_wake(), start=1):
        names = [f"{call.place}.{call.name}" + (f" x{call.requests}" if call.requests > 1 else "") for call in calls]
        print(f"  wake-up {number}: {', '.join(names)}")


def print_goals(runs: dict[int, list[Run]], fleet: float) -> None:
    """The goals of P5, each with its figure."""
    medians = {clusters: statistics.median(run.seconds for run in many) for clusters, many in runs.items()}
    one = runs[CLUSTERS[0]][0]
    ratio, flat = medians[CLUSTERS[0]] / FLOOR_SECONDS, slope(medians)
    in_a_row = round(one.path.busy("Atlas") / PER_ATLAS_CALL)
    print(goal("wall / floor", ratio, AT_MOST, MOST_RATIO))
    calls = f"Atlas calls one after another on the path, of {one.path.requests('Atlas')} in all"
    print(goal(calls, in_a_row, AT_MOST, MOST_ATLAS_CALLS, digits=0))
    print(goal("slope of wall time against clusters", flat, AT_MOST, MOST_SLOPE, digits=3))
    print(goal(f"seconds for {FLEET} projects, {AT_ONCE} at once", fleet, AT_MOST, MOST_FLEET_SECONDS, digits=1))


def main() -> None:
    """Interleave ours and the peer, then print the table, the path and the goals."""
    runs: dict[int, list[Run]] = {clusters: [] for clusters in CLUSTERS}
    plain: list[float] = []
    with sandbox() as place:
        for _ in range(ROUNDS):
            plain.append(swap_plainly(place))
            for clusters, many in runs.items():
                many.append(rotate_until_swapped(clusters))
    print(f"P5: trigger to swapped; medians of {ROUNDS} interleaved rounds; {interpreter()}")
    print(head("", "wall ms", "min-max", "x floor", "Atlas calls", "AWS calls", "wake-ups"))
    print(shown(f"floor: {len(FLOOR)} calls one after another", [FLOOR_SECONDS]))
    for clusters, many in runs.items():
        print(shown(f"Keyturn, clusters: {clusters}", [run.seconds for run in many], many[0]))
    print(shown("plain script: creates and swaps, no more", plain))
    cpu = statistics.median(run.cpu_seconds for run in runs[CLUSTERS[0]]) * 1000
    waited = runs[CLUSTERS[0]][0].waited.total_seconds()
    print(f"CPU of ours: {cpu:.1f} ms; asked to sleep on the path: {waited:.0f} s, in the figure")
    print_calls(runs[CLUSTERS[0]][0])
    print_goals(runs, rotate_fleet())


if __name__ == "__main__":
    main()
