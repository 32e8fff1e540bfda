"""The walls between the verbs: what each function's policy allows, and that it allows what the verb calls."""

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from package.rules import as_list, statements, too_wide
from package.template import read

ROOT = Path(__file__).parent.parent
POLICIES = {path.stem: json.loads(path.read_text()) for path in (ROOT / ".chalice" / "policies").glob("*.json")}
RESOURCES = read(ROOT / ".chalice" / "resources.yaml")["Resources"]
VERBS = sorted(set(POLICIES) - {"api_handler"})

DANGEROUS = {
    "kms:ScheduleKeyDeletion",
    "kms:DisableKey",
    "kms:PutKeyPolicy",
    "kms:DeleteAlias",
    "kms:CreateGrant",
}

CALLS = {
    "describe": {"kms:DescribeKey"},
    "find_by_alias": {"kms:DescribeKey"},
    "find_by_rotation": {"kms:ListKeys", "kms:ListResourceTags"},
    "keys.rotations": {"kms:GetKeyRotationStatus", "kms:ListKeyRotations"},
    "keys.policy": {"kms:GetKeyPolicy"},
    "rotate_automatically": {"kms:EnableKeyRotation"},
    "rotate_on_demand": {"kms:RotateKeyOnDemand"},
    "last_used": {"kms:GetKeyLastUsage"},
    "allows": {"iam:SimulatePrincipalPolicy"},
    "schedule_deletion": {"kms:ScheduleKeyDeletion"},
    "cancel_deletion": {"kms:CancelKeyDeletion"},
    "atlas": {"secretsmanager:GetSecretValue"},
    "atlas_owner": {"secretsmanager:GetSecretValue"},
    "organizations": {"secretsmanager:GetSecretValue"},
    "publish": {"sns:Publish", "events:PutEvents"},
    "wake_rotation": {"sqs:SendMessage RotationsQueue"},
    "wake_sweep": {"sqs:SendMessage SweepsQueue"},
    "commit": {"dynamodb:PutItem TrackerTable", "dynamodb:ConditionCheckItem TrackerTable"},
    "update_notice": {"dynamodb:PutItem TrackerTable"},
    "keys_of": {"dynamodb:Query TrackerTable"},
    "keys_named": {"dynamodb:Query TrackerTable"},
    "tracker.due": {"dynamodb:Query due"},
    "tracker.projects": {"dynamodb:Query listing"},
    "tracker.keys": {"dynamodb:Query listing"},
}
"""What a call of a port needs of AWS; a name with a dot counts only when called on something of that name."""


