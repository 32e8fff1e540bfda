"""The operators' door: routes in, verbs called, answers and problems out. It has no power over Atlas or KMS."""

import json
import logging
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from http import HTTPStatus
from typing import TypeVar

import msgspec
from chalice.app import Blueprint, IAMAuthorizer, Request, Response

from chalicelib import settings, wiring
from chalicelib.api_bodies import (
    AcknowledgementBody,
    ApprovalBody,
    AttestationBody,
    DeletionBody,
    PolicyBody,
    RotationBody,
)
from chalicelib.domain.arn import aws_region, principal
from chalicelib.domain.evidence_page import to_csv, to_html
from chalicelib.domain.opening import RotationRequest
from chalicelib.domain.refusals import No, Refusal
from chalicelib.usecases import show
from chalicelib.usecases.collect_evidence import collect_evidence
from chalicelib.usecases.ports import Conflict, OutsideError, TemporaryError
from chalicelib.usecases.request_deletion import approve_deletion, attest, call_off_deletion, request_deletion
from chalicelib.usecases.request_rotation import (
    cancel_rotation,
    preview_rotation,
    request_rotation,
    roll_back_rotation,
)
from chalicelib.usecases.steer import acknowledge, change_policy

routes = Blueprint(__name__)
iam = IAMAuthorizer()
_log = logging.getLogger(__name__)
Body = TypeVar("Body", bound=msgspec.Struct)

_STATUS = {
    No.INVALID: HTTPStatus.BAD_REQUEST,
    No.FORBIDDEN: HTTPStatus.FORBIDDEN,
    No.UNKNOWN: HTTPStatus.NOT_FOUND,
    No.CONFLICT: HTTPStatus.CONFLICT,
    No.CONTRADICTION: HTTPStatus.UNPROCESSABLE_ENTITY,
}
_MOST_ON_A_PAGE = 100
_LONGEST_NAME = 255
_LARGEST_WEBHOOK = 256 * 1024
View = Callable[..., Response]


def door(method: str, path: str) -> Callable[[View], View]:
    """Open a route to callers that IAM lets in; every no of a verb becomes a problem."""

    def open_door(view: View) -> View:
        @wraps(view)
        def answer(**names: str) -> Response:
            try:
                return view(**names)
            except Refusal as no:
                return refuse(no)
            except OutsideError as problem:
                _log.error("%s %s: %s", method, path, problem.message)
                return unwell(problem)

        routes.route(path, methods=[method], authorizer=iam)(answer)
        return view

    return open_door


@door("GET", "/v1/health")
def health() -> Response:
    """Alive, and which version."""
    return _answer({"status": "ok", "version": settings.VERSION})


@door("GET", "/v1/projects")
def list_projects() -> Response:
    """The fleet, page by page."""
    return _answer(show.show_projects(wiring.outside(), *_page()))


@door("GET", "/v1/projects/{project_id}")
def get_project(project_id: str) -> Response:
    """One project."""
    return _answer(show.show_project(wiring.outside(), project_id))


@door("PATCH", "/v1/projects/{project_id}/policy")
def patch_policy(project_id: str) -> Response:
    """Change a project's policy."""
    change_policy(wiring.outside(), project_id, _body(PolicyBody).changed(), who=_caller())
    return get_project(project_id)


@door("POST", "/v1/projects/{project_id}/acknowledgement")
def post_acknowledgement(project_id: str) -> Response:
    """Be quiet about a project until a date."""
    body = _body(AcknowledgementBody)
    acknowledge(wiring.outside(), project_id, until=body.until, comment=body.comment, who=_caller())
    return get_project(project_id)


@door("POST", "/v1/projects/{project_id}/rotations")
def post_rotation(project_id: str) -> Response:
    """Request a rotation, or with `dry_run` only its checks."""
    body = _body(RotationBody)
    request = RotationRequest(
        requested_by=_caller(),
        idempotency_key=_header("idempotency-key"),
        key=body.key,
        region=aws_region(body.region) if body.region is not None else None,
        credentials_secret=body.credentials_secret,
        strategy=body.strategy,
        period_days=body.period_days,
        reason=body.reason,
        emergency=body.emergency,
    )
    answer = _preview if body.dry_run else _request
    return answer(project_id, request)


def _request(project_id: str, request: RotationRequest) -> Response:
    rotation = request_rotation(wiring.outside(), project_id, request)
    return _answer(show.rotation_shape(rotation), HTTPStatus.ACCEPTED)


def _preview(project_id: str, request: RotationRequest) -> Response:
    checks = preview_rotation(wiring.outside(), project_id, request)
    return _answer({"dry_run": True, "checks": msgspec.to_builtins(checks)})


