"""The walls between the verbs: what each function's policy allows, and that it allows what the verb calls."""

import ast
import json
import re
from collections.abc import Iterable, Iterator
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

READS = {
    "kms:DescribeKey",
    "kms:GetKeyLastUsage",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:ListKeyRotations",
    "iam:SimulatePrincipalPolicy",
    "dynamodb:GetItem",
    "dynamodb:Query",
    "secretsmanager:GetSecretValue",
    "sts:AssumeRole",
}
"""Actions that change nothing."""

KEYS = {
    "describe": {"kms:DescribeKey"},
    "rotations": {"kms:GetKeyRotationStatus", "kms:ListKeyRotations"},
    "last_used": {"kms:GetKeyLastUsage"},
    "policy": {"kms:GetKeyPolicy"},
    "find_by_alias": {"kms:DescribeKey"},
    "find_by_rotation": {"kms:DescribeKey", "kms:ListKeys", "kms:ListResourceTags"},
    "create": {"kms:CreateKey", "kms:TagResource"},
    "name": {"kms:CreateAlias", "kms:DescribeKey"},
    "rotate_on_demand": {"kms:RotateKeyOnDemand"},
    "rotate_automatically": {"kms:EnableKeyRotation"},
    "enable": {"kms:EnableKey"},
    "disable": {"kms:DisableKey"},
    "schedule_deletion": {"kms:DescribeKey", "kms:ScheduleKeyDeletion"},
    "cancel_deletion": {"kms:CancelKeyDeletion", "kms:DescribeKey"},
}
"""What each call of the KMS adapter needs."""

OUR_OWN_WORDS = {"policy", "name", "create", "rotations"}
"""Calls of the KMS adapter whose names others have too: they count on something called keys alone."""

CALLS = {
    **{f"{'keys.' if name in OUR_OWN_WORDS else ''}{name}": needs for name, needs in KEYS.items()},
    "_keys(work).create": KEYS["create"],
    "outside.keys": {"sts:AssumeRole"},
    "outside.roles": {"sts:AssumeRole"},
    "allows": {"iam:SimulatePrincipalPolicy"},
    "legacy_user": {"secretsmanager:GetSecretValue"},
    "atlas": {"secretsmanager:GetSecretValue"},
    "atlas_owner": {"secretsmanager:GetSecretValue"},
    "organizations": {"secretsmanager:GetSecretValue"},
    "publish": {"sns:Publish AlertsTopic", "sns:Publish EscalationsTopic", "events:PutEvents"},
    "wake_rotation": {"sqs:SendMessage RotationsQueue"},
    "wake_sweep": {"sqs:SendMessage SweepsQueue"},
    "outside.preview": {"lambda:InvokeFunction Preview"},
    "commit": {"dynamodb:PutItem TrackerTable"},
    "update_notice": {"dynamodb:PutItem TrackerTable"},
    **{
        f"tracker.{name}": {"dynamodb:GetItem TrackerTable"}
        for name in ("project", "rotation", "key", "deletion", "proof", "notice")
    },
    "tracker.rotations": {"dynamodb:Query TrackerTable"},
    "keys_of": {"dynamodb:GetItem TrackerTable", "dynamodb:Query TrackerTable"},
    "keys_named": {"dynamodb:Query TrackerTable"},
    "tracker.due": {"dynamodb:Query due"},
    "tracker.projects": {"dynamodb:Query listing"},
    "tracker.keys": {"dynamodb:Query listing"},
}
"""What a call of a port needs of AWS; a name with a dot counts only when called on something of that name."""

BESIDES = (
    "logs:",
    "dynamodb:DescribeStream",
    "dynamodb:GetRecords",
    "dynamodb:GetShardIterator",
    "dynamodb:ListStreams",
)
TAKES = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}
"""What Lambda itself does with a function's role."""


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


