"""What people change outside Keyturn: noticed within a day, told once, and left as they wanted it."""

import json
from collections import Counter
from datetime import datetime, timedelta

import pytest
from storyteller import USES, Tale, policy_for, telling

NAMES = (
    "switched",
    "switched-off",
    "elsewhere",
    "gone",
    "disabled",
    "leaving",
    "locked",
    "forbidden",
    "closed",
    "orphaned",
    "left-to-iam",
    "fenced",
    "quiet",
)
OWN_ROLES = ("forbidden", "closed", "orphaned", "left-to-iam")
"""Whose key Atlas uses by a role of the project's own, with which nobody else is harmed."""
NOBODY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRole"}],
}
FENCE = {
    "Effect": "Deny",
    "Principal": "*",
    "Action": USES,
    "Resource": "*",
    "Condition": {"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}},
}
"""A denial that touches nobody who comes from where the organization lives."""


class Households(Tale):
    """A tale about projects whose people do things by hand; nobody there wants the guard to interfere."""

    def __init__(self, set_up):
        self.set_up, self.world, self.atlas = set_up, set_up.world, set_up.atlas
        trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sts:*"}]}
        self.roles = {name: set_up.world.aws.create_role(f"{name}-atlas", trust) for name in OWN_ROLES}
        self.allow_role("left-to-iam-atlas", "*")
        self.projects = {name: self.settle(name) for name in NAMES}
        self.old_keys = {name: self.current(name) for name in NAMES}
        super().__init__(set_up)
        for project_id in self.projects.values():
            self.steer(project_id, guard="tell")

    def settle(self, name):
        role = self.roles.get(name, self.set_up.role_arn)
        named, more = (None if name == "left-to-iam" else role), ([FENCE] if name == "fenced" else [])
        key = self.make_key(policy=policy_for(self.world.aws.account, named, USES, *more))
        project_id = self.atlas.add_project(name, key=key, role_arn=role)
        self.atlas.add_cluster(project_id, "main")
        return project_id

    def current(self, name):
        return self.in_settings(self.projects[name])

    def drifts(self, name):
        """How often each drift was told of a project; what the guard tells speaks of keys and calls."""
        begins = f"Keyturn: {name}: "
        subjects = [one["subject"] for one in self.heard("drift", self.projects[name])]
        return Counter(one.removeprefix(begins) for one in subjects if one.startswith(begins))

    def lock(self, key):
        """Take the grant for Atlas out of a key's policy."""
        alone = policy_for(self.world.aws.account, None)
        self.kms().put_key_policy(KeyId=key, Policy=json.dumps(alone))

    def shown(self, name):
        return self.project(self.projects[name])


@pytest.fixture(scope="module")
def households():
    """All of it happens in the same hour; then two days and a half pass."""
    with telling() as set_up:
        tale = Households(set_up)
        kms, atlas, old_keys = tale.kms(), tale.atlas, tale.old_keys
        tale.wait(hours=1)
        atlas.take_snapshot(tale.projects["switched"], "main")
        tale.wait(hours=1)
        tale.chosen = tale.make_key()
        atlas.switch_key_by_hand(tale.projects["switched"], tale.chosen)
        atlas.disable_encryption(tale.projects["switched-off"])
        atlas.disable_encryption(tale.projects["elsewhere"])
        atlas.projects[tale.projects["elsewhere"]].other_provider = "AZURE"
        atlas.remove_project(tale.projects["gone"])
        kms.disable_key(KeyId=old_keys["disabled"])
        kms.schedule_key_deletion(KeyId=old_keys["leaving"], PendingWindowInDays=30)
        tale.lock(old_keys["locked"])
        tale.allow_role("forbidden-atlas", old_keys["forbidden"], effect="Deny")
        iam = tale.world.aws.client("iam")
        iam.update_assume_role_policy(RoleName="closed-atlas", PolicyDocument=json.dumps(NOBODY))
        iam.delete_role(RoleName="orphaned-atlas")
        tale.happened_at = tale.now
        tale.wait(hours=60)
        yield tale


DRIFTS = {
    "switched": {"key changed by hand": 1},
    "switched-off": {"encryption disabled": 1},
    "elsewhere": {"provider changed": 1},
    "gone": {"project gone": 1},
    "disabled": {"key invalid": 1, "key not enabled": 1},
    "leaving": {"key invalid": 1, "key not enabled": 1},
    "locked": {"key invalid": 1, "grant removed": 1},
    "forbidden": {"key invalid": 1},
    "closed": {"key invalid": 1},
    "orphaned": {"key invalid": 1},
    "left-to-iam": {},
    "fenced": {},
    "quiet": {},
}


@pytest.mark.parametrize("name", NAMES)
def test_each_drift_is_told_once_and_nothing_else_is(households, name):
    assert households.drifts(name) == DRIFTS[name]


@pytest.mark.parametrize("name", [name for name in NAMES if DRIFTS[name]])
def test_each_drift_is_told_within_a_day(households, name):
    told = {one["subject"]: one["time"] for one in reversed(households.heard("drift", households.projects[name]))}

    assert max(datetime.fromisoformat(at) for at in told.values()) - households.happened_at <= timedelta(days=1)


def test_nothing_is_changed_in_atlas(households):
    assert households.patches() == 0


def test_a_key_switched_in_atlas_is_adopted_and_its_cycle_begins(households):
    shown = households.shown("switched")

    assert shown["key"] == households.chosen == households.current("switched")
    assert households.key(households.chosen)["state"] == "current"
    assert shown["key_since"] >= f"{households.happened_at:%Y-%m-%dT%H:%M:%SZ}"
    assert shown["drift"] == []


def test_the_key_that_was_switched_away_by_hand_is_tracked_and_kept(households):
    old = households.key(households.old_keys["switched"])

    assert old["state"] == "retiring"
    assert old["replaced_at"] is not None
    assert not old["safe_to_delete"]
    assert old["reasons"]
    assert households.state_of(households.old_keys["switched"]) == "Enabled"


def test_an_adopted_key_can_be_rotated_like_any_other(households):
    rotation_id = households.accepted(households.projects["switched"])

    households.wait(hours=2)

    rotation = households.rotation(households.projects["switched"], rotation_id)
    assert (rotation["state"], rotation["old_key"]) == ("deployed", households.chosen)


@pytest.mark.parametrize("name", ["switched-off", "elsewhere"])
def test_encryption_that_people_took_away_stays_away(households, name):
    reasons = households.refused(households.projects[name])

    assert "covered" in reasons
    assert households.current(name) is None
    assert households.shown(name)["not_covered_because"]


@pytest.mark.parametrize("name", ["switched-off", "elsewhere", "gone"])
def test_the_key_of_a_project_that_left_it_stays_tracked(households, name):
    key = households.key(households.old_keys[name])

    assert not key["safe_to_delete"]
    assert households.state_of(households.old_keys[name]) == "Enabled"


@pytest.mark.parametrize(("name", "state"), [("disabled", "Disabled"), ("leaving", "PendingDeletion")])
def test_where_only_telling_is_wanted_the_key_is_left_as_people_put_it(households, name, state):
    assert households.state_of(households.old_keys[name]) == state
    assert households.shown(name)["key"] == households.old_keys[name] == households.current(name)


@pytest.mark.parametrize("name", ["forbidden", "closed", "orphaned"])
def test_where_the_key_itself_is_fine_people_are_told_of_the_role_too(households, name):
    (told,) = households.heard("drift", households.projects[name])
    reasons = households.refused(households.projects[name])

    assert "the role that Atlas uses" in told["body"]
    assert "the role that Atlas uses" in reasons["settings_valid"]


@pytest.mark.parametrize("name", ["disabled", "leaving", "locked", "forbidden", "closed", "orphaned"])
def test_an_invalid_key_is_never_exchanged(households, name):
    before = households.patches()

    reasons = households.refused(households.projects[name])

    assert "restore it first" in reasons["settings_valid"]
    assert households.shown(name)["valid"] is False
    assert households.patches() == before


def test_what_is_mended_is_told_again_when_it_comes_back(households):
    households.kms().enable_key(KeyId=households.old_keys["disabled"])
    households.wait(days=1, hours=1)
    mended = households.shown("disabled")

    households.kms().disable_key(KeyId=households.old_keys["disabled"])
    households.wait(days=1, hours=1)

    assert (mended["drift"], mended["valid"]) == ([], True)
    assert households.drifts("disabled") == {"key invalid": 2, "key not enabled": 2}


def test_an_invalid_key_is_told_within_minutes_while_a_rotation_looks(households):
    project_id = households.projects["quiet"]
    rotation_id = households.accepted(project_id)
    households.wait(minutes=12)
    new_key = households.current("quiet")

    households.kms().disable_key(KeyId=new_key)
    households.wait(minutes=10)

    assert households.drifts("quiet")["key invalid"] == 1
    assert households.rotation(project_id, rotation_id)["waiting_for"][0] == "Atlas to find the new key valid"
    households.kms().enable_key(KeyId=new_key)
    households.wait(hours=3)
    assert households.rotation(project_id, rotation_id)["state"] == "deployed"


def test_no_function_failed(households):
    assert households.runner.failures == []
