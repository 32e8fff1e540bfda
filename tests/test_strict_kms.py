"""The strict KMS refuses what AWS refuses, and keeps its promises as virtual time passes."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from sandbox.clock import VirtualClock
from sandbox.strict_kms import Caller, KmsError, StrictKms

HOME, ABROAD, REGION = "123456789012", "999999999999", "us-east-1"
START = datetime(2026, 1, 1, tzinfo=UTC)
ROOT = Caller(f"arn:aws:iam::{HOME}:root", HOME)
ADMIN = Caller(f"arn:aws:iam::{HOME}:user/admin", HOME)
STRANGER = Caller(f"arn:aws:iam::{HOME}:user/stranger", HOME)
ATLAS = Caller(f"arn:aws:sts::{HOME}:assumed-role/atlas/session-7", HOME)
ATLAS_ROLE = f"arn:aws:iam::{HOME}:role/atlas"
FOREIGNER = Caller(f"arn:aws:iam::{ABROAD}:user/foreigner", ABROAD)


def document(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action, resource="*", **more):
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action, **more):
    return {"Effect": "Deny", "Action": action, "Resource": "*", **more}


ACCOUNT = allow("kms:*", Principal={"AWS": f"arn:aws:iam::{HOME}:root"})
FOR_ATLAS = allow(["kms:Encrypt", "kms:Decrypt", "kms:DescribeKey"], Principal={"AWS": ATLAS_ROLE})


class IamOfTheTest:
    def __init__(self):
        self.policies = {ADMIN.arn: (document(allow("*")),)}
        self.boundaries = {}

    def policies_of(self, caller):
        return self.policies.get(caller.arn, ())

    def boundary_of(self, caller):
        return self.boundaries.get(caller.arn)


class World:
    def __init__(self, **settings):
        self.clock = VirtualClock(START)
        self.iam = IamOfTheTest()
        self.kms = StrictKms(self.clock, identities=self.iam, **settings)

    def do(self, operation, caller=ADMIN, region=REGION, **body):
        return self.kms.call(operation, body, caller=caller, region=region)

    def new_key(self, **body):
        return self.do("CreateKey", **body)["KeyMetadata"]["Arn"]

    def refusal(self, operation, caller=ADMIN, region=REGION, **body):
        with pytest.raises(KmsError) as refused:
            self.do(operation, caller, region, **body)
        return refused.value.code, refused.value.message

    def state(self, key):
        return self.do("DescribeKey", KeyId=key)["KeyMetadata"]["KeyState"]

    def days_pass(self, days):
        self.clock.advance_to(self.clock.now() + timedelta(days=days))


@pytest.fixture
def world():
    return World()


# ---- the clock ----


def test_the_virtual_clock_never_goes_back():
    clock = VirtualClock(START)

    with pytest.raises(ValueError, match="cannot go back"):
        clock.advance_to(START - timedelta(seconds=1))


def test_the_virtual_clock_wants_a_time_zone():
    with pytest.raises(ValueError, match="time zone"):
        VirtualClock(datetime(2026, 1, 1))  # noqa: DTZ001 - the mistake itself


# ---- creation ----


def test_a_new_key_answers_with_everything_aws_says(world):
    answer = world.do("CreateKey", Description="for a project")["KeyMetadata"]

    assert answer["Arn"] == f"arn:aws:kms:{REGION}:{HOME}:key/{answer['KeyId']}"
    assert answer["CreationDate"] == START
    assert len(answer["CurrentKeyMaterialId"]) == 64
    assert (answer["MultiRegion"], answer["KeyState"], answer["Enabled"]) == (False, "Enabled", True)


def test_a_key_made_without_a_policy_leaves_the_decision_to_the_account(world):
    key = world.new_key()

    policy = json.loads(world.do("GetKeyPolicy", KeyId=key)["Policy"])

    assert policy["Statement"][0]["Principal"] == {"AWS": f"arn:aws:iam::{HOME}:root"}


@pytest.mark.parametrize(
    "policy",
    [
        "{bad",
        "[]",
        json.dumps({"Version": "2012-10-17"}),
        json.dumps({"Version": "2026-01-01", "Statement": [ACCOUNT]}),
        document(allow("kms:*")),
        document({**ACCOUNT, "Effect": "Perhaps"}),
        document({**ACCOUNT, "Principal": {"AWS": "somebody"}}),
    ],
)
def test_a_malformed_policy_is_refused(world, policy):
    code, _ = world.refusal("CreateKey", Policy=policy)

    assert code == "MalformedPolicyDocumentException"


@pytest.mark.parametrize(
    "statement",
    [
        {"Effect": "Allow", "Principal": "*", "Action": "kms:*"},
        {"Effect": "Allow", "Principal": "*", "Resource": "*"},
        FOR_ATLAS,
        deny("kms:PutKeyPolicy", Principal="*"),
    ],
)
def test_a_policy_that_locks_its_author_out_is_refused(world, statement):
    code, message = world.refusal("CreateKey", Policy=document(statement))

    assert code == "MalformedPolicyDocumentException"
    assert "will not allow you to update the key policy" in message


def test_the_lock_out_check_can_be_bypassed_and_then_the_author_is_locked_out(world):
    key = world.new_key(Policy=document(FOR_ATLAS), BypassPolicyLockoutSafetyCheck=True)

    code, _ = world.refusal("PutKeyPolicy", KeyId=key, Policy=document(ACCOUNT))

    assert code == "AccessDeniedException"


def test_a_refused_policy_leaves_the_old_one_in_force(world):
    key = world.new_key()

    world.refusal("PutKeyPolicy", KeyId=key, Policy=document(FOR_ATLAS))

    assert json.loads(world.do("GetKeyPolicy", KeyId=key)["Policy"])["Id"] == "key-default-1"


def test_a_new_policy_decides_from_then_on(world):
    key = world.new_key()
    before = world.refusal("Encrypt", ATLAS, KeyId=key, Plaintext=b"x")[0]

    world.do("PutKeyPolicy", KeyId=key, PolicyName="default", Policy=document(ACCOUNT, FOR_ATLAS))

    assert before == "AccessDeniedException"
    assert world.do("Encrypt", ATLAS, KeyId=key, Plaintext=b"x")["KeyId"] == key


def test_parameters_are_checked_before_any_key_is_looked_for(world):
    code, message = world.refusal("Encrypt", KeyId="no-such-key", Plaintext=b"x" * 4097)

    assert code == "ValidationException"
    assert message == (
        "1 validation error detected: Value at 'plaintext' failed to satisfy constraint: "
        "Member must have length less than or equal to 4096"
    )


def test_missing_and_unknown_parameters_are_refused(world):
    assert world.refusal("Encrypt", Plaintext=b"x")[0] == "ValidationException"
    assert world.refusal("Encrypt", KeyId="x", Plaintext=b"x", Context={})[0] == "SerializationException"
    assert world.refusal("Encrypt", KeyId=7, Plaintext=b"x")[0] == "SerializationException"


def test_operations_that_the_sandbox_does_not_know_are_refused(world):
    assert world.refusal("DeleteImportedKeyMaterial", KeyId="x") == (
        "UnsupportedOperationException",
        "DeleteImportedKeyMaterial is not in the sandbox.",
    )


def test_for_a_while_only_its_creator_sees_a_new_key_and_only_by_describing_it():
    world = World(consistency_delay=timedelta(seconds=5))
    key = world.new_key(Policy=document(ACCOUNT, FOR_ATLAS))

    assert world.state(key) == "Enabled"
    assert world.refusal("Encrypt", KeyId=key, Plaintext=b"x")[0] == "NotFoundException"
    assert world.refusal("DescribeKey", ATLAS, KeyId=key)[0] == "NotFoundException"
    assert world.do("ListKeys")["Keys"] == []
    world.clock.advance_to(START + timedelta(seconds=5))
    assert world.do("Encrypt", ATLAS, KeyId=key, Plaintext=b"x")["KeyId"] == key
    assert len(world.do("ListKeys")["Keys"]) == 1


def test_keys_are_listed_page_by_page_until_none_is_left(world):
    made = {world.new_key() for _ in range(7)}
    listed, marker = [], {}

    for _ in range(3):
        answer = world.do("ListKeys", Limit=3, **marker)
        listed += [key["KeyArn"] for key in answer["Keys"]]
        marker = {"Marker": answer["NextMarker"]} if answer["Truncated"] else {}

    assert set(listed) == made
    assert len(listed) == 7
    assert not marker


def test_a_marker_that_kms_did_not_give_is_refused(world):
    assert world.refusal("ListKeys", Marker="elsewhere")[0] == "InvalidMarkerException"


# ---- names ----


def test_a_key_is_found_by_id_arn_alias_and_alias_arn(world):
    key = world.new_key()
    world.do("CreateAlias", AliasName="alias/atlas/one", TargetKeyId=key)
    names = [key, key.rsplit("/", 1)[1], "alias/atlas/one", f"arn:aws:kms:{REGION}:{HOME}:alias/atlas/one"]

    found = {world.do("DescribeKey", KeyId=name)["KeyMetadata"]["Arn"] for name in names}

    assert found == {key}


def test_only_some_operations_take_an_alias(world):
    world.do("CreateAlias", AliasName="alias/one", TargetKeyId=world.new_key())

    assert world.refusal("DisableKey", KeyId="alias/one") == (
        "NotFoundException",
        "Invalid keyId 'alias/one'",
    )
    assert world.refusal("DisableKey", KeyId=f"arn:aws:kms:{REGION}:{HOME}:alias/one")[0] == "InvalidArnException"


def test_what_does_not_exist_is_named_in_the_refusal(world):
    missing = "11111111-2222-3333-4444-555555555555"

    assert world.refusal("DescribeKey", KeyId=missing) == (
        "NotFoundException",
        f"Key 'arn:aws:kms:{REGION}:{HOME}:key/{missing}' does not exist",
    )
    assert world.refusal("DescribeKey", KeyId="alias/none") == (
        "NotFoundException",
        f"Alias arn:aws:kms:{REGION}:{HOME}:alias/none is not found.",
    )
    assert world.refusal("DescribeKey", KeyId="nonsense") == (
        "NotFoundException",
        "Invalid keyId 'nonsense'",
    )


def test_a_key_of_another_region_is_not_found_here(world):
    key = world.new_key()

    assert world.refusal("DescribeKey", region="eu-west-1", KeyId=key)[1] == f"Invalid arn {REGION}"
    assert "does not exist" in world.refusal("DescribeKey", region="eu-west-1", KeyId=key[-36:])[1]


def test_another_account_learns_nothing_about_keys_it_may_not_use(world):
    key = world.new_key()
    world.iam.policies[FOREIGNER.arn] = (document(allow("*")),)
    missing = f"arn:aws:kms:{REGION}:{HOME}:key/11111111-2222-3333-4444-555555555555"

    there = world.refusal("Encrypt", FOREIGNER, KeyId=key, Plaintext=b"x")
    nowhere = world.refusal("Encrypt", FOREIGNER, KeyId=missing, Plaintext=b"x")

    assert there[0] == nowhere[0] == "AccessDeniedException"
    assert there[1].replace(key, "") == nowhere[1].replace(missing, "")


def test_an_alias_is_unique_in_its_account_and_region(world):
    first, second = world.new_key(), world.new_key()
    world.do("CreateAlias", AliasName="alias/atlas/p/1", TargetKeyId=first)

    code, _ = world.refusal("CreateAlias", AliasName="alias/atlas/p/1", TargetKeyId=second)

    assert code == "AlreadyExistsException"
    assert world.do("DescribeKey", KeyId="alias/atlas/p/1")["KeyMetadata"]["Arn"] == first


def test_aliases_move_are_listed_and_go(world):
    first, second = world.new_key(), world.new_key()
    world.do("CreateAlias", AliasName="alias/a", TargetKeyId=first)
    world.do("UpdateAlias", AliasName="alias/a", TargetKeyId=second)

    listed = world.do("ListAliases", KeyId=second)["Aliases"]
    world.do("DeleteAlias", AliasName="alias/a")

    assert [alias["AliasName"] for alias in listed] == ["alias/a"]
    assert world.do("ListAliases")["Aliases"] == []
    assert world.refusal("DeleteAlias", AliasName="alias/a")[0] == "NotFoundException"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("alias/aws/ebs", "NotAuthorizedException"),
        ("atlas", "ValidationException"),
        ("alias/a b", "ValidationException"),
    ],
)
def test_aliases_that_aws_would_not_take_are_refused(world, name, code):
    assert world.refusal("CreateAlias", AliasName=name, TargetKeyId=world.new_key())[0] == code


# ---- who may ----


def test_a_stranger_of_the_account_is_refused_with_aws_words(world):
    key = world.new_key()

    code, message = world.refusal("Encrypt", STRANGER, KeyId=key, Plaintext=b"x")

    assert code == "AccessDeniedException"
    assert message == (
        f"User: {STRANGER.arn} is not authorized to perform: kms:Encrypt on resource: {key} "
        "because no identity-based policy allows the kms:Encrypt action"
    )


def test_identity_policies_count_only_where_the_key_policy_leaves_it_to_the_account(world):
    mine = allow("kms:*", Principal={"AWS": ADMIN.arn})
    key = world.new_key(Policy=document(mine))
    world.iam.policies[STRANGER.arn] = (document(allow("kms:*")),)

    _, message = world.refusal("Encrypt", STRANGER, KeyId=key, Plaintext=b"x")

    assert "no resource-based policy allows" in message
    assert world.do("Encrypt", KeyId=key, Plaintext=b"x")["KeyId"] == key


def test_a_session_has_what_its_role_was_given_and_no_more(world):
    key = world.new_key(Policy=document(ACCOUNT, FOR_ATLAS))

    blob = world.do("Encrypt", ATLAS, KeyId=key, Plaintext=b"secret")["CiphertextBlob"]

    assert world.do("Decrypt", ATLAS, CiphertextBlob=blob)["Plaintext"] == b"secret"
    assert world.refusal("ScheduleKeyDeletion", ATLAS, KeyId=key)[0] == "AccessDeniedException"
    other = Caller(f"arn:aws:sts::{HOME}:assumed-role/atlas2/session-7", HOME)
    assert world.refusal("Encrypt", other, KeyId=key, Plaintext=b"x")[0] == "AccessDeniedException"


def test_a_role_with_a_path_is_the_role_of_its_sessions(world):
    statement = {**FOR_ATLAS, "Principal": {"AWS": [f"arn:aws:iam::{HOME}:role/mongodb/atlas"]}}
    key = world.new_key(Policy=document(ACCOUNT, statement))

    assert world.do("DescribeKey", ATLAS, KeyId=key)["KeyMetadata"]["Arn"] == key


@pytest.mark.parametrize("where", ["key", "identity"])
def test_a_deny_wins_wherever_it_stands(world, where):
    denial = deny("kms:Enc*")
    own = {**denial, "Principal": "*"}
    key = world.new_key(Policy=document(ACCOUNT, own) if where == "key" else document(ACCOUNT))
    if where == "identity":
        world.iam.policies[ADMIN.arn] = (document(allow("*"), denial),)

    _, message = world.refusal("Encrypt", KeyId=key, Plaintext=b"x")

    assert "with an explicit deny in" in message


def test_not_action_covers_everything_else(world):
    world.iam.policies[STRANGER.arn] = (document({"Effect": "Allow", "NotAction": "kms:Decrypt", "Resource": "*"}),)
    key = world.new_key()

    blob = world.do("Encrypt", STRANGER, KeyId=key, Plaintext=b"x")["CiphertextBlob"]

    assert world.refusal("Decrypt", STRANGER, CiphertextBlob=blob)[0] == "AccessDeniedException"


def test_an_identity_policy_is_held_to_its_resources(world):
    one, other = world.new_key(), world.new_key()
    world.iam.policies[STRANGER.arn] = (document(allow("kms:Describe*", one)),)

    assert world.do("DescribeKey", STRANGER, KeyId=one)["KeyMetadata"]["Arn"] == one
    assert world.refusal("DescribeKey", STRANGER, KeyId=other)[0] == "AccessDeniedException"


def test_another_account_needs_both_the_key_policy_and_its_own(world):
    key = world.new_key(Policy=document(ACCOUNT, {**FOR_ATLAS, "Principal": {"AWS": ABROAD}}))

    alone = world.refusal("Encrypt", FOREIGNER, KeyId=key, Plaintext=b"x")[0]
    world.iam.policies[FOREIGNER.arn] = (document(allow("kms:*")),)

    assert alone == "AccessDeniedException"
    assert world.do("Encrypt", FOREIGNER, KeyId=key, Plaintext=b"x")["KeyId"] == key


def test_another_account_can_never_manage_a_key(world):
    key = world.new_key(Policy=document(ACCOUNT, {**ACCOUNT, "Principal": {"AWS": ABROAD}}))
    world.iam.policies[FOREIGNER.arn] = (document(allow("kms:*")),)

    refused = {
        world.refusal(operation, FOREIGNER, KeyId=key)[0]
        for operation in ("DisableKey", "ScheduleKeyDeletion", "GetKeyPolicy", "GetKeyLastUsage")
    }

    assert refused == {"AccessDeniedException"}


@pytest.mark.parametrize(
    ("condition", "allowed"),
    [
        ({"StringEquals": {"kms:CallerAccount": HOME}}, True),
        ({"StringEquals": {"kms:CallerAccount": [ABROAD]}}, False),
        ({"StringLike": {"kms:CallerAccount": "1234*"}}, True),
        ({"StringNotEquals": {"kms:CallerAccount": HOME}}, False),
        ({"StringEquals": {"kms:EncryptionContext:project": "p1"}}, True),
        ({"StringEquals": {"kms:EncryptionContext:project": "p2"}}, False),
        ({"StringEqualsIfExists": {"kms:ViaService": "ec2"}}, True),
        ({"StringEquals": {"kms:ViaService": "ec2"}}, False),
        ({"Null": {"kms:ViaService": "true"}}, True),
        ({"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{HOME}:role/at*"}}, True),
        ({"ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["project", "x"]}}, True),
        ({"ForAnyValue:StringEquals": {"kms:EncryptionContextKeys": ["x"]}}, False),
        ({"Bool": {"kms:MultiRegion": False}}, True),
        ({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, True),
        ({"StringMatchesMood": {"kms:CallerAccount": HOME}}, False),
        ({"NumericLessThan": {"kms:CallerAccount": "many"}}, False),
    ],
)
def test_conditions_decide_whether_a_statement_applies(world, condition, allowed):
    key = world.new_key(Policy=document(ACCOUNT, {**FOR_ATLAS, "Condition": condition}))
    body = {"KeyId": key, "Plaintext": b"x", "EncryptionContext": {"project": "p1"}}

    if allowed:
        assert world.do("Encrypt", ATLAS, **body)["KeyId"] == key
    else:
        assert world.refusal("Encrypt", ATLAS, **body)[0] == "AccessDeniedException"


def test_a_known_address_is_held_against_the_networks_of_the_policy(world):
    condition = {"IpAddress": {"aws:SourceIp": ["10.0.0.0/8"]}}
    key = world.new_key(Policy=document(ACCOUNT, {**FOR_ATLAS, "Condition": condition}))
    inside = Caller(ATLAS.arn, HOME, source_ip="10.1.2.3")
    outside = Caller(ATLAS.arn, HOME, source_ip="192.0.2.1")

    assert world.do("Encrypt", inside, KeyId=key, Plaintext=b"x")["KeyId"] == key
    assert world.refusal("Encrypt", outside, KeyId=key, Plaintext=b"x")[0] == "AccessDeniedException"


def test_a_deny_under_an_operator_nobody_knows_applies(world):
    doubtful = deny("kms:Encrypt", Principal="*", Condition={"MoodEquals": {"aws:Mood": "good"}})
    key = world.new_key(Policy=document(ACCOUNT, doubtful))

    assert world.refusal("Encrypt", KeyId=key, Plaintext=b"x")[0] == "AccessDeniedException"


def test_an_account_can_forbid_short_windows_by_policy(world):
    short = deny(
        "kms:ScheduleKeyDeletion",
        Condition={"NumericLessThan": {"kms:ScheduleKeyDeletionPendingWindowInDays": "30"}},
    )
    world.iam.policies[ADMIN.arn] = (document(allow("*"), short),)
    key = world.new_key()

    assert world.refusal("ScheduleKeyDeletion", KeyId=key, PendingWindowInDays=7)[0] == "AccessDeniedException"
    assert world.do("ScheduleKeyDeletion", KeyId=key, PendingWindowInDays=30)["KeyState"] == "PendingDeletion"


def test_who_may_not_is_told_so_before_the_state_of_the_key_is_looked_at(world):
    key = world.new_key()
    world.do("DisableKey", KeyId=key)

    assert world.refusal("Encrypt", STRANGER, KeyId=key, Plaintext=b"x")[0] == "AccessDeniedException"
    assert world.refusal("Encrypt", KeyId=key, Plaintext=b"x")[0] == "DisabledException"


def test_creating_keys_needs_permission_and_so_does_tagging_them(world):
    assert world.refusal("CreateKey", STRANGER)[0] == "AccessDeniedException"
    world.iam.policies[STRANGER.arn] = (document(allow(["kms:CreateKey", "kms:PutKeyPolicy"])),)

    assert world.refusal("CreateKey", STRANGER, Tags=[{"TagKey": "a", "TagValue": "b"}])[1].endswith(
        "allows the kms:TagResource action"
    )
    assert world.do("CreateKey", STRANGER)["KeyMetadata"]["KeyState"] == "Enabled"


@pytest.mark.parametrize(("on", "code"), [("key/*", None), ("key/one-key", "AccessDeniedException")])
def test_tags_of_a_new_key_need_leave_for_every_key_of_the_account_and_region(world, on, code):
    tagging = {"Effect": "Allow", "Action": "kms:TagResource", "Resource": f"arn:aws:kms:*:{STRANGER.account}:{on}"}
    world.iam.policies[STRANGER.arn] = (document(allow(["kms:CreateKey", "kms:PutKeyPolicy"]), tagging),)
    asked = {"Tags": [{"TagKey": "a", "TagValue": "b"}]}

    if code is None:
        assert world.do("CreateKey", STRANGER, **asked)["KeyMetadata"]["KeyState"] == "Enabled"
    else:
        assert world.refusal("CreateKey", STRANGER, **asked)[0] == code


def test_a_grant_lets_its_grantee_in_until_it_is_revoked(world):
    key = world.new_key()
    grant = world.do(
        "CreateGrant",
        KeyId=key,
        GranteePrincipal=STRANGER.arn,
        Operations=["Encrypt"],
        Constraints={"EncryptionContextSubset": {"project": "p1"}},
    )["GrantId"]
    body = {"KeyId": key, "Plaintext": b"x", "EncryptionContext": {"project": "p1"}}

    assert world.do("Encrypt", STRANGER, **body)["KeyId"] == key
    assert world.refusal("Encrypt", STRANGER, KeyId=key, Plaintext=b"x")[0] == "AccessDeniedException"
    assert [one["GrantId"] for one in world.do("ListGrants", KeyId=key)["Grants"]] == [grant]
    world.do("RevokeGrant", KeyId=key, GrantId=grant)
    assert world.refusal("Encrypt", STRANGER, **body)[0] == "AccessDeniedException"
    assert world.refusal("RevokeGrant", KeyId=key, GrantId=grant)[0] == "NotFoundException"


def test_a_grant_is_retired_only_by_whom_it_names(world):
    key = world.new_key()
    grant = world.do(
        "CreateGrant",
        KeyId=key,
        GranteePrincipal=STRANGER.arn,
        RetiringPrincipal=ATLAS_ROLE,
        Operations=["Encrypt"],
    )

    refused = world.refusal("RetireGrant", STRANGER, GrantToken=grant["GrantToken"])[0]
    world.do("RetireGrant", ATLAS, GrantToken=grant["GrantToken"])

    assert refused == "AccessDeniedException"
    assert world.do("ListGrants", KeyId=key)["Grants"] == []


@pytest.mark.parametrize(
    ("boundary", "why"),
    [
        (document(allow("s3:*")), "because no permissions boundary allows the kms:Encrypt action"),
        (document(allow("*"), deny("kms:Encrypt")), "with an explicit deny in a permissions boundary"),
    ],
)
def test_a_permissions_boundary_limits_what_a_key_policy_gives_to_a_role(world, boundary, why):
    key = world.new_key(Policy=document(ACCOUNT, FOR_ATLAS))
    before = world.do("Encrypt", ATLAS, KeyId=key, Plaintext=b"x")
    world.iam.boundaries[ATLAS.arn] = boundary

    code, message = world.refusal("Encrypt", ATLAS, KeyId=key, Plaintext=b"x")

    assert before["KeyId"] == key
    assert (code, message.endswith(why)) == ("AccessDeniedException", True)


def test_a_permissions_boundary_limits_what_a_caller_may_do_in_its_account(world):
    world.iam.boundaries[ADMIN.arn] = document(allow("kms:ListKeys"))

    listed = world.do("ListKeys")

    assert listed["Keys"] == []
    assert world.refusal("CreateKey")[0] == "AccessDeniedException"


# ---- states ----


def test_a_disabled_key_neither_encrypts_nor_decrypts_until_it_is_enabled(world):
    key = world.new_key()
    blob = world.do("Encrypt", KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    world.do("DisableKey", KeyId=key)

    refusals = {
        world.refusal("Encrypt", KeyId=key, Plaintext=b"x"),
        world.refusal("Decrypt", CiphertextBlob=blob),
        world.refusal("GenerateDataKey", KeyId=key, KeySpec="AES_256"),
        world.refusal("EnableKeyRotation", KeyId=key),
    }

    assert refusals == {("DisabledException", f"{key} is disabled.")}
    world.do("EnableKey", KeyId=key)
    assert world.do("Decrypt", CiphertextBlob=blob)["Plaintext"] == b"x"


def test_a_key_pending_deletion_can_only_be_looked_at_and_saved(world):
    key = world.new_key()
    blob = world.do("Encrypt", KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    world.do("ScheduleKeyDeletion", KeyId=key)

    refusals = {
        world.refusal("Decrypt", CiphertextBlob=blob),
        world.refusal("EnableKey", KeyId=key),
        world.refusal("DisableKey", KeyId=key),
        world.refusal("ScheduleKeyDeletion", KeyId=key),
        world.refusal("EnableKeyRotation", KeyId=key),
        world.refusal("RotateKeyOnDemand", KeyId=key),
        world.refusal("CreateAlias", AliasName="alias/x", TargetKeyId=key),
        world.refusal("TagResource", KeyId=key, Tags=[{"TagKey": "a", "TagValue": "b"}]),
    }

    assert refusals == {("KMSInvalidStateException", f"{key} is pending deletion.")}
    world.do("CancelKeyDeletion", KeyId=key)
    assert world.state(key) == "Disabled"
    world.do("EnableKey", KeyId=key)
    assert world.do("Decrypt", CiphertextBlob=blob)["Plaintext"] == b"x"


@pytest.mark.parametrize("days", [6, 31])
def test_a_window_outside_seven_to_thirty_days_is_refused(world, days):
    key = world.new_key()

    assert world.refusal("ScheduleKeyDeletion", KeyId=key, PendingWindowInDays=days)[0] == "ValidationException"
    assert world.state(key) == "Enabled"


def test_a_scheduled_deletion_answers_with_its_date_on_the_virtual_clock(world):
    key = world.new_key()
    world.days_pass(3)

    answer = world.do("ScheduleKeyDeletion", KeyId=key, PendingWindowInDays=7)

    assert answer == {
        "KeyId": key,
        "DeletionDate": START + timedelta(days=10),
        "KeyState": "PendingDeletion",
        "PendingWindowInDays": 7,
    }
    assert world.do("DescribeKey", KeyId=key)["KeyMetadata"]["DeletionDate"] == START + timedelta(days=10)


def test_thirty_days_is_the_usual_window(world):
    answer = world.do("ScheduleKeyDeletion", KeyId=world.new_key())

    assert answer["DeletionDate"] == START + timedelta(days=30)


def test_calling_off_a_deletion_that_nobody_scheduled_is_refused(world):
    key = world.new_key()

    assert world.refusal("CancelKeyDeletion", KeyId=key) == (
        "KMSInvalidStateException",
        f"{key} is not pending deletion.",
    )


def test_a_called_off_deletion_leaves_no_date_behind(world):
    key = world.new_key()
    world.do("ScheduleKeyDeletion", KeyId=key)

    assert world.do("CancelKeyDeletion", KeyId=key) == {"KeyId": key}

    assert "DeletionDate" not in world.do("DescribeKey", KeyId=key)["KeyMetadata"]
    world.days_pass(40)
    assert world.state(key) == "Disabled"


def test_on_its_date_a_key_is_gone_and_so_is_everything_it_encrypted(world):
    key = world.new_key()
    world.do("CreateAlias", AliasName="alias/doomed", TargetKeyId=key)
    blob = world.do("Encrypt", KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    world.do("ScheduleKeyDeletion", KeyId=key, PendingWindowInDays=7)
    world.days_pass(6.999)
    assert world.state(key) == "PendingDeletion"

    world.days_pass(0.001)

    assert world.refusal("DescribeKey", KeyId=key) == ("NotFoundException", f"Key '{key}' does not exist")
    assert world.refusal("Decrypt", CiphertextBlob=blob)[0] == "AccessDeniedException"
    assert world.refusal("Decrypt", CiphertextBlob=blob, KeyId=world.new_key())[0] == "IncorrectKeyException"
    assert world.refusal("CancelKeyDeletion", KeyId=key)[0] == "NotFoundException"
    assert world.do("ListAliases")["Aliases"] == []


# ---- cryptography ----


def test_the_encryption_context_must_be_the_same(world):
    key = world.new_key()
    context = {"project": "p1", "cluster": "c1"}
    blob = world.do("Encrypt", KeyId=key, Plaintext=b"x", EncryptionContext=context)["CiphertextBlob"]

    turned = dict(reversed(context.items()))

    assert world.do("Decrypt", CiphertextBlob=blob, EncryptionContext=turned)["Plaintext"] == b"x"
    assert world.refusal("Decrypt", CiphertextBlob=blob) == ("InvalidCiphertextException", "")
    assert world.refusal("Decrypt", CiphertextBlob=blob, EncryptionContext={"project": "p2"})[1] == ""


def test_another_key_is_said_to_be_the_wrong_one(world):
    key, other = world.new_key(), world.new_key()
    blob = world.do("Encrypt", KeyId=key, Plaintext=b"x")["CiphertextBlob"]

    assert world.refusal("Decrypt", CiphertextBlob=blob, KeyId=other) == (
        "IncorrectKeyException",
        "The key ID in the request does not identify a CMK that can perform this operation.",
    )


@pytest.mark.parametrize("place", [0, 5, 40, -1])
def test_a_tampered_ciphertext_is_refused(world, place):
    key = world.new_key()
    blob = bytearray(world.do("Encrypt", KeyId=key, Plaintext=b"x")["CiphertextBlob"])
    blob[place] ^= 1

    assert world.refusal("Decrypt", CiphertextBlob=bytes(blob), KeyId=key)[0] == "InvalidCiphertextException"
    assert world.refusal("Decrypt", CiphertextBlob=bytes(blob))[0] == "InvalidCiphertextException"


def test_a_dry_run_does_everything_but_the_work(world):
    key = world.new_key()
    blob = world.do("Encrypt", KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    used = world.do("GetKeyLastUsage", KeyId=key)["KeyLastUsage"]

    refusals = {
        world.refusal("Encrypt", KeyId=key, Plaintext=b"x", DryRun=True),
        world.refusal("Decrypt", CiphertextBlob=blob, DryRun=True),
        world.refusal("GenerateDataKey", KeyId=key, KeySpec="AES_256", DryRun=True),
    }

    assert refusals == {("DryRunOperationException", "The request would have succeeded, but the DryRun option is set.")}
    assert world.do("GetKeyLastUsage", KeyId=key)["KeyLastUsage"] == used


def test_a_dry_run_tells_what_would_go_wrong(world):
    key = world.new_key()
    denied = world.refusal("Encrypt", STRANGER, KeyId=key, Plaintext=b"x", DryRun=True)[0]
    world.do("DisableKey", KeyId=key)

    off = world.refusal("Encrypt", KeyId=key, Plaintext=b"x", DryRun=True)[0]

    assert (denied, off) == ("AccessDeniedException", "DisabledException")


def test_data_keys_come_plain_and_sealed(world):
    key = world.new_key()

    pair = world.do("GenerateDataKey", KeyId=key, KeySpec="AES_256")
    sealed = world.do("GenerateDataKeyWithoutPlaintext", KeyId=key, NumberOfBytes=64)

    assert world.do("Decrypt", CiphertextBlob=pair["CiphertextBlob"])["Plaintext"] == pair["Plaintext"]
    assert len(world.do("Decrypt", CiphertextBlob=sealed["CiphertextBlob"])["Plaintext"]) == 64
    assert world.refusal("GenerateDataKey", KeyId=key)[0] == "ValidationException"


def test_re_encryption_moves_a_ciphertext_to_another_key(world):
    old, new = world.new_key(), world.new_key()
    blob = world.do("Encrypt", KeyId=old, Plaintext=b"x")["CiphertextBlob"]

    moved = world.do("ReEncrypt", CiphertextBlob=blob, DestinationKeyId=new)

    assert (moved["SourceKeyId"], moved["KeyId"]) == (old, new)
    assert world.do("Decrypt", CiphertextBlob=moved["CiphertextBlob"], KeyId=new)["Plaintext"] == b"x"


def test_re_encryption_asks_both_keys(world):
    old, new = world.new_key(), world.new_key()
    blob = world.do("Encrypt", KeyId=old, Plaintext=b"x")["CiphertextBlob"]
    world.iam.policies[STRANGER.arn] = (document(allow("kms:ReEncryptFrom", old)),)

    _, message = world.refusal("ReEncrypt", STRANGER, CiphertextBlob=blob, DestinationKeyId=new)

    assert "kms:ReEncryptTo" in message


def test_the_last_use_is_the_last_successful_cryptographic_one(world):
    key = world.new_key()
    assert "KeyLastUsage" not in world.do("GetKeyLastUsage", KeyId=key)
    world.days_pass(1)
    world.do("Encrypt", KeyId=key, Plaintext=b"x")
    world.days_pass(1)
    world.do("DisableKey", KeyId=key)
    world.refusal("Encrypt", KeyId=key, Plaintext=b"x")

    answer = world.do("GetKeyLastUsage", KeyId=key)

    assert answer["KeyLastUsage"]["Operation"] == "Encrypt"
    assert answer["KeyLastUsage"]["Timestamp"] == START + timedelta(days=1)
    assert answer["KeyCreationDate"] == START


def test_keys_of_other_kinds_exist_but_do_not_encrypt(world):
    signing = world.new_key(KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")

    assert world.refusal("Encrypt", KeyId=signing, Plaintext=b"x")[0] == "InvalidKeyUsageException"
    assert world.refusal("CreateKey", KeySpec="RSA_2048")[0] == "ValidationException"
    assert world.refusal("CreateKey", KeyUsage="SIGN_VERIFY")[0] == "ValidationException"


def test_a_key_without_material_waits_for_its_import(world):
    key = world.new_key(Origin="EXTERNAL")

    assert world.refusal("Encrypt", KeyId=key, Plaintext=b"x") == (
        "KMSInvalidStateException",
        f"{key} is pending import.",
    )
    assert world.refusal("EnableKey", KeyId=key)[0] == "KMSInvalidStateException"


# ---- imported material ----

OAEP = padding.OAEP(mgf=padding.MGF1(algorithm=SHA256()), algorithm=SHA256(), label=None)


def parameters(world, key):
    wrapped_by = {"WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"}
    given = world.do("GetParametersForImport", KeyId=key, **wrapped_by)
    return load_der_public_key(given["PublicKey"]), given["ImportToken"]


def ready_to_import(world, key, secret, **more):
    public, token = parameters(world, key)
    body = {"ImportToken": token, "EncryptedKeyMaterial": public.encrypt(secret, OAEP)}
    return {"KeyId": key, "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE", **body, **more}


def imported_key(world, secret=b"a" * 32):
    key = world.new_key(Origin="EXTERNAL")
    world.do("ImportKeyMaterial", **ready_to_import(world, key, secret))
    return key


def test_a_key_works_once_its_material_was_imported(world):
    key = imported_key(world)
    blob = world.do("Encrypt", KeyId=key, Plaintext=b"x")["CiphertextBlob"]

    shown = world.do("DescribeKey", KeyId=key)["KeyMetadata"]

    assert (shown["KeyState"], shown["Origin"]) == ("Enabled", "EXTERNAL")
    assert shown["ExpirationModel"] == "KEY_MATERIAL_DOES_NOT_EXPIRE"
    assert world.do("Decrypt", CiphertextBlob=blob)["Plaintext"] == b"x"


def test_imported_material_rotates_on_demand_only_and_only_to_new_material(world):
    key = imported_key(world)
    blob = world.do("Encrypt", KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    without = world.refusal("RotateKeyOnDemand", KeyId=key)
    new = ready_to_import(world, key, b"b" * 32, ImportType="NEW_KEY_MATERIAL")
    told = world.do("ImportKeyMaterial", **new)
    waiting = world.do("ListKeyRotations", KeyId=key, IncludeKeyMaterial="ALL_KEY_MATERIAL")["Rotations"]

    world.do("RotateKeyOnDemand", KeyId=key)
    world.days_pass(1)

    assert without[0] == "KMSInvalidStateException"
    assert world.refusal("EnableKeyRotation", KeyId=key)[0] == "UnsupportedOperationException"
    assert [one["KeyMaterialState"] for one in waiting] == ["CURRENT", "PENDING_ROTATION"]
    (done,) = world.do("ListKeyRotations", KeyId=key)["Rotations"]
    assert (done["RotationType"], done["KeyMaterialId"]) == ("ON_DEMAND", told["KeyMaterialId"])
    assert world.do("Decrypt", CiphertextBlob=blob)["Plaintext"] == b"x"


def test_the_same_material_may_be_imported_again_and_other_is_not_taken_for_it(world):
    key = imported_key(world, b"a" * 32)

    world.do("ImportKeyMaterial", **ready_to_import(world, key, b"a" * 32))

    other = ready_to_import(world, key, b"b" * 32)
    assert world.refusal("ImportKeyMaterial", **other)[0] == "IncorrectKeyMaterialException"


def test_one_new_material_waits_at_a_time(world):
    key = imported_key(world)
    world.do("ImportKeyMaterial", **ready_to_import(world, key, b"b" * 32, ImportType="NEW_KEY_MATERIAL"))

    third = ready_to_import(world, key, b"c" * 32, ImportType="NEW_KEY_MATERIAL")

    assert world.refusal("ImportKeyMaterial", **third)[0] == "KMSInvalidStateException"


@pytest.mark.parametrize(
    ("secret", "change", "code"),
    [
        (b"short", {}, "IncorrectKeyMaterialException"),
        (b"a" * 32, {"ImportToken": b"other"}, "InvalidImportTokenException"),
        (b"a" * 32, {"EncryptedKeyMaterial": b"not wrapped"}, "InvalidCiphertextException"),
        (b"a" * 32, {"ExpirationModel": "KEY_MATERIAL_EXPIRES"}, "UnsupportedOperationException"),
    ],
)
def test_material_that_does_not_fit_is_refused(world, secret, change, code):
    key = world.new_key(Origin="EXTERNAL")
    body = ready_to_import(world, key, secret) | change

    assert world.refusal("ImportKeyMaterial", **body)[0] == code
    assert world.state(key) == "PendingImport"


def test_an_import_token_lasts_a_day(world):
    key = world.new_key(Origin="EXTERNAL")
    body = ready_to_import(world, key, b"a" * 32)
    world.days_pass(1)

    assert world.refusal("ImportKeyMaterial", **body)[0] == "ExpiredImportTokenException"


# ---- rotation ----


def test_old_ciphertexts_still_decrypt_after_every_kind_of_rotation(world):
    key = world.new_key()
    blobs = [world.do("Encrypt", KeyId=key, Plaintext=b"0")["CiphertextBlob"]]
    world.do("EnableKeyRotation", KeyId=key, RotationPeriodInDays=90)
    for number in (b"1", b"2"):
        world.days_pass(90)
        blobs.append(world.do("Encrypt", KeyId=key, Plaintext=number)["CiphertextBlob"])
    world.do("RotateKeyOnDemand", KeyId=key)
    world.days_pass(1)
    blobs.append(world.do("Encrypt", KeyId=key, Plaintext=b"3")["CiphertextBlob"])

    opened = [world.do("Decrypt", CiphertextBlob=blob) for blob in blobs]

    assert [one["Plaintext"] for one in opened] == [b"0", b"1", b"2", b"3"]
    assert len({one["KeyMaterialId"] for one in opened}) == 4


def test_rotation_happens_on_its_dates_even_when_nobody_looks(world):
    key = world.new_key()
    world.do("EnableKeyRotation", KeyId=key)
    world.days_pass(365 * 2 + 1)

    listed = world.do("ListKeyRotations", KeyId=key)["Rotations"]

    assert [one["RotationDate"] for one in listed] == [START + timedelta(days=365 * n) for n in (1, 2)]
    assert {one["RotationType"] for one in listed} == {"AUTOMATIC"}
    status = world.do("GetKeyRotationStatus", KeyId=key)
    assert status["NextRotationDate"] == START + timedelta(days=365 * 3)
    assert status["RotationPeriodInDays"] == 365


def test_rotation_that_is_off_does_not_happen(world):
    key = world.new_key()
    world.do("EnableKeyRotation", KeyId=key, RotationPeriodInDays=90)
    world.do("DisableKeyRotation", KeyId=key)
    world.days_pass(1000)

    assert world.do("ListKeyRotations", KeyId=key)["Rotations"] == []
    assert world.do("GetKeyRotationStatus", KeyId=key) == {"KeyId": key, "KeyRotationEnabled": False}


@pytest.mark.parametrize("days", [89, 2561])
def test_a_period_outside_90_to_2560_days_is_refused(world, days):
    key = world.new_key()

    code, _ = world.refusal("EnableKeyRotation", KeyId=key, RotationPeriodInDays=days)

    assert code == "ValidationException"


def test_a_disabled_key_rotates_once_it_is_enabled_again(world):
    key = world.new_key()
    world.do("EnableKeyRotation", KeyId=key, RotationPeriodInDays=90)
    world.do("DisableKey", KeyId=key)
    world.days_pass(300)
    before = world.do("ListKeyRotations", KeyId=key)["Rotations"]

    world.do("EnableKey", KeyId=key)

    assert before == []
    listed = world.do("ListKeyRotations", KeyId=key)["Rotations"]
    assert [one["RotationDate"] for one in listed] == [START + timedelta(days=300)]
    next_one = world.do("GetKeyRotationStatus", KeyId=key)["NextRotationDate"]
    assert next_one == START + timedelta(days=390)


def test_on_demand_rotations_end_at_twenty_five(world):
    key = world.new_key()
    for _ in range(25):
        assert world.do("RotateKeyOnDemand", KeyId=key) == {"KeyId": key}
        world.days_pass(1)

    code, message = world.refusal("RotateKeyOnDemand", KeyId=key)

    assert code == "LimitExceededException"
    assert message.startswith("The on-demand rotations limit has been reached for the given keyId.")
    listed = world.do("ListKeyRotations", KeyId=key)["Rotations"]
    assert [one["RotationType"] for one in listed] == ["ON_DEMAND"] * 25


def test_a_rotation_on_demand_runs_until_its_material_is_there(world):
    key = world.new_key()
    old = world.do("DescribeKey", KeyId=key)["KeyMetadata"]["CurrentKeyMaterialId"]
    world.do("RotateKeyOnDemand", KeyId=key)

    status = world.do("GetKeyRotationStatus", KeyId=key)
    running = world.do("DescribeKey", KeyId=key)["KeyMetadata"]["CurrentKeyMaterialId"]
    listed = world.do("ListKeyRotations", KeyId=key)["Rotations"]
    world.clock.advance_to(START + timedelta(minutes=2))

    assert status == {"KeyId": key, "KeyRotationEnabled": False, "OnDemandRotationStartDate": START}
    assert (running, listed) == (old, [])
    assert "OnDemandRotationStartDate" not in world.do("GetKeyRotationStatus", KeyId=key)
    (done,) = world.do("ListKeyRotations", KeyId=key)["Rotations"]
    assert (done["RotationDate"], done["RotationType"]) == (START + timedelta(minutes=2), "ON_DEMAND")
    assert done["KeyMaterialId"] == world.do("DescribeKey", KeyId=key)["KeyMetadata"]["CurrentKeyMaterialId"] != old


def test_a_rotation_is_not_started_while_one_runs_or_an_automatic_one_is_near(world):
    key = world.new_key()
    world.do("EnableKeyRotation", KeyId=key, RotationPeriodInDays=90)
    world.do("RotateKeyOnDemand", KeyId=key)
    while_one_runs, _ = world.refusal("RotateKeyOnDemand", KeyId=key)
    world.clock.advance_to(START + timedelta(days=90) - timedelta(minutes=20))

    assert while_one_runs == "ConflictException"
    assert world.refusal("RotateKeyOnDemand", KeyId=key)[0] == "ConflictException"


def test_rotations_of_both_kinds_are_listed_in_the_order_in_which_they_happened(world):
    key = world.new_key()
    world.do("EnableKeyRotation", KeyId=key, RotationPeriodInDays=90)
    world.days_pass(89)
    world.do("RotateKeyOnDemand", KeyId=key)
    world.days_pass(200)

    kinds = [one["RotationType"] for one in world.do("ListKeyRotations", KeyId=key)["Rotations"]]

    assert kinds == ["ON_DEMAND", "AUTOMATIC", "AUTOMATIC", "AUTOMATIC"]
    next_one = world.do("GetKeyRotationStatus", KeyId=key)["NextRotationDate"]
    assert next_one == START + timedelta(days=360)


def test_a_rotation_on_demand_waits_while_its_key_is_disabled(world):
    key = world.new_key()
    world.do("RotateKeyOnDemand", KeyId=key)
    world.do("DisableKey", KeyId=key)
    world.days_pass(5)
    while_disabled = world.do("ListKeyRotations", KeyId=key)["Rotations"]

    world.do("EnableKey", KeyId=key)

    assert while_disabled == []
    (done,) = world.do("ListKeyRotations", KeyId=key)["Rotations"]
    assert done["RotationDate"] == START + timedelta(days=5)


def test_rotations_come_in_pages(world):
    key = world.new_key()
    for _ in range(3):
        world.do("RotateKeyOnDemand", KeyId=key)
        world.days_pass(1)

    first = world.do("ListKeyRotations", KeyId=key, Limit=2)
    second = world.do("ListKeyRotations", KeyId=key, Limit=2, Marker=first["NextMarker"])

    assert (len(first["Rotations"]), first["Truncated"]) == (2, True)
    assert (len(second["Rotations"]), second["Truncated"]) == (1, False)


def test_only_those_whom_a_policy_lets_rotate_a_key(world):
    key = world.new_key()

    assert world.refusal("RotateKeyOnDemand", STRANGER, KeyId=key)[0] == "AccessDeniedException"
    assert world.refusal("RotateKeyOnDemand", FOREIGNER, KeyId=key)[0] == "AccessDeniedException"


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        (
            {"Origin": "AWS_CLOUDHSM", "CustomKeyStoreId": "cks-1"},
            {"CustomKeyStoreId": "cks-1", "CloudHsmClusterId": "cluster-sandbox"},
        ),
        (
            {"Origin": "EXTERNAL_KEY_STORE", "CustomKeyStoreId": "cks-2", "XksKeyId": "x1"},
            {"CustomKeyStoreId": "cks-2", "XksKeyConfiguration": {"Id": "x1"}},
        ),
    ],
)
def test_a_key_in_a_custom_store_encrypts_but_is_not_rotated(world, asked, shown):
    key = world.new_key(**asked)
    blob = world.do("Encrypt", KeyId=key, Plaintext=b"x")["CiphertextBlob"]

    described = world.do("DescribeKey", KeyId=key)["KeyMetadata"]

    assert described["Origin"] == asked["Origin"]
    assert shown.items() <= described.items()
    assert "CurrentKeyMaterialId" not in described
    assert world.do("Decrypt", KeyId=key, CiphertextBlob=blob)["Plaintext"] == b"x"
    for operation in ("EnableKeyRotation", "RotateKeyOnDemand"):
        assert world.refusal(operation, KeyId=key)[0] == "UnsupportedOperationException"


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"Origin": "AWS_CLOUDHSM"}, "ValidationException"),
        ({"CustomKeyStoreId": "cks-1"}, "ValidationException"),
        ({"Origin": "EXTERNAL_KEY_STORE", "CustomKeyStoreId": "cks-2"}, "ValidationException"),
        ({"Origin": "AWS_CLOUDHSM", "CustomKeyStoreId": "cks-1", "XksKeyId": "x1"}, "ValidationException"),
        (
            {"Origin": "AWS_CLOUDHSM", "CustomKeyStoreId": "cks-1", "MultiRegion": True},
            "UnsupportedOperationException",
        ),
    ],
)
def test_a_custom_store_takes_single_region_keys_of_its_own_origin_only(world, asked, code):
    assert world.refusal("CreateKey", **asked)[0] == code


def test_keys_that_kms_cannot_rotate_say_so(world):
    key = world.new_key(KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")

    codes = {
        world.refusal(operation, KeyId=key)[0]
        for operation in ("EnableKeyRotation", "RotateKeyOnDemand", "ListKeyRotations")
    }

    assert codes == {"UnsupportedOperationException"}


# ---- multi-Region keys ----


def test_a_replica_decrypts_in_its_region_what_the_primary_encrypted(world):
    key = world.new_key(MultiRegion=True)
    replica = world.do("ReplicateKey", KeyId=key, ReplicaRegion="eu-west-1")["ReplicaKeyMetadata"]["Arn"]
    blob = world.do("Encrypt", KeyId=key, Plaintext=b"x")["CiphertextBlob"]

    answer = world.do("Decrypt", region="eu-west-1", CiphertextBlob=blob, KeyId=replica)

    assert (answer["Plaintext"], answer["KeyId"]) == (b"x", replica)
    assert replica == key.replace(REGION, "eu-west-1")


def test_a_single_region_ciphertext_means_nothing_elsewhere(world):
    blob = world.do("Encrypt", KeyId=world.new_key(), Plaintext=b"x")["CiphertextBlob"]

    assert world.refusal("Decrypt", region="eu-west-1", CiphertextBlob=blob)[0] == "AccessDeniedException"


def test_a_primary_waits_for_its_replicas_before_its_days_are_counted(world):
    key = world.new_key(MultiRegion=True)
    replica = world.do("ReplicateKey", KeyId=key, ReplicaRegion="eu-west-1")["ReplicaKeyMetadata"]["Arn"]

    waiting = world.do("ScheduleKeyDeletion", KeyId=key, PendingWindowInDays=7)
    world.days_pass(100)
    world.do("ScheduleKeyDeletion", region="eu-west-1", KeyId=replica, PendingWindowInDays=7)
    world.days_pass(7)

    assert waiting["KeyState"] == "PendingReplicaDeletion"
    assert "DeletionDate" not in waiting
    described = world.do("DescribeKey", KeyId=key)["KeyMetadata"]
    assert described["KeyState"] == "PendingDeletion"
    assert described["DeletionDate"] == START + timedelta(days=114)
    world.days_pass(7)
    assert world.refusal("DescribeKey", KeyId=key)[0] == "NotFoundException"


def test_only_the_primary_is_rotated_and_replicated(world):
    key = world.new_key(MultiRegion=True)
    replica = world.do("ReplicateKey", KeyId=key, ReplicaRegion="eu-west-1")["ReplicaKeyMetadata"]["Arn"]

    for operation in ("EnableKeyRotation", "RotateKeyOnDemand"):
        assert world.refusal(operation, region="eu-west-1", KeyId=replica)[0] == "UnsupportedOperationException"
    assert world.refusal("ReplicateKey", KeyId=key, ReplicaRegion="eu-west-1")[0] == "AlreadyExistsException"


def test_a_rotation_of_the_primary_is_one_of_its_replicas(world):
    key = world.new_key(MultiRegion=True)
    replica = world.do("ReplicateKey", KeyId=key, ReplicaRegion="eu-west-1")["ReplicaKeyMetadata"]["Arn"]
    old = world.do("Encrypt", region="eu-west-1", KeyId=replica, Plaintext=b"x")["CiphertextBlob"]
    world.do("RotateKeyOnDemand", KeyId=key)
    world.days_pass(1)

    shown = [
        world.do("DescribeKey", region=region, KeyId=name)["KeyMetadata"]["CurrentKeyMaterialId"]
        for region, name in ((REGION, key), ("eu-west-1", replica))
    ]

    assert shown[0] == shown[1]
    assert world.do("Decrypt", region="eu-west-1", KeyId=replica, CiphertextBlob=old)["Plaintext"] == b"x"


# ---- tags ----


def test_tags_come_with_the_key_and_change_later(world):
    key = world.new_key(Tags=[{"TagKey": "project", "TagValue": "p1"}])

    world.do("TagResource", KeyId=key, Tags=[{"TagKey": "state", "TagValue": "retired"}])
    world.do("UntagResource", KeyId=key, TagKeys=["project", "never-there"])

    assert world.do("ListResourceTags", KeyId=key)["Tags"] == [{"TagKey": "state", "TagValue": "retired"}]


def test_tags_can_carry_permission(world):
    world.iam.policies[STRANGER.arn] = (
        document(allow("kms:DisableKey", Condition={"StringEquals": {"aws:ResourceTag/state": "retired"}})),
    )
    key = world.new_key()
    before = world.refusal("DisableKey", STRANGER, KeyId=key)[0]
    world.do("TagResource", KeyId=key, Tags=[{"TagKey": "state", "TagValue": "retired"}])

    world.do("DisableKey", STRANGER, KeyId=key)

    assert before == "AccessDeniedException"
    assert world.state(key) == "Disabled"


# ---- CloudTrail ----


def test_management_calls_are_told_on_with_who_did_what_to_which_key():
    events = []
    world = World(on_api_call=events.append)
    key = world.new_key(Policy=document(ACCOUNT, allow("kms:*", Principal={"AWS": ATLAS_ROLE})))

    world.do("ScheduleKeyDeletion", ATLAS, KeyId=key[-36:], PendingWindowInDays=7)

    event = events[-1]
    detail = event["detail"]
    assert (event["source"], event["detail-type"]) == ("aws.kms", "AWS API Call via CloudTrail")
    assert (detail["eventSource"], detail["eventName"]) == ("kms.amazonaws.com", "ScheduleKeyDeletion")
    assert detail["eventTime"] == "2026-01-01T00:00:00Z"
    assert detail["requestParameters"] == {"keyId": key[-36:], "pendingWindowInDays": 7}
    assert detail["resources"] == [{"accountId": HOME, "type": "AWS::KMS::Key", "ARN": key}]
    assert detail["userIdentity"]["type"] == "AssumedRole"
    assert detail["userIdentity"]["sessionContext"]["sessionIssuer"]["arn"] == ATLAS_ROLE
    assert json.loads(json.dumps(event)) == event


def test_refused_calls_and_cryptography_are_not_told_on():
    events = []
    world = World(on_api_call=events.append)
    key = world.new_key()

    world.refusal("DisableKey", STRANGER, KeyId=key)
    world.do("Encrypt", KeyId=key, Plaintext=b"x")

    assert [event["detail"]["eventName"] for event in events] == ["CreateKey"]


def test_a_listener_may_call_kms_itself():
    world = World()
    world.kms.on_api_call = lambda event: (
        event["detail"]["eventName"] == "ScheduleKeyDeletion"
        and world.do("CancelKeyDeletion", KeyId=event["detail"]["requestParameters"]["keyId"])
    )
    key = world.new_key()

    world.do("ScheduleKeyDeletion", KeyId=key)

    assert world.state(key) == "Disabled"


# ---- many hands ----


def test_of_many_who_claim_an_alias_at_once_one_gets_it(world):
    key = world.new_key()

    def claim(_):
        try:
            world.do("CreateAlias", AliasName="alias/fence", TargetKeyId=key)
        except KmsError as error:
            return error.code
        return "mine"

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(claim, range(40)))

    assert results.count("mine") == 1
    assert set(results) == {"mine", "AlreadyExistsException"}


def test_roots_can_do_what_the_account_can(world):
    key = world.new_key()

    assert world.do("Encrypt", ROOT, KeyId=key, Plaintext=b"x")["KeyId"] == key
