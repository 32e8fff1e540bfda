"""Turns refusals of Atlas into the errors of the ports, in words that say which role, list or key is missing.

It branches on Atlas' error code, then on the HTTP status, never on the wording of the detail.
"""

import re
from collections.abc import Iterable

import msgspec

from chalicelib.adapters.atlas_advice import advice
from chalicelib.adapters.atlas_calls import Call
from chalicelib.adapters.atlas_secrecy import is_in
from chalicelib.adapters.atlas_wire import Answer, parse_http_date
from chalicelib.usecases.ports import NotFound, OutsideError, PermanentError, TemporaryError

LONGEST_DETAIL = 300
"""Characters of Atlas' own words that go into a message."""

_LONGEST_NUMBER = 9

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_CODE = re.compile(r"[A-Z0-9_]{1,120}")

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
_NOT_FOUND, _REQUEST_TIMEOUT, _TOO_MANY, _SERVER_FAULTS = 404, 408, 429, 500


class _ApiError(msgspec.Struct):
    """What is used of an error body; all of it may be missing."""

    code: str | None = msgspec.field(default=None, name="errorCode")
    detail: str | None = None


_decode = msgspec.json.Decoder(_ApiError).decode


def is_temporary(status: int, code: str) -> bool:
    """Whether an answer refuses for now only."""
    return code in PASSES_BY_ITSELF or status in {_REQUEST_TIMEOUT, _TOO_MANY} or status >= _SERVER_FAULTS


def refusal(call: Call, answer: Answer, secrets: Iterable[str] = ()) -> OutsideError:
    """Give the error that an answer other than 2xx stands for; what repeats one of the secrets is not repeated."""
    code, detail = read_error(answer, secrets)
    said = f" ({detail})" if detail and not call.confidential else ""
    message = f"{call}{_about(call)}: HTTP {answer.status} {code}".rstrip()
    return _kind(answer.status, code)(
        f"{message}{said}: {advice(call, answer.status, code)}",
        call=str(call),
        code=code or f"HTTP_{answer.status}",
        retry_after=retry_after(answer) if is_temporary(answer.status, code) else None,
    )


def read_error(answer: Answer, secrets: Iterable[str] = ()) -> tuple[str, str]:
    """Give the code and the detail of an error, both cleaned for logs, both empty where Atlas gave none.

    Each is also empty where it repeats one of the secrets: cut or cleaned first, it could not be recognized.
    """
    error, hidden = _read(answer.body), tuple(secrets)
    code, detail = error.code or answer.headers.get("X-Error-Code", ""), error.detail or ""
    code = "" if is_in(code, hidden) or not _CODE.fullmatch(code) else code
    return code, "" if is_in(detail, hidden) else _UNPRINTABLE.sub(" ", detail)[:LONGEST_DETAIL]


def retry_after(answer: Answer) -> float | None:
    """Give the seconds that an answer asks to wait: its Retry-After, in seconds or as a date; None without one."""
    asked = answer.headers.get("Retry-After", "").strip()
    if asked.isdecimal() and len(asked) <= _LONGEST_NUMBER:
        return float(asked)
    then = parse_http_date(asked)
    return None if then is None or answer.date is None else max(0.0, (then - answer.date).total_seconds())


def _read(body: bytes) -> _ApiError:
    try:
        return _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _ApiError()


def _about(call: Call) -> str:
    return f" for project {call.project}" if call.project else ""


def _kind(status: int, code: str) -> type[OutsideError]:
    if is_temporary(status, code):
        return TemporaryError
    if code in _ABOUT_THE_KEY:
        return PermanentError
    return NotFound if status == _NOT_FOUND or code.endswith("_NOT_FOUND") else PermanentError
