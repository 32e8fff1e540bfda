"""What sweeps saw of a cluster and Atlas may show no more: downloads, copies in other regions, the restore window.

It outlives its cluster and every verdict: what was downloaded stays encrypted and a copy lives on, whoever uses the
key next.
"""

from collections.abc import Iterable
from dataclasses import replace

from chalicelib.domain.evidence import ClusterEvidence, Evidence
from chalicelib.domain.records import ClusterTally

Place = tuple[str, str]
"""A cluster by its project's id and its name."""


def forget_counts(tallies: Iterable[ClusterTally]) -> tuple[ClusterTally, ...]:
    """Of what sweeps noted, what the next one may not be able to see."""
    return tuple(replace(tally, snapshots=0, last_expiry=None, newest=None) for tally in tallies)


def remember(seen: Evidence) -> tuple[ClusterTally, ...]:
    """What each cluster holds; one that is gone is remembered for what left Atlas, or may live on, without it."""
    kept, left = copies(seen), downloaded(seen)
    tallies = tuple(
        ClusterTally(
            project_id=project_id,
            cluster=cluster.cluster.name,
            cluster_id=cluster.cluster.cluster_id,
            snapshots=cluster.tally.of_this_key,
            last_expiry=cluster.tally.last_expiry,
            newest=cluster.tally.newest,
            copies_outlive_days=kept.get((project_id, cluster.cluster.name)),
            downloads=left.get((project_id, cluster.cluster.name), 0),
            restore_window_days=restore_window_days(seen, project_id, cluster),
        )
        for project_id, cluster in seen.clusters()
    )
    here = {(tally.project_id, tally.cluster) for tally in tallies}
    gone = (tally for tally in seen.key.clusters if (tally.project_id, tally.cluster) not in here)
    return (
        *tallies,
        *forget_counts(tally for tally in gone if tally.copies_outlive_days is not None or tally.downloads),
    )


def copies(seen: Evidence) -> dict[Place, int]:
    """Of each cluster that was seen to have copies in other regions: for how many days they may outlive originals."""
    found = {
        (t.project_id, t.cluster): t.copies_outlive_days for t in seen.key.clusters if t.copies_outlive_days is not None
    }
    for project_id, cluster in seen.clusters():
        if copy_regions(cluster) or cluster.tally.copied:
            place = (project_id, cluster.cluster.name)
            found[place] = max(_longest_copy(cluster), found.get(place, 0))
    return found


def copy_regions(cluster: ClusterEvidence) -> int:
    """Into how many other regions an encrypted cluster's schedule copies its snapshots."""
    return cluster.schedule.copy_regions if cluster.schedule is not None and cluster.encrypted else 0


def _longest_copy(cluster: ClusterEvidence) -> int:
    kept = cluster.schedule.copies if cluster.schedule is not None else ()
    return max((copy.longest_retention_days or 0 for copy in kept), default=0)


def downloaded(seen: Evidence) -> dict[Place, int]:
    """How many snapshots of a cluster that a customer key encrypted were downloaded, as far as any sweep saw."""
    found = {(t.project_id, t.cluster): t.downloads for t in seen.key.clusters if t.downloads}
    for project_id, cluster in seen.clusters():
        if cluster.jobs.downloads and cluster.was_encrypted:
            place = (project_id, cluster.cluster.name)
            found[place] = max(cluster.jobs.downloads, found.get(place, 0))
    return found


def restore_window_days(seen: Evidence, project_id: str, cluster: ClusterEvidence) -> int | None:
    """How far back points in time of a cluster can be restored: of a deleted one as a sweep last saw it."""
    if cluster.schedule is not None:
        return cluster.schedule.restore_window_days
    known = (t for t in seen.key.clusters if (t.project_id, t.cluster_id) == (project_id, cluster.cluster.cluster_id))
    return next((tally.restore_window_days for tally in known), None)
