"""Draws docs/openapi.json from the API's own doors, bodies and shapes: `python docs/draw_openapi.py`."""

import json
import re
import sys
from http import HTTPStatus
from pathlib import Path
from typing import Any

import msgspec

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from app import app  # noqa: E402 - the path must be set first
from chalicelib import api_shapes, settings  # noqa: E402 - as above
from chalicelib.api_door import DOORS, Door  # noqa: E402 - as above
from chalicelib.api_problems import MEANING, MEDIA_TYPE, REQUEST_ID, STATUS, URN, Kind  # noqa: E402 - as above

OPENAPI = ROOT / "docs" / "openapi.json"
WEBHOOK = "/v1/webhooks/atlas"
JSON = "application/json"

Shape = dict[str, Any]

ABOUT = """\
Rotates the AWS KMS keys of MongoDB Atlas projects, and says with proof when an old key may be deleted.

Every call but the webhook's is signed (AWS Signature Version 4, service `execute-api`). IAM lets callers in; the
settings VIEWERS, OPERATORS and APPROVERS say what they may do here: each operation names the role that it needs.
Errors are problems (RFC 9457) whose `type` is stable, and every answer carries its request's id.
Lists answer a page; `next` goes back as `cursor` until it is null."""

FROM_GATEWAY = {
    HTTPStatus.TOO_MANY_REQUESTS: "Too many requests at once: API Gateway asks to wait.",
}
"""What API Gateway answers by itself, beside the 403 for calls that IAM does not let in."""

NAMES = {
    "project_id": ("The id of the Atlas project.", "64b0c0c0c0c0c0c0c0c0c0c0"),
    "rotation_id": ("The id that the request for the rotation was answered with.", "0123456789abcdef"),
    "key_id": ("The bare id of the KMS key.", "99999999-2222-3333-4444-555555555555"),
    "deletion_id": ("The id that the request for the deletion was answered with.", "0123456789abcdef"),
}
"""The parts of a path: what each is, and an example."""

_DAY_OR_TIME = {"anyOf": [{"type": "string", "format": "date"}, {"type": "string", "format": "date-time"}]}
_BY_DAY = "a day or a time in ISO 8601, between the years 1970 and 9000"

ASKED: dict[str, Shape] = {
    "cursor": {
        "in": "query",
        "description": "`next` of the page before.",
        "schema": {"type": "string"},
    },
    "limit": {
        "in": "query",
        "description": "How many items a page may hold.",
        "schema": {"type": "integer", "minimum": 1, "maximum": 100, "default": 100},
    },
    "account": {
        "in": "query",
        "description": "The AWS account, where several hold a key of this id.",
        "schema": {"type": "string", "pattern": "^[0-9]{12}$"},
    },
    "region": {
        "in": "query",
        "description": "The AWS region, where several hold a key of this id.",
        "schema": {"type": "string", "pattern": "^[a-z0-9-]{1,32}$"},
    },
    "retention_days": {
        "in": "query",
        "description": "Also say when the key would come free if snapshots were kept no longer.",
        "schema": {"type": "integer", "minimum": 1, "maximum": 3650},
    },
    "days": {
        "in": "query",
        "description": "How many days to look ahead.",
        "schema": {"type": "integer", "minimum": 1, "maximum": 3650, "default": 365},
    },
    "format": {
        "in": "query",
        "description": "As data, as a table, or as a page that prints.",
        "schema": {"type": "string", "enum": ["json", "csv", "html"], "default": "json"},
    },
    "from": {"in": "query", "description": f"The beginning: {_BY_DAY}.", "schema": _DAY_OR_TIME},
    "to": {"in": "query", "description": f"The end, now when it is not given: {_BY_DAY}.", "schema": _DAY_OR_TIME},
    "idempotency-key": {
        "in": "header",
        "required": True,
        "description": "A text of your own: the same one with the same body gives the same rotation again.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255},
        "example": "payments-2027-03",
    },
    "if-match": {
        "in": "header",
        "description": "ETag of what was read, or several, or *: another version is not changed (412).",
        "schema": {"type": "string", "maxLength": 255, "pattern": r'^(\*|"[0-9]{1,9}"(, "[0-9]{1,9}")*)$'},
        "example": "*",
    },
    "x-mms-signature": {
        "in": "header",
        "required": True,
        "description": "The HMAC-SHA1 of the body under the webhook's secret, in Base64, as Atlas writes it.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
        "example": "WZLZ0+dTnqqPvtRYQR1J7+k1y7Q=",
    },
}
"""What is asked beside path and body, by name."""

