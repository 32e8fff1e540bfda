"""Where every file of the zip comes from: our sources, a wheel that was fetched by its digest, or Chalice's run-time.

A list of what must not ship forgets something; this lets nothing in that has no origin. Compiled modules are looked at
elsewhere (package.archive): each lies beside the source that it was made from.
"""

import base64
import csv
import hashlib
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path, PurePosixPath

from package.archive import CHALICE_AT_RUN_TIME, source_of
from package.requirements import canonical, pins

Digest = bytes


def digest(path: Path) -> Digest:
    """What the bytes of a file come to."""
    return hashlib.sha256(path.read_bytes()).digest()


def unsafe_names(names: list[str]) -> Iterator[str]:
    """Names that an unpacking would lay outside of its folder, or over another file."""
    for name in names:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name:
            yield f"the zip holds {name}, which leads out of it"
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"the zip holds {name} more than once"


def of_wheels(unpacked: Path) -> dict[str, Digest]:
    """The files that the wheels in the zip say are theirs, as they say they are."""
    said: dict[str, Digest] = {}
    for record in unpacked.glob("*.dist-info/RECORD"):
        said[record.relative_to(unpacked).as_posix()] = digest(record)
        for name, hashed, _ in csv.reader(record.read_text(encoding="utf-8").splitlines()):
            if hashed.startswith("sha256="):
                said[name] = base64.urlsafe_b64decode(hashed.removeprefix("sha256=") + "==")
    return said


def strangers(names: list[str], unpacked: Path, source: Path, chalice: Path) -> Iterator[str]:
    """Files without an origin, and files that are not as they are there."""
    wheels = of_wheels(unpacked)
    for name in sorted(names):
        if name.endswith("/") or source_of(name) != name:
            continue
        ours = name == "app.py" or name.startswith("chalicelib/")
        beside = source / name if ours else chalice / name if name in CHALICE_AT_RUN_TIME else None
        expected = wheels.get(name) if beside is None else digest(beside) if beside.is_file() else None
        if expected is None:
            yield f"the zip holds {name}, and nobody knows where it comes from"
        elif expected != digest(unpacked / name):
            yield f"the zip holds {name}, which was changed on its way"


def other_wheels(unpacked: Path, requirements: Path) -> Iterator[str]:
    """Wheels in the zip that were not asked for, and others that were and are not there."""
    pinned, _ = pins(requirements)
    shipped = {(canonical(one.metadata["Name"]), one.version) for one in distributions(path=[str(unpacked)])}
    for name, version in sorted(shipped - pinned):
        yield f"the zip holds {name}=={version}, which {requirements.name} does not name"
    for name, version in sorted(pinned - shipped):
        yield f"the zip lacks {name}=={version}, which {requirements.name} names"
