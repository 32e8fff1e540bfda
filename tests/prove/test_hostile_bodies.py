"""Whatever is sent as the body of a change: it is taken, or refused as a problem; no answer is a failure of ours.

Schemathesis asks the API what its document allows and forbids (test_api_fuzz.py); here the bytes themselves are
wrong: no JSON, no UTF-8, nested without end, in a base64 that is none.
"""

import json
from base64 import b64encode

import pytest
from api_contract import filled
from api_place import CONTRACT, Place
from figures import FULL_SIZE
from hypothesis import example as hypothesis_example
from hypothesis import given, settings
from hypothesis import strategies as st
from spoilt_answers import bodies
from storyteller import telling

import app as hall
from sandbox import lambda_shapes
from sandbox.lambda_shapes import Context

CHANGES = {
    operation["operationId"]: (method, path, operation)
    for method, path, operation in CONTRACT.operations()
    if "requestBody" in operation and "x-mms-signature" not in json.dumps(operation["parameters"])
}


@pytest.fixture(scope="module")
def place():
    with telling() as set_up:
        yield Place(set_up)


def example(operation):
    """A body that the document gives as an example."""
    content = CONTRACT.look_up(operation["requestBody"])["content"]["application/json"]
    found = content.get("example") or next(iter(content["examples"].values()))["value"]
    return found or {"reason": "no longer needed"}


def send(place, method, target, operation, body, *, in_base64):
    """Send bytes as API Gateway hands them over: as a text, or said to be base64 where they are none."""
    headers = {p["name"]: p["example"] for p in CONTRACT.parameters(operation) if p["in"] == "header"}
    said = {"content-type": "application/json", **headers}
    event = place.api._event(method, target, None, place.ada, said)
    text = b64encode(body).decode() if in_base64 else body.decode(errors="replace")
    event |= {"body": text, "isBase64Encoded": in_base64}
    given_back = lambda_shapes.run(hall.app, event, Context(function_name="api", timeout_seconds=29))
    return given_back["statusCode"], given_back["multiValueHeaders"] | given_back["headers"], given_back["body"]


@pytest.mark.parametrize("name", CHANGES)
def test_no_body_makes_the_api_fail(place, name):
    method, path, operation = CHANGES[name]
    target = filled(path, place.names(operation))
    statuses = set()

    @settings(max_examples=300 if FULL_SIZE else 25, deadline=None, database=None)
    @given(body=bodies(example(operation)), in_base64=st.booleans())
    @hypothesis_example(body=b'{"\xff": 1}', in_base64=True)
    @hypothesis_example(body=b'{"ladder": ' + b"[" * 3_000, in_base64=False)
    @hypothesis_example(body=b"[" * 3_000, in_base64=False)
    @hypothesis_example(body=b'{"reason": "\\ud800", "statement": "\\ud800", "comment": "\\ud800"}', in_base64=False)
    def judge(body, in_base64):
        status, headers, said = send(place, method, target, operation, body, in_base64=in_base64)
        statuses.add(status)

        assert status < 500, said
        assert status < 400 or "application/problem+json" in str(headers), said

    judge()
    assert 400 in statuses
