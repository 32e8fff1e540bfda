"""The pretend Atlas over HTTP/1.1 on loopback, with the faults that somebody ordered."""

import json
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from typing import Any, Self

from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.http import http_date
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from sandbox.atlas.asked import Asked
from sandbox.atlas.faults import Fault, first_striking
from sandbox.atlas.operations import API, OPERATIONS, Operation
from sandbox.atlas.refusals import Refusal, no_such_resource, not_allowed
from sandbox.atlas.tokens import Tokens
from sandbox.atlas.world import AtlasWorld
from sandbox.web import serving

TOKEN_PATH = "/api/oauth/token"  # noqa: S105 - a path, not a secret
_TOKEN_CALL = f"POST {TOKEN_PATH}"
_RULES = Map(
    [
        Rule(
            API + operation.template.replace("{", "<").replace("}", ">"), methods=[operation.method], endpoint=operation
        )
        for operation in OPERATIONS
    ]
)


class PretendAtlas:
    """The server; start it by `with`. `faults` may be added to while it runs.

    `calls` counts what arrives, also what a fault spoils, by method and template (`GET /api/atlas/v2/groups`).
    """

    def __init__(self, world: AtlasWorld, *, port: int = 0) -> None:
        self.world = world
        self.faults: list[Fault] = []
        self.calls: Counter[str] = Counter()
        self.address = ""
        self._port = port
        self._tokens = Tokens((world.reader, world.owner))
        self._running = ExitStack()

    @property
    def token_limit(self) -> int | None:
        """How many tokens an account gets in a real minute; None for any number."""
        return self._tokens.limit

    @token_limit.setter
    def token_limit(self, limit: int | None) -> None:
        self._tokens.limit = limit

    def __enter__(self) -> Self:
        self.address = self._running.enter_context(serving(self._application, self._port))
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def _application(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:  # noqa: ANN401 - WSGI
        request = Request(environ)
        raw = request.get_data(cache=True, parse_form_data=False)
        with self.world.lock:
            self.calls[_name_of(request)] += 1
            fault = first_striking(self.faults, request.method, request.path)
            response = _ordered(fault) or self._answer(request, raw)
            response.headers["Date"] = http_date(self.world.now())
        if fault is not None and fault.kind.startswith("drop"):
            raise ConnectionResetError("a fault was ordered: the connection ends without an answer")
        _spoil(response, fault)
        if fault is not None and fault.kind == "truncate":
            return _half(response, environ, start_response)
        return response(environ, start_response)

    def _answer(self, request: Request, raw: bytes) -> Response:
        try:
            if f"{request.method} {request.path}" == _TOKEN_CALL:
                return self._grant(request, raw)
            return self._operate(request, raw)
        except Refusal as refusal:
            return _refused(refusal)

    def _grant(self, request: Request, raw: bytes) -> Response:
        form = dict(part.split("=", 1) for part in raw.decode("ascii", "replace").split("&") if "=" in part)
        granted = self._tokens.grant(request.headers.get("Authorization", ""), form, self.world.now())
        return _json(granted, "application/json")

    def _operate(self, request: Request, raw: bytes) -> Response:
        operation, ids = _route(request)
        account = self._tokens.holder(request.headers.get("Authorization", ""), self.world.now())
        if operation.owner_only and account != self.world.owner:
            raise not_allowed("Project Owner")
        if operation.media_type not in request.headers.get("Accept", ""):
            text = f"This resource speaks {operation.media_type} only."
            raise Refusal(406, "INVALID_VERSION_DATE", text, (request.headers.get("Accept", ""),))
        query = request.args.to_dict()
        asked = Asked(world=self.world, path=request.path, ids=ids, query=query, raw=raw)
        response = _json(operation.answer(asked), f"{operation.media_type};charset=utf-8")
        response.headers["RateLimit-Limit"] = str(operation.burst)
        response.headers["RateLimit-Remaining"] = str(operation.burst - 1)
        return response


def _name_of(request: Request) -> str:
    """Name a call by its template; one that no operation answers by its path."""
    try:
        return _route(request)[0].name
    except Refusal:
        return f"{request.method} {request.path}"


def _route(request: Request) -> tuple[Operation, dict[str, str]]:
    try:
        operation, ids = _RULES.bind_to_environ(request.environ).match()
    except NotFound as unknown:
        raise no_such_resource(request.path) from unknown
    except MethodNotAllowed as unknown:
        text = f"{request.method} is not possible here."
        raise Refusal(405, "METHOD_NOT_ALLOWED", text, (request.method,)) from unknown
    return operation, dict(ids)


def _json(body: object, content_type: str, status: int = 200) -> Response:
    return Response(json.dumps(body), status=status, content_type=content_type)


def _refused(refusal: Refusal) -> Response:
    response = _json(refusal.body(), "application/json", refusal.status)
    response.headers["X-Error-Code"] = refusal.code
    response.headers.extend(refusal.headers)
    return response


def _ordered(fault: Fault | None) -> Response | None:
    """Give the answer of a fault that keeps the call from the world; None lets it through."""
    match None if fault is None else fault.kind:
        case "status":
            return _refused(Refusal(fault.status if fault else 500, "UNEXPECTED_ERROR", "This fault was ordered."))
        case "429":
            return _refused(Refusal(429, "RATE_LIMITED", "This fault was ordered.", headers={"Retry-After": "1"}))
        case "drop_before":
            return Response()
        case _:
            return None


def _spoil(response: Response, fault: Fault | None) -> None:
    match None if fault is None else fault.kind:
        case "not_json":
            response.set_data("<html><body>Something else answered.</body></html>")
            response.content_type = "text/html"
        case "no_results":
            body = json.loads(response.get_data())
            body.pop("results", None)
            response.set_data(json.dumps(body))
        case _:
            pass


def _half(response: Response, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:  # noqa: ANN401 - WSGI
    """Give half of what Content-Length promises."""
    whole = b"".join(response(environ, start_response))
    return [whole[: len(whole) // 2]]
