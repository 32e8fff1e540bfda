"""What a key policy says, and what it really grants."""

import json

import pytest

from chalicelib.domain.key_policy import (
    ATLAS_ACTIONS,
    UnreadablePolicy,
    compose_policy,
    condition_for,
    missing_permissions,
)

ROLE = "arn:aws:iam::111122223333:role/atlas"
CONDITION = {"StringEquals": {"aws:SourceAccount": "444455556666"}}
GRANT = {"Effect": "Allow", "Principal": {"AWS": ROLE}, "Action": list(ATLAS_ACTIONS), "Resource": "*"}
DENY = {"Effect": "Deny", "Principal": {"AWS": ROLE}, "Action": "kms:Decrypt", "Resource": "*"}


def policy(*statements) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def test_a_composed_policy_gives_atlas_exactly_three_permissions_and_leaves_the_account_in_control():
    composed = compose_policy("111122223333", "aws-cn", ROLE, None)

    control, atlas = json.loads(composed)["Statement"]
    assert control["Principal"] == {"AWS": "arn:aws-cn:iam::111122223333:root"}
    assert control["Action"] == "kms:*"
    assert atlas["Action"] == ["kms:DescribeKey", "kms:Encrypt", "kms:Decrypt"]
    assert "Condition" not in atlas
    assert missing_permissions(composed, ROLE) == ()


@pytest.mark.parametrize("condition", [None, {}, CONDITION])
def test_the_condition_of_the_old_key_is_carried_over(condition):
    composed = compose_policy("111122223333", "aws", ROLE, condition)

    assert condition_for(composed, ROLE) == (condition or None)


@pytest.mark.parametrize(
    "statement",
    [
        GRANT,
        {**GRANT, "Principal": {"AWS": ["arn:aws:iam::111122223333:role/x", ROLE]}},
        {**GRANT, "Principal": "*"},
        {**GRANT, "Principal": {"AWS": "*"}},
        {**GRANT, "Action": "kms:*"},
        {**GRANT, "Action": "*"},
        {**GRANT, "Action": ["KMS:decrypt", "kms:Enc*", "kms:Describe???"]},
        {**GRANT, "Resource": ["*"]},
    ],
)
def test_a_policy_that_plainly_grants_all_three_lacks_nothing(statement):
    assert missing_permissions(policy(statement), ROLE) == ()


def test_one_statement_may_stand_without_a_list():
    assert missing_permissions(json.dumps({"Statement": GRANT}), ROLE) == ()


@pytest.mark.parametrize(
    "statement",
    [
        {**GRANT, "Principal": {"AWS": "arn:aws:iam::111122223333:root"}},
        {**GRANT, "Principal": {"Service": "s3.amazonaws.com"}},
        {**GRANT, "Principal": None},
        {"Effect": "Allow", "Principal": {"AWS": ROLE}, "Action": list(ATLAS_ACTIONS)},
        {"Effect": "Allow", "Principal": {"AWS": ROLE}, "Resource": "*"},
        {**GRANT, "Resource": "arn:aws:kms:eu-west-1:111122223333:key/x"},
        {**GRANT, "Action": [None, 3]},
        {**GRANT, "Effect": "Perhaps"},
    ],
)
def test_a_statement_that_has_no_effect_for_atlas_grants_nothing(statement):
    assert missing_permissions(policy(statement), ROLE) == ATLAS_ACTIONS


def test_only_what_is_lacking_is_named():
    assert missing_permissions(policy({**GRANT, "Action": "kms:*crypt"}), ROLE) == ("kms:DescribeKey",)


@pytest.mark.parametrize("order", [(GRANT, DENY), (DENY, GRANT)])
def test_a_denial_takes_away_wherever_it_stands(order):
    assert missing_permissions(policy(*order), ROLE) == ("kms:Decrypt",)


def test_a_denial_of_another_principal_takes_nothing_away():
    denial = {**DENY, "Principal": {"AWS": "arn:aws:iam::111122223333:role/x"}}

    assert missing_permissions(policy(GRANT, denial), ROLE) == ()


@pytest.mark.parametrize("statements", [(), (DENY,), ({**GRANT, "Condition": "odd"},), ({"Effect": "Allow"},)])
def test_no_condition_is_found_where_the_principal_is_not_let_in_under_one(statements):
    assert condition_for(policy(*statements), ROLE) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '"x"', '{"Statement": 3}', '{"Statement": ["x"]}'])
def test_what_is_no_policy_is_an_error_and_never_an_empty_answer(text):
    with pytest.raises(UnreadablePolicy):
        missing_permissions(text, ROLE)
