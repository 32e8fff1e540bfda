"""`rotate`, `rotations`, `rotation`, `rollback` and `cancel`."""

from typing import Annotated
from uuid import uuid4

import typer

from cli.arguments import ProjectId, RotationId, Strategy
from cli.desk import Desk
from cli.drawing.rotations import TERMINAL, draw_preview, draw_rotation, draw_rotations
from cli.failures import REFUSED, Unsure
from cli.front import command
from cli.shapes import Shape
from cli.watch import watch

Watch = Annotated[bool, typer.Option("--watch", help="Stay, and show each step until it is over.")]
Every = Annotated[float, typer.Option(min=0.1, metavar="SECONDS", help="How often --watch looks.")]
_OVER = frozenset({"deployed", "cancelled", "rolled_back"})


@command("rotate", example="keyturn rotate 64b0c0c0c0c0c0c0c0c0c0c0 --dry-run")
def rotate(  # noqa: PLR0913 - each parameter is an option
    desk: Desk,
    project_id: ProjectId,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Make every check, change nothing.")] = False,
    key: Annotated[
        str | None, typer.Option(metavar="KEY", help="Your own key: an id, or an ARN for another account's.")
    ] = None,
    to_region: Annotated[
        str | None, typer.Option(metavar="REGION", help="Rotate to the key's twin there (multi-Region keys).")
    ] = None,
    credentials_secret: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The name of the secret keyturn/… for a project with an IAM user."),
    ] = None,
    strategy: Annotated[Strategy | None, typer.Option(help="Otherwise as the project's policy says.")] = None,
    period_days: Annotated[
        int | None,
        typer.Option(min=90, max=2560, metavar="DAYS", help="How often KMS is to rotate, with kms-automatic."),
    ] = None,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why, for the audit.")] = "",
    emergency: Annotated[
        bool, typer.Option("--emergency", help="Others may know the key: list what it still opens.")
    ] = False,
    idempotency_key: Annotated[
        str | None, typer.Option(metavar="TEXT", help="The same text never gives two rotations; made up if left out.")
    ] = None,
    watching: Watch = False,
    every: Every = 5.0,
) -> None:
    """Rotate a project's key now."""
    wishes = {
        "key": key,
        "region": to_region,
        "credentials_secret": credentials_secret,
        "strategy": strategy,
        "period_days": period_days,
        "reason": reason or None,
        "emergency": emergency or None,
        "dry_run": dry_run or None,
    }
    body = {name: wish for name, wish in wishes.items() if wish is not None}
    answer = _request(desk, project_id, body, idempotency_key or str(uuid4()))
    if dry_run:
        _show_preview(desk, answer)
    elif watching:
        watch(desk, answer, every=every, good=frozenset({"deployed"}))
    else:
        _show_accepted(desk, answer)


def _request(desk: Desk, project_id: str, body: Shape, idempotency_key: str) -> Shape:
    headers = {"Idempotency-Key": idempotency_key}
    try:
        return desk.client.ask("POST", ("projects", project_id, "rotations"), body=body, headers=headers).read()
    except Unsure as failure:
        failure.text += f"\nTo ask again for the same rotation: --idempotency-key {idempotency_key}"
        raise


def _show_preview(desk: Desk, answer: Shape) -> None:
    desk.show(answer, draw_preview)
    if any(check["passed"] is False for check in answer["checks"]):
        raise typer.Exit(REFUSED)


def _show_accepted(desk: Desk, rotation: Shape) -> None:
    desk.show(rotation, draw_rotation)
    desk.say(f"Watch it: keyturn rotation {rotation['project_id']} {rotation['rotation_id']} --watch")


@command("rotations", example="keyturn rotations 64b0c0c0c0c0c0c0c0c0c0c0")
def rotations(desk: Desk, project_id: ProjectId) -> None:
    """A project's rotations, the latest first."""
    desk.show(desk.client.everything("projects", project_id, "rotations"), draw_rotations)


@command("rotation", example="keyturn rotation 64b0c0c0c0c0c0c0c0c0c0c0 1f0c5d0e9a7b4c2d --watch")
def rotation(
    desk: Desk, project_id: ProjectId, rotation_id: RotationId, *, watching: Watch = False, every: Every = 5.0
) -> None:
    """One rotation: its steps, and what it waits for."""
    shown = desk.client.get("projects", project_id, "rotations", rotation_id)
    if watching:
        watch(desk, shown, every=every, good=_OVER)
    else:
        desk.show(shown, draw_rotation)


@command("rollback", example="keyturn rollback 64b0c0c0c0c0c0c0c0c0c0c0 1f0c5d0e9a7b4c2d")
def rollback(
    desk: Desk, project_id: ProjectId, rotation_id: RotationId, *, watching: Watch = False, every: Every = 5.0
) -> None:
    """Go back to the old key, while that is kept."""
    answer = desk.client.ask("POST", ("projects", project_id, "rotations", rotation_id, "rollback")).read()
    if watching:
        watch(desk, answer, every=every, good=frozenset({"rolled_back"}))
    else:
        _show_accepted(desk, answer)


@command("cancel", example="keyturn cancel 64b0c0c0c0c0c0c0c0c0c0c0 1f0c5d0e9a7b4c2d")
def cancel(desk: Desk, project_id: ProjectId, rotation_id: RotationId) -> None:
    """Give a rotation up before the settings are changed."""
    answer = desk.client.ask("POST", ("projects", project_id, "rotations", rotation_id, "cancel")).read()
    if answer["state"] in TERMINAL:
        desk.show(answer, draw_rotation)
    else:
        _show_accepted(desk, answer)
        desk.say("It is cancelled at its next step, before anything more is done.")
