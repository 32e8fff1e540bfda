"""`activity`: what happened in the whole fleet, newest first."""

from itertools import islice
from typing import Annotated

import typer

from cli.desk import Desk
from cli.drawing.activity import draw_activity
from cli.front import command

_MOST = 100
"""How many entries one page may hold."""


@command("activity", example="keyturn activity --last 50")
def activity(
    desk: Desk,
    *,
    last: Annotated[int, typer.Option(min=1, metavar="NUMBER", help="How many entries to show.")] = 20,
) -> None:
    """What happened in the whole fleet, newest first.

    It is the audit trail as one list: rotations, deletions, policies, acknowledgements, and what Keyturn did itself.
    """
    pages = desk.client.pages("activity", limit=min(last, _MOST))
    items = list(islice((entry for page in pages for entry in page["items"]), last))
    desk.show({"items": items}, draw_activity)
