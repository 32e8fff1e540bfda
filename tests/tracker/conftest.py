"""The trackers that a promise is held against: the fake, and the adapter on moto and on DynamoDB Local.

`make prove` alone asks DynamoDB Local, where it can be fetched.
"""

from functools import partial

import pytest
from dynamodb_local import client_at, dynamodb_local, shipped_table, why_not
from fake_tracker import FakeTracker
from tracked import Store

from chalicelib.adapters.tracker import DynamoTracker

WHY_NOT = why_not()
ON_DYNAMODB_LOCAL = pytest.param("on_dynamodb_local", marks=[pytest.mark.skip(WHY_NOT)] if WHY_NOT else [])


@pytest.fixture
def on_moto(aws, dynamodb, table, stack):
    arn = stack["TrackerTable"]["stream_arn"]
    store = Store(client=dynamodb, table=table, streams=aws.client("dynamodbstreams"), stream=arn)
    yield store
    store.empty()


@pytest.fixture(scope="module")
def local_store():
    with dynamodb_local() as address:
        client = client_at(address)
        made = shipped_table(client)
        streams = client_at(address, "dynamodbstreams")
        yield Store(client=client, table=made["name"], streams=streams, stream=made["stream_arn"])


@pytest.fixture
def on_dynamodb_local(local_store):
    yield local_store
    local_store.empty()


@pytest.fixture(params=["on_moto", ON_DYNAMODB_LOCAL])
def store(request):
    """A table of DynamoDB's."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def stored(store):
    """The adapter on a table of DynamoDB's."""
    return store.tracker


@pytest.fixture(params=["fake", "on_moto", ON_DYNAMODB_LOCAL])
def open_tracker(request):
    """Opens a tracker; it may be told who says which request is being served."""
    if request.param == "fake":
        return FakeTracker
    store = request.getfixturevalue(request.param)
    return partial(DynamoTracker, store.client, store.table)


@pytest.fixture
def tracker(open_tracker):
    """Every tracker there is, one after the other."""
    return open_tracker()
