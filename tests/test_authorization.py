"""Who may do what once IAM has let them in: three lists, and what an empty one means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.arn import principal
from chalicelib.domain.authorization import People, Role, may_act
from chalicelib.settings import Settings

ADA = "arn:aws:iam::123456789012:user/ada"
GRACE = "arn:aws:iam::123456789012:user/grace"
EVE = "arn:aws:iam::123456789012:user/eve"
ALL = People(viewers=(EVE,), operators=(ADA,), approvers=(GRACE,))
SOME = st.lists(st.sampled_from([ADA, GRACE, EVE]), max_size=2).map(tuple)
PEOPLE = st.builds(People, viewers=SOME, operators=SOME, approvers=SOME)


def roles_of(who, people):
    return {role for role in Role if may_act(who, role, people)}


def test_where_nobody_is_named_everybody_whom_iam_lets_in_may_do_everything():
    assert roles_of(EVE, People()) == set(Role)


@pytest.mark.parametrize(
    ("who", "roles"),
    [
        (EVE, {Role.VIEWER}),
        (ADA, {Role.VIEWER, Role.OPERATOR}),
        (GRACE, {Role.VIEWER, Role.APPROVER}),
        ("arn:aws:iam::123456789012:user/mallory", set()),
    ],
)
def test_where_all_are_named_nobody_has_more_than_their_own_role_and_a_look(who, roles):
    assert roles_of(who, ALL) == roles


def test_without_approvers_the_operators_approve_and_no_viewer_does():
    people = People(operators=(ADA,))

    assert roles_of(ADA, people) == set(Role)
    assert roles_of(EVE, people) == {Role.VIEWER}


def test_without_operators_whoever_may_look_operates():
    people = People(viewers=(ADA,), approvers=(GRACE,))

    assert roles_of(ADA, people) == {Role.VIEWER, Role.OPERATOR}
    assert roles_of(EVE, people) == set()


@given(st.sampled_from([ADA, GRACE, EVE]), PEOPLE)
def test_whoever_may_act_may_look(who, people):
    roles = roles_of(who, people)

    assert not roles or Role.VIEWER in roles


@given(st.sampled_from([ADA, GRACE, EVE]), PEOPLE, st.sampled_from(["operators", "approvers"]))
def test_an_empty_list_never_gives_more_than_being_named_in_it(who, people, emptied):
    named = People(**{**people.__dict__, emptied: (who,)})
    empty = People(**{**people.__dict__, emptied: ()})

    assert roles_of(who, empty) <= roles_of(who, named) | roles_of(who, people)


@pytest.mark.parametrize(
    ("pattern", "caller", "is_among"),
    [
        (ADA, ADA, True),
        ("arn:aws:iam::123456789012:role/keys-*", "arn:aws:sts::123456789012:assumed-role/keys-team/ada", True),
        ("arn:aws:iam::123456789012:role/keys-*", "arn:aws:sts::123456789012:assumed-role/other/keys-team", False),
        ("arn:aws:iam::123456789012:role/keys-*", "arn:aws:sts::999999999999:assumed-role/keys-team/ada", False),
        (
            "arn:aws:sts::123456789012:person/ada@example.com",
            "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Keys_0123/Ada@example.com",
            True,
        ),
        ("arn:aws:iam::123456789012:user/ADA", ADA, False),
        ("", ADA, False),
    ],
)
def test_a_pattern_names_principals_and_not_sessions(pattern, caller, is_among):
    people = People(viewers=(pattern,))

    assert may_act(principal(caller), Role.VIEWER, people) is is_among


@pytest.mark.parametrize("pattern", ["*", "arn:aws:sts::123456789012:federated-user/ada"])
def test_a_name_that_its_bearer_chose_stands_on_no_list(pattern):
    federated = "arn:aws:sts::123456789012:federated-user/ada"

    assert roles_of(federated, People(viewers=(pattern,))) == set()
    assert roles_of(federated, People(operators=(pattern,), approvers=(pattern,))) == {Role.VIEWER}


@pytest.mark.parametrize(
    ("text", "people"),
    [
        ("", ()),
        ("  ", ()),
        (f"{ADA}, {GRACE} ", (ADA, GRACE)),
        (",", ("", "")),
    ],
)
def test_a_list_is_empty_only_when_nothing_stands_in_it(text, people):
    assert Settings({"VIEWERS": text}).people("VIEWERS") == people


def test_a_list_that_is_not_there_is_empty():
    assert Settings({}).people("APPROVERS") == ()
