"""What Schemathesis is told in its own process: how a call to this API is signed."""

import os
import re
from itertools import count
from pathlib import Path

import requests
import schemathesis
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

OPERATOR = Credentials(os.environ["FUZZ_ACCESS_KEY_ID"], os.environ["FUZZ_SECRET_ACCESS_KEY"])
CALLS = count(1)
NAMES_SOMETHING = re.compile(
    r"field `|`[$\w]|the header [a-z-]+|names several keys|the statement|JSON is malformed|truncated"
)
NOT_SIGNED = {"connection", "user-agent", "accept-encoding", "content-length", "transfer-encoding"}


class Signature(requests.auth.AuthBase):
    """Signs a request as an operator would, just as it goes out."""

    def __call__(self, request):
        headers = {name: value for name, value in request.headers.items() if name.lower() not in NOT_SIGNED}
        asked = AWSRequest(method=request.method, url=request.url, headers=headers, data=request.body or b"")
        SigV4Auth(OPERATOR, "execute-api", "us-east-1").add_auth(asked)
        request.headers.update(dict(asked.headers.items()))
        return request


schemathesis.auth.set_from_requests(Signature())


@schemathesis.hook
def filter_body(context, body):
    """Leave out what no gateway hands on: a body that is not UTF-8."""
    if not isinstance(body, bytes):
        return True
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


@schemathesis.hook
def after_call(context, case, response):
    """Note what was answered to which operation, for who counts it; and a world that lives lives on a bit."""
    with Path(os.environ["FUZZ_ANSWERS"]).open("a", encoding="utf-8") as answers:
        answers.write(f"{case.operation.label} {response.status_code}\n")
    if os.environ["FUZZ_WORLD"] == "still":
        return
    seconds = 600 if next(CALLS) % 50 == 0 else 0.01
    turned = requests.post(f"{os.environ['FUZZ_ADDRESS']}/sandbox/clock", json={"advance_seconds": seconds}, timeout=60)
    turned.raise_for_status()


@schemathesis.check
def what_is_not_understood_is_named(ctx, response, case):
    """A 400 names the field, the header, or the part of path or query that it is about."""
    if response.status_code == 400 and not NAMES_SOMETHING.search(response.json()["detail"]):
        raise AssertionError(f"this 400 names nothing: {response.text}")
