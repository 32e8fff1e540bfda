"""The functions' policies as they ship, and what they allow."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from package.rules import as_list, statements

ROOT = Path(__file__).parent.parent
POLICIES = {path.stem: json.loads(path.read_text()) for path in (ROOT / ".chalice" / "policies").glob("*.json")}

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

BESIDES = (
    "logs:",
    "dynamodb:DescribeStream",
    "dynamodb:GetRecords",
    "dynamodb:GetShardIterator",
    "dynamodb:ListStreams",
)
TAKES = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}
LEAVES = ("sqs:SendMessage", "AsyncDeadLetters")
"""What Lambda itself does with a function's role."""


def allowed(policy: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Each allowed action with each resource that it is allowed on."""
    for statement in statements(policy):
        if statement["Effect"] == "Allow":
            for action in as_list(statement["Action"]):
                for resource in as_list(statement["Resource"]):
                    yield action, short(resource)


def short(resource: object) -> str:
    """A resource by its logical id, an index by its name, anything else as text; what the stack makes by itself,
    where a parameter may name another one."""
    if isinstance(resource, dict):
        ((kind, value),) = resource.items()
        if kind == "Fn::GetAtt":
            return value[0]
        if kind == "Fn::If":
            return short(value[2])
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


def powers(name: str) -> set[str]:
    """What a function's policy allows beside what Lambda does in its name, as CALLS says it."""
    found = set()
    for action, resource in allowed(POLICIES[name]):
        takes = action in TAKES and not resource.endswith("DeadLetters")
        lambdas_own = action.startswith(BESIDES) or takes or (action, resource) == LEAVES
        if not lambdas_own:
            by_resource = action.startswith(("dynamodb:", "sqs:", "sns:", "lambda:"))
            found.add(f"{action} {resource}" if by_resource else action)
    return found