class Source:
    """A file of ours: what it defines at its top, and what it imports from the verbs."""

    def __init__(self, root: Path, path: Path) -> None:
        self.root, self.path = root, path
        tree = ast.parse(path.read_text())
        self.definitions: dict[str, ast.AST] = {}
        self.imports: dict[str, tuple[str, str]] = {}
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                self.definitions[node.name] = node
            elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                self.definitions |= {target.id: node.value for target in targets if isinstance(target, ast.Name)}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("chalicelib.usecases"):
                self.imports |= {one.asname or one.name: (node.module or "", one.name) for one in node.names}

    def reached(self, name: str, seen: set[tuple[Path, str]]) -> Iterator[ast.AST]:
        """A definition and all that it leads to, in this file and in the verbs' files."""
        if name in self.imports:
            module, inner = self.imports[name]
            path = self._file(module)
            if path.is_file():
                yield from Source(self.root, path).reached(inner, seen)
        elif name in self.definitions and (self.path, name) not in seen:
            seen.add((self.path, name))
            body = self.definitions[name]
            yield body
            for node in ast.walk(body):
                if isinstance(node, ast.Name):
                    yield from self.reached(node.id, seen)
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                    yield from self._in_module(node.value.id, node.attr, seen)

    def _in_module(self, name: str, attribute: str, seen: set[tuple[Path, str]]) -> Iterator[ast.AST]:
        module = self._file(".".join(self.imports[name])) if name in self.imports else None
        if module is not None and module.is_file():
            yield from Source(self.root, module).reached(attribute, seen)

    def _file(self, module: str) -> Path:
        return self.root.joinpath(*module.split(".")).with_suffix(".py")


def needed(source: Source, names: Iterable[str]) -> set[str]:
    """What AWS must allow for these definitions, and all that they lead to, to work."""
    seen: set[tuple[Path, str]] = set()
    found = set()
    for body in (body for name in names for body in source.reached(name, seen)):
        for node in ast.walk(body):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                receiver = ast.unparse(node.func.value).rpartition(".")[2]
                for call in (node.func.attr, f"{receiver}.{node.func.attr}"):
                    found |= CALLS.get(call, set())
    return found


def needs_of(function: str) -> set[str]:
    """What AWS must allow a function of app.py; the door's are all that its routes lead to."""
    if function == "api_handler":
        door = Source(ROOT, ROOT / "chalicelib" / "api.py")
        return needed(door, door.definitions)
    return needed(Source(ROOT, ROOT / "app.py"), [function])


def powers(name: str) -> set[str]:
    """What a function's policy allows beside what Lambda does in its name, as CALLS says it."""
    found = set()
    for action, resource in allowed(POLICIES[name]):
        lambdas_own = action.startswith(BESIDES) or action in TAKES or resource == "AsyncDeadLetters"
        if not lambdas_own:
            by_resource = action.startswith(("dynamodb:", "sqs:", "sns:", "lambda:"))
            found.add(f"{action} {resource}" if by_resource else action)
    return found


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
    assert services("api_handler") == {"dynamodb", "sqs", "lambda", "logs"}


def test_the_door_may_ask_the_function_that_looks_ahead_and_no_other():
    asked = {pair for name in POLICIES for pair in allowed(POLICIES[name]) if pair[0].startswith("lambda:")}

    assert asked == {("lambda:InvokeFunction", "Preview")}
    assert holders("lambda:InvokeFunction") == {"api_handler"}


def test_the_function_that_looks_ahead_can_change_nothing():
    assert {action for action in actions("preview") if not action.startswith("logs:")} <= READS


@pytest.mark.parametrize("name", ["preview", "sweep"])
def test_what_only_looks_changes_no_key(name: str):
    assert {action for action in actions(name) if action.startswith(("kms:", "iam:"))} <= READS


def test_only_announce_and_relay_publish():
    assert holders("sns:Publish", "events:PutEvents") == {"announce", "relay"}


