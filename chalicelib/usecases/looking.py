"""Looks at one project, for the daily discovery and for what Atlas tells in between: records what changed."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from itertools import chain
from typing import TypeVar

from chalicelib.domain.arn import KeyArn
from chalicelib.domain.coverage import judge_coverage
from chalicelib.domain.discovery import Seen, changes, locate, meet, named_by_backups, wants_backups_read
from chalicelib.domain.key_life import be_named_by_backups
from chalicelib.domain.key_policy import UnreadablePolicy, left_to_iam, missing_permissions
from chalicelib.domain.observed import AtlasProject, KeyDescription, KeyRotations, ProjectEvent
from chalicelib.domain.records import Change, Key, Policy, Project
from chalicelib.domain.rumours import EVENTS, asleep, concerning, listen_since, wake
from chalicelib.domain.vocabulary import KeyState
from chalicelib.domain.wording import atlas_unreachable, drift
from chalicelib.domain.wording_watch import encryption_enabled
from chalicelib.usecases.locate import keys_for, keys_holding
from chalicelib.usecases.observe import keys_in_backups, live_clusters, principal_of
from chalicelib.usecases.ports import Conflict, Outside, OutsideError

_log = logging.getLogger(__name__)
Answer = TypeVar("Answer")


_LOOKS = 8
"""As many as look side by side: of so many projects with one key in common each comes to its turn."""


def discover_project(
    outside: Outside, found: AtlasProject, defaults: Policy, known: Project | None = None
) -> Project | None:
    """Look at one project and record what changed since the last look; once more where somebody else wrote first.

    What the fleet's `defaults` say is taken up where the project has no wish of its own. `known` is the record where
    it was read already: one that lags cannot be written over, so it costs a second look.
    """
    for _ in range(_LOOKS):
        try:
            return _discover_once(outside, found, defaults, known or outside.tracker.project(found.project_id))
        except Conflict:
            _log.info("project %s or its key was written by somebody else: it is looked at anew", found.project_id)
            known = None
    _log.warning("project %s is written by somebody else all the time: it is looked at tomorrow", found.project_id)
    return outside.tracker.project(found.project_id)


def _discover_once(outside: Outside, found: AtlasProject, defaults: Policy, known: Project | None) -> Project | None:
    now = outside.now()
    try:
        seen = _look(outside, found, known, defaults, now)
    except OutsideError as problem:
        _log.warning("project %s could not be read: %s", found.project_id, problem.message)
        return _unreadable(outside, known, problem.message, now)
    keys = outside.tracker.keys_of(found.project_id)
    recorded = _record(outside, seen, known, keys, defaults, now)
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


def _look(outside: Outside, found: AtlasProject, known: Project | None, defaults: Policy, now: datetime) -> Seen:
    atlas = outside.atlas(found.organization)
    settings = atlas.settings(found.project_id)
    clusters = live_clusters(atlas, found.project_id)
    role_id, role_arn = principal_of(atlas, found.project_id, settings) if settings.enabled else (None, None)
    project = known or meet(found, defaults, now)
    region = settings.region or "us-east-1"
    account = _account_of(role_arn) or keys_for(outside, project, region).account
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
        missing=_told_by(policy, role_arn, missing_permissions),
        left_to_iam=_told_by(policy, role_arn, left_to_iam) or (),
        named=keys_in_backups(atlas, found.project_id) if wants_backups_read(known, key) else None,
    )


def _account_of(principal: str | None) -> str | None:
    """Where Atlas looks for a key that the settings name by its bare id: in the account that it comes as."""
    return principal.split(":")[4] if principal is not None else None


def _ask_kms(
    outside: Outside, project: Project, key: KeyArn | None
) -> tuple[KeyDescription | None, KeyRotations | None, str | None]:
    if key is None:
        return None, None, None
    keys = keys_holding(outside, project, key)
    return (
        _unless_it_fails(lambda: keys.describe(key)),
        _unless_it_fails(lambda: keys.rotations(key)),
        _unless_it_fails(lambda: keys.policy(key)),
    )


def _told_by(
    policy: str | None, role_arn: str | None, judge: Callable[[str, str], tuple[str, ...]]
) -> tuple[str, ...] | None:
    """What the key's policy says of Atlas' role; None where it cannot be read, and so says nothing."""
    if policy is None or role_arn is None:
        return None
    try:
        return judge(policy, role_arn)
    except UnreadablePolicy:
        return None


def _unless_it_fails(call: Callable[[], Answer]) -> Answer | None:
    """KMS may be closed to us for a key of another account: the project is still worth reminding."""
    try:
        return call()
    except OutsideError as problem:
        _log.warning("KMS could not be asked: %s", problem.message)
        return None


def _record(
    outside: Outside, seen: Seen, known: Project | None, keys: tuple[Key, ...], defaults: Policy, now: datetime
) -> Project | None:
    kept = {key.arn: key for key in keys}
    old_key = kept.get(known.key) if known is not None and known.key is not None else None
    new_key = (kept.get(seen.key) or outside.tracker.key(seen.key)) if seen.key is not None else None
    news = changes(known, seen, old_key=old_key, new_key=new_key, now=now, defaults=defaults)
    project, past = _link_past_keys(outside, news.project, (*keys, *news.keys), now)
    if project == known and not news.keys and not past:
        return known
    notices = tuple(drift(project, code, text, now) for code, text in news.drift)
    if news.is_new_here:
        notices = (*notices, encryption_enabled(project, now))
    audit = (*news.audit, *(named_by_backups(project, key, now) for key in past))
    outside.tracker.commit(Change(records=(project, *news.keys, *past), notices=notices, audit=audit))
    return project


def _link_past_keys(
    outside: Outside, project: Project, own: Iterable[Key], now: datetime
) -> tuple[Project, tuple[Key, ...]]:
    """The known keys that only the project's backups say it used, judged anew with it, and what it still waits for.

    A key may become known after the project, so that what is not known yet is asked for again at each look.
    """
    foreign = set(project.named_in_backups) - {key.arn.key_id for key in own}
    known = tuple(key for key_id in sorted(foreign) for key in outside.tracker.keys_named(key_id))
    linked = tuple(
        be_named_by_backups(key, project.project_id, now) for key in known if key.state is not KeyState.DELETED
    )
    waiting = foreign - {key.arn.key_id for key in known}
    return replace(project, named_in_backups=tuple(sorted(waiting))), linked


def _unreadable(outside: Outside, known: Project | None, text: str, now: datetime) -> Project | None:
    if known is None or text in known.drift:
        return known
    told = replace(known, drift=(*known.drift, text))
    try:
        outside.tracker.commit(Change(records=(told,), notices=(atlas_unreachable(told, text, now),)))
    except Conflict:
        return known
    return told
