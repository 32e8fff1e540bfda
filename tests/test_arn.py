"""One key, one name: however Atlas, KMS or a person spells it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.arn import (
    KeyArn,
    atlas_region,
    aws_region,
    locate_key,
    names_nobody,
    parse_key_arn,
    parse_key_id,
    principal,
)

BARE = "12345678-1234-1234-1234-123456789abc"
MULTI_REGION = "mrk-" + "0123456789abcdef" * 2
ARN = KeyArn(account="111122223333", region="eu-west-1", key_id=BARE)
KEY_ARN_IN_CHINA = f"arn:aws-cn:kms:cn-north-1:444455556666:key/{MULTI_REGION}"
NO_KEYS = ["", "alias/atlas", "12345678-1234", BARE + "0", "mrk-123", f"{BARE} {BARE}", "key/", f"{BARE}/x"]


@pytest.mark.parametrize("text", [BARE, BARE.upper(), f" {BARE}\n", f"key/{BARE}", str(ARN), str(ARN).upper()])
def test_every_spelling_of_a_key_gives_the_same_bare_id(text):
    assert parse_key_id(text) == BARE


def test_a_multi_region_key_is_a_key():
    assert parse_key_id(MULTI_REGION.upper()) == MULTI_REGION


@pytest.mark.parametrize("text", NO_KEYS)
def test_what_names_no_key_gives_no_id(text):
    assert parse_key_id(text) is None


@given(st.uuids())
def test_an_arn_and_its_text_say_the_same(uuid):
    arn = KeyArn(account="111122223333", region="eu-west-1", key_id=str(uuid))

    assert parse_key_arn(str(arn).upper()) == arn


@given(st.text())
def test_an_id_that_was_read_reads_as_itself(text):
    key_id = parse_key_id(text)

    assert key_id is None or parse_key_id(key_id) == key_id


def test_a_full_arn_keeps_its_partition_account_and_region():
    arn = parse_key_arn(KEY_ARN_IN_CHINA)

    assert (arn.partition, arn.account, arn.region) == ("aws-cn", "444455556666", "cn-north-1")
    assert str(arn) == KEY_ARN_IN_CHINA


@pytest.mark.parametrize(
    "text",
    [
        BARE,
        "arn:aws:kms:eu-west-1:111122223333:alias/atlas",
        "arn:aws:kms:eu-west-1:111122223333:key/short",
        f"arn:aws:kms:eu-west-1:1111:key/{BARE}",
        f"arn:aws:s3:eu-west-1:111122223333:key/{BARE}",
    ],
)
def test_what_is_no_full_key_arn_is_not_read_as_one(text):
    assert parse_key_arn(text) is None


def test_a_bare_id_lives_in_the_account_and_region_that_it_is_written_in():
    assert locate_key(BARE.upper(), account="111122223333", region="eu-west-1") == ARN


def test_an_arn_says_itself_where_its_key_lives():
    located = locate_key(KEY_ARN_IN_CHINA, account="111122223333", region="eu-west-1")

    assert str(located) == KEY_ARN_IN_CHINA


@pytest.mark.parametrize(
    ("region", "partition"),
    [
        ("us-east-1", "aws"),
        ("us-gov-west-1", "aws-us-gov"),
        ("cn-northwest-1", "aws-cn"),
        ("us-iso-east-1", "aws-iso"),
        ("us-isob-east-1", "aws-iso-b"),
    ],
)
def test_a_bare_id_and_the_arn_name_the_same_key_in_every_part_of_aws(region, partition):
    arn = f"arn:{partition}:kms:{region}:111122223333:key/{BARE}"

    assert locate_key(BARE, account="111122223333", region=region) == parse_key_arn(arn)


@pytest.mark.parametrize("text", NO_KEYS)
def test_what_names_no_key_is_located_nowhere(text):
    assert locate_key(text, account="111122223333", region="eu-west-1") is None


@pytest.mark.parametrize(("ours", "theirs"), [("us-east-1", "US_EAST_1"), ("ap-southeast-2", "AP_SOUTHEAST_2")])
def test_a_region_has_one_spelling_with_aws_and_one_with_atlas(ours, theirs):
    assert (aws_region(theirs), atlas_region(ours)) == (ours, theirs)


def test_two_sessions_of_one_role_are_one_principal():
    sessions = [f"arn:aws:sts::111122223333:assumed-role/Deployer/{name}" for name in ("anna", "bert")]

    assert {principal(session) for session in sessions} == {"arn:aws:iam::111122223333:role/Deployer"}


def test_two_people_behind_one_identity_center_role_are_two_principals():
    anna, bert = (
        principal(f"arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_Admin_1/{name}@example.com")
        for name in ("Anna", "bert")
    )

    assert anna != bert
    assert anna == "arn:aws:sts::111122223333:person/anna@example.com"


def test_one_person_in_two_identity_center_roles_is_one_principal():
    first, second = (
        principal(f"arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_{role}/anna@example.com")
        for role in ("Admin_1", "Reader_2")
    )

    assert first == second


@pytest.mark.parametrize(
    ("caller", "is_so"),
    [
        ("arn:aws:sts::111122223333:federated-user/anna", True),
        ("arn:aws-cn:sts::111122223333:federated-user/anna", True),
        ("arn:aws:iam::111122223333:user/federated-user/anna", False),
        ("arn:aws:sts::111122223333:assumed-role/Deployer/federated-user", False),
        ("arn:aws:iam::111122223333:root", False),
    ],
)
def test_only_a_federated_user_is_named_as_its_bearer_pleases(caller, is_so):
    assert names_nobody(principal(caller)) is is_so


def test_a_user_is_its_own_principal():
    user = "arn:aws:iam::111122223333:user/anna"

    assert principal(user) == user
