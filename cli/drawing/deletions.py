"""A deletion as a picture: where it stands, who said what when, and what comes next."""

from datetime import datetime

from cli.pictures import BAD, GOOD, QUIET, WARN, Picture, pairs, points, said, stack
from cli.shapes import Shape
from cli.words import count, minute, when, who

_NEXT = {
    "requested": "Another person approves: keyturn approve {deletion_id} --digest {digest}",
    "approved": "The key goes into quarantine at the next look.",
    "quarantined": "The key is disabled for {quarantine}; keyturn calloff {deletion_id} brings it back.",
    "scheduled": "KMS deletes the key on {deletion_date}; keyturn calloff {deletion_id} brings it back.",
    "deleted": "The key is deleted.",
    "called_off": "It was called off.",
    "expired": "Nobody approved it in time; the key stays.",
    "rescued": "The key is needed again; it stays.",
}
_COLOURS = {"deleted": QUIET, "scheduled": BAD, "called_off": GOOD, "rescued": GOOD, "expired": QUIET}


def draw_deletion(deletion: Shape, now: datetime) -> Picture:
    """One deletion, and what comes next."""
    state = deletion["state"]
    return stack(
        said(state.replace("_", " "), _COLOURS.get(state, WARN)),
        said(_next(deletion, now)),
        points(f"waiting for: {wait}" for wait in deletion["waiting_for"]) if deletion["waiting_for"] else None,
        said("The key was made for a rotation that gave up; it never served.") if deletion["compensation"] else None,
        pairs(
            [
                ("deletion", deletion["deletion_id"]),
                ("key", deletion["key"]),
                ("proof", deletion["digest"]),
                ("requested", _by(deletion, "requested_at", "requested_by")),
                ("approved", _by(deletion, "approved_at", "approved_by")),
                ("quarantined", _at(deletion, "quarantined_at")),
                ("scheduled", _at(deletion, "scheduled_at")),
                ("KMS deletes", when(deletion["deletion_date"], now) if _is_going(deletion) else None),
                ("called off by", who(deletion["called_off_by"]) if deletion["called_off_by"] else None),
                ("ended", _at(deletion, "ended_at")),
            ]
        ),
    )


def _is_going(deletion: Shape) -> bool:
    return bool(deletion["deletion_date"]) and deletion["state"] == "scheduled" and not deletion["called_off_by"]


def _next(deletion: Shape, now: datetime) -> str:
    if deletion["called_off_by"] and deletion["ended_at"] is None:
        return "It was called off: the key comes back at the next look."
    said_here = {
        "deletion_date": when(deletion["deletion_date"], now),
        "quarantine": count(deletion["quarantine_days"], "day"),
    }
    return _NEXT.get(deletion["state"], "").format(**deletion | said_here)


def _by(deletion: Shape, at: str, by: str) -> str | None:
    return f"{minute(deletion[at])} by {who(deletion[by])}" if deletion[at] else None


def _at(deletion: Shape, at: str) -> str | None:
    return minute(deletion[at]) if deletion[at] else None
