"""The pretend Atlas over HTTP/1.1 on loopback, with the faults that somebody ordered."""

import time
from base64 import b64decode
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, suppress
from datetime import datetime, timedelta
from typing import Any, Self
from urllib.parse import quote

import msgspec
from werkzeug.http import http_date
from werkzeug.wrappers import Request, Response

from sandbox.atlas.asked import Asked
from sandbox.atlas.faults import Fault, first_striking
from sandbox.atlas.operation import ACCOUNT_READER, ALERTS_MANAGER, BACKUP_MANAGER, OWNER, READ_ONLY, Operation
from sandbox.atlas.rates import RateLimits
from sandbox.atlas.refusals import Refusal, not_allowed
from sandbox.atlas.routes import Route, find_route
from sandbox.atlas.spoiling import spoil
from sandbox.atlas.tokens import Tokens
from sandbox.atlas.versions import check_versions
from sandbox.atlas.world import AtlasWorld
from sandbox.web import serving

TOKEN_PATH = "/api/oauth/token"  # noqa: S105 - a path, not a secret
_TOKEN_CALL = f"POST {TOKEN_PATH}"
_OWNER_ROLES = frozenset({READ_ONLY, BACKUP_MANAGER, ALERTS_MANAGER, OWNER, ACCOUNT_READER})

AfterCall = Callable[[str, str, Mapping[str, str]], None]


