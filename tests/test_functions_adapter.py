"""Asking another function: what Lambda may answer, held against the adapter before botocore and before the sandbox."""

import io
import json

import boto3
import pytest
from botocore.exceptions import ConnectTimeoutError, EndpointConnectionError, NoCredentialsError, ReadTimeoutError
from botocore.parsers import ResponseParserError
from botocore.response import StreamingBody
from botocore.stub import Stubber

from chalicelib.adapters.functions import Functions
from chalicelib.domain.records import Check
from chalicelib.usecases.ports import PermanentError, TemporaryError

PREVIEW = "arn:aws:lambda:us-east-1:123456789012:function:keyturn-preview"
PROJECT = "64b0c0c0c0c0c0c0c0c0c0c0"
REQUEST = {"requested_by": "arn:aws:iam::123456789012:user/alice", "idempotency_key": "one", "reason": "für Anna"}
CHECKS = [
    {"name": "settings_valid", "passed": True, "text": "Atlas finds the current key valid"},
    {"name": "region_kept", "passed": False, "text": "the region changes"},
    {"name": "wanted_key_grants", "passed": None, "text": "the policy may not be read"},
]


class Deaf:
    """A client whose calls end without an answer."""

    def __init__(self, error):
        self.error = error

    def invoke(self, **_asked):
        raise self.error


class BreaksOff:
    """A body that is never read to its end."""

    @staticmethod
    def read():
        raise ReadTimeoutError(endpoint_url="https://lambda")


@pytest.fixture
def lambda_api():
    """A client of Lambda that answers what the test put in; one that was not asked for fails the test."""
    client = boto3.client("lambda", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test")
    with Stubber(client) as stubber:
        yield client, stubber
        stubber.assert_no_pending_responses()


def body(raw):
    return StreamingBody(io.BytesIO(raw), len(raw))


def answer(said, **more):
    raw = said if isinstance(said, bytes) else json.dumps(said).encode()
    return {"StatusCode": 200, "Payload": body(raw), **more}


def ask(client):
    return Functions(client, {"PREVIEW_FUNCTION": PREVIEW}).preview(PROJECT, REQUEST)


def failing(client, kind):
    with pytest.raises(kind) as caught:
        ask(client)
    assert type(caught.value) is kind
    assert caught.value.call == "lambda:Invoke"
    return caught.value


def test_the_checks_come_back_as_they_were_made(lambda_api):
    client, stubber = lambda_api
    message = json.dumps({"project_id": PROJECT, "request": REQUEST}).encode()
    stubber.add_response("invoke", answer({"checks": CHECKS}), {"FunctionName": PREVIEW, "Payload": message})

    checks = ask(client)

    assert checks == tuple(Check(**check) for check in CHECKS)


def test_no_checks_at_all_are_an_answer_too(lambda_api):
    client, stubber = lambda_api
    stubber.add_response("invoke", answer({"checks": []}))

    assert ask(client) == ()


@pytest.mark.parametrize(
    "said",
    [
        {"errorMessage": "GET /groups: 503", "errorType": "TemporaryError"},
        {"errorMessage": "2027-03-01 Task timed out after 20.00 seconds"},
    ],
)
def test_a_function_that_failed_may_do_better_later(lambda_api, said):
    client, stubber = lambda_api
    stubber.add_response("invoke", answer(said, FunctionError="Unhandled"))

    problem = failing(client, TemporaryError)

    assert problem.code == "function_failed"
    assert PREVIEW in problem.message
    assert said["errorMessage"] in problem.message


def test_a_function_that_failed_without_a_word_is_still_named(lambda_api):
    client, stubber = lambda_api
    stubber.add_response("invoke", answer(b"null", FunctionError="Unhandled"))

    problem = failing(client, TemporaryError)

    assert (problem.code, PREVIEW in problem.message) == ("function_failed", True)


@pytest.mark.parametrize(
    "code", ["TooManyRequestsException", "ServiceException", "EC2ThrottledException", "ResourceNotReadyException"]
)
def test_what_lambda_cannot_do_just_now_may_work_later(lambda_api, code):
    client, stubber = lambda_api
    stubber.add_client_error("invoke", code, "not now")

    problem = failing(client, TemporaryError)

    assert problem.code == code


@pytest.mark.parametrize(
    "code",
    ["ResourceNotFoundException", "AccessDeniedException", "KMSAccessDeniedException", "RequestTooLargeException"],
)
def test_what_lambda_refuses_does_not_get_better_by_waiting(lambda_api, code):
    client, stubber = lambda_api
    stubber.add_client_error("invoke", code, "no", http_status_code=403)

    problem = failing(client, PermanentError)

    assert problem.code == code
    assert PREVIEW in problem.message


@pytest.mark.parametrize(
    "error",
    [
        ConnectTimeoutError(endpoint_url="https://lambda"),
        ReadTimeoutError(endpoint_url="https://lambda"),
        EndpointConnectionError(endpoint_url="https://lambda"),
        ResponseParserError("<html>"),
    ],
)
def test_no_answer_in_time_may_be_one_later(error):
    problem = failing(Deaf(error), TemporaryError)

    assert "got no answer" in problem.message
    assert PREVIEW in problem.message


def test_who_has_no_credentials_waits_for_nothing():
    assert PREVIEW in failing(Deaf(NoCredentialsError()), PermanentError).message


def test_an_answer_that_breaks_off_is_none():
    class Client:
        @staticmethod
        def invoke(**_asked):
            return {"StatusCode": 200, "Payload": BreaksOff()}

    problem = failing(Client(), TemporaryError)

    assert "got no answer" in problem.message


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"<html>",
        b"\xff\xfe",
        {"detail": "no checks"},
        {"checks": None},
        {"checks": [{"name": "settings_valid", "passed": True}]},
        {"checks": ["settings_valid"]},
        ["settings_valid"],
        None,
        "ok",
    ],
)
def test_an_answer_that_cannot_be_read_is_never_taken_for_no_objection(lambda_api, said):
    client, stubber = lambda_api
    stubber.add_response("invoke", answer(said))

    problem = failing(client, TemporaryError)

    assert PREVIEW in problem.message


