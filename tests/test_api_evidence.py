"""The evidence pack over the API, in a sandbox world: data, table and page of one project."""

import json
from types import SimpleNamespace

import pytest

from chalicelib.domain.canonical import digest_of
from chalicelib.domain.chain import faults_of
from sandbox.cast import stage


@pytest.fixture(scope="module")
def house():
    with stage() as set_up:
        project_id = set_up.add_project("payments")
        set_up.atlas.add_cluster(project_id, "ledger")
        runner, api = set_up.install()
        runner.run_until(set_up.world.clock.now())
        ada = set_up.world.operators[0].arn
        body = {"rotation_period_days": 30}
        api.ask("PATCH", f"/v1/projects/{project_id}/policy", body, caller=ada)
        yield SimpleNamespace(api=api, ada=ada, project_id=project_id)


@pytest.fixture
def ask(house):
    path = f"/v1/projects/{house.project_id}/evidence"
    return lambda query="": house.api.ask("GET", f"{path}{query}", caller=house.ada)


@pytest.fixture
def ask_all(house):
    return lambda query="": house.api.ask("GET", f"/v1/evidence{query}", caller=house.ada)


def test_the_pack_is_data_and_tells_who_set_the_policy(ask):
    pack = ask().json()

    assert pack["project"]["name"] == "payments"
    assert pack["policy"]["rotation_period_days"] == 30
    assert "operator-ada" in pack["policy"]["history"][0]["who"]


@pytest.mark.parametrize(
    ("form", "kind", "start"), [("csv", "text/csv", "project_id,part,"), ("html", "text/html", "<!doctype")]
)
def test_it_comes_as_a_table_or_as_a_page_too(ask, form, kind, start):
    answer = ask(f"?format={form}")

    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith(kind)
    assert answer.body.startswith(start)


def test_a_period_is_days_or_moments(ask):
    pack = ask("?from=2020-01-01&to=2020-12-31T00:00:00Z").json()

    assert pack["trail"] == []
    assert pack["period"] == {"from": "2020-01-01T00:00:00Z", "to": "2020-12-31T00:00:00Z"}


@pytest.mark.parametrize(
    ("query", "ends"),
    [
        ("?from=2027-03-01&to=2027-01-01", "`to` (2027-01-01T00:00:00Z)"),
        ("?from=2027-03-01&to=2027-03-01", "`to` (2027-03-01T00:00:00Z)"),
        ("?from=2027-03-01T00:00:00Z&to=2027-03-01T00:30:00%2B01:00", "`to` (2027-02-28T23:30:00Z)"),
        ("?from=2999-01-01", "where a period without `to` ends"),
    ],
)
def test_a_period_in_which_nothing_can_lie_gives_no_pack_that_looks_clean(ask, ask_all, query, ends):
    for answer in (ask(query), ask(f"{query}&format=csv"), ask_all(query)):
        assert answer.status == 400
        assert "`from`" in answer.json()["detail"]
        assert ends in answer.json()["detail"]


@pytest.mark.parametrize("query", ["?format=pdf", "?from=yesterday", "?to=2027-13-01"])
def test_what_is_not_understood_is_refused_with_its_name(ask, query):
    answer = ask(query)

    assert answer.status == 400
    assert query[1:].partition("=")[0] in json.loads(answer.body)["detail"]


def test_an_entry_names_the_request_whose_answer_named_it_too(house, ask):
    body = {"rotation_period_days": 45}
    answer = house.api.ask("PATCH", f"/v1/projects/{house.project_id}/policy", body, caller=house.ada)

    changed = ask().json()["policy"]["history"][-1]

    assert answer.headers["x-request-id"]
    assert changed["request_id"] == answer.headers["x-request-id"]


def test_what_a_schedule_caused_names_the_invocation(ask):
    seen = [row for row in ask().json()["trail"] if row["what"] == "key seen in the settings"]

    assert all(len(row["request_id"]) == 36 for row in seen)
    assert seen


def test_every_chain_of_a_pack_is_whole_and_the_digest_is_its_own(ask):
    pack = ask().json()

    assert [fault for chain in pack["chains"] for fault in faults_of(chain)] == []
    assert pack.pop("digest") == digest_of(pack)
    assert sum(len(chain["entries"]) for chain in pack["chains"]) == len(pack["trail"])


def test_the_fleet_has_a_line_for_each_project_page_by_page(house, ask_all):
    line = ask_all("?limit=1").json()

    assert [item["project_id"] for item in line["items"]] == [house.project_id]
    assert line["items"][0]["broken_chains"] == 0
    assert line["next"] is None


@pytest.mark.parametrize("query", ["?limit=0", "?from=yesterday", "?cursor=nonsense"])
def test_a_fleet_is_refused_what_it_does_not_understand(ask_all, query):
    assert ask_all(query).status == 400
