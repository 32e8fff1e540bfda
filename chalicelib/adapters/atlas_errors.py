"""Turns refusals of Atlas into the errors of the ports, in words that say which role, list or key is missing.

It branches on Atlas' error code, then on the HTTP status, never on the wording of the detail.
"""

import re

import msgspec

from chalicelib.adapters.atlas_calls import CHANGE_SETTINGS, Call
from chalicelib.usecases.ports import NotFound, OutsideError, PermanentError, TemporaryError

LONGEST_DETAIL = 300
"""Characters of Atlas' own words that go into a message."""

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_CODE = re.compile(r"[A-Z0-9_]{1,120}")

_ACCESS_LIST = "add the address that Keyturn calls from to the API access list of the service account"
_CUSTOMER_KEY = "the new key is not usable by Atlas and the old one stays in use"
_OURS = "Keyturn never asks for this: the settings must have changed meanwhile, look at them in Atlas"
_NOT_CONFIGURED = "look at the project's Encryption at Rest settings in Atlas"
_VERSION = "this Keyturn speaks a version of the API that Atlas does not take (any more): update Keyturn"

_INCONSISTENT = "IAM or KMS has not caught up yet; if it stays so, look at the role's trust and the key's policy"

ADVICE = {
    "AWS_KMS_CREDENTIALS_AUTH_DEPRECATED": "Atlas takes IAM roles only: set up role-based access for this project",
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
        "Atlas cannot reach the CURRENT key and takes no other before: enable it or mend its policy now"
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
"""What a person is to do about each code (the codes are Atlas' documented ones)."""

PASSES_BY_ITSELF = frozenset(
    {
        "CANNOT_ASSUME_ROLE",
        "INVALID_AWS_CREDENTIALS",
        "CLOUD_PROVIDER_ACCESS_ROLE_NOT_AUTHORIZED",
        "WRITES_NOT_ALLOWED_DURING_APP_UPGRADES",
        "RATE_LIMITED",
        "RATE_LIMITED_TOKEN_BUCKET",
    }
)
_ABOUT_THE_KEY = frozenset({"AWS_CUSTOMER_MASTER_KEY_NOT_FOUND"})
_REQUEST_TIMEOUT, _TOO_MANY, _SERVER_FAULTS = 408, 429, 500
_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _NOT_ACCEPTABLE, _GONE = 401, 403, 404, 406, 410


class _ApiError(msgspec.Struct):
    """What is used of an error body; all of it may be missing."""

    code: str | None = msgspec.field(default=None, name="errorCode")
    detail: str | None = None


_decode = msgspec.json.Decoder(_ApiError).decode


def is_temporary(status: int, code: str) -> bool:
    """Whether an answer refuses for now only."""
    return code in PASSES_BY_ITSELF or status in {_REQUEST_TIMEOUT, _TOO_MANY} or status >= _SERVER_FAULTS


def refusal(call: Call, *, status: int, headers: dict[str, str], body: bytes) -> OutsideError:
    """Give the error that an answer other than 2xx stands for; `headers` have lower-case names."""
    error = _read(body)
    code = _clean_code(error.code or headers.get("x-error-code", ""))
    said = f" ({_clean(error.detail)})" if error.detail else ""
    message = f"{call}{_about(call)}: HTTP {status} {code}".rstrip() + f"{said}: {_advice(call, status, code)}"
    return _kind(status, code)(message, call=str(call), code=code or f"HTTP_{status}")


def _read(body: bytes) -> _ApiError:
    try:
        return _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _ApiError()


def _clean(text: str) -> str:
    return _UNPRINTABLE.sub(" ", text)[:LONGEST_DETAIL]


def _clean_code(code: str) -> str:
    return code if _CODE.fullmatch(code) else ""


def _about(call: Call) -> str:
    return f" for project {call.project}" if call.project else ""


def _kind(status: int, code: str) -> type[OutsideError]:
    if is_temporary(status, code):
        return TemporaryError
    if code in _ABOUT_THE_KEY:
        return PermanentError
    return NotFound if status == _NOT_FOUND or code.endswith("_NOT_FOUND") else PermanentError


def _advice(call: Call, status: int, code: str) -> str:
    if code in ADVICE:
        return ADVICE[code]
    match status:
        case 401 | 403:
            return _access(call)
        case 404:
            return "it does not exist in Atlas (any more)"
        case 406 | 410:
            return _VERSION
        case 408 | 429:
            return "wait and ask again"
        case _ if status >= _SERVER_FAULTS:
            return _effect(call)
        case _:
            return "Atlas refuses the request as it is"


def _access(call: Call) -> str:
    where = f"in project {call.project}" if call.project else "in the organization"
    return f"give the service account the role {call.operation.role} {where}, or {_ACCESS_LIST.removeprefix('add ')}"


def _effect(call: Call) -> str:
    if call.operation is CHANGE_SETTINGS:
        return "whether the settings changed is unknown: read them back"
    return "Atlas has trouble, ask again later"
