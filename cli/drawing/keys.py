"""Keys as pictures: whether one may be deleted, in words, and what drains when, as bars."""

from collections.abc import Mapping
from datetime import datetime

from rich.text import Text

from cli.pictures import BAD, BUSY, GOOD, QUIET, WARN, Bar, Picture, pairs, points, said, stack, table
from cli.shapes import Shape
from cli.words import count, day, days_until, distance, dollars, minute, moment, named, when

_COLOURS = {
    "current": GOOD,
    "deploying": BUSY,
    "retiring": WARN,
    "quarantined": WARN,
    "pending_deletion": BAD,
    "deleted": QUIET,
}
HARMS = {
    "deletion_scheduled_outside": "pending deletion",
    "disabled_outside": "disabled",
    "deleted_outside": "gone",
}
"""The warnings of what somebody did to a key past Keyturn, each in a word."""
_ON_ITS_WAY = {"quarantined": "It is in quarantine", "pending_deletion": "KMS is going to delete it"}


def draw_keys(shape: Shape, now: datetime, names: Mapping[str, str]) -> Picture:
    """Keys as a table with their projects' names, and what the old ones cost."""
    if not shape["items"]:
        return said("No key.")
    retiring = shape.get("retiring")
    drawn = table(("!key", "!state", "!may go", "projects"), (_row(key, now, names) for key in shape["items"]))
    return stack(drawn, said(_cost(retiring), QUIET) if retiring else None)


def _cost(retiring: Shape) -> str:
    if not retiring["keys"]:
        return "No old key is kept."
    return f"{count(retiring['keys'], 'old key')} for {dollars(retiring['dollars_per_month'])} a month"


def _row(key: Shape, now: datetime, names: Mapping[str, str]) -> tuple[Picture, ...]:
    projects = (named(names, one) if one in names else one for one in key["projects"])
    return key["key_id"], _state(key), _may_go(key, now), ", ".join(projects)


def _state(key: Shape) -> Text:
    """Its state in its colour, and what somebody did to it past Keyturn."""
    state = Text(key["state"].replace("_", " "), _COLOURS.get(key["state"], ""))
    for warning in key["warnings"]:
        if warning["kind"] in HARMS:
            state.append(f", {HARMS[warning['kind']]}", BAD)
    return state


def _may_go(key: Shape, now: datetime) -> Text:
    if key["safe_to_delete"]:
        return Text("yes", GOOD)
    comes = key["free_at"] is not None and days_until(key["free_at"], now) >= 0
    return Text(f"on {day(key['free_at'])}" if comes else "no", QUIET)


def draw_key(key: Shape, now: datetime, names: Mapping[str, str]) -> Picture:
    """One key and its projects' names: whether it may be deleted, and why not."""
    what_if = key.get("what_if")
    proof = key["proof"]
    projects = (f"{named(names, one)} ({one})" if one in names else one for one in key["projects"])
    return stack(
        said("May this key be deleted?", QUIET),
        answer(key, now),
        points(_reasons(key, now)) if key["reasons"] else None,
        *_warnings(key),
        draw_draining(key["clusters"], now),
        said(_what_if(what_if, key["free_at"], now), WARN) if what_if else None,
        Text(),
        pairs(
            [
                ("key", key["arn"]),
                ("state", _state(key)),
                ("projects", ", ".join(projects) or "none known"),
                ("made by Keyturn", _made_by_us(key)),
                ("replaced", minute(key["replaced_at"]) if key["replaced_at"] else None),
                ("last looked", minute(key["swept_at"])),
                ("costs", f"{dollars(key['dollars_per_month'])} a month"),
                ("proof", f"{proof['digest']} of {minute(proof['at'])}" if proof else None),
                ("deletion", key["deletion_id"]),
            ]
        ),
    )


