"""Discovers: reads every project once a day, keeps what is known of it up to date, and tells what drifted."""

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial

from chalicelib.domain.acknowledgement import is_worth_asking
from chalicelib.domain.discovery import PROJECT_GONE
from chalicelib.domain.observed import AtlasProject
from chalicelib.domain.records import Change, Notice, Policy, Project
from chalicelib.domain.waiting import waits_too_long
from chalicelib.domain.wording import drift
from chalicelib.domain.wording_watch import (
    organization_unreachable,
    projects_not_looked_at,
    rotation_waits,
    secret_unread,
)
from chalicelib.usecases.acknowledging import follow_alerts
from chalicelib.usecases.looking import discover_project
from chalicelib.usecases.observe import all_of
from chalicelib.usecases.ports import Conflict, Outside, OutsideError, TemporaryError

_log = logging.getLogger(__name__)


def discover_all(outside: Outside) -> int:
    """Look at every project of every organization; trouble with one delays no other.

    Raises the first trouble, once every one has had its turn; each stands in the log.
    """
    defaults = outside.tracker.fleet().policy
    fleet = {project.project_id: project for project in all_of(outside.tracker.projects)}
    listings: dict[str, tuple[AtlasProject, ...]] = {}
    troubles: list[Exception] = []
    for secret, problem in outside.unread_secrets().items():
        _log.warning("the organization of the secret %s cannot be looked at: %s", secret, problem.message)
        tell = partial(_tell_of_a_secret, outside, secret, problem)
        troubles += (problem, *_failing(f"the secret {secret} could not be told of", tell))
    for organization in outside.organizations():
        try:
            listed = tuple(outside.atlas(organization).projects())
        except Exception as trouble:  # noqa: BLE001 - the projects of another organization may need help at once
            _log.warning("organization %s could not be listed: %s", organization, trouble, exc_info=trouble)
            tell = partial(_tell_of_an_organization, outside, organization, trouble)
            troubles += (trouble, *_failing(f"organization {organization} could not be told of", tell))
            continue
        listings[organization] = listed
        troubles += _look_at_each(outside, organization, listed, defaults, fleet)
    present = {found.project_id for listed in listings.values() for found in listed}
    for project in fleet.values():
        # one that another organization lists was moved there
        if project.organization in listings and project.project_id not in present:
            gone = partial(_notice_gone, outside, project)
            troubles += _failing(f"project {project.project_id} is gone, which could not be noted", gone)
    if troubles:
        raise troubles[0]
    return sum(map(len, listings.values()))


def _failing(what: str, do: Callable[[], object]) -> tuple[Exception, ...]:
    """Do it and give what went wrong, so that the next one has its turn; `what` stands in the log then."""
    try:
        do()
    except Exception as trouble:  # noqa: BLE001 - whatever it is, it is raised when all have had their turn
        _log.warning("%s: %s", what, trouble, exc_info=trouble)
        return (trouble,)
    return ()


def _look_at_each(
    outside: Outside,
    organization: str,
    listed: tuple[AtlasProject, ...],
    defaults: Policy,
    fleet: dict[str, Project],
) -> list[Exception]:
    """Look at an organization's projects side by side; gives what went wrong, and tells what waiting does not mend."""
    looks = (
        partial(
            _failing,
            f"project {found.project_id} could not be looked at",
            partial(_look_at, outside, found, defaults, fleet.get(found.project_id)),
        )
        for found in listed
    )
    met = [
        (found, trouble) for found, failed in zip(listed, outside.at_once(*looks), strict=True) for trouble in failed
    ]
    troubles = [trouble for _, trouble in met]
    lasting = tuple((found, _in_words(trouble)) for found, trouble in met if not isinstance(trouble, TemporaryError))
    if lasting:
        notice = projects_not_looked_at(organization, lasting, outside.now())
        troubles += _failing(f"projects of {organization} could not be told of", partial(_tell_once, outside, notice))
    return troubles


def _in_words(trouble: Exception) -> str:
    """What people may read of it: the text of an error that is none of ours may hold anything."""
    if isinstance(trouble, OutsideError):
        return trouble.message
    return f"Keyturn met an unexpected {type(trouble).__name__}; the log of the function discover says where"


def _tell_of_an_organization(outside: Outside, organization: str, trouble: Exception) -> None:
    """Tell people what trying again does not mend."""
    if isinstance(trouble, TemporaryError):
        return
    _tell_once(outside, organization_unreachable(organization, _in_words(trouble), outside.now()))


def _tell_of_a_secret(outside: Outside, secret: str, problem: OutsideError) -> None:
    """Tell people of a secret that waiting does not mend."""
    if isinstance(problem, TemporaryError):
        return
    _tell_once(outside, secret_unread(secret, problem.message, outside.now()))


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
