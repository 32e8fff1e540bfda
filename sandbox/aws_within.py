"""The way to the pretend AWS for whoever lives in its own process: botocore's request, answered without a socket.

The request is built, signed and written as for the wire, and the answer read as if it came from there; only the wire is
left out, which takes a fifth of a virtual year. Everybody else comes over loopback: other processes, and clients that a
test makes.
"""

import io
from collections.abc import Callable
from contextvars import Context
from urllib.parse import SplitResult, urlsplit
from wsgiref.util import setup_testing_defaults

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from urllib3 import HTTPHeaderDict, HTTPResponse

from sandbox.web import Application, answer_of

BeforeSend = Callable[..., AWSResponse | None]


def answering(application: Application, address: str) -> BeforeSend:
    """What botocore asks before it sends: gives the application's answer to a request for `address`, else None."""
    host = urlsplit(address).netloc

    def answer(request: AWSPreparedRequest, **_: object) -> AWSResponse | None:
        target = urlsplit(request.url)
        body = request.body.encode() if isinstance(request.body, str) else request.body or b""
        if target.netloc != host or not isinstance(body, bytes):
            return None
        # A context of its own, as a server's thread has: what is set on the way is not the caller's.
        status, headers, content = Context().run(answer_of, application, _environ_of(request, target, body))
        raw = HTTPResponse(io.BytesIO(content), preload_content=False)
        return AWSResponse(request.url, int(status.partition(" ")[0]), HTTPHeaderDict(headers), raw)

    return answer


def _environ_of(request: AWSPreparedRequest, target: SplitResult, body: bytes) -> dict[str, object]:
    """A request as WSGI has it."""
    environ: dict[str, object] = {"REQUEST_METHOD": request.method, "SERVER_PROTOCOL": "HTTP/1.1"}
    for name, value in request.headers.items():
        environ[f"HTTP_{name.upper().replace('-', '_')}"] = value.decode() if isinstance(value, bytes) else value
    environ |= {
        "PATH_INFO": target.path or "/",
        "QUERY_STRING": target.query,
        "RAW_URI": f"{target.path}?{target.query}",
        "HTTP_HOST": target.netloc,
        "SERVER_NAME": target.hostname,
        "SERVER_PORT": str(target.port),
        "CONTENT_TYPE": environ.pop("HTTP_CONTENT_TYPE", ""),
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
    }
    setup_testing_defaults(environ)
    return environ
