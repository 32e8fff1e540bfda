"""How a route is opened: what it takes, who may come in, and how every no becomes a problem."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from http import HTTPStatus
from typing import Any, TypeVar

import msgspec
from chalice.app import IAMAuthorizer, Response

from chalicelib import api_asked, settings
from chalicelib.api_asked import routes
from chalicelib.api_problems import Kind, NotTaken, problem, refuse, unwell
from chalicelib.domain.authorization import People, Role, may_act
from chalicelib.domain.refusals import Refusal
from chalicelib.usecases.ports import OutsideError

Shape = dict[str, Any]
View = Callable[..., Response | Shape]
Opened = TypeVar("Opened", bound=View)

_iam = IAMAuthorizer()
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Door:
    """One operation of the API, as the OpenAPI document tells of it."""

    method: str
    path: str
    view: View
    gives: Any
    """The type that describes the answer; nothing checks it at run time, tests do."""
    role: Role | None
    """Which role the caller needs, said at every door; None for none but IAM's leave."""
    status: HTTPStatus = HTTPStatus.OK
    takes: type[msgspec.Struct] | None = None
    """The struct that the body is read into; the view gets it as `body`."""
    asks: tuple[str, ...] = ()
    """The parameters of the query, and the headers, that the view reads."""


DOORS: list[Door] = []
"""Every operation that IAM guards, in the order of the code."""


def door(method: str, path: str, **about: Any) -> Callable[[Opened], Opened]:  # noqa: ANN401 - the fields of Door
    """Open a route to callers that IAM lets in; `about` holds the other fields of Door."""

    def open_door(view: Opened) -> Opened:
        opened = Door(method=method, path=path, view=view, **about)
        DOORS.append(opened)

        @wraps(view)
        def answer(**names: str) -> Response:
            return _answer(opened, names)

        routes.route(path, methods=[method], authorizer=_iam)(answer)
        return view

    return open_door


def _answer(opened: Door, names: dict[str, str]) -> Response:
    try:
        given = _enter(opened, names)
    except Refusal as no:
        return refuse(no)
    except NotTaken as no:
        return problem(no.kind, no.text, **no.details)
    except OutsideError as trouble:
        _log.error("%s %s: %s", opened.method, opened.path, trouble.message)
        return unwell(trouble)
    return given if isinstance(given, Response) else answered(given, opened.status)


def answered(shape: Shape, status: HTTPStatus = HTTPStatus.OK, **headers: str) -> Response:
    """A good answer."""
    return Response(shape, {"Content-Type": "application/json", **headers}, int(status))


def _enter(opened: Door, names: dict[str, str]) -> Response | Shape:
    if opened.role is not None:
        _check_role(opened, opened.role)
    api_asked.check_limits(names)
    body = {"body": api_asked.body(opened.takes)} if opened.takes is not None else {}
    return opened.view(**names, **body)


def _check_role(opened: Door, role: Role) -> None:
    who = api_asked.caller()
    if may_act(who, role, _people()):
        return
    _log.warning("%s %s: %s is no %s and was not let in", opened.method, opened.path, who, role)
    text = f"{who} is no {role}: the settings VIEWERS, OPERATORS and APPROVERS say who is what"
    raise NotTaken(Kind.MISSING_ROLE, text, role=role)


def _people() -> People:
    told = settings.read_settings()
    return People(
        viewers=told.people("VIEWERS"), operators=told.people("OPERATORS"), approvers=told.people("APPROVERS")
    )
