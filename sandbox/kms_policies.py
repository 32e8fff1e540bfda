"""Policy documents: reading them as KMS does, and judging a request by them."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache

from sandbox.kms_callers import Caller, account_named_by
from sandbox.kms_conditions import Context, UnknownOperator, all_hold, as_texts, like

INVALID_PRINCIPALS = "Policy contains a statement with one or more invalid principals."
_OLDEST, _NEWEST = "2008-10-17", "2012-10-17"


class MalformedPolicy(Exception):
    """The text is not a policy document that AWS would take."""


class Say(StrEnum):
    """What a policy says about a request."""

    NOTHING = "nothing"
    DELEGATE = "delegate"
    """The account as a whole is allowed: its IAM policies decide."""
    ALLOW = "allow"
    DENY = "deny"


@dataclass(frozen=True, kw_only=True)
class Request:
    """One thing that somebody wants to do to a resource."""

    caller: Caller
    action: str
    resource: str
    context: Context


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One statement; a part that the document lacks is None, and a statement lacking one never applies."""

    allows: bool
    actions: tuple[str, ...] | None
    not_actions: tuple[str, ...] | None
    resources: tuple[str, ...] | None
    not_resources: tuple[str, ...] | None
    principals: tuple[str, ...] | None
    not_principals: tuple[str, ...] | None
    conditions: Mapping[str, Mapping[str, object]] = field(default_factory=dict)

    def covers(self, request: Request) -> bool:
        """Whether action, resource and conditions fit; who asks is another question."""
        return (
            _fits(request.action.lower(), self.actions, self.not_actions)
            and _fits(request.resource, self.resources, self.not_resources)
            and self._conditions_hold(request.context)
        )

    def _conditions_hold(self, context: Context) -> bool:
        try:
            return all_hold(self.conditions, context)
        except (UnknownOperator, ValueError):
            # ValueError: a number or an address that is none. Unknown is never safe: no Allow, but a Deny.
            return not self.allows


@lru_cache(maxsize=4096)
def read_policy(text: str, *, names_principals: bool) -> tuple[Statement, ...]:
    """Read a document; key policies name principals, identity policies do not."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise MalformedPolicy("Policy document is not valid JSON.") from error
    if not isinstance(document, dict) or document.get("Version", _OLDEST) not in {_OLDEST, _NEWEST}:
        raise MalformedPolicy("Policy document has no version that AWS knows.")
    statements = document.get("Statement")
    if isinstance(statements, dict):
        statements = [statements]
    if not isinstance(statements, list) or not statements:
        raise MalformedPolicy("Policy document has no statements.")
    return tuple(_read_statement(statement, names_principals=names_principals) for statement in statements)


def _read_statement(statement: object, *, names_principals: bool) -> Statement:
    if not isinstance(statement, dict) or statement.get("Effect") not in {"Allow", "Deny"}:
        raise MalformedPolicy("Policy contains a statement without an effect.")
    if names_principals and not ({"Principal", "NotPrincipal"} & statement.keys()):
        raise MalformedPolicy("Policy contains a statement with no principal.")
    conditions = statement.get("Condition", {})
    if not isinstance(conditions, dict) or not all(isinstance(keys, dict) for keys in conditions.values()):
        raise MalformedPolicy("Policy contains a statement with a condition that is not one.")
    return Statement(
        allows=statement["Effect"] == "Allow",
        actions=_part(statement, "Action", lower=True),
        not_actions=_part(statement, "NotAction", lower=True),
        resources=_part(statement, "Resource"),
        not_resources=_part(statement, "NotResource"),
        principals=_principals(statement.get("Principal")),
        not_principals=_principals(statement.get("NotPrincipal")),
        conditions=conditions,
    )


def _part(statement: Mapping[str, object], name: str, *, lower: bool = False) -> tuple[str, ...] | None:
    if name not in statement:
        return None
    return tuple(text.lower() if lower else text for text in as_texts(statement[name]))


def _principals(written: object) -> tuple[str, ...] | None:
    if written is None:
        return None
    if written == "*":
        return ("*",)
    if not isinstance(written, dict) or not written:
        raise MalformedPolicy(INVALID_PRINCIPALS)
    named = tuple(as_texts(written.get("AWS", ())))
    if not all(name == "*" or name.startswith("arn:") or account_named_by(name) for name in named):
        raise MalformedPolicy(INVALID_PRINCIPALS)
    return named


def _fits(text: str, wanted: Iterable[str] | None, unwanted: Iterable[str] | None) -> bool:
    if wanted is not None:
        return any(like(pattern).fullmatch(text) for pattern in wanted)
    return unwanted is not None and not any(like(pattern).fullmatch(text) for pattern in unwanted)


def key_policy_says(statements: Iterable[Statement], request: Request) -> Say:
    """Judge a request by a key policy."""
    said = Say.NOTHING
    for statement in statements:
        how = _addressed(statement, request.caller)
        if how is Say.NOTHING or not statement.covers(request):
            continue
        if not statement.allows:
            return Say.DENY
        said = Say.ALLOW if Say.ALLOW in {said, how} else how
    return said


def _addressed(statement: Statement, caller: Caller) -> Say:
    if statement.not_principals is not None:
        spared = any(_names(principal, caller) is not Say.NOTHING for principal in statement.not_principals)
        return Say.NOTHING if spared or statement.allows else Say.ALLOW
    ways = {_names(principal, caller) for principal in statement.principals or ()}
    return next((way for way in (Say.ALLOW, Say.DELEGATE) if way in ways), Say.NOTHING)


def _names(principal: str, caller: Caller) -> Say:
    if principal == "*" or caller.is_named_by(principal):
        return Say.ALLOW
    return Say.DELEGATE if account_named_by(principal) == caller.account else Say.NOTHING


def identity_policies_say(documents: Iterable[str], request: Request) -> Say:
    """Judge a request by the caller's own policies."""
    said = Say.NOTHING
    for document in documents:
        for statement in read_policy(document, names_principals=False):
            if not statement.covers(request):
                continue
            if not statement.allows:
                return Say.DENY
            said = Say.ALLOW
    return said


def default_key_policy(account: str) -> str:
    """The policy that KMS gives a key made without one: the account's IAM decides."""
    statement = {
        "Sid": "Enable IAM User Permissions",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
        "Action": "kms:*",
        "Resource": "*",
    }
    return json.dumps({"Version": _NEWEST, "Id": "key-default-1", "Statement": [statement]})
