"""`evidence`: the pack for an auditor, exactly as the API gives it."""

from pathlib import Path
from typing import Annotated

import typer

from cli.arguments import Form, ProjectId
from cli.desk import Desk
from cli.failures import Misused
from cli.front import command
from cli.words import count


@command("evidence", example="keyturn evidence 64b0c0c0c0c0c0c0c0c0c0c0 --format html --output payments.html")
def evidence(
    desk: Desk,
    project_id: ProjectId,
    *,
    form: Annotated[Form | None, typer.Option("--format", help="json if left out.")] = None,
    begin: Annotated[str | None, typer.Option("--from", metavar="WHEN", help="A date or a time, in UTC.")] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="WHEN", help="A date or a time, in UTC.")] = None,
    output: Annotated[
        Path | None, typer.Option(dir_okay=False, help="A file to write instead of the terminal.")
    ] = None,
) -> None:
    """The evidence pack of a project, for an auditor.

    Holds rotations, keys, deletions, and who did what when.
    """
    if desk.as_json and form not in {None, Form.JSON}:
        raise Misused(f"--json and --format {form} contradict each other.")
    query = {"format": form or Form.JSON, "from": begin, "to": end}
    pack = desk.client.ask("GET", ("projects", project_id, "evidence"), query=query).body
    if output is None:
        typer.echo(pack, nl=False)
        return
    _write(output, pack)
    typer.echo(f"{output}: {count(len(pack), 'byte')}", err=True)


def _write(output: Path, pack: bytes) -> None:
    try:
        output.write_bytes(pack)
    except OSError as error:
        raise Misused(f"{output} cannot be written: {error.strerror}.") from error
