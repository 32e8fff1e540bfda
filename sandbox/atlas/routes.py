"""Finds the operation that a request asks for."""

from dataclasses import dataclass, field

from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request

from sandbox.atlas.operations import API, OPERATIONS, Operation
from sandbox.atlas.refusals import Refusal, no_such_resource

_RULES = Map(
    [
        Rule(API + known.template.replace("{", "<").replace("}", ">"), methods=[known.method], endpoint=known)
        for known in OPERATIONS
    ]
)


@dataclass(frozen=True, kw_only=True)
class Route:
    """What a request asks for; without an operation its `refusal` says why there is none."""

    name: str
    operation: Operation | None = None
    ids: dict[str, str] = field(default_factory=dict)
    refusal: Refusal


def find_route(request: Request) -> Route:
    """Find the operation, and name the call by its template; one that no operation answers by its path."""
    named = f"{request.method} {request.path}"
    nothing = no_such_resource(request.path)
    try:
        operation, ids = _RULES.bind_to_environ(request.environ).match()
    except NotFound:
        return Route(name=named, refusal=nothing)
    except MethodNotAllowed:
        text = f"{request.method} is not possible here."
        return Route(name=named, refusal=Refusal(405, "METHOD_NOT_ALLOWED", text, (request.method,)))
    return Route(name=operation.name, operation=operation, ids=dict(ids), refusal=nothing)
