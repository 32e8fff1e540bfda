"""What each scenario of the sandbox promises by its name, seen over the API alone."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sandbox.__main__ import SCENARIO_NAMES
from sandbox.gateway import Api
from sandbox.scenarios import SCENARIOS, open_scenario

ROOT = Path(__file__).resolve().parent.parent
NOW = datetime(2027, 6, 1, 12, tzinfo=UTC)


class Seen:
    """A scenario as an operator sees it."""

    def __init__(self, world):
        self._api, self._caller = Api(world), world.operators[0].arn
        self.now, self.inbox = world.clock.now(), world.aws.inbox()
        self.projects = {one["name"]: one for one in self.get("/v1/projects")["items"]}
        self.keys = {one["arn"]: one for one in self.get("/v1/keys")["items"]}
        self.payments = self.projects["payments"]

    def get(self, target):
        return self._api.ask("GET", target, None, caller=self._caller, headers={}).json()

    @property
    def old_keys(self):
        return [key for arn, key in self.keys.items() if arn != self.payments["key"]]


@pytest.fixture(scope="module")
def seen(request):
    with open_scenario(request.param, NOW) as set_up:
        assert not set_up.world.progress.failures
        yield Seen(set_up.world)


def scenario(name):
    return pytest.mark.parametrize("seen", [name], indirect=True, scope="module")


def test_every_name_that_can_be_asked_for_has_its_scenario():
    assert set(SCENARIO_NAMES) == set(SCENARIOS)


@pytest.mark.parametrize("seen", SCENARIO_NAMES, indirect=True, scope="module")
def test_a_scenario_ends_at_the_moment_that_was_asked_for(seen):
    assert seen.now == NOW


@scenario("due-today")
def test_due_today_a_project_is_due_at_the_moment_at_which_the_scenario_ends(seen):
    assert datetime.fromisoformat(seen.payments["due_at"]) == NOW


@scenario("draining")
def test_draining_an_old_key_waits_for_snapshots_of_both_clusters(seen):
    (old,) = seen.old_keys

    assert (old["state"], old["safe_to_delete"]) == ("retiring", False)
    assert {one["cluster"] for one in old["clusters"] if one["snapshots"]} == {"ledger", "archive"}
    assert datetime.fromisoformat(old["free_at"]) > NOW


@scenario("drift")
def test_drift_encryption_was_switched_off_outside_keyturn(seen):
    assert seen.payments["drift"] == ["encryption_disabled"]


@scenario("rogue-deletion")
def test_rogue_deletion_a_key_in_use_is_about_to_be_deleted_and_nobody_of_ours_asked_for_it(seen):
    told = [one["subject"] for one in seen.inbox if one["attributes"]["kind"] == "drift"]

    assert "key_not_enabled" in seen.payments["drift"]
    assert seen.keys[seen.payments["key"]]["deletion_id"] is None
    assert any("somebody called ScheduleKeyDeletion" in subject for subject in told)


@scenario("paused-cluster")
def test_paused_cluster_an_old_key_is_kept_for_a_cluster_that_sleeps(seen):
    (old,) = seen.old_keys

    assert ("paused", "archive") in {(one["kind"], one["cluster"]) for one in old["reasons"]}


@scenario("lost-permission")
def test_lost_permission_atlas_may_not_use_the_key_any_more(seen):
    assert "grant_removed" in seen.payments["drift"]


def test_the_page_of_the_console_lists_every_scenario():
    page = (ROOT / "docs" / "console.md").read_text(encoding="utf-8")

    assert re.findall(r"^\| `([a-z-]+)` \|", page, re.MULTILINE) == list(SCENARIO_NAMES)
