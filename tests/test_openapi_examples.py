"""Every operation of the OpenAPI document is asked with its own examples, in a sandbox world; so each example works."""

from urllib.parse import urlencode

import pytest
from api_contract import Contract, filled
from api_place import Place
from storyteller import telling

CONTRACT = Contract()


def cases():
    """Every operation with each example of its body."""
    return list(_cases())


def _cases():
    for method, path, operation in CONTRACT.operations():
        content = operation.get("requestBody", {}).get("content", {})
        for name, example in content.get("application/json", {}).get("examples", {"": {}}).items():
            title = f"{operation['operationId']} {name}".strip()
            yield pytest.param(method, path, operation, example.get("value"), id=title)


@pytest.fixture(scope="module")
def place():
    with telling() as set_up:
        yield Place(set_up)


@pytest.mark.parametrize(("method", "path", "operation", "body"), cases())
def test_an_example_works_and_its_answer_is_as_described(place, method, path, operation, body):
    answer = place.ask(method, path, operation, body)

    assert answer.status in {200, 202}, answer.body
    assert CONTRACT.complaints(method, path, answer) == []


QUERIES = [
    ("GET", "/v1/projects", {"limit": 1}),
    ("GET", "/v1/keys", {"limit": 2}),
    ("GET", "/v1/keys/{key_id}", {"retention_days": 30, "account": "123456789012", "region": "us-east-1"}),
    ("GET", "/v1/projects/{project_id}/rotations", {"limit": 100}),
    ("GET", "/v1/evidence", {"limit": 1, "from": "2027-01-01", "to": "2028-01-01"}),
    ("GET", "/v1/projects/{project_id}/evidence", {"format": "csv"}),
    ("GET", "/v1/projects/{project_id}/evidence", {"format": "html", "from": "2027-01-01"}),
    ("GET", "/v1/projects/{project_id}/evidence", {"from": "2027-01-01T00:00:00+02:00", "to": "2028-01-01"}),
]


@pytest.mark.parametrize(("method", "path", "query"), QUERIES)
def test_what_is_asked_for_in_the_query_is_answered_as_described(place, method, path, query):
    operation = CONTRACT.document["paths"][path][method.lower()]
    described = {p["name"] for p in CONTRACT.parameters(operation) if p["in"] == "query"}
    target = f"{filled(path, place.names(operation))}?{urlencode(query)}"

    answer = place.api.ask(method, target, caller=place.ada)

    assert query.keys() <= described
    assert answer.status == 200, answer.body
    assert CONTRACT.complaints(method, path, answer) == []


NOWHERE = {"project_id": "nowhere", "deletion_id": "nowhere"}
REFUSED = [
    ("GET", "/v1/projects", {"query": "?limit=0"}, (400, "invalid")),
    ("GET", "/v1/projects", {"query": "?cursor=x"}, (400, "invalid")),
    ("GET", "/v1/projects/{project_id}", {}, (404, "unknown")),
    ("GET", "/v1/projects", {"headers": {"content-type": "text/plain"}}, (415, "media-type")),
    ("PATCH", "/v1/projects/{project_id}/policy", {"body": {"colour": 1}}, (400, "invalid")),
    ("PATCH", "/v1/projects/{project_id}/policy", {"body": "x" * (64 * 1024 + 1)}, (413, "too-large")),
    ("POST", "/v1/projects/{project_id}/rotations", {"body": {}}, (400, "invalid")),
    ("POST", "/v1/deletions/{deletion_id}/approval", {"body": {"digest": "b" * 64}}, (404, "unknown")),
    ("POST", "/v1/webhooks/atlas", {"body": {}}, (401, "unsigned")),
]


@pytest.mark.parametrize(("method", "path", "asked", "expected"), REFUSED)
def test_a_problem_has_a_stable_type_and_the_requests_id(place, method, path, asked, expected):
    target = filled(path, NOWHERE) + asked.get("query", "")
    answer = place.api.ask(method, target, asked.get("body"), caller=place.ada, headers=asked.get("headers"))

    said = answer.json()
    assert (answer.status, said["type"]) == (expected[0], f"urn:keyturn:problem:{expected[1]}")
    assert said["request_id"] == answer.headers["x-request-id"]
    assert CONTRACT.complaints(method, path, answer) == []


def test_a_method_that_a_path_does_not_have_is_a_problem_that_names_those_it_has(place):
    answer = place.api.ask("DELETE", "/v1/projects", caller=place.ada)

    assert (answer.status, answer.json()["type"]) == (405, "urn:keyturn:problem:method")
    assert answer.headers["Allow"] == "GET"


def test_a_name_in_the_path_that_no_table_could_hold_is_refused_by_its_name(place):
    answer = place.api.ask("GET", f"/v1/projects/{'x' * 2000}", caller=place.ada)

    assert answer.status == 400
    assert "`project_id`" in answer.json()["detail"]
