"""The bodies of this Atlas' answers: what the API shows of the world."""

from sandbox.atlas.cmk import KmsSettings, PrivateEndpoint, Role
from sandbox.atlas.habits import Habits
from sandbox.atlas.model import Organization, Project, ProjectEvent
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
