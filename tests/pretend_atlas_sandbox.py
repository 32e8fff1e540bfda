"""A pretend Atlas on a strict KMS and a virtual clock, and somebody who asks it."""

import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from urllib.parse import urlsplit

from sandbox.atlas import AccessKey, AtlasWorld
from sandbox.atlas.keys import BadCredentials
from sandbox.clock import VirtualClock
from sandbox.strict_kms import Caller, StrictKms

ACCOUNT, ABROAD, REGION = "123456789012", "999999999999", "us-east-1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/atlas"
START = datetime(2026, 1, 1, 0, 30, tzinfo=UTC)
ADMIN_OF = {account: Caller(f"arn:aws:iam::{account}:root", account) for account in (ACCOUNT, ABROAD)}


USES = ["kms:DescribeKey", "kms:Encrypt", "kms:Decrypt"]


def User(access_key_id, secret):  # noqa: N802 - it makes one
    return AccessKey(access_key_id=access_key_id, secret_access_key=secret)


def policy_for(account, *, atlas, user=None):
    owner = {"Effect": "Allow", "Action": "kms:*", "Resource": "*", "Principal": {"AWS": ADMIN_OF[account].arn}}
    users = [ROLE] * atlas + [user] * (user is not None)
    use = {"Effect": "Allow", "Action": USES, "Resource": "*", "Principal": {"AWS": users}}
    return json.dumps({"Version": "2012-10-17", "Statement": [owner, use] if users else [owner]})


class Sandbox:
    def __init__(self, **settings):
        self.clock = VirtualClock(START)
        self.kms = StrictKms(self.clock)
        self.users = {}
        self.callers = []
        self.world = AtlasWorld(self.clock.now, self.kms_of_atlas, users=self, **settings)
        self.tokens = {}
        self.atlas = None

    def kms_of_atlas(self, operation, body, *, principal_arn, region):
        return self.kms.call(operation, body, caller=Caller(principal_arn, principal_arn.split(":")[4]), region=region)

    def add_user(self, arn):
        """Make an IAM user; the sandbox itself is the AWS that users call."""
        made = User(f"AKIA{len(self.users):016d}", f"secret of {arn}")
        self.users[made.access_key_id] = (arn, made)
        return made

    def arn_of(self, access):
        arn, known = self.users.get(access.access_key_id, (None, None))
        if known != access:
            raise BadCredentials(access)
        return arn

    def call(self, operation, body, *, access, region):
        self.callers.append(access)
        return self.kms_of_atlas(operation, body, principal_arn=self.arn_of(access), region=region)

    def new_key(self, *, account=ACCOUNT, atlas=True, **more):
        body = {"Policy": policy_for(account, atlas=atlas), **more}
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
        if body is not None:
            sent.setdefault("Content-Type", media_type)
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

    def give_policy(self, key, *, atlas, user=None):
        self.to_key("PutKeyPolicy", key, Policy=policy_for(key.split(":")[4], atlas=atlas, user=user))

    def policy_for_user(self, user):
        return policy_for(ACCOUNT, atlas=False, user=user)

    def policy_without(self, action):
        return policy_for(ACCOUNT, atlas=True).replace(action, "kms:ListGrants")

    def headers_of(self, method, path, *, version="2023-01-01", account=None, **headers):
        token = self.token(account or self.world.owner)[1]["access_token"]
        sent = {"Authorization": f"Bearer {token}", "Accept": f"application/vnd.atlas.{version}+json", **headers}
        return self.raw(method, f"/api/atlas/v2{path}", None, sent)

    def listed(self, path, **versioned):
        """The results of a list, read with a fresh token."""
        self.tokens.clear()
        status, body = self.ask("GET", path, **versioned)
        assert status == 200, body
        return body["results"]
