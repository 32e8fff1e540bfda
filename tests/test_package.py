"""What is deployed, checked without building it: `make package` builds it and checks the rest."""

import ast
import json
import re
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from chalicelib import wiring
from chalicelib.settings import DEFAULTS
from package.archive import LEFT_OUT, archive_complaints, checked_bytecode, missing_compiled
from package.precompile import UNCHECKED, precompile
from package.rules import mixed_intrinsics, overlays_over_nothing, shared_roles, too_wide, wrong_functions
from package.sources import lay
from package.template import read, write

ROOT = Path(__file__).parent.parent
CONFIG = json.loads((ROOT / ".chalice" / "config.json").read_text())
STAGE = CONFIG["stages"]["live"]
TEMPLATE = read(ROOT / ".chalice" / "resources.yaml")
RESOURCES = TEMPLATE["Resources"]

TRIGGERS = {"schedule", "on_sqs_message", "on_dynamodb_record", "on_cw_event", "lambda_function"}
CONTRACT = {
    "adjust",
    "watch",
    "discover",
    "remind",
    "digest",
    "hear",
    "preview",
    "rotate",
    "track",
    "sweep",
    "retire",
    "guard",
    "patrol",
    "announce",
    "relay",
    "api_handler",
}
WORK_QUEUES = {"rotate": "RotationsQueue", "sweep": "SweepsQueue"}


def logical_id(function: str) -> str:
    """The id that Chalice gives a function's resource."""
    return "APIHandler" if function == "api_handler" else function.title()


def timeout(function: str) -> int:
    return STAGE["lambda_functions"][function].get("lambda_timeout", STAGE["lambda_timeout"])


def triggered_functions() -> set[str]:
    """The functions of app.py that an event of AWS wakes, or that another function asks."""
    tree = ast.parse((ROOT / "app.py").read_text())
    return {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        for decorator in node.decorator_list
        if isinstance(decorator, ast.Call) and getattr(decorator.func, "attr", "") in TRIGGERS
    }


def batch_size(function: str) -> int:
    """How many messages app.py has a function take at a time."""
    (size,) = [
        node.value.value
        for found in ast.walk(ast.parse((ROOT / "app.py").read_text()))
        if isinstance(found, ast.FunctionDef) and found.name == function
        for node in ast.walk(found.decorator_list[0])
        if isinstance(node, ast.keyword) and node.arg == "batch_size" and isinstance(node.value, ast.Constant)
    ]
    return int(size)


def references(value: object) -> Iterator[str]:
    """Every logical id or parameter that a piece of a template names."""
    if isinstance(value, list):
        for child in value:
            yield from references(child)
    elif isinstance(value, dict):
        for key, child in value.items():
            if key in {"Ref", "Condition"} and isinstance(child, str):
                yield child
            elif key == "Fn::GetAtt":
                yield child[0]
            elif key == "Fn::Sub" and isinstance(child, str):
                yield from (name.split(".")[0] for name in re.findall(r"\$\{([A-Za-z.]+)\}", child))
            elif key == "Fn::If":
                yield child[0]
                yield from references(child[1:])
            else:
                yield from references(child)


def policies() -> dict[str, dict[str, Any]]:
    folder = ROOT / ".chalice" / "policies"
    return {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}


def pinned(name: str) -> dict[str, str]:
    lines = [line for line in (ROOT / name).read_text().splitlines() if line and line[0] not in "#-"]
    return dict(line.split("==") for line in lines)


def test_every_function_of_the_app_and_no_other_is_configured():
    functions = triggered_functions() | {"api_handler"}

    assert functions == set(STAGE["lambda_functions"]) == CONTRACT


def test_every_function_has_a_policy_of_its_own():
    files = {name: found["iam_policy_file"] for name, found in STAGE["lambda_functions"].items()}

    assert files == {name: f"policies/{name}.json" for name in CONTRACT}
    assert set(policies()) == CONTRACT
    assert CONFIG["autogen_policy"] is False


