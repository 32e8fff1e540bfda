"""Operators bring their own key: what is taken, and what is refused before Atlas hears of it."""

from dataclasses import replace

import pytest
from storyteller import USES, Tale, policy_for, telling

from sandbox.atlas.operation import OWNER

ABROAD = "210987654321"
KEYTURN_ABROAD = f"arn:aws:iam::{ABROAD}:role/keyturn-keys"
STRANGE = "345678901234"
EVERY_KEY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "kms:*", "Resource": "*"}]}
NOBODYS = "1234abcd-12ab-34cd-56ef-1234567890ab"


class Owners(Tale):
    """A tale about projects whose operators bring keys."""

    def __init__(self, set_up):
        self.set_up, self.world, self.atlas = set_up, set_up.world, set_up.atlas
        trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sts:*"}]}
        self.travelling_role, self.forbidden_role = (
            set_up.world.aws.create_role(name, trust) for name in ("travelling-atlas", "forbidden-atlas")
        )
        self.strange_role = set_up.world.aws.create_role("atlas", trust, EVERY_KEY, account=STRANGE)
        self.key_abroad = self.make_key(account=ABROAD, policy=policy_for(ABROAD, self.travelling_role))
        self.allow_role("travelling-atlas", self.key_abroad)
        shared = self.make_key()
        self.projects = {
            "picky": self.settle("picky", self.make_key()),
            "by_id": self.settle("by_id", self.make_key()),
            "by_arn": self.settle("by_arn", self.make_key()),
            "wandering": self.settle("wandering", self.make_key(MultiRegion=True)),
            "private": self.settle("private", self.make_key()),
            "leaving": self.settle("leaving", self.own_key(self.travelling_role), self.travelling_role),
            "abroad": self.settle("abroad", self.key_abroad, self.travelling_role),
            "strange": self.settle("strange", self.own_key(self.strange_role), self.strange_role),
            "sharing": self.settle("sharing", shared),
            "shared": self.settle("shared", shared),
            "secretive": self.settle("secretive", self.make_key()),
            "forbidden": self.settle("forbidden", self.own_key(self.forbidden_role), self.forbidden_role),
        }
        super().__init__(set_up)
        for name in ("leaving", "abroad"):
            self.steer(self.projects[name], kms_role_arn=KEYTURN_ABROAD)
        self.failures_before = len(self.runner.failures)  # nobody had told Keyturn how to come into the other account

    def settle(self, name, key, role=None):
        project_id = self.atlas.add_project(name, key=key, role_arn=role or self.set_up.role_arn)
        self.atlas.add_cluster(project_id, "main")
        return project_id

    def own_key(self, role):
        """A key at home that another role than the usual one may use."""
        return self.make_key(policy=policy_for(self.world.aws.account, role))

    def current(self, name):
        return self.in_settings(self.projects[name])


@pytest.fixture(scope="module")
def owners():
    with telling() as set_up:
        yield Owners(set_up)


def key_id(arn):
    return arn.rpartition("/")[2]


def deployed(owners, name, **body):
    """Request a rotation of a project and see it through."""
    before = owners.patches()
    rotation_id = owners.accepted(owners.projects[name], **body)
    owners.wait(hours=2)
    rotation = owners.rotation(owners.projects[name], rotation_id)
    assert (rotation["state"], rotation["error"]) == ("deployed", None)
    assert owners.patches() - before == 1
    return rotation


def test_a_good_key_is_taken_by_its_id(owners):
    key = owners.make_key()

    rotation = deployed(owners, "by_id", key=key_id(key))

    assert owners.current("by_id") == rotation["new_key"] == key
    assert all(check["passed"] for check in rotation["checks"])


def test_a_good_key_is_taken_by_its_arn_and_stays_its_owners(owners):
    key = owners.make_key()
    made = len(owners.kms().list_keys()["Keys"])

    rotation = deployed(owners, "by_arn", key=key)

    assert owners.current("by_arn") == rotation["new_key"] == key
    assert len(owners.kms().list_keys()["Keys"]) == made
    assert not owners.key(key)["created_by_us"]


def test_a_key_that_another_project_uses_may_be_brought_and_is_kept_for_it_when_it_is_left(owners):
    shared = owners.current("shared")

    deployed(owners, "sharing")
    owners.wait(days=3)
    left = owners.key(shared)
    deployed(owners, "sharing", key=shared)

    reasons = {reason["kind"] for reason in left["reasons"] if reason["project_id"] == owners.projects["shared"]}
    assert ("current" in reasons, left["safe_to_delete"]) == (True, False)
    assert owners.current("sharing") == owners.current("shared") == shared
    assert owners.key(shared)["state"] == "current"
    assert set(owners.key(shared)["projects"]) == {owners.projects["sharing"], owners.projects["shared"]}


