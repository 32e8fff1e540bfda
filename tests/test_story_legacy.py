"""Projects that still encrypt as an IAM user: rotated with a secret that is passed on and kept nowhere."""

import json
import logging

import pytest
from moto.sqs.models import sqs_backends
from storyteller import SETTINGS_PATH, Tale, policy_for

import app as hall
from sandbox.atlas import AccessKey, Fault
from sandbox.aws import User
from sandbox.cast import stage

NAMES = ("first", "second", "unnamed", "elsewhere", "early", "odd", "returning", "careless")
UNKNOWN = "canary/wJalrXUtnFEMIK7MDENG"
NOTHING = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "sts:GetCallerIdentity", "Resource": "*"}],
}


class Heirs(Tale):
    """A tale about projects that hold an IAM user's credentials, and one that assumes a role."""

    def __init__(self, set_up):
        self.set_up, self.world, self.atlas = set_up, set_up.world, set_up.atlas
        self.answers, self.queued, self.lines = [], [], []
        self.users = {name: self.world.aws.create_user(f"{name}-atlas", NOTHING) for name in ("old", "second")}
        self.projects = {name: self.settle(name) for name in NAMES}
        self.projects["modern"] = set_up.add_project("modern")
        self.old_keys = {name: self.in_settings(project_id) for name, project_id in self.projects.items()}
        super().__init__(set_up)

    def user_of(self, name):
        return self.users.get(name, self.users["old"])

    def settle(self, name):
        user = self.user_of(name)
        held = AccessKey(access_key_id=user.access_key_id, secret_access_key=user.secret_access_key)
        key = self.make_key(policy=policy_for(self.world.aws.account, user.arn))
        project_id = self.atlas.add_project(name, key=key, credentials=held)
        self.atlas.add_cluster(project_id, "main")
        return project_id

    def new_access_key(self, user):
        """A second pair of credentials of a user."""
        named = user.arn.rpartition("/")[2]
        made = self.world.aws.client("iam").create_access_key(UserName=named)["AccessKey"]
        return User(arn=user.arn, access_key_id=made["AccessKeyId"], secret_access_key=made["SecretAccessKey"])

    def keep_secret(self, name, user):
        """Put credentials where a request may name them; gives the name."""
        text = json.dumps({"access_key_id": user.access_key_id, "secret_access_key": user.secret_access_key})
        self.world.aws.client("secretsmanager").create_secret(Name=name, SecretString=text)
        return name

    def ask(self, method, target, body=None, **more):
        answer = super().ask(method, target, body, **more)
        self.answers.append(answer.body)
        self.queued += self.everything_queued()
        return answer

    def order_refusal(self, project_id):
        """Have Atlas refuse the next change of a project's settings as if IAM did not know yet."""
        path = SETTINGS_PATH.format(project_id)
        fault = Fault("PATCH", path, "status", status=400, code="INVALID_AWS_CREDENTIALS")
        self.set_up.server.faults.append(fault)

    def everything_queued(self):
        queues = sqs_backends[self.world.aws.account]["us-east-1"].queues.values()
        return [message.body for queue in queues for message in queue._messages]

    def table(self):
        """Everything in the table, and everything that ever was in it."""
        name = self.world.resources["TrackerTable"]["name"]
        items = self.world.aws.client("dynamodb").scan(TableName=name)["Items"]
        return json.dumps([items, self.world.aws.streamed(name, 0)], default=str)

    def sinks_of(self, text):
        """Everywhere where a text has come to."""
        sinks = {
            "answers of the API": self.answers,
            "messages in queues": self.queued,
            "log lines": self.lines,
            "the table and its stream": [self.table()],
            "the inbox": map(str, self.world.aws.inbox()),
            "events on buses": map(str, self.world.aws.bus_events()),
        }
        return {sink for sink, texts in sinks.items() for one in texts if text in one}

    def settings_of(self, name):
        return self.atlas.projects[self.projects[name]].encryption

    def seen(self, name, rotation_id):
        return self.rotation(self.projects[name], rotation_id)


