"""Keeps the doors of the house shut: who may import whom."""

import ast
import sys
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parent.parent
HOUSE = ("chalicelib", "cli", "sandbox", "package", "bench", "docs")

NOUNS = {
    "chalicelib.domain.arn",
    "chalicelib.domain.moments",
    "chalicelib.domain.observed",
    "chalicelib.domain.records",
    "chalicelib.domain.vocabulary",
}
CHAIN = "chalicelib.domain.chain"
"""How the audit trail is linked: part of what is stored, so the one rule that an adapter may import."""
PORTS = "chalicelib.usecases.ports"
LOCATE = "chalicelib.usecases.locate"
OBSERVE = "chalicelib.usecases.observe"
SHARED = (
    "acknowledging",
    "answering",
    "each",
    "gathering",
    "inspection",
    "locate",
    "looking",
    "observe",
    "ports",
    "publish",
)
SHARED_BY_VERBS = {f"chalicelib.usecases.{name}" for name in SHARED}
STEPS = {"chalicelib.usecases.rotate": "chalicelib.usecases.rotating"}
"""A verb whose steps fill a folder of their own."""

VALUE_MODULES = {
    "__future__", "abc", "base64", "bisect", "calendar", "collections", "csv", "dataclasses", "datetime",
    "decimal", "difflib", "enum", "fnmatch", "fractions", "functools", "hashlib", "heapq", "hmac", "html", "io",
    "itertools", "json", "math", "operator", "re", "statistics", "string", "textwrap", "types", "typing",
    "unicodedata", "zoneinfo",
}  # fmt: skip
"""Modules of the standard library that only turn values into values."""

OUTSIDE_MODULES = {
    "ctypes", "ftplib", "http", "importlib", "multiprocessing", "os", "pathlib", "shutil", "smtplib",
    "socket", "sqlite3", "ssl", "subprocess", "tempfile", "urllib",
}  # fmt: skip
"""Modules of the standard library that reach outside; verbs reach outside through their ports."""

CLOCKS = {"now", "today", "utcnow", "localtime", "monotonic", "perf_counter"}
VAGUE = {"util", "utils", "common", "helper", "helpers", "base", "manager", "managers", "misc"}
AMAZON = {"boto3", "botocore", "aws_lambda_powertools"}


def top(name: str) -> str:
    return name.partition(".")[0]


