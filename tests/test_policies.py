"""The walls between the verbs: what each function's policy allows, and that it allows what the verb calls."""

import ast
import json
from pathlib import Path

import pytest
from policy_files import POLICIES, READS, ROOT, actions, allowed, holders, powers, services, statement
from verb_calls import KEYS, Source, asked_of_kms, needed, needs_of

from package.rules import statements, too_wide
from package.template import read

RESOURCES = read(ROOT / ".chalice" / "resources.yaml")["Resources"]
VERBS = sorted(set(POLICIES) - {"api_handler"})

DANGEROUS = {
    "kms:ScheduleKeyDeletion",
    "kms:DisableKey",
    "kms:PutKeyPolicy",
    "kms:DeleteAlias",
    "kms:CreateGrant",
}


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


def test_the_door_may_ask_the_functions_that_look_ahead_judge_webhooks_and_adjust_alerts_and_no_other():
    asked = {pair for name in POLICIES for pair in allowed(POLICIES[name]) if pair[0].startswith("lambda:")}

    assert asked == {("lambda:InvokeFunction", name) for name in ("Adjust", "Hear", "Preview")}
    assert holders("lambda:InvokeFunction") == {"api_handler"}


def test_the_function_that_looks_ahead_can_change_nothing():
    assert {action for action in actions("preview") if not action.startswith("logs:")} <= READS


@pytest.mark.parametrize("name", ["preview", "sweep"])
def test_what_only_looks_changes_no_key(name: str):
    assert {action for action in actions(name) if action.startswith(("kms:", "iam:"))} <= READS


def test_only_announce_and_relay_publish():
    assert holders("sns:Publish", "events:PutEvents") == {"announce", "relay"}


def test_only_those_who_speak_to_atlas_read_its_credentials():
    speak = {"discover", "rotate", "sweep", "retire", "preview", "hear", "adjust", "watch"}

    assert holders("secretsmanager:GetSecretValue") == speak


@pytest.mark.parametrize("name", ["adjust", "watch"])
def test_who_speaks_of_alerts_and_of_keyturn_itself_touches_no_key_and_no_other_record(name: str):
    kept = statement(name, "dynamodb:PutItem")["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]

    assert not services(name) & {"kms", "iam", "sts", "lambda"}
    assert kept == {"adjust": ["PROJECT#*", "AUDIT#*"], "watch": ["WATCH#*", "NOTICE#*"]}[name]


def test_only_watch_counts_dead_letters_and_takes_none():
    counts = {(name, pair) for name in POLICIES for pair in allowed(POLICIES[name]) if pair[1].endswith("DeadLetters")}
    letters = {"AsyncDeadLetters", "RotationsDeadLetters", "SweepsDeadLetters"}

    read = {(name, pair[1]) for name, pair in counts if pair[0] != "sqs:SendMessage"}
    assert read == {("watch", letter) for letter in letters}
    assert "sqs:ReceiveMessage" not in actions("watch")


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
    given = {pair for pair in allowed(POLICIES[name]) if pair[0] in takes and not pair[1].endswith("DeadLetters")}
    assert given == wanted


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