class Listener(logging.Handler):
    """Hears every line that is logged, before anything is blanked in it."""

    def __init__(self, lines):
        super().__init__(logging.INFO)
        self.lines = lines

    def emit(self, record):
        self.lines.append(f"{record.getMessage()} {record.exc_info} {vars(record)}")


@pytest.fixture(scope="module")
def heirs():
    with stage() as set_up:
        tale = Heirs(set_up)
        ear, loggers = Listener(tale.lines), (logging.getLogger(), logging.getLogger(hall.logger.name))
        for logger in loggers:
            logger.addHandler(ear)
        try:
            yield tale
        finally:
            for logger in loggers:
                logger.removeHandler(ear)


@pytest.fixture(scope="module")
def first(heirs):
    """A rotation to a new key, with credentials that the settings did not hold before."""
    user = heirs.new_access_key(heirs.user_of("first"))
    secret = heirs.keep_secret("keyturn/old-atlas", user)
    rotation_id = heirs.accepted(heirs.projects["first"], credentials_secret=secret)
    heirs.wait(hours=2)
    return heirs.seen("first", rotation_id), user


def test_a_project_with_an_iam_user_is_rotated_to_a_new_key_with_its_secret(heirs, first):
    rotation, user = first

    held = heirs.settings_of("first")
    assert (rotation["state"], rotation["error"]) == ("deployed", None)
    assert str(held.cmk.arn) == rotation["new_key"] != rotation["old_key"]
    assert held.cmk.access == AccessKey(access_key_id=user.access_key_id, secret_access_key=user.secret_access_key)


def test_the_new_keys_policy_lets_the_iam_user_in(heirs, first):
    rotation, _ = first

    policy = heirs.kms().get_key_policy(KeyId=rotation["new_key"])["Policy"]
    assert heirs.user_of("first").arn in policy
    assert heirs.atlas.projects[heirs.projects["first"]].valid()


def test_the_rotation_shows_the_secrets_name_alone(first):
    rotation, _ = first

    assert rotation["credentials_secret"] == "keyturn/old-atlas"
    assert f"Atlas comes as the IAM user {first[1].arn}" in [check["text"] for check in rotation["checks"]]


@pytest.fixture(scope="module")
def second(heirs, first):
    """A change of the credentials alone."""
    user, keys = heirs.new_access_key(heirs.user_of("second")), len(heirs.kms().list_keys()["Keys"])
    secret = heirs.keep_secret("keyturn/second", user)
    body = {"key": heirs.old_keys["second"], "credentials_secret": secret}
    patches = heirs.patches()
    rotation_id = heirs.accepted(heirs.projects["second"], **body)
    heirs.wait(hours=2)
    made = len(heirs.kms().list_keys()["Keys"]) - keys
    return heirs.seen("second", rotation_id), user, made, heirs.patches() - patches


def test_credentials_alone_are_rotated_while_the_key_stays(heirs, second):
    rotation, user, made, patches = second

    assert (rotation["state"], made, patches) == ("deployed", 0, 1)
    assert rotation["new_key"] == rotation["old_key"] == heirs.in_settings(heirs.projects["second"])
    assert heirs.settings_of("second").cmk.access.access_key_id == user.access_key_id
    assert heirs.key(rotation["old_key"])["state"] == "current"


def test_credentials_alone_have_no_way_back(heirs, second):
    rotation = second[0]
    target = f"/v1/projects/{heirs.projects['second']}/rotations/{rotation['rotation_id']}/rollback"

    answer = heirs.ask("POST", target)

    assert answer.status == 409
    assert "the key did not change" in answer.json()["detail"]


def test_the_way_back_to_the_old_key_passes_the_credentials_along(heirs):
    user, project_id = heirs.user_of("returning"), heirs.projects["returning"]
    secret = heirs.keep_secret("keyturn/returning", user)
    rotation_id = heirs.accepted(project_id, credentials_secret=secret)
    heirs.wait(hours=2)

    answer = heirs.ask("POST", f"/v1/projects/{project_id}/rotations/{rotation_id}/rollback")
    heirs.wait(hours=2)

    assert answer.status == 202
    assert heirs.seen("returning", rotation_id)["state"] == "rolled_back"
    assert heirs.in_settings(project_id) == heirs.old_keys["returning"]
    assert heirs.settings_of("returning").cmk.access.access_key_id == user.access_key_id


