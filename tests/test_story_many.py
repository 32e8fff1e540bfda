"""Many projects at once, of several accounts and regions: each goes its way, and nobody waits for a broken one."""

from datetime import datetime, timedelta

import pytest
from storyteller import SETTINGS_PATH, Tale, policy_for, telling

from sandbox.atlas import Fault

ABROAD = "210987654321"
KEYTURN_ABROAD = f"arn:aws:iam::{ABROAD}:role/keyturn-keys"
CLOSED = "arn:aws:iam::345678901234:role/keyturn-keys"
DESCRIBE = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": ["kms:DescribeKey", "kms:GetKeyPolicy"], "Resource": "*"}],
}
HEALTHY = ("home", "abroad", "terse", "west")


class Fleet(Tale):
    """A tale about projects here, in another region, in another account, and about two that are broken."""

    def __init__(self, set_up):
        self.set_up, self.world, self.atlas = set_up, set_up.world, set_up.atlas
        abroad = self.world.aws.create_role("atlas", _trust("*"), account=ABROAD)
        self.world.aws.create_role("keyturn-keys", _trust("arn:aws:iam::345678901234:root"), account="345678901234")
        theirs = self.make_key(region="eu-west-1", account=ABROAD, policy=policy_for(ABROAD, abroad))
        weak = self.world.aws.create_role("keyturn-weak", _trust("*"), DESCRIBE, account=ABROAD)
        self.projects = {
            "weak": self.settle("weak", theirs, abroad),
            "unreadable": self.settle("unreadable", self.make_key(), set_up.role_arn),
            "closed": self.settle("closed", self.make_key(), set_up.role_arn),
            "home": self.settle("home", self.make_key(), set_up.role_arn),
            "abroad": self.settle(
                "abroad", self.make_key(region="eu-west-1", account=ABROAD, policy=policy_for(ABROAD, abroad)), abroad
            ),
            "terse": self.settle("terse", theirs.rpartition("/")[2], abroad, region="eu-west-1"),
            "west": self.settle("west", self.make_key(region="us-west-2"), set_up.role_arn),
        }
        super().__init__(set_up)
        for name in ("abroad", "terse"):
            self.steer(self.projects[name], kms_role_arn=KEYTURN_ABROAD)
        self.steer(self.projects["closed"], kms_role_arn=CLOSED)
        self.steer(self.projects["weak"], kms_role_arn=weak)

    def settle(self, name, key, role, **place):
        project_id = self.atlas.add_project(name, key=key, role_arn=role, **place)
        self.atlas.add_cluster(project_id, "main")
        return project_id

    def current(self, name):
        return self.in_settings(self.projects[name])


def _trust(principal):
    statement = {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "sts:AssumeRole"}
    return {"Version": "2012-10-17", "Statement": [statement]}


@pytest.fixture(scope="module")
def fleet():
    """All are requested at the same moment, the broken ones first; then two hours pass."""
    with telling() as set_up:
        tale = Fleet(set_up)
        tale.old_keys = {name: tale.project(project_id)["key"] for name, project_id in tale.projects.items()}
        path = SETTINGS_PATH.format(tale.projects["unreadable"])
        tale.fault = Fault("GET", path, "status", status=503, times=None)
        set_up.server.faults.append(tale.fault)
        tale.ids = {name: tale.accepted(tale.projects[name]) for name in tale.projects}
        tale.wait(hours=2)
        yield tale


def rotation_of(fleet, name):
    return fleet.rotation(fleet.projects[name], fleet.ids[name])


@pytest.mark.parametrize("name", HEALTHY)
def test_each_healthy_project_is_deployed_within_the_hour_beside_broken_ones(fleet, name):
    rotation = rotation_of(fleet, name)

    taken = datetime.fromisoformat(rotation["deployed_at"]) - datetime.fromisoformat(rotation["requested_at"])
    assert rotation["state"] == "deployed"
    assert taken < timedelta(hours=1, minutes=15)
    assert fleet.current(name) == rotation["new_key"]


@pytest.mark.parametrize(
    ("name", "account", "region"),
    [
        ("home", "123456789012", "us-east-1"),
        ("abroad", ABROAD, "eu-west-1"),
        ("terse", ABROAD, "eu-west-1"),
        ("west", "123456789012", "us-west-2"),
    ],
)
def test_each_new_key_is_made_in_the_account_and_region_of_the_old_one(fleet, name, account, region):
    rotation = rotation_of(fleet, name)

    for key in (rotation["old_key"], rotation["new_key"]):
        assert key.startswith(f"arn:aws:kms:{region}:{account}:key/")
    assert fleet.state_of(rotation["new_key"]) == "Enabled"


def test_a_key_that_the_settings_name_by_its_bare_id_is_found_in_the_account_of_the_role(fleet):
    assert fleet.old_keys["terse"].startswith(f"arn:aws:kms:eu-west-1:{ABROAD}:key/")
    assert fleet.heard("drift", fleet.projects["terse"]) == []


def test_keys_of_every_account_and_region_are_swept(fleet):
    fleet.wait(hours=2)

    for name in HEALTHY:
        old = fleet.key(fleet.old_keys[name])
        assert old["swept_at"] is not None
        assert [reason for reason in old["reasons"] if reason["kind"] == "unread"] == []


def test_an_account_that_does_not_let_keyturn_in_ends_its_rotation_with_the_role_and_the_action_named(fleet):
    rotation = rotation_of(fleet, "closed")

    assert rotation["state"] == "failed"
    assert "sts:AssumeRole" in rotation["error"]["detail"]
    assert CLOSED in rotation["error"]["detail"]
    assert fleet.current("closed") == fleet.old_keys["closed"]


def test_what_keyturn_may_not_do_in_an_account_is_named_with_the_account_the_region_and_the_action(fleet):
    rotation = rotation_of(fleet, "weak")

    detail = rotation["error"]["detail"]
    assert (rotation["state"], rotation["new_key"]) == ("failed", None)
    assert ("CreateKey" in detail, ABROAD in detail, "eu-west-1" in detail) == (True, True, True)
    assert fleet.project(fleet.projects["weak"])["key"] == fleet.old_keys["weak"]


def test_a_project_that_cannot_be_read_waits_and_says_what_for(fleet):
    rotation = rotation_of(fleet, "unreadable")

    assert rotation["state"] == "requested"
    assert fleet.projects["unreadable"] in rotation["waiting_for"][0]
    assert "503" in rotation["waiting_for"][0]
    assert fleet.current("unreadable") == fleet.old_keys["unreadable"]


def test_it_asks_ever_more_slowly(fleet):
    before = fleet.set_up.server.calls["GET /api/atlas/v2/groups/{groupId}/encryptionAtRest"]
    seen = fleet.fault.seen

    fleet.wait(hours=4)

    assert fleet.fault.seen - seen <= 4 * 8
    assert fleet.set_up.server.calls["GET /api/atlas/v2/groups/{groupId}/encryptionAtRest"] > before


def test_once_it_can_be_read_again_it_wakes_by_itself_and_completes(fleet):
    fleet.set_up.server.faults.remove(fleet.fault)

    fleet.wait(hours=3)

    rotation = rotation_of(fleet, "unreadable")
    assert (rotation["state"], fleet.current("unreadable")) == ("deployed", rotation["new_key"])


def test_the_healthy_ones_took_one_change_each(fleet):
    assert fleet.patches() == len(HEALTHY) + 1
