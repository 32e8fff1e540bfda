"""A function that tries every dangerous call with the role it was given, and says which were not denied."""

import boto3
from botocore.exceptions import ClientError

_DENIED = {"AccessDenied", "AccessDeniedException", "AuthorizationError", "AuthorizationErrorException"}


def attempt(event, _context):
    """Try each call once. What is allowed and then refused for another reason was allowed."""
    kms, table, key = boto3.client("kms"), boto3.client("dynamodb"), event["key"]
    item = {"pk": {"S": event["notice"]}, "sk": {"S": "TRIAL"}}
    in_table = {"TableName": event["table"]}
    calls = {
        "kms:CreateKey": lambda: kms.create_key(
            Tags=[{"TagKey": "keyturn:owner", "TagValue": "keyturn"}], BypassPolicyLockoutSafetyCheck=True
        ),
        "kms:PutKeyPolicy": lambda: kms.put_key_policy(KeyId=key, Policy="{}"),
        "kms:DisableKey": lambda: kms.disable_key(KeyId=key),
        "kms:ScheduleKeyDeletion": lambda: kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=30),
        "kms:CancelKeyDeletion": lambda: kms.cancel_key_deletion(KeyId=key),
        "kms:EnableKey": lambda: kms.enable_key(KeyId=key),
        "secretsmanager:GetSecretValue": lambda: boto3.client("secretsmanager").get_secret_value(
            SecretId=event["secret"]
        ),
        "sns:Publish": lambda: boto3.client("sns").publish(TopicArn=event["topic"], Message="a trial"),
        "dynamodb:PutItem": lambda: table.put_item(Item=item, **in_table),
        "dynamodb:UpdateItem": lambda: table.update_item(
            Key=item, UpdateExpression="SET tried = :t", ExpressionAttributeValues={":t": {"BOOL": True}}, **in_table
        ),
        "dynamodb:DeleteItem": lambda: table.delete_item(Key=item, **in_table),
    }
    return {action: _allowed(call) for action, call in calls.items()}


def _allowed(call):
    try:
        call()
    except ClientError as error:
        return error.response["Error"]["Code"] not in _DENIED
    return True