def test_a_multi_region_twin_may_take_over_in_its_region_and_give_back(owners):
    here = owners.current("wandering")
    there = owners.replicate(here, "eu-west-1")

    deployed(owners, "wandering", key=key_id(here), region="EU_WEST_1")
    assert owners.current("wandering") == there
    deployed(owners, "wandering", key=key_id(here), region="us-east-1")

    assert owners.current("wandering") == here
    assert owners.atlas.projects[owners.projects["wandering"]].valid()


def test_twins_share_their_id_so_a_key_may_have_to_be_named_with_its_region(owners):
    name = key_id(owners.current("wandering"))

    answer = owners.ask("GET", f"/v1/keys/{name}")

    assert answer.status == 400
    assert "region=eu-west-1" in answer.json()["detail"]
    assert owners.get(f"/v1/keys/{name}?region=eu-west-1")["key_id"] == name


def test_a_key_of_another_account_is_taken_by_its_full_arn(owners):
    key = owners.make_key(account=ABROAD, policy=policy_for(ABROAD, owners.travelling_role))
    owners.allow_role("travelling-atlas", key, owners.key_abroad)

    rotation = deployed(owners, "leaving", key=key)

    assert owners.current("leaving") == rotation["new_key"] == key
    checks = {check["name"]: check["passed"] for check in rotation["checks"]}
    assert checks["wanted_key_named_fully"]
    assert checks["wanted_key_grants"]
    assert checks["role_may_use_the_wanted_key"]


def test_from_another_account_there_is_a_way_back_to_the_key_at_home(owners):
    project_id = owners.projects["leaving"]
    rotation = owners.rotations(project_id)[0]

    answer = owners.ask("POST", f"/v1/projects/{project_id}/rotations/{rotation['rotation_id']}/rollback")
    owners.wait(hours=2)

    assert answer.status == 202
    assert owners.rotation(project_id, rotation["rotation_id"])["state"] == "rolled_back"
    assert owners.current("leaving") == rotation["old_key"]


def test_whoever_keeps_keys_in_another_account_may_bring_one_from_home(owners):
    key = owners.own_key(owners.travelling_role)
    owners.allow_role("travelling-atlas", key, owners.key_abroad)

    rotation = deployed(owners, "abroad", key=key)

    assert owners.current("abroad") == key
    assert all(check["passed"] for check in rotation["checks"])
    deployed(owners, "abroad", key=owners.key_abroad)


def test_a_key_is_made_in_another_account_once_the_roles_own_policies_allow_its_keys(owners):
    owners.allow_role("travelling-atlas", owners.key_abroad)
    before = owners.patches(), len(owners.kms(account=ABROAD).list_keys()["Keys"])

    reasons = owners.refused(owners.projects["abroad"])
    assert list(reasons) == ["role_may_use_the_wanted_key"]
    assert f"arn:aws:kms:us-east-1:{ABROAD}:key/*" in reasons["role_may_use_the_wanted_key"]
    assert (owners.patches(), len(owners.kms(account=ABROAD).list_keys()["Keys"])) == before

    owners.allow_role("travelling-atlas", f"arn:aws:kms:*:{ABROAD}:key/*")
    rotation = deployed(owners, "abroad")
    assert f":{ABROAD}:" in owners.current("abroad") == rotation["new_key"]
    deployed(owners, "abroad", key=owners.key_abroad)


def test_a_key_at_home_is_renewed_by_kms_whatever_account_the_next_ones_are_made_in(owners):
    rotation_id = owners.accepted(owners.projects["leaving"], strategy="kms-on-demand")

    owners.wait(hours=1)

    rotation = owners.rotation(owners.projects["leaving"], rotation_id)
    assert (rotation["state"], rotation["error"]) == ("deployed", None)
    assert rotation["evidence"][-1] == "24 of 25 on-demand rotations are left"


def test_a_key_of_another_account_needs_its_full_arn(owners):
    key = owners.make_key(account=ABROAD, policy=policy_for(ABROAD, owners.travelling_role))
    owners.allow_role("travelling-atlas", key, owners.key_abroad)

    reasons = owners.refused(owners.projects["abroad"], key=key_id(key))

    assert list(reasons) == ["wanted_key_named_fully"]
    assert "give the key's full ARN" in reasons["wanted_key_named_fully"]


def test_across_accounts_the_roles_own_policies_must_allow_the_key(owners):
    key = owners.make_key(account=ABROAD, policy=policy_for(ABROAD, owners.travelling_role))
    owners.allow_role("travelling-atlas", owners.key_abroad)

    reasons = owners.refused(owners.projects["abroad"], key=key)

    assert list(reasons) == ["role_may_use_the_wanted_key"]
    assert "do not allow" in reasons["role_may_use_the_wanted_key"]


