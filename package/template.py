"""Reads CloudFormation templates: YAML with `!Ref` and its kin, each turned into the long form."""

from pathlib import Path
from typing import Any

import yaml

Template = dict[str, Any]


# libyaml's reader where PyYAML came with it: it takes a fifth of the time.
_Safe: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Reader(_Safe):  # type: ignore[misc]  # PyYAML has no types here
    """The safe loader, taught CloudFormation's short forms."""


class _Writer(yaml.SafeDumper):  # type: ignore[misc]  # the same
    """The safe dumper without anchors and aliases, which CloudFormation does not promise to read."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002  # the signature is PyYAML's
        return True


def _long_form(reader: _Reader, suffix: str, node: yaml.Node) -> Template:
    value: object
    if isinstance(node, yaml.ScalarNode):
        value = reader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = reader.construct_sequence(node, deep=True)
    else:
        value = reader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}": value}


_Reader.add_multi_constructor("!", _long_form)


def read(path: Path) -> Template:
    """Read one template."""
    template: Template = yaml.load(path.read_text(), Loader=_Reader)  # noqa: S506  # a SafeLoader
    return template


def write(template: Template, path: Path) -> None:
    """Write one template, long forms only and nothing shared."""
    path.write_text(yaml.dump(template, Dumper=_Writer, sort_keys=False, width=120))
