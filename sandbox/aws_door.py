"""The one door of the pretend AWS: KMS calls go to the strict KMS, everything else to moto."""

import io
import json
import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from datetime import datetime
from functools import cache
from http import HTTPStatus
from random import getrandbits
from threading import RLock
from typing import Any
from urllib.parse import parse_qs
from uuid import uuid4
from xml.sax.saxutils import escape

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from sandbox import iam_simulation
from sandbox.aws_functions import Function, invoke, name_invoked
from sandbox.aws_people import Expired, People
from sandbox.aws_shortcut import answer_by_shortcut, ask_hot, is_hot
from sandbox.aws_table import Tokens
from sandbox.kms_callers import Caller
from sandbox.kms_errors import KmsError
from sandbox.kms_shapes import service_model
from sandbox.strict_kms import StrictKms

StartResponse = Callable[..., Any]
Environ = dict[str, Any]

_CREDENTIAL = re.compile(r"Credential=([A-Z0-9]+)/\d{8}/([a-z0-9-]+)/([a-z0-9-]+)/aws4_request")
_KMS, _TRANSACTION = "TrentService.", "DynamoDB_20120810.TransactWriteItems"


class Door:
    """A WSGI application; moto behind it works on one request at a time."""

    def __init__(
        self, kms: StrictKms, people: People, tokens: Tokens, functions: dict[str, Function], lock: RLock
    ) -> None:
        self._kms = kms
        self._functions = functions
        self._people = people
        self._tokens = tokens
        self._lock = lock
        self._moto = DomainDispatcherApplication(create_backend_app)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        body = _body_of(environ)
        target = environ.get("HTTP_X_AMZ_TARGET", "")
        if target.startswith(_KMS):
            return self._answer_kms(target.removeprefix(_KMS), body, environ, start_response)
        invoked = name_invoked(environ["PATH_INFO"])
        if invoked is not None:  # without the lock: the function asks for more of AWS before it answers
            return _raw(start_response, *invoke(self._functions, invoked, body))
        with self._lock:
            self._count_change_of_iam(environ)
            refusal = self._refused_role(body, environ)
            if refusal is not None:
                return _xml_error(start_response, *refusal)
            if not target and iam_simulation.is_asked(body):
                return iam_simulation.answer(self._people, environ, body, start_response)
            if target == _TRANSACTION:
                return self._transact(body, environ, start_response)
            return self._ask_aws(body, environ, start_response)

    def _count_change_of_iam(self, environ: Environ) -> None:
        credential = _CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
        self._people.changes += credential is not None and credential[3] == "iam"

    def _ask_aws(self, body: bytes, environ: Environ, start_response: StartResponse) -> list[bytes]:
        try:
            caller, region = self._caller(environ)
        except KmsError:  # moto knows no stranger: whoever is not known acts in its default account
            return self._ask_moto(environ, start_response)
        target = environ.get("HTTP_X_AMZ_TARGET", "")
        answer = answer_by_shortcut(target, body, account=caller.account, region=region)
        if answer is None:
            return self._ask_moto(environ, start_response)
        start_response("200 OK", _headers("application/x-amz-json-1.0", answer))
        return [answer]

    def _ask_moto(self, environ: Environ, start_response: StartResponse) -> list[bytes]:
        if is_hot(environ):
            return ask_hot(environ, start_response)
        answer = self._moto(environ, start_response)
        if not hasattr(answer, "close"):
            return list(answer)
        with closing(answer):
            return list(answer)

    def _answer_kms(self, operation: str, body: bytes, environ: Environ, start_response: StartResponse) -> list[bytes]:
        try:
            caller, region = self._caller(environ)
            parameters = _decoded(operation, json.loads(body or b"{}"))
            answer = self._kms.call(operation, parameters, caller=caller, region=region)
        except KmsError as error:
            said = {"__type": error.code} | ({"message": error.message} if error.message else {})
            return _json(start_response, error.status, said)
        return _json(start_response, 200, _encoded(answer))

    def _caller(self, environ: Environ) -> tuple[Caller, str]:
        credential = _CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
        if credential is None:
            raise KmsError("MissingAuthenticationTokenException", "Missing Authentication Token")
        try:
            caller = self._people.caller_of(credential[1])
        except Expired as error:
            text = "The security token included in the request is expired"
            raise KmsError("ExpiredTokenException", text) from error
        if caller is None:
            text = "The security token included in the request is invalid."
            raise KmsError("UnrecognizedClientException", text)
        return caller, credential[2]

    def _refused_role(self, body: bytes, environ: Environ) -> tuple[str, str] | None:
        credential = _CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
        if credential is None or credential[3] != "sts":
            return None
        try:
            caller = self._people.caller_of(credential[1])
        except Expired:
            return "ExpiredToken", "The security token included in the request is expired"
        if caller is None:
            return "InvalidClientTokenId", "The security token included in the request is invalid."
        asked = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        if asked.get("Action") != "AssumeRole":
            return None
        role, external_id = asked.get("RoleArn", ""), asked.get("ExternalId", "")
        refusal = self._people.refusal_to_assume(caller, role, external_id)
        return None if refusal is None else ("AccessDenied", refusal)

    def _transact(self, body: bytes, environ: Environ, start_response: StartResponse) -> list[bytes]:
        request = json.loads(body)
        credential = _CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
        who = credential[1] if credential else ""
        seen = self._tokens.seen_before(who, request)
        if seen is None:
            text = "Request parameters are not the same as those of the earlier request with this token."
            return _json(start_response, 400, {"__type": "IdempotentParameterMismatchException", "message": text})
        if seen:
            return _json(start_response, 200, {})
        worked: list[bool] = []

        def watch(status: str, *rest: object) -> object:
            worked.append(status.startswith("200"))
            return start_response(status, *rest)

        answer = self._ask_aws(body, environ, watch)
        if worked == [True]:
            self._tokens.remember(who, request)
        return answer


def _body_of(environ: Environ) -> bytes:
    # Read at once: what stays unread on a kept-alive connection would be taken for the next request.
    size = int(environ.get("CONTENT_LENGTH") or 0)
    stream = environ["wsgi.input"]
    body: bytes = stream.read() if environ.get("wsgi.input_terminated") else stream.read(size)
    environ["wsgi.input"] = io.BytesIO(body)
    environ["CONTENT_LENGTH"] = str(len(body))
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    return body


def _json(start_response: StartResponse, status: int, content: Mapping[str, object]) -> list[bytes]:
    body = json.dumps(content).encode()
    start_response(f"{status} {HTTPStatus(status).phrase}", _headers("application/x-amz-json-1.1", body))
    return [body]


def _headers(content_type: str, body: bytes) -> list[tuple[str, str]]:
    return [
        ("Content-Type", content_type),
        ("Content-Length", str(len(body))),
        ("x-amzn-RequestId", f"{getrandbits(128):032x}"),
    ]


def _raw(start_response: StartResponse, status: int, headers: Mapping[str, str], body: bytes) -> list[bytes]:
    start_response(f"{status} {HTTPStatus(status).phrase}", [*_headers("application/json", body), *headers.items()])
    return [body]


def _xml_error(start_response: StartResponse, code: str, message: str) -> list[bytes]:
    text = (
        f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{escape(message)}</Message>"
        f"</Error><RequestId>{uuid4()}</RequestId></ErrorResponse>"
    )
    body = text.encode()
    start_response("403 Forbidden", [("Content-Type", "text/xml"), ("Content-Length", str(len(body)))])
    return [body]


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
