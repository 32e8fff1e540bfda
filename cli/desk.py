"""Where a command is worked at: the client, the screen, and what every command is told by its options."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import sleep
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from cli.failures import Failure, Refused
from cli.pictures import BAD, WARN, Picture, said
from cli.place import find_place
from cli.shapes import Shape

if TYPE_CHECKING:
    from cli.client import Client

_PIPED_WIDTH = 160


def _now() -> datetime:
    return datetime.now(tz=UTC)


def screen(*, errors: bool = False) -> Console:
    """The terminal; what is piped elsewhere gets long lines, and never colours."""
    file = sys.stderr if errors else sys.stdout
    console = Console(file=file, highlight=False, markup=False, emoji=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _PIPED_WIDTH
    return console


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """The clock on the wall and how to wait; tests bring their own."""

    now: Callable[[], datetime] = _now
    sleep: Callable[[float], None] = sleep


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """What a command writes on, for people or for programs."""

    as_json: bool
    around: Surroundings
    out: Console = field(default_factory=screen)

    @property
    def now(self) -> datetime:
        """The time now, by the clock on the wall."""
        return self.around.now()

    def show(self, shape: Shape, draw: Callable[[Shape, datetime], Picture]) -> None:
        """Print a shape: as it is with --json, else as a picture."""
        if self.as_json:
            self.print_json(shape)
        else:
            self.out.print(draw(shape, self.now))

    def print_json(self, shape: Shape) -> None:
        """Print a shape as JSON."""
        typer.echo(json.dumps(shape, indent=2))

    def say(self, picture: Picture) -> None:
        """Print something for people alone."""
        if not self.as_json:
            self.out.print(picture)


@dataclass(frozen=True, kw_only=True)
class Desk(Sheet):
    """One command's work with Keyturn."""

    client: "Client"

    @property
    def now(self) -> datetime:
        """The time now, by the API's clock where it has told it: days are counted as it counts them."""
        return self.client.heard_at or self.around.now()


@contextmanager
def telling_failures(*, as_json: bool) -> Iterator[None]:
    """A Failure raised in here ends the command, told on stderr and, with --json, as JSON on stdout."""
    try:
        yield
    except Failure as failure:
        tell(failure, as_json=as_json)
        raise SystemExit(failure.exit_code) from failure


@contextmanager
def open_desk(
    *, endpoint: str | None, profile: str | None, region: str | None, as_json: bool, around: Surroundings | None
) -> Iterator[Desk]:
    """Set a desk up; a Failure raised at it ends the command."""
    # Botocore takes longer to load than all the rest: help and completion go without it.
    from cli.client import Client
    from cli.signing import Signer

    settled = around or Surroundings()
    with telling_failures(as_json=as_json):
        place = find_place(endpoint)
        client = Client(place, Signer(profile, region or place.region), settled.sleep)
        try:
            yield Desk(client=client, as_json=as_json, around=settled)
        finally:
            client.close()


def tell(failure: Failure, *, as_json: bool) -> None:
    """Tell a failure: words on stderr, and what the API said unchanged on stdout for those who read JSON."""
    if as_json and failure.document is not None:
        typer.echo(json.dumps(failure.document, indent=2))
    screen(errors=True).print(_styled(failure), soft_wrap=True)


def _styled(failure: Failure) -> Picture:
    return said(failure.text, WARN if isinstance(failure, Refused) else BAD)