def test_chalice_makes_no_log_groups_because_its_template_would_be_refused():
    assert "log_retention_in_days" not in json.dumps(CONFIG)


@pytest.mark.parametrize("function", sorted(CONTRACT))
def test_every_function_logs_json_into_a_group_that_forgets(function: str):
    logging = RESOURCES[logical_id(function)]["Properties"]["LoggingConfig"]

    group = RESOURCES[logging["LogGroup"]["Ref"]]
    assert logging["LogFormat"] == "JSON"
    assert group["Properties"]["RetentionInDays"] == {"Ref": "LogRetentionDays"}


@pytest.mark.parametrize(("function", "queue"), WORK_QUEUES.items())
def test_a_message_stays_hidden_for_six_times_the_timeout_of_its_function(function: str, queue: str):
    assert RESOURCES[queue]["Properties"]["VisibilityTimeout"] >= 6 * timeout(function)


@pytest.mark.parametrize(("function", "queue"), WORK_QUEUES.items())
def test_a_message_that_fails_five_times_is_laid_aside_alone(function: str, queue: str):
    redrive = RESOURCES[queue]["Properties"]["RedrivePolicy"]
    (source,) = RESOURCES[logical_id(function)]["Properties"]["Events"].values()

    aside = redrive["deadLetterTargetArn"]["Fn::GetAtt"][0]
    assert redrive["maxReceiveCount"] == 5
    assert RESOURCES[aside]["Properties"]["MessageRetentionPeriod"] == 14 * 24 * 3600
    assert source["Properties"]["Queue"] == {"Fn::GetAtt": [queue, "Arn"]}
    assert source["Properties"]["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


@pytest.mark.parametrize("function", ["discover", "remind", "digest", "track", "retire", "relay", "guard", "patrol"])
def test_what_a_rule_or_an_asynchronous_call_cannot_get_done_is_laid_aside(function: str):
    properties = RESOURCES[logical_id(function)]["Properties"]
    (rule,) = properties["Events"].values()

    aside = {"Fn::GetAtt": ["AsyncDeadLetters", "Arn"]}
    assert rule["Properties"]["DeadLetterConfig"] == {"Arn": aside}
    assert rule["Properties"]["RetryPolicy"]["MaximumRetryAttempts"] > 0
    assert properties["EventInvokeConfig"]["DestinationConfig"]["OnFailure"]["Destination"] == aside


def test_only_rules_of_this_stack_may_write_to_the_dead_letters():
    (statement,) = RESOURCES["AsyncDeadLettersPolicy"]["Properties"]["PolicyDocument"]["Statement"]

    assert statement["Principal"] == {"Service": "events.amazonaws.com"}
    assert "${AWS::StackName}" in statement["Condition"]["ArnLike"]["aws:SourceArn"]["Fn::Sub"]


def test_the_stream_wakes_announce_for_new_notices_only():
    (source,) = RESOURCES["Announce"]["Properties"]["Events"].values()

    pattern = json.loads(source["Properties"]["FilterCriteria"]["Filters"][0]["Pattern"])
    assert pattern == {"eventName": ["INSERT"], "dynamodb": {"Keys": {"sk": {"S": ["NOTICE"]}}}}
    assert source["Properties"]["Stream"] == {"Fn::GetAtt": ["TrackerTable", "StreamArn"]}
    assert source["Properties"]["StartingPosition"] == "TRIM_HORIZON"
    assert source["Properties"]["BisectBatchOnFunctionError"] is True


def test_the_memory_outlives_mistakes():
    table = RESOURCES["TrackerTable"]

    assert table["DeletionPolicy"] == table["UpdateReplacePolicy"] == "Retain"
    assert table["Properties"]["DeletionProtectionEnabled"] is True
    assert table["Properties"]["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["Properties"]["StreamSpecification"] == {"StreamViewType": "NEW_AND_OLD_IMAGES"}
    assert table["Properties"]["BillingMode"] == "PAY_PER_REQUEST"


def test_every_function_is_told_the_names_of_what_it_uses():
    variables = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]

    assert set(variables) == {
        "ALERTS_TOPIC_ARN", "ATLAS_BASE_URL", "ATLAS_SECRETS", "ESCALATIONS_TOPIC_ARN", "EVENT_BUS_NAME",
        "ROTATIONS_QUEUE_URL", "SWEEPS_QUEUE_URL", "TABLE_NAME",
    }  # fmt: skip


def test_the_door_alone_is_told_whom_to_ask():
    told = {name for name, found in RESOURCES.items() if "_FUNCTION" in json.dumps(found)}

    assert told == {"APIHandler"}
    assert RESOURCES["APIHandler"]["Properties"]["Environment"]["Variables"] == {
        "PREVIEW_FUNCTION": {"Ref": "Preview"},
        "HEAR_FUNCTION": {"Ref": "Hear"},
        "ADJUST_FUNCTION": {"Ref": "Adjust"},
        "VIEWERS": {"Ref": "Viewers"},
        "OPERATORS": {"Ref": "Operators"},
        "APPROVERS": {"Ref": "Approvers"},
    }


def test_every_setting_comes_from_the_template():
    everywhere = set(TEMPLATE["Globals"]["Function"]["Environment"]["Variables"])
    of_the_door = set(RESOURCES["APIHandler"]["Properties"]["Environment"]["Variables"])

    of_the_watch = set(RESOURCES["Watch"]["Properties"]["Environment"]["Variables"])

    assert everywhere | of_the_door | of_the_watch == set(DEFAULTS)


@pytest.mark.parametrize("name", ["Viewers", "Operators", "Approvers"])
@pytest.mark.parametrize(
    ("listed", "taken"),
    [
        ("", True),
        ("arn:aws:iam::123456789012:role/keys-*", True),
        ("arn:aws:iam::123456789012:user/ada,arn:aws:sts::123456789012:person/grace", True),
        (",", False),
        ("ada", False),
        ("arn:aws:iam::123456789012:user/ada, arn:aws:iam::123456789012:user/grace", False),
    ],
)
def test_a_list_of_people_is_empty_or_made_of_arns(name: str, listed: str, *, taken: bool):
    parameter = TEMPLATE["Parameters"][name]

    assert parameter["Default"] == ""
    assert (re.fullmatch(parameter["AllowedPattern"], listed) is not None) is taken


def test_the_api_answers_within_the_time_that_api_gateway_waits():
    assert timeout("api_handler") <= 29


@pytest.fixture
def waits() -> Iterator[Any]:
    """How long the door waits for an answer of Lambda's; the client and its session are forgotten afterwards."""
    yield wiring.client("lambda", "us-east-1").meta.config
    wiring.furnish()
    boto3.setup_default_session()


def test_the_door_can_still_answer_when_no_preview_comes(waits: Any):
    assert waits.retries["total_max_attempts"] == 1
    assert timeout("preview") <= waits.read_timeout
    assert waits.connect_timeout + waits.read_timeout <= timeout("api_handler") - 5


def test_rotations_run_side_by_side_each_by_itself_and_never_more_than_eight():
    (source,) = RESOURCES["Rotate"]["Properties"]["Events"].values()

    assert source["Properties"]["ScalingConfig"] == {"MaximumConcurrency": 8}
    assert batch_size("rotate") == 1
    assert "BatchSize" not in source["Properties"]


def test_a_slow_sweep_holds_up_no_other():
    assert batch_size("sweep") == 1


def test_nothing_names_what_is_not_there():
    known = {*RESOURCES, *TEMPLATE["Parameters"], *TEMPLATE["Conditions"]}

    named = {*references(TEMPLATE), *references(list(policies().values()))}

    assert named
    assert {name for name in named if not name.startswith("AWS")} <= known


def test_secrets_the_functions_may_not_read_are_refused_at_deployment():
    pattern = TEMPLATE["Parameters"]["AtlasSecrets"]["AllowedPattern"]

    assert re.fullmatch(pattern, "keyturn/atlas/one,keyturn/atlas/two")
    assert not re.fullmatch(pattern, "keyturn/one,payroll")


def test_atlas_is_reached_over_tls_only():
    pattern = TEMPLATE["Parameters"]["AtlasBaseUrl"]["AllowedPattern"]

    assert re.fullmatch(pattern, TEMPLATE["Parameters"]["AtlasBaseUrl"]["Default"])
    assert not re.fullmatch(pattern, "http://cloud.mongodb.com")


@pytest.mark.parametrize(
    "name", sorted(path.name for path in ROOT.glob("requirements*.txt") if "-zip" not in path.name)
)
def test_every_requirement_is_pinned(name: str):
    assert all(re.fullmatch(r"[0-9][0-9a-z.]*", version) for version in pinned(name).values())


def test_the_zip_asks_for_nothing_that_the_runtime_brings():
    assert not {"boto3", "botocore", "chalice", "urllib3"} & set(pinned("requirements.txt"))


def test_what_ships_is_pinned_by_digest_and_nothing_else_is():
    lines = (ROOT / "requirements-zip.txt").read_text().splitlines()

    named = dict(line.removesuffix(" \\").split("==") for line in lines if "==" in line)
    assert named == pinned("requirements.txt")
    assert sum("--hash=sha256:" in line for line in lines) >= len(named)
    assert "--require-hashes" in (ROOT / "package" / "build.sh").read_text()


def test_bytecode_of_the_zip_is_loaded_without_a_look_at_its_source(tmp_path: Path):
    for name, dated in (("good.zip", False), ("bad.zip", True)):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr("app.py", "x = 1\n")
            archive.writestr("unused.py", "x = 1\n")
            archive.writestr(f"{LEFT_OUT}openapi/page.js", "1")
            if dated:
                archive.writestr("__pycache__/app.cpython-313.pyc", UNCHECKED[:4] + bytes(12))
    count = precompile(tmp_path / "good.zip", ["app.py", "compiled.so"])

    with zipfile.ZipFile(tmp_path / "good.zip") as archive:
        names = archive.namelist()
    assert count == 1
    assert names == ["__pycache__/app.cpython-{}{}.pyc".format(*sys.version_info), "app.py", "unused.py"]
    assert list(archive_complaints(names)) == []
    assert list(checked_bytecode(tmp_path / "good.zip", UNCHECKED)) == []
    assert len(list(checked_bytecode(tmp_path / "bad.zip", UNCHECKED))) == 1


def test_what_is_tested_is_what_is_packaged():
    development, packaging = pinned("requirements-dev.txt"), pinned("requirements-package.txt")

    both = {"boto3", "botocore", "chalice", "urllib3", "PyYAML"}
    assert {name: development[name] for name in both} == {name: packaging[name] for name in both}


def test_continuous_integration_runs_the_tests_as_the_readme_tells_people_to():
    readme = (ROOT / "README.md").read_text()
    told = [line for block in re.findall(r"```\w*\n(.*?)```", readme, re.DOTALL) for line in block.splitlines()]
    script = (ROOT / ".ci" / "run").read_text().splitlines()

    commands = [line.split("#")[0].strip() for line in script]
    assert "make test" in [line.split("#")[0].strip() for line in told]
    assert {"make test", "make check", "make package", "make deploy-test", "make audit"} <= set(commands)
    assert [line for line in commands if line][-1] == "make test"
    assert "set -euo pipefail" in commands


def test_a_function_entered_past_the_app_or_with_another_runtime_is_refused():
    template = {"Resources": {"Tick": function(Handler="chalicelib.workers.tick", Runtime="python3.12")}}

    said = list(wrong_functions(template, "python3.13"))

    assert len(said) == 2


def test_a_role_used_twice_is_refused():
    role = {"Type": "AWS::IAM::Role", "Properties": {}}
    template = {"Resources": {"One": function(), "Two": function(), "OneRole": role}}

    said = list(shared_roles(template))

    assert said == ["2 functions share the role OneRole"]


def test_a_misspelt_event_is_refused():
    overlay = {"Resources": {"Tick": {"Properties": {"Events": {"TickEvnt": {}}}}, "Tock": {"Properties": {}}}}
    generated = {"Resources": {"Tick": function(Events={"TickEvent": {}})}}

    said = list(overlays_over_nothing(overlay, generated))

    assert len(said) == 2


def test_an_intrinsic_merged_over_another_is_refused():
    said = list(mixed_intrinsics({"Queue": {"Fn::Sub": "a", "Fn::GetAtt": ["b", "Arn"]}}))

    assert said == ["template.Queue mixes Fn::Sub and Fn::GetAtt"]


@pytest.mark.parametrize(
    "statement",
    [
        {"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": "*"},
        {"Effect": "Allow", "Action": ["kms:ListKeys", "kms:Decrypt"], "Resource": ["*"]},
        {"Effect": "Allow", "Action": "kms:*", "Resource": "arn:x"},
        {"Effect": "Allow", "Action": "kms:ListKeys", "NotResource": "arn:x", "Resource": "arn:y"},
    ],
)
def test_a_permission_wider_than_anybody_explained_is_refused(statement: dict[str, Any]):
    said = list(too_wide({"Statement": statement}, "role"))

    assert len(said) == 1


def test_a_broad_denial_is_no_permission():
    statement = {"Effect": "Deny", "Action": "kms:*", "Resource": "*"}

    said = list(too_wide({"Statement": [statement]}, "role"))

    assert not said


@pytest.mark.parametrize("name", ["boto3/__init__.py", "sandbox/serve.py", "chalice/cli/main.py", "chalicelib/a.pyc"])
def test_what_has_no_business_in_the_zip_is_refused(name: str):
    said = list(archive_complaints(["app.py", "chalice/app.py", "chalicelib/settings.py", name]))

    assert len(said) == 1


def test_a_compiled_module_that_the_zip_lacks_is_noticed(tmp_path: Path):
    (tmp_path / "msgspec").mkdir()
    (tmp_path / "msgspec" / "_core.cpython-313-x86_64-linux-gnu.so").touch()

    lacking = list(missing_compiled(["msgspec/__init__.py"], tmp_path))
    complete = list(
        missing_compiled(["msgspec/__init__.py", "msgspec/_core.cpython-313-aarch64-linux-gnu.so"], tmp_path)
    )

    assert len(lacking) == 1
    assert not complete


def test_compiled_leftovers_do_not_ship(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "app.pyc").touch()
    (tmp_path / "app.py").write_text("x = 1\n")

    count = lay(["app.py", "__pycache__/app.pyc", "gone.py", ""], tmp_path / "copy")

    assert count == 1
    assert (tmp_path / "copy" / "app.py").read_text() == "x = 1\n"


def test_short_and_long_forms_of_an_intrinsic_read_alike(tmp_path: Path):
    path = tmp_path / "template.yaml"
    path.write_text("a: !GetAtt Table.Arn\nb: !Sub 'x-${Table}'\nc: !Ref Table\nd: !Not [!Equals [!Ref P, '']]\n")

    found = read(path)

    assert found == {
        "a": {"Fn::GetAtt": ["Table", "Arn"]},
        "b": {"Fn::Sub": "x-${Table}"},
        "c": {"Ref": "Table"},
        "d": {"Fn::Not": [{"Fn::Equals": [{"Ref": "P"}, ""]}]},
    }


def test_a_written_template_shares_nothing(tmp_path: Path):
    shared = {"Service": "lambda.amazonaws.com"}
    path = tmp_path / "template.yaml"

    write({"a": shared, "b": shared}, path)

    assert "&" not in path.read_text()
    assert read(path) == {"a": shared, "b": shared}


def function(**properties: object) -> dict[str, Any]:
    usual = {"Handler": "app.tick", "Runtime": "python3.13", "Role": {"Fn::GetAtt": ["OneRole", "Arn"]}}
    return {"Type": "AWS::Serverless::Function", "Properties": usual | properties}
