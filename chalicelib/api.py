"""The operators' door: routes in, verbs called, answers and problems out. It has no power over Atlas or KMS.

A view loads its verb when it is called: every function starts through here, and most of them need none of these.
"""

import json
import logging
from base64 import b64encode
from collections.abc import Callable
from http import HTTPStatus

import msgspec
from chalice.app import Request, Response

from chalicelib import api_shapes, api_shapes_evidence, settings, wiring
from chalicelib.api_asked import (
    LONGEST_NAME,
    caller,
    header,
    if_match,
    in_utc,
    moment,
    number,
    page,
    query,
    raw_body,
    request_now,
    routes,
)
from chalicelib.api_bodies import (
    AcknowledgementBody,
    ApprovalBody,
    AttestationBody,
    DefaultsBody,
    DeletionBody,
    PolicyBody,
    RotationBody,
)
from chalicelib.api_door import Shape, answered, door
from chalicelib.api_problems import Kind, NotTaken, problem, request_id, sign_out, unwell
from chalicelib.domain.authorization import Role
from chalicelib.domain.refusals import No, Refusal
from chalicelib.usecases.ports import OutsideError

__all__ = ["routes"]

_log = logging.getLogger(__name__)

MOST_DAYS_AHEAD = 3650
LARGEST_WEBHOOK = 256 * 1024
"""In bytes."""
MOST_PACKS = 25
"""How many packs one page of the fleet's evidence is made from, whatever limit is asked for: API Gateway waits 29 s."""


@door("GET", "/v1/health", gives=api_shapes.Health, role=None)
def health() -> Shape:
    """Alive, and which version."""
    return {"status": "ok", "version": settings.VERSION}


@door("GET", "/v1/watch", gives=api_shapes.Watch, role=Role.VIEWER)
def get_watch() -> Shape:
    """What Keyturn found out about itself: what piles up, what expires, what it may not look at."""
    from chalicelib.usecases.show import show_watch

    return show_watch(wiring.outside())


@door("GET", "/v1/activity", gives=api_shapes.Activity, role=Role.VIEWER, asks=("cursor", "limit"))
def list_activity() -> Shape:
    """What happened in the whole fleet, page by page, newest first: the audit trail as one list."""
    from chalicelib.usecases.show import show_activity

    return show_activity(wiring.outside(), *page())


@door("GET", "/v1/projects", gives=api_shapes.Projects, role=Role.VIEWER, asks=("cursor", "limit"))
def list_projects() -> Shape:
    """The fleet, page by page."""
    from chalicelib.usecases.show import show_projects

    return show_projects(wiring.outside(), *page())


@door("GET", "/v1/projects/{project_id}", gives=api_shapes.Project, role=Role.VIEWER)
def get_project(project_id: str) -> Response:
    """One project; ETag names its version."""
    from chalicelib.usecases.show import show_project_version

    version, shown = show_project_version(wiring.outside(), project_id)
    return answered(shown, ETag=f'"{version}"')


@door(
    "PATCH",
    "/v1/projects/{project_id}/policy",
    gives=api_shapes.Project,
    role=Role.OPERATOR,
    takes=PolicyBody,
    asks=("if-match",),
)
def patch_policy(project_id: str, body: PolicyBody) -> Response:
    """Change a project's policy, with If-Match only the version that was read."""
    from chalicelib.usecases.steer import change_policy

    change_policy(
        wiring.outside(),
        project_id,
        body.changed(),
        who=caller(),
        inherited=tuple(body.inherit),
        if_version=_versions(),
    )
    return get_project(project_id)


@door("GET", "/v1/policy", gives=api_shapes.Fleet, role=Role.VIEWER)
def get_defaults() -> Response:
    """What holds for every project that wishes nothing else; ETag names its version."""
    from chalicelib.usecases.show import show_fleet_version

    version, shown = show_fleet_version(wiring.outside())
    return answered(shown, ETag=f'"{version}"')


