"""A project's policy as a picture."""

from datetime import datetime

from cli.pictures import Picture, pairs, said, stack
from cli.shapes import Shape
from cli.words import named


def draw_policy(project: Shape, _now: datetime) -> Picture:
    """The policy, each wish with the option that changes it."""
    policy = project["policy"]
    return stack(
        said(f"Policy of {named(project, 'name')}", "bold"), pairs((_option(k), _text(v)) for k, v in policy.items())
    )


def _option(name: str) -> str:
    """The option of `keyturn policy` that changes a wish."""
    return "--" + _OPTIONS.get(name, name.replace("_", "-"))


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
