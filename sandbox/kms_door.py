"""The strict KMS over HTTP: AWS' JSON protocol, with the caller told by the access key that signed."""

import io
import json
import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import cache
from http import HTTPStatus
from random import getrandbits
from typing import Any

from sandbox.aws_people import Expired
from sandbox.kms_callers import Caller
from sandbox.kms_errors import KmsError
from sandbox.kms_shapes import service_model
from sandbox.strict_kms import StrictKms

StartResponse = Callable[..., Any]
Environ = dict[str, Any]

CREDENTIAL = re.compile(r"Credential=([A-Z0-9]+)/\d{8}/([a-z0-9-]+)/([a-z0-9-]+)/aws4_request")
"""In a signature: the access key, the region, the service."""

_KMS = "TrentService."


class KmsDoor:
    """A WSGI application in front of a strict KMS; `caller_of` knows who an access key belongs to.

    It gives None for a stranger and raises Expired for a session that is over. Signatures are not checked.
    """

    def __init__(self, kms: StrictKms, caller_of: Callable[[str], Caller | None]) -> None:
        self._kms = kms
        self._caller_of = caller_of

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request; what is not meant for KMS is refused."""
        return self.answer(body_of(environ), environ, start_response)

    def is_asked(self, environ: Environ) -> bool:
        """Whether a request is one to KMS."""
        return str(environ.get("HTTP_X_AMZ_TARGET", "")).startswith(_KMS)

    def answer(self, body: bytes, environ: Environ, start_response: StartResponse) -> list[bytes]:
        """Answer one request whose body has been read."""
        operation = environ.get("HTTP_X_AMZ_TARGET", "").removeprefix(_KMS)
        try:
            caller, region = self.caller(environ)
            parameters = _decoded(operation, json.loads(body or b"{}"))
            answer = self._kms.call(operation, parameters, caller=caller, region=region)
        except KmsError as error:
            said = {"__type": error.code} | ({"message": error.message} if error.message else {})
            return json_answer(start_response, error.status, said)
        return json_answer(start_response, 200, _encoded(answer))

    def caller(self, environ: Environ) -> tuple[Caller, str]:
        """Who signed, and for which region; raises KmsError for nobody, a stranger or an ended session."""
        credential = CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
        if credential is None:
            raise KmsError("MissingAuthenticationTokenException", "Missing Authentication Token")
        try:
            caller = self._caller_of(credential[1])
        except Expired as error:
            text = "The security token included in the request is expired"
            raise KmsError("ExpiredTokenException", text) from error
        if caller is None:
            text = "The security token included in the request is invalid."
            raise KmsError("UnrecognizedClientException", text)
        return caller, credential[2]


def body_of(environ: Environ) -> bytes:
    """The whole body of a request, which stays readable for whoever comes next."""
    # Read at once: what stays unread on a kept-alive connection would be taken for the next request.
    size = int(environ.get("CONTENT_LENGTH") or 0)
    stream = environ["wsgi.input"]
    body: bytes = stream.read() if environ.get("wsgi.input_terminated") else stream.read(size)
    environ["wsgi.input"] = io.BytesIO(body)
    environ["CONTENT_LENGTH"] = str(len(body))
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    return body


def json_answer(start_response: StartResponse, status: int, content: Mapping[str, object]) -> list[bytes]:
    """Answer in AWS' JSON protocol."""
    body = json.dumps(content).encode()
    start_response(f"{status} {HTTPStatus(status).phrase}", headers_of("application/x-amz-json-1.1", body))
    return [body]


def headers_of(content_type: str, body: bytes) -> list[tuple[str, str]]:
    """The headers that every answer of AWS has."""
    return [
        ("Content-Type", content_type),
        ("Content-Length", str(len(body))),
        ("x-amzn-RequestId", f"{getrandbits(128):032x}"),
    ]


@cache
def _blobs_of(operation: str) -> frozenset[str]:
    if operation not in service_model().operation_names:
        return frozenset()
    shape = service_model().operation_model(operation).input_shape
    members = {} if shape is None else shape.members
    return frozenset(name for name, member in members.items() if member.type_name == "blob")


def _decoded(operation: str, body: Mapping[str, object]) -> dict[str, object]:
    try:
        return {
            name: b64decode(value, validate=True) if name in _blobs_of(operation) and isinstance(value, str) else value
            for name, value in body.items()
        }
    except Base64Error as error:
        raise KmsError("SerializationException", "A blob is not base64.") from error


def _encoded(value: Any) -> Any:  # noqa: ANN401 - JSON in, JSON out
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if isinstance(value, dict):
        return {name: _encoded(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_encoded(item) for item in value]
    return value
