"""A policy in the words of people: what an auditor reads of a change."""

from collections.abc import Callable, Iterable
from typing import Any

from chalicelib.domain.counting import counted
from chalicelib.domain.records import Policy
from chalicelib.domain.vocabulary import GuardMode, Mode


def policy_told(policy: Policy, names: Iterable[str]) -> str:
    """Some wishes of a policy, each with its name and value in words."""
    return "; ".join(f"{_WORDS[name][0]}: {_value(policy, name)}" for name in names)


def change_told(before: Policy, after: Policy, names: Iterable[str]) -> str:
    """What becomes of some wishes, each with its name, its old and its new value in words."""
    return "; ".join(f"{_WORDS[name][0]}: {_step(before, after, name)}" for name in names)


def _step(before: Policy, after: Policy, name: str) -> str:
    old, new = _value(before, name), _value(after, name)
    return f"{new}, as before" if old == new else f"from {old} to {new}"


def _value(policy: Policy, name: str) -> str:
    return _WORDS[name][1](getattr(policy, name))


def wishes_named(names: Iterable[str]) -> str:
    """The names of wishes, in words."""
    return ", ".join(_WORDS[name][0] for name in names)


def ladder_told(ladder: tuple[int, ...]) -> str:
    """The rungs of a ladder: so many days before and after the due day."""
    parts = [_rungs([-rung for rung in ladder if rung < 0], "before"), "on the due day" if 0 in ladder else ""]
    parts.append(_rungs([rung for rung in ladder if rung > 0], "after"))
    return ", ".join(part for part in parts if part)


def _rungs(numbers: list[int], where: str) -> str:
    *first, last = numbers or [0]
    shown = f"{', '.join(map(str, first))} and {last} days" if first else _days(last)
    return f"{shown} {where}" if numbers else ""


def _days(number: int) -> str:
    return counted(number, "day")


def _yes(wish: bool) -> str:  # noqa: FBT001 - one value of a policy
    return "yes" if wish else "no"


def _period(number: int | None) -> str:
    return _days(number) if number is not None else "as the alert of Atlas says, else 90 days"


_WORDS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "rotation_period_days": ("rotation period", _period),
    "ladder": ("reminders", ladder_told),
    "mode": ("on the due day", lambda mode: "rotate by itself" if mode == Mode.ROTATE else "remind people"),
    "strategy": ("strategy", str),
    "automatic_period_days": ("KMS renews by itself every", _days),
    "kms_role_arn": ("role for keys in another account", lambda arn: arn or "none"),
    "recipients": ("recipients", lambda names: ", ".join(names) or "none"),
    "escalate_after_days": ("others are told too", lambda number: f"{_days(number)} after the due day"),
    "digest": ("early reminders in one message a day", _yes),
    "digest_hour": ("that message is sent from", lambda hour: f"{hour:02}:00 UTC"),
    "quarantine_days": ("quarantine", _days),
    "guard": (
        "who would destroy a needed key",
        lambda guard: "is told of only" if guard == GuardMode.TELL else "is stopped",
    ),
    "delete_foreign_keys": ("keys that Keyturn did not make may be deleted", _yes),
    "prove_by_snapshot": ("a snapshot must prove each deployment", _yes),
    "attestation_always": ("a person must vouch for every key", _yes),
}
