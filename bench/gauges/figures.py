"""What the benches say alike: medians with their spread, slopes, and goals that are reached or missed."""

import math
import platform
import re
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

AT_MOST, AT_LEAST = "<=", ">="


def slope(points: Mapping[int, float]) -> float:
    """The slope of a straight line through the logarithms."""
    return statistics.linear_regression([math.log(x) for x in points], [math.log(y) for y in points.values()]).slope


def verdict(*, reached: bool) -> str:
    """A goal met or missed."""
    return "reached" if reached else "MISSED"


def goal(name: str, figure: float, bound: str, limit: float, *, digits: int = 2) -> str:
    """One figure beside its goal."""
    reached = figure <= limit if bound == AT_MOST else figure >= limit
    return f"{name}: {figure:.{digits}f} (goal {bound} {limit:g}): {verdict(reached=reached)}"


@dataclass(frozen=True, kw_only=True)
class Goal:
    """A goal as it was printed."""

    name: str
    figure: float
    bound: str
    limit: float
    reached: bool

    @property
    def ratio(self) -> float | None:
        """The figure by its goal; None where the goal is nothing at all."""
        return self.figure / self.limit if self.limit else None


_GOAL = re.compile(r"(?P<name>.+): (?P<figure>-?[\d.]+) \(goal (?P<bound>[<>]=) (?P<limit>\S+)\): (?P<verdict>\w+)")


def read_goal(line: str) -> Goal | None:
    """The goal that a line tells of, if it does."""
    told = _GOAL.match(line)
    if told is None:
        return None
    reached = told["verdict"] == verdict(reached=True)
    figure, limit = float(told["figure"]), float(told["limit"])
    return Goal(name=told["name"], figure=figure, bound=told["bound"], limit=limit, reached=reached)


def spread(values: Sequence[float], *, digits: int = 0) -> str:
    """The smallest and the largest of some figures."""
    return f"{min(values):,.{digits}f}-{max(values):,.{digits}f}"


def row(*cells: object) -> str:
    """One line of a table."""
    return f"| {' | '.join(map(str, cells))} |"


def head(*names: str) -> str:
    """The head of a table."""
    return f"{row(*names)}\n{row(*('---' for _ in names))}"


def interpreter() -> str:
    """Which Python measured."""
    return f"{platform.python_implementation()} {sys.version.split()[0]}"


def memory() -> str:
    """How much memory the machine has, as far as it says."""
    meminfo = Path("/proc/meminfo")
    lines = meminfo.read_text(encoding="utf-8").splitlines() if meminfo.exists() else []
    kilobytes = next((int(line.split()[1]) for line in lines if line.startswith("MemTotal:")), None)
    return f"{kilobytes / 1024**2:.0f} GiB of memory" if kilobytes is not None else "memory unknown"


def processor() -> str:
    """Which processor it ran on, as far as the machine says."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0]}, {len(names)} cores" if names else platform.processor() or platform.machine()
