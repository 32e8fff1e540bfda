"""Asks a database of vulnerabilities about every pinned dependency: `python -m package.dependencies [--osv-url URL]`.

pip-audit calls it a success when it left something out, and when the database knows of nothing at all. Here it is one
only if every line of every requirements file was asked about, nothing is installed that no line names, the database
knows of a vulnerability that is known to everybody, and each that it found is explained in exceptions.json.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from package.audit import EXCEPTIONS, Finding, complaints
from package.requirements import Pin, canonical, pins

ROOT = Path(__file__).resolve().parent.parent
OSV = "https://api.osv.dev/v1/query"
KNOWN_TO_EVERYBODY = "requests==2.19.0"
"""It sent passwords on to other hosts (CVE-2018-18074): a database that does not know that knows nothing."""

COMES_WITH_PYTHON = {"pip", "setuptools"}
"""What lies in every virtual environment; nothing of Keyturn runs it once the environment stands."""


class Unknown(Exception):
    """Nothing can be said: the database gave no answer, or none that can be believed."""


def unlisted(file: Path, pinned: set[Pin]) -> Iterator[str]:
    """What is installed in the environment of a requirements file and pinned neither there nor in requirements.txt."""
    name = file.stem.removeprefix("requirements").removeprefix("-dev")
    folders = list((file.parent / f".venv{name}").glob("lib/python*/site-packages"))
    if not folders:
        yield f"{file.name}: its environment .venv{name} does not stand, so what else it installs was not asked about"
    for one in distributions(path=[str(folder) for folder in folders]):
        installed = (canonical(one.metadata["Name"]), one.version)
        if installed not in pinned and installed[0] not in COMES_WITH_PYTHON:
            yield f"{file.name}: {'=='.join(installed)} is installed and not listed, so it was not asked about"


Ask = Callable[[Path, str], list[dict[str, Any]]]
"""What is said of each dependency of a file by the database at an address."""


def ask_osv(file: Path, osv_url: str) -> list[dict[str, Any]]:
    """What pip-audit says of each dependency of a file; raises Unknown where it says nothing."""
    command = [
        *(sys.executable, "-m", "pip_audit", "--vulnerability-service", "osv", "--osv-url", osv_url),
        *("--no-deps", "--disable-pip", "--progress-spinner", "off", "--format", "json", "--requirement", str(file)),
    ]
    with tempfile.TemporaryDirectory() as cache:  # an answer of yesterday is none
        ran = subprocess.run(  # noqa: S603 - our own command
            [*command, "--cache-dir", cache], capture_output=True, text=True, check=False
        )
    try:
        said: list[dict[str, Any]] = json.loads(ran.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        why = (ran.stderr.strip() or "it said nothing").splitlines()[-1]
        raise Unknown(f"the database {osv_url} gave no answer about {file.name} ({why})") from None
    return said


def left_out(file: str, pinned: set[Pin], said: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Dependencies that were pinned and not asked about."""
    asked, reasons = set(), {}
    for one in said:
        name = canonical(one["name"])
        if "skip_reason" in one:
            reasons[name] = one["skip_reason"]
        else:
            asked.add((name, one["version"]))
    for name, version in sorted(pinned - asked):
        yield f"{file}: {name}=={version} was left out: {reasons.get(name, 'nobody says why')}"


def vulnerabilities(said: Iterable[dict[str, Any]]) -> list[Finding]:
    """What is known against dependencies."""
    return [
        {
            "issue": found["id"],
            "where": f"{canonical(one['name'])}=={one['version']}",
            "about": f"(mended in {', '.join(found['fix_versions']) or 'no version'}) {found['description'][:200]}",
        }
        for one in said
        for found in one.get("vulns", ())
    ]


def check_database(osv_url: str, ask: Ask) -> None:
    """Raise Unknown for a database that knows nothing of what everybody knows."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "known-to-everybody.txt"
        file.write_text(f"{KNOWN_TO_EVERYBODY}\n", encoding="utf-8")
        if not vulnerabilities(ask(file, osv_url)):
            raise Unknown(f"the database {osv_url} knows of nothing against {KNOWN_TO_EVERYBODY}: it is not believed")


def audit(root: Path, osv_url: str, exceptions: list[dict[str, Any]], ask: Ask = ask_osv) -> tuple[int, list[str]]:
    """How many pins were asked about, and everything that is wrong; raises Unknown where nothing can be said."""
    check_database(osv_url, ask)
    shipped, _ = pins(root / "requirements.txt")
    wrong: list[str] = []
    found: dict[tuple[str, str], Finding] = {}
    asked = 0
    for file in sorted(root.glob("requirements*.txt")):
        pinned, loose = pins(file)
        wrong += loose
        if loose:
            continue  # pip-audit would refuse the whole file
        said = ask(file, osv_url)
        wrong += left_out(file.name, pinned, said)
        if file.name not in {"requirements.txt", "requirements-zip.txt"}:
            wrong += unlisted(file, pinned | shipped)
        found |= {(one["issue"], one["where"]): one for one in vulnerabilities(said)}
        asked += len(pinned)
    return asked, wrong + list(complaints(list(found.values()), exceptions))


def main(arguments: list[str]) -> int:
    """Print what is wrong and how much was asked about, and give the exit status."""
    parser = argparse.ArgumentParser(prog="python -m package.dependencies", description=__doc__.splitlines()[0])
    parser.add_argument("--osv-url", default=OSV, help="another database that answers as OSV does")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    told = parser.parse_args(arguments)
    exceptions = json.loads(EXCEPTIONS.read_text(encoding="utf-8"))["dependencies"]
    try:
        asked, wrong = audit(told.root, told.osv_url, exceptions)
    except Unknown as nothing:
        sys.stdout.write(f"{nothing}: whether a dependency is vulnerable is not known\n")
        return 1
    for text in wrong:
        sys.stdout.write(f"{text}\n")
    sys.stdout.write(f"{asked} pinned dependencies asked about, {len(wrong)} complaints\n")
    return 1 if wrong or not asked else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
