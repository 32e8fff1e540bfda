"""What every picture is made of: bars, tables, pairs and lists; nothing here knows what they show."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.segment import Segment
from rich.style import Style
from rich.table import Table
from rich.text import Text

from cli.words import plain

GOOD, BUSY, WARN, BAD, QUIET = "green", "cyan", "yellow", "bold red", "dim"
"""How things stand, as a colour; the words beside it say the same."""

_EIGHTHS = ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")
_NARROWEST = 10
Picture = RenderableType


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A bar that fills `share` (0 to 1) of its width; what is above zero shows at least a trace."""

    share: float
    width: int = 30
    style: str = WARN

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it, with plain characters where the terminal knows no others."""
        width = min(self.width, options.max_width)
        eighths = round(min(max(self.share, 0.0), 1.0) * width * 8)
        eighths = max(eighths, 1) if self.share > 0 else eighths
        if options.ascii_only or not console.encoding.lower().startswith("utf"):
            drawn = "#" * -(-eighths // 8)
        else:
            drawn = "█" * (eighths // 8) + _EIGHTHS[eighths % 8]
        yield Segment(drawn, Style.parse(self.style))
        yield Segment(" " * (width - len(drawn)))

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """It is as wide as it was made, and never narrower than ten."""
        return Measurement(min(_NARROWEST, self.width), self.width)


def table(columns: Sequence[str], rows: Iterable[Sequence[RenderableType]]) -> Table:
    """A table without lines; `#` before a heading is for numbers, `!` for ids that are never broken."""
    drawn = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        right, whole = column.startswith("#"), column.startswith("!")
        drawn.add_column(column.lstrip("#!"), justify="right" if right else "left", overflow="fold", no_wrap=whole)
    for row in rows:
        drawn.add_row(*(Text(plain(cell)) if isinstance(cell, str) else cell for cell in row))
    return drawn


def pairs(rows: Iterable[tuple[str, RenderableType | None]]) -> Table:
    """Names and values under each other; a value of None leaves its row out."""
    drawn = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    drawn.add_column(style=QUIET, no_wrap=True)
    drawn.add_column(overflow="fold")
    for name, value in rows:
        if value is not None:
            drawn.add_row(name, Text(plain(value)) if isinstance(value, str) else value)
    return drawn


def points(texts: Iterable[str]) -> Group:
    """A list of points."""
    return Group(*(Padding(Text(f"- {plain(text)}"), (0, 0, 0, 2)) for text in texts))


def said(text: str, style: str = "") -> Text:
    """A sentence."""
    return Text(plain(text), style=style)


def stack(*parts: RenderableType | None) -> Group:
    """Parts under each other; None is left out."""
    return Group(*(part for part in parts if part is not None))