class PretendAtlas:
    """The server; start it by `with`. What is public here may be changed while it runs.

    `faults` are added to. `calls` counts what arrives, also what a fault spoils, by method and template
    (`GET /api/atlas/v2/groups`); `sent` adds up the bytes of the bodies that answer them. `latency` are real seconds
    that every call takes. `after_call` is told of every answered call (method, path, query) and may change the world
    before the next. `reader_roles` is what the reader may do; `sunsets` says by operation when its version is gone.
    """

    def __init__(self, world: AtlasWorld, *, port: int = 0) -> None:
        self.world = world
        self.faults: list[Fault] = []
        self.calls: Counter[str] = Counter()
        self.sent = 0
        self.latency = 0.0
        self.after_call: AfterCall | None = None
        self.reader_roles = {READ_ONLY, BACKUP_MANAGER, ALERTS_MANAGER, ACCOUNT_READER}
        self.sunsets: dict[str, datetime] = {}
        self.limits = RateLimits()
        self.address = ""
        self.tokens = Tokens((world.reader, world.owner))
        self._port = port
        self._running = ExitStack()

    @property
    def token_limit(self) -> int | None:
        """How many tokens an account gets in a real minute; None for any number."""
        return self.tokens.limit

    @token_limit.setter
    def token_limit(self, limit: int | None) -> None:
        self.tokens.limit = limit

    def __enter__(self) -> Self:
        self.address = self._running.enter_context(serving(self._application, self._port))
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def _application(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:  # noqa: ANN401 - WSGI
        request = Request(environ)
        raw = request.get_data(cache=True, parse_form_data=False)
        if self.latency:
            time.sleep(self.latency)
        with self.world.lock:
            route = find_route(request)
            self.calls[route.name] += 1
            fault = first_striking(self.faults, request.method, request.path)
            response = self._answer(fault, route, request, raw)
            response.headers["Date"] = http_date(self.world.now())
            self.sent += len(response.get_data())
            if self.after_call is not None:
                self.after_call(request.method, request.path, request.args)
        if fault is not None:
            _suffer(fault, response, request.headers.get("Authorization", ""))
        if fault is not None and fault.kind == "truncate":
            return _half(response, environ, start_response)
        return response(environ, start_response)

    def _answer(self, fault: Fault | None, route: Route, request: Request, raw: bytes) -> Response:
        try:
            if fault is not None:
                self._refuse(fault, route, request, raw)
            if f"{request.method} {request.path}" == _TOKEN_CALL:
                return self._grant(request, raw)
            response = self._operate(route, request, raw)
        except Refusal as refusal:
            return _refused(refusal)
        if fault is not None and fault.kind == "status_after":
            return _refused(_ordered(fault))
        return response

    def _refuse(self, fault: Fault, route: Route, request: Request, raw: bytes) -> None:
        """Refuse a call that must not have its effect, or not yet."""
        match fault.kind:
            case "status" | "drop_before":
                raise _ordered(fault)
            case "echo":
                raise Refusal(fault.status, fault.code, _repeated(request, raw))
            case "echo_code":
                raise Refusal(fault.status, _secret_part(request).encode().hex().upper()[:120], "This was ordered.")
            case "429":
                raise Refusal(429, "RATE_LIMITED", "This fault was ordered.", headers={"Retry-After": "1"})
            case "429_bare":
                raise Refusal(429, "RATE_LIMITED", "This fault was ordered.")
            case "token_revoked":
                self.tokens.revoke_all()
            case "late_effect":
                if route.operation is not None:
                    operation, asked = self._let_in(route, request, raw)
                    self.world.ground.after(timedelta(seconds=fault.seconds), lambda: _do_late(operation, asked))
                raise _ordered(fault)
            case _:
                pass

    def _grant(self, request: Request, raw: bytes) -> Response:
        form = dict(part.split("=", 1) for part in raw.decode("ascii", "replace").split("&") if "=" in part)
        granted = self.tokens.grant(request.headers.get("Authorization", ""), form, self.world.now())
        return _json(granted, "application/json")

    def _operate(self, route: Route, request: Request, raw: bytes) -> Response:
        operation, asked = self._let_in(route, request, raw)
        headers = check_versions(operation, request.headers, self.sunsets.get(operation.name), self.world.now())
        headers |= self._count(operation, asked)
        response = _json(operation.answer(asked), f"{operation.media_type};charset=utf-8", operation.status)
        response.headers.update(headers)
        return response

    def _let_in(self, route: Route, request: Request, raw: bytes) -> tuple[Operation, Asked]:
        operation = route.operation
        if operation is None:
            raise route.refusal
        account = "" if operation.open else self._authorize(operation, request)
        lists = request.args.to_dict(flat=False)
        asked = Asked(
            world=self.world,
            path=request.path,
            ids=route.ids,
            query={name: values[0] for name, values in lists.items()},
            query_lists=lists,
            raw=raw,
            account=account,
            rates=self.limits.rates,
        )
        return operation, asked

    def _authorize(self, operation: Operation, request: Request) -> str:
        account = self.tokens.holder(request.headers.get("Authorization", ""), self.world.now())
        if operation.role not in (_OWNER_ROLES if account == self.world.owner else self.reader_roles):
            raise not_allowed(operation.role)
        return account.client_id

    def _count(self, operation: Operation, asked: Asked) -> dict[str, str]:
        if operation.rate is None:
            return {}
        project, now = asked.ids.get("groupId", ""), self.world.now()
        return self.limits.spend(operation.rate, project=project, account=asked.account, path=asked.path, now=now)


def _do_late(operation: Operation, asked: Asked) -> None:
    # Nobody waits for the answer any more, so a refusal has nobody to go to.
    with suppress(Refusal):
        operation.answer(asked)


def _ordered(fault: Fault) -> Refusal:
    return Refusal(fault.status, fault.code, "This fault was ordered.")


def _secret_part(request: Request) -> str:
    """What proves who calls: the token, or a service account's own name and secret."""
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    return b64decode(given).decode() if scheme == "Basic" else given


def _repeated(request: Request, raw: bytes) -> str:
    """What a careless proxy says: the header, what it means, and the body, in all ways of writing them."""
    proof, sent = _secret_part(request), raw.decode("utf-8", "replace")
    ways = (request.headers.get("Authorization", ""), proof, quote(proof, safe=""), proof.encode().hex(), sent)
    return " ".join(("Denied:", *ways))


def _json(body: object, content_type: str, status: int = 200) -> Response:
    return Response(msgspec.json.encode(body), status=status, content_type=content_type)


def _refused(refusal: Refusal) -> Response:
    response = _json(refusal.body(), "application/json", refusal.status)
    response.headers["X-Error-Code"] = refusal.code
    response.headers.extend(refusal.headers)
    return response


def _suffer(fault: Fault, response: Response, authorization: str) -> None:
    """Let the answer come late, spoilt or not at all."""
    if fault.kind == "latency":
        time.sleep(fault.seconds)
    elif fault.kind == "echo_sunset":
        response.headers["Sunset"] = response.headers["Deprecation"] = authorization
    elif fault.kind in {"drop_before", "drop_after"}:
        raise ConnectionResetError("a fault was ordered: the connection ends without an answer")
    else:
        spoil(response, fault)


def _half(response: Response, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:  # noqa: ANN401 - WSGI
    """Give half of what Content-Length promises."""
    whole = b"".join(response(environ, start_response))
    return [whole[: len(whole) // 2]]
