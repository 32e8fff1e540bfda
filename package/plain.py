"""Writes what auditors can read: `python -m package.plain BUILD`, the template and policies without our intrinsics."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from package.rules import of_type
from package.template import Template, read
from package.translation import translate

_ACCOUNT, _REGION = "123456789012", "us-east-1"
_PSEUDO = {"AWS::Partition": "aws", "AWS::AccountId": _ACCOUNT, "AWS::Region": _REGION, "AWS::StackName": "keyturn"}
_ARNS = {
    "AWS::DynamoDB::Table": "dynamodb:{}:{}:table/{}",
    "AWS::Events::EventBus": "events:{}:{}:event-bus/{}",
    "AWS::Lambda::Function": "lambda:{}:{}:function:{}",
    "AWS::Logs::LogGroup": "logs:{}:{}:log-group:{}:*",
    "AWS::SNS::Topic": "sns:{}:{}:{}",
    "AWS::SQS::Queue": "sqs:{}:{}:{}",
}


def plain(value: Any, template: Template) -> Any:  # noqa: ANN401 - any part of a policy
    """A part of a policy as IAM would see it in some account, every condition of the template being false."""
    if isinstance(value, list):
        return [plain(item, template) for item in value]
    if not isinstance(value, dict):
        return value
    name = next(iter(value), "")
    if len(value) == 1 and name in _INTRINSICS:
        return _INTRINSICS[name](value[name], template)
    return {name: plain(item, template) for name, item in value.items()}


def _filled(text: str, template: Template) -> str:
    for name, replacement in _PSEUDO.items():
        text = text.replace(f"${{{name}}}", replacement)
    for name in template["Resources"]:
        text = text.replace(f"${{{name}.Arn}}", _arn(name, template)) if f"${{{name}.Arn}}" in text else text
    return text


def _arn(name: str, template: Template) -> str:
    kind = template["Resources"][name]["Type"]
    return "arn:aws:" + _ARNS[kind].format(_REGION, _ACCOUNT, name)


def _attribute(given: list[str], template: Template) -> str:
    return _arn(given[0], template) + ("/stream/1" if given[1] == "StreamArn" else "")


_INTRINSICS: dict[str, Callable[[Any, Template], Any]] = {
    "Fn::If": lambda given, template: plain(given[2], template),
    "Fn::Sub": _filled,
    "Fn::GetAtt": _attribute,
    "Ref": _arn,
}


def main(build: Path) -> None:
    """Write `audit/template.json` and `audit/policies/<role>.json`."""
    template = translate(read(build / "package" / "sam.yaml"))
    folder = build / "audit" / "policies"
    folder.mkdir(parents=True, exist_ok=True)
    (build / "audit" / "template.json").write_text(json.dumps(template, indent=1))
    for name, role in of_type(template, "AWS::IAM::Role").items():
        for policy in role["Properties"].get("Policies", []):
            document = plain(policy["PolicyDocument"], template)
            (folder / f"{name.removesuffix('Role').lower()}.json").write_text(json.dumps(document))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
