"""The body of a change of settings, read as strictly as Atlas reads it."""

import re
from dataclasses import dataclass
from typing import cast

from sandbox.atlas.refusals import bad_request

_REGIONS = frozenset(
    {
        "US_EAST_1",
        "US_EAST_2",
        "US_WEST_1",
        "US_WEST_2",
        "CA_CENTRAL_1",
        "CA_WEST_1",
        "MX_CENTRAL_1",
        "SA_EAST_1",
        "EU_NORTH_1",
        "EU_WEST_1",
        "EU_WEST_2",
        "EU_WEST_3",
        "EU_CENTRAL_1",
        "EU_CENTRAL_2",
        "EU_SOUTH_1",
        "EU_SOUTH_2",
        "AP_EAST_1",
        "AP_EAST_2",
        "AP_NORTHEAST_1",
        "AP_NORTHEAST_2",
        "AP_NORTHEAST_3",
        "AP_SOUTHEAST_1",
        "AP_SOUTHEAST_2",
        "AP_SOUTHEAST_3",
        "AP_SOUTHEAST_4",
        "AP_SOUTHEAST_5",
        "AP_SOUTHEAST_6",
        "AP_SOUTHEAST_7",
        "AP_SOUTH_1",
        "AP_SOUTH_2",
        "ME_SOUTH_1",
        "ME_CENTRAL_1",
        "AF_SOUTH_1",
        "IL_CENTRAL_1",
    }
)
_KNOWN_ELSEWHERE = frozenset({"US_GOV_WEST_1", "US_GOV_EAST_1", "CN_NORTH_1", "CN_NORTHWEST_1", "GLOBAL"})
_OBJECT_ID = re.compile(r"[a-f0-9]{24}")
_PROVIDERS = {"azureKeyVault": "AZURE", "googleCloudKms": "GCP"}
_AWS_FIELDS: dict[str, type] = {
    "enabled": bool,
    "customerMasterKeyID": str,
    "region": str,
    "roleId": str,
    "accessKeyID": str,
    "secretAccessKey": str,
    "requirePrivateNetworking": bool,
    "valid": bool,
}


@dataclass(frozen=True, kw_only=True)
class Block:
    """An `awsKms` block; what it does not mention is None."""

    enabled: bool | None
    key: str | None
    region: str | None
    role_id: str | None
    access_key_id: str | None
    secret: str | None
    private_networking: bool | None


@dataclass(frozen=True, kw_only=True)
class Patch:
    """A whole body: the AWS block, and the other provider that it asks to enable."""

    aws: Block | None
    other_provider: str | None


def is_supported(region: str) -> bool:
    """Whether a project outside the government and Chinese partitions may keep its key there."""
    return region in _REGIONS


def read_patch(body: object) -> Patch:
    """Read a PATCH body; unknown names, wrong types and unknown regions are refused."""
    if not isinstance(body, dict):
        raise bad_request("INVALID_JSON", "The body is not a JSON object.")
    for name in body:
        if name not in {"awsKms", "enabledForSearchNodes", *_PROVIDERS}:
            raise bad_request("INVALID_ATTRIBUTE", f"There is no attribute {name}.", name)
    wanted = [provider for name, provider in _PROVIDERS.items() if _enables(body.get(name), name)]
    aws = body.get("awsKms")
    return Patch(aws=None if aws is None else _read_block(aws), other_provider=wanted[0] if wanted else None)


def _enables(block: object, name: str) -> bool:
    if block is None:
        return False
    if not isinstance(block, dict):
        raise _wrong_type(name)
    return block.get("enabled") is True


def _read_block(block: object) -> Block:
    if not isinstance(block, dict):
        raise _wrong_type("awsKms")
    for name, value in block.items():
        if name not in _AWS_FIELDS:
            raise bad_request("INVALID_ATTRIBUTE", f"There is no attribute awsKms.{name}.", name)
        if value is not None and not isinstance(value, _AWS_FIELDS[name]):
            raise _wrong_type(f"awsKms.{name}")
    _check_values(block)
    return Block(
        enabled=cast("bool | None", block.get("enabled")),
        key=block.get("customerMasterKeyID"),
        region=block.get("region"),
        role_id=block.get("roleId"),
        access_key_id=block.get("accessKeyID"),
        secret=block.get("secretAccessKey"),
        private_networking=cast("bool | None", block.get("requirePrivateNetworking")),
    )


def _check_values(block: dict[str, object]) -> None:
    region, role_id = block.get("region"), block.get("roleId")
    if region is not None and region not in _REGIONS | _KNOWN_ELSEWHERE:
        raise bad_request("INVALID_REGION", f"There is no region {region}.", str(region))
    if isinstance(role_id, str) and _OBJECT_ID.fullmatch(role_id) is None:
        raise bad_request("INVALID_ATTRIBUTE", "awsKms.roleId is not the id of an Atlas role.", "roleId")


def _wrong_type(name: str) -> Exception:
    return bad_request("INVALID_JSON_ATTRIBUTE", f"The value of {name} is of the wrong type.", name)
