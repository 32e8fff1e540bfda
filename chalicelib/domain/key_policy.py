"""Key policies: what a new CMK says about who may use it, and what a given policy really grants.

The project's Atlas principal gets exactly the three permissions Atlas asks for (DescribeKey, Encrypt, Decrypt);
the account stays in control, else nobody could ever change the policy again.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase
from typing import Any

from chalicelib.domain.arn import account_of
from chalicelib.domain.arn import principal as person_behind
from chalicelib.domain.records import Clause

ATLAS_ACTIONS = ("kms:DescribeKey", "kms:Encrypt", "kms:Decrypt")

_OF_THE_KEY_ITSELF = (
    "kms:resourcealiases",
    "kms:requestalias",
    "kms:keyorigin",
    "kms:multiregion",
    "aws:resourceaccount",
    "aws:resourcetag/",
)
"""How condition keys begin that speak of the key: the next one has another alias, other tags, another origin."""
_OF_THE_CALLER = frozenset({"aws:principalarn", "aws:principalaccount", "kms:calleraccount"})
_SAME = re.compile("(String|Arn)(?P<not>Not)?(Equals|Like)(IfExists)?")


class UnreadablePolicy(ValueError):
    """A policy text that is not a policy."""


@dataclass(frozen=True, kw_only=True)
class Inheritance:
    """What the next key's policy repeats of the old one's, and what in it no other key's policy can repeat."""

    clauses: tuple[Clause, ...]
    obstacles: tuple[str, ...] = ()


class _Way(Enum):
    NAMED = "by its name, or as everybody"
    ACCOUNT = "as its whole account"
    INDIRECT = "in a way that another policy cannot repeat"


@dataclass(frozen=True, kw_only=True)
class _Said:
    """One statement that touches the three actions and concerns the principal; `doubt` is what hinders repeating it."""

    allows: bool
    actions: tuple[str, ...]
    condition: dict[str, Any] | None
    way: _Way
    everywhere: bool
    """Whether its resource is `*`: what a key policy names otherwise has no effect, or one that we cannot tell."""
    doubt: str | None

    @property
    def plain(self) -> bool:
        return self.doubt is None and self.condition is None


def compose_policy(account: str, partition: str, principal: str, clauses: Iterable[Clause] = ()) -> str:
    """Write the policy of a new key for one Atlas principal, with what its old key's policy said under conditions."""
    control = {
        "Sid": "AccountInControl",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:{partition}:iam::{account}:root"},
        "Action": "kms:*",
        "Resource": "*",
    }
    said = tuple(clauses) or (Clause(allows=True, actions=ATLAS_ACTIONS),)
    atlas = [_statement(clause, number, principal) for number, clause in enumerate(said, start=1)]
    return json.dumps({"Version": "2012-10-17", "Statement": [control, *atlas]}, sort_keys=True)


def _statement(clause: Clause, number: int, principal: str) -> dict[str, Any]:
    statement: dict[str, Any] = {
        "Sid": "AtlasEncryptionAtRest" if number == 1 else f"AtlasEncryptionAtRest{number}",
        "Effect": "Allow" if clause.allows else "Deny",
        "Principal": {"AWS": principal},
        "Action": list(clause.actions),
        "Resource": "*",
    }
    return statement | ({"Condition": clause.condition} if clause.condition else {})


def inherit(policy: str, principal: str, account: str) -> Inheritance:
    """What a policy says to this principal, for the next key to say the same: never more, never to anybody else.

    `account` is where the key lives. There the account's own statement leaves the principal to IAM, which the next
    key's policy does again, so it counts only where nothing else lets the principal in.
    """
    said = tuple(_sayings(policy, principal))
    allowed: dict[str, tuple[dict[str, Any] | None, list[str]]] = {}
    obstacles: list[str] = []
    for action in ATLAS_ACTIONS:
        ways_in = _ways_in(said, action, at_home=account_of(principal) == account)
        plain = not ways_in or any(one.plain for one in ways_in)
        obstacles += [] if plain else [one.doubt for one in ways_in if one.doubt is not None]
        for condition in (None,) if plain else (one.condition for one in ways_in):
            allowed.setdefault(json.dumps(condition, sort_keys=True), (condition, []))[1].append(action)
    denials = tuple(one for one in said if not one.allows)
    obstacles += [
        one.doubt or "it denies the principal without a condition" for one in denials if one.doubt or one.plain
    ]
    return Inheritance(
        clauses=(
            *(Clause(allows=True, actions=tuple(dict.fromkeys(a)), condition=c) for c, a in allowed.values()),
            *(Clause(allows=False, actions=one.actions, condition=one.condition) for one in denials),
        ),
        obstacles=tuple(dict.fromkeys(obstacles)),
    )


def _ways_in(said: Iterable[_Said], action: str, *, at_home: bool) -> tuple[_Said, ...]:
    ways = tuple(one for one in said if one.allows and action in one.actions)
    direct = tuple(one for one in ways if one.way is not _Way.ACCOUNT or not at_home)
    return direct or ways


