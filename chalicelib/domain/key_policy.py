"""Key policies: what a new CMK says about who may use it, and what a given policy really grants.

The project's Atlas principal gets exactly the three permissions Atlas asks for (DescribeKey, Encrypt, Decrypt);
the account stays in control, else nobody could ever change the policy again.
"""

import json
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any

ATLAS_ACTIONS = ("kms:DescribeKey", "kms:Encrypt", "kms:Decrypt")


class UnreadablePolicy(ValueError):
    """A policy text that is not a policy."""


def compose_policy(account: str, partition: str, principal: str, condition: dict[str, Any] | None) -> str:
    """Write the policy of a new key for one Atlas principal, with the conditions its old key had."""
    atlas: dict[str, Any] = {
        "Sid": "AtlasEncryptionAtRest",
        "Effect": "Allow",
        "Principal": {"AWS": principal},
        "Action": list(ATLAS_ACTIONS),
        "Resource": "*",
    }
    if condition:
        atlas["Condition"] = condition
    control = {
        "Sid": "AccountInControl",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:{partition}:iam::{account}:root"},
        "Action": "kms:*",
        "Resource": "*",
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [control, atlas]}, sort_keys=True)


def condition_for(policy: str, principal: str) -> dict[str, Any] | None:
    """The condition under which a policy lets this principal in, to be carried over to the next key."""
    for statement in _statements(policy):
        if statement.get("Effect") == "Allow" and principal in _principals(statement):
            condition = statement.get("Condition")
            return condition if isinstance(condition, dict) else None
    return None


def missing_permissions(policy: str, principal: str) -> tuple[str, ...]:
    """Which of the three permissions a policy does not plainly give this principal.

    Parsed, not trusted: KMS accepts statements without Resource or Action that have no effect. The account's own
    statement only delegates to IAM, so it does not count; a Deny for the principal takes away.
    """
    allowed: set[str] = set()
    denied: set[str] = set()
    for statement in _statements(policy):
        if not _concerns(statement, principal):
            continue
        actions = {a for a in ATLAS_ACTIONS if _matches(a, _texts(statement.get("Action")))}
        if statement.get("Effect") == "Deny":
            denied |= actions
        elif statement.get("Effect") == "Allow" and "*" in _texts(statement.get("Resource")):
            allowed |= actions
    return tuple(a for a in ATLAS_ACTIONS if a not in allowed or a in denied)


def _statements(policy: str) -> list[dict[str, Any]]:
    try:
        document = json.loads(policy)
    except ValueError:
        raise UnreadablePolicy("the key policy is not JSON") from None
    statements = document.get("Statement") if isinstance(document, dict) else None
    if isinstance(statements, dict):
        statements = [statements]
    if not isinstance(statements, list) or not all(isinstance(s, dict) for s in statements):
        raise UnreadablePolicy("the key policy has no list of statements")
    return statements


def _texts(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(v for v in value if isinstance(v, str)) if isinstance(value, list) else ()


def _principals(statement: dict[str, Any]) -> tuple[str, ...]:
    principal = statement.get("Principal")
    if principal == "*":
        return ("*",)
    return _texts(principal.get("AWS")) if isinstance(principal, dict) else ()


def _concerns(statement: dict[str, Any], principal: str) -> bool:
    named = _principals(statement)
    return principal in named or "*" in named


def _matches(action: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(action.lower(), pattern.lower()) for pattern in patterns)
