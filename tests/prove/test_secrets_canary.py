"""No secret is ever seen where none belongs: planted ones are looked for in all that the functions let out.

Whole days of discoveries, rotations, webhook calls and refusals pass while Atlas refuses, breaks off, garbles, and
repeats in its refusals what it was sent. The planted secrets are both client secrets, both webhook secrets, every
access token that Atlas gave, an IAM user's secret access key, and that of the functions themselves.
"""

import json
import logging
import os
import random
from base64 import b64encode
from hmac import digest

import pytest
from figures import FULL_SIZE, tell
from prove.canaries import Searcher, forms
from prove.sinks import Sinks
from storyteller import Tale, policy_for

from chalicelib import wiring
from sandbox.atlas.cmk import AccessKey
from sandbox.atlas.faults import Fault
from sandbox.cast import stage
from sandbox.world import WEBHOOK_SECRET

SEED = 20_270_301
CREDENTIALS = "keyturn/atlas-user"
NOTHING = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "sts:GetCallerIdentity", "Resource": "*"}],
}
"""What the IAM user may do by a policy of its own; the key's policy lets it in."""
STATUSES = (400, 401, 403, 404, 429, 500, 503)
FAULTS = (
    *(("echo", status) for status in STATUSES),
    *(("echo_code", status) for status in (400, 401, 500)),
    *(("status", status) for status in STATUSES),
    ("status_after", 500),
    *((kind, 500) for kind in ("echo_sunset", "429", "429_bare", "drop_before", "drop_after", "truncate", "not_json")),
    *((kind, 500) for kind in ("token_revoked", "late_effect", "no_results", "null_results", "bad_dates", "no_ids")),
)
WHERE = ("", "/oauth/token$", "encryptionAtRest$", "alert", "serviceAccounts")
BATCH = 10
"""Cells that one world lives through: what it remembers grows with each."""

ALWAYS = [("echo", 401, ""), ("echo", 500, ""), ("echo_code", 400, ""), ("echo_sunset", 500, "")]
"""The cells that the smallest proof has too."""


def batches():
    """Every kind of fault; those that repeat what they were sent in every place, others in one chosen by the seed."""
    chance = random.Random(SEED)
    places = [(kind, status, WHERE if "echo" in kind else (chance.choice(WHERE),)) for kind, status in FAULTS]
    every = [(kind, status, where) for kind, status, chosen in places for where in chosen]
    chosen = chance.sample(every, len(every)) if FULL_SIZE else [*ALWAYS, chance.choice(every)]
    return [chosen[at : at + BATCH] for at in range(0, len(chosen), BATCH)]


class Life(Tale):
    """Two projects, one with a role and one with an IAM user's credentials, and what people do with them."""

    def __init__(self, set_up, searcher, sinks):
        user = set_up.world.aws.create_user("atlas-user", NOTHING)
        self.access = AccessKey(access_key_id=user.access_key_id, secret_access_key=user.secret_access_key)
        super().__init__(set_up)
        self.searcher, self.sinks = searcher, sinks
        account = self.world.aws.account
        key = self.make_key(policy=policy_for(account, user.arn))
        self.by_role = set_up.add_project("payments")
        self.by_user = self.atlas.add_project("ledgers", key=key, credentials=self.access)
        for project_id in (self.by_role, self.by_user):
            self.atlas.add_cluster(project_id, "main")
        text = json.dumps({"access_key_id": user.access_key_id, "secret_access_key": user.secret_access_key})
        self.world.aws.client("secretsmanager").create_secret(Name=CREDENTIALS, SecretString=text)
        self.discover()

    def plant(self):
        """Let everything be looked for that is secret here by now."""
        world, atlas = self.world, self.atlas
        self.searcher.plant("reader's client secret", atlas.reader.client_secret)
        self.searcher.plant("owner's client secret", atlas.owner.client_secret)
        self.searcher.plant("webhook secret", WEBHOOK_SECRET)
        self.searcher.plant("IAM user's secret access key", self.access.secret_access_key)
        functions = world.aws.secret_of(os.environ["AWS_ACCESS_KEY_ID"])
        self.searcher.plant("functions' own secret access key", functions)
        for number, token in enumerate(sorted(self.set_up.server.tokens.ever)):
            self.searcher.plant(f"access token {number}", token)

    def ask(self, method, target, body=None, *, person=0, **headers):
        return self.sinks.answered(super().ask(method, target, body, person=person, **headers))

    def live_through(self, fault):
        """A round of everything, while Atlas goes wrong in one way; then time to recover."""
        server = self.set_up.server
        server.faults[:] = [fault]
        for project_id, more in ((self.by_role, {}), (self.by_user, {"credentials_secret": CREDENTIALS})):
            self.request(project_id, reason="canary", **more)
            self.ask("POST", f"/v1/projects/{project_id}/atlas-threshold")
            self.call_the_webhook(project_id)
        self.wait(hours=2)
        server.tokens.revoke_all()
        self.wait(hours=23)
        server.faults.clear()
        self.wait(days=1)
        self.look_at_everything()

    def call_the_webhook(self, project_id):
        for secret in (WEBHOOK_SECRET, "forged"):
            alert = {
                "id": f"{self._asked:024x}",
                "groupId": project_id,
                "eventTypeName": "AWS_ENCRYPTION_KEY_NEEDS_ROTATION",
                "status": "OPEN",
                "updated": self.now.isoformat(),
            }
            text = json.dumps(alert)
            signature = b64encode(digest(secret.encode(), text.encode(), "sha1")).decode()
            headers = {"x-mms-signature": signature}
            self.sinks.answered(self.api.ask("POST", "/v1/webhooks/atlas", text, caller="", headers=headers))

    def look_at_everything(self):
        for target in ("/v1/health", "/v1/watch", "/v1/projects", "/v1/keys"):
            self.ask("GET", target)
        for project_id in (self.by_role, self.by_user):
            for tail in ("", "/rotations", "/evidence", "/evidence?format=csv", "/evidence?format=html"):
                self.ask("GET", f"/v1/projects/{project_id}{tail}")


