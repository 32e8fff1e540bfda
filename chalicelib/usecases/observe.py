"""Observes: gathers the facts that several verbs decide from. It changes nothing and judges nothing."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from chalicelib.domain.evidence import ClusterEvidence, Evidence, ProjectEvidence, Tally, Unread, tally
from chalicelib.domain.observed import Cluster, Settings, Snapshot
from chalicelib.domain.records import Key, Project, Rotation
from chalicelib.usecases.locate import projects_of
from chalicelib.usecases.ports import Atlas, Outside, OutsideError

Answer = TypeVar("Answer")


def gather_evidence(outside: Outside, key: Key, now: datetime) -> Evidence:
    """Read everything that may still need a key, in one sweep; what fails becomes part of the evidence."""
    projects = projects_of(outside, key)
    known = frozenset(k.arn.key_id for project in projects for k in outside.tracker.keys_of(project.project_id))
    missing = set(key.projects) - {project.project_id for project in projects}
    seen = tuple(_gather_project(outside, project, key, known) for project in projects)
    dates = [outside.atlas(organization).latest_date() for organization in {p.organization for p in projects}]
    return Evidence(
        key=key,
        gathered_at=now,
        atlas_date=max((date for date in dates if date is not None), default=None),
        projects=seen,
        unread=tuple(Unread(call=f"tracker project {name}", cause="no such record") for name in sorted(missing)),
    )


def _gather_project(outside: Outside, project: Project, key: Key, known: frozenset[str]) -> ProjectEvidence:
    atlas = outside.atlas(project.organization)
    unread: list[Unread] = []
    settings = _read(lambda: atlas.settings(project.project_id), unread)
    clusters = _read(lambda: tuple(atlas.clusters(project.project_id, deleted_too=True)), unread) or ()
    alive = {
        c.cluster_id: c
        for c in _read(lambda: tuple(atlas.clusters(project.project_id, deleted_too=False)), unread) or ()
    }
    rotation = _open_rotation(outside, project)
    return ProjectEvidence(
        project_id=project.project_id,
        settings=settings,
        open_rotation_keys=_keys_of(rotation),
        clusters=tuple(
            _gather_cluster(
                atlas, project.project_id, alive.get(c.cluster_id, c), key, known, alive=c.cluster_id in alive
            )
            for c in clusters
            if not c.shared_tier
        ),
        unread=tuple(unread),
    )


def _gather_cluster(
    atlas: Atlas, project_id: str, cluster: Cluster, key: Key, known: frozenset[str], *, alive: bool
) -> ClusterEvidence:
    seen = ClusterEvidence(cluster=cluster, alive=alive)
    unread: list[Unread] = []
    counted = Tally()
    for read in (atlas.snapshots, atlas.sharded_snapshots):
        partial = _read(lambda: _tally(counted, read(project_id, cluster.name), key, known, seen), unread)  # noqa: B023
        counted = partial or counted
    wanted = alive and cluster.backups
    schedule = _read(lambda: atlas.backup_schedule(project_id, cluster.name), unread) if wanted else None
    return replace(seen, tally=counted, schedule=schedule, unread=tuple(unread))


def _tally(
    so_far: Tally, snapshots: Iterator[Snapshot], key: Key, known: frozenset[str], seen: ClusterEvidence
) -> Tally:
    return tally(so_far, snapshots, key_id=key.arn.key_id, known=known, encrypted=seen.encrypted)


def _read(call: Callable[[], Answer], unread: list[Unread]) -> Answer | None:
    try:
        return call()
    except OutsideError as problem:
        unread.append(Unread(call=problem.call, cause=problem.message))
        return None


def _open_rotation(outside: Outside, project: Project) -> Rotation | None:
    if project.open_rotation is None:
        return None
    return outside.tracker.rotation(project.project_id, project.open_rotation)


def _keys_of(rotation: Rotation | None) -> tuple[str, ...]:
    if rotation is None or rotation.state.terminal:
        return ()
    return tuple(key.key_id for key in (rotation.old_key, rotation.new_key) if key is not None)


def live_clusters(atlas: Atlas, project_id: str) -> tuple[Cluster, ...]:
    """The clusters that exist now."""
    return tuple(atlas.clusters(project_id, deleted_too=False))


def principal_of(atlas: Atlas, project_id: str, settings: Settings) -> tuple[str | None, str | None]:
    """The Atlas role id and the ARN of the IAM role that the project's encryption uses; None where not shown."""
    roles = atlas.roles(project_id)
    for role in roles:
        if role.role_id == settings.role_id:
            return role.role_id, role.arn
    if settings.role_id is not None:
        return settings.role_id, None
    used = [role for role in roles if role.used_for_encryption]
    return (used[0].role_id, used[0].arn) if len(used) == 1 else (None, None)


def all_of(pages: Callable[[str | None], tuple[Iterable[Answer], str | None]]) -> Iterator[Answer]:
    """Walk a paged list of the tracker to its end."""
    cursor: str | None = None
    while True:
        items, cursor = pages(cursor)
        yield from items
        if cursor is None:
            return
