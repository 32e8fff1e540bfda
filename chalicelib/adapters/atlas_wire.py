"""Carries single HTTP exchanges to one Atlas: kept connections, a time limit on each, no redirects, no retries."""

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import SplitResult, urlsplit

import urllib3

from chalicelib.adapters.atlas_deadline import hold_answers_to
from chalicelib.usecases.ports import TemporaryError

CONNECTIONS = 16
"""Connections kept, and the most that are open at once."""

CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0
"""The longest silence while an answer is awaited or read (Atlas' slowest recorded answer took 1.2 s)."""

RESERVE_SECONDS = 3.0
"""What is left of the invocation for saving what was learnt; no wait for an answer of Atlas reaches into it."""

SHORTEST_CALL_SECONDS = 1.0
"""With less than this a call is not begun."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One whole answer; header names compare without case. Its printed form shows neither body nor headers."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def date(self) -> datetime | None:
        """When Atlas says that it answered."""
        return parse_http_date(self.headers.get("Date", ""))


class AtlasWire:
    """The connections to one Atlas."""

    def __init__(self, base_url: str, seconds_left: Callable[[], float]) -> None:
        address = check_base_url(base_url)
        self._prefix = urlsplit(address).path
        self._pool = urllib3.connection_from_url(address, maxsize=CONNECTIONS, block=True)
        hold_answers_to(self._pool, self._longest_silence)
        self._seconds_left = seconds_left
        self.latest_date: datetime | None = None

    def budget(self) -> float:
        """Seconds that calls to Atlas may still take in this invocation."""
        return self._seconds_left() - RESERVE_SECONDS

    def send(self, method: str, target: str, *, headers: Mapping[str, str], body: bytes | None) -> Answer:
        """Send one request and read its answer to the end; TemporaryError when that did not come about."""
        call = f"{method} {target.partition('?')[0]}"
        limit = self._time_limit(call)
        try:
            response = self._pool.request(
                method,
                self._prefix + target,
                headers={"User-Agent": "keyturn", "Accept-Encoding": "gzip", **headers},
                body=body,
                timeout=limit,
                retries=False,
                redirect=False,
            )
        except urllib3.exceptions.HTTPError as broken:
            raise _no_answer(call, broken) from broken
        answer = Answer(status=response.status, headers=response.headers, body=response.data)
        self.latest_date = answer.date or self.latest_date
        return answer

    def _time_limit(self, call: str) -> urllib3.Timeout:
        budget = self.budget()
        if budget < SHORTEST_CALL_SECONDS:
            raise TemporaryError(f"{call}: no time left in this invocation", call=call, code="out_of_time")
        return urllib3.Timeout(connect=min(CONNECT_SECONDS, budget), read=min(READ_SECONDS, budget))

    def _longest_silence(self) -> float:
        return min(READ_SECONDS, self.budget())


def _no_answer(call: str, broken: urllib3.exceptions.HTTPError) -> TemporaryError:
    """Say what went wrong; urllib3 counts a refused connection among the timeouts, people do not."""
    refused = isinstance(broken, urllib3.exceptions.NewConnectionError)
    if isinstance(broken, urllib3.exceptions.TimeoutError) and not refused:
        return TemporaryError(f"{call}: Atlas did not answer in time", call=call, code="timeout")
    message = f"{call}: no whole answer from Atlas ({type(broken).__name__})"
    return TemporaryError(message, call=call, code="unreachable")


def check_base_url(base_url: str) -> str:
    """Give the address without its closing slash; ValueError for anything but https (or loopback http)."""
    parts = _split(base_url)
    if parts.username or parts.password or parts.query or parts.fragment or not parts.hostname:
        raise ValueError("the base URL of Atlas must be a scheme and a host, nothing secret and no query")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(parts.hostname)):
        raise ValueError(f"the base URL of Atlas must be https, not {parts.scheme or 'nothing'}: {parts.hostname}")
    return base_url.rstrip("/")


def _split(base_url: str) -> SplitResult:
    no_address = ValueError("the base URL of Atlas is no address: it must be a scheme and a host")
    try:
        parts = urlsplit(base_url)
        dialled = urllib3.util.parse_url(base_url)
    except ValueError:
        raise no_address from None  # the error repeats the address, and with it what is secret in there
    # Where the two readers differ (a backslash ends a host for one of them), what is checked is not what is called.
    if (dialled.host or "").strip("[]") != (parts.hostname or ""):
        raise no_address
    return parts


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def parse_http_date(text: str) -> datetime | None:
    """Read a date as HTTP headers carry it; None when it is not one."""
    try:
        date = parsedate_to_datetime(text)
        return date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
