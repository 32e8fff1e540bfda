"""The pretend AWS over HTTP: who calls, what time it is, and what moto would get wrong by itself."""

import json
from datetime import UTC, datetime, timedelta

import moto.core.utils
import pytest
from botocore.exceptions import ClientError
from moto.dynamodb.models.table import StreamShard, Table

from sandbox.aws import Depth, PretendAws, User
from sandbox.clock import VirtualClock
from sandbox.kms_callers import Caller

START = datetime(2027, 3, 1, tzinfo=UTC)
OTHER = "210987654321"
RESOURCES = {
    "Work": {
        "Type": "AWS::SQS::Queue",
        "Properties": {
            "VisibilityTimeout": 60,
            "RedrivePolicy": {"deadLetterTargetArn": {"Fn::GetAtt": ["Dead", "Arn"]}, "maxReceiveCount": 2},
        },
    },
    "Dead": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": {"Fn::Sub": "${AWS::StackName}-dead"}}},
    "News": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": {"Fn::Join": ["-", ["the", "news"]]}}},
    "Bus": {"Type": "AWS::Events::EventBus", "Properties": {"Name": "bus"}},
    "Memory": {
        "Type": "AWS::DynamoDB::Table",
        "Properties": {
            "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": [
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
            "AttributeDefinitions": [
                {"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "due_kind", "due_at")
            ],
            "GlobalSecondaryIndexes": [
                {
                    "IndexName": "due",
                    "KeySchema": [
                        {"AttributeName": "due_kind", "KeyType": "HASH"},
                        {"AttributeName": "due_at", "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "KEYS_ONLY"},
                }
            ],
            "StreamSpecification": {"StreamViewType": "NEW_AND_OLD_IMAGES"},
            "TimeToLiveSpecification": {"AttributeName": "ttl", "Enabled": True},
            "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
        },
    },
    "Logs": {"Type": "AWS::Logs::LogGroup", "Properties": {"RetentionInDays": {"Ref": "Nobody"}}},
    "Overlay": {"Properties": {"MemorySize": 512}},
}


def policy(action, resource="*"):
    statement = {"Effect": "Allow", "Action": action, "Resource": resource}
    return {"Version": "2012-10-17", "Statement": [statement]}


def trust(principal, **more):
    statement = {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "sts:AssumeRole", **more}
    return {"Version": "2012-10-17", "Statement": [statement]}


@pytest.fixture
def clock():
    return VirtualClock(START)


@pytest.fixture
def aws(clock):
    with PretendAws(clock) as running:
        yield running


@pytest.fixture
def made(aws):
    return aws.provision(RESOURCES)


@pytest.fixture
def table(made):
    return made["Memory"]["name"]


def later(clock, **step):
    clock.advance_to(clock.now() + timedelta(**step))


def code_of(call, **parameters):
    with pytest.raises(ClientError) as refused:
        call(**parameters)
    return refused.value.response["Error"]["Code"]


def assumed(aws, arn, user=None, **more):
    answer = aws.client("sts", user).assume_role(RoleArn=arn, RoleSessionName="s1", **more)
    return answer["Credentials"]


def client_with(aws, service, credentials):
    session = User(
        arn="",
        access_key_id=credentials["AccessKeyId"],
        secret_access_key=credentials["SecretAccessKey"],
    )
    return aws.client(service, session)


def item(pk, sk="s", **more):
    return {name: {"S": value} for name, value in {"pk": pk, "sk": sk, **more}.items()}


# ---- KMS over HTTP ----


def test_boto3_encrypts_and_decrypts_through_the_door(aws):
    kms = aws.client("kms")
    key = kms.create_key(Description="over HTTP", Tags=[{"TagKey": "a", "TagValue": "b"}])["KeyMetadata"]

    blob = kms.encrypt(KeyId=key["Arn"], Plaintext=b"\x00\xff")["CiphertextBlob"]

    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"\x00\xff"
    assert key["CreationDate"] == START
    assert key["AWSAccountId"] == aws.account


def test_errors_of_kms_arrive_as_boto3_knows_them(aws):
    kms = aws.client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.disable_key(KeyId=key)

    with pytest.raises(kms.exceptions.DisabledException, match="is disabled"):
        kms.encrypt(KeyId=key, Plaintext=b"x")


def test_a_key_page_by_page_through_boto3s_own_paginator(aws):
    kms = aws.client("kms")
    made = {kms.create_key()["KeyMetadata"]["KeyId"] for _ in range(5)}

    pages = kms.get_paginator("list_keys").paginate(PaginationConfig={"PageSize": 2})

    assert {key["KeyId"] for page in pages for key in page["Keys"]} == made


def test_a_user_can_do_what_its_own_policy_says(aws):
    kms = aws.client("kms")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    reader = aws.client("kms", aws.create_user("reader", policy("kms:DescribeKey", key)))

    assert reader.describe_key(KeyId=key)["KeyMetadata"]["Arn"] == key
    assert code_of(reader.encrypt, KeyId=key, Plaintext=b"x") == "AccessDeniedException"


def test_policies_attached_over_the_iam_api_count_at_once(aws):
    user = aws.create_user("late", policy("sqs:*"))
    kms, iam = aws.client("kms", user), aws.client("iam")
    before = code_of(kms.list_keys)
    arn = iam.create_policy(PolicyName="p", PolicyDocument=json.dumps(policy("kms:ListKeys")))["Policy"]["Arn"]
    iam.create_group(GroupName="g")
    iam.attach_group_policy(GroupName="g", PolicyArn=arn)

    iam.add_user_to_group(GroupName="g", UserName="late")

    assert before == "AccessDeniedException"
    assert kms.list_keys()["Keys"] == []


def test_an_unknown_access_key_is_refused(aws):
    nobody = User(arn="", access_key_id="AKIAIOSFODNN7EXAMPLE", secret_access_key="none")

    assert code_of(aws.client("kms", nobody).list_keys) == "UnrecognizedClientException"
    assert code_of(aws.client("sts", nobody).get_caller_identity) == "InvalidClientTokenId"


def test_an_inactive_access_key_is_refused(aws):
    user = aws.create_user("leaver", policy("kms:*"))
    aws.client("iam").update_access_key(UserName="leaver", AccessKeyId=user.access_key_id, Status="Inactive")

    assert code_of(aws.client("kms", user).list_keys) == "UnrecognizedClientException"
    assert aws.secret_of(user.access_key_id) is None


def test_the_secret_and_the_person_behind_an_access_key_can_be_looked_up(aws):
    user = aws.create_user("anna", policy("kms:*"))

    assert aws.secret_of(user.access_key_id) == user.secret_access_key
    assert aws.caller_of(user.access_key_id) == Caller(user.arn, aws.account)
    assert aws.caller_of("AKIAIOSFODNN7EXAMPLE") is None
    assert aws.secret_of("AKIAIOSFODNN7EXAMPLE") is None


# ---- roles ----


def test_a_role_of_another_account_acts_in_that_account(aws):
    role = aws.create_role("keys", trust(f"arn:aws:iam::{aws.account}:root"), policy("kms:*"), account=OTHER)

    kms = client_with(aws, "kms", assumed(aws, role))

    key = kms.create_key()["KeyMetadata"]
    assert key["AWSAccountId"] == OTHER
    assert code_of(aws.client("kms").describe_key, KeyId=key["Arn"]) == "AccessDeniedException"


def test_an_administrator_comes_into_any_other_account(aws):
    credentials = assumed(aws, f"arn:aws:iam::{OTHER}:role/OrganizationAccountAccessRole")

    key = client_with(aws, "kms", credentials).create_key()["KeyMetadata"]

    assert key["AWSAccountId"] == OTHER
    assert aws.caller_of(credentials["AccessKeyId"]) == Caller(
        f"arn:aws:sts::{OTHER}:assumed-role/OrganizationAccountAccessRole/s1", OTHER
    )


def test_nobody_else_comes_into_another_account(aws):
    user = aws.create_user("plain", policy("kms:*"))
    sts = aws.client("sts", user)

    role = f"arn:aws:iam::{OTHER}:role/OrganizationAccountAccessRole"

    assert code_of(sts.assume_role, RoleArn=role, RoleSessionName="s1") == "AccessDenied"


def test_a_role_that_does_not_exist_at_home_cannot_be_assumed(aws):
    sts = aws.client("sts")

    role = f"arn:aws:iam::{aws.account}:role/none"

    assert code_of(sts.assume_role, RoleArn=role, RoleSessionName="s1") == "AccessDenied"


def test_the_external_id_of_a_trust_policy_must_be_given(aws):
    condition = {"StringEquals": {"sts:ExternalId": "e-1"}}
    role = aws.create_role("atlas", trust("*", Condition=condition))
    sts = aws.client("sts")

    assert code_of(sts.assume_role, RoleArn=role, RoleSessionName="s1") == "AccessDenied"
    assert assumed(aws, role, ExternalId="e-1")["AccessKeyId"].startswith("ASIA")


def test_a_session_ends_on_the_virtual_clock(aws, clock):
    role = aws.create_role("short", trust(f"arn:aws:iam::{aws.account}:root"), policy("kms:*"))
    credentials = assumed(aws, role, DurationSeconds=900)
    kms = client_with(aws, "kms", credentials)
    assert kms.list_keys()["Keys"] == []

    later(clock, seconds=900)

    assert credentials["Expiration"] == START + timedelta(seconds=900)
    assert aws.caller_of(credentials["AccessKeyId"]) is None
    assert code_of(kms.list_keys) == "ExpiredTokenException"


def naming(principal):
    whole = {"Effect": "Allow", "Principal": {"AWS": PretendAws.account}, "Action": "kms:*", "Resource": "*"}
    statement = {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "kms:Encrypt", "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [whole, statement]})


@pytest.mark.parametrize("name", ["role/none", "user/nobody", "role/*", "user/team/ada", "role/atlas/"])
@pytest.mark.parametrize("account", [PretendAws.account, OTHER])
def test_a_key_policy_can_name_nobody_who_does_not_exist(aws, account, name):
    aws.create_role("atlas", trust("*"), account=account)
    kms = aws.client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    policy = naming(f"arn:aws:iam::{account}:{name}")

    assert code_of(kms.create_key, Policy=policy) == "MalformedPolicyDocumentException"
    assert code_of(kms.put_key_policy, KeyId=key, Policy=policy) == "MalformedPolicyDocumentException"


def test_a_key_policy_can_name_roles_and_users_as_long_as_they_exist(aws):
    kms, iam = aws.client("kms"), aws.client("iam")
    role = iam.create_role(RoleName="atlas", Path="/team/", AssumeRolePolicyDocument=json.dumps(trust("*")))
    policy = naming([role["Role"]["Arn"], aws.admin.arn])
    taken = kms.create_key(Policy=policy)["KeyMetadata"]["KeyId"]

    iam.delete_role(RoleName="atlas")

    assert code_of(kms.put_key_policy, KeyId=taken, Policy=policy) == "MalformedPolicyDocumentException"


@pytest.mark.parametrize(
    "principal",
    [f"arn:aws:iam::{OTHER}:role/atlas", OTHER, f"arn:aws:sts::{PretendAws.account}:assumed-role/none/s1"],
)
def test_a_key_policy_may_name_whom_the_sandbox_cannot_know(aws, principal):
    assert aws.client("kms").create_key(Policy=naming(principal))["KeyMetadata"]["Enabled"]


# ---- provisioning ----


def test_a_template_becomes_resources_and_what_it_does_not_know_is_left_out(aws, made):
    assert made.keys() == {"Work", "Dead", "News", "Bus", "Memory"}
    assert made["Dead"]["name"] == "keyturn-dead"
    assert made["News"]["arn"] == f"arn:aws:sns:us-east-1:{aws.account}:the-news"
    assert made["Work"]["url"].startswith(aws.address)
    assert made["Memory"]["stream_arn"].startswith(made["Memory"]["arn"])


def test_a_queue_gets_the_dead_letter_queue_of_its_template(aws, made):
    answer = aws.client("sqs").get_queue_attributes(QueueUrl=made["Work"]["url"], AttributeNames=["All"])

    redrive = json.loads(answer["Attributes"]["RedrivePolicy"])
    assert redrive == {"deadLetterTargetArn": made["Dead"]["arn"], "maxReceiveCount": 2}


def test_what_a_template_makes_only_under_a_condition_is_left_out(aws):
    named = {"Fn::If": ["Special", "special", "usual"]}
    left_out = {"Fn::If": ["Special", "1", {"Ref": "AWS::NoValue"}]}
    resources = {"Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": named, "DelaySeconds": left_out}}}

    made = aws.provision(resources)

    given = aws.client("sqs").get_queue_attributes(QueueUrl=made["Queue"]["url"], AttributeNames=["DelaySeconds"])
    assert made["Queue"]["name"] == "usual"
    assert given["Attributes"]["DelaySeconds"] == "0"


@pytest.mark.parametrize("broken", [{"Ref": "Nobody"}, {"Fn::Select": [0, ["a"]]}, {"Ref": "Loop"}])
def test_what_cannot_be_resolved_is_an_error_and_never_a_guess(aws, broken):
    resources = {"Loop": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": broken}}}

    with pytest.raises(ValueError, match=r"Nobody|Fn::Select|Loop"):
        aws.provision(resources)


def test_parameters_fill_in_what_the_template_leaves_open(aws):
    resources = {"Q": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": {"Fn::Sub": "${Stage}-q"}}}}

    assert aws.provision(resources, {"Stage": "demo"})["Q"]["name"] == "demo-q"


# ---- SQS on the virtual clock ----


def test_a_delayed_message_comes_when_the_virtual_clock_says_so(aws, clock, made):
    sqs, url = aws.client("sqs"), made["Work"]["url"]
    sqs.send_message(QueueUrl=url, MessageBody="wake", DelaySeconds=600)
    at = START + timedelta(seconds=600)

    assert aws.queue_depths()[url] == Depth(visible=0, next_visible_at=at)
    assert "Messages" not in sqs.receive_message(QueueUrl=url)
    clock.advance_to(at)
    assert aws.queue_depths()[url] == Depth(visible=1, next_visible_at=None)
    assert sqs.receive_message(QueueUrl=url)["Messages"][0]["Body"] == "wake"


def test_an_unfinished_message_comes_back_and_at_last_goes_to_the_dead_letters(aws, clock, made):
    sqs, url = aws.client("sqs"), made["Work"]["url"]
    sqs.send_message(QueueUrl=url, MessageBody="poison")
    for _ in range(2):
        assert len(sqs.receive_message(QueueUrl=url)["Messages"]) == 1
        again = aws.queue_depths()[url].next_visible_at
        assert aws.queue_depths()[url].visible == 0
        clock.advance_to(again)
        assert aws.queue_depths()[url].visible == 1

    assert "Messages" not in sqs.receive_message(QueueUrl=url)

    assert aws.queue_depths()[url] == Depth(visible=0, next_visible_at=None)
    assert aws.queue_depths()[made["Dead"]["url"]].visible == 1


def test_a_message_past_its_retention_is_not_waited_for(aws, clock, made):
    sqs, url = aws.client("sqs"), made["Work"]["url"]
    sqs.send_message(QueueUrl=url, MessageBody="old")

    later(clock, days=4)

    assert aws.queue_depths()[url] == Depth(visible=0, next_visible_at=None)


def test_a_long_poll_does_not_wait_in_real_time(aws, made):
    answer = aws.client("sqs").receive_message(QueueUrl=made["Work"]["url"], WaitTimeSeconds=20)

    assert "Messages" not in answer


# ---- DynamoDB set right ----


def records(aws, made, kind="TRIM_HORIZON"):
    streams, stream = aws.client("dynamodbstreams"), made["Memory"]["stream_arn"]
    shard = streams.describe_stream(StreamArn=stream)["StreamDescription"]["Shards"][0]["ShardId"]
    answer = streams.get_shard_iterator(StreamArn=stream, ShardId=shard, ShardIteratorType=kind)
    return lambda: streams.get_records(ShardIterator=answer["ShardIterator"])["Records"]


def test_stream_records_carry_virtual_time_and_move_the_position(aws, made, table):
    before = aws.stream_position()

    aws.client("dynamodb").put_item(TableName=table, Item=item("p"))

    (record,) = records(aws, made)()
    assert record["eventName"] == "INSERT"
    assert record["dynamodb"]["ApproximateCreationDateTime"] == START
    assert aws.stream_position() == before + 1


def test_a_write_that_changes_nothing_makes_no_record(aws, table):
    client = aws.client("dynamodb")
    client.put_item(TableName=table, Item=item("p"))
    before = aws.stream_position()

    client.put_item(TableName=table, Item=item("p"))

    assert aws.stream_position() == before


def test_a_cancelled_transaction_leaves_no_trace_anywhere(aws, made, table):
    client = aws.client("dynamodb")
    client.put_item(TableName=table, Item=item("a", due_kind="sweep", due_at="2027-05"))
    watch, before = records(aws, made), aws.stream_position()
    new = {"TableName": table, "Item": item("b", due_kind="sweep", due_at="2027-04")}
    change = {
        "TableName": table,
        "Key": item("a"),
        "UpdateExpression": "SET due_at = :d",
        "ExpressionAttributeValues": {":d": {"S": "2027-01"}},
    }
    clash = {"TableName": table, "Item": item("c"), "ConditionExpression": "attribute_exists(pk)"}

    code = code_of(
        client.transact_write_items,
        TransactItems=[{"Put": new}, {"Update": change}, {"Put": clash}],
    )

    assert code == "TransactionCanceledException"
    assert aws.stream_position() == before
    assert client.scan(TableName=table)["Items"] == [item("a", due_kind="sweep", due_at="2027-05")]
    assert aws.due_items(table) == {"sweep": "2027-05"}
    client.put_item(TableName=table, Item=item("d"))
    assert [record["dynamodb"]["Keys"]["pk"]["S"] for record in watch()] == ["a", "d"]


def test_a_repeated_transaction_token_writes_once_and_another_content_is_refused(aws, clock, table):
    client = aws.client("dynamodb")
    add = {
        "TableName": table,
        "Key": item("n"),
        "UpdateExpression": "ADD n :one",
        "ExpressionAttributeValues": {":one": {"N": "1"}},
    }
    once = {"TransactItems": [{"Update": add}], "ClientRequestToken": "t-1"}

    client.transact_write_items(**once)
    client.transact_write_items(**once)

    other = {**once, "TransactItems": [{"Put": {"TableName": table, "Item": item("x")}}]}
    assert code_of(client.transact_write_items, **other) == "IdempotentParameterMismatchException"
    assert client.get_item(TableName=table, Key=item("n"))["Item"]["n"] == {"N": "1"}
    later(clock, minutes=10)
    client.transact_write_items(**once)
    assert client.get_item(TableName=table, Key=item("n"))["Item"]["n"] == {"N": "2"}


def test_queries_find_the_same_items_as_a_scan_would(aws, table):
    client = aws.client("dynamodb")
    for number in range(30):
        kind = {"due_kind": f"k{number % 3}", "due_at": f"2027-{number % 12 + 1:02}"} if number % 2 else {}
        client.put_item(TableName=table, Item=item(f"p{number % 4}", f"s{number:02}", **kind))
    client.delete_item(TableName=table, Key=item("p1", "s01"))
    client.update_item(
        TableName=table,
        Key=item("p3", "s03"),
        UpdateExpression="REMOVE due_at",
    )
    everything = client.scan(TableName=table)["Items"]

    found = client.query(
        TableName=table,
        KeyConditionExpression="pk = :p",
        ExpressionAttributeValues={":p": {"S": "p1"}},
    )["Items"]
    due = client.query(
        TableName=table,
        IndexName="due",
        KeyConditionExpression="due_kind = :k AND due_at <= :t",
        ExpressionAttributeValues={":k": {"S": "k0"}, ":t": {"S": "2027-11"}},
    )["Items"]

    assert found == sorted((one for one in everything if one["pk"]["S"] == "p1"), key=lambda one: one["sk"]["S"])
    wanted = [one for one in everything if one.get("due_kind") == {"S": "k0"} and "due_at" in one]
    assert [one["due_at"]["S"] for one in due] == sorted(one["due_at"]["S"] for one in wanted)
    assert len(due) == 4


def test_the_earliest_due_item_of_each_kind_is_known_without_a_query(aws, table):
    client = aws.client("dynamodb")
    client.put_item(TableName=table, Item=item("a", due_kind="sweep", due_at="2027-03-05T00:00:00.000000Z"))
    client.put_item(TableName=table, Item=item("b", due_kind="sweep", due_at="2027-03-02T00:00:00.000000Z"))
    client.put_item(TableName=table, Item=item("c", due_kind="notice", due_at="2027-03-01T00:00:00.000000Z"))

    assert aws.due_items(table) == {
        "sweep": "2027-03-02T00:00:00.000000Z",
        "notice": "2027-03-01T00:00:00.000000Z",
    }
    assert aws.due_items(table, now=START) == {"notice": "2027-03-01T00:00:00.000000Z"}
    client.delete_item(TableName=table, Key=item("b"))
    assert aws.due_items(table)["sweep"] == "2027-03-05T00:00:00.000000Z"


# ---- what was sent ----


def test_every_published_message_is_in_the_inbox_with_virtual_time(aws, clock, made):
    later(clock, days=2)

    aws.client("sns").publish(
        TopicArn=made["News"]["arn"],
        Subject="Key due",
        Message="Rotate",
        MessageAttributes={"kind": {"DataType": "String", "StringValue": "reminder"}},
    )

    assert aws.inbox() == [
        {
            "time": "2027-03-03T00:00:00Z",
            "topic": made["News"]["arn"],
            "subject": "Key due",
            "body": "Rotate",
            "attributes": {"kind": "reminder"},
        }
    ]


def test_every_accepted_event_is_kept_as_eventbridge_would_deliver_it(aws, made):
    entry = {"Source": "keyturn", "DetailType": "notice", "Detail": '{"n": 1}', "EventBusName": "bus"}
    bad = {**entry, "Detail": "{"}

    aws.client("events").put_events(Entries=[entry, bad])

    (event,) = aws.bus_events()
    assert (event["bus"], event["source"], event["detail-type"]) == ("bus", "keyturn", "notice")
    assert event["detail"] == {"n": 1}
    assert event["time"] == "2027-03-01T00:00:00Z"


def test_secrets_carry_virtual_time(aws):
    secrets = aws.client("secretsmanager")
    secrets.create_secret(Name="keyturn/atlas", SecretString="{}")

    assert secrets.describe_secret(SecretId="keyturn/atlas")["CreatedDate"] == START


# ---- coming and going ----


def test_leaving_puts_moto_back_as_it_was_and_forgets_everything(clock):
    before = (moto.core.utils.utcnow, StreamShard.add, Table.query)
    with PretendAws(clock) as aws:
        aws.provision(RESOURCES)
        user = aws.create_user("gone", policy("kms:*"))
        assert moto.core.utils.utcnow() == START.replace(tzinfo=None)

    assert (moto.core.utils.utcnow, StreamShard.add, Table.query) == before
    with PretendAws(clock) as aws:
        assert aws.queue_depths() == {}
        assert aws.secret_of(user.access_key_id) is None
        assert aws.inbox() == []


def test_new_keys_can_take_a_while_to_be_seen(clock):
    with PretendAws(clock, consistency_delay=timedelta(seconds=3)) as aws:
        kms = aws.client("kms")
        key = kms.create_key()["KeyMetadata"]["KeyId"]

        early = code_of(kms.enable_key_rotation, KeyId=key)
        later(clock, seconds=3)
        kms.enable_key_rotation(KeyId=key)

        assert early == "NotFoundException"
        assert kms.get_key_rotation_status(KeyId=key)["NextRotationDate"] == clock.now() + timedelta(days=365)