def is_inside(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def is_standard(name: str) -> bool:
    return top(name) in sys.stdlib_module_names


def module_of(path: str) -> str:
    parts = PurePosixPath(path).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(tree: ast.AST) -> Iterator[str]:
    """Every module imported; `from a.b import c` counts as a.b.c where c could be a module of ours."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            rooms = module in {
                "chalicelib",
                "chalicelib.domain",
                "chalicelib.usecases",
                "chalicelib.adapters",
            }
            yield from (f"{module}.{alias.name}" for alias in node.names) if rooms else [module]


def domain_may(importer: str, name: str) -> bool:
    return top(name) in VALUE_MODULES or is_inside(name, "chalicelib.domain")


def usecases_may(importer: str, name: str) -> bool:
    if is_standard(name):
        return top(name) not in OUTSIDE_MODULES
    shared = {PORTS, LOCATE, OBSERVE} if importer in SHARED_BY_VERBS else SHARED_BY_VERBS
    steps = [folder for verb, folder in STEPS.items() if importer == verb or is_inside(importer, folder)]
    return (
        is_inside(name, "chalicelib.domain")
        or (name in shared and name != importer)
        or any(is_inside(name, folder) for folder in steps)
    )


def adapters_may(importer: str, name: str) -> bool:
    if is_inside(name, "chalicelib"):
        return name in NOUNS | {PORTS, CHAIN} or is_part_of_same_adapter(importer, name)
    return top(name) not in {"chalice", "app", "cli", "sandbox", "tests", "package"}


def is_part_of_same_adapter(importer: str, name: str) -> bool:
    """The files of an adapter that has several share a prefix."""
    prefixes = ("chalicelib.adapters.atlas", "chalicelib.adapters.messages")
    return any(importer.startswith(prefix) and name.startswith(prefix) for prefix in prefixes)


def wiring_may(importer: str, name: str) -> bool:
    if is_inside(name, "chalicelib"):
        ours = name in NOUNS | {PORTS, "chalicelib.settings"}
        return ours or is_inside(name, "chalicelib.adapters")
    return is_standard(name) or top(name) in AMAZON | {"urllib3"}


def doors_may(importer: str, name: str) -> bool:
    if is_inside(name, "chalicelib"):
        return not is_inside(name, "chalicelib.adapters")
    return is_standard(name) or top(name) in {"chalice", "aws_lambda_powertools", "msgspec"}


def settings_may(importer: str, name: str) -> bool:
    return is_standard(name)


def cli_may(importer: str, name: str) -> bool:
    return top(name) not in {"chalicelib", "app", "sandbox", "tests", "package"}


def sandbox_may(importer: str, name: str) -> bool:
    if is_inside(name, "chalicelib"):
        open_rooms = ("chalicelib.domain", "chalicelib.wiring", "chalicelib.settings")
        return any(is_inside(name, room) for room in open_rooms)
    return top(name) not in {"tests", "cli", "package", "bench"}


def outbuildings_may(importer: str, name: str) -> bool:
    return top(name) not in {"app", "chalicelib", "sandbox", "tests", "cli"}


def docs_may(importer: str, name: str) -> bool:
    return top(name) not in {"sandbox", "tests", "cli"}


def bench_may(importer: str, name: str) -> bool:
    return top(name) not in {"tests", "cli"}


ROOMS: dict[str, Callable[[str, str], bool]] = {
    "chalicelib.domain": domain_may,
    "chalicelib.usecases": usecases_may,
    "chalicelib.adapters": adapters_may,
    "chalicelib.wiring": wiring_may,
    "chalicelib.settings": settings_may,
    "chalicelib.api": doors_may,
    "chalicelib": domain_may,
    "app": doors_may,
    "cli": cli_may,
    "sandbox": sandbox_may,
    "package": outbuildings_may,
    "docs": docs_may,
    "bench": bench_may,
}


def room_of(module: str) -> str | None:
    """The room that a module lies in; api_keys.py lies in the room api, as would api/keys.py."""
    if module == "chalicelib" or module.startswith("chalicelib.api_"):
        return "chalicelib.api" if module != "chalicelib" else module
    return next((room for room in ROOMS if room != "chalicelib" and is_inside(module, room)), None)


def complaints(path: str, source: str) -> list[str]:
    """What a file does that its room forbids."""
    module = module_of(path)
    found = [
        f"{path}: the name says nothing" for part in PurePosixPath(path).parts if PurePosixPath(part).stem in VAGUE
    ]
    room = room_of(module)
    if room is None:
        return [*found, f"{path}: lies in no room"]
    tree = ast.parse(source)
    names = list(imports(tree))
    found += [
        f"{path}: may not import {name}" for name in names if name.startswith(".") or not ROOMS[room](module, name)
    ]
    if room == "chalicelib.domain":
        found += [f"{path}: asks the clock with {name}()" for name in calls(tree) if name in CLOCKS]
    if room == "chalicelib.adapters":
        vendors = {"aws" if top(name) in AMAZON else top(name) for name in names if is_vendor(name)}
        found += [f"{path}: speaks more than one foreign language: {sorted(vendors)}"] * (len(vendors) > 1)
    if room == "app":
        branches = [node for node in ast.walk(tree) if isinstance(node, ast.If | ast.IfExp | ast.Match)]
        found += [f"{path}:{node.lineno}: the hall decides nothing" for node in branches]
    return found


def is_vendor(name: str) -> bool:
    return not is_standard(name) and top(name) not in {"chalicelib", "msgspec"}


def calls(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
            yield node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id


def files_of_the_house() -> list[Path]:
    inside = [path for part in HOUSE for path in sorted((ROOT / part).rglob("*.py"))]
    return [*ROOT.glob("*.py"), *inside]


def test_every_file_keeps_to_its_room():
    said = [
        complaint
        for path in files_of_the_house()
        for complaint in complaints(path.relative_to(ROOT).as_posix(), path.read_text())
    ]

    assert not said, "\n".join(said)


def test_the_rooms_are_found_at_all():
    rooms = {room_of(module_of(path.relative_to(ROOT).as_posix())) for path in files_of_the_house()}

    assert {"app", "chalicelib.domain", "chalicelib.usecases", "chalicelib.adapters", "sandbox"} <= rooms


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("chalicelib/domain/retention.py", "import os"),
        ("chalicelib/domain/retention.py", "import time"),
        ("chalicelib/domain/retention.py", "import random"),
        ("chalicelib/domain/retention.py", "import uuid"),
        ("chalicelib/domain/retention.py", "import logging"),
        ("chalicelib/domain/retention.py", "import http.client"),
        ("chalicelib/domain/retention.py", "import boto3"),
        ("chalicelib/domain/retention.py", "import chalice"),
        ("chalicelib/domain/retention.py", "from aws_lambda_powertools import Logger"),
        ("chalicelib/domain/retention.py", "from chalicelib.usecases.ports import Tracker"),
        ("chalicelib/domain/retention.py", "from chalicelib import settings"),
        ("chalicelib/domain/retention.py", "from . import arn"),
        ("chalicelib/domain/retention.py", "def f():\n    import os"),
        ("chalicelib/domain/retention.py", "from datetime import datetime\nx = datetime.now()"),
        ("chalicelib/domain/retention.py", "from datetime import date\nx = date.today()"),
        ("chalicelib/usecases/rotate.py", "import os"),
        ("chalicelib/usecases/rotate.py", "import boto3"),
        ("chalicelib/usecases/rotate.py", "from chalice.app import Chalice"),
        ("chalicelib/usecases/rotate.py", "from chalicelib import settings"),
        ("chalicelib/usecases/rotate.py", "from chalicelib.adapters.kms import Kms"),
        ("chalicelib/usecases/rotate.py", "from chalicelib.usecases.sweep import sweep"),
        ("chalicelib/usecases/rotate.py", "from chalicelib.usecases import sweep"),
        ("chalicelib/usecases/observe.py", "from chalicelib.usecases.sweep import sweep"),
        ("chalicelib/usecases/sweep.py", "from chalicelib.usecases.rotating.swap import swap_key"),
        ("chalicelib/usecases/rotating/swap.py", "from chalicelib.usecases.rotate import advance_rotation"),
        ("chalicelib/adapters/kms.py", "from chalicelib.usecases.rotate import rotate"),
        ("chalicelib/adapters/kms.py", "from chalicelib.domain.retention import verdict"),
        ("chalicelib/adapters/kms.py", "from chalicelib.adapters.secrets import Secrets"),
        ("chalicelib/adapters/kms.py", "from chalicelib.adapters.atlas import AtlasClient"),
        ("chalicelib/adapters/kms.py", "import chalicelib.settings"),
        ("chalicelib/adapters/kms.py", "import chalice"),
        ("chalicelib/adapters/kms.py", "import boto3\nimport urllib3"),
        ("chalicelib/wiring.py", "from chalicelib.domain.retention import verdict"),
        ("chalicelib/wiring.py", "from chalicelib.domain.chain import extend"),
        ("chalicelib/wiring.py", "from chalicelib.usecases.rotate import rotate"),
        ("chalicelib/wiring.py", "from chalice.app import Chalice"),
        ("chalicelib/settings.py", "from chalicelib.domain.arn import KeyArn"),
        ("chalicelib/api.py", "from chalicelib.adapters.tracker import DynamoTracker"),
        ("chalicelib/api.py", "import boto3"),
        ("chalicelib/api_keys.py", "import botocore"),
        ("sandbox/helpers.py", ""),
        ("cli/base/keys.py", ""),
        ("chalicelib/domain/utils.py", ""),
        ("chalicelib/unplanned.py", ""),
        ("app.py", "import boto3"),
        ("app.py", "from chalicelib.adapters import kms"),
        ("app.py", "def rotate(event):\n    if event:\n        return 1"),
        ("cli/keyturn.py", "from chalicelib.domain.arn import KeyArn"),
        ("cli/keyturn.py", "import sandbox.runner"),
        ("sandbox/runner.py", "from chalicelib.adapters.kms import Kms"),
        ("sandbox/runner.py", "from chalicelib.usecases.rotate import rotate"),
        ("package/check.py", "import sandbox"),
        ("app.py", "import sandbox"),
    ],
)
def test_a_forbidden_door_is_seen(path: str, source: str):
    said = complaints(path, source)

    assert len(said) == 1


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("chalicelib/domain/retention.py", "from chalicelib.domain.arn import KeyArn\nimport json"),
        ("chalicelib/domain/retention.py", "def due(now):\n    return now"),
        ("chalicelib/usecases/rotate.py", "from chalicelib.usecases import observe, ports\nimport logging"),
        ("chalicelib/usecases/rotate.py", "from chalicelib.domain import retention"),
        (
            "chalicelib/adapters/kms.py",
            "import boto3\nfrom botocore.exceptions import ClientError\nimport msgspec",
        ),
        (
            "chalicelib/adapters/atlas_token.py",
            "from chalicelib.adapters.atlas_http import send\nimport urllib3",
        ),
        ("chalicelib/wiring.py", "from chalicelib.adapters.kms import Kms\nfrom chalicelib import settings"),
        ("chalicelib/settings.py", "import os"),
        (
            "chalicelib/api.py",
            "from chalice.app import Blueprint\nfrom chalicelib.usecases.rotate import rotate",
        ),
        ("app.py", "from chalice.app import Chalice\nfrom chalicelib import api, wiring"),
        ("cli/keyturn.py", "import urllib3"),
        ("sandbox/runner.py", "import moto\nimport app\nfrom chalicelib import wiring"),
    ],
)
def test_an_open_door_is_left_open(path: str, source: str):
    said = complaints(path, source)

    assert not said
