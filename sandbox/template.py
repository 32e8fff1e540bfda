"""The shipped CloudFormation template, read for the pretend AWS."""

from pathlib import Path
from typing import Any

import yaml

TEMPLATE = Path(__file__).parent.parent / ".chalice" / "resources.yaml"


# libyaml's reader, where PyYAML came with it, takes a fifth of the time, and every world begins by reading.
_Safe: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Safe):  # type: ignore[misc] # an untyped base class
    """YAML with CloudFormation's short intrinsics."""


def _intrinsic(loader: _Loader, tag: str, node: yaml.Node) -> dict[str, Any]:
    name = tag if tag in {"Ref", "Condition"} else f"Fn::{tag}"
    if isinstance(node, yaml.ScalarNode):
        return {name: loader.construct_scalar(node)}
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    return {name: loader.construct_mapping(node, deep=True)}


_Loader.add_multi_constructor("!", _intrinsic)


def read_template(path: Path = TEMPLATE) -> dict[str, Any]:
    """The template as a plain mapping, with every short intrinsic in its long form."""
    with path.open(encoding="utf-8") as text:
        loaded = yaml.load(text, Loader=_Loader)  # noqa: S506 - our own file, and the loader is a safe one
    return dict(loaded)


def defaults_of(template: dict[str, Any]) -> dict[str, str]:
    """The template's parameters that have a default."""
    parameters = template.get("Parameters", {})
    return {name: str(given["Default"]) for name, given in parameters.items() if "Default" in given}
