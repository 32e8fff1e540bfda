"""Whose wish holds: the project's own where it has one, else the fleet's default."""

from collections.abc import Iterable
from dataclasses import fields, replace
from datetime import datetime

from chalicelib.domain.records import Policy, Project
from chalicelib.domain.reminders import follow_policy

FLEET = "fleet"
"""The subject of the audit trail of what holds for every project."""

NO_WISHES = Policy()
"""What holds where nobody has wished anything."""

FIELDS = tuple(field.name for field in fields(Policy))


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
