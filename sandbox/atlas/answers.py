"""The bodies of this Atlas' answers: what the API shows of the world."""

from datetime import datetime

from sandbox.atlas.habits import Habits
from sandbox.atlas.model import (
    AlertConfig,
    Cluster,
    KmsSettings,
    Organization,
    Project,
    ProjectEvent,
    Role,
)
from sandbox.atlas.names import stamp

Body = dict[str, object]

LINKS_HOST = "http://localhost:8080"
"""The host in `links[].href`: as in recorded answers not the one that was asked."""
ATLAS_ACCOUNT = "arn:aws:iam::299602853325:root"
NEEDS_ROTATION = "AWS_ENCRYPTION_KEY_NEEDS_ROTATION"
_API = f"{LINKS_HOST}/api/atlas/v2"


def links_to(path: str) -> list[object]:
    """Link a resource to itself."""
    return [{"href": f"{_API}{path}", "rel": "self"}]


def organization(known: Organization) -> Body:
    """An organization."""
    return {
        "id": known.organization_id,
        "isDeleted": False,
        "links": links_to(f"/orgs/{known.organization_id}"),
        "name": known.name,
        "skipDefaultAlertsSettings": False,
    }


def project(known: Project) -> Body:
    """A project, called group in the API."""
    return {
        "clusterCount": len(known.alive()),
        "created": stamp(known.created_at),
        "id": known.project_id,
        "links": links_to(f"/groups/{known.project_id}"),
        "name": known.name,
        "orgId": known.organization_id,
        "tags": [],
        "withDefaultAlertsSettings": True,
    }


def encryption(known: Project, *, valid: bool, habits: Habits) -> Body:
    """The settings of Encryption at Rest; all three providers appear, enabled or not."""
    aws: Body = {"enabled": False}
    if known.encryption is not None:
        aws = _aws(known.encryption, valid=valid, habits=habits)
    return {
        "awsKms": aws,
        "azureKeyVault": {"enabled": known.other_provider == "AZURE"},
        "enabledForSearchNodes": False,
        "googleCloudKms": {"enabled": known.other_provider == "GCP"},
    }


def _aws(settings: KmsSettings, *, valid: bool, habits: Habits) -> Body:
    block: Body = {
        "customerMasterKeyID": settings.cmk.written,
        "enabled": True,
        "region": settings.region,
        "requirePrivateNetworking": settings.private_networking,
        "valid": valid,
    }
    if habits.shows_role_id and settings.role_id is not None:
        block["roleId"] = settings.role_id
    return block


def cloud_provider_access(known: Project) -> Body:
    """The roles that the project offers Atlas."""
    used = None if known.encryption is None else known.encryption.role_id
    roles = [_role(role, known.project_id, used=role.role_id == used) for role in known.roles.values()]
    return {"awsIamRoles": roles, "azureServicePrincipals": [], "gcpServiceAccounts": []}


def _role(role: Role, project_id: str, *, used: bool) -> Body:
    usage = {"featureId": {"groupId": project_id}, "featureType": "ENCRYPTION_AT_REST"}
    return {
        "atlasAWSAccountArn": ATLAS_ACCOUNT,
        "atlasAssumedRoleExternalId": role.external_id,
        "authorizedDate": None if role.authorized_at is None else stamp(role.authorized_at),
        "createdDate": stamp(role.created_at),
        "featureUsages": [usage] if used else [],
        "iamAssumedRoleArn": role.arn,
        "providerName": "AWS",
        "roleId": role.role_id,
    }


def cluster(known: Cluster, habits: Habits) -> Body:
    """A cluster; a deleted one is what its retained backups hang on."""
    path = f"/groups/{known.project_id}/clusters/{known.name}"
    return {
        "backupEnabled": known.backups,
        "clusterType": known.kind,
        "createDate": stamp(known.created_at),
        "encryptionAtRestProvider": known.encryption,
        "groupId": known.project_id,
        "id": known.cluster_id,
        "labels": [],
        "links": links_to(path),
        "mongoDBMajorVersion": "8.0",
        "mongoDBVersion": "8.0.29",
        "name": known.name,
        "paused": known.paused,
        "pitEnabled": known.point_in_time,
        "replicationSpecs": [_shard(known, number) for number in range(known.shards)],
        "retainBackups": known.deleted,
        "rootCertType": "ISRGROOTX1",
        "stateName": habits.state_of_deleted if known.deleted else known.state,
        "tags": [],
        "terminationProtectionEnabled": False,
        "versionReleaseSystem": "LTS",
    }


