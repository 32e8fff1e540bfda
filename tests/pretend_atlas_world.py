"""A pretend Atlas with one of everything, and the question that each of its operations is asked."""

from datetime import timedelta

from pretend_atlas_sandbox import ROLE

from sandbox.atlas import CopySetting

NEEDS_ROTATION = {"eventTypeName": "AWS_ENCRYPTION_KEY_NEEDS_ROTATION", "threshold": {"threshold": 90}}
BODIES = {
    "PATCH encryptionAtRest": {"awsKms": {"enabled": True}},
    "PATCH {alertConfigId}": {"enabled": True},
    "PATCH {alertId}": {"acknowledgedUntil": "2027-01-01T00:00:00Z", "acknowledgementComment": "seen"},
    "PUT {alertConfigId}": NEEDS_ROTATION,
    "POST alertConfigs": NEEDS_ROTATION,
    "POST snapshots": {"retentionInDays": 1},
}
ABROAD = (CopySetting(region="EU_WEST_1", keep=(("daily", timedelta(days=90)),), oplogs=True),)


def a_world(sandbox):
    world = sandbox.world
    project = world.add_project("shop", key=sandbox.new_key(), role_arn=ROLE)
    world.add_cluster(project, "replica", point_in_time_days=2, copies=ABROAD)
    world.add_cluster(project, "sharded", kind="SHARDED")
    world.add_cluster(project, "global", kind="GEOSHARDED", regions=("US_EAST_1", "EU_WEST_1", "AP_SOUTH_1"))
    world.add_cluster(project, "free", tier="M0")
    world.add_cluster(project, "flex", tier="FLEX")
    world.add_private_endpoint(project, "US_EAST_1")
    sandbox.pass_time(days=91)
    world.switch_key_by_hand(project, sandbox.new_key())
    sandbox.pass_time(days=91)
    for name in ("replica", "sharded", "global"):
        taken = world.take_snapshot(project, name)
        sandbox.pass_time(hours=1)
        world.start_restore(taken, target=(project, "elsewhere"))
        world.start_export(taken)
    world.start_restore_to(project, "replica", sandbox.clock.now() - timedelta(hours=1))
    sandbox.pass_time(hours=1, minutes=1)
    world.take_snapshot(project, "replica")
    return project


def ids_of(sandbox, project, cluster):
    """Ids for the placeholders of every path; a project has alerts, events and endpoints, a cluster the rest."""
    known, of_cluster = sandbox.world.projects[project], sandbox.world.ground.cluster(project, cluster)
    return {
        "orgId": sandbox.world.organization.organization_id,
        "clientId": sandbox.world.reader.client_id,
        "groupId": project,
        "endpointSetId": "events",
        "cloudProvider": "AWS",
        "endpointId": known.private_endpoints[0].endpoint_id,
        "clusterName": cluster,
        "name": "flex",
        "snapshotId": next(iter(of_cluster.snapshots)),
        "restoreJobId": next(iter(of_cluster.restores)),
        "exportId": next(iter(of_cluster.exports)),
        "alertConfigId": next(iter(known.alert_configs)),
        "alertId": next(iter(known.alerts)),
        "eventId": next(one.event_id for one in known.events if one.cluster is not None),
    }


def ask(sandbox, operation, ids):
    body = BODIES.get(f"{operation.method} {operation.template.rsplit('/', 1)[1]}")
    path = operation.template.format_map(ids)
    status, answer = sandbox.ask(operation.method, path, body, version=operation.version)
    single = operation.template.rsplit("/", 2)[1:]
    if single in (["snapshots", "{snapshotId}"], ["shardedCluster", "{snapshotId}"]) and status == 404:
        return None  # every cluster has snapshots of one kind only
    assert status == operation.status, (operation.name, answer)
    return answer