def _warnings(key: Shape) -> list[Picture]:
    """What should make people look: in red what endangers the key."""
    harms = [said(f"In danger: {one['text']}.", BAD) for one in key["warnings"] if one["kind"] in HARMS]
    others = [f"but look: {one['text']}" for one in key["warnings"] if one["kind"] not in HARMS]
    return [*harms, *([points(others)] if others else [])]


def _made_by_us(key: Shape) -> str:
    if key["created_by_us"]:
        return "yes"
    return "no: it is deleted only where each project's policy says --delete-foreign-keys"


def answer(key: Shape, now: datetime) -> Text:
    """The answer to the one question, in words."""
    state = key["state"]
    if state == "deleted":
        return said("It is deleted already.", QUIET)
    if key["deletion_id"] is not None:
        way = _ON_ITS_WAY.get(state, "Its deletion was requested")
        return said(f"{way}: `keyturn deletion {key['deletion_id']}` says how far it is.", WARN)
    if key["safe_to_delete"]:
        return said(f"Yes: nothing needs it any more. `keyturn delete {key['key_id']}` requests it.", f"bold {GOOD}")
    if state in {"current", "deploying"}:
        return said("No: it is in use.", BAD)
    return said(f"No: {_freedom(key, now)}", BAD)


def _freedom(key: Shape, now: datetime) -> str:
    unread = [reason for reason in key["reasons"] if reason["kind"] == "unread"]
    if unread:
        return f"not everything could be read, and what is unknown counts as needed ({count(len(unread), 'place')})."
    if key["free_at"] is None:
        return "nobody can say yet when it comes free."
    longest = key["held_longest_by"]
    held = f" Held longest by cluster {longest['cluster']}." if longest and longest["cluster"] else ""
    return f"it comes free on {when(key['free_at'], now)} if nothing changes.{held}"


def _reasons(key: Shape, now: datetime) -> list[str]:
    return [_reason(reason, now) for reason in key["reasons"]]


def _reason(reason: Shape, now: datetime) -> str:
    text, cluster, until = reason["text"], reason["cluster"], reason["until"]
    place = f"{cluster}: " if cluster and cluster not in text else ""
    if until is None:
        return f"{place}{text}"
    return (
        f"{place}{text} ({distance(until, now)})" if day(until) in text else f"{place}{text}, until {when(until, now)}"
    )


def draw_draining(clusters: list[Shape], now: datetime) -> Picture | None:
    """A bar per cluster: how long its last snapshot stays, against the longest of all; None when nothing drains."""
    held = [cluster for cluster in clusters if cluster["snapshots"]]
    if not held:
        return None
    days = [max(days_until(one["last_expiry"], now), 0) for one in held if one["last_expiry"]]
    longest = max(days, default=0) or 1
    ordered = sorted(held, key=lambda one: (one["last_expiry"] or "9", one["cluster"]))
    rows = [_drains(cluster, longest, now) for cluster in ordered]
    return stack(Text(), table(("cluster", "drains", "#snapshots", "the last expires"), rows))


def _drains(cluster: Shape, longest: int, now: datetime) -> tuple[Picture, ...]:
    last = cluster["last_expiry"]
    share = max(days_until(last, now), 0) / longest if last else 1.0
    ends = when(last, now) if last else "never, or nobody can say"
    return cluster["cluster"], Bar(share=share, style=WARN if last else BAD), str(cluster["snapshots"]), ends


def _what_if(what_if: Shape, free_at: str | None, now: datetime) -> str:
    days, then = what_if["retention_days"], what_if["free_at"]
    if then is None:
        return f"Were snapshots kept for {count(days, 'day')}, still nobody could say when it comes free."
    sooner = f", {_sooner(free_at, then)}" if free_at else ""
    past = days_until(then, now) <= 0
    free = "it would be free" if past else f"it would come free on {day(then)} ({distance(then, now)})"
    return f"Were snapshots kept for {count(days, 'day')} at most, {free}{sooner}."


def _sooner(free_at: str, then: str) -> str:
    days = (moment(free_at) - moment(then)).days
    return f"{count(days, 'day')} sooner" if days > 0 else "no sooner"
