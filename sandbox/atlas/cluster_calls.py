"""Operations on clusters, flex ones in an API of their own."""

from sandbox.atlas import cluster_answers
from sandbox.atlas.answers import Body
from sandbox.atlas.asked import Asked
from sandbox.atlas.model import Cluster
from sandbox.atlas.operation import CLUSTER, GROUP, Operation
from sandbox.atlas.refusals import bad_request

_RATE = "clusters"
_VERSION, _FLEX_VERSION = "2024-08-05", "2024-11-13"


def living(asked: Asked) -> Cluster:
    """Find the cluster in the path; a flex cluster is refused."""
    cluster = asked.world.ground.cluster(asked.project.project_id, asked.ids["clusterName"])
    if cluster.flex:
        text = f"The cluster {cluster.name} is a flex cluster, which this resource does not know."
        raise bad_request("CANNOT_USE_FLEX_CLUSTER_IN_CLUSTER_API", text, cluster.name)
    return cluster


def _clusters(asked: Asked) -> Body:
    backups, deleted_too = asked.world.backups, asked.flag("includeDeletedWithRetainedBackups")
    since = asked.world.now() - asked.world.lags.lists
    clusters = [one for one in asked.project.clusters.values() if not one.flex and one.created_at <= since]
    known = [one for one in clusters if not one.deleted]
    if deleted_too:
        known += [one for one in clusters if one.deleted and not backups.gone(one)]
    return asked.page(known, lambda one: cluster_answers.cluster(one, asked.world.ground.habits))


def _cluster(asked: Asked) -> Body:
    return cluster_answers.cluster(living(asked), asked.world.ground.habits)


def _status(asked: Asked) -> Body:
    return cluster_answers.cluster_status(living(asked))


def _flex_clusters(asked: Asked) -> Body:
    return asked.page([one for one in asked.project.alive() if one.flex], cluster_answers.flex_cluster)


def _flex_cluster(asked: Asked) -> Body:
    cluster = asked.world.ground.cluster(asked.project.project_id, asked.ids["name"])
    if not cluster.flex:
        text = f"The cluster {cluster.name} is not a flex cluster."
        raise bad_request("CANNOT_USE_NON_FLEX_CLUSTER_IN_FLEX_API", text, cluster.name)
    return cluster_answers.flex_cluster(cluster)


OPERATIONS = (
    Operation(template=f"{GROUP}/clusters", answer=_clusters, version=_VERSION, rate=_RATE),
    Operation(template=CLUSTER, answer=_cluster, version=_VERSION, rate=_RATE),
    Operation(template=f"{CLUSTER}/status", answer=_status, rate=_RATE),
    Operation(template=f"{GROUP}/flexClusters", answer=_flex_clusters, version=_FLEX_VERSION, rate=_RATE),
    Operation(template=f"{GROUP}/flexClusters/{{name}}", answer=_flex_cluster, version=_FLEX_VERSION, rate=_RATE),
)
