"""Tells stories on the sandbox: who asks the API, lets virtual time pass, and reads what came of it."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from sandbox.aws import User
from sandbox.cast import Stage, stage

SETTINGS = "PATCH /api/atlas/v2/groups/{groupId}/encryptionAtRest"
"""The one call by which Keyturn changes anything in Atlas, as the pretend Atlas counts it."""
SETTINGS_PATH = "/groups/{}/encryptionAtRest$"
"""The path of a project's settings, as faults look for it."""
USES = ["kms:DescribeKey", "kms:Encrypt", "kms:Decrypt"]


class Tale:
    """One world with Keyturn installed in it, and what operators do there."""

    def __init__(self, set_up: Stage) -> None:
        self.set_up, self.world, self.atlas = set_up, set_up.world, set_up.atlas
        self.runner, self.api = set_up.install()
        self.runner.run_until(self.now)
        self._asked = 0

    @property
    def now(self):
        return self.world.clock.now()

    def wait(self, **length: float) -> None:
        """Let virtual time pass."""
        self.runner.run_until(self.now + timedelta(**length))

    def discover(self) -> None:
        """Let a day pass, within which everything is looked at."""
        self.wait(days=1)

    def ask(self, method: str, target: str, body: object = None, *, person: int = 0, **headers: str) -> Any:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.api.ask(method, target, body, caller=self.world.operators[person].arn, headers=named)

    def get(self, target: str) -> Any:
        answer = self.ask("GET", target)
        assert answer.status == 200, answer.body
        return answer.json()

    def request(self, project_id: str, **body: object) -> Any:
        """Ask for a rotation under an idempotency key of its own."""
        self._asked += 1
        target = f"/v1/projects/{project_id}/rotations"
        return self.ask("POST", target, body, idempotency_key=f"story-{self._asked}")

    def accepted(self, project_id: str, **body: object) -> str:
        """Ask for a rotation that must be taken; gives its id."""
        answer = self.request(project_id, **body)
        assert answer.status == 202, answer.body
        return str(answer.json()["rotation_id"])

    def refused(self, project_id: str, **body: object) -> dict[str, str]:
        """Ask for a rotation that must be refused; gives the reasons by their kind."""
        answer = self.request(project_id, **body)
        assert answer.status in {400, 409}, answer.body
        assert answer.headers["Content-Type"] == "application/problem+json"
        return {reason["kind"]: reason["text"] for reason in answer.json()["reasons"]}

    def steer(self, project_id: str, **policy: object) -> None:
        answer = self.ask("PATCH", f"/v1/projects/{project_id}/policy", policy)
        assert answer.status == 200, answer.body

    def project(self, project_id: str) -> dict[str, Any]:
        return self.get(f"/v1/projects/{project_id}")

    def rotations(self, project_id: str) -> list[dict[str, Any]]:
        return self.get(f"/v1/projects/{project_id}/rotations")["items"]

    def rotation(self, project_id: str, rotation_id: str) -> dict[str, Any]:
        return self.get(f"/v1/projects/{project_id}/rotations/{rotation_id}")

    def key(self, arn: str) -> dict[str, Any]:
        _, _, _, region, account, name = arn.split(":")
        return self.get(f"/v1/keys/{name.removeprefix('key/')}?account={account}&region={region}")

    def patches(self) -> int:
        """How many changes of settings have arrived at Atlas, good and bad."""
        return self.set_up.server.calls[SETTINGS]

    def kms(self, region: str = "us-east-1", account: str | None = None) -> Any:
        """KMS for an administrator, by default of our own account."""
        user = None if account in {None, self.world.aws.account} else self._administrator_of(account)
        return self.world.aws.client("kms", user, region)

    def _administrator_of(self, account: str) -> User:
        """Come into another account by the role that its organization's administrators have there."""
        role = f"arn:aws:iam::{account}:role/OrganizationAccountAccessRole"
        sts = self.world.aws.client("sts")
        given = sts.assume_role(RoleArn=role, RoleSessionName="story")["Credentials"]
        return User(arn=role, access_key_id=given["AccessKeyId"], secret_access_key=given["SecretAccessKey"])

    def state_of(self, arn: str) -> str:
        """What KMS says of a key, asked by an administrator."""
        _, _, _, region, account, _ = arn.split(":")
        return str(self.kms(region, account).describe_key(KeyId=arn)["KeyMetadata"]["KeyState"])

    def in_settings(self, project_id: str) -> str | None:
        return self.atlas.projects[project_id].key

    def heard(self, kind: str, project_id: str | None = None) -> list[dict[str, Any]]:
        """The messages of a kind, about a project or about any."""
        return [
            one
            for one in self.world.aws.inbox()
            if one["attributes"]["kind"] == kind and project_id in {None, one["attributes"].get("project_id")}
        ]

    def make_key(
        self,
        *,
        region: str = "us-east-1",
        account: str | None = None,
        policy: dict[str, Any] | None = None,
        **kind: object,
    ) -> str:
        """Make a key as the account's administrator, by default one that the project's role may use."""
        document = policy or policy_for(account or self.world.aws.account, self.set_up.role_arn)
        made = self.kms(region, account).create_key(Policy=json.dumps(document), **kind)
        return str(made["KeyMetadata"]["Arn"])

    def allow_role(self, name: str, *keys: str, effect: str = "Allow", actions: list[str] = USES) -> None:
        """Write into a role's own IAM policy what it may do, or must not do, with keys."""
        statement = {"Effect": effect, "Action": actions, "Resource": list(keys)}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self.world.aws.client("iam").put_role_policy(RoleName=name, PolicyName="keys", PolicyDocument=document)

    def replicate(self, primary: str, region: str) -> str:
        """Make the twin of a multi-Region key in another region, with the policy of `make_key`."""
        home, document = primary.split(":")[3], policy_for(self.world.aws.account, self.set_up.role_arn)
        self.kms(home).replicate_key(KeyId=primary, ReplicaRegion=region, Policy=json.dumps(document))
        return primary.replace(home, region)


def policy_for(account: str, principal: str | None, actions: list[str] = USES, *more: dict[str, Any]) -> dict[str, Any]:
    """A key policy by which the account administers and a principal uses the key."""
    whole = {"AWS": f"arn:aws:iam::{account}:root"}
    statements = [{"Effect": "Allow", "Principal": whole, "Action": "kms:*", "Resource": "*"}, *more]
    if principal is not None:
        uses = {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": actions, "Resource": "*"}
        statements.append(uses)
    return {"Version": "2012-10-17", "Statement": statements}


@contextmanager
def telling() -> Iterator[Stage]:
    """Open a world, with the functions' log lines kept quiet."""
    logging.disable(logging.CRITICAL)
    try:
        with stage() as set_up:
            yield set_up
    finally:
        logging.disable(logging.NOTSET)
