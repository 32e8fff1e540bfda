"""Whose wish holds: the project's own where it has one, else the fleet's default."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from datetime import datetime
from typing import Any

from chalicelib.domain.records import Policy, Project
from chalicelib.domain.refusals import No, Refusal
from chalicelib.domain.reminders import follow_policy

FLEET = "fleet"
"""The subject of the audit trail of what holds for every project."""

NO_WISHES = Policy()
"""What holds where nobody has wished anything."""

FIELDS = tuple(field.name for field in fields(Policy))


ASSUMABLE = r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/keyturn-[A-Za-z0-9+=,.@_-]{1,56}$"
"""The roles that the functions may assume, as .chalice/policies and the stack's KmsAccountRoles have it."""


def read_wishes(changed: Mapping[str, Any]) -> dict[str, Any]:
    """The wishes as they will hold, each day of a ladder once; raises Refusal for one that could never come true."""
    wishes = dict(changed)
    if "ladder" in wishes:
        wishes["ladder"] = tuple(dict.fromkeys(wishes["ladder"]))
        if not wishes["ladder"]:
            text = "`ladder` needs at least one day, such as 0: after its last one a reminder follows every week"
            raise Refusal(No.INVALID, text)
    role = changed.get("kms_role_arn")
    if role is not None and re.fullmatch(ASSUMABLE, str(role)) is None:
        text = (
            "`kms_role_arn` must be the ARN of a role whose name begins with keyturn- and that has no path, such as"
            " arn:aws:iam::444455556666:role/keyturn-kms: Keyturn may assume no other"
        )
        raise Refusal(No.INVALID, text)
    return wishes


def same_wishes(before: Project, after: Project, named: Iterable[str]) -> bool:
    """Whether nothing comes of what was asked: the named fields have the same values, and are whose they were."""
    same_values = all(getattr(before.policy, name) == getattr(after.policy, name) for name in named)
    return same_values and before.policy_own == after.policy_own


def steer(
    project: Project, defaults: Policy, changed: dict[str, object], inherited: Iterable[str], now: datetime
) -> Project:
    """The project with some fields of its policy set, and some left to the fleet's defaults again."""
    given_back = set(inherited)
    own = tuple(name for name in FIELDS if name not in given_back and (name in changed or name in project.policy_own))
    wishes = {name: getattr(project.policy, name) for name in own} | changed
    return _follow(project, defaults, {name: wishes[name] for name in own}, now)


def take_up_defaults(project: Project, defaults: Policy, now: datetime) -> Project:
    """The project under the fleet's present defaults; the same where they change nothing for it."""
    own = {name: getattr(project.policy, name) for name in project.policy_own}
    return project if project.policy == replace(defaults, **own) else _follow(project, defaults, own, now)


def _follow(project: Project, defaults: Policy, own: dict[str, object], now: datetime) -> Project:
    policy: Policy = replace(defaults, **own)  # type: ignore[arg-type]  # the door has checked each field
    return follow_policy(project, policy, tuple(own), now)
