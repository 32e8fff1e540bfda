"""What there is to find in a project by looking at it: its settings, its clusters, its alerts."""

from sandbox.atlas.model import Cluster, Project


def news_of(project: Project) -> tuple[object, ...]:
    """Give a value that is another one after each change of the project; its backups are not looked at."""
    return (
        project.project_id,
        project.name,
        project.encryption,
        project.other_provider,
        project.was_valid,
        frozenset(project.roles.values()),
        tuple((one.config_id, one.days, one.enabled, one.updated_at) for one in project.alert_configs.values()),
        tuple((one.alert_id, one.resolved_at, one.acknowledged_until) for one in project.alerts.values()),
        tuple(_shape_of(cluster) for cluster in project.clusters.values()),
    )


def _shape_of(cluster: Cluster) -> tuple[object, ...]:
    return (
        cluster.cluster_id,
        cluster.name,
        cluster.kind,
        cluster.tier,
        cluster.regions,
        cluster.state,
        cluster.encryption,
        cluster.backups,
        cluster.point_in_time,
        cluster.paused,
        cluster.deleted,
        cluster.down,
    )
