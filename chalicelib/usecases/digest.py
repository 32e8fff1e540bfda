"""Digests: says in one message a day what many projects owe before their due days, and marks each as told.

The message and the list of what it told are written together. Whoever finds such a list marks the projects first, so
that a process that dies in between repeats nothing; two at the same desk cannot both write.
"""

import logging
from collections import defaultdict
from collections.abc import Iterator
from functools import partial

from chalicelib.domain.digest import compose, group_of, mark
from chalicelib.domain.records import Change, Desk, Project, Told
from chalicelib.domain.reminders import wind
from chalicelib.usecases.each import do_each
from chalicelib.usecases.ports import Conflict, Due, Outside

_ATTEMPTS = 5
_log = logging.getLogger(__name__)


def send_digests(outside: Outside) -> int:
    """Finish what was begun, then write the digest of every group that waits for one; gives their number."""
    now = outside.now()
    left = tuple(group for (group,) in outside.tracker.due(Due.UNMARKED, now))
    do_each(left, partial(_finish, outside), "desks")
    groups: dict[str, list[str]] = defaultdict(list)
    for project in _waiting(outside):
        groups[group_of(project)].append(project.project_id)
    return do_each(groups.items(), partial(_digest, outside), "digests")


def _waiting(outside: Outside) -> Iterator[Project]:
    for (project_id,) in tuple(outside.tracker.due(Due.DIGEST, outside.now())):
        project = outside.tracker.project(project_id)
        if project is not None:
            yield project


def _finish(outside: Outside, group: str) -> None:
    desk = outside.tracker.desk(group)
    if desk is not None and desk.unmarked:
        _clear(outside, desk)


def _digest(outside: Outside, group_and_projects: tuple[str, list[str]]) -> bool:
    group, project_ids = group_and_projects
    now = outside.now()
    desk = outside.tracker.desk(group) or Desk(group=group)
    if desk.unmarked:
        return False
    # read after the desk: what was told before the desk was clear stands in these records
    projects = [project for name in project_ids if (project := outside.tracker.project(name)) is not None]
    digest = compose(desk, projects, now)
    told = {one.project_id for one in digest.desk.unmarked} if digest is not None else set()
    for project in projects:
        if project.project_id not in told:
            _move_on(outside, project)
    if digest is None:
        return False
    try:
        outside.tracker.commit(Change(records=(digest.desk,), notices=(digest.notice,)))
    except Conflict:
        _log.info("the digest of group %s is written by somebody else", group)
        return False
    _finish(outside, group)
    return True


def _clear(outside: Outside, desk: Desk) -> None:
    for told in desk.unmarked:
        _mark(outside, told)
    try:
        outside.tracker.commit(Change(records=(_cleared(desk),)))
    except Conflict:
        _log.info("the desk of group %s was cleared by somebody else", desk.group)


def _cleared(desk: Desk) -> Desk:
    return Desk(group=desk.group, told_at=desk.told_at, version=desk.version)


def _mark(outside: Outside, told: Told) -> None:
    """Mark one project; a Conflict that stays leaves the desk as it is, for nothing must be told twice."""
    for attempt in range(_ATTEMPTS):
        project = outside.tracker.project(told.project_id)
        marked = mark(project, told, outside.now()) if project is not None else None
        if marked is None:
            return
        try:
            outside.tracker.commit(Change(records=(marked[0],), audit=(marked[1],)))
        except Conflict:
            if attempt == _ATTEMPTS - 1:
                raise
        else:
            return


def _move_on(outside: Outside, project: Project) -> None:
    """It owes no digest, or this one is full: set when it is looked at next, and by whom."""
    moved = wind(project, outside.now())
    if moved != project:
        try:
            outside.tracker.commit(Change(records=(moved,)))
        except Conflict:
            _log.info("project %s was written by somebody else; it is looked at again", project.project_id)
