"""What a requirements file pins, line by line; what it leaves open is told apart."""

import re
from pathlib import Path

Pin = tuple[str, str]
"""A name, as indexes compare names, and a version."""

_PIN = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(\[[a-z,-]+\])?==(?P<version>[0-9][0-9A-Za-z.+!]*)( \\)?")
_OF_A_PIN = re.compile(r"\s*(#.*|-r \S+|--hash=sha256:[0-9a-f]{64}( \\)?)?")


def canonical(name: str) -> str:
    """A project's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(file: Path) -> tuple[set[Pin], list[str]]:
    """The dependencies that a file pins, and its lines that pin none or only sometimes."""
    found, loose = set(), []
    for line in file.read_text(encoding="utf-8").splitlines():
        pin = _PIN.fullmatch(line)
        if pin is not None:
            found.add((canonical(pin["name"]), pin["version"]))
        elif _OF_A_PIN.fullmatch(line) is None:
            loose.append(f"{file.name}: `{line}` is not pinned to one version, so it was not asked about")
    return found, loose
