"""The role for KMS keys of another account: what it allows, computed from the functions' own policies."""

import re
import shlex
from fnmatch import fnmatchcase
from typing import Any

import pytest
from policy_files import POLICIES, ROOT, allowed, holders, statement

from chalicelib.domain.policies import ASSUMABLE
from package.rules import as_list, statements, too_wide
from package.template import read

ROLE = read(ROOT / "docs" / "kms-account-role.yaml")
ROLE_PROPERTIES = ROLE["Resources"]["KeyturnKms"]["Properties"]
ROLE_POLICY = ROLE_PROPERTIES["Policies"][0]["PolicyDocument"]
PARAMETERS = read(ROOT / ".chalice" / "resources.yaml")["Parameters"]
ABROAD = sorted(holders("sts:AssumeRole"))


def of_keys_and_roles(policy: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Per action on KMS and IAM that a policy allows, its statements without their names and other actions."""
    found: dict[str, list[dict[str, Any]]] = {}
    for one in statements(policy):
        for action in as_list(one["Action"]) if one["Effect"] == "Allow" else ():
            if action.startswith(("kms:", "iam:")):
                found.setdefault(action, []).append({part: one.get(part) for part in ("Resource", "Condition")})
    return found


def test_the_role_for_another_account_allows_what_the_functions_use_and_nothing_else():
    used = {action for name in ABROAD for action in of_keys_and_roles(POLICIES[name])}

    assert {action for action, _ in allowed(ROLE_POLICY)} == used


def test_the_role_for_another_account_allows_nothing_on_wider_terms_than_ours():
    ours: dict[str, list[dict[str, Any]]] = {}
    for name in ABROAD:
        for action, terms in of_keys_and_roles(POLICIES[name]).items():
            ours.setdefault(action, []).extend(terms)

    abroad = of_keys_and_roles(ROLE_POLICY)

    assert {action: [terms for terms in found if terms not in ours[action]] for action, found in abroad.items()} == {
        action: [] for action in abroad
    }
    assert not list(too_wide(ROLE_POLICY, "docs/kms-account-role.yaml"))


def test_a_key_of_another_account_is_not_deleted_sooner_than_one_of_ours():
    denials = [found for found in statements(ROLE_POLICY) if found["Effect"] == "Deny"]

    assert denials == [statement("retire", "kms:ScheduleKeyDeletion", "Deny")]


def test_the_role_for_another_account_is_assumed_by_those_who_may_assume_it_and_by_nobody_else():
    (trust,) = ROLE_PROPERTIES["AssumeRolePolicyDocument"]["Statement"]

    named = [one["Fn::Sub"].rpartition("}-")[2] for one in trust["Condition"]["ArnLike"]["aws:PrincipalArn"]]
    assert trust["Action"] == "sts:AssumeRole"
    assert trust["Principal"] == {"AWS": {"Fn::Sub": "arn:${AWS::Partition}:iam::${KeyturnAccount}:root"}}
    assert named == [f"{name.title()}Role-*" for name in ABROAD]


def test_the_role_for_another_account_has_a_name_that_the_functions_may_assume():
    parameter = ROLE["Parameters"]["RoleName"]
    may_assume = {
        resource for name in ABROAD for action, resource in allowed(POLICIES[name]) if action.startswith("sts:")
    }

    assert may_assume == {"arn:${AWS::Partition}:iam::*:role/keyturn-*"}
    assert ROLE_PROPERTIES["RoleName"] == {"Ref": "RoleName"}
    assert re.fullmatch(parameter["AllowedPattern"], parameter["Default"])
    assert not re.fullmatch(parameter["AllowedPattern"], "administrator")


@pytest.mark.parametrize(
    "name",
    ["keyturn-kms", "keyturn-of+us", "keyturn-" + "a" * 56, "keys", "team/keyturn-kms", "keyturn-team/kms", "keyturn-"],
)
def test_a_policy_takes_the_roles_that_the_stack_can_be_told_to_assume_and_no_others(name):
    arn = f"arn:aws:iam::444455556666:role/{name}"
    stack = PARAMETERS["KmsAccountRoles"]["AllowedPattern"]

    taken = re.fullmatch(ASSUMABLE, arn) is not None

    assert taken == (re.fullmatch(stack, arn) is not None)
    assert not taken or fnmatchcase(arn, "arn:aws:iam::*:role/keyturn-*")


def test_the_printed_way_to_deploy_the_role_fits_it():
    comment = re.sub(r"^# ?", "", (ROOT / "docs" / "kms-account-role.yaml").read_text(), flags=re.MULTILINE)
    (line,) = re.findall(r"^ *(aws cloudformation deploy .*)$", comment.replace("\\\n", " "), re.MULTILINE)
    words = shlex.split(line)

    given = dict(pair.split("=", 1) for pair in words[words.index("--parameter-overrides") + 1 :])
    parameters = ROLE["Parameters"]
    assert (ROOT / words[words.index("--template-file") + 1]).is_file()
    assert words[words.index("--capabilities") + 1] == "CAPABILITY_NAMED_IAM"  # the role has a name of its own
    assert {name for name, found in parameters.items() if "Default" not in found} == set(given)
    assert all(re.fullmatch(parameters[name]["AllowedPattern"], value) for name, value in given.items())
