"""Runs benches one after another: `python bench [--write PAGE] [BENCH…]`; with no bench named, all of them.

A goal that is missed is said and no failure; a bench that did not do its work exactly is one. `--write` puts the
figures of the run into a page of the docs, between its two marks, with the date, the Python and the processor.
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

from gauges.figures import interpreter, processor  # noqa: E402 - found by the line above

BEGIN, END = "<!-- begin of the run -->", "<!-- end of the run -->"
REACHED, MISSED = ": reached", ": MISSED"


def main() -> int:
    """Run what is named, sum up, write the page where that is asked for; 1 when a bench failed."""
    asked = _asked()
    said = {path: _run(path) for path in asked.benches or _all()}
    failed = [path for path, (code, _) in said.items() if code]
    lines = [line for _, lines in said.values() for line in lines]
    print(_summary(lines))
    for path in failed:
        print(f"{path} FAILED: it did not do its work exactly", file=sys.stderr)
    if asked.write is not None and not failed:
        _write(asked.write, [lines for _, lines in said.values()])
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


def _summary(lines: list[str]) -> str:
    reached, missed = (sum(mark in line for line in lines) for mark in (REACHED, MISSED))
    return f"{reached} goals reached, {missed} missed"


def _write(page: Path, benches: list[list[str]]) -> None:
    """Put the figures between the marks; ValueError where the page has none."""
    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} has no place for the figures: {BEGIN} and {END}")
    all_lines = [line for lines in benches for line in lines]
    when = f"{datetime.now(tz=UTC):%Y-%m-%d}, {interpreter()}, {processor()}: {_summary(all_lines)}."
    shown = "\n\n".join([when, *(text for lines in benches for text in _as_markdown(lines))])
    page.write_text(f"{before}{BEGIN}\n{shown}\n{END}{after}", encoding="utf-8")


def _as_markdown(lines: list[str]) -> Iterator[str]:
    """A title, its tables, and everything else as lists."""
    title, *rest = lines
    yield f"### {title}"
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
