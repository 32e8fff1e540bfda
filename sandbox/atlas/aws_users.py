"""AWS as an IAM user calls it: KMS and STS over HTTP, every request signed with the user's own credentials."""

from collections.abc import Callable
from typing import Any

import boto3
from botocore.exceptions import ClientError

from sandbox.atlas.cmk import AccessKey
from sandbox.atlas.keys import Answer, BadCredentials

_METHODS = {"DescribeKey": "describe_key", "Encrypt": "encrypt", "Decrypt": "decrypt"}
_NOBODY = frozenset({"InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch", "AccessDenied"})


class RefusedByAws(Exception):
    """A refusal of AWS with its code."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class SignedUsers:
    """Calls the AWS at `address`; `secret_of` is asked where that AWS checks no signatures itself."""

    def __init__(self, address: str, secret_of: Callable[[str], str | None]) -> None:
        self._address = address
        self._secret_of = secret_of
        self._clients: dict[tuple[AccessKey, str, str], Any] = {}

    def arn_of(self, access: AccessKey) -> str:
        """The user's ARN, from STS; raises BadCredentials."""
        self._check(access)
        try:
            return str(self._client(access, "sts", "us-east-1").get_caller_identity()["Arn"])
        except ClientError as refused:
            if refused.response["Error"]["Code"] in _NOBODY:
                raise BadCredentials(access) from refused
            raise

    def call(self, operation: str, body: Answer, *, access: AccessKey, region: str) -> Answer:
        """Do one operation of KMS; raises RefusedByAws and BadCredentials."""
        self._check(access)
        try:
            answer: Answer = getattr(self._client(access, "kms", region), _METHODS[operation])(**body)
        except ClientError as refused:
            raise RefusedByAws(refused.response["Error"]["Code"]) from refused
        return answer

    def _check(self, access: AccessKey) -> None:
        if self._secret_of(access.access_key_id) != access.secret_access_key:
            raise BadCredentials(access)

    def _client(self, access: AccessKey, service: str, region: str) -> Any:  # noqa: ANN401 - boto3's
        known = (access, service, region)
        if known not in self._clients:
            self._clients[known] = boto3.session.Session().client(
                service,
                region_name=region,
                endpoint_url=self._address,
                aws_access_key_id=access.access_key_id,
                aws_secret_access_key=access.secret_access_key,
            )
        return self._clients[known]
