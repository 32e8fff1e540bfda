"""Without a socket the pretend AWS answers what it answers over the wire, and nothing of the caller's goes along."""

import io
import json
from contextvars import ContextVar
from datetime import UTC, datetime

import boto3
import pytest
from botocore.awsrequest import AWSPreparedRequest
from botocore.exceptions import ClientError

from sandbox.aws import PretendAws
from sandbox.aws_within import answering
from sandbox.clock import VirtualClock

START = datetime(2027, 3, 1, tzinfo=UTC)
NOBODY_LISTENS = "http://127.0.0.1:9"
WHOSE = ContextVar("whose", default="nobody's")
SCHEMA = [{"AttributeName": "pk", "KeyType": "HASH"}]
TYPES = [{"AttributeName": "pk", "AttributeType": "S"}]


@pytest.fixture(scope="module")
def aws():
    with PretendAws(VirtualClock(START)) as running:
        running.functions["echo"] = lambda event: {"heard": event}
        table = {"TableName": "t", "KeySchema": SCHEMA, "AttributeDefinitions": TYPES, "BillingMode": "PAY_PER_REQUEST"}
        dynamodb = running.client("dynamodb")
        dynamodb.create_table(**table)
        dynamodb.put_item(TableName="t", Item={"pk": {"S": "ä"}, "blob": {"B": b"\x00\xff"}, "n": {"N": "7"}})
        running.client("sqs").create_queue(QueueName="q")
        running.client("kms").create_alias(
            AliasName="alias/a", TargetKeyId=running.client("kms").create_key()["KeyMetadata"]["KeyId"]
        )
        yield running


def session(before_send):
    made = boto3.Session("AKIAIOSFODNN7EXAMPLE", "EXAMPLE", region_name=PretendAws.region)
    made.events.register("before-send", before_send)
    return made


def client(aws, service, *, within):
    made = boto3.Session(aws.admin.access_key_id, aws.admin.secret_access_key, region_name=aws.region)
    if within:
        made.events.register("before-send", aws.within)
    return made.client(service, endpoint_url=aws.address)


def said(aws, service, operation, parameters, *, within):
    """All that a caller is told, less what is drawn anew for each answer."""
    try:
        answer = getattr(client(aws, service, within=within), operation)(**parameters)
    except ClientError as refused:
        answer = refused.response
    metadata = answer.pop("ResponseMetadata")
    if "Payload" in answer:
        answer["Payload"] = answer["Payload"].read()
    headers = {name: value for name, value in metadata["HTTPHeaders"].items() if "request" not in name}
    return answer, metadata["HTTPStatusCode"], {name: headers[name] for name in headers if name != "date"}


CALLS = {
    "a key": ("kms", "describe_key", {"KeyId": "alias/a"}),
    "no such key": ("kms", "describe_key", {"KeyId": "alias/none"}),
    "an item with a blob": ("dynamodb", "get_item", {"TableName": "t", "Key": {"pk": {"S": "ä"}}}),
    "no item": ("dynamodb", "get_item", {"TableName": "t", "Key": {"pk": {"S": "none"}}}),
    "no such table": ("dynamodb", "get_item", {"TableName": "none", "Key": {"pk": {"S": "x"}}}),
    "a form that is answered in XML": ("sts", "get_caller_identity", {}),
    "a role that nobody has": (
        "sts",
        "assume_role",
        {"RoleArn": "arn:aws:iam::123456789012:role/none", "RoleSessionName": "night"},
    ),
    "a queue": ("sqs", "get_queue_url", {"QueueName": "q"}),
    "a function": ("lambda", "invoke", {"FunctionName": "echo", "Payload": b'{"a": "\xc3\xa4"}'}),
    "no such function": ("lambda", "invoke", {"FunctionName": "none", "Payload": b"{}"}),
    "a path with a query": ("iam", "list_users", {"PathPrefix": "/"}),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_caller_is_told_within_what_it_is_told_over_the_wire(aws, call):
    assert said(aws, *call, within=True) == said(aws, *call, within=False)


def test_no_socket_is_opened():
    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "application/x-amz-json-1.0")])
        asked = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
        return [json.dumps({"TableNames": [asked["ExclusiveStartTableName"], environ["HTTP_X_AMZ_TARGET"]]}).encode()]

    dynamodb = session(answering(application, NOBODY_LISTENS)).client("dynamodb", endpoint_url=NOBODY_LISTENS)

    assert dynamodb.list_tables(ExclusiveStartTableName="tables")["TableNames"] == [
        "tables",
        "DynamoDB_20120810.ListTables",
    ]


def request(url, body=b""):
    return AWSPreparedRequest("POST", url, {}, body, stream_output=False)


@pytest.mark.parametrize(
    "elsewhere",
    [request("http://127.0.0.1:10/"), request("https://kms.us-east-1.amazonaws.com/")],
    ids=["port", "host"],
)
def test_a_request_for_somewhere_else_goes_over_the_wire(elsewhere):
    assert answering(None, NOBODY_LISTENS)(request=elsewhere) is None


def test_a_body_that_is_still_to_be_read_goes_over_the_wire():
    assert answering(None, NOBODY_LISTENS)(request=request(NOBODY_LISTENS, io.BytesIO(b"x"))) is None


def test_what_the_caller_serves_is_not_known_within_and_what_is_served_there_not_to_the_caller(aws):
    seen = []

    def function(_event):
        seen.append(WHOSE.get())
        WHOSE.set("the function's")

    aws.functions["whose"] = function
    WHOSE.set("the caller's")

    client(aws, "lambda", within=True).invoke(FunctionName="whose", Payload=b"{}")

    assert (seen, WHOSE.get()) == (["nobody's"], "the caller's")
