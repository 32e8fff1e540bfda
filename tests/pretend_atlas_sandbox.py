"""A pretend Atlas on a strict KMS and a virtual clock, and somebody who asks it."""

import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from urllib.parse import urlsplit

from sandbox.atlas import AtlasWorld
from sandbox.clock import VirtualClock
from sandbox.strict_kms import Caller, StrictKms

ACCOUNT, ABROAD, REGION = "123456789012", "999999999999", "us-east-1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/atlas"
START = datetime(2026, 1, 1, 0, 30, tzinfo=UTC)
ADMIN_OF = {account: Caller(f"arn:aws:iam::{account}:root", account) for account in (ACCOUNT, ABROAD)}


def policy_for(account, *, atlas):
    owner = {"Effect": "Allow", "Action": "kms:*", "Resource": "*", "Principal": {"AWS": ADMIN_OF[account].arn}}
    actions = ["kms:DescribeKey", "kms:Encrypt", "kms:Decrypt"]
    use = {"Effect": "Allow", "Action": actions, "Resource": "*", "Principal": {"AWS": ROLE}}
    return json.dumps({"Version": "2012-10-17", "Statement": [owner, use] if atlas else [owner]})


class Sandbox:
    def __init__(self, **settings):
        self.clock = VirtualClock(START)
        self.kms = StrictKms(self.clock)
        self.world = AtlasWorld(self.clock.now, self.kms_of_atlas, **settings)
        self.tokens = {}
        self.atlas = None

    def kms_of_atlas(self, operation, body, *, principal_arn, region):
        return self.kms.call(operation, body, caller=Caller(principal_arn, principal_arn.split(":")[4]), region=region)

    def new_key(self, *, account=ACCOUNT, atlas=True):
        body = {"Policy": policy_for(account, atlas=atlas)}
        return self.kms.call("CreateKey", body, caller=ADMIN_OF[account], region=REGION)["KeyMetadata"]["Arn"]

    def to_key(self, operation, key, **more):
        self.kms.call(operation, {"KeyId": key, **more}, caller=ADMIN_OF[key.split(":")[4]], region=REGION)

    def pass_time(self, **duration):
        until = self.clock.now() + timedelta(**duration)
        while (at := self.world.next_event_at()) is not None and at <= until:
            self.clock.advance_to(max(at, self.clock.now()))
            self.world.run_due()
        self.clock.advance_to(until)

    def ask(self, method, path, body=None, *, account=None, version="2023-01-01", **headers):
        account = account or self.world.owner
        if account not in self.tokens:
            self.tokens[account] = self.token(account)[1]["access_token"]
        media_type = f"application/vnd.atlas.{version}+json"
        sent = {"Authorization": f"Bearer {self.tokens[account]}", "Accept": media_type, **headers}
        status, answer, _ = self.raw(method, f"/api/atlas/v2{path}", None if body is None else json.dumps(body), sent)
        return status, answer

    def token(self, account, secret=None):
        basic = b64encode(f"{account.client_id}:{secret or account.client_secret}".encode()).decode()
        headers = {"Authorization": f"Basic {basic}", "Content-Type": "application/x-www-form-urlencoded"}
        return self.raw("POST", "/api/oauth/token", "grant_type=client_credentials", headers)[:2]

    def raw(self, method, path, body, headers):
        connection = HTTPConnection(urlsplit(self.atlas.address).netloc, timeout=5)
        try:
            connection.request(method, path, body=body, headers=headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read()), dict(answer.headers)
        finally:
            connection.close()

    def settings(self, project, **aws):
        return self.ask("PATCH", f"/groups/{project}/encryptionAtRest", {"awsKms": {"enabled": True, **aws}})

    def snapshots(self, key=None):
        return [one for one in self.world.every_snapshot() if key in {None, one.key_arn}]
