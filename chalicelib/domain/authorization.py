"""Who may do what with the API, once IAM has let them in.

Three lists name principals, or patterns of them (`arn:aws:iam::123456789012:role/keys-*`), as `principal()` writes
them. A list that is empty says nothing of its own: the next wider one speaks for it, and where all are empty IAM
alone decides. So no power ever reaches further than the power to look. A federated user, who chooses that name
freely, stands on no list.
"""

from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

from chalicelib.domain.arn import names_nobody


class Role(StrEnum):
    """What a person is to Keyturn."""

    VIEWER = "viewer"
    """Looks."""
    OPERATOR = "operator"
    """Requests rotations and deletions, vouches, acknowledges, sets policies."""
    APPROVER = "approver"
    """Approves deletions, and calls them off."""


@dataclass(frozen=True, kw_only=True)
class People:
    """The principals of each role, or patterns of them."""

    viewers: tuple[str, ...] = ()
    operators: tuple[str, ...] = ()
    approvers: tuple[str, ...] = ()


def may_act(principal: str, role: Role, people: People) -> bool:
    """Whether a principal has a role; operators and approvers are viewers too, to see what they decide."""
    match role:
        case Role.VIEWER:
            named = (*people.viewers, *people.operators, *people.approvers)
            return not people.viewers or _is_among(principal, named)
        case Role.OPERATOR:
            return _is_among(principal, people.operators) if people.operators else _may_look(principal, people)
        case Role.APPROVER:
            approvers = people.approvers or people.operators
            return _is_among(principal, approvers) if approvers else _may_look(principal, people)


def _may_look(principal: str, people: People) -> bool:
    return may_act(principal, Role.VIEWER, people)


def _is_among(principal: str, patterns: tuple[str, ...]) -> bool:
    return not names_nobody(principal) and any(fnmatchcase(principal, pattern) for pattern in patterns)
