"""An HTTP/1.1 server on loopback that keeps connections alive and lets the application write `Date`.

Both pretend worlds answer through it: werkzeug's own way ends each connection, which costs more than the answers.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Response

_HOST = "127.0.0.1"


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
            answer = Response.from_app(self.server.app, self.make_environ(), buffered=True)
        except ConnectionError:
            self.close_connection = True
            return
        body = answer.get_data()
        promised = int(answer.headers.setdefault("Content-Length", str(len(body))))
        self.send_response_only(answer.status_code)
        for name, value in answer.headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        if len(body) != promised:
            self.close_connection = True

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002, ANN401 - werkzeug's signature
        """Say nothing: a line per request would drown the story."""


@contextmanager
def serving(application: Callable[..., Any], port: int) -> Iterator[str]:
    """Serve a WSGI application on loopback (port 0: any free one) and give its address."""
    server = make_server(_HOST, port, application, threaded=True, request_handler=_Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://{_HOST}:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
