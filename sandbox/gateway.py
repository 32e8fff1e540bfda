"""The API Gateway of the pretend world: a request becomes a REST proxy event for `app.app`."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote
from uuid import uuid4

import app as hall
from sandbox import lambda_shapes
from sandbox.lambda_shapes import Context, Shape
from sandbox.world import World

_SECONDS = 29.0
_NAME = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the API answered."""

    status: int
    headers: Mapping[str, str]
    body: str

    def json(self) -> Any:  # noqa: ANN401 - any JSON
        """The body, read."""
        return json.loads(self.body)


class Api:
    """The REST API, asked in this process as a caller whose signature was checked, or is taken for granted."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._routes = [(path, _pattern(path)) for path in hall.app.routes]

    def knows(self, method: str, path: str) -> bool:
        """Whether there is such a route; API Gateway refuses others before anything of ours runs."""
        found = self._match(path)
        return found is not None and method in hall.app.routes[found[0]]

    def wants_a_signature(self, method: str, path: str) -> bool:
        """Whether the route has IAM look at who calls."""
        found = self._match(path)
        return found is None or hall.app.routes[found[0]][method].authorizer is not None

    def ask(
        self,
        method: str,
        target: str,
        body: object = None,
        *,
        caller: str,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask for `target` (path and query) as the principal `caller`; a body that is no text is written as JSON."""
        text = body if isinstance(body, str) or body is None else json.dumps(body)
        said = {"content-type": "application/json", **(headers or {})}
        with self._world.lock:
            event = self._event(method, target, text, caller, said)
            context = Context(function_name="keyturn-api-handler", timeout_seconds=_SECONDS)
            given = lambda_shapes.run(hall.app, event, context)
        return Answer(status=given["statusCode"], headers=_flat(given), body=str(given.get("body") or ""))

    def _match(self, path: str) -> tuple[str, dict[str, str]] | None:
        for route, pattern in self._routes:
            found = pattern.fullmatch(path)
            if found is not None:
                return route, {name: unquote(value) for name, value in found.groupdict().items()}
        return None

    def _event(self, method: str, target: str, body: str | None, caller: str, headers: Mapping[str, str]) -> Shape:
        path, _, query = target.partition("?")
        found = self._match(path)
        if found is None:
            raise LookupError(f"the API has no route for {path}")
        many = parse_qs(query, keep_blank_values=True)
        return {
            "resource": found[0],
            "path": path,
            "httpMethod": method,
            "headers": dict(headers),
            "multiValueHeaders": {name: [value] for name, value in headers.items()},
            "queryStringParameters": {name: values[-1] for name, values in many.items()} or None,
            "multiValueQueryStringParameters": many or None,
            "pathParameters": found[1] or None,
            "stageVariables": None,
            "requestContext": self._request_context(found[0], path, method, caller),
            "body": body,
            "isBase64Encoded": False,
        }

    def _request_context(self, route: str, path: str, method: str, caller: str) -> Shape:
        return {
            "accountId": self._world.aws.account,
            "apiId": "sandbox",
            "stage": "live",
            "requestId": str(uuid4()),
            "resourcePath": route,
            "path": path,
            "httpMethod": method,
            "protocol": "HTTP/1.1",
            "identity": {"userArn": caller, "user": caller, "sourceIp": "127.0.0.1", "userAgent": None},
        }


def _pattern(route: str) -> re.Pattern[str]:
    parts = [f"(?P<{part[1:-1]}>[^/]+)" if _NAME.fullmatch(part) else re.escape(part) for part in route.split("/")]
    return re.compile("/".join(parts))


def _flat(given: Mapping[str, Any]) -> dict[str, str]:
    return {**(given.get("headers") or {}), **{n: v[0] for n, v in (given.get("multiValueHeaders") or {}).items()}}
