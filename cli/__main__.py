"""`keyturn`, or `python -m cli`."""

import os
import sys
from io import TextIOWrapper

import typer

from cli.commands import (
    activity,
    console,
    deletions,
    doctor,
    evidence,
    fleet,
    keys,
    policies,
    rehearsal,
    rotations,
    verify,
)
from cli.failures import REFUSED
from cli.front import app

NOUNS = (fleet, activity, rotations, keys, deletions, policies, evidence, verify, rehearsal, console, doctor)
"""The files whose commands are announced: to import them announces them."""


def run() -> None:
    """Run the command that the arguments name; ends the process with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        app(prog_name="keyturn")
    except Exception as error:
        # Whatever was not foreseen: operators get a sentence, those who mend it the traceback.
        if os.environ.get("KEYTURN_TRACEBACK"):
            raise
        name = type(error).__name__
        typer.echo(f"This should not happen ({name}: {error}). KEYTURN_TRACEBACK=1 shows where.", err=True)
        sys.exit(REFUSED)


if __name__ == "__main__":
    run()
