"""Proves, where the policy asks for it, that every cluster encrypts with the next key: by a snapshot made with it."""

from itertools import chain

from chalicelib.domain.arn import KeyArn
from chalicelib.domain.deployment import encrypted, proves
from chalicelib.domain.observed import Cluster, Snapshot
from chalicelib.usecases.rotating.work import Work


def look_for_proof(work: Work, arn: KeyArn, clusters: tuple[Cluster, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What is still waited for, and the snapshots found; clusters without backups and paused ones can show none."""
    waiting_for: list[str] = []
    evidence: list[str] = []
    for cluster in encrypted(clusters):
        if not cluster.backups or cluster.paused:
            continue
        found = _first_made_with(work, arn, cluster)
        if found is None:
            waiting_for.append(f"a snapshot of cluster {cluster.name} made with the new key: take one to hurry")
        else:
            evidence.append(f"snapshot {found.snapshot_id} of cluster {cluster.name} was made with {arn}")
    return tuple(waiting_for), tuple(evidence)


def _first_made_with(work: Work, arn: KeyArn, cluster: Cluster) -> Snapshot | None:
    atlas, project_id = work.outside.atlas(work.project.organization), work.project.project_id
    since = work.rotation.swapped_at
    listed = chain(atlas.snapshots(project_id, cluster.name), atlas.sharded_snapshots(project_id, cluster.name))
    return next((one for one in listed if since is not None and proves(one, arn, since)), None)
