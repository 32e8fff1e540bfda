"""An HTTP/1.1 server on loopback that keeps connections alive and lets the application write `Date`.

Both pretend worlds answer through it: werkzeug's own way ends each connection, which costs more than the answers.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

from werkzeug.serving import WSGIRequestHandler, make_server

_HOST = "127.0.0.1"
Application = Callable[..., Any]


class _Handler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"
    # With Nagle's algorithm an answer in more than one packet would wait for an ACK.
    disable_nagle_algorithm = True
    wbufsize = -1
    """Head and body go out together: each write of its own would wake the caller too early."""

    def handle_expect_100(self) -> bool:
        """Say at once that the body may come: who asked waits for that."""
        going_on = super().handle_expect_100()
        self.wfile.flush()
        return going_on

    def run_wsgi(self) -> None:
        """Answer one request, and leave the connection open: werkzeug's own way ends it after every answer.

        An application that raises ConnectionError ends the connection without an answer; one that gives less
        than its Content-Length ends it after that.
        """
        try:
            status, headers, body = answer_of(self.server.app, self.make_environ())
        except ConnectionError:
            self.close_connection = True
            return
        promised = next((int(value) for name, value in headers if name.lower() == "content-length"), None)
        lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers)]
        if promised is None:
            lines.append(f"Content-Length: {len(body)}")
        self.wfile.write("\r\n".join([*lines, "\r\n"]).encode("latin-1") + body)
        if promised not in {None, len(body)}:
            self.close_connection = True

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002, ANN401 - werkzeug's signature
        """Say nothing: a line per request would drown the story."""


def answer_of(application: Application, environ: dict[str, Any]) -> tuple[str, list[tuple[str, str]], bytes]:
    """Status, headers and the whole body that a WSGI application gives to one request."""
    begun: list[Any] = []
    written: list[bytes] = []

    def start_response(status: str, headers: list[tuple[str, str]], _: object = None) -> Callable[[bytes], object]:
        begun[:] = [status, headers]
        return written.append

    chunks = application(environ, start_response)
    try:
        body = b"".join([*written, *chunks])
    finally:
        if hasattr(chunks, "close"):
            chunks.close()
    return begun[0], begun[1], body


@contextmanager
def serving(application: Callable[..., Any], port: int) -> Iterator[str]:
    """Serve a WSGI application on loopback (port 0: any free one) and give its address."""
    server = make_server(_HOST, port, application, threaded=True, request_handler=_Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://{_HOST}:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
