"""Operations on a project's customer key: the settings, the roles, the private endpoints."""

from sandbox.atlas import answers
from sandbox.atlas.answers import Body
from sandbox.atlas.asked import Asked
from sandbox.atlas.cmk import PrivateEndpoint
from sandbox.atlas.model import Project
from sandbox.atlas.operation import GROUP, OWNER, Operation
from sandbox.atlas.refusals import Refusal

_RATE = "encryption"
_SETTINGS = f"{GROUP}/encryptionAtRest"
_ENDPOINTS = f"{_SETTINGS}/{{cloudProvider}}/privateEndpoints"


def _encryption(asked: Asked) -> Body:
    return _shown(asked, valid=asked.project.valid())


def _change_encryption(asked: Asked) -> Body:
    asked.world.encryption.change(asked.project, asked.body())
    return _shown(asked, valid=asked.project.was_valid)


def _shown(asked: Asked, *, valid: bool) -> Body:
    project, world = asked.project, asked.world
    return answers.encryption(project, world.encryption.shown(project), valid=valid, habits=world.ground.habits)


def _access(asked: Asked) -> Body:
    return answers.cloud_provider_access(asked.project)


def _endpoints_of(asked: Asked) -> list[PrivateEndpoint]:
    project: Project = asked.project
    return project.private_endpoints if asked.ids["cloudProvider"] == "AWS" else []


def _endpoints(asked: Asked) -> Body:
    return asked.page(_endpoints_of(asked), answers.private_endpoint)


def _endpoint(asked: Asked) -> Body:
    wanted = asked.ids["endpointId"]
    for endpoint in _endpoints_of(asked):
        if endpoint.endpoint_id == wanted:
            return answers.private_endpoint(endpoint)
    raise Refusal(404, "PRIVATE_ENDPOINT_NOT_FOUND", f"There is no private endpoint {wanted}.", (wanted,))


OPERATIONS = (
    Operation(template=_SETTINGS, answer=_encryption, rate=_RATE),
    Operation(method="PATCH", template=_SETTINGS, answer=_change_encryption, role=OWNER, rate=_RATE),
    Operation(template=f"{GROUP}/cloudProviderAccess", answer=_access, rate=_RATE),
    Operation(template=_ENDPOINTS, answer=_endpoints, role=OWNER, rate=_RATE),
    Operation(template=f"{_ENDPOINTS}/{{endpointId}}", answer=_endpoint, role=OWNER, rate=_RATE),
)
