"""`health` and `doctor`: is Keyturn there, and what is wrong from where the operator stands."""

from dataclasses import asdict
from datetime import datetime

import typer

from cli import VERSION
from cli.desk import Desk
from cli.examination import Finding, examine
from cli.failures import NO_WAY_IN, REFUSED
from cli.front import command
from cli.pictures import BAD, GOOD, QUIET, WARN, Picture, said, stack, table
from cli.shapes import Shape

_COLOURS = {"ok": GOOD, "look": WARN, "wrong": BAD, "not tried": QUIET, "not verifiable": QUIET}


@command("health", example="keyturn health")
def health(desk: Desk) -> None:
    """Whether Keyturn is alive, and which version."""
    place = desk.client.place.address
    desk.show(desk.client.get("health"), lambda shape, _: said(f"Keyturn {shape['version']} is alive at {place}"))


@command("doctor", example="keyturn doctor --profile operations")
def doctor(desk: Desk) -> None:
    """Find out what is wrong, and how to mend it.

    Checks what can be checked from outside: the way to Keyturn, your credentials, the clock, the fleet.
    """
    findings = list(examine(desk.client, desk.now, VERSION))
    desk.show({"checks": [asdict(finding) for finding in findings]}, _draw)
    if code := _exit_code(findings):
        raise typer.Exit(code)


def _exit_code(findings: list[Finding]) -> int:
    wrong = [finding for finding in findings if finding.verdict == "wrong"]
    if any(finding.shuts_out for finding in wrong):
        return NO_WAY_IN
    return REFUSED if wrong else 0


def _draw(shape: Shape, _now: datetime) -> Picture:
    checks = shape["checks"]
    rows = [(said(one["verdict"], _COLOURS[one["verdict"]]), one["check"], one["found"]) for one in checks]
    mends = [said(f"{one['check']}: {one['mend']}") for one in checks if one["mend"]]
    return stack(table(("", "check", "what was found"), rows), *([said("\nTo mend:", "bold"), *mends] if mends else []))
