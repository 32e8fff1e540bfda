"""Discovers: reads every project once a day, keeps what is known of it up to date, and tells what drifted."""

import logging
from contextlib import suppress
from dataclasses import replace
from functools import partial

from chalicelib.domain.acknowledgement import is_worth_asking
from chalicelib.domain.discovery import PROJECT_GONE
from chalicelib.domain.observed import AtlasProject
from chalicelib.domain.records import Change, Notice, Policy, Project
from chalicelib.domain.waiting import waits_too_long
from chalicelib.domain.wording import drift
from chalicelib.domain.wording_watch import organization_unreachable, rotation_waits
from chalicelib.usecases.acknowledging import follow_alerts
from chalicelib.usecases.looking import discover_project
from chalicelib.usecases.observe import all_of
from chalicelib.usecases.ports import Conflict, Outside, OutsideError, PermanentError

_log = logging.getLogger(__name__)


def discover_all(outside: Outside) -> int:
    """Look at every project of every organization; one that cannot be read delays no other.

    Raises the OutsideError of an organization that could not be listed, once all others were looked at.
    """
    looked = 0
    defaults = outside.tracker.fleet().policy
    fleet = {project.project_id: project for project in all_of(outside.tracker.projects)}
    failed: OutsideError | None = None
    for organization in outside.organizations():
        try:
            listed = tuple(outside.atlas(organization).projects())
        except OutsideError as problem:
            _log.warning("organization %s could not be listed: %s", organization, problem.message)
            _tell_of_an_organization(outside, organization, problem)
            failed = failed or problem
            continue
        looks = (partial(_look_at, outside, found, defaults, fleet.get(found.project_id)) for found in listed)
        outside.at_once(*looks)
        looked += len(listed)
        present = {found.project_id for found in listed}
        for project in fleet.values():
            if project.organization == organization and project.project_id not in present:
                _notice_gone(outside, project)
    if failed is not None:
        raise failed
    return looked


def _tell_of_an_organization(outside: Outside, organization: str, problem: OutsideError) -> None:
    """Tell people what trying again does not mend."""
    if not isinstance(problem, PermanentError):
        return
    _tell_once(outside, organization_unreachable(organization, problem.message, outside.now()))


def _tell_once(outside: Outside, notice: Notice) -> None:
    if outside.tracker.notice(notice.notice_id) is None:
        with suppress(Conflict):
            outside.tracker.commit(Change(records=(), notices=(notice,)))


def _look_at(outside: Outside, found: AtlasProject, defaults: Policy, known: Project | None) -> None:
    """Everything that a day's look at a project is for: what it is, what Atlas' alert says, what does not get on."""
    project = discover_project(outside, found, defaults, known)
    if project is None:
        return
    if is_worth_asking(project, outside.now()):
        follow_alerts(outside, project.project_id)
    _tell_of_a_wait(outside, project)


def _tell_of_a_wait(outside: Outside, project: Project) -> None:
    """Tell of a rotation that waits for more than a day, once for each day."""
    if project.open_rotation is None:
        return
    rotation, now = outside.tracker.rotation(project.project_id, project.open_rotation), outside.now()
    if rotation is None or not waits_too_long(rotation, now):
        return
    _tell_once(outside, rotation_waits(project, rotation, now))


def _notice_gone(outside: Outside, project: Project) -> None:
    if PROJECT_GONE in project.drift:
        return
    now = outside.now()
    gone = replace(
        project,
        drift=(*project.drift, PROJECT_GONE),
        not_covered_because="the project is gone from its Atlas organization",
        next_reminder_at=None,
        in_digest=False,
    )
    notice = drift(gone, PROJECT_GONE, "it is gone from its Atlas organization; its keys stay tracked.", now)
    with suppress(Conflict):
        outside.tracker.commit(Change(records=(gone,), notices=(notice,)))