def missing_permissions(policy: str, principal: str) -> tuple[str, ...]:
    """Which of the three permissions a policy does not give this principal itself.

    Parsed, not trusted: KMS accepts statements without Resource or Action that have no effect. The account's own
    statement only delegates to IAM, so it does not count; a Deny for the principal takes away, but for one under a
    condition, of which the policy alone does not tell whether it ever holds.
    """
    said = tuple(_sayings(policy, principal))
    allowed = {
        action for one in said if one.allows and one.way is _Way.NAMED and one.everywhere for action in one.actions
    }
    return tuple(a for a in ATLAS_ACTIONS if a not in allowed or a in _denied(said))


def left_to_iam(policy: str, principal: str) -> tuple[str, ...]:
    """Which of the three permissions a policy leaves to the IAM policies of the principal's account."""
    said = tuple(_sayings(policy, principal))
    left = {
        action for one in said if one.allows and one.way is _Way.ACCOUNT and one.everywhere for action in one.actions
    }
    return tuple(a for a in ATLAS_ACTIONS if a in left and a not in _denied(said))


def denies_conditionally(policy: str, principal: str) -> bool:
    """Whether a policy denies the principal one of the three actions under a condition that may hold or not."""
    return any(not one.allows and not one.plain for one in _sayings(policy, principal))


def _denied(said: Iterable[_Said]) -> set[str]:
    plainly = (one for one in said if not one.allows and one.way is not _Way.INDIRECT and one.condition is None)
    return {action for one in plainly for action in one.actions}


def _sayings(policy: str, principal: str) -> Iterable[_Said]:
    for statement in _statements(policy):
        actions = tuple(a for a in ATLAS_ACTIONS if _touches(statement, a))
        way, condition = _addressed(statement, principal), statement.get("Condition") or None
        has_effect = statement.get("Effect") in {"Allow", "Deny"} and {"Resource", "NotResource"} & statement.keys()
        if not actions or way is None or not has_effect or _is_for_others(condition, principal):
            continue
        everywhere = "*" in _texts(statement.get("Resource"))
        yield _Said(
            allows=statement["Effect"] == "Allow",
            actions=actions,
            condition=condition,
            way=way,
            everywhere=everywhere,
            doubt=_doubt(way, condition, everywhere=everywhere),
        )


def _doubt(way: _Way, condition: object, *, everywhere: bool) -> str | None:
    if way is _Way.INDIRECT:
        return "it speaks of the principal by NotPrincipal, or by one of its sessions"
    if not everywhere:
        return "it names a resource other than `*`"
    if condition is not None and not _is_condition(condition):
        return "it has a condition that is none"
    own = sorted({key for _, key, _ in _tests(condition) if key.lower().startswith(_OF_THE_KEY_ITSELF)})
    return f"its condition on {', '.join(own)} speaks of the key itself" if own else None


def _touches(statement: dict[str, Any], action: str) -> bool:
    if "Action" in statement:
        return _matches(action, _texts(statement["Action"]))
    spared = _texts(statement.get("NotAction"))
    return bool(spared) and not _matches(action, spared)


def _addressed(statement: dict[str, Any], principal: str) -> _Way | None:
    """How a statement means the principal; None where it does not."""
    if "NotPrincipal" in statement:
        return None if principal in _names(statement["NotPrincipal"]) else _Way.INDIRECT
    named, account = _names(statement.get("Principal")), account_of(principal)
    if principal in named or "*" in named:
        return _Way.NAMED
    if account and any(name == account or (name.endswith(":root") and account_of(name) == account) for name in named):
        return _Way.ACCOUNT
    return _Way.INDIRECT if any(_is_session_of(principal, name) for name in named) else None


def _is_session_of(principal: str, name: str) -> bool:
    # A session's ARN shows the role's bare name, without the path that the role's own ARN has.
    account, _, path = principal.partition("role/")
    bare = f"{account}role/{path.rsplit('/', 1)[-1]}"
    return ":assumed-role/" in name and person_behind(name) == bare


def _is_for_others(condition: object, principal: str) -> bool:
    """Whether a condition on who calls can surely never hold for this principal."""
    callers = {"aws:principalarn": principal}
    for operator, key, wanted in _tests(condition):
        compared = _SAME.fullmatch(operator)
        if compared is None or key.lower() not in _OF_THE_CALLER or any({"$", "["} & set(text) for text in wanted):
            continue
        caller = callers.get(key.lower(), account_of(principal))
        if caller in wanted if compared["not"] else not any(fnmatchcase(caller, text) for text in wanted):
            return True
    return False


def _is_condition(condition: object) -> bool:
    return isinstance(condition, dict) and all(isinstance(keys, dict) for keys in condition.values())


def _tests(condition: object) -> Iterable[tuple[str, str, tuple[str, ...]]]:
    """The single comparisons of a condition: operator, key, and the values of which one must fit."""
    if isinstance(condition, dict) and _is_condition(condition):
        for operator, keys in condition.items():
            for key, wanted in keys.items():
                yield operator, key, _texts(wanted)


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


def _names(principal: object) -> tuple[str, ...]:
    if principal == "*":
        return ("*",)
    return _texts(principal.get("AWS")) if isinstance(principal, dict) else ()


def _matches(action: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(action.lower(), pattern.lower()) for pattern in patterns)