EXAMPLES: dict[str, Shape] = {
    "patch_policy": {
        "sooner": {"rotation_period_days": 30, "ladder": [-7, -1, 0, 1]},
        "by itself": {"mode": "rotate", "strategy": "new-cmk", "recipients": ["payments@example.com"]},
        "as the fleet": {"inherit": ["ladder", "rotation_period_days"]},
    },
    "patch_defaults": {"a message a day": {"digest": True, "digest_hour": 6}},
    "post_acknowledgement": {"a month": {"until": "2027-02-01T00:00:00Z", "comment": "after the release"}},
    "post_rotation": {
        "checks alone": {"dry_run": True},
        "now": {"strategy": "new-cmk", "reason": "a quarter has passed"},
    },
    "post_attestation": {"seen": {"statement": "No snapshot of this project was ever downloaded or copied."}},
    "post_deletion": {"unused": {"reason": "nothing needs it any more"}},
    "post_approval": {"the proof": {"digest": "a" * 64}},
    "post_webhook": {
        "key invalid": {
            "id": "64b0c0c0c0c0c0c0c0c0c0d0",
            "groupId": "64b0c0c0c0c0c0c0c0c0c0c0",
            "eventTypeName": "AWS_ENCRYPTION_KEY_INVALID",
            "status": "OPEN",
            "updated": "2027-03-01T09:30:00Z",
        }
    },
}
"""Bodies by operation; tests send each of them."""


def document() -> Shape:
    """The whole document."""
    kinds = [*_body_types(), *_answer_types(), api_shapes.Problem, api_shapes.GatewayMessage]
    _, schemas = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    schemas["Problem"]["properties"]["type"] = _problem_types()
    paths: dict[str, Shape] = {}
    for door in DOORS:
        paths.setdefault(door.path, {})[door.method.lower()] = _operation(door)
    paths[WEBHOOK] = {"post": _webhook()}
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "Keyturn",
            "version": settings.VERSION,
            "description": ABOUT,
            "license": {"name": "Apache License 2.0", "identifier": "Apache-2.0"},
        },
        "servers": _servers(),
        "security": [{"sigv4": []}],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "parameters": {**{name: _name(name) for name in NAMES}, **{name: _asked(name) for name in ASKED}},
            "responses": {_phrase(status): _refusal(status) for status in sorted({*STATUS.values(), *FROM_GATEWAY})},
            "headers": _headers(),
            "securitySchemes": {"sigv4": _signature()},
        },
    }


def _body_types() -> list[Any]:
    return [door.takes for door in DOORS if door.takes is not None]


def _answer_types() -> list[Any]:
    return [*(door.gives for door in DOORS), api_shapes.DryRun, api_shapes.Verdict]


def _servers() -> list[Shape]:
    deployed = {
        "url": "https://{api}.execute-api.{region}.amazonaws.com/live",
        "description": "a stack of your own",
        "variables": {"api": {"default": "a1b2c3d4e5"}, "region": {"default": "us-east-1"}},
    }
    return [deployed, {"url": "http://127.0.0.1:8400", "description": "the sandbox"}]


def _signature() -> Shape:
    return {
        "type": "apiKey",
        "name": "Authorization",
        "in": "header",
        "description": "AWS Signature Version 4 of the service `execute-api`.",
        "x-amazon-apigateway-authtype": "awsSigv4",
    }


def _headers() -> Shape:
    text = {"type": "string"}
    return {
        "RequestId": {"description": "The request's id, as in the logs.", "required": True, "schema": text},
        "ETag": {"description": "The version of what was read, for If-Match.", "required": True, "schema": text},
        "Allow": {"description": "The methods that the path has.", "schema": text},
    }


def _problem_types() -> Shape:
    told = "\n".join(f"- `{URN}{kind}` ({int(STATUS[kind])}): {MEANING[kind]}" for kind in Kind)
    return {"type": "string", "enum": [URN + kind for kind in Kind], "description": told}


def _name(name: str) -> Shape:
    about, example = NAMES[name]
    schema = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[A-Za-z0-9-]+$"}
    return {"name": name, "in": "path", "required": True, "description": about, "schema": schema, "example": example}


def _asked(name: str) -> Shape:
    return {"name": name, **ASKED[name]}


def _operation(door: Door) -> Shape:
    role = f"Needs the role {door.role}." if door.role is not None else "Needs no role."
    operation = {
        "operationId": door.view.__name__,
        "summary": _first_line(door.view),
        "description": role,
        "x-keyturn-role": door.role,
        "parameters": [{"$ref": f"#/components/parameters/{name}"} for name in (*_names(door.path), *door.asks)],
        "responses": _good(door) | {str(int(status)): _see(status) for status in sorted(_may_answer(door))},
    }
    return operation | ({"requestBody": _body(door)} if door.takes is not None else {})


def _names(path: str) -> list[str]:
    return re.findall(r"\{(\w+)\}", path)


