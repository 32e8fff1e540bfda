"""Runs benches one after another: `python bench [--write PAGE] [BENCH…]`; with no bench named, all of them.

A goal that is missed is said and no failure; a bench that did not do its work exactly is one. `--write` puts the
figures of the run into a page of the docs, between its two marks, with the date, the Python, the machine and how each
bench is run. The last table has every goal.
"""

import argparse
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

BENCH = Path(__file__).resolve().parent
sys.path[:0] = [str(BENCH)]

from gauges.figures import head, interpreter, memory, processor, read_goal, row, verdict  # noqa: E402 - found by the line above

BEGIN, END = "<!-- begin of the run -->", "<!-- end of the run -->"
Said = dict[Path, list[str]]
"""What each bench said, line by line."""


def main() -> int:
    """Run what is named, sum up, write the page where that is asked for; 1 when a bench failed."""
    asked = _asked()
    said = {path: _run(path) for path in asked.benches or _all()}
    failed = [path for path, (code, _) in said.items() if code]
    lines = {path: lines for path, (_, lines) in said.items()}
    print("\n".join(goals_of(lines)))
    print(summary_of(lines))
    for path in failed:
        print(f"{path} FAILED: it did not do its work exactly", file=sys.stderr)
    if asked.write is not None and not failed:
        _write(asked.write, lines)
    return 1 if failed else 0


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description="Measure against the floor.")
    parser.add_argument("benches", nargs="*", type=Path, help="files of benches; all when none is named")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the figures into this page of the docs")
    return parser.parse_args()


def _all() -> list[Path]:
    return sorted(path for path in BENCH.glob("*.py") if path.stem != "__main__")


def _run(path: Path) -> tuple[int, list[str]]:
    """One bench in a process of its own; its lines are shown as they come."""
    lines = []
    with subprocess.Popen([sys.executable, "-u", str(path)], stdout=subprocess.PIPE, text=True) as running:
        for line in running.stdout or ():
            print(line, end="", flush=True)
            lines.append(line.rstrip("\n"))
    print(flush=True)
    return running.returncode, lines


def summary_of(said: Said) -> str:
    """How many goals were reached, and how many not."""
    goals = [goal for lines in said.values() for line in lines if (goal := read_goal(line)) is not None]
    reached = sum(goal.reached for goal in goals)
    return f"{reached} goals reached, {len(goals) - reached} missed"


def goals_of(said: Said) -> Iterator[str]:
    """A table of every goal, in the order of the benches."""
    yield head("bench", "goal", "figure", "to reach", "figure / goal", "")
    for path, lines in said.items():
        for goal in filter(None, map(read_goal, lines)):
            ratio = f"{goal.ratio:.2f}" if goal.ratio is not None else ""
            limit = f"{goal.bound} {goal.limit:g}"
            yield row(path.name, goal.name, f"{goal.figure:g}", limit, ratio, verdict(reached=goal.reached))


def _write(page: Path, said: Said) -> None:
    """Put the figures between the marks; ValueError where the page has none."""
    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} has no place for the figures: {BEGIN} and {END}")
    when = f"{datetime.now(tz=UTC):%Y-%m-%d}, {interpreter()}, {processor()}, {memory()}: {summary_of(said)}."
    goals = "\n".join(goals_of(said))
    shown = "\n\n".join([when, goals, *(text for path, lines in said.items() for text in _as_markdown(path, lines))])
    page.write_text(f"{before}{BEGIN}\n{shown}\n{END}{after}", encoding="utf-8")


def _as_markdown(path: Path, lines: list[str]) -> Iterator[str]:
    """A title, how it is run, its tables, and everything else as lists."""
    title, *rest = lines
    yield f"### {title}"
    yield f'`make bench ARGS="{path.resolve().relative_to(BENCH.parent)}"`'
    for mark, group in groupby(rest, key=_mark):
        if mark is not None:
            yield "\n".join(f"{mark}{line.strip()}" for line in group)


def _mark(line: str) -> str | None:
    """What a line begins with on a page: nothing in a table, the mark of a list else; None for one that is empty."""
    if not line:
        return None
    return "" if line.startswith("|") else "- "


if __name__ == "__main__":
    sys.exit(main())
