"""`evidence`: the pack for an auditor, exactly as the API gives it, or those of the whole fleet in one file."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from cli.arguments import Form
from cli.chains import digest_of
from cli.desk import Desk
from cli.failures import Misused
from cli.front import command
from cli.shapes import Shape
from cli.words import count

SCHEMA_VERSION = "1"
"""Of the fleet's file; each pack in it has its own."""


@command("evidence", example="keyturn evidence 64b0c0c0c0c0c0c0c0c0c0c0 --format html --output payments.html")
def evidence(  # noqa: PLR0913 - each parameter is an option
    desk: Desk,
    project_id: Annotated[
        str | None, typer.Argument(metavar="PROJECT", help="An Atlas project, by its id or its name.")
    ] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Those of all projects, in one file.")] = False,
    form: Annotated[Form | None, typer.Option("--format", help="json if left out.")] = None,
    begin: Annotated[str | None, typer.Option("--from", metavar="WHEN", help="A date or a time, in UTC.")] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="WHEN", help="A date or a time, in UTC.")] = None,
    output: Annotated[
        Path | None, typer.Option(dir_okay=False, help="A file to write instead of the terminal.")
    ] = None,
) -> None:
    """The evidence pack of a project, for an auditor.

    Holds policy, keys, rotations, checks, deletions, proofs, and who did what when. As JSON it can be checked with
    `keyturn verify`.
    """
    if desk.as_json and form not in {None, Form.JSON}:
        raise Misused(f"--json and --format {form} contradict each other.")
    if (project_id is None) is not everything:
        raise Misused("Name one project, or all of them with --all.")
    wanted = form or Form.JSON
    query = {"format": wanted, "from": begin, "to": end}
    pack = _pack(desk, project_id, query) if project_id is not None else _fleet(desk, wanted, query)
    if output is None:
        typer.echo(pack, nl=False)
        return
    _write(output, pack)
    typer.echo(f"{output}: {count(len(pack), 'byte')}", err=True)


def _pack(desk: Desk, project_id: str, query: Mapping[str, str | None]) -> bytes:
    return desk.client.ask("GET", ("projects", project_id, "evidence"), query=query).body


def _fleet(desk: Desk, form: Form, query: Mapping[str, str | None]) -> bytes:
    """The packs of all projects, one after the other: a list in JSON, one table in CSV."""
    if form is Form.HTML:
        raise Misused("A page holds one project: name it, or take --format json or csv.")
    projects = [project["project_id"] for project in desk.client.everything("projects")["items"]]
    packs = [_pack(desk, project_id, query) for project_id in projects]
    if form is Form.CSV:
        return b"".join(pack if number == 0 else pack.partition(b"\r\n")[2] for number, pack in enumerate(packs))
    file: Shape = {"schema_version": SCHEMA_VERSION, "packs": [json.loads(pack) for pack in packs]}
    return json.dumps(file | {"digest": digest_of(file)}).encode() + b"\n"


def _write(output: Path, pack: bytes) -> None:
    try:
        output.write_bytes(pack)
    except OSError as error:
        raise Misused(f"{output} cannot be written: {error.strerror}.") from error
