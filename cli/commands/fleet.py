"""`status`, `projects`, `project` and `ack`: the fleet and what is due in it."""

from functools import partial
from typing import Annotated

import typer

from cli.arguments import ProjectId, counts_from_now, moment_from
from cli.desk import Desk
from cli.drawing.fleet import draw_project, draw_projects, draw_status
from cli.front import command
from cli.standing import worst_first


@command("status", example="keyturn status --top 50")
def status(
    desk: Desk,
    *,
    top: Annotated[int, typer.Option(min=1, metavar="NUMBER", help="How many projects to show.")] = 20,
) -> None:
    """The fleet at a glance, worst first."""
    projects = desk.client.everything("projects")
    keys = desk.client.get("keys", limit=1)
    of_keys = {"retiring": keys.get("retiring"), "endangered": keys.get("endangered", [])}
    ordered = worst_first(projects["items"], desk.now)
    desk.show(projects | {"items": ordered} | of_keys, partial(draw_status, top=top))


@command("projects", example="keyturn projects --json")
def projects(desk: Desk) -> None:
    """Every project, in the order of the API."""
    desk.show(desk.client.everything("projects"), draw_projects)


@command("project", example="keyturn project 64b0c0c0c0c0c0c0c0c0c0c0")
def project(desk: Desk, project_id: ProjectId) -> None:
    """One project: its key, and when that is due."""
    desk.show(desk.client.get("projects", project_id), draw_project)


@command("ack", example="keyturn ack 64b0c0c0c0c0c0c0c0c0c0c0 --until 14d --comment 'after the release'")
def acknowledge(
    desk: Desk,
    project_id: ProjectId,
    *,
    until: Annotated[
        str, typer.Option(metavar="WHEN", help="A date, a time, or days from now, as 14d; at most 90 days ahead.")
    ],
    comment: Annotated[str, typer.Option(metavar="TEXT", help="Why, for those who come after you.")] = "",
) -> None:
    """Be quiet about a project until a day.

    Where its policy rotates by itself (`--mode rotate`), the rotation waits until that day too.
    """
    if counts_from_now(until):
        desk.client.knock()  # which tells the time by the API's clock
    body = {"until": moment_from(until, desk.now), "comment": comment}
    answer = desk.client.ask("POST", ("projects", project_id, "acknowledgement"), body=body)
    desk.show(answer.read(), draw_project)
