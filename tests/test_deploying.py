"""The script that deploys: what it refuses before anything happens, and what it puts where."""

import json

import pytest
from botocore.exceptions import ClientError

from package.deploy import packaged, parameters_of
from package.rules import FUNCTION
from package.shelf import Shelf
from package.stack import Effect, Refused, Stack, endangered

TABLE = Effect(action="Modify", logical_id="TrackerTable", kind="AWS::DynamoDB::Table", replaces=False)
TEMPLATE = {"Parameters": {"AtlasSecrets": {}, "Tracing": {"Default": "PassThrough"}}}


class FakeCloudFormation:
    """One stack, and every change set that was asked for."""

    def __init__(self, status="", **parameters):
        self.status = status
        self.parameters = parameters
        self.asked = []

    def describe_stacks(self, StackName):  # noqa: N803 - AWS' own name
        if not self.status:
            raise ClientError({"Error": {"Code": "ValidationError", "Message": f"{StackName} does not exist"}}, "x")
        held = [{"ParameterKey": name, "ParameterValue": value} for name, value in self.parameters.items()]
        return {"Stacks": [{"StackStatus": self.status, "StackId": "arn:stack", "Parameters": held}]}

    def create_change_set(self, **asked):
        self.asked.append(asked)
        return {"Id": "arn:change"}

    def describe_change_set(self, **_):
        return {"Status": "CREATE_COMPLETE"}


class FakeS3:
    """Buckets by name, each with its objects."""

    def __init__(self, **buckets):
        self.buckets = buckets
        self.closed = []
        self.meta = type("Meta", (), {"endpoint_url": "https://s3.test/"})

    def head_bucket(self, Bucket, **_):  # noqa: N803 - AWS' own name
        if Bucket not in self.buckets:
            raise ClientError({"Error": {"Code": "404"}}, "HeadBucket")

    def create_bucket(self, Bucket, **_):  # noqa: N803 - the same
        self.buckets[Bucket] = {}

    def put_public_access_block(self, PublicAccessBlockConfiguration, **_):  # noqa: N803 - the same
        self.closed = [name for name, closed in PublicAccessBlockConfiguration.items() if closed]

    def put_bucket_versioning(self, **_): ...

    def put_bucket_policy(self, Policy, **_):  # noqa: N803 - the same
        self.policy = json.loads(Policy)

    def head_object(self, Bucket, Key, **_):  # noqa: N803 - the same
        if Key not in self.buckets[Bucket]:
            raise ClientError({"Error": {"Code": "404"}}, "HeadObject")

    def put_object(self, Bucket, Key, Body, **_):  # noqa: N803 - the same
        assert Key not in self.buckets[Bucket]
        self.buckets[Bucket][Key] = Body


@pytest.mark.parametrize(
    ("effect", "in_danger"),
    [
        (TABLE, False),
        (Effect(action="Modify", logical_id="TrackerTable", kind=TABLE.kind, replaces=True), True),
        (Effect(action="Remove", logical_id="TrackerTable", kind=TABLE.kind, replaces=False), True),
        (Effect(action="Remove", logical_id="Rotate", kind="AWS::Lambda::Function", replaces=False), False),
    ],
)
def test_a_change_that_would_take_the_memory_away_is_seen(effect, in_danger):
    assert (endangered([effect]) == [effect]) is in_danger


def test_a_first_deployment_needs_every_parameter_without_a_default():
    with pytest.raises(Refused, match="AtlasSecrets"):
        Stack(FakeCloudFormation(), "keyturn").propose("https://t", TEMPLATE, {})


def test_an_unknown_parameter_is_refused_before_aws_is_asked():
    cloud = FakeCloudFormation()

    with pytest.raises(Refused, match="Tracng"):
        Stack(cloud, "keyturn").propose("https://t", TEMPLATE, {"AtlasSecrets": "keyturn/x", "Tracng": "Active"})

    assert cloud.asked == []


def test_what_is_not_given_keeps_the_value_of_the_last_deployment():
    cloud = FakeCloudFormation("UPDATE_COMPLETE", AtlasSecrets="keyturn/x", Tracing="Active")

    Stack(cloud, "keyturn").propose("https://t", TEMPLATE, {"Tracing": "PassThrough"})

    (asked,) = cloud.asked
    assert asked["ChangeSetType"] == "UPDATE"
    assert asked["Parameters"] == [
        {"ParameterKey": "Tracing", "ParameterValue": "PassThrough"},
        {"ParameterKey": "AtlasSecrets", "UsePreviousValue": True},
    ]


def test_a_stack_that_never_came_to_be_must_be_taken_away_first():
    with pytest.raises(Refused, match="undeploy"):
        Stack(FakeCloudFormation("ROLLBACK_COMPLETE"), "keyturn").propose("https://t", TEMPLATE, {})


def test_pairs_win_over_the_file_of_the_stage(tmp_path):
    (tmp_path / "live.json").write_text('{"AtlasSecrets": "keyturn/a", "Tracing": "Active"}')

    assert parameters_of("live", ["AtlasSecrets=keyturn/b,keyturn/c=d"], tmp_path) == {
        "AtlasSecrets": "keyturn/b,keyturn/c=d",
        "Tracing": "Active",
    }
    assert parameters_of("test", [], tmp_path) == {}


@pytest.mark.parametrize(("text", "pairs"), [("[]", []), ('{"a": 1}', []), ("{", []), ("{}", ["Tracing"])])
def test_parameters_that_cannot_be_read_are_refused(tmp_path, text, pairs):
    (tmp_path / "live.json").write_text(text)

    with pytest.raises(Refused):
        parameters_of("live", pairs, tmp_path)


def test_the_default_bucket_is_made_once_closed_to_the_public_and_to_plain_http(tmp_path):
    (tmp_path / "deployment.zip").write_bytes(b"the zip")
    s3 = FakeS3()
    shelf = Shelf(s3, account="123456789012", region="eu-west-1")

    key = shelf.put(tmp_path / "deployment.zip")

    assert shelf.put(tmp_path / "deployment.zip") == key
    assert s3.buckets == {"keyturn-packages-123456789012-eu-west-1": {key: b"the zip"}}
    assert len(s3.closed) == 4
    (statement,) = s3.policy["Statement"]
    assert (statement["Effect"], statement["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})


def test_a_bucket_of_ones_own_is_not_made(tmp_path):
    (tmp_path / "deployment.zip").write_bytes(b"the zip")
    s3 = FakeS3(mine={})

    Shelf(s3, account="123456789012", region="eu-west-1", bucket="mine").put(tmp_path / "deployment.zip")

    assert list(s3.buckets) == ["mine"]


def test_every_function_takes_its_code_from_the_shelf():
    template = {"Resources": {"Rotate": {"Type": FUNCTION, "Properties": {"CodeUri": "./deployment.zip"}}}}

    finished = packaged(template, "bucket", "key")

    assert finished["Resources"]["Rotate"]["Properties"]["CodeUri"] == {"Bucket": "bucket", "Key": "key"}
