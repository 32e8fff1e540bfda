"""The policy of a project or of the fleet as a picture."""

from datetime import datetime

from cli.pictures import Picture, pairs, said, stack
from cli.shapes import Shape
from cli.words import count, named, plain


def draw_policy(project: Shape, _now: datetime) -> Picture:
    """The policy, each wish with the option that changes it; what was set for this project alone is said to be."""
    own = project["policy_own"]
    return stack(
        said(f"Policy of {named(project, 'name')}", "bold"),
        pairs((_option(k), _text(v) + " (its own)" * (k in own)) for k, v in project["policy"].items()),
    )


def draw_fleet_policy(fleet: Shape, _now: datetime) -> Picture:
    """What holds for every project that wishes nothing else."""
    return stack(
        said("Policy of the fleet, for every project that wishes nothing else", "bold"),
        pairs((_option(k), _text(v)) for k, v in fleet["policy"].items()),
    )


def draw_threshold(shape: Shape, _now: datetime) -> Picture:
    """What became of the threshold of Atlas' alert, and what that alert does not see."""
    before, after = shape["before_days"], shape["after_days"]
    done = f"it came after {count(before, 'day')} before" if shape["changed"] else "it did so already"
    return stack(said(f"Atlas' alert comes after {count(after, 'day')}; {done}.", "bold"), said(plain(shape["note"])))


def _option(name: str) -> str:
    """The option of `keyturn policy` that changes a wish."""
    return "--" + _OPTIONS.get(name, name.replace("_", "-"))


def field_of(option: str) -> str:
    """The wish that an option of `keyturn policy` changes, given with or without its dashes."""
    name = option.removeprefix("--")
    return next((field for field, spelt in _OPTIONS.items() if spelt == name), name.replace("-", "_"))


_OPTIONS = {"rotation_period_days": "period-days", "recipients": "recipient"}


def _text(value: object) -> str:
    match value:
        case None | []:
            return "none"
        case bool():
            return "yes" if value else "no"
        case list():
            return ",".join(map(str, value))
        case _:
            return str(value)
