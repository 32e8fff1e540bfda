"""The strict KMS tells whoever listens which management call was made, by whom, on which key."""

import json

from strict_kms_world import (
    ACCOUNT,
    ATLAS,
    ATLAS_ROLE,
    HOME,
    STRANGER,
    World,
    allow,
    document,
)


def test_management_calls_are_told_on_with_who_did_what_to_which_key():
    events = []
    world = World(on_api_call=events.append)
    key = world.new_key(Policy=document(ACCOUNT, allow("kms:*", Principal={"AWS": ATLAS_ROLE})))

    world.do("ScheduleKeyDeletion", ATLAS, KeyId=key[-36:], PendingWindowInDays=7)

    event = events[-1]
    detail = event["detail"]
    assert (event["source"], event["detail-type"]) == ("aws.kms", "AWS API Call via CloudTrail")
    assert (detail["eventSource"], detail["eventName"]) == ("kms.amazonaws.com", "ScheduleKeyDeletion")
    assert detail["eventTime"] == "2026-01-01T00:00:00Z"
    assert detail["requestParameters"] == {"keyId": key[-36:], "pendingWindowInDays": 7}
    assert detail["resources"] == [{"accountId": HOME, "type": "AWS::KMS::Key", "ARN": key}]
    assert detail["userIdentity"]["type"] == "AssumedRole"
    assert detail["userIdentity"]["sessionContext"]["sessionIssuer"]["arn"] == ATLAS_ROLE
    assert json.loads(json.dumps(event)) == event


def test_refused_calls_and_cryptography_are_not_told_on():
    events = []
    world = World(on_api_call=events.append)
    key = world.new_key()

    world.refusal("DisableKey", STRANGER, KeyId=key)
    world.do("Encrypt", KeyId=key, Plaintext=b"x")

    assert [event["detail"]["eventName"] for event in events] == ["CreateKey"]


def test_a_listener_may_call_kms_itself():
    world = World()
    world.kms.on_api_call = lambda event: (
        event["detail"]["eventName"] == "ScheduleKeyDeletion"
        and world.do("CancelKeyDeletion", KeyId=event["detail"]["requestParameters"]["keyId"])
    )
    key = world.new_key()

    world.do("ScheduleKeyDeletion", KeyId=key)

    assert world.state(key) == "Disabled"
