"""Asking STS: what it may answer, held against the adapter before botocore."""

import boto3
import pytest
from botocore.exceptions import ConnectTimeoutError, NoCredentialsError
from botocore.parsers import ResponseParserError
from botocore.stub import Stubber

from chalicelib.adapters.sts import Sts
from chalicelib.usecases.ports import PermanentError, TemporaryError

ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/keyturn-kms"
ALICE = f"arn:aws:iam::{ACCOUNT}:user/alice"
SESSION = {
    "AccessKeyId": "ASIA0000000000000000",
    "SecretAccessKey": "EXAMPLE",
    "SessionToken": "EXAMPLE",
    "Expiration": "2027-03-01T13:00:00Z",
}
ASKED = {
    "get_caller_identity": lambda sts: sts.account(),
    "assume_role": lambda sts: sts.session(ROLE),
}


class Silent:
    """A client of which no call gives an answer that can be read."""

    def __init__(self, error):
        self.error = error

    def get_caller_identity(self):
        raise self.error

    def assume_role(self, **_asked):
        raise self.error


@pytest.fixture
def sts_api():
    """A client of STS that answers what the test put in; one that was not asked for fails the test."""
    client = boto3.client("sts", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test")
    with Stubber(client) as stubber:
        yield client, stubber
        stubber.assert_no_pending_responses()


def test_sts_names_the_account_the_caller_and_the_session_of_a_role(sts_api):
    client, stubber = sts_api
    for _ in range(2):
        stubber.add_response("get_caller_identity", {"Account": ACCOUNT, "Arn": ALICE, "UserId": "AIDA"}, {})
    stubber.add_response("assume_role", {"Credentials": SESSION}, {"RoleArn": ROLE, "RoleSessionName": "keyturn"})
    sts = Sts(client)

    assert (sts.account(), sts.caller("alice's key"), sts.session(ROLE)) == (ACCOUNT, ALICE, SESSION)


@pytest.mark.parametrize("operation", ASKED)
@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("Throttling", 400),
        ("ThrottlingException", 400),
        ("RequestLimitExceeded", 400),
        ("ServiceUnavailable", 503),
        ("InternalFailure", 500),
        ("ExpiredToken", 403),
        ("SomethingNew", 502),
    ],
)
def test_what_a_busy_sts_does_not_answer_may_come_later(sts_api, operation, code, status):
    client, stubber = sts_api
    stubber.add_client_error(operation, code, "not now", http_status_code=status)

    with pytest.raises(TemporaryError) as problem:
        ASKED[operation](Sts(client))

    assert problem.value.code == code


@pytest.mark.parametrize("operation", ASKED)
def test_what_sts_refuses_does_not_get_better_by_waiting(sts_api, operation):
    client, stubber = sts_api
    stubber.add_client_error(operation, "AccessDenied", "no", http_status_code=403)

    with pytest.raises(PermanentError) as problem:
        ASKED[operation](Sts(client))

    assert problem.value.code == "sts_refused"


def test_credentials_that_sts_does_not_take_are_named_with_its_own_code(sts_api):
    client, stubber = sts_api
    stubber.add_client_error("get_caller_identity", "InvalidClientTokenId", "no", http_status_code=403)

    with pytest.raises(PermanentError, match="alice's key") as problem:
        Sts(client).caller("alice's key")

    assert problem.value.code == "InvalidClientTokenId"


@pytest.mark.parametrize("ask", [*ASKED.values(), lambda sts: sts.caller("alice's key")])
@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ConnectTimeoutError(endpoint_url="https://sts"), TemporaryError),
        (ResponseParserError("<html>"), TemporaryError),
        (NoCredentialsError(), PermanentError),
    ],
)
def test_no_answer_may_come_later_and_no_credentials_will_not(ask, error, kind):
    with pytest.raises(kind):
        ask(Sts(Silent(error)))
