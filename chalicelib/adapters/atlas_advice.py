"""What a person is to do about each refusal of Atlas, by its code and else by its HTTP status."""

from chalicelib.adapters.atlas_calls import CHANGE_SETTINGS, Call

_ACCESS_LIST = "add the address that Keyturn calls from to the API access list of the service account"
_CUSTOMER_KEY = "the new key is not usable by Atlas and the old one stays in use"
_OURS = "Keyturn never asks for this: the settings must have changed meanwhile, look at them in Atlas"
_NOT_CONFIGURED = "look at the project's Encryption at Rest settings in Atlas"
_VERSION = "this Keyturn speaks a version of the API that Atlas does not take (any more): update Keyturn"

_INCONSISTENT = "IAM or KMS has not caught up yet; if it stays so, look at the role's trust and the key's policy"

_BY_CODE = {
    "AWS_KMS_CREDENTIALS_AUTH_DEPRECATED": (
        "Atlas takes the credentials of an IAM user only for projects that still hold some: authorize an IAM role in"
        " cloudProviderAccess and rotate with that role"
    ),
    "CANNOT_ASSUME_ROLE": _INCONSISTENT,
    "INVALID_AWS_CREDENTIALS": _INCONSISTENT,
    "CLOUD_PROVIDER_ACCESS_ROLE_NOT_AUTHORIZED": _INCONSISTENT,
    "NO_PERMISSION_TO_ENCRYPT_DECRYPT": f"{_CUSTOMER_KEY}: its policy must allow the Atlas role Encrypt and Decrypt",
    "AWS_KMS_CUSTOMER_MASTER_KEY_NOT_ENABLED": f"{_CUSTOMER_KEY}: it is not enabled",
    "AWS_KMS_CUSTOMER_MASTER_KEY_PENDING_DELETION": f"{_CUSTOMER_KEY}: it is pending deletion",
    "AWS_KMS_CUSTOMER_MASTER_KEY_PENDING_IMPORT": f"{_CUSTOMER_KEY}: it has no key material yet",
    "AWS_CUSTOMER_MASTER_KEY_NOT_FOUND": f"{_CUSTOMER_KEY}: no such key in that region",
    "AWS_KMS_REGION_NOT_SUPPORTED": f"{_CUSTOMER_KEY}: Atlas does not support its region",
    "INVALID_REGION": f"{_CUSTOMER_KEY}: Atlas does not know its region",
    "ENCRYPTION_AT_REST_SETTINGS_INVALID": (
        "Atlas cannot reach the CURRENT key and takes no other before: enable it, mend its policy or the role"
        " that Atlas uses now"
    ),
    "ENCRYPTION_AT_REST_NOT_ENABLED": _NOT_CONFIGURED,
    "ENCRYPTION_AT_REST_PROVIDER_NOT_SUPPORTED": _NOT_CONFIGURED,
    "MISSING_ENCRYPTION_AT_REST_PROVIDER": _NOT_CONFIGURED,
    "INVALID_ENCRYPTION_AT_REST_PROVIDER": _NOT_CONFIGURED,
    "CANNOT_USE_ENCRYPTION_AT_REST_TENANT": "customer keys need M10 clusters or larger",
    "CANNOT_DISABLE_ENCRYPTION_AT_REST": _OURS,
    "CANNOT_CHANGE_ENCRYPTION_AT_REST_PROVIDER": _OURS,
    "CANNOT_ROTATE_KEY_ENCRYPTION_DISABLED": _OURS,
    "CANNOT_DISABLE_ENCRYPTION_AT_REST_WITH_BACKUP_COMPLIANCE_POLICY": _OURS,
    "IP_ADDRESS_NOT_ON_WHITELIST": _ACCESS_LIST,
    "IP_ADDRESS_NOT_ON_ACCESS_LIST": _ACCESS_LIST,
    "ORG_REQUIRES_WHITELIST": _ACCESS_LIST,
    "ORG_REQUIRES_ACCESS_LIST": _ACCESS_LIST,
    "RESOURCE_REQUIRES_WHITELIST": _ACCESS_LIST,
    "RESOURCE_REQUIRES_ACCESS_LIST": _ACCESS_LIST,
    "WRITES_NOT_ALLOWED_DURING_APP_UPGRADES": "Atlas is being upgraded and takes changes again later",
    "RATE_LIMITED": "wait and ask again",
    "RATE_LIMITED_TOKEN_BUCKET": "wait and ask again",
    "VERSION_GONE": _VERSION,
    "INVALID_VERSION_DATE": _VERSION,
}
"""The codes are those that Atlas documents; the older spellings with WHITELIST are still in use."""

_BY_STATUS = {
    404: "it does not exist in Atlas (any more)",
    406: _VERSION,
    408: "ask again later",
    410: _VERSION,
    429: "wait and ask again",
}


def advice(call: Call, status: int, code: str) -> str:
    """Give one sentence that names the missing role, the access list, the key or the wait."""
    if code in _BY_CODE:
        return _BY_CODE[code]
    if status in {401, 403}:
        return _access(call)
    return _BY_STATUS.get(status) or _by_kind(call, status)


def _access(call: Call) -> str:
    where = f"in project {call.project}" if call.project else "in the organization"
    return f"give the service account the role {call.operation.role} {where}, and look at its API access list"


def _by_kind(call: Call, status: int) -> str:
    match status // 100:
        case 3:
            return "redirects are never followed: look at the base URL of Atlas"
        case 5 if call.operation is CHANGE_SETTINGS:
            return "whether the settings changed is unknown: read them back"
        case 5:
            return "Atlas has trouble, ask again later"
        case _:
            return "Atlas refuses the request as it is"
