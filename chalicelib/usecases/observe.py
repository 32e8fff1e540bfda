"""Observes: gathers the facts that several verbs decide from. It changes nothing and judges nothing."""

import logging
from collections.abc import Callable, Iterator
from itertools import chain
from typing import TypeVar

from chalicelib.domain.arn import parse_key_id
from chalicelib.domain.observed import AtlasRole, Cluster, Settings
from chalicelib.usecases.ports import Atlas, OutsideError, Page

_log = logging.getLogger(__name__)

Item = TypeVar("Item")
PAGE = 100
"""How many records of a list are asked for at a time."""


def live_clusters(atlas: Atlas, project_id: str) -> tuple[Cluster, ...]:
    """The clusters that exist now."""
    return tuple(atlas.clusters(project_id, deleted_too=False))


def principal_of(atlas: Atlas, project_id: str, settings: Settings) -> tuple[str | None, str | None]:
    """The Atlas role id and the ARN of the IAM role that the project's encryption uses; None where not shown."""
    return principal_among(atlas.roles(project_id), settings)


def principal_among(roles: tuple[AtlasRole, ...], settings: Settings) -> tuple[str | None, str | None]:
    """The Atlas role id and ARN of the role that the settings use; Atlas may show the id or keep it to itself."""
    for role in roles:
        if settings.role_id is not None and settings.role_id in {role.role_id, role.arn}:
            return role.role_id, role.arn
    if settings.role_id is not None:
        return settings.role_id, None
    used = [role for role in roles if role.used_for_encryption]
    return (used[0].role_id, used[0].arn) if len(used) == 1 else (None, None)


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


def all_of(read: Callable[[str | None, int], Page[Item]]) -> Iterator[Item]:
    """Walk a paged list of the tracker to its end, from what reads a page after a cursor."""
    cursor: str | None = None
    while True:
        page = read(cursor, PAGE)
        yield from page.items
        if page.next is None:
            return
        cursor = page.next
