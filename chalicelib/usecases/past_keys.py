"""Past keys: a project's backups name keys that it used before anybody looked, or between two looks."""

import logging
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from itertools import chain

from chalicelib.domain.arn import parse_key_id
from chalicelib.domain.key_life import be_named_by_backups
from chalicelib.domain.records import Key, Project
from chalicelib.domain.vocabulary import KeyState
from chalicelib.usecases.ports import Atlas, Outside, OutsideError

_log = logging.getLogger(__name__)


def keys_in_backups(atlas: Atlas, project_id: str) -> frozenset[str] | None:
    """The bare ids of all keys that a project's snapshots name; None where a list could not be read."""
    try:
        listed = chain(atlas.clusters(project_id, deleted_too=True), atlas.clusters(project_id, deleted_too=False))
        names = sorted({cluster.name for cluster in listed if not cluster.shared_tier})
        lists = (read(project_id, name) for name in names for read in (atlas.snapshots, atlas.sharded_snapshots))
        named = {snapshot.key for snapshot in chain.from_iterable(lists) if snapshot.key is not None}
    except OutsideError as problem:
        _log.warning("the snapshots of project %s could not be listed: %s", project_id, problem.message)
        return None
    return frozenset(key_id for text in named if (key_id := parse_key_id(text)) is not None)


def link_past_keys(
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
