"""Discovers: reads every project once a day, keeps what is known of it up to date, and tells what drifted."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from functools import partial
from itertools import chain
from typing import TypeVar

from chalicelib.domain.arn import KeyArn
from chalicelib.domain.coverage import judge_coverage
from chalicelib.domain.discovery import Seen, changes, locate
from chalicelib.domain.key_policy import UnreadablePolicy, missing_permissions
from chalicelib.domain.observed import AtlasProject, KeyDescription, KeyRotations, ProjectEvent
from chalicelib.domain.records import Change, Key, Project
from chalicelib.domain.rumours import EVENTS, asleep, concerning, listen_since, wake
from chalicelib.domain.wording import atlas_unreachable, drift
from chalicelib.usecases.locate import keys_for
from chalicelib.usecases.observe import all_of, live_clusters, principal_of
from chalicelib.usecases.ports import Conflict, Outside, OutsideError

_log = logging.getLogger(__name__)
Answer = TypeVar("Answer")


def discover_all(outside: Outside) -> int:
    """Look at every project of every organization; one that cannot be read delays no other.

    Raises the OutsideError of an organization that could not be listed, once all others were looked at.
    """
    looked = 0
    failed: OutsideError | None = None
    for organization in outside.organizations():
        try:
            listed = tuple(outside.atlas(organization).projects())
        except OutsideError as problem:
            _log.warning("organization %s could not be listed: %s", organization, problem.message)
            failed = failed or problem
            continue
        outside.at_once(*(partial(discover_project, outside, found) for found in listed))
        looked += len(listed)
        _notice_the_gone(outside, organization, {found.project_id for found in listed})
    if failed is not None:
        raise failed
    return looked


def discover_project(outside: Outside, found: AtlasProject) -> Project | None:
    """Look at one project and record what changed since the last look."""
    now = outside.now()
    known = outside.tracker.project(found.project_id)
    try:
        seen = _look(outside, found, known, now)
    except OutsideError as problem:
        _log.warning("project %s could not be read: %s", found.project_id, problem.message)
        return _unreadable(outside, known, problem.message, now)
    keys = outside.tracker.keys_of(found.project_id)
    recorded = _record(outside, seen, known, keys, now)
    _listen(outside, found, keys, now)
    return recorded


def _listen(outside: Outside, found: AtlasProject, keys: tuple[Key, ...], now: datetime) -> None:
    """Have the sleeping keys of a project swept when its events say that something changed since their sweep."""
    sleeping = asleep(keys, now)
    since = listen_since(sleeping)
    if since is None:
        return
    heard = _events(outside, found, since)
    woken = (wake((key,), concerning(heard, key, now) if heard is not None else None, now) for key in sleeping)
    for key in chain.from_iterable(woken):
        try:
            outside.tracker.commit(Change(records=(key,)))
        except Conflict:
            _log.info("key %s was written by somebody else just now", key.arn)


def _events(outside: Outside, found: AtlasProject, since: datetime) -> tuple[ProjectEvent, ...] | None:
    try:
        return tuple(outside.atlas(found.organization).events(found.project_id, types=EVENTS, since=since))
    except OutsideError as problem:
        _log.warning("the events of project %s could not be read: %s", found.project_id, problem.message)
        return None


def _look(outside: Outside, found: AtlasProject, known: Project | None, now: datetime) -> Seen:
    atlas = outside.atlas(found.organization)
    settings = atlas.settings(found.project_id)
    clusters = live_clusters(atlas, found.project_id)
    role_id, role_arn = principal_of(atlas, found.project_id, settings) if settings.enabled else (None, None)
    project = known or Project(
        project_id=found.project_id, name=found.name, organization=found.organization, seen_at=now
    )
    region = settings.region or "us-east-1"
    account = keys_for(outside, project, region).account
    key = locate(settings, account=account, region=region)
    described, rotated, policy = _ask_kms(outside, project, key)
    return Seen(
        found=found,
        settings=settings,
        coverage=judge_coverage(settings, clusters),
        key=key,
        described=described,
        rotated=rotated,
        role_id=role_id,
        role_arn=role_arn,
        threshold_days=atlas.alert_threshold_days(found.project_id),
        missing=_missing(policy, role_arn),
    )


def _ask_kms(
    outside: Outside, project: Project, key: KeyArn | None
) -> tuple[KeyDescription | None, KeyRotations | None, str | None]:
    if key is None:
        return None, None, None
    keys = keys_for(outside, project, key.region)
    return (
        _unless_it_fails(lambda: keys.describe(key)),
        _unless_it_fails(lambda: keys.rotations(key)),
        _unless_it_fails(lambda: keys.policy(key)),
    )


def _missing(policy: str | None, role_arn: str | None) -> tuple[str, ...]:
    """What the key's policy does not give Atlas' role; what cannot be read is not known to be missing."""
    if policy is None or role_arn is None:
        return ()
    try:
        return missing_permissions(policy, role_arn)
    except UnreadablePolicy:
        return ()


def _unless_it_fails(call: Callable[[], Answer]) -> Answer | None:
    """KMS may be closed to us for a key of another account: the project is still worth reminding."""
    try:
        return call()
    except OutsideError as problem:
        _log.warning("KMS could not be asked: %s", problem.message)
        return None


def _record(
    outside: Outside, seen: Seen, known: Project | None, keys: tuple[Key, ...], now: datetime
) -> Project | None:
    kept = {key.arn: key for key in keys}
    old_key = kept.get(known.key) if known is not None and known.key is not None else None
    new_key = (kept.get(seen.key) or outside.tracker.key(seen.key)) if seen.key is not None else None
    news = changes(known, seen, old_key=old_key, new_key=new_key, now=now)
    if news.project == known and not news.keys:
        return known
    notices = tuple(drift(news.project, code, text, now) for code, text in news.drift)
    try:
        outside.tracker.commit(Change(records=(news.project, *news.keys), notices=notices, audit=news.audit))
    except Conflict:
        _log.info("project %s was written by somebody else; it is looked at again tomorrow", seen.found.project_id)
    return news.project


def _unreadable(outside: Outside, known: Project | None, text: str, now: datetime) -> Project | None:
    if known is None or text in known.drift:
        return known
    told = replace(known, drift=(*known.drift, text))
    try:
        outside.tracker.commit(Change(records=(told,), notices=(atlas_unreachable(told, text, now),)))
    except Conflict:
        return known
    return told


def _notice_the_gone(outside: Outside, organization: str, listed: set[str]) -> None:
    for project in _fleet(outside):
        if project.organization != organization or project.project_id in listed or "project_gone" in project.drift:
            continue
        now = outside.now()
        gone = replace(
            project,
            drift=(*project.drift, "project_gone"),
            not_covered_because="the project is gone from its Atlas organization",
            next_reminder_at=None,
        )
        notice = drift(gone, "project_gone", "it is gone from its Atlas organization; its keys stay tracked.", now)
        try:
            outside.tracker.commit(Change(records=(gone,), notices=(notice,)))
        except Conflict:
            continue


def _fleet(outside: Outside) -> Iterator[Project]:
    def page(cursor: str | None) -> tuple[tuple[Project, ...], str | None]:
        answer = outside.tracker.projects(cursor, 100)
        return answer.items, answer.next

    return all_of(page)
