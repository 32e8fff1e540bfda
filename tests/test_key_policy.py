"""What a key policy says, and what it really grants."""

import json

import pytest

from chalicelib.domain.key_policy import (
    ATLAS_ACTIONS,
    Inheritance,
    UnreadablePolicy,
    compose_policy,
    denies_conditionally,
    inherit,
    left_to_iam,
    missing_permissions,
)
from chalicelib.domain.records import Clause

HOME, ABROAD = "111122223333", "444455556666"
ROLE = f"arn:aws:iam::{HOME}:role/atlas"
OTHER_ROLE = f"arn:aws:iam::{HOME}:role/x"
IN_OUR_NETWORK = {"IpAddress": {"aws:SourceIp": ["10.0.0.0/8"]}}
ELSEWHERE = {"NotIpAddress": {"aws:SourceIp": ["10.0.0.0/8"]}}
BY_ENDPOINT = {"StringEquals": {"aws:SourceVpce": "vpce-1"}}
ACCOUNT = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{HOME}:root"}, "Action": "kms:*", "Resource": "*"}
GRANT = {"Effect": "Allow", "Principal": {"AWS": ROLE}, "Action": list(ATLAS_ACTIONS), "Resource": "*"}
DENY = {"Effect": "Deny", "Principal": {"AWS": ROLE}, "Action": "kms:Decrypt", "Resource": "*"}


def policy(*statements) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def test_a_composed_policy_gives_atlas_exactly_three_permissions_and_leaves_the_account_in_control():
    composed = compose_policy(HOME, "aws-cn", ROLE)

    control, atlas = json.loads(composed)["Statement"]
    assert control["Principal"] == {"AWS": "arn:aws-cn:iam::111122223333:root"}
    assert control["Action"] == "kms:*"
    assert atlas["Action"] == ["kms:DescribeKey", "kms:Encrypt", "kms:Decrypt"]
    assert "Condition" not in atlas
    assert missing_permissions(composed, ROLE) == ()


def inherited(*statements, principal=ROLE, account=HOME):
    return inherit(policy(*statements), principal, account)


def gives(*actions, condition=None) -> Clause:
    return Clause(allows=True, actions=actions or ATLAS_ACTIONS, condition=condition)


def denies(*actions, condition) -> Clause:
    return Clause(allows=False, actions=actions or ATLAS_ACTIONS, condition=condition)


def without(part, statement):
    return {name: value for name, value in statement.items() if name != part}


