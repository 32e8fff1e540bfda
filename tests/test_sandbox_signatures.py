"""What the sandbox takes for a signature: the signers are a hand-made Signature Version 4 and botocore's."""

import hashlib
import hmac

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from sandbox.signatures import SERVICE, Asked, Forbidden, signer_of

KEY, SECRET, REGION = "AKIAEXAMPLE", "a secret of no value", "us-east-1"
PLACE = f"{REGION}/{SERVICE}"
HOST, STAMP = "127.0.0.1:8400", "20270104T060000Z"


def secret_of(access_key_id):
    return SECRET if access_key_id == KEY else None


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def hand_signed(path="/v1/keys", query="", body=b"", *, key=KEY, secret=SECRET, place=PLACE):
    """A request signed step by step as AWS' documentation says, with nobody's library."""
    method = "POST" if body else "GET"
    headers = {"content-type": "application/json", "host": HOST, "x-amz-date": STAMP}
    signed = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    canonical = "\n".join([method, path, query, lines, signed, sha256(body)])
    scope = f"{STAMP[:8]}/{place}/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", STAMP, scope, sha256(canonical.encode())])
    signing = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        signing = hmac.new(signing, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(signing, text.encode(), hashlib.sha256).hexdigest()
    credential = f"Credential={key}/{scope}"
    headers["authorization"] = f"AWS4-HMAC-SHA256 {credential}, SignedHeaders={signed}, Signature={signature}"
    return asked(method, path + (f"?{query}" if query else ""), headers, body)


def botocore_signed(target="/v1/keys", body=b"", **headers):
    request = AWSRequest("POST", f"http://{HOST}{target}", headers=headers, data=body)
    SigV4Auth(Credentials(KEY, SECRET), SERVICE, REGION).add_auth(request)
    named = {name.lower(): value for name, value in request.headers.items()}
    return asked("POST", target, {"host": HOST, **named}, body)


def asked(method, target, headers, body=b""):
    return Asked(method=method, url=f"http://{HOST}{target}", headers=headers, body=body)


def but(request, *, method=None, target=None, body=None, **headers):
    """The same request, changed on its way."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    kept = {name: value for name, value in {**request.headers, **named}.items() if value is not None}
    url = request.url if target is None else f"http://{HOST}{target}"
    body = request.body if body is None else body
    return Asked(method=method or request.method, url=url, headers=kept, body=body)


def refusal_of(request):
    with pytest.raises(Forbidden) as refused:
        signer_of(request, secret_of, REGION)
    return str(refused.value)


@pytest.mark.parametrize(
    "request_",
    [
        hand_signed(),
        hand_signed(body=b'{"reason": "due"}'),
        hand_signed("/v1/keys", "account=123456789012&region=us-east-1"),
        botocore_signed(body=b'{"reason": "due"}'),
        botocore_signed("/v1/keys?cursor=a%2Fb%3D&account=1", **{"Idempotency-Key": "one two"}),
        botocore_signed(body=b"{}", **{"X-Amz-Content-SHA256": sha256(b"{}")}),
    ],
)
def test_whoever_signs_rightly_is_known_by_the_access_key(request_):
    assert signer_of(request_, secret_of, REGION) == KEY


def test_a_request_without_a_signature_has_api_gateways_answer():
    assert refusal_of(asked("GET", "/v1/keys", {"host": HOST})) == "Missing Authentication Token"


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer token", "AWS4-HMAC-SHA256", "Basic AAAA", "AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host"],
)
def test_what_is_no_signature_at_all_is_refused(authorization):
    assert "Credential" in refusal_of(but(hand_signed(), authorization=authorization))


def test_a_signature_for_another_region_is_refused():
    assert "region" in refusal_of(hand_signed(place=f"eu-central-1/{SERVICE}"))


def test_a_signature_for_another_service_is_refused():
    assert SERVICE in refusal_of(hand_signed(place=f"{REGION}/s3"))


def test_an_access_key_that_nobody_has_is_refused():
    assert refusal_of(hand_signed(key="AKIASTRANGER")) == "The security token included in the request is invalid."


@pytest.mark.parametrize(
    "request_",
    [
        hand_signed(secret="another secret"),
        but(hand_signed(), method="DELETE"),
        but(hand_signed(), target="/v1/projects"),
        but(hand_signed(query="account=1"), target="/v1/keys?account=2"),
        but(hand_signed(), target="/v1/keys?account=2"),
        but(hand_signed(body=b'{"mode": "remind"}'), body=b'{"mode": "rotate"}'),
        but(hand_signed(), content_type="text/plain"),
        but(hand_signed(), content_type=None),
        but(hand_signed(), host="somewhere.else"),
        but(hand_signed(), x_amz_date="20270104T070000Z"),
        but(botocore_signed(body=b"{}", **{"X-Amz-Content-SHA256": sha256(b"{}")}), body=b"[]"),
        botocore_signed(body=b"{}", **{"X-Amz-Content-SHA256": sha256(b"[]")}),
        botocore_signed(body=b"{}", **{"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}),
    ],
)
def test_whatever_is_changed_after_signing_is_noticed(request_):
    assert refusal_of(request_).startswith("The request signature we calculated does not match")


@pytest.mark.parametrize(
    "request_",
    [
        but(hand_signed(), x_amz_date="20270105T060000Z"),
        but(hand_signed(), x_amz_date=None),
        but(hand_signed(), authorization=hand_signed().headers["authorization"].replace(";host", "")),
    ],
)
def test_the_day_must_be_that_of_the_scope_and_the_host_must_be_signed(request_):
    assert refusal_of(request_).startswith("Date in Credential scope does not match")


def test_what_is_not_signed_may_be_added_on_the_way():
    carried = but(hand_signed(), user_agent="curl/8", accept="*/*")

    assert signer_of(carried, secret_of, REGION) == KEY
