"""The pretend Atlas shows what recorded answers of the real one always show, some things of no interest excepted."""

import json
from pathlib import Path

import pytest
from pretend_atlas_sandbox import Sandbox
from pretend_atlas_world import a_world, ask, ids_of

from sandbox.atlas import PretendAtlas
from sandbox.atlas.operation import API
from sandbox.atlas.operations import OPERATIONS

RECORDINGS = Path(__file__).parents[2] / "shared" / "atlas" / "recordings"
pytestmark = pytest.mark.skipif(not RECORDINGS.exists(), reason="the recorded answers are not beside the checkout")

OF_NO_INTEREST = {
    "adaptiveCapacity",
    "advancedConfiguration",
    "biConnector",
    "configServerManagementMode",
    "configServerType",
    "connectionStrings",
    "diskWarmingMode",
    "effectiveDatabaseEdition",
    "effectiveReplicationSpecs",
    "featureCompatibilityVersion",
    "globalClusterSelfManagedSharding",
    "internalClusterRole",
    "redactClientLogData",
    "useAwsTimeBasedSnapshotCopyForFastInitialSync",
    "targetDeploymentItemName",
}
"""How a cluster is built inside; nothing of it has to do with keys."""


def recorded():
    """The good answers of operations that the pretend Atlas has, in the versions that it speaks."""
    known = {(one.method, API + one.template): one for one in OPERATIONS}
    for path in sorted(RECORDINGS.glob("*.json")) if RECORDINGS.exists() else ():
        recording = json.loads(path.read_text(encoding="utf-8"))
        operation = known.get((recording["method"], recording["path_template"]))
        content_type = (recording["headers"] or {}).get("Content-Type", "")
        if operation is not None and recording["status"] == operation.status and operation.media_type in content_type:
            yield pytest.param(operation, recording["body"], id=path.stem)


@pytest.fixture(scope="module")
def answers():
    sandbox = Sandbox()
    with PretendAtlas(sandbox.world) as sandbox.atlas:
        project = a_world(sandbox)
        ids = ids_of(sandbox, project, "replica")
        return {one.name: ask(sandbox, one, ids) for one in OPERATIONS}


def always_there(body):
    """The names in an answer, and those that every item of a list has."""
    rows = body.get("results")
    return set(body) | ({f"[].{name}" for name in set.intersection(*map(set, rows))} if rows else set())


@pytest.mark.parametrize(("operation", "body"), list(recorded()))
def test_what_a_recorded_answer_shows_is_shown_here_too(answers, operation, body):
    ours = answers[operation.name]
    rows = ours.get("results", [])

    sometimes = set(ours) | {f"[].{name}" for row in rows for name in row}

    missing = {name.removeprefix("[].") for name in always_there(body) - sometimes}
    assert missing <= OF_NO_INTEREST
