"""`verify`: whether an exported evidence file is whole, found out without asking anybody."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.chains import Fault
from cli.desk import Sheet
from cli.failures import REFUSED, Misused, Refused
from cli.front import offline_command
from cli.pictures import BAD, GOOD, WARN, Picture, points, said, stack
from cli.shapes import Shape
from cli.verification import Findings, NoEvidence, verify
from cli.words import count, entries, plain

_File = typer.Option(dir_okay=False, metavar="FILE", help="An older export that this one must go on from.")


@offline_command("verify", example="keyturn verify payments.json --earlier payments-2026.json")
def verify_file(
    sheet: Sheet,
    file: Annotated[
        Path, typer.Argument(dir_okay=False, metavar="FILE", help="What `keyturn evidence` wrote, as JSON.")
    ],
    *,
    earlier: Annotated[Path | None, _File] = None,
) -> None:
    """Check an exported evidence file, offline.

    Finds entries of the audit trail that were removed, changed, inserted or put elsewhere. docs/audit.md says what it
    cannot find.
    """
    try:
        findings = verify(_read(file), _read(earlier) if earlier is not None else None)
    except NoEvidence as reason:
        raise Misused(f"This is no evidence of Keyturn's: {reason}.") from reason
    sheet.show(findings.shape(), lambda _shape, _now: _draw(findings, compared=earlier is not None))
    if findings.faults:
        raise typer.Exit(REFUSED)


def _read(file: Path) -> Shape:
    try:
        document: Shape = json.loads(file.read_bytes(), object_pairs_hook=_object)
    except OSError as error:
        raise Misused(f"{file} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise Misused(f"{file} is no JSON: {error}.") from error
    return document


def _object(members: list[tuple[str, Any]]) -> Shape:
    """An object in which no name stands twice: readers of the file could take either."""
    names = [name for name, _ in members]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise Refused(f"Not whole: an object of the file holds `{plain(twice)}` twice, which Keyturn never writes.")
    return dict(members)


def _draw(findings: Findings, *, compared: bool) -> Picture:
    looked = f"{count(findings.chains, 'chain')} with {entries(findings.entries)} in {count(findings.packs, 'pack')}"
    if findings.faults:
        verdict = said(f"Not whole: {count(len(findings.faults), 'fault')} in {looked}.", BAD)
    else:
        further = ", and goes on from the earlier file" if compared else ""
        verdict = said(f"Whole: {looked}, every digest and hash is right{further}.", GOOD)
    notes = stack(said("Worth to know:", WARN), points(map(_said, findings.warnings)))
    return stack(verdict, points(map(_said, findings.faults)), notes if findings.warnings else None)


def _said(fault: Fault) -> str:
    place = f", entry {fault.number}" if fault.number is not None else ""
    return f"{fault.subject}{place}: {fault.what}"
