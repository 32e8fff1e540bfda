"""The one door of the pretend AWS: KMS calls go to the strict KMS, everything else to moto."""

import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from http import HTTPStatus
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
from sandbox.kms_door import CREDENTIAL, KmsDoor, body_of, headers_of, json_answer
from sandbox.kms_errors import KmsError
from sandbox.strict_kms import StrictKms

StartResponse = Callable[..., Any]
Environ = dict[str, Any]

_TRANSACTION = "DynamoDB_20120810.TransactWriteItems"


class Door:
    """A WSGI application; moto behind it works on one request at a time."""

    def __init__(
        self, kms: StrictKms, people: People, tokens: Tokens, functions: dict[str, Function], lock: RLock
    ) -> None:
        self._kms = KmsDoor(kms, people.caller_of)
        self._functions = functions
        self._people = people
        self._tokens = tokens
        self._lock = lock
        self._moto = DomainDispatcherApplication(create_backend_app)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        body = body_of(environ)
        target = environ.get("HTTP_X_AMZ_TARGET", "")
        if self._kms.is_asked(environ):
            return self._kms.answer(body, environ, start_response)
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
        credential = CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
        self._people.changes += credential is not None and credential[3] == "iam"

    def _ask_aws(self, body: bytes, environ: Environ, start_response: StartResponse) -> list[bytes]:
        try:
            caller, region = self._kms.caller(environ)
        except KmsError:  # moto knows no stranger: whoever is not known acts in its default account
            return self._ask_moto(environ, start_response)
        target = environ.get("HTTP_X_AMZ_TARGET", "")
        answer = answer_by_shortcut(target, body, account=caller.account, region=region)
        if answer is None:
            return self._ask_moto(environ, start_response)
        start_response("200 OK", headers_of("application/x-amz-json-1.0", answer))
        return [answer]

    def _ask_moto(self, environ: Environ, start_response: StartResponse) -> list[bytes]:
        if is_hot(environ):
            return ask_hot(environ, start_response)
        answer = self._moto(environ, start_response)
        if not hasattr(answer, "close"):
            return list(answer)
        with closing(answer):
            return list(answer)

    def _refused_role(self, body: bytes, environ: Environ) -> tuple[str, str] | None:
        credential = CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
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
        credential = CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
        who = credential[1] if credential else ""
        seen = self._tokens.seen_before(who, request)
        if seen is None:
            text = "Request parameters are not the same as those of the earlier request with this token."
            return json_answer(start_response, 400, {"__type": "IdempotentParameterMismatchException", "message": text})
        if seen:
            return json_answer(start_response, 200, {})
        worked: list[bool] = []

        def watch(status: str, *rest: object) -> object:
            worked.append(status.startswith("200"))
            return start_response(status, *rest)

        answer = self._ask_aws(body, environ, watch)
        if worked == [True]:
            self._tokens.remember(who, request)
        return answer


def _raw(start_response: StartResponse, status: int, headers: Mapping[str, str], body: bytes) -> list[bytes]:
    start_response(f"{status} {HTTPStatus(status).phrase}", [*headers_of("application/json", body), *headers.items()])
    return [body]


def _xml_error(start_response: StartResponse, code: str, message: str) -> list[bytes]:
    text = (
        f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{escape(message)}</Message>"
        f"</Error><RequestId>{uuid4()}</RequestId></ErrorResponse>"
    )
    body = text.encode()
    start_response("403 Forbidden", [("Content-Type", "text/xml"), ("Content-Length", str(len(body)))])
    return [body]
