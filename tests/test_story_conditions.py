"""Policies under conditions: the next key lets Atlas in under those of the old one, no wider, and Atlas can use it."""

import json

import pytest
from storyteller import USES, Tale, policy_for, telling

FROM_OUR_NETWORK = {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}
FROM_ELSEWHERE = {"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}
FOR_SERVICES = {"Bool": {"kms:GrantIsForAWSResource": "true"}}
FOR_THE_TEAM = {"StringEquals": {"aws:ResourceTag/team": "payments"}}


def allows(actions, condition=None, principal=None):
    return says("Allow", actions, condition, principal)


def says(effect, actions, condition=None, principal=None):
    said = {"Effect": effect, "Principal": principal, "Action": actions, "Resource": "*"}
    return said | ({"Condition": condition} if condition else {})


def policies(role):
    """What the old keys' policies say beside the account's own statement, and what the new ones' must say."""
    atlas = {"AWS": role}
    as_the_role = {"StringEquals": {"aws:PrincipalArn": role}, **FROM_OUR_NETWORK}
    return {
        "by action": (
            [allows("kms:DescribeKey", None, atlas), allows(USES[1:], FROM_OUR_NETWORK, atlas)],
            [allows(["kms:DescribeKey"], None, atlas), allows(USES[1:], FROM_OUR_NETWORK, atlas)],
        ),
        "everybody": ([allows(USES, as_the_role, "*")], [allows(USES, as_the_role, atlas)]),
        "denied elsewhere": (
            [allows(USES, None, atlas), says("Deny", "kms:Decrypt", FROM_ELSEWHERE, atlas)],
            [allows(USES, None, atlas), says("Deny", ["kms:Decrypt"], FROM_ELSEWHERE, atlas)],
        ),
        "another action": (
            [allows("kms:CreateGrant", FOR_SERVICES, atlas), allows(USES, None, atlas)],
            [allows(USES, None, atlas)],
        ),
    }


NAMES = tuple(policies(""))


class Careful(Tale):
    """A tale about projects whose keys let Atlas in under conditions."""

    def __init__(self, set_up):
        self.set_up, self.world, self.atlas = set_up, set_up.world, set_up.atlas
        self.policies = policies(set_up.role_arn)
        self.projects = {name: self.settle(name, before) for name, (before, _) in self.policies.items()}
        tagged = [allows(USES, FOR_THE_TEAM, {"AWS": set_up.role_arn})]
        self.tagged = self.settle("tagged", tagged, Tags=[{"TagKey": "team", "TagValue": "payments"}])
        super().__init__(set_up)

    def settle(self, name, statements, **kind):
        key = self.make_key(policy=policy_for(self.world.aws.account, None, [], *statements), **kind)
        project_id = self.atlas.add_project(name, key=key, role_arn=self.set_up.role_arn)
        self.atlas.add_cluster(project_id, "main")
        return project_id

    def said_of(self, key):
        """What a key's policy says beside the account's own statement."""
        document = json.loads(self.kms().get_key_policy(KeyId=key, PolicyName="default")["Policy"])
        others = [one for one in document["Statement"] if one["Action"] != "kms:*"]
        return [{name: part for name, part in one.items() if name != "Sid"} for one in others]


@pytest.fixture(scope="module")
def careful():
    with telling() as set_up:
        tale = Careful(set_up)
        tale.wait(minutes=30)
        tale.ids = {name: tale.accepted(project_id) for name, project_id in tale.projects.items()}
        tale.wait(hours=3)
        yield tale


@pytest.mark.parametrize("name", NAMES)
def test_the_next_key_is_deployed_with_the_old_ones_conditions(careful, name):
    rotation = careful.rotation(careful.projects[name], careful.ids[name])

    assert rotation["state"] == "deployed"
    assert careful.in_settings(careful.projects[name]) == rotation["new_key"]
    assert careful.said_of(rotation["new_key"]) == careful.policies[name][1]


def test_a_condition_that_no_other_key_can_meet_is_refused_until_a_key_with_a_policy_is_brought(careful):
    reasons = careful.refused(careful.tagged)
    rotation_id = careful.accepted(careful.tagged, key=careful.make_key())
    careful.wait(hours=3)

    assert "bring a key of your own with a policy of yours" in reasons["conditions_carried_over"]
    assert careful.rotation(careful.tagged, rotation_id)["state"] == "deployed"


def test_a_key_that_is_brought_with_a_denial_elsewhere_is_taken(careful):
    denial = says("Deny", "kms:Decrypt", FROM_ELSEWHERE, {"AWS": careful.set_up.role_arn})
    key = careful.make_key(policy=policy_for(careful.world.aws.account, careful.set_up.role_arn, USES, denial))

    rotation_id = careful.accepted(careful.projects["denied elsewhere"], key=key)
    careful.wait(hours=3)

    rotation = careful.rotation(careful.projects["denied elsewhere"], rotation_id)
    unsure = [check["name"] for check in rotation["checks"] if check["passed"] is None]
    assert (rotation["state"], unsure) == ("deployed", ["wanted_key_grants"])


def test_no_function_failed(careful):
    assert careful.runner.failures == []
