"""The pretend Atlas reaches a key only while IAM lets it assume the project's role."""

import json
from datetime import timedelta

import pytest
from storyteller import policy_for

from sandbox.atlas import ATLAS_ACCOUNT, CannotRestore
from sandbox.atlas.refusals import Refusal
from sandbox.cast import stage

ELSEWHERE = "210987654321"


def trusts(principal=ATLAS_ACCOUNT, *, effect="Allow", **condition):
    statement = {"Effect": effect, "Principal": {"AWS": principal}, "Action": "sts:AssumeRole"}
    if condition:
        statement["Condition"] = {name: {"sts:ExternalId": ids} for name, ids in condition.items()}
    return {"Version": "2012-10-17", "Statement": [statement]}


class Place:
    """A project on a role of its own, and somebody who may change that role."""

    def __init__(self, set_up):
        self.set_up, self.aws, self.atlas = set_up, set_up.world.aws, set_up.atlas
        self.iam = self.aws.client("iam")
        self.role = self.aws.create_role("own-atlas", trusts())
        self.project = self.atlas.add_project("shop", key=self.key(), role_arn=self.role)

    def key(self):
        document = json.dumps(policy_for(self.aws.account, self.role))
        return self.aws.client("kms").create_key(Policy=document)["KeyMetadata"]["Arn"]

    def trust(self, document):
        self.iam.update_assume_role_policy(RoleName="own-atlas", PolicyDocument=json.dumps(document))

    def valid(self):
        return self.atlas.projects[self.project].valid()

    def external_id(self):
        return next(iter(self.atlas.projects[self.project].roles.values())).external_id

    def wait(self, **length):
        self.set_up.let_atlas_live(self.set_up.world.clock.now() + timedelta(**length))


@pytest.fixture
def place():
    with stage() as set_up:
        yield Place(set_up)


def test_a_role_whose_trust_is_denied_to_everybody_leaves_the_key_invalid(place):
    before = place.valid()

    place.trust(trusts("*", effect="Deny"))

    assert (before, place.valid()) == (True, False)


def test_a_role_that_trusts_another_account_only_leaves_the_key_invalid(place):
    place.trust(trusts(f"arn:aws:iam::{ELSEWHERE}:root"))

    assert not place.valid()


def test_a_deleted_role_leaves_the_key_invalid(place):
    place.iam.delete_role(RoleName="own-atlas")

    assert not place.valid()


def test_a_look_of_atlas_finds_the_deleted_role(place):
    place.atlas.add_cluster(place.project, "main")
    place.iam.delete_role(RoleName="own-atlas")

    place.wait(minutes=16)

    assert not place.atlas.projects[place.project].was_valid


def test_a_role_that_trusts_atlas_again_makes_the_key_valid_again(place):
    place.trust(trusts("*", effect="Deny"))
    broken = place.valid()

    place.trust(trusts())

    assert (broken, place.valid()) == (False, True)


def test_the_external_id_that_atlas_gave_fits_the_trust(place):
    place.trust(trusts(StringEquals=["another", place.external_id()]))

    assert place.valid()


def test_another_external_id_does_not(place):
    place.trust(trusts(StringEquals="another"))

    assert not place.valid()


def test_settings_with_a_role_that_is_gone_are_refused(place):
    with pytest.raises(Refusal, match="400 CANNOT_ASSUME_ROLE"):
        place.atlas.add_project("other", key=place.key(), role_arn=f"arn:aws:iam::{place.aws.account}:role/never-made")


def test_a_role_of_another_account_is_looked_up_there(place):
    role = place.aws.create_role("own-atlas", trusts(f"arn:aws:iam::{ELSEWHERE}:root"), account=ELSEWHERE)

    with pytest.raises(Refusal, match="400 CANNOT_ASSUME_ROLE"):
        place.atlas.add_project("abroad", key=place.key(), role_arn=role)


def test_a_snapshot_cannot_be_restored_while_the_role_is_gone(place):
    place.atlas.add_cluster(place.project, "main")
    taken = place.atlas.take_snapshot(place.project, "main")
    place.wait(hours=1)
    place.atlas.restore(taken)

    place.iam.delete_role(RoleName="own-atlas")

    with pytest.raises(CannotRestore, match="cannot be assumed"):
        place.atlas.restore(taken)
