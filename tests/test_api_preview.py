"""The door with somebody who looks ahead for it: real checks before anything is written, on the sandbox."""

import json
from itertools import count

import pytest

from chalicelib.domain.preflight import CHECKS
from chalicelib.domain.vocabulary import Strategy
from sandbox.cast import stage

KNOWN = ["covered", "nothing_open", "strategy", "wanted_key"]
PREVIEW = "keyturn-preview"
_asked = count()


@pytest.fixture(scope="module")
def house():
    """One world with Keyturn installed; each test has a project of its own."""
    with stage() as set_up:
        yield House(set_up)


class House:
    def __init__(self, set_up):
        self.set_up, self.world = set_up, set_up.world
        self.runner, self.api = set_up.install()
        self.kms = self.world.aws.client("kms")

    def project(self):
        """A project that Keyturn has discovered, with one cluster on its key."""
        project_id = self.set_up.add_project(f"payments-{next(_asked)}")
        self.set_up.atlas.add_cluster(project_id, "ledger")
        self.set_up.world.progress.next_tick["discover"] = self.world.clock.now()
        self.runner.run_until(self.world.clock.now())
        assert self.get(f"/v1/projects/{project_id}")["key"] is not None
        return project_id

    def get(self, target):
        answer = self.api.ask("GET", target, caller=self.world.operators[0].arn)
        assert answer.status == 200, answer.body
        return answer.json()

    def request(self, project_id, **body):
        """Ask for a rotation; gives the status and the answer."""
        answer = self.api.ask(
            "POST",
            f"/v1/projects/{project_id}/rotations",
            body,
            caller=self.world.operators[0].arn,
            headers={"idempotency-key": f"key-{next(_asked)}"},
        )
        return answer.status, answer.json()

    def bad_key(self):
        """A key that is switched off, and whose policy does not let Atlas' role in."""
        everything = {"AWS": f"arn:aws:iam::{self.world.aws.account}:root"}
        statement = {"Effect": "Allow", "Principal": everything, "Action": "kms:*", "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        arn = self.kms.create_key(Policy=policy)["KeyMetadata"]["Arn"]
        self.kms.disable_key(KeyId=arn)
        return arn

    def everything(self):
        """All that a request could change: the table, the keys in KMS, and what is queued."""
        table = self.world.resources["TrackerTable"]["name"]
        items = self.world.aws.client("dynamodb").scan(TableName=table)["Items"]
        pages = self.kms.get_paginator("list_keys").paginate()
        keys = [
            self.kms.describe_key(KeyId=key["KeyArn"])["KeyMetadata"]["KeyState"]
            for page in pages
            for key in page["Keys"]
        ]
        waiting = [depth.visible for depth in self.world.aws.queue_depths().values()]
        return sorted(json.dumps(item, sort_keys=True) for item in items), keys, waiting


@pytest.fixture
def deaf(house):
    """Whoever looks ahead cannot be reached."""
    function = house.world.aws.functions.pop(PREVIEW)
    yield
    house.world.aws.functions[PREVIEW] = function


@pytest.fixture
def falling(house):
    """Whoever looks ahead falls over."""
    function = house.world.aws.functions[PREVIEW]

    def fall(_event):
        raise RuntimeError("out of memory")

    house.world.aws.functions[PREVIEW] = fall
    yield
    house.world.aws.functions[PREVIEW] = function


@pytest.mark.parametrize("strategy", Strategy)
def test_a_dry_run_shows_every_check_of_the_preflight_and_changes_nothing(house, strategy):
    project_id = house.project()
    before = house.everything()
    status, answer = house.request(project_id, strategy=strategy, dry_run=True)

    shown = [check["name"] for check in answer["checks"]]
    assert status == 200
    assert shown == [*KNOWN, *(check.__name__ for check in CHECKS[strategy])]
    assert [check for check in answer["checks"] if check["passed"] is False] == []
    assert all(check["text"] for check in answer["checks"])
    assert house.everything() == before


def test_a_dry_run_shows_what_fails_beside_what_does_not(house):
    project_id = house.project()
    status, answer = house.request(project_id, key=house.bad_key(), dry_run=True)

    results = {check["name"]: check["passed"] for check in answer["checks"]}
    assert status == 200
    assert len(results) == len(KNOWN) + len(CHECKS[Strategy.NEW_CMK])
    assert {name for name, passed in results.items() if passed is False} == {"wanted_key_usable", "wanted_key_grants"}
    assert results["settings_valid"] is True


def test_what_a_check_refuses_is_refused_at_once_with_every_reason_and_no_row_is_written(house):
    project_id, key = house.project(), house.bad_key()
    before = house.everything()
    status, answer = house.request(project_id, key=key)

    assert status == 409
    assert {reason["kind"] for reason in answer["reasons"]} == {"wanted_key_usable", "wanted_key_grants"}
    assert all(reason["text"] in answer["detail"] for reason in answer["reasons"])
    assert house.everything() == before
    assert house.get(f"/v1/projects/{project_id}/rotations")["items"] == []
    assert house.get(f"/v1/projects/{project_id}")["open_rotation"] is None


def test_the_checks_of_a_rotation_are_those_that_its_dry_run_has_shown(house):
    project_id = house.project()
    _, preview = house.request(project_id, dry_run=True)
    status, opened = house.request(project_id)
    house.runner.settle()

    shown = house.get(f"/v1/projects/{project_id}/rotations/{opened['rotation_id']}")
    assert status == 202
    assert shown["checks"] == preview["checks"][len(KNOWN) :]


@pytest.mark.parametrize("trouble", ["deaf", "falling"])
def test_without_a_preview_a_request_is_taken_and_the_rotation_checks_for_itself(house, trouble, request):
    project_id, key = house.project(), house.bad_key()
    request.getfixturevalue(trouble)
    status, opened = house.request(project_id, key=key)
    house.runner.settle()

    shown = house.get(f"/v1/projects/{project_id}/rotations/{opened['rotation_id']}")
    assert status == 202
    assert shown["state"] == "failed"
    assert {check["name"] for check in shown["checks"] if check["passed"] is False} == {
        "wanted_key_usable",
        "wanted_key_grants",
    }
    assert house.get(f"/v1/projects/{project_id}")["open_rotation"] is None


def test_without_a_preview_a_good_request_goes_its_way(house, deaf):
    project_id = house.project()
    old_key = house.set_up.atlas.projects[project_id].key
    status, _ = house.request(project_id)
    house.runner.settle()

    assert status == 202
    assert house.set_up.atlas.projects[project_id].key != old_key