def _first_line(view: Any) -> str:  # noqa: ANN401 - any function
    return str(view.__doc__).partition("\n")[0]


def _body(door: Door) -> Shape:
    needed = msgspec.json.schema(door.takes)["$defs"][door.takes.__name__]["required"] if door.takes else []
    examples = {name: {"value": value} for name, value in EXAMPLES[door.view.__name__].items()}
    return {"required": bool(needed), "content": {JSON: {"schema": _type(door.takes), "examples": examples}}}


def _type(kind: Any) -> Shape:  # noqa: ANN401 - a struct or typed dictionary
    return {"$ref": f"#/components/schemas/{kind.__name__}"}


def _good(door: Door) -> Shape:
    good = {str(int(door.status)): _given(door.status, door.gives)}
    match door.view.__name__:
        case "post_rotation":
            good[str(int(HTTPStatus.OK))] = _given(HTTPStatus.OK, api_shapes.DryRun)
        case "get_evidence":
            text = {"schema": {"type": "string"}}
            good["200"]["content"] |= {"text/csv": text, "text/html": text}
    return dict(sorted(good.items()))


def _given(status: HTTPStatus, kind: Any) -> Shape:  # noqa: ANN401 - a typed dictionary
    headers = {REQUEST_ID: {"$ref": "#/components/headers/RequestId"}}
    if kind in (api_shapes.Project, api_shapes.Fleet):
        headers["etag"] = {"$ref": "#/components/headers/ETag"}
    return {"description": status.phrase, "headers": headers, "content": {JSON: {"schema": _type(kind)}}}


def _may_answer(door: Door) -> set[HTTPStatus]:
    """The statuses of the problems that an operation may answer with."""
    kinds = {
        Kind.INVALID: True,
        Kind.FORBIDDEN: True,
        Kind.UNKNOWN: bool(_names(door.path)),
        Kind.CONFLICT: door.method != "GET",
        Kind.STALE: "if-match" in door.asks,
        Kind.TOO_LARGE: True,
        Kind.MEDIA_TYPE: True,
        Kind.CONTRADICTION: "idempotency-key" in door.asks,
        Kind.INTERNAL: True,
        Kind.UNAVAILABLE: True,
    }
    return {STATUS[kind] for kind, may in kinds.items() if may} | FROM_GATEWAY.keys()


def _see(status: HTTPStatus) -> Shape:
    return {"$ref": f"#/components/responses/{_phrase(status)}"}


def _phrase(status: HTTPStatus) -> str:
    return "".join(word.capitalize() for word in re.findall(r"[A-Za-z]+", status.phrase))


def _refusal(status: HTTPStatus) -> Shape:
    gateway = {JSON: {"schema": _type(api_shapes.GatewayMessage)}}
    if status in FROM_GATEWAY:
        return {"description": FROM_GATEWAY[status], "content": gateway}
    kinds = [kind for kind in Kind if STATUS[kind] is status]
    ours = {"allOf": [_type(api_shapes.Problem), {"properties": {"type": {"enum": [URN + kind for kind in kinds]}}}]}
    told = "; or ".join(MEANING[kind] for kind in kinds)
    content = {MEDIA_TYPE: {"schema": ours}}
    answer: Shape = {"description": f"{told[0].upper()}{told[1:]}.", "content": content}
    if status is HTTPStatus.FORBIDDEN:
        answer["description"] += " API Gateway says in JSON of its own whom IAM does not let in."
        return answer | {"content": content | gateway}
    headers = {REQUEST_ID: {"$ref": "#/components/headers/RequestId"}}
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        headers["allow"] = {"$ref": "#/components/headers/Allow"}
    return answer | {"headers": headers}


def _webhook() -> Shape:
    view = app.routes[WEBHOOK]["POST"].view_function
    kinds = (Kind.UNSIGNED, Kind.MEDIA_TYPE, Kind.INTERNAL, Kind.UNAVAILABLE)
    refusals = {str(int(status)): _see(status) for status in sorted({*(STATUS[k] for k in kinds), *FROM_GATEWAY})}
    examples = {name: {"value": value} for name, value in EXAMPLES["post_webhook"].items()}
    return {
        "operationId": "post_webhook",
        "summary": _first_line(view),
        "description": "Needs no signature of AWS: Atlas signs the body.",
        "security": [],
        "parameters": [{"$ref": "#/components/parameters/x-mms-signature"}],
        "requestBody": {"required": True, "content": {JSON: {"schema": {}, "examples": examples}}},
        "responses": {"202": _given(HTTPStatus.ACCEPTED, api_shapes.Verdict), **refusals},
    }


def written() -> str:
    """The document as it stands in the file."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    OPENAPI.write_text(written(), encoding="utf-8")
