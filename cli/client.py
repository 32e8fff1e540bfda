"""The API over HTTP: signs, sends, follows cursors, and turns every answer that is no success into a Failure."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from urllib.parse import quote, urlencode

from botocore.awsrequest import AWSRequest
from botocore.exceptions import (
    ConnectionClosedError,
    HTTPClientError,
    ProxyConnectionError,
    ReadTimeoutError,
    SSLError,
)
from botocore.exceptions import ConnectionError as NotConnected
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies

from cli import VERSION
from cli.failures import Failure, Misused, NoWayIn, Unsure, kept_out, no_keyturn, refusal
from cli.place import Place
from cli.shapes import Shape
from cli.signing import Signer

_CONNECTS_WITHIN, _ANSWERS_WITHIN = 5, 30
"""Seconds; API Gateway itself gives up after 29."""
_PAUSES = (0.5, 1.5)
"""Seconds before the second and the third attempt."""
_BUSY = {429, 502, 503, 504}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def read(self) -> Shape:
        """The body as JSON; raises NoWayIn for what is none of Keyturn's."""
        shape = self.said()
        if not shape:
            raise no_keyturn(self.status)
        return shape

    def said(self) -> Shape:
        """The body as JSON; empty for anything that is no JSON object."""
        try:
            shape = json.loads(self.body)
        except ValueError:
            return {}
        return shape if isinstance(shape, dict) else {}

    @property
    def is_problem(self) -> bool:
        """Whether Keyturn itself said no."""
        return self.headers.get("content-type", "").startswith("application/problem+json")


class Client:
    """Asks one Keyturn as one caller."""

    def __init__(self, place: Place, signer: Signer, sleep: Callable[[float], None]) -> None:
        self.place = place
        self.signer = signer
        self.heard_at: datetime | None = None
        """The time by the clock of whoever answered last; None where no answer has said one."""
        self._sleep = sleep
        timeout = (_CONNECTS_WITHIN, _ANSWERS_WITHIN)
        self._http = URLLib3Session(timeout=timeout, proxies=get_environ_proxies(place.address))

    def close(self) -> None:
        """Close every connection."""
        self._http.close()

    def get(self, *path: str, **query: str | int | None) -> Shape:
        """Read one thing, as /v1/`path`."""
        return self.ask("GET", path, query=query).read()

    def pages(self, *path: str, **query: str | int | None) -> Iterator[Shape]:
        """Read a list page by page, following the cursor."""
        page = self.get(*path, **query)
        yield page
        while page.get("next") is not None:
            page = self.get(*path, **query, cursor=page["next"])
            yield page

    def everything(self, *path: str, **query: str | int | None) -> Shape:
        """Read a whole list in the shape of one page; what the first page says beside its items is kept."""
        pages = list(self.pages(*path, **query))
        return pages[0] | {"items": [item for page in pages for item in page.get("items", ())], "next": None}

    def ask(
        self,
        method: str,
        path: tuple[str, ...],
        *,
        query: Mapping[str, str | int | None] | None = None,
        body: Shape | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask, and give what succeeded; raises a Failure for everything else."""
        named = dict(headers or {})
        repeatable = method == "GET" or "Idempotency-Key" in named
        answer = self._patiently(lambda: self._send(self._request(method, path, query, body, named)), repeatable)
        if answer.status // 100 != 2:  # noqa: PLR2004 - the class of success in HTTP
            raise _failure(answer)
        return answer

    def knock(self) -> Answer:
        """Ask for the API's health without a signature: whoever answers, answers something."""
        return self._send(AWSRequest("GET", f"{self.place.address}/v1/health", headers=_said()))

    def turn(self, method: str, body: Shape | None = None) -> Answer:
        """Ask a sandbox for its clock, or turn it: unsigned, and only on this machine; raises a Failure."""
        if not self.place.is_loopback:
            raise Misused("Only a sandbox on this machine has a clock to turn.")
        data = json.dumps(body).encode() if body is not None else None
        answer = self._send(AWSRequest(method, f"{self.place.address}/sandbox/clock", headers=_said(), data=data))
        if answer.status // 100 != 2:  # noqa: PLR2004 - the class of success in HTTP
            raise _failure(answer)
        return answer

    def _request(
        self,
        method: str,
        path: tuple[str, ...],
        query: Mapping[str, str | int | None] | None,
        body: Shape | None,
        headers: Mapping[str, str],
    ) -> AWSRequest:
        named = {name: value for name, value in (query or {}).items() if value is not None}
        url = "/".join([self.place.address, "v1", *map(_part, path)])
        url += f"?{urlencode(named, quote_via=quote)}" if named else ""
        data = json.dumps(body).encode() if body is not None else None
        request = AWSRequest(method, url, headers=_said(), data=data)
        for name, value in headers.items():
            request.headers[name] = value
        self.signer.sign(request)
        return request

    def _patiently(self, attempt: Callable[[], Answer], repeatable: bool) -> Answer:  # noqa: FBT001 - one caller
        for pause in _PAUSES:
            try:
                answer = attempt()
            except Unsure:
                if not repeatable:
                    raise
            else:
                if answer.status not in _BUSY or not (repeatable or answer.status == HTTPStatus.TOO_MANY_REQUESTS):
                    return answer
            self._sleep(pause)
        return attempt()

    def _send(self, request: AWSRequest) -> Answer:
        try:
            given = self._http.send(request.prepare())
        except (NotConnected, HTTPClientError) as error:
            raise _unreachable(self.place.address, error) from error
        headers = {name.lower(): value for name, value in given.headers.items()}
        self.heard_at = _date(headers) or self.heard_at
        return Answer(status=given.status_code, headers=headers, body=given.content)


def _date(headers: Mapping[str, str]) -> datetime | None:
    """The Date header (RFC 9110, section 6.6.1); None where there is none, or none that can be read."""
    try:
        read = parsedate_to_datetime(headers.get("date", ""))
    except ValueError:
        return None
    return read if read.tzinfo is not None else read.replace(tzinfo=UTC)


def _said() -> dict[str, str]:
    return {"Content-Type": "application/json", "User-Agent": f"keyturn-cli/{VERSION}"}


def _part(name: str) -> str:
    if name in {"", ".", ".."}:
        raise Misused(f"`{name}` is not an id.")
    return quote(name, safe="")


def _failure(answer: Answer) -> Failure:
    document = answer.said()
    if answer.is_problem and document:
        return refusal(document)
    if answer.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return kept_out(answer.status, str(document.get("message") or document.get("Message") or ""))
    if answer.status in _BUSY or answer.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        said = document.get("message") or "no reason was given"
        return Unsure(f"Keyturn could not answer ({answer.status}): {said}. Try again later.")
    return no_keyturn(answer.status)


def _unreachable(address: str, error: Exception) -> NoWayIn:
    match error:
        case SSLError():
            return NoWayIn(f"The certificate of {address} is not trusted: {error}\nBehind a proxy, set AWS_CA_BUNDLE.")
        case ProxyConnectionError():
            return NoWayIn(f"The proxy on the way to {address} does not answer: check HTTPS_PROXY and NO_PROXY.")
        case ReadTimeoutError():
            return Unsure(
                f"{address} did not answer in time. What was asked for may have been done: look before you ask again."
            )
        case ConnectionClosedError():
            return Unsure(f"{address} ended the connection without an answer: look before you ask again.")
        case _:
            return NoWayIn(f"Nothing answers at {address}: check --endpoint, the network and the VPN.")
