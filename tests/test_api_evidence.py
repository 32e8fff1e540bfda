"""The evidence pack over the API, in a sandbox world: data, table and page of one project."""

import json

import pytest

from sandbox.cast import stage


@pytest.fixture(scope="module")
def ask():
    with stage() as set_up:
        project_id = set_up.add_project("payments")
        set_up.atlas.add_cluster(project_id, "ledger")
        runner, api = set_up.install()
        runner.run_until(set_up.world.clock.now())
        ada = set_up.world.operators[0].arn
        body = {"rotation_period_days": 30}
        api.ask("PATCH", f"/v1/projects/{project_id}/policy", body, caller=ada)
        yield lambda query="": api.ask("GET", f"/v1/projects/{project_id}/evidence{query}", caller=ada)


def test_the_pack_is_data_and_tells_who_set_the_policy(ask):
    pack = ask().json()

    assert pack["project"]["name"] == "payments"
    assert pack["policy"]["rotation_period_days"] == 30
    assert "operator-ada" in pack["policy"]["history"][0]["who"]


@pytest.mark.parametrize(("form", "kind", "start"), [("csv", "text/csv", "part,"), ("html", "text/html", "<!doctype")])
def test_it_comes_as_a_table_or_as_a_page_too(ask, form, kind, start):
    answer = ask(f"?format={form}")

    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith(kind)
    assert answer.body.startswith(start)


def test_a_period_is_days_or_moments(ask):
    pack = ask("?from=2020-01-01&to=2020-12-31T00:00:00Z").json()

    assert pack["trail"] == []
    assert pack["period"] == {"from": "2020-01-01T00:00:00Z", "to": "2020-12-31T00:00:00Z"}


@pytest.mark.parametrize("query", ["?format=pdf", "?from=yesterday", "?to=2027-13-01"])
def test_what_is_not_understood_is_refused_with_its_name(ask, query):
    answer = ask(query)

    assert answer.status == 400
    assert query[1:].partition("=")[0] in json.loads(answer.body)["detail"]
