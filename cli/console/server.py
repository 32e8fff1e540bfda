"""The console's server: threads on loopback that let a request in, or say in words why not."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from threading import Thread

from cli.client import Client
from cli.console.exchange import MOST_BYTES, Call, Reply, TurnedAway, problem
from cli.console.files import files
from cli.console.gate import Gate
from cli.console.passage import Passage
from cli.failures import Misused

_HOST = "127.0.0.1"
_TOKEN_BYTES = 24
_API = "api/"

PROTECTION = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""What every answer tells the browser, refusals included."""


@dataclass(frozen=True, kw_only=True)
class Room:
    """What is behind the gate: the page's files and the way to the API."""

    gate: Gate
    passage: Passage

    def answer(self, call: Call) -> Reply:
        """Answer one request."""
        try:
            path = self.gate.admit(call)
            return self.passage.go(call, path.removeprefix(_API)) if path.startswith(_API) else _file(call, path)
        except TurnedAway as no:
            return problem(no.status, no.text)


def _file(call: Call, path: str) -> Reply:
    found = files().get(path.partition("?")[0])
    if found is None:
        raise TurnedAway(HTTPStatus.NOT_FOUND, "The console has no such page.")
    if call.method != "GET":
        raise TurnedAway(HTTPStatus.METHOD_NOT_ALLOWED, "A page can only be read.")
    return found


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    room: Room

    def server_bind(self) -> None:
        """Bind without asking the network for this machine's name, as HTTPServer would."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = _HOST, int(self.server_address[1])


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def do_GET(self) -> None:
        """Answer any method that the console takes."""
        try:
            body = self._read_body()
        except TurnedAway as no:
            self.close_connection = True
            self._give(problem(no.status, no.text))
            return
        headers: dict[str, str] = {}
        for name, value in self.headers.items():
            key = name.lower()
            headers[key] = f"{headers[key]}, {value}" if key in headers else value
        self._give(self.server.room.answer(Call(method=self.command, target=self.path, headers=headers, body=body)))

    do_POST = do_PATCH = do_DELETE = do_GET  # noqa: N815 - http.server's names

    def _read_body(self) -> bytes:
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not (length.isascii() and length.isdigit()):
            raise TurnedAway(HTTPStatus.LENGTH_REQUIRED, "A body says its length beforehand.")
        if int(length) > MOST_BYTES:
            raise TurnedAway(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "A body may have 64 kB.")
        return self.rfile.read(int(length))

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse what could not be read as a request of a method that the console takes."""
        del explain
        self.close_connection = True
        unknown = code == HTTPStatus.NOT_IMPLEMENTED
        status = HTTPStatus.METHOD_NOT_ALLOWED if unknown else HTTPStatus(code)
        self._give(problem(status, "The console does not take this method." if unknown else message or status.phrase))

    def _give(self, reply: Reply) -> None:
        self.send_response_only(reply.status)
        own = {"Content-Type": reply.media_type, "Content-Length": str(len(reply.body))}
        if self.close_connection:
            own["Connection"] = "close"
        for name, value in (PROTECTION | own | dict(reply.headers)).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(reply.body)
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's signature
        """Say nothing: a line would hold the token."""


@contextmanager
def open_console(client: Client, port: int = 0) -> Iterator[tuple[str, Thread]]:
    """Serve the console on loopback (port 0: any free one); gives its address and the thread that serves.

    Raises Misused where the port cannot be had.
    """
    files()
    try:
        server = _Server((_HOST, port), _Handler)
    except OSError as error:
        raise Misused(f"Port {port} of {_HOST} cannot be had: {error.strerror}. Give another with --port.") from error
    gate = Gate(authority=f"{_HOST}:{server.server_port}", token=secrets.token_urlsafe(_TOKEN_BYTES))
    server.room = Room(gate=gate, passage=Passage(client))
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield gate.address, thread
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
