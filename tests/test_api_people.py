"""Viewers, operators and approvers at the real door of a sandbox world; and who was first to change a policy."""

import logging
from datetime import timedelta, timezone

import pytest
from api_contract import Contract, filled

from sandbox.cast import stage

CONTRACT = Contract()
NAMES = {"project_id": "nowhere", "rotation_id": "nothing", "key_id": "nothing", "deletion_id": "nothing"}
MALLORY = "arn:aws:iam::123456789012:user/mallory"
GUARDED = [
    (method, path, operation["x-keyturn-role"])
    for method, path, operation in CONTRACT.operations()
    if operation.get("x-keyturn-role") is not None
]


@pytest.fixture(scope="module")
def house():
    with stage() as set_up:
        project_id = set_up.add_project("payments")
        set_up.atlas.add_cluster(project_id, "ledger")
        runner, api = set_up.install()
        runner.run_until(set_up.world.clock.now())
        ada, grace = (operator.arn for operator in set_up.world.operators)
        yield House(api=api, project_id=project_id, ada=ada, grace=grace, clock=set_up.world.clock)


class House:
    def __init__(self, *, api, project_id, ada, grace, clock):
        self.api, self.project_id, self.ada, self.grace, self.clock = api, project_id, ada, grace, clock

    def patch(self, policy, **headers):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.api.ask("PATCH", f"/v1/projects/{self.project_id}/policy", policy, caller=self.ada, headers=named)

    def project(self):
        return self.api.ask("GET", f"/v1/projects/{self.project_id}", caller=self.ada)


@pytest.fixture
def roles(house, monkeypatch):
    """Ada operates, Grace approves, and a role may look."""
    monkeypatch.setenv("VIEWERS", "arn:aws:iam::123456789012:role/auditors-*")
    monkeypatch.setenv("OPERATORS", house.ada)
    monkeypatch.setenv("APPROVERS", house.grace)
    return {
        "viewer": "arn:aws:sts::123456789012:assumed-role/auditors-of-2027/eve",
        "operator": house.ada,
        "approver": house.grace,
    }


@pytest.mark.parametrize(("method", "path", "role"), GUARDED)
def test_who_has_no_role_is_refused_at_every_door_by_the_name_of_the_role_and_it_is_logged(
    house, roles, caplog, method, path, role
):
    with caplog.at_level(logging.WARNING, "chalicelib.api_door"):
        answer = house.api.ask(method, filled(path, NAMES), {}, caller=MALLORY)

    said = answer.json()
    assert (answer.status, said["type"], said["role"]) == (403, "urn:keyturn:problem:missing-role", role)
    assert CONTRACT.complaints(method, path, answer) == []
    assert any(MALLORY in line and path in line for line in caplog.messages)


@pytest.mark.parametrize(("method", "path", "role"), GUARDED)
def test_each_role_opens_its_own_doors_and_besides_only_those_for_looking(house, roles, method, path, role):
    opened = {
        name for name, who in roles.items() if house.api.ask(method, filled(path, NAMES), {}, caller=who).status != 403
    }

    assert opened == (set(roles) if role == "viewer" else {role})


def test_who_lacks_a_role_learns_nothing_of_what_is_there(house, roles):
    there = house.api.ask("GET", f"/v1/projects/{house.project_id}", caller=MALLORY)
    not_there = house.api.ask("GET", "/v1/projects/nowhere", caller=MALLORY)

    assert (there.status, there.json()["detail"]) == (not_there.status, not_there.json()["detail"])


def test_health_is_for_everybody_whom_iam_lets_in(house, roles):
    assert house.api.ask("GET", "/v1/health", caller=MALLORY).status == 200


def test_where_nobody_is_named_iam_alone_decides(house):
    assert house.api.ask("GET", "/v1/projects", caller=MALLORY).status == 200


def test_a_list_of_nothing_but_commas_lets_nobody_in(house, monkeypatch):
    monkeypatch.setenv("VIEWERS", ",")

    assert house.api.ask("GET", "/v1/projects", caller=house.ada).status == 403