def _shard(known: Cluster, number: int) -> Body:
    regions = [_region(known, region) for region in known.regions]
    return {
        "id": f"{int(known.cluster_id, 16) ^ (number + 1) << 40:024x}",
        "regionConfigs": regions,
        "zoneName": "Zone 1",
    }


def _region(known: Cluster, region: str) -> Body:
    if known.tenant:
        return {
            "backingProviderName": "AWS",
            "electableSpecs": {"instanceSize": known.tier},
            "priority": 7,
            "providerName": "TENANT",
            "regionName": region,
        }
    specs = {"diskIOPS": 3000, "diskSizeGB": 10.0, "instanceSize": known.tier, "nodeCount": 3}
    return {"electableSpecs": specs, "priority": 7, "providerName": "AWS", "regionName": region}


def cluster_status(known: Cluster) -> Body:
    """Whether changes are still under way."""
    return {"changeStatus": "PENDING" if known.state != "IDLE" else "APPLIED"}


def flex_cluster(known: Cluster) -> Body:
    """A flex cluster, which has no customer key."""
    return {
        "backupSettings": {"enabled": True},
        "clusterType": "REPLICASET",
        "createDate": stamp(known.created_at),
        "groupId": known.project_id,
        "id": known.cluster_id,
        "links": links_to(f"/groups/{known.project_id}/flexClusters/{known.name}"),
        "mongoDBVersion": "8.0.29",
        "name": known.name,
        "providerSettings": {
            "backingProviderName": "AWS",
            "diskSizeGB": 5.0,
            "providerName": "FLEX",
            "regionName": known.regions[0],
        },
        "stateName": known.state,
        "tags": [],
        "terminationProtectionEnabled": False,
        "versionReleaseSystem": "LTS",
    }


def alert_config(known: AlertConfig, project_id: str) -> Body:
    """When the project is told that its key is old."""
    notification = {
        "delayMin": 0,
        "emailEnabled": True,
        "intervalMin": 60,
        "roles": ["GROUP_OWNER"],
        "smsEnabled": False,
        "typeName": "GROUP",
    }
    return {
        "created": stamp(known.created_at),
        "enabled": known.enabled,
        "eventTypeName": NEEDS_ROTATION,
        "groupId": project_id,
        "id": known.config_id,
        "links": links_to(f"/groups/{project_id}/alertConfigs/{known.config_id}"),
        "matchers": [],
        "notifications": [notification],
        "threshold": {"operator": "GREATER_THAN", "threshold": known.days, "units": "DAYS"},
        "updated": stamp(known.updated_at),
    }


def alert(known: Project, config: AlertConfig, opened_at: datetime) -> Body:
    """The open alert about an old key."""
    alert_id = f"{int(opened_at.timestamp()):08x}{known.project_id[8:]}"
    return {
        "alertConfigId": config.config_id,
        "created": stamp(opened_at),
        "eventTypeName": NEEDS_ROTATION,
        "groupId": known.project_id,
        "id": alert_id,
        "lastNotified": stamp(opened_at),
        "links": links_to(f"/groups/{known.project_id}/alerts/{alert_id}"),
        "orgId": known.organization_id,
        "status": "OPEN",
        "updated": stamp(opened_at),
    }


def event(known: ProjectEvent, project_id: str) -> Body:
    """A line of the activity feed."""
    body: Body = {
        "created": stamp(known.at),
        "eventTypeName": known.kind,
        "groupId": project_id,
        "id": known.event_id,
        "isGlobalAdmin": False,
        "links": links_to(f"/groups/{project_id}/events/{known.event_id}"),
    }
    return body if known.cluster is None else body | {"clusterName": known.cluster}
