"""Who may do what is dangerous: the page, the intended cells, and the policies tried on the strict KMS."""

import json
import sys
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "docs"))
import draw_powers  # noqa: E402 - the path must be set first

OURS, THIRTY = "our keys", "our keys, 30 days or more"
INTENDED = {
    ("rotate", "kms:CreateKey"): "tagged as ours",
    ("rotate", "kms:PutKeyPolicy"): "denied",
    ("rotate", "kms:DisableKey"): "denied",
    ("rotate", "kms:ScheduleKeyDeletion"): "denied",
    ("retire", "kms:DisableKey"): OURS,
    ("retire", "kms:ScheduleKeyDeletion"): THIRTY,
    ("retire", "kms:CancelKeyDeletion"): OURS,
    ("retire", "kms:EnableKey"): OURS,
    **{(name, action): "yes" for name in ("guard", "patrol") for action in ("kms:CancelKeyDeletion", "kms:EnableKey")},
    **{
        (name, "secretsmanager:GetSecretValue"): "yes"
        for name in ("adjust", "discover", "hear", "preview", "retire", "rotate", "sweep", "watch")
    },
    **{
        (name, "sts:AssumeRole"): "yes"
        for name in ("discover", "guard", "hear", "patrol", "preview", "retire", "rotate", "sweep")
    },
    **{(name, "sns:Publish"): "yes" for name in ("announce", "relay")},
    **{(name, "dynamodb:PutItem"): "notices" for name in ("announce", "relay")},
    **{
        (name, "dynamodb:PutItem"): "yes"
        for name in (
            "api_handler",
            "digest",
            "discover",
            "guard",
            "hear",
            "patrol",
            "remind",
            "retire",
            "rotate",
            "sweep",
        )
    },
    ("adjust", "dynamodb:PutItem"): "projects, their trails",
    ("watch", "dynamodb:PutItem"): "the watch, notices",
}
"""Every cell that is not empty."""


def test_the_page_of_powers_is_what_the_policies_say():
    assert draw_powers.PAGE.read_text(encoding="utf-8") == draw_powers.document()


def test_nobody_has_a_dangerous_power_that_was_not_intended():
    filled = {
        (name, action): said for name, cells in draw_powers.table().items() for action, said in cells.items() if said
    }

    assert filled == INTENDED


def test_a_condition_that_nobody_explained_is_an_error():
    odd = {"Effect": "Allow", "Action": "sns:Publish", "Condition": {"Bool": {"aws:SecureTransport": "true"}}}

    with pytest.raises(KeyError):
        draw_powers.cell({"Statement": [odd]}, "sns:Publish")


OF_THE_STACK = "arn:aws:dynamodb:us-east-1:123456789012:table/of-the-stack"


def of_account(value):
    """A policy of ours as CloudFormation would write it, as far as KMS is concerned."""
    if isinstance(value, list):
        return [of_account(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "Fn::Sub" in value:
        text = value["Fn::Sub"].replace("${AWS::Partition}", "aws").replace("${TrackerTable.Arn}", OF_THE_STACK)
        return text.replace("${AWS::AccountId}", "123456789012").replace("${AWS::Region}", "us-east-1")
    if len(value) == 1 and next(iter(value)) in {"Ref", "Fn::GetAtt", "Fn::If"}:
        return OF_THE_STACK
    return {name: of_account(item) for name, item in value.items()}


@pytest.fixture(scope="module")
def as_function(aws):
    """KMS as one of the functions calls it: with a role that has its policy."""
    people = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::123456789012:root"}, "Action": "sts:AssumeRole"}

    def client(name):
        policy = of_account(draw_powers.policies()[name])
        arn = aws.create_role(f"{name}-role", {"Version": "2012-10-17", "Statement": [people]}, policy)
        given = aws.client("sts").assume_role(RoleArn=arn, RoleSessionName=name)["Credentials"]
        import boto3

        return boto3.client(
            "kms",
            region_name="us-east-1",
            endpoint_url=aws.address,
            aws_access_key_id=given["AccessKeyId"],
            aws_secret_access_key=given["SecretAccessKey"],
            aws_session_token=given["SessionToken"],
        )

    return {name: client(name) for name in ("retire", "rotate", "guard", "sweep")}


@pytest.fixture
def key(kms):
    """A key, ours or somebody else's."""

    def make(*, ours):
        tags = [{"TagKey": "keyturn:owner", "TagValue": "keyturn"}] if ours else []
        return kms.create_key(Tags=tags)["KeyMetadata"]["KeyId"]

    return make


def refused(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"]


def in_control(account="123456789012"):
    root = {"AWS": f"arn:aws:iam::{account}:root"}
    statement = {"Effect": "Allow", "Principal": root, "Action": "kms:*", "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_rotate_makes_a_key_as_the_adapter_asks_for_it_and_none_that_is_not_marked(as_function):
    from chalicelib.adapters.kms import KmsKeys
    from chalicelib.domain.observed import NewKey

    made = KmsKeys(as_function["rotate"], "123456789012", "us-east-1").create(
        NewKey(
            alias="alias/keyturn/p1/1-r1", project_id="p1", project_name="payments", rotation_id="r1",
            policy=in_control(),
        )
    )  # fmt: skip

    assert made.account == "123456789012"
    unmarked = {"Policy": in_control(), "BypassPolicyLockoutSafetyCheck": True}
    assert refused(as_function["rotate"].create_key, **unmarked) == "AccessDeniedException"


def test_without_skipping_the_lock_out_check_rotate_could_make_no_key(as_function):
    ours = [{"TagKey": "keyturn:owner", "TagValue": "keyturn"}]

    refusal = refused(as_function["rotate"].create_key, Policy=in_control(), Tags=ours)

    assert refusal == "MalformedPolicyDocumentException"


def test_retire_disables_and_schedules_our_keys_in_thirty_days_and_no_sooner(as_function, key):
    ours, retire = key(ours=True), as_function["retire"]

    retire.disable_key(KeyId=ours)
    assert refused(retire.schedule_key_deletion, KeyId=ours, PendingWindowInDays=29) == "AccessDeniedException"
    assert retire.schedule_key_deletion(KeyId=ours, PendingWindowInDays=30)["PendingWindowInDays"] == 30


def test_retire_touches_no_key_without_our_tag(as_function, key):
    foreign, retire = key(ours=False), as_function["retire"]

    assert refused(retire.disable_key, KeyId=foreign) == "AccessDeniedException"
    assert refused(retire.schedule_key_deletion, KeyId=foreign, PendingWindowInDays=30) == "AccessDeniedException"


@pytest.mark.parametrize("name", ["rotate", "guard", "sweep"])
def test_nobody_else_endangers_a_key_even_one_of_ours(as_function, key, name):
    ours, function = key(ours=True), as_function[name]

    assert refused(function.disable_key, KeyId=ours) == "AccessDeniedException"
    assert refused(function.schedule_key_deletion, KeyId=ours, PendingWindowInDays=30) == "AccessDeniedException"
    assert refused(function.put_key_policy, KeyId=ours, Policy=in_control()) == "AccessDeniedException"


def test_guard_brings_back_every_key(as_function, kms, key):
    foreign = key(ours=False)
    kms.schedule_key_deletion(KeyId=foreign, PendingWindowInDays=7)

    as_function["guard"].cancel_key_deletion(KeyId=foreign)
    as_function["guard"].enable_key(KeyId=foreign)

    assert kms.describe_key(KeyId=foreign)["KeyMetadata"]["KeyState"] == "Enabled"