@door("PATCH", "/v1/policy", gives=api_shapes.Fleet, role=Role.OPERATOR, takes=DefaultsBody, asks=("if-match",))
def patch_defaults(body: DefaultsBody) -> Response:
    """Change the fleet's policy; each project takes it up at its next daily look."""
    from chalicelib.usecases.steer import change_defaults

    change_defaults(wiring.outside(), body.changed(), who=caller(), if_version=_versions())
    return get_defaults()


def _versions() -> frozenset[str] | None:
    tags = if_match()
    return frozenset(tag.strip('"') for tag in tags) if tags is not None else None


@door("GET", "/v1/rehearsal", gives=api_shapes.Rehearsals, role=Role.VIEWER, asks=("days", "cursor", "limit"))
def list_rehearsals() -> Shape:
    """What the days ahead bring the fleet, page by page."""
    from chalicelib.usecases.rehearse import rehearse_fleet

    return rehearse_fleet(wiring.outside(), *page(), days=_days_ahead())


@door("GET", "/v1/projects/{project_id}/rehearsal", gives=api_shapes.Rehearsal, role=Role.VIEWER, asks=("days",))
def get_rehearsal(project_id: str) -> Shape:
    """What the days ahead bring one project: reminders, rotations, keys and their cost. It changes nothing."""
    from chalicelib.usecases.rehearse import rehearse_project

    return rehearse_project(wiring.outside(), project_id, days=_days_ahead())


def _days_ahead() -> int:
    return number("days", 1, MOST_DAYS_AHEAD, otherwise=365)


@door(
    "POST",
    "/v1/projects/{project_id}/acknowledgement",
    gives=api_shapes.Project,
    role=Role.OPERATOR,
    takes=AcknowledgementBody,
)
def post_acknowledgement(project_id: str, body: AcknowledgementBody) -> Response:
    """Be quiet about a project until a date; what its policy rotates by itself waits as long."""
    from chalicelib.usecases.steer import acknowledge

    until = in_utc("until", body.until)
    acknowledge(wiring.outside(), project_id, until=until, comment=body.comment, who=caller())
    return get_project(project_id)


@door("POST", "/v1/projects/{project_id}/atlas-threshold", gives=api_shapes.AtlasThreshold, role=Role.OPERATOR)
def post_threshold(project_id: str) -> Shape:
    """Have Atlas' own alert come after the project's rotation period; what KMS rotates by itself Atlas never sees."""
    said = wiring.adjust(project_id, caller())
    refused, threshold = said["refused"], said["threshold"]
    if threshold is None:
        raise Refusal(No(refused["no"]), refused["text"])
    return dict(threshold)


@door(
    "POST",
    "/v1/projects/{project_id}/rotations",
    gives=api_shapes.Rotation,
    status=HTTPStatus.ACCEPTED,
    role=Role.OPERATOR,
    takes=RotationBody,
    asks=("idempotency-key",),
)
def post_rotation(project_id: str, body: RotationBody) -> Shape | Response:
    """Request a rotation, or with `dry_run` only its checks."""
    from chalicelib.domain.arn import aws_region
    from chalicelib.domain.opening import RotationRequest
    from chalicelib.usecases.request_rotation import preview_rotation, request_rotation
    from chalicelib.usecases.show import rotation_shape

    request = RotationRequest(
        requested_by=caller(),
        idempotency_key=header("idempotency-key"),
        key=body.key,
        region=aws_region(body.region) if body.region is not None else None,
        credentials_secret=body.credentials_secret,
        strategy=body.strategy,
        period_days=body.period_days,
        reason=body.reason,
        emergency=body.emergency,
    )
    if body.dry_run:
        checks = preview_rotation(wiring.outside(), project_id, request)
        return answered({"dry_run": True, "checks": msgspec.to_builtins(checks)})
    return rotation_shape(request_rotation(wiring.outside(), project_id, request))


@door(
    "GET",
    "/v1/projects/{project_id}/rotations",
    gives=api_shapes.Rotations,
    role=Role.VIEWER,
    asks=("cursor", "limit"),
)
def list_rotations(project_id: str) -> Shape:
    """A project's rotations, page by page, the latest request first."""
    from chalicelib.usecases.show import show_rotations

    return show_rotations(wiring.outside(), project_id, *page())


