"""`rehearse`: the days ahead, lived on paper."""

from functools import partial
from typing import Annotated

import typer

from cli.desk import Desk
from cli.drawing.rehearsal import draw_fleet, draw_project
from cli.front import command


@command("rehearse", example="keyturn rehearse --days 365")
def rehearse(
    desk: Desk,
    project_id: Annotated[
        str | None, typer.Argument(metavar="PROJECT", help="A project's id or name; without one, the whole fleet.")
    ] = None,
    *,
    days: Annotated[int, typer.Option(min=1, max=3650, metavar="DAYS", help="How far to look ahead.")] = 365,
) -> None:
    """What the days ahead bring: mails, rotations, keys and their cost."""
    if project_id is None:
        ahead = desk.client.everything("rehearsal", days=days)
        desk.show(ahead, partial(draw_fleet, days=days))
    else:
        desk.show(desk.client.get("projects", project_id, "rehearsal", days=days), partial(draw_project, days=days))