def test_across_accounts_the_old_key_must_stay_allowed_for_the_snapshots_of_before(owners):
    key = owners.make_key(account=ABROAD, policy=policy_for(ABROAD, owners.travelling_role))
    owners.allow_role("travelling-atlas", key)

    reasons = owners.refused(owners.projects["abroad"], key=key)
    owners.allow_role("travelling-atlas", owners.key_abroad)

    assert "role_may_use_the_old_key" in reasons


def test_a_deny_in_the_roles_own_policies_counts_at_home_too(owners):
    key = owners.make_key(policy=policy_for(owners.world.aws.account, owners.forbidden_role))
    owners.allow_role("forbidden-atlas", key, effect="Deny", actions=["kms:Decrypt"])

    reasons = owners.refused(owners.projects["forbidden"], key=key)

    assert list(reasons) == ["role_may_use_the_wanted_key"]
    assert "deny kms:Decrypt" in reasons["role_may_use_the_wanted_key"]


def test_policies_of_a_role_that_may_not_be_read_are_called_not_verifiable_and_refuse_nothing(owners):
    key = owners.own_key(owners.strange_role)

    rotation = deployed(owners, "strange", key=key)

    checks = {check["name"]: check for check in rotation["checks"]}
    for name in ("role_may_use_the_wanted_key", "role_may_use_the_old_key"):
        assert checks[name]["passed"] is None
        assert checks[name]["text"] == f"not verifiable: the IAM policies of {owners.strange_role} may not be read"


def test_the_role_is_found_where_atlas_keeps_its_id_to_itself(owners):
    ground, project_id = owners.atlas.ground, owners.projects["secretive"]
    owners.atlas.add_role(project_id, None)
    talkative, ground.habits = ground.habits, replace(ground.habits, shows_role_id=False)

    rotation = deployed(owners, "secretive")
    ground.habits = talkative

    assert f"Atlas uses the role {owners.set_up.role_arn}" in [check["text"] for check in rotation["checks"]]
    assert owners.atlas.projects[project_id].valid()


def gone(owners):
    return {"key": NOBODYS}


def disabled(owners):
    key = owners.make_key()
    owners.kms().disable_key(KeyId=key)
    return {"key": key}


def pending_deletion(owners):
    key = owners.make_key()
    owners.kms().schedule_key_deletion(KeyId=key, PendingWindowInDays=30)
    return {"key": key}


def pending_import(owners):
    return {"key": owners.make_key(Origin="EXTERNAL")}


def asymmetric(owners):
    return {"key": owners.make_key(KeySpec="RSA_2048", KeyUsage="ENCRYPT_DECRYPT")}