@door("GET", "/v1/projects/{project_id}/rotations/{rotation_id}", gives=api_shapes.RotationInFull, role=Role.VIEWER)
def get_rotation(project_id: str, rotation_id: str) -> Shape:
    """One rotation."""
    from chalicelib.usecases.show import show_rotation

    return show_rotation(wiring.outside(), project_id, rotation_id)


@door(
    "POST",
    "/v1/projects/{project_id}/rotations/{rotation_id}/cancel",
    gives=api_shapes.Rotation,
    status=HTTPStatus.ACCEPTED,
    role=Role.OPERATOR,
)
def post_cancel(project_id: str, rotation_id: str) -> Shape:
    """Give a rotation up before the settings are changed."""
    from chalicelib.usecases.request_rotation import cancel_rotation
    from chalicelib.usecases.show import rotation_shape

    return rotation_shape(cancel_rotation(wiring.outside(), project_id, rotation_id, who=caller()))


@door(
    "POST",
    "/v1/projects/{project_id}/rotations/{rotation_id}/rollback",
    gives=api_shapes.Rotation,
    status=HTTPStatus.ACCEPTED,
    role=Role.OPERATOR,
)
def post_rollback(project_id: str, rotation_id: str) -> Shape:
    """Go back to the old key, while it is kept."""
    from chalicelib.usecases.request_rotation import roll_back_rotation
    from chalicelib.usecases.show import rotation_shape

    return rotation_shape(roll_back_rotation(wiring.outside(), project_id, rotation_id, who=caller()))


@door("GET", "/v1/keys", gives=api_shapes.Keys, role=Role.VIEWER, asks=("cursor", "limit"))
def list_keys() -> Shape:
    """All keys, page by page."""
    from chalicelib.usecases.show import show_keys

    return show_keys(wiring.outside(), *page())


@door(
    "GET",
    "/v1/keys/{key_id}",
    gives=api_shapes.KeyInFull,
    role=Role.VIEWER,
    asks=("account", "region", "retention_days"),
)
def get_key(key_id: str) -> Shape:
    """One key: who needs it, until when, and the proof when nobody does."""
    from chalicelib.usecases.show import show_key

    return show_key(
        wiring.outside(),
        key_id,
        account=query("account"),
        region=query("region"),
        retention_days=number("retention_days", 1, 3650) if query("retention_days") is not None else None,
    )


@door(
    "POST",
    "/v1/keys/{key_id}/attestation",
    gives=api_shapes.Key,
    role=Role.OPERATOR,
    takes=AttestationBody,
    asks=("account", "region"),
)
def post_attestation(key_id: str, body: AttestationBody) -> Shape:
    """A person vouches for what no API can show."""
    from chalicelib.usecases.request_deletion import attest
    from chalicelib.usecases.show import key_shape

    key = attest(
        wiring.outside(),
        key_id,
        account=query("account"),
        region=query("region"),
        who=caller(),
        statement=body.statement,
    )
    return key_shape(key)


@door(
    "POST",
    "/v1/keys/{key_id}/deletion",
    gives=api_shapes.Deletion,
    status=HTTPStatus.ACCEPTED,
    role=Role.OPERATOR,
    takes=DeletionBody,
    asks=("account", "region"),
)
def post_deletion(key_id: str, body: DeletionBody) -> Shape:
    """Request a key's deletion, bound to its present proof."""
    from chalicelib.usecases.request_deletion import request_deletion
    from chalicelib.usecases.show import deletion_shape

    deletion = request_deletion(
        wiring.outside(),
        key_id,
        account=query("account"),
        region=query("region"),
        requester=caller(),
        reason=body.reason,
    )
    return deletion_shape(deletion)


@door("GET", "/v1/deletions/{deletion_id}", gives=api_shapes.Deletion, role=Role.VIEWER)
def get_deletion(deletion_id: str) -> Shape:
    """One request to delete a key."""
    from chalicelib.usecases.show import show_deletion

    return show_deletion(wiring.outside(), deletion_id)


