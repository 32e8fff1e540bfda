"""Operations on what is above projects: organizations, the list of projects, rate limits, Atlas' own addresses."""

from sandbox.atlas import answers
from sandbox.atlas.answers import Body
from sandbox.atlas.asked import Asked
from sandbox.atlas.names import stamp
from sandbox.atlas.operation import ACCOUNT_READER, GROUP, Operation
from sandbox.atlas.rates import Rate
from sandbox.atlas.refusals import Refusal

_EASTERN, _WESTERN = ["198.51.100.7/32", "198.51.100.8/32"], ["203.0.113.9/32"]
_ADDRESSES: Body = {
    "inbound": {"aws": {"us-east-1": _EASTERN}},
    "outbound": {"aws": {"us-east-1": _EASTERN, "us-west-2": _WESTERN}},
}
"""Addresses from ranges that are set aside for documentation."""
_RATES_VERSION = "2025-03-12"


def _organizations(asked: Asked) -> Body:
    return asked.page([asked.world.organization], answers.organization)


def _projects(asked: Asked) -> Body:
    return asked.page(list(asked.world.projects.values()), answers.project)


def _projects_of(asked: Asked) -> Body:
    organization_id = asked.ids["orgId"]
    if organization_id != asked.world.organization.organization_id:
        text = f"There is no organization {organization_id}."
        raise Refusal(404, "ORG_NOT_FOUND", text, (organization_id,))
    return _projects(asked)


def _project(asked: Asked) -> Body:
    return answers.project(asked.project)


def _account(asked: Asked) -> Body:
    client_id, world = asked.ids["clientId"], asked.world
    if asked.ids["orgId"] != world.organization.organization_id or client_id not in world.secrets_expire:
        text = f"There is no service account {client_id}."
        raise Refusal(404, "SERVICE_ACCOUNT_NOT_FOUND", text, (client_id,))
    expires_at = world.secrets_expire[client_id]
    secret = {"id": "f" * 24, "maskedSecretValue": "mdb_sa_sk_****", "expiresAt": stamp(expires_at)}
    return {"clientId": client_id, "description": "", "name": client_id, "roles": [], "secrets": [secret]}


def _rate_limits(asked: Asked) -> Body:
    return asked.page(list(asked.rates.items()), lambda one: _rate_limit(*one))


def _one_rate_limit(asked: Asked) -> Body:
    name = asked.ids["endpointSetId"]
    if name not in asked.rates:
        text = f"There is no set of endpoints {name}."
        raise Refusal(404, "RATE_LIMIT_ENDPOINT_SET_NOT_FOUND", text, (name,))
    return _rate_limit(name, asked.rates[name])


def _rate_limit(name: str, rate: Rate) -> Body:
    return {
        "capacity": {"defaultValue": rate.burst, "value": rate.burst},
        "endpointSetId": name,
        "endpointSetName": name.capitalize(),
        "endpoints": [],
        "refillDurationSeconds": {"defaultValue": rate.seconds, "value": rate.seconds},
        "refillRate": {"defaultValue": rate.refill, "value": rate.refill},
        "scope": rate.scope,
    }


def _addresses(_asked: Asked) -> Body:
    return _ADDRESSES


OPERATIONS = (
    Operation(template="/orgs", answer=_organizations, rate="organizations"),
    Operation(template="/orgs/{orgId}/groups", answer=_projects_of, rate="organizations"),
    Operation(
        template="/orgs/{orgId}/serviceAccounts/{clientId}",
        answer=_account,
        version="2024-08-05",
        role=ACCOUNT_READER,
        rate="organizations",
    ),
    Operation(template="/groups", answer=_projects, rate="organizations"),
    Operation(template=GROUP, answer=_project, rate="organizations"),
    Operation(template="/rateLimits", answer=_rate_limits, version=_RATES_VERSION, rate=None),
    Operation(template="/rateLimits/{endpointSetId}", answer=_one_rate_limit, version=_RATES_VERSION, rate=None),
    Operation(
        template="/unauth/controlPlaneIPAddresses", answer=_addresses, version="2023-11-15", rate=None, open=True
    ),
)