@pytest.mark.parametrize(
    "check", [{"name": "a", "passed": "no", "text": "t"}, {"name": 1, "passed": True, "text": "t"}]
)
def test_a_check_that_says_neither_yes_nor_no_is_never_taken_for_a_yes(lambda_api, check):
    client, stubber = lambda_api
    stubber.add_response("invoke", answer({"checks": [check]}))

    problem = failing(client, TemporaryError)

    assert problem.code == "unreadable_answer"


class OfTheSandbox:
    """Lambda's API in the pretend AWS, with what it runs."""

    def __init__(self, aws):
        self.client, self.functions = aws.client("lambda"), aws.functions


@pytest.fixture
def pretend(aws):
    yield OfTheSandbox(aws)
    aws.functions.clear()


def test_in_the_pretend_aws_a_function_is_asked_and_answers(pretend):
    heard = []
    pretend.functions["keyturn-preview"] = lambda event: heard.append(event) or {"checks": CHECKS}

    checks = Functions(pretend.client, {"PREVIEW_FUNCTION": "keyturn-preview"}).preview(PROJECT, REQUEST)

    assert heard == [{"project_id": PROJECT, "request": REQUEST}]
    assert checks == tuple(Check(**check) for check in CHECKS)


def test_in_the_pretend_aws_what_a_function_raises_comes_back_as_its_words(pretend):
    def fall(_event):
        raise RuntimeError("out of patience")

    pretend.functions["keyturn-preview"] = fall

    with pytest.raises(TemporaryError, match="out of patience"):
        Functions(pretend.client, {"PREVIEW_FUNCTION": "keyturn-preview"}).preview(PROJECT, REQUEST)


def test_in_the_pretend_aws_a_function_that_is_not_there_is_refused(pretend):
    with pytest.raises(PermanentError, match="Function not found") as caught:
        Functions(pretend.client, {"PREVIEW_FUNCTION": "nobody"}).preview(PROJECT, REQUEST)

    assert caught.value.code == "ResourceNotFoundException"


ADJUST = PREVIEW.replace("preview", "adjust")
THRESHOLD = {"project_id": PROJECT, "before_days": 90, "after_days": 120, "changed": True, "note": "n"}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"threshold": THRESHOLD}, {"threshold": THRESHOLD, "refused": None}),
        (
            {"refused": {"no": "conflict", "text": "t"}},
            {"threshold": None, "refused": {"no": "conflict", "text": "t"}},
        ),
    ],
)
def test_what_became_of_a_threshold_comes_back_whole(lambda_api, said, expected):
    client, stubber = lambda_api
    message = json.dumps({"project_id": PROJECT, "who": "alice"}).encode()
    stubber.add_response("invoke", answer(said), {"FunctionName": ADJUST, "Payload": message})

    assert Functions(client, {"ADJUST_FUNCTION": ADJUST}).adjust(PROJECT, "alice") == expected


@pytest.mark.parametrize("said", [{"threshold": {"project_id": PROJECT}}, [], "done"])
def test_an_answer_about_a_threshold_that_is_none_may_come_later(lambda_api, said):
    client, stubber = lambda_api
    stubber.add_response("invoke", answer(said))

    with pytest.raises(TemporaryError):
        Functions(client, {"ADJUST_FUNCTION": ADJUST}).adjust(PROJECT, "alice")
