"""One project's life, day by day, on the sandbox: what people hear, what Atlas gets, what becomes of the old key."""

from collections import Counter
from datetime import timedelta

import pytest

from sandbox.cast import SOON_GONE, stage
from sandbox.door import Api
from sandbox.runner import Runner


@pytest.fixture(scope="module")
def life():
    """120 days of a project that rotates by policy; its key is 60 days old when Keyturn is installed."""
    with stage() as set_up:
        begin = set_up.world.clock.now() + timedelta(days=60)
        project_id = set_up.add_project("payments")
        set_up.atlas.add_cluster(project_id, "ledger", policies=SOON_GONE)
        old_key = set_up.atlas.projects[project_id].key
        set_up.let_atlas_live(begin)
        runner, api = set_up.install()
        runner.run_until(begin)
        ask(set_up, api, "PATCH", f"/v1/projects/{project_id}/policy", {"mode": "rotate"})
        days = []
        for day in range(1, 121):
            Runner(set_up.world).run_until(begin + timedelta(days=day))
            days.append(ask(set_up, api, "GET", f"/v1/keys/{old_key.rpartition('/')[2]}"))
        runner.run_until(set_up.world.clock.now() + timedelta(hours=3))  # the last snapshots come to their end
        yield Life(set_up, api, runner, project_id, old_key, days)


class Life:
    def __init__(self, set_up, api, runner, project_id, old_key, days):
        self.set_up, self.api, self.runner = set_up, api, runner
        self.project_id, self.old_key, self.days = project_id, old_key, days
        self.inbox = set_up.world.aws.inbox()

    def ask(self, target):
        return ask(self.set_up, self.api, "GET", target)

    def kinds(self):
        return Counter(message["attributes"]["kind"] for message in self.inbox)


def ask(set_up, api: Api, method, target, body=None):
    answer = api.ask(method, target, body, caller=set_up.world.operators[0].arn)
    assert answer.status == 200, answer.body
    return answer.json()


def test_no_function_failed(life):
    assert life.runner.failures == []


def test_every_notice_reached_the_inbox_exactly_once(life):
    ids = Counter(message["attributes"]["notice_id"] for message in life.inbox)

    assert ids
    assert set(ids.values()) == {1}


def test_the_reminders_before_the_due_day_were_spoken_once_each_and_in_order(life):
    rungs = [message["attributes"]["rung"] for message in life.inbox if "rung" in message["attributes"]]

    assert rungs[:4] == ["-30", "-14", "-7", "-1"]
    assert len(rungs) == len(
        {
            (message["time"], message["attributes"].get("rung"))
            for message in life.inbox
            if "rung" in message["attributes"]
        }
    )


def test_the_rotation_started_by_policy_and_was_deployed(life):
    rotations = life.ask(f"/v1/projects/{life.project_id}/rotations")["items"]

    first = min(rotations, key=lambda rotation: rotation["requested_at"])
    assert first["state"] == "deployed"
    assert first["requested_by"] == "keyturn policy"
    assert first["old_key"] == life.old_key


def test_atlas_uses_the_new_key_and_the_cycle_has_begun_anew(life):
    project = life.ask(f"/v1/projects/{life.project_id}")

    assert project["key"] == life.set_up.atlas.projects[life.project_id].key
    assert project["key"] != life.old_key
    assert project["open_rotation"] is None
    assert life.set_up.atlas.projects[life.project_id].valid()


def test_the_old_key_is_kept_for_its_snapshots_after_the_rotation(life):
    two_months_later = life.days[89]

    assert two_months_later["state"] == "retiring"
    assert not two_months_later["safe_to_delete"]
    assert two_months_later["reasons"]


def test_every_snapshot_can_still_be_restored(life):
    snapshots = list(life.set_up.atlas.every_snapshot())

    for snapshot in snapshots:
        life.set_up.atlas.restore(snapshot.snapshot_id)

    assert snapshots


def test_the_day_comes_on_which_the_old_key_is_provably_free_and_people_are_told_once(life):
    last = life.days[-1]

    assert (last["safe_to_delete"], last["reasons"]) == (True, [])
    assert last["proof"]["digest"]
    assert life.kinds()["key_safe"] == 1
