"""`keys`, `key`, `attest` and `delete`: may a key go, and asking that it goes."""

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from cli.arguments import KeyName, key_place
from cli.desk import Desk
from cli.drawing.deletions import draw_deletion
from cli.drawing.keys import draw_key, draw_keys
from cli.front import command
from cli.projects import names_of_projects

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cli.shapes import Shape


@command("keys", example="keyturn keys --free")
def keys(
    desk: Desk,
    *,
    free: Annotated[bool, typer.Option("--free", help="Only those that may be deleted.")] = False,
) -> None:
    """Every key, and whether it may go."""
    shown = desk.client.everything("keys")
    chosen = [key for key in shown["items"] if key["safe_to_delete"] or not free]
    desk.show(shown | {"items": chosen}, partial(draw_keys, names=_names(desk, chosen)))


@command("key", example="keyturn key 1234abcd-12ab-34cd-56ef-1234567890ab --retention-days 30")
def key(
    desk: Desk,
    name: KeyName,
    *,
    retention_days: Annotated[
        int | None,
        typer.Option(
            min=1, max=3650, metavar="DAYS", help="When would it come free if snapshots were kept no longer than this?"
        ),
    ] = None,
) -> None:
    """Tell whether a key may be deleted.

    Says who needs it, what drains when, and since when it is proven that nobody does.
    """
    key_id, place = key_place(name)
    _show(desk, desk.client.get("keys", key_id, **place, retention_days=retention_days))


@command("attest", example="keyturn attest 1234abcd-12ab-34cd-56ef-1234567890ab --statement 'no copies were made'")
def attest(
    desk: Desk,
    name: KeyName,
    *,
    statement: Annotated[str, typer.Option(metavar="TEXT", help="What you vouch for, in your own words.")],
) -> None:
    """Vouch for what no API shows.

    Those are snapshots that were downloaded, or copied elsewhere.
    """
    key_id, place = key_place(name)
    body = {"statement": statement}
    _show(desk, desk.client.ask("POST", ("keys", key_id, "attestation"), query=place, body=body).read())


@command("delete", example="keyturn delete 1234abcd-12ab-34cd-56ef-1234567890ab --reason 'nothing needs it'")
def delete(
    desk: Desk,
    name: KeyName,
    *,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why, for the audit.")] = "",
) -> None:
    """Request that a key be deleted.

    Shows the digest that another person approves, or every reason against it.
    """
    key_id, place = key_place(name)
    body = {"reason": reason}
    desk.show(desk.client.ask("POST", ("keys", key_id, "deletion"), query=place, body=body).read(), draw_deletion)


def _show(desk: Desk, key: "Shape") -> None:
    desk.show(key, partial(draw_key, names=_names(desk, [key])))


def _names(desk: Desk, keys: "list[Shape]") -> "Mapping[str, str]":
    """What the keys' projects are called, for people."""
    if desk.as_json:
        return {}
    return names_of_projects(desk.client, {project_id for key in keys for project_id in key["projects"]})
