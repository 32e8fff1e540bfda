"""The pretend Atlas says nothing that the API structure does not know, a few deviations excepted."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from pretend_atlas_sandbox import Sandbox
from pretend_atlas_world import a_world, ask, ids_of

from sandbox.atlas import PretendAtlas
from sandbox.atlas.operations import API, OPERATIONS

STRUCTURE = Path(__file__).parents[2] / "shared" / "atlas" / "openapi.json"

NOT_IN_THE_STRUCTURE = {
    "POST /api/atlas/v2/groups/{groupId}/clusters/{clusterName}/backup/snapshots": "answers as the list's items do",
    "GET /api/atlas/v2/orgs/{orgId}/serviceAccounts/{clientId}": "its answer is written from the documentation",
}
DEVIATIONS = {
    "/events": {".results[].clusterName"},
    "/events/{eventId}": {".clusterName"},
}
"""Events about clusters carry their name in recorded answers; the structure's events do not."""
ODD_WORDS = {"frequencyType ondemand", "roles[] GROUP_OWNER"}
"""Words of recorded answers that the structure's enumerations lack."""


@pytest.fixture(scope="module")
def structure():
    if not STRUCTURE.exists():
        pytest.skip("the API structure is not beside the checkout")
    return json.loads(STRUCTURE.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def answers():
    """What every operation answers in a world that has one of everything."""
    sandbox = Sandbox()
    with PretendAtlas(sandbox.world) as sandbox.atlas:
        project = a_world(sandbox)
        names = ("replica", "sharded", "global")
        ids = {name: ids_of(sandbox, project, name) for name in names}
        return {(one.name, name): ask(sandbox, one, ids[name]) for one in OPERATIONS for name in names}


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

    def odd_words(self, value, schemas, place) -> Iterator[str]:
        """Find values that none of the enumerations for their place has."""
        schemas = [part for schema in schemas for part in self.parts(schema)]
        words = [word for schema in schemas for word in schema.get("enum", ())]
        if isinstance(value, str) and words and value not in words:
            yield f"{place} {value}"
        elif isinstance(value, list):
            items = [schema["items"] for schema in schemas if "items" in schema]
            for one in value:
                yield from self.odd_words(one, items, f"{place}[]")
        elif isinstance(value, dict):
            for name, inner in value.items():
                known = [schema["properties"][name] for schema in schemas if name in schema.get("properties", {})]
                yield from self.odd_words(inner, known, f"{place}.{name}")

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


@pytest.mark.parametrize("cluster", ["replica", "sharded", "global"])
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.name)
def test_every_name_in_an_answer_is_in_the_structure(structure, answers, operation, cluster):
    if operation.name in NOT_IN_THE_STRUCTURE:
        pytest.skip(f"not in the cut of the structure: {NOT_IN_THE_STRUCTURE[operation.name]}")
    walker = Walker(structure)

    strangers = set(walker.strangers(answers[operation.name, cluster], [walker.response_schema(operation)], ""))

    excused = [names for tail, names in DEVIATIONS.items() if operation.template.endswith(tail)]
    assert strangers == (excused[0] if excused else set())


@pytest.mark.parametrize("cluster", ["replica", "sharded", "global"])
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.name)
def test_every_word_in_an_answer_is_one_of_the_structures(structure, answers, operation, cluster):
    if operation.name in NOT_IN_THE_STRUCTURE:
        pytest.skip(f"not in the cut of the structure: {NOT_IN_THE_STRUCTURE[operation.name]}")
    walker = Walker(structure)

    found = walker.odd_words(answers[operation.name, cluster], [walker.response_schema(operation)], "")

    assert {odd.rsplit(".", 1)[1] for odd in found} <= ODD_WORDS


def test_every_list_has_something_in_it_for_some_cluster(answers):
    full = {name for (name, _), body in answers.items() if body and body.get("results")}
    lists = {name for (name, _), body in answers.items() if body and "results" in body}

    assert full == lists


def test_every_operation_answered_for_some_cluster(answers):
    assert {name for (name, _), body in answers.items() if body} == {one.name for one in OPERATIONS}


def test_a_name_that_the_structure_does_not_know_is_found(structure):
    walker = Walker(structure)
    operation = next(one for one in OPERATIONS if one.template.endswith("/encryptionAtRest"))
    schema = walker.response_schema(operation)

    strangers = set(walker.strangers({"awsKms": {"enabled": True, "colour": "red"}}, [schema], ""))

    assert strangers == {".awsKms.colour"}