@pytest.fixture
def searcher():
    return Searcher()


@pytest.fixture
def life(searcher, monkeypatch):
    sinks = Sinks()
    with stage() as set_up:
        monkeypatch.setenv("POWERTOOLS_METRICS_DISABLED", "false")
        lived = Life(set_up, searcher, sinks)
        with sinks.listen(lived):
            yield lived


def finish(life):
    """Gather every sink, and search."""
    life.plant()
    life.sinks.gather(life)
    return life.sinks.search(life.searcher)


@pytest.mark.parametrize("lived", batches(), ids=lambda lived: f"from {lived[0]}")
def test_no_planted_secret_is_found_in_any_sink_under_any_fault(life, lived):
    chance = random.Random(SEED)
    for kind, status, where in lived:
        nth, times = chance.choice((1, 1, 2, 5, 9)), chance.choice((1, 3, None, None))
        life.live_through(Fault(method="*", path_pattern=where, kind=kind, status=status, nth=nth, times=times))
    found = finish(life)

    sinks = {name: sum(map(len, texts)) for name, texts in life.sinks.texts.items()}
    deployed = sum(one["state"] == "deployed" for one in life.rotations(life.by_role) + life.rotations(life.by_user))
    tell(
        canary_faults=len(lived),
        rotations_deployed=deployed,
        sinks=len(sinks),
        bytes_searched=sum(sinks.values()),
        tokens=len(life.set_up.server.tokens.ever),
        texts_looked_for=life.searcher.patterns,
        canaries_found=len(found),
        seed=SEED,
    )
    assert found == []
    assert deployed > 0
    silent = {name for name, size in sinks.items() if not size}
    assert silent <= {"exceptions"}, f"nothing was caught in a sink: {sinks}"  # a function need not fail


@pytest.mark.parametrize("name", ["a/secret+value=1234", "mdb_sa_sk_0123456789abcdef", "ключ-от-всех-дверей"])
def test_a_planted_leak_is_found_however_it_is_written_and_wherever_in_a_text(searcher, name):
    chance = random.Random(SEED)
    searcher.plant("planted", name)
    for form, text in forms(name).items():
        before = "".join(chance.choices("abcdefgh", k=chance.randrange(40)))
        assert list(searcher.found("a sink", f"{before}{text}{before}")), form
    for before in range(12):
        longer = b64encode(b"x" * before + name.encode() + b"y" * (before % 5)).decode()
        assert list(searcher.found("a sink", longer)), before
    assert not list(searcher.found("a sink", name[1:] + name[:-1]))


def leak_into_the_log(life, secret):
    logging.getLogger("chalicelib.adapters.careless").warning("Authorization: %s", b64encode(secret.encode()).decode())


def leak_into_the_table(life, secret):
    item = {"pk": {"S": "X"}, "sk": {"S": "X"}, "body": {"S": f"called with {secret}"}}
    wiring.client("dynamodb").put_item(TableName=life.world.resources["TrackerTable"]["name"], Item=item)


def leak_into_a_queue(life, secret):
    url = life.world.resources["SweepsDeadLetters"]["url"]
    wiring.client("sqs").send_message(QueueUrl=url, MessageBody=json.dumps({"secret": secret.encode().hex()}))


def leak_into_a_topic(life, secret):
    wiring.client("sns").publish(TopicArn=life.world.resources["AlertsTopic"]["arn"], Message=f"see {secret}")


def leak_into_a_metric(life, secret):
    from sandbox.lambda_shapes import Context, run

    run(lambda event, _context: print(event), {"dimension": secret}, Context(function_name="f", timeout_seconds=1))  # noqa: T201 - that is the leak


def leak_into_an_answer(life, secret):
    life.ask("GET", f"/v1/projects/{secret.replace('/', '_')}")


def leak_into_an_exception(life, secret):
    life.runner.failures.append(f"rotate: ValueError: {secret}")


LEAKS = {
    leak_into_the_log: "log lines before the filter",
    leak_into_the_table: "items of the table",
    leak_into_a_queue: "sent to sqs",
    leak_into_a_topic: "published messages",
    leak_into_a_metric: "printed lines, metrics among them",
    leak_into_an_answer: "API answers",
    leak_into_an_exception: "exceptions",
}


def test_a_leak_into_any_sink_is_found(life):
    secrets = {leak: f"planted-for-{number}-{number * 7919:08x}" for number, leak in enumerate(LEAKS)}
    for leak, secret in secrets.items():
        life.searcher.plant(leak.__name__, secret)
        leak(life, secret)
    found = finish(life)

    where = {(hit.secret, hit.sink) for hit in found}
    assert {(leak.__name__, sink) for leak, sink in LEAKS.items()} <= where


def test_the_filter_blanks_what_a_careless_line_would_show(life):
    secret, earlier = life.atlas.reader.client_secret, set(life.set_up.server.tokens.ever)
    life.discover()
    token = max(life.set_up.server.tokens.ever - earlier)
    for text in (secret, token, b64encode(f"mdb_sa_id_reader:{secret}".encode()).decode()):
        logging.getLogger("chalicelib.adapters.careless").warning("called with %s", text)
        try:
            int(text, base=2)
        except ValueError:
            logging.getLogger("chalicelib.adapters.careless").exception("it failed")
    found = finish(life)

    assert {hit.sink for hit in found} == {"log lines before the filter"}
