"""The strict KMS lets nobody do what AWS would not let them do, and says so in the words of AWS."""

import pytest
from strict_kms_world import (
    ABROAD,
    ACCOUNT,
    ADMIN,
    ATLAS,
    ATLAS_ROLE,
    FOR_ATLAS,
    FOREIGNER,
    HOME,
    STRANGER,
    World,
    allow,
    deny,
    document,
)

from sandbox.strict_kms import Caller


@pytest.fixture
def world():
    return World()


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