def test_a_request_without_a_caller_is_refused(house):
    answer = house.api.ask("GET", "/v1/projects", caller="")

    assert (answer.status, answer.json()["type"]) == (403, "urn:keyturn:problem:forbidden")


@pytest.mark.parametrize("decision", ["attestation", "deletion"])
def test_a_federated_user_decides_nothing_about_a_key(house, decision):
    key_id = house.project().json()["key"].rpartition("/")[2]
    path, body = f"/v1/keys/{key_id}/{decision}", {"statement": "no copies"} if decision == "attestation" else {}

    answer = house.api.ask("POST", path, body, caller="arn:aws:sts::123456789012:federated-user/ada")

    assert (answer.status, answer.json()["type"]) == (403, "urn:keyturn:problem:forbidden")
    assert CONTRACT.complaints("POST", f"/v1/keys/{{key_id}}/{decision}", answer) == []


def test_a_policy_is_changed_at_the_version_that_was_read(house):
    before = house.project()

    changed = house.patch({"quarantine_days": 8}, if_match=before.headers["ETag"])

    assert (changed.status, changed.json()["policy"]["quarantine_days"]) == (200, 8)
    assert changed.headers["ETag"] not in {None, before.headers["ETag"]}
    assert changed.headers["ETag"] == house.project().headers["ETag"]


def test_a_policy_that_somebody_else_has_changed_meanwhile_stays_as_they_set_it(house):
    read = house.project().headers["ETag"]
    house.patch({"quarantine_days": 9})

    late = house.patch({"quarantine_days": 10}, if_match=read)

    assert (late.status, late.json()["type"]) == (412, "urn:keyturn:problem:stale")
    assert house.project().json()["policy"]["quarantine_days"] == 9


@pytest.mark.parametrize(("tags", "days"), [("*", 11), ('"0", {}', 12), ('{} , "x"', 13)])
def test_one_true_tag_among_several_is_enough(house, tags, days):
    told = tags.format(house.project().headers["ETag"])

    assert house.patch({"quarantine_days": days}, if_match=told).status == 200


def test_a_weak_tag_is_never_the_version_that_was_read(house):
    assert house.patch({"mode": "remind"}, if_match="W/" + house.project().headers["ETag"]).status == 412


@pytest.mark.parametrize("tag", ["7", '"7', "", '"7" "8"', '"' + "7" * 300 + '"'])
def test_a_tag_that_is_none_is_refused_by_the_headers_name(house, tag):
    answer = house.patch({"mode": "remind"}, if_match=tag)

    assert answer.status == 400
    assert "if-match" in answer.json()["detail"]


@pytest.mark.parametrize("until", ["9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00"])
def test_a_date_at_the_end_of_the_calendar_is_refused_by_its_name(house, until):
    target = f"/v1/projects/{house.project_id}/acknowledgement"

    answer = house.api.ask("POST", target, {"until": until}, caller=house.ada)

    assert answer.status == 400
    assert "`until`" in answer.json()["detail"]


def test_a_date_is_shown_in_utc_wherever_it_was_written(house):
    target = f"/v1/projects/{house.project_id}/acknowledgement"

    until = (house.clock.now() + timedelta(days=30)).replace(microsecond=0)
    there = until.astimezone(timezone(timedelta(hours=2)))

    answer = house.api.ask("POST", target, {"until": there.isoformat()}, caller=house.ada)

    assert answer.json()["quiet_until"] == f"{until:%Y-%m-%dT%H:%M:%SZ}"


def test_a_period_is_shown_in_utc_wherever_it_was_written(house):
    target = f"/v1/projects/{house.project_id}/evidence?from=2027-01-01T00:00:00%2B02:00"

    pack = house.api.ask("GET", target, caller=house.ada).json()

    assert pack["period"]["from"] == "2026-12-31T22:00:00Z"
