"""Problems: every no of the API in one shape (RFC 9457), each kind under a name that stays."""

from enum import StrEnum
from http import HTTPStatus
from typing import Any

from chalice.app import Request, Response

from chalicelib.domain.refusals import Refusal
from chalicelib.usecases.ports import Conflict, OutsideError, TemporaryError

URN = "urn:keyturn:problem:"
MEDIA_TYPE = "application/problem+json"
REQUEST_ID = "x-request-id"


class Kind(StrEnum):
    """The kinds of problem: `type` is the URN and this name. Every kind of refusal has the kind of its own name."""

    INVALID = "invalid"
    UNSIGNED = "unsigned"
    FORBIDDEN = "forbidden"
    MISSING_ROLE = "missing-role"
    UNKNOWN = "unknown"
    METHOD = "method"
    CONFLICT = "conflict"
    STALE = "stale"
    TOO_LARGE = "too-large"
    MEDIA_TYPE = "media-type"
    CONTRADICTION = "contradiction"
    INTERNAL = "internal"
    MISCONFIGURED = "misconfigured"
    UNAVAILABLE = "unavailable"


STATUS: dict[Kind, HTTPStatus] = {
    Kind.INVALID: HTTPStatus.BAD_REQUEST,
    Kind.UNSIGNED: HTTPStatus.UNAUTHORIZED,
    Kind.FORBIDDEN: HTTPStatus.FORBIDDEN,
    Kind.MISSING_ROLE: HTTPStatus.FORBIDDEN,
    Kind.UNKNOWN: HTTPStatus.NOT_FOUND,
    Kind.METHOD: HTTPStatus.METHOD_NOT_ALLOWED,
    Kind.CONFLICT: HTTPStatus.CONFLICT,
    Kind.STALE: HTTPStatus.PRECONDITION_FAILED,
    Kind.TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Kind.MEDIA_TYPE: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    Kind.CONTRADICTION: HTTPStatus.UNPROCESSABLE_ENTITY,
    Kind.INTERNAL: HTTPStatus.INTERNAL_SERVER_ERROR,
    Kind.MISCONFIGURED: HTTPStatus.INTERNAL_SERVER_ERROR,
    Kind.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
}

MEANING: dict[Kind, str] = {
    Kind.INVALID: "the request is not understood; the text names the field, the header or the parameter",
    Kind.UNSIGNED: "a webhook call that Atlas did not sign with a secret of ours",
    Kind.FORBIDDEN: "this person may not do this here: the requester of a deletion cannot approve it, and a federated"
    " user neither requests, approves nor vouches",
    Kind.MISSING_ROLE: "the caller lacks the role named in `role`",
    Kind.UNKNOWN: "there is nothing of that name",
    Kind.METHOD: "the path has no such method",
    Kind.CONFLICT: "as things stand this cannot be done; `reasons` says why, where there is more than the text",
    Kind.STALE: "the project has changed since the version in If-Match: read it again",
    Kind.TOO_LARGE: "the body is larger than this API takes",
    Kind.MEDIA_TYPE: "the body is not JSON",
    Kind.CONTRADICTION: "the same Idempotency-Key came with another body before",
    Kind.INTERNAL: "something went wrong that nobody foresaw: the log tells under the request's id",
    Kind.MISCONFIGURED: "something that Keyturn stands on is not set up right: the log tells under the request's id",
    Kind.UNAVAILABLE: "something outside did not answer: try again later",
}

_CHALICE_SAYS = {
    HTTPStatus.BAD_REQUEST: Kind.INVALID,
    HTTPStatus.METHOD_NOT_ALLOWED: Kind.METHOD,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: Kind.MEDIA_TYPE,
}


class NotTaken(Exception):
    """A request that the door itself does not take."""

    def __init__(self, kind: Kind, text: str, **details: str) -> None:
        super().__init__(text)
        self.kind, self.text, self.details = kind, text, details


def problem(kind: Kind, detail: str, **more: object) -> Response:
    """A problem as the API answers it; the request's id comes to it on its way out."""
    status = STATUS[kind]
    shape = {"type": URN + kind, "title": status.phrase, "status": int(status), "detail": detail, **more}
    return Response(shape, {"Content-Type": MEDIA_TYPE}, int(status))


def refuse(no: Refusal) -> Response:
    """A refusal with every reason."""
    reasons = [{"kind": r.kind, "text": r.text, "project_id": r.project_id, "cluster": r.cluster} for r in no.reasons]
    return problem(Kind(no.no), no.text, reasons=reasons, **no.details)


def unwell(trouble: OutsideError) -> Response:
    """What could not be done because something outside failed."""
    match trouble:
        case Conflict():
            return problem(Kind.CONFLICT, "somebody else changed this at the same moment: read it and try again")
        case TemporaryError():
            return problem(Kind.UNAVAILABLE, "this may work later: try again")
        case _ if trouble.code == "bad_cursor":
            return problem(Kind.INVALID, f"`cursor`: {trouble.message}")
        case _:
            return problem(Kind.MISCONFIGURED, "Keyturn is not set up right: see its logs")


def sign_out(request: Request, response: Response) -> Response:
    """Give an answer the request's id, and Chalice's own errors (wrong method, wrong type) the shape of ours."""
    answer = _as_problem(response)
    name = request_id(request)
    answer.headers[REQUEST_ID] = name
    if answer.headers.get("Content-Type") == MEDIA_TYPE:
        answer.body["request_id"] = name
    return answer


def _as_problem(response: Response) -> Response:
    body = response.body
    if not (isinstance(body, dict) and set(body) == {"Code", "Message"}):
        return response
    answer = problem(_CHALICE_SAYS.get(HTTPStatus(response.status_code), Kind.INTERNAL), str(body["Message"]))
    answer.headers.update(_kept(response))
    return answer


def _kept(response: Response) -> dict[str, Any]:
    return {name: value for name, value in response.headers.items() if name.lower() != "content-type"}


def request_id(request: Request) -> str:
    """The id by which API Gateway knows a request, else Lambda."""
    return str(request.context.get("requestId") or getattr(request.lambda_context, "aws_request_id", "unknown"))
