"""The days ahead as pictures: month by month for a fleet, day by day for one project."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta

from rich.text import Text

from cli.pictures import QUIET, Picture, said, stack, table
from cli.shapes import Shape
from cli.words import count, day, dollars, key_id, moment, named, when

_MONTH = timedelta(days=30)
_ASSUMED = "If every rotation is made on its due day, and each old key is given up as soon as that can be."


def draw_fleet(shape: Shape, now: datetime, days: int) -> Picture:
    """Every 30 days: what is sent, what is rotated, what is paid for."""
    items = shape["items"]
    mails, rotations = _mails(items), [moment(at) for item in items for at in item["rotations"]]
    unknown = sum(_unknown(item) for item in items)
    return stack(
        said(f"The next {count(days, 'day')}: {_summary(len(mails), len(rotations), len(items))}", "bold"),
        said(_ASSUMED, QUIET),
        Text(),
        table(
            ("!from", "#mails", "#rotations", "#keys", "#a month"),
            (
                (
                    f"{begin:%Y-%m-%d}",
                    f"{_within(mails, begin):,}",
                    f"{_within(rotations, begin):,}",
                    f"{keys:,}",
                    dollars(cost),
                )
                for begin, keys, cost in _months(items, now)
            ),
        ),
        said(_kept_for_good(unknown), QUIET) if unknown else None,
    )


def _kept_for_good(projects: int) -> str:
    have = "has" if projects == 1 else "have"
    return (
        f"{count(projects, 'project')} {have} old keys of which nobody knows yet when they come free:"
        " these count as kept for good."
    )


def _summary(mails: int, rotations: int, projects: int) -> str:
    return f"{count(mails, 'mail')} and {count(rotations, 'rotation')} for {count(projects, 'project')}."


def _mails(items: Iterable[Shape]) -> list[datetime]:
    """When a mail goes out: a digest is one, however many projects it tells of."""
    single = [moment(mail["at"]) for item in items for mail in item["mails"] if not mail["in_digest"]]
    digests = {
        (mail["at"], tuple(sorted(item["recipients"]))) for item in items for mail in item["mails"] if mail["in_digest"]
    }
    return sorted([*single, *(moment(at) for at, _ in digests)])


def _within(moments: Iterable[datetime], begin: datetime) -> int:
    return sum(begin <= one < begin + _MONTH for one in moments)


def _months(items: list[Shape], now: datetime) -> Iterable[tuple[datetime, int, float]]:
    keys: Counter[str] = Counter()
    cost: Counter[str] = Counter()
    for item in items:
        for month in item["months"]:
            keys[month["at"]] += month["keys"]
            cost[month["at"]] += month["dollars_per_month"]
    beginnings = sorted({(now + number * _MONTH, at) for number, at in enumerate(sorted(keys))})
    return ((begin, keys[at], cost[at]) for begin, at in beginnings)


def _unknown(item: Shape) -> bool:
    return any(key["replaced_at"] and not key["free_at"] for key in item["keys"])


def draw_project(item: Shape, now: datetime, days: int) -> Picture:
    """Day by day what one project gets, then each key's days."""
    events = sorted(
        [
            *((mail["at"], _mail(mail)) for mail in item["mails"]),
            *((at, "rotation") for at in item["rotations"]),
            *((key["free_at"], f"{_key(key)} comes free") for key in item["keys"] if key["free_at"]),
        ]
    )
    summary = _summary(len(item["mails"]), len(item["rotations"]), 1)
    return stack(
        said(f"{named(item, 'name')}, the next {count(days, 'day')}: {summary}", "bold"),
        said(_ASSUMED, QUIET),
        Text(),
        table(("!on", "what"), ((day(at), text) for at, text in events)),
        Text(),
        table(
            ("key", "!in use from", "!until", "!free"),
            (
                (_key(key), day(key["since"]), day(key["replaced_at"]), when(key["free_at"], now))
                for key in item["keys"]
            ),
        ),
    )


def _mail(mail: Shape) -> str:
    rung = mail["rung"]
    due = "due today" if not rung else f"due in {count(-rung, 'day')}" if rung < 0 else f"{count(rung, 'day')} overdue"
    return f"{'in the digest' if mail['in_digest'] else 'mail'}: {due}"


def _key(key: Shape) -> str:
    return key_id(key["arn"]) if key["arn"] else f"the key made on {day(key['since'])}"
