"""Faults of the pretend Atlas: each can be ordered for any call by its place."""

import json
import time
from http.client import HTTPException

import pytest
from pretend_atlas_sandbox import ROLE, Sandbox

from sandbox.atlas import BackupPolicy, Fault, PretendAtlas, ShiftingPages

NONE: tuple[BackupPolicy, ...] = ()


@pytest.fixture
def sandbox():
    made = Sandbox()
    with PretendAtlas(made.world) as made.atlas:
        yield made


@pytest.fixture
def project(sandbox):
    made = sandbox.world.add_project("shop", key=sandbox.new_key(), role_arn=ROLE)
    sandbox.world.add_cluster(made, "c", policies=NONE)
    sandbox.world.take_snapshot(made, "c")
    sandbox.pass_time(minutes=8)
    sandbox.ask("GET", "/groups")
    return made


@pytest.fixture
def path(project):
    return f"/groups/{project}/clusters/c/backup/snapshots"


@pytest.fixture
def order(sandbox, path):
    def order(kind, method="GET", pattern="snapshots$", **options):
        sandbox.atlas.faults.append(Fault(method, pattern, kind, **options))
        return sandbox.ask("GET", path)

    return order


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 500, 502, 503, 504])
def test_any_status_can_be_ordered_with_its_code(order, status):
    answered, body = order("status", status=status, code="SOME_CODE")

    assert (answered, body["error"], body["errorCode"]) == (status, status, "SOME_CODE")


@pytest.mark.parametrize(("kind", "tells"), [("429", True), ("429_bare", False)])
def test_too_many_calls_are_refused_with_and_without_a_time_to_wait(sandbox, path, kind, tells):
    sandbox.atlas.faults.append(Fault("GET", "snapshots$", kind))

    status, _, headers = sandbox.headers_of("GET", path)

    assert (status, "Retry-After" in headers) == (429, tells)


def test_a_revoked_token_is_worth_nothing_any_more_but_a_new_one_is(sandbox, path, order):
    first, _ = order("token_revoked")
    second, _ = sandbox.ask("GET", path)
    sandbox.tokens.clear()

    third, _ = sandbox.ask("GET", path)

    assert (first, second, third) == (401, 401, 200)


@pytest.mark.parametrize("kind", ["drop_before", "drop_after", "truncate"])
def test_an_answer_can_be_lost_or_cut(order, kind):
    with pytest.raises((OSError, HTTPException)):
        order(kind)


def test_an_answer_can_be_no_json(order):
    with pytest.raises(json.JSONDecodeError):
        order("not_json")


GARBLED = {
    "no_results": lambda body: "results" not in body,
    "null_results": lambda body: body["results"] is None,
    "goes_on": lambda body: body["links"][-1]["rel"] == "next",
    "bad_dates": lambda body: body["results"][0]["expiresAt"] == "some day",
    "unknown_keys": lambda body: body["results"][0]["masterKeyUUID"] == "alias/somebody-elses",
    "no_keys": lambda body: "masterKeyUUID" not in body["results"][0],
    "no_ids": lambda body: "id" not in body["results"][0],
}


@pytest.mark.parametrize("kind", GARBLED)
def test_an_answer_can_be_garbled(order, sandbox, path, kind):
    status, body = order(kind)

    assert (status, GARBLED[kind](body)) == (200, True)
    assert not GARBLED[kind](sandbox.ask("GET", path)[1])


@pytest.mark.parametrize("amount", [1, -1])
def test_a_total_can_be_wrong_in_both_directions(order, amount):
    _, body = order("wrong_total", amount=amount)

    assert body["totalCount"] == len(body["results"]) + amount


def test_an_answer_can_be_late(order):
    began = time.monotonic()

    status, _ = order("latency", seconds=0.05)

    assert (status, time.monotonic() - began >= 0.05) == (200, True)


def test_every_call_can_take_its_time(sandbox, path):
    sandbox.atlas.latency = 0.02
    began = time.monotonic()

    sandbox.ask("GET", path)

    assert time.monotonic() - began >= 0.02


def test_a_fault_can_strike_the_nth_call_whatever_it_is(sandbox, project, path):
    sandbox.atlas.faults.append(Fault("*", "^/api/atlas/v2", "status", nth=3, status=503))
    paths = ["/groups", f"/groups/{project}/alerts", path, "/groups"]

    statuses = [sandbox.ask("GET", one)[0] for one in paths]

    assert statuses == [200, 200, 503, 200]


def test_a_fault_can_strike_for_ever(sandbox, path):
    sandbox.atlas.faults.append(Fault("GET", "snapshots$", "status", status=503, nth=2, times=None))

    statuses = [sandbox.ask("GET", path)[0] for _ in range(4)]

    assert statuses == [200, 503, 503, 503]


def read_pages(sandbox, path, size):
    pages, number = [], 1
    while True:
        body = sandbox.ask("GET", f"{path}?itemsPerPage={size}&pageNum={number}")[1]
        pages.append([one["id"] for one in body["results"]])
        if body["links"][-1]["rel"] != "next":
            return pages
        number += 1


def test_deletions_between_two_pages_hide_what_moves_up(sandbox, project, path):
    for _ in range(5):
        sandbox.world.take_snapshot(project, "c")
    before = [one["id"] for one in sandbox.ask("GET", path)[1]["results"]]
    sandbox.atlas.after_call = ShiftingPages(sandbox.world, project, "c", delete=1)

    pages = read_pages(sandbox, path, 3)

    assert pages == [before[:3], before[4:]]


def test_insertions_between_two_pages_show_something_twice(sandbox, project, path):
    for _ in range(5):
        sandbox.world.take_snapshot(project, "c")
    before = [one["id"] for one in sandbox.ask("GET", path)[1]["results"]]
    sandbox.atlas.after_call = ShiftingPages(sandbox.world, project, "c", insert=2)

    pages = read_pages(sandbox, path, 3)

    assert pages == [before[:3], before[1:4], before[4:]]


def test_a_list_is_at_rest_after_as_many_changes_as_were_ordered(sandbox, project, path):
    sandbox.atlas.after_call = ShiftingPages(sandbox.world, project, "c", insert=1, rounds=2)

    counts = [len(sandbox.ask("GET", path)[1]["results"]) for _ in range(4)]

    assert counts == [1, 2, 3, 3]
