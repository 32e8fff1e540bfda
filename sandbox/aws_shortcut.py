"""Two shortcuts to moto: for its hot services past the web framework, for DynamoDB's hot calls past the dispatcher too.

What a shortcut does not understand (binary values, refusals) goes the long way, so that every error is moto's own.
A refused transaction has left nothing behind (`sandbox.aws_table`), so that it may be asked again.
"""

import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from moto.core.exceptions import ServiceException
from moto.core.request import Request
from moto.core.responses import BaseResponse
from moto.dynamodb.responses import DynamoHandler
from moto.dynamodbstreams.responses import DynamoDBStreamsHandler
from moto.events.responses import EventsHandler
from moto.secretsmanager.responses import SecretsManagerResponse
from moto.sqs.responses import SQSResponse
from werkzeug.exceptions import HTTPException

_HOT: dict[str, type[BaseResponse]] = {
    "AWSEvents": EventsHandler,
    "AmazonSQS": SQSResponse,
    "DynamoDB_20120810": DynamoHandler,
    "DynamoDBStreams_20120810": DynamoDBStreamsHandler,
    "secretsmanager": SecretsManagerResponse,
}
_METHODS = {
    "DynamoDB_20120810.GetItem": DynamoHandler.get_item,
    "DynamoDB_20120810.Query": DynamoHandler.query,
    "DynamoDB_20120810.TransactWriteItems": DynamoHandler.transact_write_items,
}
_BINARY = (b'"B"', b'"BS"')


class _ServerRequest(Request):
    from_wsgi_server = True


def is_hot(environ: dict[str, Any]) -> bool:
    """Whether a request is for a service that a story asks by the thousand."""
    service = environ.get("HTTP_X_AMZ_TARGET", "").partition(".")[0]
    return service in _HOT and environ["PATH_INFO"] == "/" and environ["REQUEST_METHOD"] == "POST"


def ask_hot(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """Ask moto's answering class itself: the framework around it costs more than its answers."""
    request = _ServerRequest(environ)
    service = _HOT[environ["HTTP_X_AMZ_TARGET"].partition(".")[0]]
    status, headers, content = service.dispatch(request, request.raw_url, dict(request.headers))
    body = content.encode() if isinstance(content, str) else content
    kept = [(name, str(value)) for name, value in headers.items() if name.lower() != "status"]
    start_response(f"{status} {HTTPStatus(status).phrase}", [*kept, ("Content-Length", str(len(body)))])
    return [body]


def answer_by_shortcut(target: str, body: bytes, *, account: str, region: str) -> bytes | None:
    """Give the body of a good answer of DynamoDB; None when the call must go the long way."""
    method = _METHODS.get(target)
    if method is None or any(mark in body for mark in _BINARY):
        return None
    handler = DynamoHandler()
    handler.current_account, handler.region = account, region
    handler.body = handler.params = json.loads(body)
    try:
        result = method(handler).result
    except (ServiceException, HTTPException):
        return None
    try:
        return json.dumps(result or {}).encode()
    except TypeError:  # binary values in an item: the long way makes base64 of them
        return None