@door("GET", "/v1/projects/{project_id}/rotations")
def list_rotations(project_id: str) -> Response:
    """A project's rotations, page by page."""
    return _answer(show.show_rotations(wiring.outside(), project_id, *_page()))


@door("GET", "/v1/projects/{project_id}/rotations/{rotation_id}")
def get_rotation(project_id: str, rotation_id: str) -> Response:
    """One rotation."""
    return _answer(show.show_rotation(wiring.outside(), project_id, rotation_id))


@door("POST", "/v1/projects/{project_id}/rotations/{rotation_id}/cancel")
def post_cancel(project_id: str, rotation_id: str) -> Response:
    """Give a rotation up before the settings are changed."""
    rotation = cancel_rotation(wiring.outside(), project_id, rotation_id, who=_caller())
    return _answer(show.rotation_shape(rotation), HTTPStatus.ACCEPTED)


@door("POST", "/v1/projects/{project_id}/rotations/{rotation_id}/rollback")
def post_rollback(project_id: str, rotation_id: str) -> Response:
    """Go back to the old key, while it is kept."""
    rotation = roll_back_rotation(wiring.outside(), project_id, rotation_id, who=_caller())
    return _answer(show.rotation_shape(rotation), HTTPStatus.ACCEPTED)


@door("GET", "/v1/keys")
def list_keys() -> Response:
    """All keys, page by page."""
    return _answer(show.show_keys(wiring.outside(), *_page()))


@door("GET", "/v1/keys/{key_id}")
def get_key(key_id: str) -> Response:
    """One key: who needs it, until when, and the proof when nobody does."""
    shown = show.show_key(
        wiring.outside(),
        key_id,
        account=_query("account"),
        region=_query("region"),
        retention_days=_number("retention_days", 1, 3650) if _query("retention_days") is not None else None,
    )
    return _answer(shown)


@door("POST", "/v1/keys/{key_id}/attestation")
def post_attestation(key_id: str) -> Response:
    """A person vouches for what no API can show."""
    key = attest(
        wiring.outside(),
        key_id,
        account=_query("account"),
        region=_query("region"),
        who=_caller(),
        statement=_body(AttestationBody).statement,
    )
    return _answer(show.key_shape(key))


@door("POST", "/v1/keys/{key_id}/deletion")
def post_deletion(key_id: str) -> Response:
    """Request a key's deletion, bound to its present proof."""
    deletion = request_deletion(
        wiring.outside(),
        key_id,
        account=_query("account"),
        region=_query("region"),
        requester=_caller(),
        reason=_body(DeletionBody).reason,
    )
    return _answer(show.deletion_shape(deletion), HTTPStatus.ACCEPTED)


@door("GET", "/v1/deletions/{deletion_id}")
def get_deletion(deletion_id: str) -> Response:
    """One request to delete a key."""
    return _answer(show.show_deletion(wiring.outside(), deletion_id))


@door("POST", "/v1/deletions/{deletion_id}/approval")
def post_approval(deletion_id: str) -> Response:
    """Another person approves a deletion by its proof's digest."""
    deletion = approve_deletion(wiring.outside(), deletion_id, digest=_body(ApprovalBody).digest, approver=_caller())
    return _answer(show.deletion_shape(deletion))


@door("DELETE", "/v1/deletions/{deletion_id}")
def delete_deletion(deletion_id: str) -> Response:
    """Call a deletion off; a key in quarantine comes back at the next look."""
    deletion = call_off_deletion(wiring.outside(), deletion_id, who=_caller())
    return _answer(show.deletion_shape(deletion), HTTPStatus.ACCEPTED)


@door("GET", "/v1/projects/{project_id}/evidence")
def get_evidence(project_id: str) -> Response:
    """The evidence pack of a project and period, as JSON, CSV or HTML."""
    form = _query("format") or "json"
    if form not in _FORMS:
        raise Refusal(No.INVALID, f"`format` must be one of {', '.join(_FORMS)}")
    pack = collect_evidence(wiring.outside(), project_id, begin=_moment("from"), end=_moment("to"))
    content_type, write = _FORMS[form]
    return Response(write(pack), {"Content-Type": content_type}, int(HTTPStatus.OK))


_FORMS: dict[str, tuple[str, Callable[[show.Shape], str]]] = {
    "json": ("application/json", json.dumps),
    "csv": ("text/csv; charset=utf-8", to_csv),
    "html": ("text/html; charset=utf-8", to_html),
}


