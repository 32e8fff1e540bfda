"""The pretend Atlas says nothing that the API structure does not know, a few deviations excepted."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from pretend_atlas_sandbox import ROLE, Sandbox

from sandbox.atlas import PretendAtlas
from sandbox.atlas.operations import API, OPERATIONS

STRUCTURE = Path(__file__).parents[2] / "shared" / "atlas" / "openapi.json"
pytestmark = pytest.mark.skipif(not STRUCTURE.exists(), reason="the API structure is not beside the checkout")

NOT_IN_THE_STRUCTURE = {
    "POST /api/atlas/v2/groups/{groupId}/clusters/{clusterName}/backup/snapshots": "answers as the list's items do",
}
DEVIATIONS = {
    ".results[].clusterName": "events about clusters carry it in recorded answers; the structure's events do not",
}


@pytest.fixture(scope="module")
def structure():
    return json.loads(STRUCTURE.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def answers():
    """What every operation answers in a world that has one of everything."""
    sandbox = Sandbox()
    with PretendAtlas(sandbox.world) as sandbox.atlas:
        project = sandbox.world.add_project("shop", key=sandbox.new_key(), role_arn=ROLE)
        names = {"replica": {}, "sharded": {"kind": "SHARDED"}, "free": {"tier": "M0"}, "flex": {"tier": "FLEX"}}
        for name, options in names.items():
            sandbox.world.add_cluster(project, name, **options)
        sandbox.pass_time(days=91)
        return {
            (one.name, cluster): ask(sandbox, one, project, cluster)
            for one in OPERATIONS
            for cluster in ("replica", "sharded")
        }


def ask(sandbox, operation, project, cluster):
    alert = next(iter(sandbox.world.projects[project].alert_configs))
    path = operation.template.format(groupId=project, clusterName=cluster, alertConfigId=alert)
    bodies = {
        "PATCH": {"awsKms": {"enabled": True}},
        "PUT": {"eventTypeName": "AWS_ENCRYPTION_KEY_NEEDS_ROTATION", "threshold": {"threshold": 90}},
        "POST": {"retentionInDays": 1},
    }
    status, body = sandbox.ask(operation.method, path, bodies.get(operation.method), version=operation.version)
    assert status == 200, (operation.name, body)
    return body


class Walker:
    """Finds names in an answer that a schema does not know; of alternatives it takes them all together."""

    def __init__(self, structure):
        self.structure = structure

    def strangers(self, value, schemas, place) -> Iterator[str]:
        schemas = [part for schema in schemas for part in self.parts(schema)]
        if isinstance(value, list):
            items = [schema["items"] for schema in schemas if "items" in schema]
            for one in value:
                yield from self.strangers(one, items, f"{place}[]")
        elif isinstance(value, dict) and not any("additionalProperties" in schema for schema in schemas):
            for name, inner in value.items():
                known = [schema["properties"][name] for schema in schemas if name in schema.get("properties", {})]
                if known:
                    yield from self.strangers(inner, known, f"{place}.{name}")
                else:
                    yield f"{place}.{name}"

    def parts(self, schema, seen=()) -> Iterator[dict]:
        """Resolve references, and take a schema apart into itself and what it is composed of."""
        if "$ref" in schema:
            if schema["$ref"] not in seen:
                yield from self.parts(self.at(schema["$ref"]), (*seen, schema["$ref"]))
            return
        yield schema
        for word in ("allOf", "oneOf", "anyOf"):
            for part in schema.get(word, ()):
                yield from self.parts(part, seen)
        for reference in schema.get("discriminator", {}).get("mapping", {}).values():
            yield from self.parts({"$ref": reference}, seen)

    def at(self, reference):
        found = self.structure
        for name in reference.removeprefix("#/").split("/"):
            found = found[name]
        return found

    def response_schema(self, operation):
        described = self.structure["paths"][API + operation.template][operation.method.lower()]["responses"]["200"]
        described = next(iter(self.parts(described)))
        return described["content"][operation.media_type]["schema"]


@pytest.mark.parametrize("cluster", ["replica", "sharded"])
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.name)
def test_every_name_in_an_answer_is_in_the_structure(structure, answers, operation, cluster):
    if operation.name in NOT_IN_THE_STRUCTURE:
        pytest.skip(f"not in the cut of the structure: {NOT_IN_THE_STRUCTURE[operation.name]}")
    walker = Walker(structure)

    strangers = set(walker.strangers(answers[operation.name, cluster], [walker.response_schema(operation)], ""))

    excused = DEVIATIONS if operation.template.endswith("/events") else {}
    assert strangers == excused.keys()


def test_every_list_has_something_in_it(answers):
    empty = {name for (name, _), body in answers.items() if body.get("results") == []}

    assert {name.rsplit("/", 1)[1] for name in empty} == {"restoreJobs", "exports", "snapshots", "shardedClusters"}


def test_a_name_that_the_structure_does_not_know_is_found(structure):
    walker = Walker(structure)
    operation = next(one for one in OPERATIONS if one.template.endswith("/encryptionAtRest"))
    schema = walker.response_schema(operation)

    strangers = set(walker.strangers({"awsKms": {"enabled": True, "colour": "red"}}, [schema], ""))

    assert strangers == {".awsKms.colour"}