@door(
    "POST",
    "/v1/deletions/{deletion_id}/approval",
    gives=api_shapes.Deletion,
    role=Role.APPROVER,
    takes=ApprovalBody,
)
def post_approval(deletion_id: str, body: ApprovalBody) -> Shape:
    """Another person approves a deletion by its proof's digest."""
    from chalicelib.usecases.request_deletion import approve_deletion
    from chalicelib.usecases.show import deletion_shape

    deletion = approve_deletion(wiring.outside(), deletion_id, digest=body.digest, approver=caller())
    return deletion_shape(deletion)


@door(
    "DELETE",
    "/v1/deletions/{deletion_id}",
    gives=api_shapes.Deletion,
    status=HTTPStatus.ACCEPTED,
    role=Role.APPROVER,
)
def delete_deletion(deletion_id: str) -> Shape:
    """Call a deletion off; a key in quarantine comes back at the next look."""
    from chalicelib.usecases.request_deletion import call_off_deletion
    from chalicelib.usecases.show import deletion_shape

    return deletion_shape(call_off_deletion(wiring.outside(), deletion_id, who=caller()))


@door(
    "GET",
    "/v1/evidence",
    gives=api_shapes_evidence.FleetEvidence,
    role=Role.VIEWER,
    asks=("cursor", "limit", "from", "to"),
)
def list_evidence() -> Shape:
    """What the evidence of every project comes to, page by page."""
    from chalicelib.usecases.collect_evidence import summarize_fleet

    cursor, limit = page()
    begin, end = moment("from"), moment("to")
    return summarize_fleet(wiring.outside(), cursor, min(limit, MOST_PACKS), begin=begin, end=end)


@door(
    "GET",
    "/v1/projects/{project_id}/evidence",
    gives=api_shapes_evidence.Evidence,
    role=Role.VIEWER,
    asks=("format", "from", "to"),
)
def get_evidence(project_id: str) -> Response:
    """The evidence pack of a project and period, as JSON, CSV or HTML."""
    from chalicelib.domain.evidence_page import to_csv, to_html
    from chalicelib.usecases.collect_evidence import collect_evidence

    forms: dict[str, tuple[str, Callable[[Shape], str]]] = {
        "json": ("application/json", json.dumps),
        "csv": ("text/csv; charset=utf-8", to_csv),
        "html": ("text/html; charset=utf-8", to_html),
    }
    asked = query("format")
    form = "json" if asked is None else asked
    if form not in forms:
        raise Refusal(No.INVALID, f"`format` must be one of {', '.join(forms)}")
    pack = collect_evidence(wiring.outside(), project_id, begin=moment("from"), end=moment("to"))
    content_type, write = forms[form]
    return Response(write(pack), {"Content-Type": content_type}, int(HTTPStatus.OK))


@routes.route("/v1/webhooks/atlas", methods=["POST"])
def post_webhook() -> Response:
    """Atlas tells of an alert: authorized by its signature alone, good for no more than a look."""
    from chalicelib.domain.webhook import Verdict

    signature = request_now().headers.get("x-mms-signature") or ""
    try:
        raw = raw_body()
    except NotTaken:
        return problem(Kind.UNSIGNED, "the body is not one that Atlas sends")
    if len(raw) > LARGEST_WEBHOOK or not signature or len(signature) > LONGEST_NAME:
        return problem(Kind.UNSIGNED, "the call is not signed, or too large to be one of Atlas'")
    try:
        message = {"body": b64encode(raw).decode(), "signature": signature, "request_id": request_id(request_now())}
        verdict = wiring.hear(message)
    except OutsideError as trouble:
        _log.error("POST /v1/webhooks/atlas: %s", trouble.message)
        return unwell(trouble)
    if verdict == Verdict.FORGED:
        return problem(Kind.UNSIGNED, "the signature is not one of ours")
    return answered({"verdict": verdict}, HTTPStatus.ACCEPTED)


@routes.middleware("http")
def sign_every_answer(event: Request, get_response: Callable[[Request], Response]) -> Response:
    """Give every answer the request's id, as what it writes, and every error the shape of a problem."""
    wiring.serve(request_id(event))
    return sign_out(event, get_response(event))
