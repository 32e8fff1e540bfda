"""The operations of the Admin API that this Atlas knows, each with its path, version and effect."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sandbox.atlas import answers, backup_answers
from sandbox.atlas.answers import Body
from sandbox.atlas.asked import Asked
from sandbox.atlas.model import AlertConfig, Cluster, Project, Snapshot
from sandbox.atlas.refusals import Refusal, bad_request, no_such_cluster

API = "/api/atlas/v2"


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One operation; `template` is its path below the API's root as the API structure writes it."""

    template: str
    answer: Callable[[Asked], Body]
    method: str = "GET"
    version: str = "2023-01-01"
    owner_only: bool = False
    burst: int = 1200

    @property
    def name(self) -> str:
        """The operation as calls are counted by."""
        return f"{self.method} {API}{self.template}"

    @property
    def media_type(self) -> str:
        """The one versioned media type that it speaks."""
        return f"application/vnd.atlas.{self.version}+json"


def _organizations(asked: Asked) -> Body:
    return asked.page([asked.world.organization], answers.organization)


def _projects(asked: Asked) -> Body:
    return asked.page(list(asked.world.projects.values()), answers.project)


def _project(asked: Asked) -> Body:
    return answers.project(asked.project)


def _encryption(asked: Asked) -> Body:
    return answers.encryption(asked.project, valid=asked.project.valid(), habits=asked.world.ground.habits)


def _change_encryption(asked: Asked) -> Body:
    asked.world.encryption.change(asked.project, asked.body())
    return answers.encryption(asked.project, valid=asked.project.was_valid, habits=asked.world.ground.habits)


def _access(asked: Asked) -> Body:
    return answers.cloud_provider_access(asked.project)


def _clusters(asked: Asked) -> Body:
    deleted = asked.flag("includeDeletedWithRetainedBackups")
    known = [one for one in asked.project.clusters.values() if not one.flex and (deleted or not one.deleted)]
    return asked.page(known, lambda one: answers.cluster(one, asked.world.ground.habits))


def _living(asked: Asked) -> Cluster:
    cluster = asked.world.ground.cluster(asked.project.project_id, asked.ids["clusterName"])
    if cluster.flex:
        text = f"The cluster {cluster.name} is a flex cluster, which this resource does not know."
        raise bad_request("CANNOT_USE_FLEX_CLUSTER_IN_CLUSTER_API", text, cluster.name)
    return cluster


def _cluster(asked: Asked) -> Body:
    return answers.cluster(_living(asked), asked.world.ground.habits)


def _status(asked: Asked) -> Body:
    return answers.cluster_status(_living(asked))


def _flex_clusters(asked: Asked) -> Body:
    return asked.page([one for one in asked.project.alive() if one.flex], answers.flex_cluster)


def _snapshots_of(asked: Asked, *, sharded: bool) -> list[Snapshot]:
    """List the snapshots under a name, the newest first: those of deleted clusters of that name too."""
    name = asked.ids["clusterName"]
    named = [one for one in asked.project.clusters.values() if one.name == name and not one.flex]
    if not named:
        raise no_such_cluster(name, asked.project.project_id)
    found = [known for one in named for known in asked.world.backups.existing(one) if known.sharded == sharded]
    return sorted(found, key=lambda known: (known.requested_at, known.snapshot_id), reverse=True)


def _snapshot_shower(asked: Asked) -> Callable[[Snapshot], Body]:
    now, habits = asked.world.now(), asked.world.ground.habits
    return lambda known: backup_answers.snapshot(known, now, habits)


def _snapshots(asked: Asked) -> Body:
    return asked.page(_snapshots_of(asked, sharded=False), _snapshot_shower(asked))


def _sharded_snapshots(asked: Asked) -> Body:
    show, found = _snapshot_shower(asked), _snapshots_of(asked, sharded=True)
    own = answers.links_to(asked.path.removeprefix(API))
    return {"links": own, "results": [show(known) for known in found], "totalCount": len(found)}


def _take_snapshot(asked: Asked) -> Body:
    cluster, body = _living(asked), asked.body()
    days = body.get("retentionInDays", 7)
    if not isinstance(days, int) or isinstance(days, bool) or days < 1:
        raise bad_request("INVALID_ATTRIBUTE", "retentionInDays is no number of days.", "retentionInDays")
    taken = asked.world.take_snapshot(
        cluster.project_id,
        cluster.name,
        retention_days=days,
        description=str(body.get("description", "")),
    )
    return _snapshot_shower(asked)(cluster.snapshots[taken])


def _schedule(asked: Asked) -> Body:
    return backup_answers.schedule(_living(asked), asked.world.now())


