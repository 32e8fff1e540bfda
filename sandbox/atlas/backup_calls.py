"""Operations on backups: snapshots of both kinds, their policy, restores and exports.

All of them find a cluster by its name: what is kept of a deleted cluster and what a newer one of the same name
has appear together.
"""

from collections.abc import Callable
from operator import attrgetter

from chalicelib.domain.arn import KeyArn
from sandbox.atlas import backup_answers, job_answers
from sandbox.atlas.answers import Body, links_to
from sandbox.atlas.asked import Asked
from sandbox.atlas.cluster_calls import living
from sandbox.atlas.habits import KEY_FORMS
from sandbox.atlas.model import Cluster
from sandbox.atlas.operation import API, BACKUP_MANAGER, CLUSTER, Operation
from sandbox.atlas.refusals import Refusal, bad_request, no_such_cluster, no_such_snapshot
from sandbox.atlas.snapshot import Snapshot

_SNAPSHOTS = f"{CLUSTER}/backup/snapshots"
_RESTORES, _EXPORTS = f"{CLUSTER}/backup/restoreJobs", f"{CLUSTER}/backup/exports"


def _named(asked: Asked) -> list[Cluster]:
    """Find every cluster of the name in the path that anything is left of."""
    name, backups = asked.ids["clusterName"], asked.world.backups
    known = [one for one in asked.project.clusters.values() if one.name == name and not one.flex]
    left = [one for one in known if not backups.gone(one)]
    if not left:
        raise no_such_cluster(name, asked.project.project_id)
    return left


def _snapshots_of(asked: Asked, *, sharded: bool) -> list[Snapshot]:
    """List snapshots, the newest first."""
    backups = asked.world.backups
    found = [known for one in _named(asked) for known in backups.listed(one) if known.sharded == sharded]
    return sorted(found, key=attrgetter("requested_at", "snapshot_id"), reverse=True)


def _shower(asked: Asked) -> Callable[[Snapshot], Body]:
    now, show = asked.world.now(), _show_key(asked)
    return lambda known: backup_answers.snapshot(known, now, show)


def _show_key(asked: Asked) -> Callable[[KeyArn], str | None]:
    form = asked.project.key_form
    return asked.world.ground.habits.show_master_key if form is None else KEY_FORMS[form]


def _snapshots(asked: Asked) -> Body:
    return asked.page(_snapshots_of(asked, sharded=False), _shower(asked))


def _sharded_snapshots(asked: Asked) -> Body:
    show, found = _shower(asked), _snapshots_of(asked, sharded=True)
    own = links_to(asked.path.removeprefix(API))
    return {"links": own, "results": [show(known) for known in found], "totalCount": len(found)}


def _one(asked: Asked, *, sharded: bool) -> Body:
    wanted = asked.ids["snapshotId"]
    for known in _snapshots_of(asked, sharded=sharded):
        if known.snapshot_id == wanted:
            return _shower(asked)(known)
    raise no_such_snapshot(wanted)


def _snapshot(asked: Asked) -> Body:
    return _one(asked, sharded=False)


def _sharded_snapshot(asked: Asked) -> Body:
    return _one(asked, sharded=True)


def _take_snapshot(asked: Asked) -> Body:
    cluster, body = living(asked), asked.body()
    days = body.get("retentionInDays", 7)
    if not isinstance(days, int) or isinstance(days, bool) or days < 1:
        raise bad_request("INVALID_ATTRIBUTE", "retentionInDays is no number of days.", "retentionInDays")
    text = str(body.get("description", ""))
    taken = asked.world.take_snapshot(cluster.project_id, cluster.name, retention_days=days, description=text)
    return _shower(asked)(cluster.snapshots[taken])


def _schedule(asked: Asked) -> Body:
    return backup_answers.schedule(living(asked), asked.world.now())


def _restore_jobs(asked: Asked) -> Body:
    now = asked.world.now()
    known = [(job, one) for one in _named(asked) for job in one.restores.values()]
    return asked.page(known[::-1], lambda pair: job_answers.restore_job(*pair, now))


def _restore_job(asked: Asked) -> Body:
    wanted = asked.ids["restoreJobId"]
    for one in _named(asked):
        if wanted in one.restores:
            return job_answers.restore_job(one.restores[wanted], one, asked.world.now())
    raise _no_such_job("RESTORE_JOB_NOT_FOUND", wanted)


def _exports(asked: Asked) -> Body:
    now = asked.world.now()
    known = [(job, one) for one in _named(asked) for job in one.exports.values()]
    return asked.page(known[::-1], lambda pair: job_answers.export_job(*pair, now))


def _export(asked: Asked) -> Body:
    wanted = asked.ids["exportId"]
    for one in _named(asked):
        if wanted in one.exports:
            return job_answers.export_job(one.exports[wanted], one, asked.world.now())
    raise _no_such_job("EXPORT_JOB_NOT_FOUND", wanted)


def _no_such_job(code: str, job_id: str) -> Refusal:
    return Refusal(404, code, f"There is no job {job_id}.", (job_id,))


OPERATIONS = (
    Operation(template=_SNAPSHOTS, answer=_snapshots),
    Operation(method="POST", template=_SNAPSHOTS, answer=_take_snapshot, role=BACKUP_MANAGER),
    Operation(template=f"{_SNAPSHOTS}/shardedClusters", answer=_sharded_snapshots),
    Operation(template=f"{_SNAPSHOTS}/shardedCluster/{{snapshotId}}", answer=_sharded_snapshot),
    Operation(template=f"{_SNAPSHOTS}/{{snapshotId}}", answer=_snapshot),
    Operation(template=f"{CLUSTER}/backup/schedule", answer=_schedule, version="2024-08-05"),
    Operation(template=_RESTORES, answer=_restore_jobs, role=BACKUP_MANAGER),
    Operation(template=f"{_RESTORES}/{{restoreJobId}}", answer=_restore_job, role=BACKUP_MANAGER),
    Operation(template=_EXPORTS, answer=_exports, role=BACKUP_MANAGER),
    Operation(template=f"{_EXPORTS}/{{exportId}}", answer=_export, role=BACKUP_MANAGER),
)
