"""Judges a finished package: `python -m package.check BUILD` tells its size or every complaint."""

import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from package.archive import archive_complaints, checked_bytecode, lay_out, missing_compiled
from package.contents import other_wheels, strangers, unsafe_names
from package.precompile import UNCHECKED
from package.rules import template_complaints
from package.template import read
from package.translation import translation_complaints


def complaints(build: Path) -> Iterator[str]:
    """Everything wrong with the package in `build`, which is left unpacked for the import of its handlers."""
    template = read(build / "package" / "sam.yaml")
    yield from template_complaints(
        template,
        overlay=read(build / "source" / ".chalice" / "resources.yaml"),
        generated=read(build / "generated" / "sam.yaml"),
        runtime=f"python{sys.version_info.major}.{sys.version_info.minor}",
    )
    yield from translation_complaints(template)
    packages = Path(sysconfig.get_path("platlib"))
    names, of_another_kind = lay_out(build)
    yield from archive_complaints(names)
    yield from unsafe_names(names)
    yield from strangers(names, build / "unpacked", build / "source", packages)
    yield from other_wheels(build / "unpacked", Path("requirements-zip.txt"))
    yield from checked_bytecode(build / "package" / "deployment.zip", UNCHECKED)
    yield from missing_compiled(names, packages)
    yield from of_another_kind


def main(build: Path) -> int:
    """Print the complaints or the size, and give the exit status."""
    found = list(complaints(build))
    for complaint in found:
        sys.stdout.write(f"{complaint}\n")
    size = (build / "package" / "deployment.zip").stat().st_size
    sys.stdout.write(f"deployment.zip: {size / 1_000_000:.2f} MB, {len(found)} complaints\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
