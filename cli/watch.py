"""Stays with a rotation until it is over, and shows every step on the way."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer
from rich.live import Live
from rich.spinner import Spinner

from cli.desk import Desk
from cli.drawing.rotations import TERMINAL, draw_progress, draw_rotation
from cli.failures import INTERRUPTED, REFUSED
from cli.pictures import stack
from cli.shapes import Shape
from cli.words import listed, minute, plain

Tell = Callable[[Shape], None]


def watch(desk: Desk, rotation: Shape, *, every: float, good: frozenset[str]) -> None:
    """Look every so many seconds until the rotation is over; exits with 1 when it ended otherwise than well."""
    try:
        with _telling(desk) as tell:
            last = _follow(desk, rotation, every, tell)
    except KeyboardInterrupt as stop:
        where = f"keyturn rotation {rotation['project_id']} {rotation['rotation_id']} --watch"
        desk.say(f"The rotation goes on without you; to look again: {where}")
        raise typer.Exit(INTERRUPTED) from stop
    desk.show(last, draw_rotation)
    if last["state"] not in good:
        raise typer.Exit(REFUSED)


def _follow(desk: Desk, rotation: Shape, every: float, tell: Tell) -> Shape:
    """Give the rotation as it ended, whole."""
    path = ("projects", rotation["project_id"], "rotations", rotation["rotation_id"])
    while rotation["state"] not in TERMINAL:
        tell(rotation)
        desk.around.sleep(every)
        rotation = desk.client.get(*path)
    return desk.client.get(*path)


@contextmanager
def _telling(desk: Desk) -> Iterator[Tell]:
    """How a step is told: in a living picture on a terminal, a line for each change elsewhere, not at all as JSON."""
    if desk.as_json:
        yield lambda _rotation: None
    elif desk.out.is_terminal:
        spinner = Spinner("dots")
        with Live(spinner, console=desk.out, transient=True) as live:
            yield lambda rotation: live.update(stack(draw_progress(rotation), spinner))
    else:
        yield _lines(desk)


def _lines(desk: Desk) -> Tell:
    told: list[str] = []

    def tell(rotation: Shape) -> None:
        line = _line(rotation)
        if line not in told[-1:]:
            told.append(line)
            desk.out.print(f"{minute(desk.now.isoformat())} {line}", soft_wrap=True)

    return tell


def _line(rotation: Shape) -> str:
    state = rotation["state"].replace("_", " ")
    waits = rotation["waiting_for"]
    return plain(f"{state}: waiting for {listed(waits)}" if waits else state)
