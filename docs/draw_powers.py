"""Draws docs/powers.md, who may do what is dangerous, from the functions' policies: `python docs/draw_powers.py`."""

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
POLICIES = ROOT / ".chalice" / "policies"
PAGE = ROOT / "docs" / "powers.md"

NO, NEVER = "", "denied"

ACTIONS = (
    "kms:CreateKey",
    "kms:PutKeyPolicy",
    "kms:DisableKey",
    "kms:ScheduleKeyDeletion",
    "kms:CancelKeyDeletion",
    "kms:EnableKey",
    "secretsmanager:GetSecretValue",
    "sns:Publish",
    "sts:AssumeRole",
    "dynamodb:PutItem",
    "dynamodb:UpdateItem",
    "dynamodb:DeleteItem",
)
"""What could lose a key, a secret, people's attention or the memory."""

TERMS = {
    '{"StringEquals": {"aws:RequestTag/keyturn:owner": "keyturn"}}': "tagged as ours",
    '{"StringEquals": {"aws:ResourceTag/keyturn:owner": "keyturn"}}': "our keys",
    '{"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["NOTICE#*"]}}': "notices",
    '{"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["PROJECT#*", "AUDIT#*"]}}': "projects, their trails",
    '{"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["WATCH#*", "NOTICE#*"]}}': "the watch, notices",
}
"""Conditions of what is allowed, and what they come to; an unknown one is an error."""

LIMITS = {'{"NumericLessThan": {"kms:ScheduleKeyDeletionPendingWindowInDays": "30"}}': "30 days or more"}
"""Conditions of what is denied, and what they leave."""


def policies() -> dict[str, dict[str, Any]]:
    """Every function's policy by the function's name."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(POLICIES.glob("*.json"))}


def cell(policy: dict[str, Any], action: str) -> str:
    """What a policy lets its function do: nothing, `denied`, `yes`, or on which terms; raises KeyError for new ones."""
    said = [one for one in policy["Statement"] if action in _listed(one["Action"])]
    denials = [one for one in said if one["Effect"] == "Deny"]
    if any("Condition" not in one for one in denials):
        return NEVER
    allowed = [one for one in said if one["Effect"] == "Allow"]
    if not allowed:
        return NO
    terms = [TERMS[json.dumps(one["Condition"])] if "Condition" in one else "yes" for one in allowed]
    limits = [LIMITS[json.dumps(one["Condition"])] for one in denials]
    return ", ".join(["yes" if "yes" in terms else " or ".join(terms), *limits])


def table() -> dict[str, dict[str, str]]:
    """Per function and action the cell."""
    return {name: {action: cell(policy, action) for action in ACTIONS} for name, policy in policies().items()}


def document() -> str:
    """The whole page."""
    return "\n".join(
        [
            "# Who may do what is dangerous",
            "",
            "Drawn from the functions' policies (`.chalice/policies`) by `python docs/draw_powers.py`; a test compares",
            "them, and `make deploy-test` has every function's role try every cell but those of `sts:AssumeRole` on an",
            "emulator in which IAM bites.",
            "An empty cell is what nobody allowed, `denied` what could not even be given by another policy.",
            "",
            f"| function | {' | '.join(f'`{action}`' for action in ACTIONS)} |",
            f"|---|{'---|' * len(ACTIONS)}",
            *(f"| `{name}` | {' | '.join(cells.values())} |" for name, cells in table().items()),
            "",
            "A secret holds both Atlas accounts of an organization, so who may read it may read the owner's too; only",
            "`rotate` uses that. Roles of other accounts can be assumed where their name starts with `keyturn-`, or",
            "where the parameter `KmsAccountRoles` names them. KMS judges a key's own policy beside these.",
            "",
        ]
    )


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


if __name__ == "__main__":
    PAGE.write_text(document(), encoding="utf-8")