DESCRIBES = {**GRANT, "Action": "kms:DescribeKey"}
ENCRYPTS_AND_DECRYPTS = {**GRANT, "Action": ["kms:Encrypt", "kms:Decrypt"]}
DELEGATES = {**GRANT, "Action": "kms:CreateGrant", "Condition": {"Bool": {"kms:GrantIsForAWSResource": "true"}}}
EVERYBODY = {**GRANT, "Principal": "*"}
AS_THE_ROLE = {"StringEquals": {"aws:PrincipalArn": ROLE}, **IN_OUR_NETWORK}
SESSION = f"arn:aws:sts::{HOME}:assumed-role/atlas/session"
REPEATED = {
    "a grant without a condition": ((GRANT,), (gives(),)),
    "a condition on all three": (({**GRANT, "Condition": BY_ENDPOINT},), (gives(condition=BY_ENDPOINT),)),
    "a condition on two of them": (
        (ACCOUNT, DESCRIBES, {**ENCRYPTS_AND_DECRYPTS, "Condition": IN_OUR_NETWORK}),
        (gives("kms:DescribeKey"), gives("kms:Encrypt", "kms:Decrypt", condition=IN_OUR_NETWORK)),
    ),
    "everybody who is the role, from our network": (
        (ACCOUNT, {**EVERYBODY, "Condition": AS_THE_ROLE}),
        (gives(condition=AS_THE_ROLE),),
    ),
    "a denial elsewhere": (
        (ACCOUNT, GRANT, {**DENY, "Condition": ELSEWHERE}),
        (gives(), denies("kms:Decrypt", condition=ELSEWHERE)),
    ),
    "a denial of everything to everybody elsewhere": (
        (GRANT, {**DENY, "Principal": "*", "Action": "kms:*", "Condition": ELSEWHERE}),
        (gives(), denies(condition=ELSEWHERE)),
    ),
    "a denial elsewhere of all actions but one": (
        (
            GRANT,
            {"Effect": "Deny", "Principal": "*", "NotAction": "kms:Desc*", "Resource": "*", "Condition": ELSEWHERE},
        ),
        (gives(), denies("kms:Encrypt", "kms:Decrypt", condition=ELSEWHERE)),
    ),
    "a denial elsewhere to the whole account": (
        (GRANT, {**DENY, "Principal": {"AWS": HOME}, "Condition": ELSEWHERE}),
        (gives(), denies("kms:Decrypt", condition=ELSEWHERE)),
    ),
    "a condition on another action": ((DELEGATES, GRANT), (gives(),)),
    "a denial of another action": ((GRANT, {**DENY, "Action": "kms:CreateGrant", "Condition": ELSEWHERE}), (gives(),)),
    "two ways in": (
        ({**GRANT, "Condition": BY_ENDPOINT}, {**DESCRIBES, "Condition": IN_OUR_NETWORK}),
        (gives(condition=BY_ENDPOINT), gives("kms:DescribeKey", condition=IN_OUR_NETWORK)),
    ),
    "a way in that makes another needless": (({**GRANT, "Condition": BY_ENDPOINT}, GRANT), (gives(),)),
    "the same condition twice": (
        ({**GRANT, "Condition": BY_ENDPOINT}, {**DESCRIBES, "Condition": BY_ENDPOINT}),
        (gives(condition=BY_ENDPOINT),),
    ),
    "the account alone": ((ACCOUNT,), (gives(),)),
    "the account alone, under a condition": (
        ({**ACCOUNT, "Condition": BY_ENDPOINT},),
        (gives(condition=BY_ENDPOINT),),
    ),
    "a condition beside the account": ((ACCOUNT, {**GRANT, "Condition": BY_ENDPOINT}), (gives(condition=BY_ENDPOINT),)),
    "another principal's condition": (
        (ACCOUNT, {**GRANT, "Principal": {"AWS": OTHER_ROLE}, "Condition": BY_ENDPOINT}),
        (gives(),),
    ),
    "everybody who is another": (
        (ACCOUNT, {**EVERYBODY, "Condition": {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/x"}}}),
        (gives(),),
    ),
    "everybody of another account": (
        (ACCOUNT, {**EVERYBODY, "Condition": {"StringEquals": {"kms:CallerAccount": ABROAD}}}),
        (gives(),),
    ),
    "a denial to all but the role": (
        (GRANT, {**DENY, "Principal": "*", "Condition": {"ArnNotEquals": {"aws:PrincipalArn": [ROLE, OTHER_ROLE]}}}),
        (gives(),),
    ),
    "a denial to all whom NotPrincipal does not name": (
        (GRANT, {"Effect": "Deny", "NotPrincipal": {"AWS": ROLE}, "Action": "kms:*", "Resource": "*"}),
        (gives(),),
    ),
    "a statement without effect": ((GRANT, without("Resource", DENY)), (gives(),)),
    "nothing": ((), (gives(),)),
}
NOT_REPEATED = {
    "an alias": ({**GRANT, "Condition": {"StringEquals": {"kms:RequestAlias": "alias/old"}}}, "kms:RequestAlias"),
    "a tag": ({**GRANT, "Condition": {"StringEquals": {"aws:ResourceTag/team": "a"}}}, "aws:ResourceTag/team"),
    "a session": ({**GRANT, "Principal": {"AWS": SESSION}}, "sessions"),
    "a resource": ({**GRANT, "Resource": "arn:aws:kms:us-east-1:1:key/x"}, "resource"),
    "an odd condition": ({**GRANT, "Condition": "odd"}, "a condition that is none"),
    "all but another": (
        {"NotPrincipal": {"AWS": OTHER_ROLE}, **without("Principal", GRANT)},
        "Not",
    ),
}


@pytest.mark.parametrize(("statements", "clauses"), REPEATED.values(), ids=REPEATED)
def test_what_a_policy_says_to_the_principal_is_repeated_action_by_action(statements, clauses):
    assert inherited(*statements) == Inheritance(clauses=clauses)


@pytest.mark.parametrize(("statements", "clauses"), REPEATED.values(), ids=REPEATED)
def test_a_repeated_policy_gives_the_three_permissions_to_the_principal_alone_and_says_the_same_again(
    statements, clauses
):
    composed = compose_policy(HOME, "aws", ROLE, inherited(*statements).clauses)

    control, *others = json.loads(composed)["Statement"]
    assert control == {"Sid": "AccountInControl", **ACCOUNT}
    assert {json.dumps(one["Principal"]) for one in others} == {json.dumps({"AWS": ROLE})}
    assert {action for one in others for action in one["Action"]} == set(ATLAS_ACTIONS)
    assert len({one["Sid"] for one in others}) == len(others)
    assert missing_permissions(composed, ROLE) == ()
    assert inherit(composed, ROLE, HOME).clauses == clauses


@pytest.mark.parametrize(("statement", "said"), NOT_REPEATED.values(), ids=NOT_REPEATED)
def test_a_way_in_that_no_other_policy_can_repeat_is_an_obstacle_unless_a_plain_one_makes_it_needless(statement, said):
    (obstacle,) = inherited(ACCOUNT, statement).obstacles

    assert said in obstacle
    assert inherited(ACCOUNT, statement, GRANT) == Inheritance(clauses=(gives(),))


@pytest.mark.parametrize(("statement", "said"), NOT_REPEATED.values(), ids=NOT_REPEATED)
def test_a_denial_that_no_other_policy_can_repeat_is_always_an_obstacle(statement, said):
    (obstacle,) = inherited(GRANT, {**statement, "Effect": "Deny"}).obstacles

    assert said in obstacle


def test_a_denial_without_a_condition_is_an_obstacle():
    assert inherited(GRANT, DENY).obstacles == ("it denies the principal without a condition",)


def test_a_pattern_in_a_denial_to_all_but_some_is_repeated_for_it_may_mean_the_role_or_not():
    condition = {"StringNotLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/atlas"}}

    assert inherited(GRANT, {**DENY, "Condition": condition}).clauses == (
        gives(),
        denies("kms:Decrypt", condition=condition),
    )


def test_an_account_that_a_foreign_key_lets_in_is_a_way_in_like_any_other():
    statements = (ACCOUNT, {**GRANT, "Condition": BY_ENDPOINT})

    assert inherited(*statements, account=ABROAD) == Inheritance(clauses=(gives(),))


@pytest.mark.parametrize(
    ("statements", "left"),
    [
        ((ACCOUNT,), ATLAS_ACTIONS),
        (({**ACCOUNT, "Principal": {"AWS": HOME}},), ATLAS_ACTIONS),
        ((ACCOUNT, DENY), ("kms:DescribeKey", "kms:Encrypt")),
        ((GRANT,), ()),
        (({**ACCOUNT, "Principal": {"AWS": ABROAD}},), ()),
    ],
)
def test_what_the_account_is_given_is_left_to_its_iam_policies(statements, left):
    assert left_to_iam(policy(*statements), ROLE) == left


@pytest.mark.parametrize(("condition", "conditionally"), [(ELSEWHERE, True), (None, False)])
def test_a_denial_under_a_condition_takes_nothing_away_for_sure(condition, conditionally):
    text = policy(GRANT, {**DENY, "Condition": condition})

    assert denies_conditionally(text, ROLE) == conditionally
    assert missing_permissions(text, ROLE) == (() if conditionally else ("kms:Decrypt",))


@pytest.mark.parametrize(
    "statement",
    [
        GRANT,
        {**GRANT, "Principal": {"AWS": [OTHER_ROLE, ROLE]}},
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
    denial = {**DENY, "Principal": {"AWS": OTHER_ROLE}}

    assert missing_permissions(policy(GRANT, denial), ROLE) == ()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '"x"', '{"Statement": 3}', '{"Statement": ["x"]}'])
def test_what_is_no_policy_is_an_error_and_never_an_empty_answer(text):
    with pytest.raises(UnreadablePolicy):
        missing_permissions(text, ROLE)
