"""What happened, as a picture."""

import re
from datetime import datetime

from cli.pictures import Picture, said, table
from cli.shapes import Shape
from cli.words import minute, plain, who

_ARN = re.compile(r"arn:[\w-]+:kms:[\w-]+:\d{12}:key/")
"""What stands before a key's id, and says nothing in a list."""


def draw_activity(shape: Shape, _now: datetime) -> Picture:
    """Entries of the audit trail as a table."""
    if not shape["items"]:
        return said("Nothing has happened yet.")
    return table(("when, UTC", "by", "what", "!of", "why, and from what to what"), map(_row, shape["items"]))


def _row(entry: Shape) -> tuple[Picture, ...]:
    of = entry["name"] or entry["subject"]
    return (minute(entry["at"]).removesuffix(" UTC"), who(entry["who"]), plain(entry["what"]), plain(of), _note(entry))


def _note(entry: Shape) -> str:
    changed = " -> ".join(part for part in (entry["before"], entry["after"]) if part)
    return plain(_ARN.sub("", "; ".join(part for part in (entry["why"], changed) if part)))
