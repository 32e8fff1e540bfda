"""Gathers the evidence of one sweep: everything that may still need a key, read at one go. It judges nothing.

What fails becomes part of the evidence: no call is left out in silence.
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Any

from chalicelib.domain.evidence import ClusterEvidence, Evidence, Jobs, ProjectEvidence, Tally, Unread, merge, tally
from chalicelib.domain.observed import KeyUse, Snapshot
from chalicelib.domain.records import Key, Project, Rotation
from chalicelib.usecases.locate import keys_among, projects_of
from chalicelib.usecases.ports import Atlas, Outside, OutsideError

Reading = tuple[Any, Unread | None]
"""What a call gave and None, or None and why it gave nothing."""


def gather_evidence(outside: Outside, key: Key, now: datetime) -> Evidence:
    """Read everything that may still need a key; raises only what the tracker raises."""
    projects = _everybody(outside, key)
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
        used=_last_use(outside, key, projects),
    )


def _everybody(outside: Outside, key: Key) -> tuple[Project, ...]:
    """Every project of the key, and of its twins: the keys of a multi-Region family share their id and their data."""
    twins = outside.tracker.keys_named(key.arn.key_id) if key.arn.key_id.startswith("mrk-") else ()
    found = {project.project_id: project for one in (key, *twins) for project in projects_of(outside, one)}
    return tuple(found[project_id] for project_id in sorted(found))


def _last_use(outside: Outside, key: Key, projects: tuple[Project, ...]) -> KeyUse | None:
    """What KMS recorded of the key's use: a hint for people, so that not knowing is no reason."""
    try:
        return keys_among(outside, key.arn, projects).last_used(key.arn)
    except OutsideError:
        return None


def _gather_project(outside: Outside, project: Project, key: Key, known: frozenset[str]) -> ProjectEvidence:
    atlas, project_id = outside.atlas(project.organization), project.project_id
    (settings, *unread), (all_clusters, *unread_clusters), (living, *unread_living) = outside.at_once(
        partial(_read, lambda: atlas.settings(project_id)),
        partial(_read, lambda: tuple(atlas.clusters(project_id, deleted_too=True))),
        partial(_read, lambda: tuple(atlas.clusters(project_id, deleted_too=False))),
    )
    alive = {cluster.cluster_id: cluster for cluster in living or ()}
    listed = {cluster.cluster_id: cluster for cluster in all_clusters or ()} | alive
    clusters = [
        ClusterEvidence(cluster=cluster, alive=cluster_id in alive)
        for cluster_id, cluster in listed.items()
        if not cluster.shared_tier
    ]
    return ProjectEvidence(
        project_id=project_id,
        settings=settings,
        open_rotation_keys=_keys_of(_open_rotation(outside, project)),
        drift=project.drift,
        attestation_wanted=project.policy.attestation_always,
        clusters=_gather_clusters(outside, project, clusters, key, known),
        unread=tuple(one for one in (*unread, *unread_clusters, *unread_living) if one is not None),
    )


def _gather_clusters(
    outside: Outside, project: Project, empty: list[ClusterEvidence], key: Key, known: frozenset[str]
) -> tuple[ClusterEvidence, ...]:
    """Make the calls of all clusters side by side, then give each cluster its own answers."""
    atlas = outside.atlas(project.organization)
    calls = [_calls(atlas, project.project_id, one, key, known) for one in empty]
    answers = iter(outside.at_once(*(partial(_read, call) for those in calls for call in those)))
    return tuple(_filled(one, tuple(islice(answers, len(those)))) for one, those in zip(empty, calls, strict=True))


def _calls(
    atlas: Atlas, project_id: str, seen: ClusterEvidence, key: Key, known: frozenset[str]
) -> tuple[Callable[[], Any], ...]:
    name = seen.cluster.name

    def count(snapshots: Callable[[str, str], Iterator[Snapshot]]) -> Tally:
        return tally(Tally(), snapshots(project_id, name), key_id=key.arn.key_id, known=known, encrypted=seen.encrypted)

    always: tuple[Callable[[], Any], ...] = (
        lambda: count(atlas.snapshots),
        lambda: count(atlas.sharded_snapshots),
        lambda: _restores(atlas, project_id, name),
        lambda: _exports(atlas, project_id, name),
    )
    has_a_schedule = seen.alive and seen.cluster.backups
    return (*always, lambda: atlas.backup_schedule(project_id, name)) if has_a_schedule else always


def _restores(atlas: Atlas, project_id: str, cluster: str) -> Jobs:
    running = downloads = 0
    for job in atlas.restore_jobs(project_id, cluster):
        running += job.running
        downloads += job.delivery == "download"
    return Jobs(restores_running=running, downloads=downloads)


def _exports(atlas: Atlas, project_id: str, cluster: str) -> Jobs:
    return Jobs(exports_running=sum(job.running for job in atlas.export_jobs(project_id, cluster)))


def _filled(seen: ClusterEvidence, readings: tuple[Reading, ...]) -> ClusterEvidence:
    (replica_sets, sharded, restores, exports, *schedule) = (answer for answer, _ in readings)
    return ClusterEvidence(
        cluster=seen.cluster,
        alive=seen.alive,
        tally=merge(replica_sets or Tally(), sharded or Tally()),
        schedule=schedule[0] if schedule else None,
        jobs=Jobs(
            restores_running=restores.restores_running if restores is not None else 0,
            exports_running=exports.exports_running if exports is not None else 0,
            downloads=restores.downloads if restores is not None else 0,
        ),
        unread=tuple(problem for _, problem in readings if problem is not None),
    )


def _read(call: Callable[[], Any]) -> Reading:
    try:
        return call(), None
    except OutsideError as problem:
        return None, Unread(call=problem.call, cause=problem.message)


def _open_rotation(outside: Outside, project: Project) -> Rotation | None:
    if project.open_rotation is None:
        return None
    return outside.tracker.rotation(project.project_id, project.open_rotation)


def _keys_of(rotation: Rotation | None) -> tuple[str, ...]:
    if rotation is None or rotation.state.terminal:
        return ()
    return tuple(key.key_id for key in (rotation.old_key, rotation.new_key) if key is not None)
