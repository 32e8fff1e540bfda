"""What a request says: body, query, headers and caller, each read strictly and refused by its name."""

import re
from datetime import UTC, datetime
from typing import TypeVar

import msgspec
from chalice.app import Blueprint, Request

from chalicelib.api_problems import Kind, NotTaken
from chalicelib.domain.arn import principal
from chalicelib.domain.moments import YEARS, is_meant
from chalicelib.domain.refusals import No, Refusal

LARGEST_BODY = 64 * 1024
"""In bytes; the webhook has a limit of its own."""
LONGEST_NAME = 255
"""In characters for a header, in bytes for a part of the path."""
MOST_ON_A_PAGE = 100
routes = Blueprint(__name__)
Body = TypeVar("Body", bound=msgspec.Struct)
_TAG = r'(?:W/)?"[\x21\x23-\x7e]*"'
_TAGS = re.compile(rf"\*|{_TAG}(?:\s*,\s*{_TAG})*")


def request_now() -> Request:
    """The request that is being answered."""
    request = routes.current_request
    assert request is not None  # noqa: S101 - Chalice sets it before it calls a view
    return request


def raw_body() -> bytes:
    """The body as it came; raises NotTaken for one that is not in the base64 it claims, or no text at all."""
    try:
        raw = request_now().raw_body
        return raw if isinstance(raw, bytes) else raw.encode()
    except ValueError as error:
        raise NotTaken(Kind.INVALID, "the body is not encoded as the request says") from error


def check_limits(names: dict[str, str]) -> None:
    """Refuse a body, or names in the path, that are too large to be meant."""
    if len(raw_body()) > LARGEST_BODY:
        raise NotTaken(Kind.TOO_LARGE, f"the body has {len(raw_body())} bytes, more than the {LARGEST_BODY} taken")
    for name, value in names.items():
        if len(value.encode()) > LONGEST_NAME:
            raise Refusal(No.INVALID, f"`{name}` is longer than {LONGEST_NAME} bytes")


def body(kind: type[Body]) -> Body:
    """The body, as the struct says that it must be."""
    try:
        return msgspec.json.decode(raw_body() or b"{}", type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal(No.INVALID, f"the body is not understood: {error}") from error


def page() -> tuple[str | None, int]:
    """Where the page begins, and how long it may be."""
    return query("cursor"), number("limit", 1, MOST_ON_A_PAGE, otherwise=MOST_ON_A_PAGE)


def number(name: str, least: int, most: int, *, otherwise: int | None = None) -> int:
    """A whole number of the query."""
    found = query(name)
    given = found if found is not None else str(otherwise)
    wanted = int(given) if given.isascii() and given.isdigit() and len(given) < 10 else least - 1  # noqa: PLR2004 - digits
    if not least <= wanted <= most:
        raise Refusal(No.INVALID, f"`{name}` must be a whole number from {least} to {most}")
    return wanted


def query(name: str) -> str | None:
    """A parameter of the query."""
    given = request_now().query_params
    return None if given is None else given.get(name)


def moment(name: str) -> datetime | None:
    """A day or a time of the query, in UTC."""
    given = query(name)
    if given is None:
        return None
    try:
        at = datetime.fromisoformat(given)
    except ValueError:
        raise Refusal(No.INVALID, f"`{name}` must be a date or a time in ISO 8601") from None
    return in_utc(name, at.replace(tzinfo=at.tzinfo or UTC))


def in_utc(name: str, at: datetime) -> datetime:
    """The same moment in UTC."""
    if not is_meant(at):
        raise Refusal(No.INVALID, f"`{name}` must lie between the years {YEARS.start - 1} and {YEARS.stop}")
    return at.astimezone(UTC)


def header(name: str) -> str:
    """A header that must be there."""
    value: str | None = request_now().headers.get(name)
    if not value or len(value) > LONGEST_NAME:
        raise Refusal(No.INVALID, f"the header {name} is needed: a text of your own, at most {LONGEST_NAME} characters")
    return value


def if_match() -> frozenset[str] | None:
    """The entity tags of which one must still be true; None when anything may be."""
    given: str | None = request_now().headers.get("if-match")
    if given is None or given.strip() == "*":
        return None
    if len(given) > LONGEST_NAME or _TAGS.fullmatch(given.strip()) is None:
        raise Refusal(No.INVALID, 'the header if-match must be *, or tags as ETag gives them, such as "7"')
    return frozenset(re.findall(_TAG, given))


def caller() -> str:
    """The principal behind the request, as IAM knows it."""
    identity = request_now().context.get("identity") or {}
    arn = identity.get("userArn")
    if not arn:
        raise Refusal(No.FORBIDDEN, "the request carries no caller")
    return principal(arn)
