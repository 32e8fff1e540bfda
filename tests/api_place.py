"""A world with Keyturn installed, and a way to everything that a path of its API may name."""

import json
from base64 import b64encode
from datetime import timedelta
from hmac import digest
from itertools import count

from api_contract import Contract, filled

from chalicelib.adapters.tracker import DynamoTracker
from chalicelib.domain.arn import parse_key_arn
from chalicelib.domain.records import Change, Key, Proof
from chalicelib.domain.vocabulary import KeyState
from sandbox.world import WEBHOOK_SECRET

CONTRACT = Contract()
PROOF = "a" * 64
_number = count(1)


class Place:
    """One world with Keyturn installed, and a way to everything that a path may name."""

    def __init__(self, set_up):
        self.set_up, self.world = set_up, set_up.world
        self.runner, self.api = set_up.install()
        self.ada, self.grace = (operator.arn for operator in self.world.operators)
        self.tracker = DynamoTracker(self.world.aws.client("dynamodb"), self.world.resources["TrackerTable"]["name"])

    def project(self, tier="M10"):
        project_id = self.set_up.add_project(f"payments-{next(_number)}")
        self.set_up.atlas.add_cluster(project_id, "ledger", tier=tier)
        self.world.progress.next_tick["discover"] = self.world.clock.now()
        self.runner.run_until(self.world.clock.now())
        return project_id

    def wait(self, **length):
        self.runner.run_until(self.world.clock.now() + timedelta(**length))

    def rotation(self, project_id, **body):
        target, said = f"/v1/projects/{project_id}/rotations", {"idempotency-key": "place"}
        answer = self.api.ask("POST", target, body, caller=self.ada, headers=said)
        assert answer.status == 202, answer.body
        return answer.json()["rotation_id"]

    def free_key(self):
        """A key that nobody needs, with the proof of it."""
        arn = parse_key_arn(self.set_up.make_key(f"unused-{next(_number)}"))
        now = self.world.clock.now()
        key = Key(
            arn=arn,
            state=KeyState.RETIRING,
            projects=(),
            first_seen_at=now,
            created_by_us=True,
            swept_at=now,
            safe_since=now,
            proof_digest=PROOF,
            proof_at=now,
            next_sweep_at=now + timedelta(days=30),
        )
        self.tracker.commit(Change(records=(key, Proof(digest=PROOF, at=now, arn=arn, document="{}"))))
        return arn.key_id

    def deletion(self):
        answer = self.api.ask("POST", f"/v1/keys/{self.free_key()}/deletion", {}, caller=self.grace)
        assert answer.status == 202, answer.body
        return answer.json()["deletion_id"]

    def names(self, operation):
        """What the names in an operation's path stand for here."""
        wanted = {p["name"] for p in CONTRACT.parameters(operation) if p["in"] == "path"}
        given = {}
        if "project_id" in wanted:
            given["project_id"] = self.project()
        if "rotation_id" in wanted:
            given["rotation_id"] = self.rotation(given["project_id"])
        if operation["operationId"] == "post_rollback":
            self.wait(hours=6)
        if "key_id" in wanted:
            given["key_id"] = self.free_key()
        if "deletion_id" in wanted:
            given["deletion_id"] = self.deletion()
        return given

    def ask(self, method, path, operation, body=None):
        """Ask with the operation's own examples of headers, and what they can be only here filled in."""
        headers = {p["name"]: p["example"] for p in CONTRACT.parameters(operation) if p["in"] == "header"}
        if "x-mms-signature" in headers:
            body = json.dumps(body)
            headers["x-mms-signature"] = b64encode(digest(WEBHOOK_SECRET.encode(), body.encode(), "sha1")).decode()
        return self.api.ask(method, filled(path, self.names(operation)), body, caller=self.ada, headers=headers)
