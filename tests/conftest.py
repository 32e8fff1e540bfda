"""How tests are run; a pretend AWS per test module, made of the template that ships, and clients told where it is."""

import gc
import re
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest
from figures import FULL_SIZE

from package.template import read
from sandbox.aws import PretendAws
from sandbox.clock import VirtualClock

START = datetime(2027, 3, 1, 9, 30, tzinfo=UTC)
TEMPLATE = Path(__file__).parent.parent / ".chalice" / "resources.yaml"

PROOFS = Path(__file__).parent / "prove"
LONG = ("claim_model", "crash_matrix", "liveness", "patch_outcomes", "teeth_rotation", "worlds")
"""The proofs that take long at any size: whoever runs every test leaves them to `make prove`."""
WORLDS = re.compile(r"^(?:from|import) (?:sandbox|storyteller|pretend_)", re.MULTILINE)


gc.set_threshold(100_000, 20, 20)
"""What the libraries keep for good is large: to look it through for garbage at the usual pace costs a tenth."""


def pytest_ignore_collect(collection_path, config):
    """Leave a long proof out, unless it is run at its full size or asked for by its name."""
    asked = {Path(one.partition("::")[0]).resolve() for one in config.args}
    if FULL_SIZE or collection_path in asked or collection_path.parent in asked:
        return None
    return True if collection_path in {PROOFS / f"test_{name}.py" for name in LONG} else None


def pytest_report_header():
    return None if FULL_SIZE else f"left to `make prove`: {', '.join(LONG)}"


def pytest_collection_modifyitems(items):
    """What takes long begins first: the quick tests then fill what is left of each worker's time."""
    items.sort(key=lambda item: judges(item.path))


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session):
    """In a worker pytest-cov 7 begins twice, and what it began first would go on where the second is paused."""
    begun = coverage_of(session.config)
    if begun is not None and hasattr(session.config, "workerinput"):
        begun.cov.stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    """Coverage is judged by the tests that call the code themselves.

    A story on the sandbox or a long proof comes through most lines without asking anything of them, and takes twice as
    long while each is noted.
    """
    coverage = coverage_of(item.config)
    if coverage is None or judges(item.path):
        return (yield)
    coverage.pause()
    try:
        return (yield)
    finally:
        coverage.resume()


def coverage_of(config):
    return getattr(config.pluginmanager.getplugin("_cov"), "cov_controller", None)


@cache
def judges(path):
    """Whether the tests of a file count for coverage; those that type what a page says call no code themselves."""
    if PROOFS in path.parents or path.name.startswith("test_walk_"):
        return False
    return not WORLDS.search(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def clock():
    return VirtualClock(START)


@pytest.fixture(scope="module")
def aws(clock):
    """moto over HTTP behind the strict KMS, on the module's clock.

    Its state belongs to the process: a module keeps it to itself, so that no two are ever open at once.
    """
    with PretendAws(clock) as running:
        yield running


@pytest.fixture(scope="module")
def stack(aws):
    """The table, topics, queues and bus of the template, each with its `name`, `arn`, `url` or `ref`."""
    return aws.provision(read(TEMPLATE)["Resources"])


@pytest.fixture(scope="module")
def kms(aws):
    """The one place where tests get their KMS from."""
    return aws.client("kms")


@pytest.fixture(scope="module")
def dynamodb(aws):
    return aws.client("dynamodb")


@pytest.fixture
def table(dynamodb, stack):
    """The name of the tracker's table, empty again after each test."""
    name = stack["TrackerTable"]["name"]
    yield name
    for item in dynamodb.scan(TableName=name)["Items"]:
        dynamodb.delete_item(TableName=name, Key={part: item[part] for part in ("pk", "sk")})
