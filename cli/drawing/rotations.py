"""Rotations as pictures: a list, one of them, its checks, and how far it has come."""

from datetime import datetime

from rich.text import Text

from cli.pictures import BAD, BUSY, GOOD, QUIET, WARN, Picture, pairs, points, said, stack, table
from cli.shapes import Shape
from cli.words import count, day, minute, who

TERMINAL = frozenset({"deployed", "failed", "cancelled", "rolled_back"})
"""The states after which nothing more happens by itself."""

_THERE = ("requested", "preparing", "swapping", "deploying", "deployed")
_STAYING = ("requested", "renewing", "deployed")
_BACK = ("rolling_back", "returning", "rolled_back")
_ORDER = (False, None, True)
_COLOURS = {"deployed": GOOD, "failed": BAD, "cancelled": QUIET, "rolled_back": WARN}


def draw_rotations(shape: Shape, _now: datetime) -> Picture:
    """A project's rotations as a table."""
    if not shape["items"]:
        return said("No rotation yet.")
    columns = ("!rotation", "state", "strategy", "requested, UTC", "ended, UTC", "by")
    return table(columns, (_row(rotation) for rotation in shape["items"]))


def _row(rotation: Shape) -> tuple[Picture, ...]:
    requested, ended = (minute(rotation[at]).removesuffix(" UTC") for at in ("requested_at", "ended_at"))
    return rotation["rotation_id"], state_of(rotation), rotation["strategy"], requested, ended, _by(rotation)


def _by(rotation: Shape) -> str:
    return who(rotation["requested_by"]) + (" (emergency)" if rotation["emergency"] else "")


def state_of(rotation: Shape) -> Text:
    """A rotation's state in its colour."""
    state = rotation["state"]
    return Text(state.replace("_", " "), _COLOURS.get(state, BUSY))


def draw_rotation(rotation: Shape, _now: datetime) -> Picture:
    """One rotation, whole."""
    error = rotation["error"]
    return stack(
        draw_progress(rotation),
        *(said(f"{who(by)} asked to {wish}.") for by, wish in _wishes(rotation)),
        said(f"{error['code']}: {error['detail']}", BAD) if error else None,
        pairs(
            [
                ("rotation", rotation["rotation_id"]),
                ("project", rotation["project_id"]),
                ("strategy", rotation["strategy"]),
                ("old key", rotation["old_key"]),
                ("new key", rotation["new_key"] or "not yet"),
                ("requested", f"{minute(rotation['requested_at'])} by {_by(rotation)}"),
                ("reason", rotation["reason"] or None),
                ("swapped", minute(rotation["swapped_at"])),
                ("deployed", minute(rotation["deployed_at"])),
                ("ended", minute(rotation["ended_at"])),
            ]
        ),
        *_more(rotation),
    )


def _wishes(rotation: Shape) -> list[tuple[str, str]]:
    """Who asked for the rotation to be ended in another way, and how."""
    asked = (rotation["rollback_requested_by"], "roll it back"), (rotation["cancel_requested_by"], "give it up")
    return [(by, wish) for by, wish in asked if by]


def _more(rotation: Shape) -> list[Picture]:
    parts: list[Picture] = []
    doubtful = [check for check in rotation["checks"] if not check["passed"]]
    if rotation["checks"]:
        result = f"{len(doubtful)} not passed:" if doubtful else "all passed."
        parts.append(said(f"{count(len(rotation['checks']), 'check')} made, {result}"))
    if doubtful:
        parts.append(draw_checks(doubtful))
    if rotation["evidence"]:
        parts += [said("What KMS lists:"), points(str(one) for one in rotation["evidence"])]
    if rotation.get("still_readable"):
        parts.append(said(_still_readable(rotation["still_readable"]), WARN))
    return parts


def _still_readable(listed: Shape) -> str:
    snapshots = listed.get("snapshots") or []
    ends = [expiry for _, _, _, expiry, _ in snapshots]
    until = f", the last until {day(max(ends))}" if ends and all(ends) else ""
    unread = listed.get("unread") or []
    more = f"; {count(len(unread), 'place')} could not be read" if unread else ""
    return f"The old key still opens {count(listed['counted'], 'snapshot')}{until}{more} (--json lists them)."


def draw_checks(checks: list[Shape]) -> Picture:
    """Checks as a table: first those that failed, then those that nobody could make."""
    ordered = sorted(checks, key=lambda check: _ORDER.index(check["passed"]))
    return table(("", "check", "what was seen"), (_check(check) for check in ordered))


def _check(check: Shape) -> tuple[Picture, ...]:
    verdict = {True: Text("ok", GOOD), False: Text("NO", BAD), None: Text("?", WARN)}
    return verdict[check["passed"]], check["name"], check["text"]


def draw_preview(shape: Shape, _now: datetime) -> Picture:
    """What a dry run found."""
    verdicts = [check["passed"] for check in shape["checks"]]
    text, style = "It would go through.", GOOD
    if None in verdicts:
        text, style = f"It would go through, but {count(verdicts.count(None), 'check')} could not be made.", WARN
    if False in verdicts:
        text, style = f"It would be refused: {count(verdicts.count(False), 'check')} failed.", BAD
    return stack(draw_checks(shape["checks"]), said(text, style), said("Nothing was changed.", QUIET))


def draw_progress(rotation: Shape) -> Picture:
    """How far a rotation has come: its steps in a line, the banner, and what it waits for."""
    waits = rotation["waiting_for"] if rotation["state"] not in TERMINAL else []
    return stack(
        _steps(rotation),
        said(rotation["banner"], WARN) if rotation["banner"] else None,
        points(f"waiting for {wait}" for wait in waits) if waits else None,
    )


def _steps(rotation: Shape) -> Text:
    state, steps = rotation["state"], _way(rotation)
    at = steps.index(state)
    line = Text()
    for number, step in enumerate(steps):
        here = state_of(rotation).style if number == at else (GOOD if number < at else QUIET)
        line.append(" > " if number else "", QUIET).append(step.replace("_", " "), here)
    return line


def _way(rotation: Shape) -> tuple[str, ...]:
    """The steps of the way that a rotation goes, its present state among them."""
    state = rotation["state"]
    for way in (_BACK, _THERE if rotation["strategy"] == "new-cmk" else _STAYING, _THERE, _STAYING):
        if state in way:
            return way
    reached = _THERE[:4] if rotation["swapped_at"] else _THERE[:1]
    return (*reached, state)
