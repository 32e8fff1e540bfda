"""Discovers: reads every project once a day, keeps what is known of it up to date, and tells what drifted."""

import logging
from contextlib import suppress
from dataclasses import replace
from functools import partial

from chalicelib.domain.discovery import PROJECT_GONE
from chalicelib.domain.observed import AtlasProject
from chalicelib.domain.records import Change, Policy
from chalicelib.domain.waiting import waits_too_long
from chalicelib.domain.wording import drift
from chalicelib.domain.wording_watch import rotation_waits
from chalicelib.usecases.acknowledging import follow_alerts
from chalicelib.usecases.looking import discover_project
from chalicelib.usecases.observe import all_of
from chalicelib.usecases.ports import Conflict, Outside, OutsideError

_log = logging.getLogger(__name__)


def discover_all(outside: Outside) -> int:
    """Look at every project of every organization; one that cannot be read delays no other.

    Raises the OutsideError of an organization that could not be listed, once all others were looked at.
    """
    looked = 0
    defaults = outside.tracker.fleet().policy
    failed: OutsideError | None = None
    for organization in outside.organizations():
        try:
            listed = tuple(outside.atlas(organization).projects())
        except OutsideError as problem:
            _log.warning("organization %s could not be listed: %s", organization, problem.message)
            failed = failed or problem
            continue
        outside.at_once(*(partial(_look_at, outside, found, defaults) for found in listed))
        looked += len(listed)
        _notice_the_gone(outside, organization, {found.project_id for found in listed})
    if failed is not None:
        raise failed
    return looked


def _look_at(outside: Outside, found: AtlasProject, defaults: Policy) -> None:
    """Everything that a day's look at a project is for: what it is, what Atlas' alert says, what does not get on."""
    discover_project(outside, found, defaults)
    follow_alerts(outside, found.project_id)
    _tell_of_a_wait(outside, found.project_id)


def _tell_of_a_wait(outside: Outside, project_id: str) -> None:
    """Tell of a rotation that waits for more than a day, once for each day."""
    project = outside.tracker.project(project_id)
    if project is None or project.open_rotation is None:
        return
    rotation, now = outside.tracker.rotation(project_id, project.open_rotation), outside.now()
    if rotation is None or not waits_too_long(rotation, now):
        return
    notice = rotation_waits(project, rotation, now)
    if outside.tracker.notice(notice.notice_id) is None:
        with suppress(Conflict):
            outside.tracker.commit(Change(records=(), notices=(notice,)))


def _notice_the_gone(outside: Outside, organization: str, listed: set[str]) -> None:
    for project in all_of(outside.tracker.projects):
        if project.organization != organization or project.project_id in listed or PROJECT_GONE in project.drift:
            continue
        now = outside.now()
        gone = replace(
            project,
            drift=(*project.drift, PROJECT_GONE),
            not_covered_because="the project is gone from its Atlas organization",
            next_reminder_at=None,
            in_digest=False,
        )
        notice = drift(gone, PROJECT_GONE, "it is gone from its Atlas organization; its keys stay tracked.", now)
        try:
            outside.tracker.commit(Change(records=(gone,), notices=(notice,)))
        except Conflict:
            continue
