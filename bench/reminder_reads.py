"""Bench P9: what is read to find the reminders that are due today, however many projects there are.

The real verb on the real tracker adapter, whose requests go to a table that counts what each reads. Beside it: a script
that scans the table, as those do that keep no index of time.
"""

import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import msgspec  # noqa: E402 - after the line above, like the rest
from fake_messages import FakeMessages  # noqa: E402 - the same
from gauges.endless_table import EndlessTable  # noqa: E402 - found by the line above
from gauges.figures import AT_MOST, goal, head, interpreter, row, slope  # noqa: E402 - the same

from chalicelib.adapters.tracker import DynamoTracker, instant  # noqa: E402 - the same
from chalicelib.domain.arn import KeyArn  # noqa: E402 - the same
from chalicelib.domain.records import Project  # noqa: E402 - the same
from chalicelib.usecases.ports import Outside  # noqa: E402 - the same
from chalicelib.usecases.remind import remind_all  # noqa: E402 - the same

PROJECTS = (100, 1_000, 10_000, 100_000, 1_000_000)
DUE = 50
MOST_RATIO, NO_SLOPE = 1.2, 0.0
NOW = datetime(2027, 3, 1, 9, tzinfo=UTC)
PERIOD = timedelta(days=90)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What one firing of the schedule read and wrote."""

    found: int
    read: int
    heads: int
    written: int


def remind(projects: int) -> Reading:
    """One firing over so many projects, of which DUE are due; what was spoken is asserted."""
    times = [instant(_due(number)) for number in range(projects)]
    table = EndlessTable(kind="reminder", due=times, record=_record)
    messages = FakeMessages()
    outside = Outside(
        now=lambda: NOW,
        tracker=DynamoTracker(table, "table"),
        messages=messages,
        organizations=tuple,
        atlas=_nobody,
        atlas_owner=_nobody,
        keys=_nobody,
    )
    spoken = remind_all(outside)
    assert spoken == DUE, f"{spoken} reminders were spoken"
    return Reading(found=table.found, read=table.read, heads=table.heads, written=table.written)


def _nobody(*_: object) -> Any:  # noqa: ANN401 - never given
    raise AssertionError("a reminder asks nobody outside")


def _due(number: int) -> datetime:
    """The first DUE projects are due today, the others on the days after it."""
    return NOW - timedelta(minutes=DUE - number) if number < DUE else NOW + timedelta(minutes=number)


def _record(number: int) -> dict[str, Any]:
    arn = KeyArn(account="111122223333", region="eu-west-1", key_id=f"{number:024d}")
    project = Project(
        project_id=f"{number:024d}",
        name=f"project {number}",
        organization="o",
        seen_at=NOW,
        key=arn,
        key_since=_due(number) - PERIOD,
        last_rung=-1,
        next_reminder_at=_due(number),
        version=1,
    )
    return {"body": {"S": msgspec.json.encode(project).decode()}}


def main() -> None:
    """From a hundred projects to a million, always as many due."""
    print(f"P9: reads to find {DUE} reminders due; {interpreter()}")
    measured = {count: remind(count) for count in PROJECTS}
    print(
        head(
            "projects",
            "found in the index",
            "records read",
            "chain heads",
            "items written",
            "found / due",
            "a scan reads / due",
        )
    )
    for count, one in measured.items():
        ours, scan = f"{one.found / DUE:.2f}", f"{count / DUE:,.0f}"
        print(row(f"{count:,}", one.found, one.read, one.heads, one.written, ours, scan))
    print(goal("items found / items due", max(one.found for one in measured.values()) / DUE, AT_MOST, MOST_RATIO))
    print(goal("records read / items due", max(one.read for one in measured.values()) / DUE, AT_MOST, MOST_RATIO))
    flat = slope({count: one.found + one.read + one.heads + one.written for count, one in measured.items()})
    print(goal("slope of all reads and writes against the projects", flat, AT_MOST, NO_SLOPE, digits=3))


if __name__ == "__main__":
    main()
