"""The bodies of this Atlas' answers: what the API shows of the world."""

from sandbox.atlas.cmk import KmsSettings, PrivateEndpoint, Role
from sandbox.atlas.habits import Habits
from sandbox.atlas.model import Cluster, Organization, Project, ProjectEvent
from sandbox.atlas.names import stamp

Body = dict[str, object]

LINKS_HOST = "http://localhost:8080"
"""The host in `links[].href`: as in recorded answers not the one that was asked."""
ATLAS_ACCOUNT = "arn:aws:iam::299602853325:root"
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


def encryption(known: Project, settings: KmsSettings | None, *, valid: bool, habits: Habits) -> Body:
    """The settings of Encryption at Rest; all three providers appear, enabled or not."""
    aws: Body = {"enabled": False}
    if settings is not None:
        aws = _aws(settings, valid=valid, habits=habits)
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
    }
    if habits.shows_valid:
        block["valid"] = valid
    if settings.cmk.access is not None:
        block["accessKeyID"] = settings.cmk.access.access_key_id
    if habits.shows_role_id and settings.role_id is not None:
        block["roleId"] = settings.role_id
    return block


def private_endpoint(known: PrivateEndpoint) -> Body:
    """A private endpoint to KMS."""
    return {
        "cloudProvider": "AWS",
        "id": known.endpoint_id,
        "privateEndpointConnectionName": f"vpce-{known.endpoint_id[:17]}",
        "regionName": known.region,
        "status": known.status,
    }


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
        "stateName": _state(known, habits),
        "tags": [],
        "terminationProtectionEnabled": False,
        "versionReleaseSystem": "LTS",
    }


def _state(known: Cluster, habits: Habits) -> str:
    if known.deleted:
        return habits.state_of_deleted
    return habits.state_of_shut_down if known.down else known.state


def zone_id(known: Cluster, number: int = 0) -> str:
    """The id of a cluster's zone; only a global one has several."""
    return f"{int(known.cluster_id, 16) ^ (number + 1) << 48:024x}"


def _shard(known: Cluster, number: int) -> Body:
    spread = known.kind == "GEOSHARDED"
    zone = number if spread else 0
    regions = (known.regions[number % len(known.regions)],) if spread else known.regions
    return {
        "id": f"{int(known.cluster_id, 16) ^ (number + 1) << 40:024x}",
        "regionConfigs": [_region(known, region) for region in regions],
        "zoneId": zone_id(known, zone),
        "zoneName": f"Zone {zone + 1}",
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
    return {"changeStatus": "PENDING" if known.state != "IDLE" or known.down else "APPLIED"}


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
