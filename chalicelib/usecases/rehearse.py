"""Rehearses: what the days ahead bring, from what the tracker holds; nothing is asked outside, nothing changed."""

from datetime import datetime, timedelta
from functools import partial
from typing import Any

from chalicelib.domain.records import Project
from chalicelib.domain.rehearsal import Rehearsal, rehearse
from chalicelib.usecases.locate import project_named
from chalicelib.usecases.ports import Outside

Shape = dict[str, Any]

_MONTH = timedelta(days=30)


def rehearse_fleet(outside: Outside, cursor: str | None, limit: int, *, days: int) -> Shape:
    """What so many days ahead bring the fleet, page by page."""
    page = outside.tracker.projects(cursor, limit)
    ahead = outside.at_once(*(partial(_ahead, outside, project, days) for project in page.items))
    return {"items": list(ahead), "next": page.next}


def rehearse_project(outside: Outside, project_id: str, *, days: int) -> Shape:
    """What so many days ahead bring one project; raises Refusal for one that nobody knows."""
    return _ahead(outside, project_named(outside, project_id), days)


def _ahead(outside: Outside, project: Project, days: int) -> Shape:
    now = outside.now()
    ahead = rehearse(project, outside.tracker.keys_of(project.project_id), now, days=days)
    return _shape(ahead, tuple(now + number * _MONTH for number in range(days // _MONTH.days + 1)))


def _shape(ahead: Rehearsal, months: tuple[datetime, ...]) -> Shape:
    return {
        "project_id": ahead.project.project_id,
        "name": ahead.project.name,
        "recipients": list(ahead.project.policy.recipients),
        "mails": [{"at": _time(mail.at), "rung": mail.rung, "in_digest": mail.in_digest} for mail in ahead.mails],
        "rotations": [_time(at) for at in ahead.rotations],
        "keys": [
            {
                "arn": str(key.arn) if key.arn is not None else None,
                "since": _time(key.since),
                "replaced_at": _time(key.replaced_at),
                "free_at": _time(key.free_at),
            }
            for key in ahead.keys
        ],
        "months": [
            {"at": _time(month), "keys": ahead.alive(month), "dollars_per_month": ahead.dollars(month)}
            for month in months
        ],
    }


def _time(moment: datetime | None) -> str | None:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment is not None else None
