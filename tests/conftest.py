"""One pretend AWS per test module, made from the template that ships, and clients that are told where it is."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from package.template import read
from sandbox.aws import PretendAws
from sandbox.clock import VirtualClock

START = datetime(2027, 3, 1, 9, 30, tzinfo=UTC)
TEMPLATE = Path(__file__).parent.parent / ".chalice" / "resources.yaml"


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
