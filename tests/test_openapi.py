"""The OpenAPI document: valid, drawn from the code, and about the very routes that are served."""

import importlib.util
import json
import re

import pytest
from api_contract import OPENAPI, Contract
from openapi_spec_validator import OpenAPIV31SpecValidator

from app import app
from chalicelib.api_problems import URN, Kind
from chalicelib.domain.refusals import No
from sandbox.gateway import Answer

CONTRACT = Contract()
README = (OPENAPI.parent.parent / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def drawer():
    """docs/draw_openapi.py, which is a script and no module of ours."""
    spec = importlib.util.spec_from_file_location("draw_openapi", OPENAPI.parent / "draw_openapi.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_document_is_what_the_code_says(drawer):
    assert OPENAPI.read_text(encoding="utf-8") == drawer.written()


def test_the_document_is_valid_openapi():
    assert list(OpenAPIV31SpecValidator(CONTRACT.document).iter_errors()) == []
    assert CONTRACT.document["openapi"].startswith("3.1")


def test_it_describes_every_route_that_is_served_and_that_the_readme_lists_and_no_other():
    described = {(method, path) for method, path, _ in CONTRACT.operations()}
    served = {(method, path) for path, methods in app.routes.items() for method in methods}
    listed = set(re.findall(r"^\| `([A-Z]+) (/v1[^`]*)` \|", README, re.MULTILINE))

    assert described == served == listed


def test_what_chalice_guards_with_iam_is_signed_in_the_document_too():
    guarded = {
        (method, path): route.authorizer is not None
        for path, methods in app.routes.items()
        for method, route in methods.items()
    }

    said = {(method, path): operation.get("security") != [] for method, path, operation in CONTRACT.operations()}

    assert said == guarded
    assert CONTRACT.document["security"] == [{"sigv4": []}]
    assert CONTRACT.document["components"]["securitySchemes"]["sigv4"]["x-amazon-apigateway-authtype"] == "awsSigv4"


def test_every_name_in_a_path_is_a_parameter_with_an_example():
    for method, path, operation in CONTRACT.operations():
        named = {p["name"]: p for p in CONTRACT.parameters(operation) if p["in"] == "path"}

        assert set(named) == set(re.findall(r"\{(\w+)\}", path)), (method, path)
        assert all(parameter["example"] for parameter in named.values())


def test_every_operation_says_which_role_it_needs():
    roles = {operation["operationId"]: operation.get("x-keyturn-role") for _, _, operation in CONTRACT.operations()}

    assert {name for name, role in roles.items() if role is None} == {"health", "post_webhook"}
    assert {name for name, role in roles.items() if role == "approver"} == {"post_approval", "delete_deletion"}
    assert {name for name, role in roles.items() if role == "viewer"} == {
        name for name in roles if name.startswith(("get_", "list_"))
    }


def test_every_refusal_has_a_kind_of_problem_and_every_kind_stands_in_the_document():
    shown = CONTRACT.document["components"]["schemas"]["Problem"]["properties"]["type"]

    assert {no.value for no in No} <= {kind.value for kind in Kind}
    assert shown["enum"] == [URN + kind for kind in Kind]
    assert all(f"`{name}`" in shown["description"] for name in shown["enum"])


def test_the_document_is_plain_json_with_one_id_per_operation():
    ids = [operation["operationId"] for _, _, operation in CONTRACT.operations()]

    assert len(ids) == len(set(ids))
    assert json.loads(OPENAPI.read_text(encoding="utf-8")) == CONTRACT.document


GOOD = {"status": "ok", "version": "1"}


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (200, {"x-request-id": "r"}, GOOD | {"colour": "red"}),
        (200, {"x-request-id": "r"}, {"status": "ok"}),
        (200, {"x-request-id": "r"}, GOOD | {"version": 1}),
        (200, {}, GOOD),
        (200, {"x-request-id": "r", "content-type": "text/plain"}, GOOD),
        (201, {"x-request-id": "r"}, GOOD),
    ],
)
def test_the_contract_complains_of_what_it_does_not_say_and_of_what_is_missing(status, headers, body):
    def answered(status, headers, body):
        return Answer(status=status, headers={"content-type": "application/json", **headers}, body=json.dumps(body))

    assert CONTRACT.complaints("GET", "/v1/health", answered(200, {"x-request-id": "r"}, GOOD)) == []
    assert CONTRACT.complaints("GET", "/v1/health", answered(status, headers, body)) != []
