"""A tiny HTTP server in the place of Atlas: it answers what a test scripts and keeps what it was asked."""

import gzip
import json
import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Literal, Self
from urllib.parse import parse_qs, urlsplit

from chalicelib.adapters.atlas_http import AtlasHttp
from chalicelib.adapters.atlas_token import Credentials

SECRET = "mdb_sa_sk_very/secret+value"
CLIENT_ID = "mdb_sa_id_1"
TOKEN = "token-of-the-stand-in"
TOKEN_PATH = "/api/oauth/token"
API = "/api/atlas/v2"


@dataclass(kw_only=True)
class Asked:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    query_lists: dict[str, list[str]] = field(default_factory=dict)
    """What `query` shows the last value of, with all its values."""


@dataclass(kw_only=True)
class Reply:
    """`body` is bytes or anything JSON; `cut` ends the connection so many bytes early, `drop` before any answer.

    With `drip` the answer comes byte by byte, each after a call of it, from its first line or from its body on.
    """

    status: int = 200
    body: object = None
    headers: dict[str, str] = field(default_factory=dict)
    zipped: bool = False
    cut: int = 0
    drop: bool = False
    wait: threading.Event | None = None
    drip: Callable[[], None] | None = None
    drips_from: Literal["head", "body"] = "body"

    def content(self) -> bytes:
        raw = self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()
        return gzip.compress(raw) if self.zipped else raw


Answering = Callable[[Asked], Reply]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_: object) -> None:
        """Say nothing of clients that hang up."""


class StandIn:
    """The server; start it by `with`. What is not scripted is answered 404."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.connections: set[tuple[str, int]] = set()
        self.dripped = 0
        self.held_back = 0
        """Of an answer that drips: the bytes that went out one by one, and those that nobody waited for."""
        self.token_life = 3600
        self._scripts: dict[str, list[Reply | Answering]] = {}
        self._used: dict[str, int] = defaultdict(int)
        self._server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"stand_in": self}))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def on(self, path: str, *replies: Reply | Answering, method: str = "GET") -> None:
        """Script the answers of one path, in order; the last one stays."""
        full = path if path.startswith("/api") else API + path
        self._scripts[f"{method} {full}"] = list(replies)

    def requests(self, path: str, method: str = "GET") -> list[Asked]:
        """What was asked of one path."""
        full = path if path.startswith("/api") else API + path
        return [asked for asked in self.asked if (asked.method, asked.path) == (method, full)]

    @property
    def tokens_given(self) -> int:
        return len(self.requests(TOKEN_PATH, "POST"))

    def answer(self, asked: Asked) -> Reply:
        self.asked.append(asked)
        name = f"{asked.method} {asked.path}"
        if name not in self._scripts:
            return self._unscripted(asked)
        script = self._scripts[name]
        chosen = script[min(self._used[name], len(script) - 1)]
        self._used[name] += 1
        return chosen if isinstance(chosen, Reply) else chosen(asked)

    def _unscripted(self, asked: Asked) -> Reply:
        if asked.path == TOKEN_PATH:
            text = f"{TOKEN}-{self.tokens_given}"
            return Reply(body={"access_token": text, "expires_in": self.token_life, "token_type": "Bearer"})
        return Reply(status=404, body={"error": 404, "errorCode": "RESOURCE_NOT_FOUND"})


class _Handler(BaseHTTPRequestHandler):
    stand_in: StandIn
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 20  # an answer in two packets waits 40 ms for the acknowledgement of the first

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        parts = urlsplit(self.path)
        query = parse_qs(parts.query)
        self.stand_in.connections.add(self.client_address)
        asked = Asked(
            method=self.command,
            path=parts.path,
            query={name: values[-1] for name, values in query.items()},
            query_lists=query,
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self.rfile.read(length),
        )
        self._send(self.stand_in.answer(asked))

    def do_POST(self) -> None:
        self.do_GET()

    def do_PATCH(self) -> None:
        self.do_GET()

    def do_PUT(self) -> None:
        self.do_GET()

    def _send(self, reply: Reply) -> None:
        if reply.wait is not None:
            reply.wait.wait(5)
        if reply.drop:
            self.close_connection = True
            return
        if reply.drip is None:
            self._write(reply)
            return
        really, self.wfile = self.wfile, BytesIO()
        self._write(reply)
        whole, self.wfile = self.wfile.getvalue(), really
        at_once = 0 if reply.drips_from == "head" else whole.index(b"\r\n\r\n") + 4
        self._drip(whole, at_once, reply.drip)

    def _drip(self, whole: bytes, at_once: int, drip: Callable[[], None]) -> None:
        self.wfile.write(whole[:at_once])
        self.stand_in.held_back = len(whole) - at_once
        for position in range(at_once, len(whole)):
            drip()
            # Counted first: whoever has the last byte may look at once.
            self.stand_in.dripped += 1
            self.stand_in.held_back -= 1
            self.wfile.write(whole[position : position + 1])
            self.wfile.flush()

    def _write(self, reply: Reply) -> None:
        content = reply.content()
        self.send_response(reply.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        if reply.zipped:
            self.send_header("Content-Encoding", "gzip")
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content[: len(content) - reply.cut])
        self.close_connection = self.close_connection or bool(reply.cut)

    def date_time_string(self, timestamp: float | None = None) -> str:
        return "Sun, 01 Mar 2026 12:00:00 GMT"

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Pace:
    """The clock, the sleeper, chance and the time left of an invocation, all in the hands of the test."""

    def __init__(self, seconds_left: float = 900.0) -> None:
        self.time = datetime(2026, 3, 1, 12, tzinfo=UTC)
        self.left = seconds_left
        self.slept: list[float] = []
        self.chance = 0.0

    def now(self) -> datetime:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.left -= seconds
        self.time += timedelta(seconds=seconds)


def a_session(stand_in: StandIn, pace: Pace, accounts: list[Credentials] | None = None) -> AtlasHttp:
    """A session with the stand-in; the last of `accounts` is the one now in force."""
    known = accounts if accounts is not None else [Credentials(client_id=CLIENT_ID, client_secret=SECRET)]
    return AtlasHttp(
        base_url=stand_in.url,
        credentials=lambda: known[-1],
        now=pace.now,
        sleep=pace.sleep,
        random=lambda: pace.chance,
        seconds_left=lambda: pace.left,
    )


def a_page(results: list[object], *, total: int | None = None, goes_on: bool = False) -> dict[str, object]:
    """A page as Atlas writes it; its links lead to another host, where nobody must ever go."""
    rels = ["self", "next"] if goes_on else ["self"]
    links = [{"rel": rel, "href": "http://localhost:8080/elsewhere"} for rel in rels]
    page = {"links": links, "results": results}
    return page if total is None else {**page, "totalCount": total}
