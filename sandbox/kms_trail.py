"""CloudTrail's view of management calls, as EventBridge delivers it."""

from collections.abc import Mapping
from datetime import datetime
from uuid import uuid4

from sandbox.kms_callers import Caller
from sandbox.kms_calls import Answer, Call

RECORDED = frozenset(
    {
        "CreateKey",
        "DeleteAlias",
        "DisableKey",
        "EnableKey",
        "PutKeyPolicy",
        "ScheduleKeyDeletion",
        "CancelKeyDeletion",
    }
)
"""The operations that are told on."""


def event_of(call: Call, answer: Answer) -> Answer:
    """The event `AWS API Call via CloudTrail` that a successful call makes."""
    return {
        "version": "0",
        "id": str(uuid4()),
        "detail-type": "AWS API Call via CloudTrail",
        "source": "aws.kms",
        "account": call.caller.account,
        "time": _written(call.now),
        "region": call.region,
        "resources": [],
        "detail": _detail_of(call, answer),
    }


def _detail_of(call: Call, answer: Answer) -> Answer:
    return {
        "eventVersion": "1.11",
        "userIdentity": _identity_of(call.caller, call.now),
        "eventTime": _written(call.now),
        "eventSource": "kms.amazonaws.com",
        "eventName": call.operation,
        "awsRegion": call.region,
        "sourceIPAddress": call.caller.source_ip or "127.0.0.1",
        "userAgent": "sandbox",
        "requestParameters": _camel(call.body),
        "responseElements": _camel(answer) or None,
        "requestID": call.request_id,
        "eventID": call.event_id,
        "readOnly": False,
        "resources": [{"accountId": key.arn.account, "type": "AWS::KMS::Key", "ARN": key.name} for key in call.touched],
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": call.caller.account,
        "eventCategory": "Management",
    }


def _identity_of(caller: Caller, now: datetime) -> Answer:
    if caller.is_root:
        return {"type": "Root", "principalId": caller.account, "arn": caller.arn, "accountId": caller.account}
    if caller.role_name is None:
        name = caller.arn.rsplit("/", 1)[-1]
        kind: Answer = {"type": "IAMUser", "userName": name, "principalId": f"AIDA{name.upper()}"}
        return kind | {"arn": caller.arn, "accountId": caller.account}
    return {
        "type": "AssumedRole",
        "principalId": f"AROA{caller.role_name.upper()}:{caller.session_name or caller.role_name}",
        "arn": caller.arn,
        "accountId": caller.account,
        "sessionContext": _session_of(caller, now),
    }


def _session_of(caller: Caller, now: datetime) -> Answer:
    name = caller.role_name or ""
    issuer = {
        "type": "Role",
        "principalId": f"AROA{name.upper()}",
        "arn": f"arn:aws:iam::{caller.account}:role/{name}",
        "accountId": caller.account,
        "userName": name,
    }
    return {
        "sessionIssuer": issuer,
        "attributes": {"creationDate": _written(now), "mfaAuthenticated": "false"},
    }


def _camel(values: Mapping[str, object]) -> Answer:
    return {name[:1].lower() + name[1:]: _plain(value) for name, value in values.items()}


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.strftime("%b %-d, %Y, %-I:%M:%S %p")
    if isinstance(value, dict):
        return _camel(value)
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _written(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")