def allowed(policy: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Each allowed action with each resource that it is allowed on."""
    for statement in statements(policy):
        if statement["Effect"] == "Allow":
            for action in as_list(statement["Action"]):
                for resource in as_list(statement["Resource"]):
                    yield action, short(resource)


def short(resource: object) -> str:
    """A resource by its logical id, an index by its name, anything else as text."""
    if isinstance(resource, dict):
        ((kind, value),) = resource.items()
        if kind == "Fn::GetAtt":
            return value[0]
        return value.rpartition("/index/")[2]
    return str(resource)


def actions(name: str) -> set[str]:
    return {action for action, _ in allowed(POLICIES[name])}


def services(name: str) -> set[str]:
    return {action.partition(":")[0] for action in actions(name)}


def holders(*wanted: str) -> set[str]:
    return {name for name in POLICIES if actions(name) & set(wanted)}


def statement(name: str, action: str, effect: str = "Allow") -> dict[str, Any]:
    (found,) = [
        found
        for found in statements(POLICIES[name])
        if found["Effect"] == effect and action in as_list(found["Action"])
    ]
    return found


def calls(path: Path, seen: frozenset[Path] = frozenset()) -> Iterator[str]:
    """Every method that a verb calls, and what the shared files that it imports call, as receiver.method."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            receiver = ast.unparse(node.func.value).rpartition(".")[2]
            yield f"{receiver}.{node.func.attr}"
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("chalicelib.usecases"):
            shared = path.parent / f"{node.module.rpartition('.')[2]}.py"
            if shared.is_file() and shared not in seen | {path}:
                yield from calls(shared, seen | {path})


def needed(path: Path) -> set[str]:
    found = list(calls(path))
    methods = {*found, *(call.partition(".")[2] for call in found)}
    return {need for method in methods for need in CALLS.get(method, set())}


def verb_files(function: str) -> list[Path]:
    """The files of usecases that a function of app.py hands its event to."""
    tree = ast.parse((ROOT / "app.py").read_text())
    (body,) = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == function]
    used = {node.id for node in ast.walk(body) if isinstance(node, ast.Name)}
    named = {function}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("chalicelib.usecases"):
            for alias in node.names:
                if (alias.asname or alias.name) in used:
                    inner = node.module != "chalicelib.usecases"
                    named.add(node.module.rpartition(".")[2] if inner else alias.name)
    files = [ROOT / "chalicelib" / "usecases" / f"{name}.py" for name in sorted(named)]
    return [path for path in files if path.is_file()]


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_nothing_is_allowed_on_every_resource_without_a_reason(name: str):
    said = list(too_wide(POLICIES[name], name))

    assert not said


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_every_statement_says_what_it_is_for(name: str):
    purposes = [statement.get("Sid", "") for statement in statements(POLICIES[name])]

    assert all(purposes)
    assert len(set(purposes)) == len(purposes)


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_a_function_writes_its_own_log_and_no_other(name: str):
    groups = {resource for action, resource in allowed(POLICIES[name]) if action.startswith("logs:")}

    assert groups == {"ApiHandlerLogs" if name == "api_handler" else f"{name.title()}Logs"}


def test_the_door_holds_no_power():
    assert services("api_handler") == {"dynamodb", "sqs", "logs"}


def test_only_announce_and_relay_publish():
    assert holders("sns:Publish", "events:PutEvents") == {"announce", "relay"}


def test_only_those_who_speak_to_atlas_read_its_credentials():
    assert holders("secretsmanager:GetSecretValue") == {"discover", "rotate", "sweep", "retire"}


def test_only_rotate_makes_keys():
    assert holders("kms:CreateKey", "kms:TagResource", "kms:CreateAlias", "kms:EnableKeyRotation") == {"rotate"}


def test_only_rotate_uses_up_the_rotations_of_a_key():
    assert holders("kms:RotateKeyOnDemand") == {"rotate"}


def test_rotate_turns_no_rotation_off():
    every = {action for name in POLICIES for action in actions(name)}

    assert "kms:DisableKeyRotation" not in every


@pytest.mark.parametrize(
    "action",
    ["kms:EnableKeyRotation", "kms:RotateKeyOnDemand", "kms:GetKeyRotationStatus", "kms:ListKeyRotations"],
)
def test_rotate_may_rotate_the_keys_of_its_account_in_every_region_and_see_what_came_of_it(action: str):
    keys = {"Fn::Sub": "arn:${AWS::Partition}:kms:*:${AWS::AccountId}:key/*"}

    assert statement("rotate", action)["Resource"] == keys


def test_only_rotate_looks_into_the_policies_of_roles_and_users_and_changes_none():
    every = {action for name in POLICIES for action in actions(name) if action.startswith("iam:")}

    assert holders("iam:SimulatePrincipalPolicy") == {"rotate"}
    assert every == {"iam:SimulatePrincipalPolicy"}


