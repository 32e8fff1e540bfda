"""Discovers: reads every project once a day, keeps what is known of it up to date, and tells what drifted."""

import logging
from dataclasses import replace
from functools import partial

from chalicelib.domain.discovery import PROJECT_GONE
from chalicelib.domain.records import Change
from chalicelib.domain.wording import drift
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
        outside.at_once(*(partial(discover_project, outside, found, defaults) for found in listed))
        looked += len(listed)
        _notice_the_gone(outside, organization, {found.project_id for found in listed})
    if failed is not None:
        raise failed
    return looked


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
