"""The zip that Lambda gets: what may lie in it, and an unpacked copy that this machine can import.

`python -m package.archive` says for which processor it is, `python -m package.archive BUILD` lays the copy out.
"""

import importlib.machinery
import json
import shutil
import sys
import sysconfig
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

RUNTIME_BRINGS = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six.py", "urllib3")
"""What Lambda's Python runtimes bring themselves: the AWS SDK and what it stands on."""

NEVER_SHIPS = {
    "boto3": "the runtime brings it",
    "botocore": "the runtime brings it",
    "s3transfer": "the runtime brings it",
    "pip": "it is a tool",
    "setuptools": "it is a tool",
    "inquirer": "it belongs to Chalice's command line",
    "aws_xray_sdk": "it is at its end of life and pulls in botocore",
    "pydantic": "msgspec does its work",
    "sandbox": "it is pretence",
    "tests": "they prove, they do not serve",
    "cli": "it is for the operator's machine",
    "console": "it is for the operator's machine",
    "bench": "it measures",
    "docs": "they are for people",
    "package": "it is this",
    ".chalice": "it is for packaging",
}
"""What the zip must not hold, by its first folder, and why."""

LEFT_OUT = "aws_lambda_powertools/event_handler/"
"""Powertools' own routing, with a page of documentation of half a megabyte in it: Chalice routes here."""

CHALICE_AT_RUN_TIME = {"chalice/__init__.py", "chalice/app.py", "chalice/compat.py", "chalice/py.typed"}
"""What of Chalice runs in Lambda."""

ARCHITECTURES = {"arm64": "aarch64", "x86_64": "x86_64"}
"""Lambda's word for a processor, and the word in a wheel's file names."""


def archive_complaints(names: Iterable[str]) -> Iterator[str]:
    """Files in the zip that have no business there."""
    names = set(names)
    unwelcome: dict[str, str] = {}
    for name in sorted(names):
        source = source_of(name)
        first = PurePosixPath(name).parts[0]
        if first in NEVER_SHIPS:
            unwelcome[first] = NEVER_SHIPS[first]
        elif name.startswith(LEFT_OUT):
            unwelcome[LEFT_OUT] = "Chalice routes here"
        elif first == "chalice" and source not in CHALICE_AT_RUN_TIME:
            unwelcome[name] = "only Chalice's app module runs in Lambda"
        elif source not in names:
            unwelcome[name] = "it is compiled from nothing that lies in the zip"
    for name, reason in unwelcome.items():
        yield f"the zip holds {name}: {reason}"


def source_of(name: str) -> str:
    """The module that a compiled file was made from; any other file is its own source."""
    path = PurePosixPath(name)
    if path.suffix != ".pyc":
        return name
    folder = path.parent.parent if path.parent.name == "__pycache__" else path.parent
    return str(folder / f"{path.name.split('.', 1)[0]}.py")


def checked_bytecode(archive: Path, begins_with: bytes) -> Iterator[str]:
    """Compiled modules that Lambda would not load as they are: another Python's, or dated ones."""
    with zipfile.ZipFile(archive) as opened:
        for name in opened.namelist():
            if name.endswith(".pyc") and not opened.read(name).startswith(begins_with):
                yield f"the zip holds {name}, which Lambda would compile anew at every start"


def lay_out(build: Path) -> tuple[list[str], list[str]]:
    """Unpack the zip in `build`, and lay beside it what the runtime brings, so that this machine can import it.

    Gives the names in the zip, and what `lend_compiled` complains about.
    """
    packages = Path(sysconfig.get_path("platlib"))
    names = unpack(build / "package" / "deployment.zip", build / "unpacked")
    complaints = list(lend_compiled(names, packages, build / "unpacked", machine()))
    give_runtime(packages, build / "runtime")
    return names, complaints


def unpack(archive: Path, folder: Path) -> list[str]:
    """Unpack the zip into a new folder and give the names in it."""
    shutil.rmtree(folder, ignore_errors=True)
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(folder)
        return opened.namelist()


def give_runtime(packages: Path, folder: Path) -> None:
    """Lay what the runtime brings into a new folder, out of installed packages."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in RUNTIME_BRINGS:
        (folder / name).symlink_to(packages / name)


def compiled_names(name: str, machine: str) -> bool:
    """Whether a file is a compiled module for the given processor and this Python's version."""
    tag = importlib.machinery.EXTENSION_SUFFIXES[0].split("-")[1]
    return f"cpython-{tag}-{machine}-" in name or (".abi3." in name and name.endswith(".so"))


def lend_compiled(names: Iterable[str], packages: Path, folder: Path, machine: str) -> Iterator[str]:
    """Lay this machine's twin beside every compiled module, so that a zip for another processor imports here.

    Complains about compiled modules for a wrong processor or Python, and about those whose version here has
    no twin; `machine` is what the zip is for.
    """
    for name in names:
        if ".so" not in PurePosixPath(name).suffixes:
            continue
        if not compiled_names(name, machine):
            yield f"{name} is not for {machine} and this Python"
        module = PurePosixPath(name)
        stem = module.name.split(".", 1)[0]
        here = [packages / module.parent / (stem + suffix) for suffix in importlib.machinery.EXTENSION_SUFFIXES]
        twin = next((path for path in here if path.is_file()), None)
        if twin is None:
            yield f"{name} has no twin among the packages installed here"
        else:
            shutil.copyfile(twin, folder / module.parent / twin.name)


def missing_compiled(names: Iterable[str], packages: Path) -> Iterator[str]:
    """Compiled modules that the installed packages have and the zip lacks: a wheel pip could not find.

    Chalice only warns of such a wheel and hands over a zip without it.
    """
    shipped = {str(PurePosixPath(name).parent / PurePosixPath(name).name.split(".", 1)[0]) for name in names}
    tops = {PurePosixPath(name).parts[0] for name in names if "/" in name}
    for top in sorted(tops - {"chalicelib"}):
        for path in sorted((packages / top).rglob("*.so")):
            relative = path.relative_to(packages)
            if str(PurePosixPath(relative.parent) / relative.name.split(".", 1)[0]) not in shipped:
                yield f"the zip lacks {relative}"


def machine() -> str:
    """The word in file names for the processor that the package is for, as .chalice/config.json has it."""
    config = json.loads((Path(__file__).parent.parent / ".chalice" / "config.json").read_text())
    return ARCHITECTURES[config["lambda_architecture"]]


if __name__ == "__main__":
    if sys.argv[1:]:
        lay_out(Path(sys.argv[1]))
    else:
        sys.stdout.write(f"{machine()}\n")
