"""The address of the pretend world: signed requests go to the API, as API Gateway lets them in.

Every answer carries the virtual time as its `Date`, so that a client may count days as this world does.

On the same address, unsigned: `/sandbox/clock` and `/sandbox/inbox`.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from threading import Event
from typing import Any

from werkzeug.wrappers import Request, Response

from sandbox.gateway import Api
from sandbox.runner import NeverIdle, Runner
from sandbox.signatures import Asked, Forbidden, signer_of
from sandbox.web import serving
from sandbox.world import World

NAME = "keyturn-sandbox"
"""What it calls itself in `Server`: its clock may be days ahead, and nobody need mend that."""

_MOST_SECONDS = 100 * 366 * 86400
_SLICE = timedelta(days=1)


class Door:
    """A WSGI application: the API behind its signatures, and the sandbox's own two rooms."""

    def __init__(self, world: World, runner: Runner) -> None:
        self._world = world
        self._runner = runner
        self._api = Api(world)
        self._closing = Event()

    def close(self) -> None:
        """Run nothing any more; comes back when nothing runs. The world may be closed only then.

        A function that still ran would find this machine's own environment in place of the pretend one.
        """
        self._closing.set()
        with self._world.lock:
            pass

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request."""
        request = Request(environ)
        request.get_data()  # what stays unread on a kept-alive connection would be taken for the next request
        target = str(environ.get("REQUEST_URI") or request.full_path)
        answer = self._answer(request, target)
        answer.date = self._world.clock.now()
        answer.headers["Server"] = NAME
        return answer(environ, start_response)

    def _answer(self, request: Request, target: str) -> Response:
        path = target.partition("?")[0]
        own = {
            ("GET", "/sandbox/clock"): self._tell_time,
            ("POST", "/sandbox/clock"): self._turn_clock,
            ("GET", "/sandbox/inbox"): self._show_inbox,
        }
        room = own.get((request.method, path))
        if room is not None:
            return room(request)
        if not self._api.knows(request.method, path):
            return _json({"message": "Missing Authentication Token"}, 403)
        try:
            caller = self._caller(request, target) if self._api.wants_a_signature(request.method, path) else ""
            body = request.get_data().decode()
        except Forbidden as no:
            return _json({"message": str(no)}, 403)
        except UnicodeDecodeError:
            return _json({"message": "the body is not UTF-8"}, 400)
        headers = {name.lower(): value for name, value in request.headers.items()}
        with self._world.lock:
            if self._closing.is_set():
                return _closed()
            answer = self._api.ask(request.method, target, body or None, caller=caller, headers=headers)
        return Response(answer.body, answer.status, dict(answer.headers))

    def _caller(self, request: Request, target: str) -> str:
        asked = Asked(
            method=request.method,
            url=f"http://{request.host}{target}",
            headers={name.lower(): value for name, value in request.headers.items()},
            body=request.get_data(),
        )
        key = signer_of(asked, self._world.aws.secret_of, self._world.aws.region)
        caller = self._world.aws.caller_of(key)
        if caller is None:
            raise Forbidden("The security token included in the request is expired")
        return caller.arn

    def _tell_time(self, _request: Request) -> Response:
        return _json({"now": _written(self._world.clock.now())})

    def _turn_clock(self, request: Request) -> Response:
        body = request.get_json(force=True, silent=True)
        seconds = body.get("advance_seconds") if isinstance(body, dict) else None
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= _MOST_SECONDS:
            return _json({"message": 'the body is {"advance_seconds": a number, not negative}'}, 400)
        try:
            with self._world.lock:
                self._run_for(timedelta(seconds=seconds))
        except NeverIdle as problem:
            return _json({"message": str(problem)}, 500)
        return _closed() if self._closing.is_set() else self._tell_time(request)

    def _run_for(self, duration: timedelta) -> None:
        """Turn the clock day by day, to notice between two of them that the door is being closed."""
        at, end = self._world.clock.now(), self._world.clock.now() + duration
        while not self._closing.is_set():
            at = min(at + _SLICE, end)
            self._runner.run_until(at)
            if at == end:
                return

    def _show_inbox(self, _request: Request) -> Response:
        return _json(self._world.aws.inbox())


@contextmanager
def open_door(world: World, runner: Runner, port: int = 0) -> Iterator[str]:
    """Serve the API on loopback; gives its address."""
    door = Door(world, runner)
    with serving(door, port) as address:
        try:
            yield address
        finally:
            door.close()


def _closed() -> Response:
    return _json({"message": "the sandbox is being stopped"}, 503)


def _json(shape: object, status: int = 200) -> Response:
    return Response(json.dumps(shape, default=_plain), status, content_type="application/json")


def _plain(value: object) -> str:
    return _written(value) if isinstance(value, datetime) else str(value)


def _written(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
