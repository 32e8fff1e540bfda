"""One strict KMS on a clock of its own, an account administrator, strangers, Atlas, and the policies they are given."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from sandbox.clock import VirtualClock
from sandbox.strict_kms import Caller, KmsError, StrictKms

HOME, ABROAD, REGION = "123456789012", "999999999999", "us-east-1"
START = datetime(2026, 1, 1, tzinfo=UTC)
ROOT = Caller(f"arn:aws:iam::{HOME}:root", HOME)
ADMIN = Caller(f"arn:aws:iam::{HOME}:user/admin", HOME)
STRANGER = Caller(f"arn:aws:iam::{HOME}:user/stranger", HOME)
ATLAS = Caller(f"arn:aws:sts::{HOME}:assumed-role/atlas/session-7", HOME)
ATLAS_ROLE = f"arn:aws:iam::{HOME}:role/atlas"
FOREIGNER = Caller(f"arn:aws:iam::{ABROAD}:user/foreigner", ABROAD)


def document(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action, resource="*", **more):
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action, **more):
    return {"Effect": "Deny", "Action": action, "Resource": "*", **more}


ACCOUNT = allow("kms:*", Principal={"AWS": f"arn:aws:iam::{HOME}:root"})
FOR_ATLAS = allow(["kms:Encrypt", "kms:Decrypt", "kms:DescribeKey"], Principal={"AWS": ATLAS_ROLE})


class IamOfTheTest:
    def __init__(self):
        self.policies = {ADMIN.arn: (document(allow("*")),)}
        self.boundaries = {}
        self.known = {}

    def policies_of(self, caller):
        return self.policies.get(caller.arn, ())

    def boundary_of(self, caller):
        return self.boundaries.get(caller.arn)

    def exists(self, arn):
        return self.known.get(arn)


class World:
    def __init__(self, **settings):
        self.clock = VirtualClock(START)
        self.iam = IamOfTheTest()
        self.kms = StrictKms(self.clock, identities=self.iam, **settings)

    def do(self, operation, caller=ADMIN, region=REGION, **body):
        return self.kms.call(operation, body, caller=caller, region=region)

    def new_key(self, **body):
        return self.do("CreateKey", **body)["KeyMetadata"]["Arn"]

    def refusal(self, operation, caller=ADMIN, region=REGION, **body):
        with pytest.raises(KmsError) as refused:
            self.do(operation, caller, region, **body)
        return refused.value.code, refused.value.message

    def state(self, key):
        return self.do("DescribeKey", KeyId=key)["KeyMetadata"]["KeyState"]

    def days_pass(self, days):
        self.clock.advance_to(self.clock.now() + timedelta(days=days))
