"""How a project stands, worst first."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import IntEnum

from cli.shapes import Shape
from cli.words import count, moment, named, plain

_SOON = timedelta(days=30)
"""How long before the due date a project is due soon; the first rung of the usual ladder."""

DRIFTS = {
    "provider_changed": "it encrypts with another provider's key now",
    "encryption_disabled": "encryption at rest was switched off",
    "key_changed_by_hand": "its key was changed outside Keyturn",
    "key_invalid": "Atlas finds its key not valid",
    "grant_removed": "the key's policy does not let Atlas' role use it any more",
    "backups_unread": "its snapshots cannot be listed: a key that it used before may look free",
    "key_not_enabled": "its key is not enabled in KMS",
    "project_gone": "it is gone from its Atlas organization",
    "access_key_old": "it encrypts with an IAM user's access key that is 90 days old or more",
    "atlas_alert_late": "Atlas' own alert comes much later than the rotation is due",
    "atlas_alert_blind": "Atlas' own alert does not see that KMS renews the key, and is raised for nothing",
    "alert_not_acknowledged": "Atlas' alert is still open after a rotation, and Keyturn may not acknowledge it",
}
"""What each code of a drift means."""

MINOR = frozenset({"access_key_old", "atlas_alert_late", "atlas_alert_blind", "alert_not_acknowledged"})
"""What somebody should see to some day, and what endangers nothing."""


class Standing(IntEnum):
    """From the worst to what needs nothing."""

    TROUBLE = 0
    OVERDUE = 1
    DEPLOYING = 2
    ROTATING = 3
    DUE_SOON = 4
    FINE = 5
    NOT_COVERED = 6

    @property
    def word(self) -> str:
        """The standing in words."""
        return "in trouble" if self is Standing.TROUBLE else self.name.lower().replace("_", " ")


def standing(project: Shape, now: datetime) -> Standing:
    """How a project stands now."""
    if not MINOR.issuperset(project.get("drift") or ()) or project.get("valid") is False:
        return Standing.TROUBLE
    if project.get("banner"):
        return Standing.DEPLOYING
    due_at = moment(project["due_at"]) if project.get("due_at") else None
    if due_at is not None and due_at < now:
        return Standing.OVERDUE
    if project.get("open_rotation"):
        return Standing.ROTATING
    if project.get("not_covered_because"):
        return Standing.NOT_COVERED
    return Standing.DUE_SOON if due_at is not None and due_at <= now + _SOON else Standing.FINE


def worst_first(projects: Iterable[Shape], now: datetime) -> list[Shape]:
    """Projects in the order in which an operator should look at them."""
    return sorted(projects, key=lambda one: (standing(one, now), one.get("due_at") or "9", named(one, "name")))


def to_know(project: Shape, now: datetime) -> str:
    """What an operator should know of a project, in a line."""
    troubles = [drift_text(code) for code in project.get("drift", ())]
    if project.get("valid") is False and "key_invalid" not in project.get("drift", ()):
        troubles.append(DRIFTS["key_invalid"])
    if project.get("open_rotation"):
        troubles.append(f"rotation {project['open_rotation']} is open")
    if project.get("not_covered_because"):
        troubles.append(str(project["not_covered_because"]))
    elif project.get("not_covered"):
        troubles.append(f"{count(len(project['not_covered']), 'cluster')} not covered")
    if project.get("quiet_until") and moment(project["quiet_until"]) > now:
        troubles.append(f"quiet until {project['quiet_until'][:10]}")
    return plain("; ".join(troubles))


def drift_text(code: str) -> str:
    """A drift in words."""
    return DRIFTS.get(code, code.replace("_", " "))
