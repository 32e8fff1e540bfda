"""What an auditor reads of a change of policy."""

from dataclasses import replace

import pytest

from chalicelib.domain.policies import FIELDS
from chalicelib.domain.records import Policy
from chalicelib.domain.vocabulary import GuardMode, Mode
from chalicelib.domain.wording_policy import change_told, policy_told, wishes_named


def test_a_wish_is_told_with_its_name_and_value_in_words():
    policy = Policy(rotation_period_days=30, mode=Mode.ROTATE, ladder=(-7, 0, 1), guard=GuardMode.TELL)

    told = policy_told(policy, ["rotation_period_days", "mode", "ladder", "guard"])

    assert told == (
        "rotation period: 30 days; on the due day: rotate by itself;"
        " reminders: 7 days before, on the due day, 1 day after; who would destroy a needed key: is told of only"
    )


def test_a_change_is_told_with_what_was_and_what_is():
    before, after = Policy(), replace(Policy(), quarantine_days=1)

    assert change_told(before, after, ["quarantine_days", "mode"]) == (
        "quarantine: from 7 days to 1 day; on the due day: remind people, as before"
    )


@pytest.mark.parametrize(
    ("ladder", "said"),
    [
        ((-30, -14, -1, 0, 1, 7), "30, 14 and 1 days before, on the due day, 1 and 7 days after"),
        ((-1,), "1 day before"),
        ((3,), "3 days after"),
        ((0,), "on the due day"),
    ],
)
def test_a_ladder_is_told_by_its_days(ladder, said):
    assert policy_told(Policy(ladder=ladder), ["ladder"]) == f"reminders: {said}"


def test_every_field_of_a_policy_has_words_and_none_looks_like_a_program():
    told = policy_told(replace(Policy(), recipients=("ops", "dba")), FIELDS)

    assert told.count(": ") == len(FIELDS)
    assert not set("_{}[]()<>'\"") & set(told)
    assert "None" not in told
    assert "True" not in told
    assert "_" not in wishes_named(FIELDS)