def test_policies_are_looked_into_in_our_own_account_only():
    resources = statement("rotate", "iam:SimulatePrincipalPolicy")["Resource"]

    assert resources == [
        {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:role/*"},
        {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:user/*"},
    ]


def test_only_retire_can_endanger_a_key():
    assert holders(*DANGEROUS) == {"retire"}
    assert actions("retire") & DANGEROUS == {"kms:ScheduleKeyDeletion", "kms:DisableKey"}


def test_retire_touches_our_own_keys_only():
    condition = statement("retire", "kms:ScheduleKeyDeletion")["Condition"]

    assert condition == {"StringEquals": {"aws:ResourceTag/keyturn:owner": "keyturn"}}


def test_no_deletion_comes_sooner_than_thirty_days():
    denial = statement("retire", "kms:ScheduleKeyDeletion", "Deny")

    assert denial["Condition"] == {"NumericLessThan": {"kms:ScheduleKeyDeletionPendingWindowInDays": "30"}}


def test_rotate_could_not_endanger_a_key_whatever_else_it_were_given():
    denial = statement("rotate", "kms:ScheduleKeyDeletion", "Deny")

    assert {"kms:ScheduleKeyDeletion", "kms:DisableKey", "kms:PutKeyPolicy"} <= set(denial["Action"])
    assert denial["Resource"] == "*"
    assert "Condition" not in denial


@pytest.mark.parametrize("action", ["kms:CreateKey", "kms:TagResource"])
def test_a_key_is_made_as_ours_or_not_at_all(action: str):
    condition = statement("rotate", action)["Condition"]

    assert condition == {"StringEquals": {"aws:RequestTag/keyturn:owner": "keyturn"}}


def test_nobody_encrypts_or_decrypts():
    every = {action for name in POLICIES for action in actions(name)}

    assert not every & {
        "kms:Encrypt",
        "kms:Decrypt",
        "kms:GenerateDataKey",
        "kms:ReEncryptFrom",
        "kms:ReEncryptTo",
    }


@pytest.mark.parametrize("name", ["announce", "relay"])
def test_those_who_publish_see_notices_only(name: str):
    condition = statement(name, "dynamodb:PutItem")["Condition"]

    assert condition == {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["NOTICE#*"]}}


@pytest.mark.parametrize("name", VERBS)
def test_a_function_may_take_what_wakes_it(name: str):
    (event,) = RESOURCES[name.title()]["Properties"]["Events"].values()
    source = event["Properties"].get("Queue") or event["Properties"].get("Stream")

    takes = {"dynamodb:GetRecords", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}
    if source is None:
        wanted = set()
    elif "Queue" in event["Properties"]:
        wanted = {(action, source["Fn::GetAtt"][0]) for action in takes if action.startswith("sqs:")}
    else:
        wanted = {("dynamodb:GetRecords", source["Fn::GetAtt"][0])}
    assert {pair for pair in allowed(POLICIES[name]) if pair[0] in takes} == wanted


@pytest.mark.parametrize("name", VERBS)
def test_a_function_may_leave_what_it_could_not_do_where_the_template_says(name: str):
    lays_aside = "AsyncDeadLetters" in json.dumps(RESOURCES[name.title()])

    assert (("sqs:SendMessage", "AsyncDeadLetters") in set(allowed(POLICIES[name]))) is lays_aside


@pytest.mark.parametrize("name", VERBS)
def test_a_verb_is_allowed_what_it_calls(name: str):
    files = verb_files(name)
    granted = {*actions(name), *(f"{action} {resource}" for action, resource in allowed(POLICIES[name]))}

    wanted = {need for path in files for need in needed(path)}

    assert files
    assert wanted <= granted


def test_the_calls_of_a_verb_are_seen_through_the_files_it_shares(tmp_path: Path):
    (tmp_path / "verb.py").write_text(
        "from chalicelib.usecases.observe import look\n\ndef verb(outside):\n"
        "    outside.tracker.due('x')\n    outside.keys('r', None).schedule_deletion('k', days=30)\n"
        "    look(outside)\n"
    )
    (tmp_path / "observe.py").write_text("def look(outside):\n    outside.messages.wake_sweep('k')\n")

    found = needed(tmp_path / "verb.py")

    assert found == {"dynamodb:Query due", "kms:ScheduleKeyDeletion", "sqs:SendMessage SweepsQueue"}