@routes.route("/v1/webhooks/atlas", methods=["POST"])
def post_webhook() -> Response:
    """Atlas tells of an alert: authorized by its signature alone, good for no more than a look."""
    request = _request_now()
    raw, signature = _bytes(request.raw_body), request.headers.get("x-mms-signature") or ""
    if len(raw) > _LARGEST_WEBHOOK or not signature or len(signature) > _LONGEST_NAME:
        return _problem(HTTPStatus.UNAUTHORIZED, "the call is not signed, or too large to be one of Atlas'")
    try:
        verdict = wiring.hear({"body": b64encode(raw).decode(), "signature": signature})
    except OutsideError as problem:
        _log.error("POST /v1/webhooks/atlas: %s", problem.message)
        return unwell(problem)
    if verdict == "forged":
        return _problem(HTTPStatus.UNAUTHORIZED, "the signature is not one of ours")
    return _answer({"verdict": verdict}, HTTPStatus.ACCEPTED)


@routes.middleware("http")
def answer_with_problems(event: Request, get_response: Callable[[Request], Response]) -> Response:
    """Give Chalice's own errors (wrong method, wrong type, what went wrong unforeseen) the shape of ours."""
    return _as_problem(get_response(event))


def _as_problem(response: Response) -> Response:
    body = response.body
    known = isinstance(body, dict) and set(body) == {"Code", "Message"}
    return _problem(HTTPStatus(response.status_code), str(body["Message"])) if known else response


def refuse(no: Refusal) -> Response:
    """A refusal with every reason."""
    reasons = [{"kind": r.kind, "text": r.text, "project_id": r.project_id, "cluster": r.cluster} for r in no.reasons]
    return _problem(_STATUS[no.no], no.text, reasons=reasons, **no.details)


def unwell(problem: OutsideError) -> Response:
    """What could not be done because something outside failed."""
    match problem:
        case Conflict():
            return _problem(HTTPStatus.CONFLICT, "somebody else changed this at the same moment: read it and try again")
        case TemporaryError():
            return _problem(HTTPStatus.SERVICE_UNAVAILABLE, "this may work later: try again")
        case _ if problem.code == "bad_cursor":
            return _problem(HTTPStatus.BAD_REQUEST, problem.message)
        case _:
            return _problem(HTTPStatus.INTERNAL_SERVER_ERROR, "Keyturn is not set up right: see its logs")


def _problem(status: HTTPStatus, detail: str, **more: object) -> Response:
    problem = {"type": "about:blank", "title": status.phrase, "status": int(status), "detail": detail, **more}
    return Response(json.dumps(problem), {"Content-Type": "application/problem+json"}, int(status))


def _answer(shape: show.Shape, status: HTTPStatus = HTTPStatus.OK) -> Response:
    return Response(shape, {"Content-Type": "application/json"}, int(status))


def _request_now() -> Request:
    request = routes.current_request
    assert request is not None  # noqa: S101 - Chalice sets it before it calls a view
    return request


def _body(kind: type[Body]) -> Body:
    raw = _request_now().raw_body or b"{}"
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.MsgspecError as error:
        raise Refusal(No.INVALID, f"the body is not understood: {error}") from error


def _bytes(raw: str | bytes) -> bytes:
    return raw if isinstance(raw, bytes) else raw.encode()


def _page() -> tuple[str | None, int]:
    return _query("cursor"), _number("limit", 1, _MOST_ON_A_PAGE, otherwise=_MOST_ON_A_PAGE)


def _number(name: str, least: int, most: int, *, otherwise: int | None = None) -> int:
    given = _query(name) or str(otherwise)
    wanted = int(given) if given.isascii() and given.isdigit() and len(given) < 10 else least - 1  # noqa: PLR2004 - digits
    if not least <= wanted <= most:
        raise Refusal(No.INVALID, f"`{name}` must be a whole number from {least} to {most}")
    return wanted


def _query(name: str) -> str | None:
    given = _request_now().query_params
    return None if given is None else given.get(name)


def _moment(name: str) -> datetime | None:
    given = _query(name)
    try:
        moment = datetime.fromisoformat(given) if given else None
    except ValueError:
        moment = None
    if given and moment is None:
        raise Refusal(No.INVALID, f"`{name}` must be a date or a time in ISO 8601")
    return moment.replace(tzinfo=moment.tzinfo or UTC) if moment is not None else None


def _header(name: str) -> str:
    value: str | None = _request_now().headers.get(name)
    if not value or len(value) > _LONGEST_NAME:
        raise Refusal(
            No.INVALID, f"the header {name} is needed: a text of your own, at most {_LONGEST_NAME} characters"
        )
    return value


def _caller() -> str:
    identity = _request_now().context.get("identity") or {}
    caller = identity.get("userArn")
    if not caller:
        raise Refusal(No.FORBIDDEN, "the request carries no caller")
    return principal(caller)