def signing(owners):
    return {"key": owners.make_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")}


def hmac(owners):
    return {"key": owners.make_key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")}


def alias(owners):
    owners.kms().create_alias(AliasName="alias/mine", TargetKeyId=owners.make_key())
    return {"key": "alias/mine"}


def alias_arn(owners):
    return {"key": f"arn:aws:kms:us-east-1:{owners.world.aws.account}:alias/mine"}


def no_key(owners):
    return {"key": "the good one"}


def current_by_id(owners):
    return {"key": key_id(owners.current("picky"))}


def current_by_arn(owners):
    return {"key": owners.current("picky")}


def in_another_region(owners):
    return {"key": owners.make_key(region="eu-west-1")}


def not_in_the_region_named(owners):
    return {"key": owners.make_key(), "region": "eu-west-1"}


def region_alone(owners):
    return {"region": "eu-west-1"}


def region_that_atlas_lacks(owners):
    return {"region": "us-iso-east-1"}


def lacking(action):
    def make(owners):
        left = [one for one in USES if one != action]
        return {"key": owners.make_key(policy=policy_for(owners.world.aws.account, owners.set_up.role_arn, left))}

    make.__name__ = f"lacking_{action.removeprefix('kms:')}"
    return make


def denied(owners):
    role = owners.set_up.role_arn
    deny = {"Effect": "Deny", "Principal": {"AWS": role}, "Action": "kms:Decrypt", "Resource": "*"}
    return {"key": owners.make_key(policy=policy_for(owners.world.aws.account, role, USES, deny))}


def for_somebody_else(owners):
    return {"key": owners.make_key(policy=policy_for(owners.world.aws.account, None))}


BAD = [
    (gone, "wanted_key_usable", "not found"),
    (disabled, "wanted_key_usable", "it is Disabled, not Enabled"),
    (pending_deletion, "wanted_key_usable", "it is PendingDeletion, not Enabled"),
    (pending_import, "wanted_key_usable", "it is PendingImport, not Enabled"),
    (asymmetric, "wanted_key_usable", "its spec is RSA_2048, not SYMMETRIC_DEFAULT"),
    (signing, "wanted_key_usable", "its usage is SIGN_VERIFY, not ENCRYPT_DECRYPT"),
    (hmac, "wanted_key_usable", "its spec is HMAC_256, not SYMMETRIC_DEFAULT"),
    (alias, "wanted_key", "an alias can be pointed elsewhere unseen"),
    (alias_arn, "wanted_key", "an alias can be pointed elsewhere unseen"),
    (no_key, "wanted_key", "neither a key id nor a full key ARN"),
    (current_by_id, "wanted_key", "it is the project's current key"),
    (current_by_arn, "wanted_key", "it is the project's current key"),
    (in_another_region, "region_kept", "only a multi-Region key of your own may take over in eu-west-1"),
    (not_in_the_region_named, "wanted_key", "the key lives in us-east-1, not in eu-west-1"),
    (region_alone, "region_kept", "only a multi-Region key of your own"),
    (region_that_atlas_lacks, "region_supported", "Atlas takes no keys of the region us-iso-east-1"),
    (lacking("kms:DescribeKey"), "wanted_key_grants", "does not give"),
    (lacking("kms:Encrypt"), "wanted_key_grants", "kms:Encrypt"),
    (lacking("kms:Decrypt"), "wanted_key_grants", "kms:Decrypt"),
    (denied, "wanted_key_grants", "kms:Decrypt"),
    (for_somebody_else, "wanted_key_grants", "kms:DescribeKey, kms:Encrypt, kms:Decrypt"),
]


@pytest.mark.parametrize(("bad", "kind", "said"), BAD, ids=[bad.__name__ for bad, _, _ in BAD])
def test_a_bad_key_is_refused_at_once_with_its_reason_and_atlas_hears_nothing(owners, bad, kind, said):
    body, project_id, before = bad(owners), owners.projects["picky"], owners.patches()

    reasons = owners.refused(project_id, **body)
    owners.wait(minutes=30)

    assert said in reasons[kind]
    assert owners.patches() == before
    assert owners.rotations(project_id) == []


def test_every_reason_is_given_at_once(owners):
    key = owners.make_key(region="eu-west-1", policy=policy_for(owners.world.aws.account, None))
    owners.kms("eu-west-1").disable_key(KeyId=key)

    reasons = owners.refused(owners.projects["picky"], key=key)

    assert {"wanted_key_usable", "wanted_key_grants", "region_kept"} <= set(reasons)


def test_a_bad_key_is_refused_under_its_idempotency_key_again_and_a_good_one_may_follow(owners):
    target = f"/v1/projects/{owners.projects['picky']}/rotations"
    bad = {"key": NOBODYS}

    first = owners.ask("POST", target, bad, idempotency_key="the same")
    second = owners.ask("POST", target, bad, idempotency_key="the same")

    assert (first.status, second.status) == (409, 409)
    assert first.json()["reasons"] == second.json()["reasons"]


@pytest.fixture
def private(owners):
    """The project private, which reaches KMS over private networking only, seen by a reader that is its owner."""
    project_id = owners.projects["private"]
    owners.set_up.server.reader_roles.add(OWNER)
    block = {"enabled": True, "requirePrivateNetworking": True}
    with owners.atlas.lock:
        owners.atlas.encryption.change(owners.atlas.projects[project_id], {"awsKms": block})
    yield project_id
    owners.set_up.server.reader_roles.discard(OWNER)
    owners.atlas.projects[project_id].private_endpoints.clear()


@pytest.mark.parametrize("status", [None, "INITIATING", "PENDING_ACCEPTANCE", "FAILED", "DELETING"])
def test_private_networking_needs_an_active_endpoint_in_the_keys_region(owners, private, status):
    if status is not None:
        owners.atlas.add_private_endpoint(private, "US_EAST_1", status)
    owners.atlas.add_private_endpoint(private, "EU_WEST_1")
    before = owners.patches()

    reasons = owners.refused(private)

    assert reasons == {
        "private_endpoint_active": "no private endpoint is ACTIVE in us-east-1: create it in Atlas first"
    }
    assert owners.patches() == before


def test_with_an_active_endpoint_private_networking_is_kept_by_the_rotation(owners, private):
    owners.atlas.add_private_endpoint(private, "US_EAST_1")

    rotation = deployed(owners, "private")

    assert next(one for one in rotation["checks"] if one["name"] == "private_endpoint_active")["passed"]
    assert owners.atlas.projects[private].encryption.private_networking


def test_endpoints_that_may_not_be_read_are_called_not_verifiable_and_refuse_nothing(owners, private):
    owners.set_up.server.reader_roles.discard(OWNER)

    checks = owners.request(private, dry_run=True).json()["checks"]

    shown = next(one for one in checks if one["name"] == "private_endpoint_active")
    assert shown["passed"] is None
    assert "Project Owner" in shown["text"]


def test_no_function_failed_once_keyturn_could_come_in(owners):
    assert owners.runner.failures[owners.failures_before :] == []
