"""The way from the page to the API: what may go through, signed, and what may come back."""

import json
import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from urllib.parse import parse_qsl

from cli.client import Answer, Client
from cli.console.exchange import MOST_BYTES, Call, Reply, TurnedAway, problem
from cli.failures import Failure, Unsure
from cli.shapes import Shape

_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
"""A part of a path: a noun or an id. No dot and no escape, so that no path leads out of /v1."""

_CARRIED = {"idempotency-key": "Idempotency-Key", "if-match": "If-Match"}
_BROUGHT_BACK = ("etag", "x-request-id")
_JSON = ("application/json", "application/problem+json")
CLOCK = "sandbox/clock"
"""The path that sandboxes alone have."""


class Passage:
    """Asks the API as the operator. The answer is JSON or a problem; nothing of the credentials comes back in it."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def go(self, call: Call, path: str) -> Reply:
        """Ask for `path`, which begins with v1/ or is a sandbox's clock; raises TurnedAway for any other."""
        path, _, query = path.partition("?")
        body = _body_of(call)
        if path == CLOCK and call.method == "GET" and not self._client.place.is_loopback:
            return Reply(status=HTTPStatus.OK, body=b'{"now": null}', media_type=_JSON[0])
        if path == CLOCK:
            return self._answered(lambda: self._client.turn(call.method, body))
        first, *parts = path.split("/")
        if first != "v1" or not parts or not all(_PART.fullmatch(part) for part in parts) or parts[0] == "webhooks":
            raise TurnedAway(HTTPStatus.NOT_FOUND, "The console asks the API's own paths alone, those under /v1.")
        asked = dict(parse_qsl(query, keep_blank_values=True))
        headers = {name: call.headers[key] for key, name in _CARRIED.items() if key in call.headers}
        return self._answered(
            lambda: self._client.ask(call.method, tuple(parts), query=asked, body=body, headers=headers)
        )

    def _answered(self, ask: Callable[[], Answer]) -> Reply:
        try:
            reply = _reply(ask())
        except Failure as failure:
            reply = _refused(failure)
        blanked = self._client.signer.blank(reply.body)
        return Reply(status=reply.status, body=blanked, media_type=reply.media_type, headers=reply.headers)


def _body_of(call: Call) -> Shape | None:
    if not call.body:
        return None
    if len(call.body) > MOST_BYTES:
        raise TurnedAway(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "A body may have 64 kB.")
    if call.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise TurnedAway(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "A body is JSON, and says so in its Content-Type.")
    try:
        shape = json.loads(call.body)
    except (ValueError, RecursionError) as error:
        raise TurnedAway(HTTPStatus.BAD_REQUEST, "The body is no JSON.") from error
    if not isinstance(shape, dict):
        raise TurnedAway(HTTPStatus.BAD_REQUEST, "The body is no JSON object.")
    return shape


def _reply(answer: Answer) -> Reply:
    media_type = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in _JSON:
        # A page of the API's would otherwise run under the console's own address, with all that it may do.
        return problem(HTTPStatus.BAD_GATEWAY, "The console shows JSON alone: ask `keyturn` for other forms.")
    return Reply(status=answer.status, body=answer.body, media_type=media_type, headers=_chosen(answer.headers))


def _chosen(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: headers[name] for name in _BROUGHT_BACK if name in headers}


def _refused(failure: Failure) -> Reply:
    if failure.document is None:
        unsure = isinstance(failure, Unsure)
        return problem(HTTPStatus.GATEWAY_TIMEOUT if unsure else HTTPStatus.BAD_GATEWAY, failure.text, kind="no-way-in")
    said = failure.document.get("status")
    sound = isinstance(said, int) and 400 <= said < 600  # noqa: PLR2004 - the classes of errors in HTTP
    status = int(str(said)) if sound else HTTPStatus.BAD_GATEWAY
    body = json.dumps(failure.document).encode()
    return Reply(status=status, body=body, media_type="application/problem+json")