def test_only_those_who_speak_to_atlas_read_its_credentials():
    assert holders("secretsmanager:GetSecretValue") == {"discover", "rotate", "sweep", "retire", "preview"}


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


def test_only_a_preflight_looks_into_the_policies_of_roles_and_users_and_changes_none():
    every = {action for name in POLICIES for action in actions(name) if action.startswith("iam:")}

    assert holders("iam:SimulatePrincipalPolicy") == {"rotate", "preview"}
    assert every == {"iam:SimulatePrincipalPolicy"}


@pytest.mark.parametrize("name", ["rotate", "preview"])
def test_policies_are_looked_into_in_our_own_account_only(name: str):
    resources = statement(name, "iam:SimulatePrincipalPolicy")["Resource"]

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
    (event,) = RESOURCES[name.title()]["Properties"].get("Events", {"asked": {"Properties": {}}}).values()
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


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_a_function_is_allowed_what_it_calls_and_nothing_else(name: str):
    wanted = needs_of(name)

    assert wanted
    assert powers(name) == wanted


@pytest.mark.parametrize("name", ["guard", "patrol"])
def test_whoever_brings_keys_back_can_do_them_no_harm(name: str):
    changes = {action for action in actions(name) if action.startswith("kms:")} - READS

    assert changes == {"kms:CancelKeyDeletion", "kms:EnableKey"}


def test_what_a_call_needs_is_what_the_kms_adapter_asks_for():
    (adapter,) = [
        node
        for node in ast.parse((ROOT / "chalicelib" / "adapters" / "kms.py").read_text()).body
        if isinstance(node, ast.ClassDef) and node.name == "KmsKeys"
    ]
    methods = {node.name: node for node in adapter.body if isinstance(node, ast.FunctionDef)}

    asked = {name: set(asked_of_kms(methods, name)) for name in methods if not name.startswith("_")}

    assert asked == {name: needs - {"kms:TagResource"} for name, needs in KEYS.items()}  # tags go with CreateKey


def asked_of_kms(methods: dict[str, ast.FunctionDef], name: str) -> Iterator[str]:
    """The actions that a method of the adapter names when it speaks to KMS, itself or through others."""
    for node in ast.walk(methods[name]):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            told = node.args[0] if node.args else None
            if node.func.attr in {"_speaking", "_all_pages"} and isinstance(told, ast.Constant):
                yield f"kms:{told.value}"
            if node.func.attr in methods and node.func.attr not in {name, "_speaking", "_all_pages"}:
                yield from asked_of_kms(methods, node.func.attr)


def test_the_calls_of_a_verb_are_seen_through_the_files_it_shares(tmp_path: Path):
    verbs = tmp_path / "chalicelib" / "usecases"
    (verbs / "looking").mkdir(parents=True)
    (verbs / "verb.py").write_text(
        "from chalicelib.usecases.looking.observe import look\n\nSTEPS = {'look': look}\n\ndef verb(outside):\n"
        "    outside.tracker.due('x')\n    outside.keys('r', None).schedule_deletion('k', days=30)\n"
        "    STEPS['look'](outside)\n\ndef another(outside):\n    outside.messages.publish('n')\n"
    )
    (verbs / "looking" / "observe.py").write_text("def look(outside):\n    outside.messages.wake_sweep('k')\n")

    found = needed(Source(tmp_path, verbs / "verb.py"), ["verb"])

    assert found == {
        "dynamodb:Query due",
        "sts:AssumeRole",
        "kms:ScheduleKeyDeletion",
        "kms:DescribeKey",
        "sqs:SendMessage SweepsQueue",
    }


ROLE = read(ROOT / "docs" / "kms-account-role.yaml")
ROLE_PROPERTIES = ROLE["Resources"]["KeyturnKms"]["Properties"]
ROLE_POLICY = ROLE_PROPERTIES["Policies"][0]["PolicyDocument"]
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
