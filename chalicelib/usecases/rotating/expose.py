"""Lists, in an emergency, every snapshot that stays readable with the old key."""

from chalicelib.domain.evidence import Unread
from chalicelib.domain.exposure import Exposure, Readable, expose, readable
from chalicelib.usecases.ports import Atlas, OutsideError
from chalicelib.usecases.rotating.work import Work


def list_exposed(work: Work) -> Exposure:
    """Read both lists of every cluster, deleted ones included; what cannot be read is named in the document."""
    atlas, project_id = work.outside.atlas(work.project.organization), work.project.project_id
    found: list[Readable] = []
    unread: list[Unread] = []
    try:
        clusters = [c.name for c in atlas.clusters(project_id, deleted_too=True) if not c.shared_tier]
    except OutsideError as problem:
        clusters, unread = [], [Unread(call=problem.call, cause=problem.message)]
    for cluster in clusters:
        _read(atlas, work, cluster, found, unread)
    return expose(work.rotation.old_key, found, tuple(unread), work.now)


def _read(atlas: Atlas, work: Work, cluster: str, found: list[Readable], unread: list[Unread]) -> None:
    for snapshots in (atlas.snapshots, atlas.sharded_snapshots):
        try:
            found += readable(work.rotation.old_key, cluster, snapshots(work.project.project_id, cluster))
        except OutsideError as problem:
            unread.append(Unread(call=problem.call, cause=problem.message))