def _nothing(asked: Asked) -> Body:
    _snapshots_of(asked, sharded=False)
    return asked.page([], dict)


def _alert_configs(asked: Asked) -> Body:
    known = list(asked.project.alert_configs.values())
    return asked.page(known, lambda one: answers.alert_config(one, asked.project.project_id))


def _config(asked: Asked) -> AlertConfig:
    config_id = asked.ids["alertConfigId"]
    config = asked.project.alert_configs.get(config_id)
    if config is None:
        text = f"There is no alert configuration {config_id}."
        raise Refusal(404, "ALERT_CONFIG_NOT_FOUND", text, (config_id, asked.project.project_id))
    return config


def _alert_config(asked: Asked) -> Body:
    return answers.alert_config(_config(asked), asked.project.project_id)


def _change_alert_config(asked: Asked) -> Body:
    config, body = _config(asked), asked.body()
    if body.get("eventTypeName") != answers.NEEDS_ROTATION:
        raise bad_request("INVALID_ATTRIBUTE", "The kind of an alert does not change.", "eventTypeName")
    threshold = body.get("threshold")
    days = threshold.get("threshold") if isinstance(threshold, dict) else None
    if not isinstance(days, int):
        raise bad_request("MISSING_THRESHOLD", "This alert needs a threshold.")
    config.days, config.enabled = days, body.get("enabled", True) is True
    config.updated_at = asked.world.now()
    return answers.alert_config(config, asked.project.project_id)


def _open_alerts(project: Project, now: datetime) -> list[tuple[AlertConfig, datetime]]:
    since = project.key_since
    if since is None:
        return []
    opened = [(one, since + timedelta(days=one.days)) for one in project.alert_configs.values() if one.enabled]
    return [(one, at) for one, at in opened if at < now]


def _alerts(asked: Asked) -> Body:
    known = _open_alerts(asked.project, asked.world.now())
    shown = known if asked.query.get("status", "OPEN") == "OPEN" else []
    return asked.page(shown, lambda one: answers.alert(asked.project, *one))


def _events(asked: Asked) -> Body:
    now = asked.world.now()
    wanted = asked.query.get("eventType")
    known = [one for one in reversed(asked.project.events) if one.at <= now and wanted in {None, one.kind}]
    return asked.page(known, lambda one: answers.event(one, asked.project.project_id))


_GROUP = "/groups/{groupId}"
_CLUSTER = f"{_GROUP}/clusters/{{clusterName}}"
_NEW_CLUSTERS = "2024-08-05"

OPERATIONS = (
    Operation(template="/orgs", answer=_organizations, burst=300),
    Operation(template="/groups", answer=_projects, burst=300),
    Operation(template=_GROUP, answer=_project, burst=300),
    Operation(template=f"{_GROUP}/encryptionAtRest", answer=_encryption, burst=2000),
    Operation(
        method="PATCH",
        template=f"{_GROUP}/encryptionAtRest",
        answer=_change_encryption,
        owner_only=True,
        burst=2000,
    ),
    Operation(template=f"{_GROUP}/cloudProviderAccess", answer=_access, burst=2000),
    Operation(template=f"{_GROUP}/clusters", answer=_clusters, version=_NEW_CLUSTERS, burst=10000),
    Operation(template=_CLUSTER, answer=_cluster, version=_NEW_CLUSTERS, burst=10000),
    Operation(template=f"{_CLUSTER}/status", answer=_status, burst=10000),
    Operation(template=f"{_GROUP}/flexClusters", answer=_flex_clusters, version="2024-11-13", burst=10000),
    Operation(template=f"{_CLUSTER}/backup/snapshots", answer=_snapshots),
    Operation(method="POST", template=f"{_CLUSTER}/backup/snapshots", answer=_take_snapshot),
    Operation(template=f"{_CLUSTER}/backup/snapshots/shardedClusters", answer=_sharded_snapshots),
    Operation(template=f"{_CLUSTER}/backup/schedule", answer=_schedule, version=_NEW_CLUSTERS),
    Operation(template=f"{_CLUSTER}/backup/restoreJobs", answer=_nothing),
    Operation(template=f"{_CLUSTER}/backup/exports", answer=_nothing),
    Operation(template=f"{_GROUP}/alertConfigs", answer=_alert_configs),
    Operation(template=f"{_GROUP}/alertConfigs/{{alertConfigId}}", answer=_alert_config),
    Operation(method="PUT", template=f"{_GROUP}/alertConfigs/{{alertConfigId}}", answer=_change_alert_config),
    Operation(template=f"{_GROUP}/alerts", answer=_alerts),
    Operation(template=f"{_GROUP}/events", answer=_events, burst=300),
)
