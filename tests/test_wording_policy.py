"""What an auditor reads of a change of policy."""

from dataclasses import replace

from chalicelib.domain.policies import FIELDS
from chalicelib.domain.records import GuardMode, Mode, Policy
from chalicelib.domain.wording_policy import policy_told, wishes_named


def test_a_wish_is_told_with_its_name_and_value_in_words():
    policy = Policy(rotation_period_days=30, mode=Mode.ROTATE, ladder=(-7, 0, 1), guard=GuardMode.TELL)

    told = policy_told(policy, ["rotation_period_days", "mode", "ladder", "guard"])

    assert told == (
        "rotation period: 30 days; on the due day: rotate by itself;"
        " reminders: 7 days before it, on the due day, 1 day after it; who would destroy a needed key: is told of only"
    )


def test_every_field_of_a_policy_has_words_and_none_looks_like_a_program():
    told = policy_told(replace(Policy(), recipients=("ops", "dba")), FIELDS)

    assert told.count(": ") == len(FIELDS)
    assert not set("_{}[]()<>'\"") & set(told)
    assert "None" not in told
    assert "True" not in told
    assert "_" not in wishes_named(FIELDS)
