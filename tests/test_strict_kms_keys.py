"""The strict KMS makes, names, lists and removes keys as AWS does, and keeps its promises as virtual time passes."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from strict_kms_world import (
    ACCOUNT,
    ADMIN,
    ATLAS,
    ATLAS_ROLE,
    FOR_ATLAS,
    FOREIGNER,
    HOME,
    REGION,
    ROOT,
    START,
    STRANGER,
    World,
    allow,
    deny,
    document,
)

from sandbox.strict_kms import KmsError


@pytest.fixture
def world():
    return World()


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


INVALID_PRINCIPALS = (
    "MalformedPolicyDocumentException",
    "Policy contains a statement with one or more invalid principals.",
)


@pytest.mark.parametrize("principal", ["AIDACKCEVSQ6C2EXAMPLE", "AROACKCEVSQ6C2EXAMPLE"])
def test_the_id_that_is_left_of_a_deleted_principal_is_none_in_a_new_policy(world, principal):
    policy = document(ACCOUNT, allow("kms:Encrypt", Principal={"AWS": principal}))

    assert world.refusal("CreateKey", Policy=policy) == INVALID_PRINCIPALS


@pytest.mark.parametrize(
    "naming",
    [
        {"Principal": {"AWS": ATLAS_ROLE}},
        {"Principal": {"AWS": [ADMIN.arn, ATLAS_ROLE]}},
        {"NotPrincipal": {"AWS": ATLAS_ROLE}},
    ],
)
@pytest.mark.parametrize("more", [{}, {"BypassPolicyLockoutSafetyCheck": True}])
def test_a_policy_that_names_a_role_which_does_not_exist_is_refused(world, naming, more):
    world.iam.known = {ATLAS_ROLE: False, ADMIN.arn: True}
    policy = document(ACCOUNT, {**deny("kms:Encrypt"), **naming})
    key = world.new_key()

    refused = [world.refusal("CreateKey", Policy=policy, **more)]
    refused.append(world.refusal("PutKeyPolicy", KeyId=key, Policy=policy, **more))

    assert refused == [INVALID_PRINCIPALS] * 2


@pytest.mark.parametrize("known", [True, None])
def test_a_policy_may_name_a_role_that_exists_or_that_nobody_here_knows_about(world, known):
    world.iam.known = {ATLAS_ROLE: known}

    key = world.new_key(Policy=document(ACCOUNT, FOR_ATLAS))

    assert world.do("Encrypt", ATLAS, KeyId=key, Plaintext=b"x")["KeyId"] == key


def test_a_policy_goes_on_while_a_role_that_it_names_is_gone(world):
    key = world.new_key(Policy=document(ACCOUNT, FOR_ATLAS))

    world.iam.known = {ATLAS_ROLE: False}

    assert world.do("DescribeKey", KeyId=key)["KeyMetadata"]["Enabled"]
    assert world.refusal("PutKeyPolicy", KeyId=key, Policy=document(ACCOUNT, FOR_ATLAS)) == INVALID_PRINCIPALS


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
