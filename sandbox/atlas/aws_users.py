"""AWS as an IAM user calls it: KMS and STS over HTTP, every request signed with the user's own credentials."""

import re
from base64 import b64decode, b64encode
from collections.abc import Callable

import msgspec
import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from sandbox.atlas.cmk import AccessKey
from sandbox.atlas.keys import Answer, BadCredentials

_BLOBS = ("CiphertextBlob", "Plaintext")
_ARN = re.compile(r"<Arn>([^<]+)</Arn>")
_OK = 200


class RefusedByAws(Exception):
    """A refusal of AWS with its code."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class SignedUsers:
    """Calls the AWS at `address`; `secret_of` is asked because that AWS checks no signatures itself."""

    def __init__(self, address: str, secret_of: Callable[[str], str | None]) -> None:
        self._address = address
        self._secret_of = secret_of
        self._pool = urllib3.PoolManager(retries=False)

    def arn_of(self, access: AccessKey) -> str:
        """The user's ARN, from STS; raises BadCredentials."""
        body = b"Action=GetCallerIdentity&Version=2011-06-15"
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        status, answer = self._send("sts", "us-east-1", access, body, headers)
        found = _ARN.search(answer.decode())
        if status != _OK or found is None:
            raise BadCredentials(access)
        return found[1]

    def call(self, operation: str, body: Answer, *, access: AccessKey, region: str) -> Answer:
        """Do one operation of KMS; raises RefusedByAws and BadCredentials."""
        written = {
            name: b64encode(value).decode() if isinstance(value, bytes) else value for name, value in body.items()
        }
        headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"TrentService.{operation}"}
        status, raw = self._send("kms", region, access, msgspec.json.encode(written), headers)
        answer: Answer = msgspec.json.decode(raw)
        if status != _OK:
            raise RefusedByAws(str(answer.get("__type", status)).rsplit("#", 1)[-1])
        return {name: b64decode(str(value)) if name in _BLOBS else value for name, value in answer.items()}

    def _send(
        self, service: str, region: str, access: AccessKey, body: bytes, headers: dict[str, str]
    ) -> tuple[int, bytes]:
        if self._secret_of(access.access_key_id) != access.secret_access_key:
            raise BadCredentials(access)
        request = AWSRequest(method="POST", url=f"{self._address}/", data=body, headers=headers)
        signer = Credentials(access.access_key_id, access.secret_access_key)
        SigV4Auth(signer, service, region).add_auth(request)
        answer = self._pool.request("POST", request.url, body=body, headers=dict(request.headers.items()))
        return answer.status, answer.data
