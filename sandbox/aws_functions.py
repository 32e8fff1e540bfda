"""Lambda's Invoke in the pretend AWS: a function of the app that another one asks, answered as Lambda answers.

It runs in a context of its own: which request it serves is no matter of whoever asked.
"""

import json
import re
from collections.abc import Callable
from contextvars import copy_context
from typing import Any
from urllib.parse import unquote

Function = Callable[[Any], Any]

_INVOKED = re.compile(r"/2015-03-31/functions/([^/]+)/invocations")


def name_invoked(path: str) -> str | None:
    """The function that a request to Lambda's API invokes, by name or ARN; None for any other request."""
    found = _INVOKED.fullmatch(path)
    return unquote(found[1]).rpartition(":")[2] if found is not None else None


def invoke(functions: dict[str, Function], name: str, payload: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the answer; what a function raises is told in Lambda's own shape."""
    function = functions.get(name)
    if function is None:
        said = {"Type": "User", "Message": f"Function not found: {name}"}
        return 404, {"x-amzn-ErrorType": "ResourceNotFoundException"}, json.dumps(said).encode()
    try:
        answer = copy_context().run(function, json.loads(payload or b"null"))
    except Exception as problem:  # noqa: BLE001 - whatever a function raises, Lambda answers
        said = {"errorMessage": str(problem), "errorType": type(problem).__name__}
        return 200, {"X-Amz-Function-Error": "Unhandled"}, json.dumps(said).encode()
    return 200, {}, json.dumps(answer).encode()
