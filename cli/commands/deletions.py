"""`deletion`, `approve` and `calloff`: a deletion that two people agree on."""

from typing import Annotated

import typer

from cli.arguments import DeletionId
from cli.desk import Desk
from cli.drawing.deletions import draw_deletion
from cli.front import command


@command("deletion", example="keyturn deletion 9c1d2e3f4a5b6c7d")
def deletion(desk: Desk, deletion_id: DeletionId) -> None:
    """One deletion: where it stands, and what comes next."""
    desk.show(desk.client.get("deletions", deletion_id), draw_deletion)


@command("approve", example="keyturn approve 9c1d2e3f4a5b6c7d --digest DIGEST")
def approve(
    desk: Desk,
    deletion_id: DeletionId,
    *,
    digest: Annotated[str, typer.Option(metavar="TEXT", help="The digest of the proof that you have seen.")],
) -> None:
    """Approve a deletion that somebody else requested."""
    answer = desk.client.ask("POST", ("deletions", deletion_id, "approval"), body={"digest": digest})
    desk.show(answer.read(), draw_deletion)


@command("calloff", example="keyturn calloff 9c1d2e3f4a5b6c7d")
def call_off(desk: Desk, deletion_id: DeletionId) -> None:
    """Call a deletion off.

    A key in quarantine, or pending deletion, comes back at the next look.
    """
    desk.show(desk.client.ask("DELETE", ("deletions", deletion_id)).read(), draw_deletion)
