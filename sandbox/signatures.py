"""Checks AWS Signature Version 4 as API Gateway does: who signed, and did they sign just this.

The age of a signature is not judged: signers use the real clock, the sandbox a virtual one.
"""

import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

SERVICE = "execute-api"

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 +Credential=(?P<key>[^/,]+)/(?P<date>\d{8})/(?P<region>[^/,]+)/(?P<service>[^/,]+)/aws4_request"
    r", *SignedHeaders=(?P<signed>[^,]+), *Signature=(?P<signature>[0-9a-f]{64})"
)


class Forbidden(Exception):
    """A request that is not signed, or signed wrongly; the text is API Gateway's."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request as it came over the wire; header names in lower case, `url` as the client wrote it."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


def signer_of(asked: Asked, secret_of: Callable[[str], str | None], region: str) -> str:
    """The access key id that signed a request; raises Forbidden."""
    given = asked.headers.get("authorization")
    if given is None:
        raise Forbidden("Missing Authentication Token")
    found = _AUTHORIZATION.fullmatch(given.strip())
    if found is None or (found["region"], found["service"]) != (region, SERVICE):
        raise Forbidden(f"Credential should be scoped to a valid region and to the service {SERVICE}.")
    secret = secret_of(found["key"])
    if secret is None:
        raise Forbidden("The security token included in the request is invalid.")
    if not hmac.compare_digest(_signature(asked, found, secret), found["signature"]):
        raise Forbidden(
            "The request signature we calculated does not match the signature you provided. "
            "Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
        )
    return found["key"]


def _signature(asked: Asked, found: re.Match[str], secret: str) -> str:
    names = found["signed"].split(";")
    headers = {name: asked.headers.get(name, "") for name in names if name != "host"}
    request = AWSRequest(method=asked.method, url=asked.url, headers=headers, data=asked.body)
    if "host" in asked.headers:
        request.headers["Host"] = asked.headers["host"]
    stamp = asked.headers.get("x-amz-date", "")
    if not stamp.startswith(found["date"]) or "host" not in names:
        raise Forbidden("Date in Credential scope does not match, or the host is not signed.")
    request.context["timestamp"] = stamp
    # A hash that the client hands in says nothing: the body that came is hashed, unless the hash is true.
    del request.headers["X-Amz-Content-SHA256"]
    if "x-amz-content-sha256" in names:
        request.headers["X-Amz-Content-SHA256"] = _payload(request, secret, found)
    auth = SigV4Auth(Credentials(found["key"], secret), found["service"], found["region"])
    text = auth.string_to_sign(request, auth.canonical_request(request))
    return str(auth.signature(text, request))


def _payload(request: AWSRequest, secret: str, found: re.Match[str]) -> str:
    auth = SigV4Auth(Credentials(found["key"], secret), found["service"], found["region"])
    return str(auth.payload(request))