def test_a_secret_that_is_gone_at_the_swap_ends_the_rotation_and_the_key_is_taken_back(heirs):
    project_id = heirs.projects["careless"]
    secret = heirs.keep_secret("keyturn/careless", heirs.user_of("careless"))
    heirs.order_refusal(project_id)
    rotation_id = heirs.accepted(project_id, credentials_secret=secret)
    heirs.wait(seconds=10)
    before = heirs.patches()
    heirs.world.aws.client("secretsmanager").delete_secret(SecretId=secret, ForceDeleteWithoutRecovery=True)

    heirs.wait(hours=25)

    rotation = heirs.seen("careless", rotation_id)
    assert (rotation["state"], heirs.patches()) == ("failed", before)
    assert "keyturn/careless does not exist" in rotation["error"]["detail"]
    assert heirs.in_settings(project_id) == heirs.old_keys["careless"]
    assert heirs.state_of(rotation["new_key"]) == "PendingDeletion"


def test_an_iam_users_project_is_told_to_name_its_secret(heirs):
    reasons = heirs.refused(heirs.projects["unnamed"])

    assert "name in `credentials_secret` the Secrets Manager secret" in reasons["principal_known"]


def test_a_project_with_a_role_is_told_why_it_cannot_have_credentials(heirs):
    before = heirs.patches()

    reasons = heirs.refused(heirs.projects["modern"], credentials_secret="keyturn/old-atlas")

    assert "AWS_KMS_CREDENTIALS_AUTH_DEPRECATED" in reasons["credentials_allowed"]
    assert "leave `credentials_secret` out" in reasons["credentials_allowed"]
    assert heirs.patches() == before


def test_other_secrets_than_keyturns_own_are_not_even_looked_at(heirs):
    answer = heirs.request(heirs.projects["elsewhere"], credentials_secret="production/database")

    assert answer.status == 400
    assert "credentials_secret" in answer.json()["detail"]


def test_a_secret_that_does_not_exist_is_refused_at_once(heirs):
    before, project_id = heirs.patches(), heirs.projects["early"]

    reasons = heirs.refused(project_id, credentials_secret="keyturn/nobody-made-it")

    assert "keyturn/nobody-made-it does not exist in Secrets Manager" in reasons["principal_known"]
    assert (heirs.patches(), heirs.rotations(project_id)) == (before, [])


def test_credentials_that_aws_does_not_know_are_refused_at_once(heirs):
    unknown = User(arn="", access_key_id="AKIAIOSFODNN7EXAMPLE", secret_access_key=UNKNOWN)
    secret = heirs.keep_secret("keyturn/unknown", unknown)
    before, project_id = heirs.patches(), heirs.projects["odd"]

    reasons = heirs.refused(project_id, credentials_secret=secret)

    assert "see that its access key is whole and active" in reasons["principal_known"]
    assert (heirs.patches(), heirs.rotations(project_id)) == (before, [])


def test_the_secret_is_written_nowhere(heirs, first, second, capfd):
    secrets = {user.secret_access_key for user in (first[1], second[1], *heirs.users.values())} | {UNKNOWN}

    found = {secret: heirs.sinks_of(secret) for secret in secrets}
    said = capfd.readouterr()

    assert set().union(*found.values()) == set()
    assert not [secret for secret in secrets if secret in said.out + said.err]


def test_whoever_looks_for_the_secret_would_find_it(heirs):
    heirs.accepted(heirs.projects["modern"], reason="a word to look for")
    heirs.wait(minutes=5)

    found = heirs.sinks_of("a word to look for")

    assert {"answers of the API", "the table and its stream", "the inbox"} <= found
    assert (len(heirs.queued), len(heirs.lines), len(heirs.world.aws.bus_events())) > (2, 10, 2)


def test_no_function_failed(heirs):
    assert heirs.runner.failures == []
