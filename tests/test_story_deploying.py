"""From the swap to the end: the banner, the soak, clusters that sleep, and an emergency."""

from datetime import datetime, timedelta

import pytest
from storyteller import Tale, telling

from sandbox.atlas import BackupPolicy

NAMES = ("plain", "sleepy", "urgent", "unknown", "proven")
BANNER = "key rotation is being deployed: do not disable or delete {} until this is over"
HOURLY = (BackupPolicy(kind="hourly", every=6, keep=timedelta(days=14)),)


class Crews(Tale):
    """A tale about projects whose clusters take up a new key."""

    def __init__(self, set_up):
        self.projects = {name: set_up.add_project(name) for name in NAMES}
        for project_id in self.projects.values():
            set_up.atlas.add_cluster(project_id, "main", backups=False)
        set_up.atlas.add_cluster(self.projects["sleepy"], "sleeper", backups=False)
        set_up.atlas.pause(self.projects["sleepy"], "sleeper")
        set_up.atlas.add_cluster(self.projects["urgent"], "shop", policies=HOURLY)
        set_up.atlas.add_cluster(self.projects["urgent"], "wide", kind="SHARDED", policies=HOURLY)
        set_up.atlas.add_cluster(self.projects["urgent"], "former", policies=HOURLY)
        set_up.atlas.add_cluster(self.projects["unknown"], "odd", backups=False)
        set_up.let_atlas_live(set_up.world.clock.now() + timedelta(hours=14))
        set_up.atlas.delete_cluster(self.projects["urgent"], "former", retain_backups=True)
        super().__init__(set_up)

    def current(self, name):
        return self.in_settings(self.projects[name])

    def seen(self, name, rotation_id):
        return self.rotation(self.projects[name], rotation_id)


@pytest.fixture(scope="module")
def crews():
    with telling() as set_up:
        yield Crews(set_up)


def moment(text):
    return datetime.fromisoformat(text)


@pytest.fixture(scope="module")
def watched(crews):
    """A plain rotation, looked at every five minutes until two hours have passed."""
    project_id = crews.projects["plain"]
    rotation_id, looks = crews.accepted(project_id), []
    for _ in range(24):
        crews.wait(minutes=5)
        looks.append((crews.project(project_id), crews.seen("plain", rotation_id)))
    return looks


def test_while_it_is_being_deployed_the_banner_is_shown_with_the_project_and_the_rotation(watched):
    deploying = [(project, rotation) for project, rotation in watched if rotation["state"] == "deploying"]

    assert len(deploying) > 3
    for project, rotation in deploying:
        assert project["banner"] == rotation["banner"] == BANNER.format(rotation["old_key"])


def test_the_banner_goes_when_the_new_key_is_deployed(watched):
    project, rotation = watched[-1]

    assert rotation["state"] == "deployed"
    assert project["banner"] is rotation["banner"] is None


def test_the_notice_of_the_deployment_carries_the_banner(crews, watched):
    (told,) = crews.heard("rotation_deploying", crews.projects["plain"])

    assert BANNER.format(watched[-1][1]["old_key"]) in told["body"]


def test_what_is_waited_for_is_said(watched):
    said = {text for _, rotation in watched for text in rotation["waiting_for"]}

    assert any("cluster main to become IDLE (it is UPDATING)" in text for text in said)
    assert any("all clusters at rest for" in text for text in said)


def test_it_is_deployed_half_an_hour_after_the_last_cluster_came_to_rest(crews, watched):
    project = crews.atlas.projects[crews.projects["plain"]]
    (rest,) = [event.at for event in project.events if event.kind == "CLUSTER_UPDATE_COMPLETED"]

    rotation = watched[-1][1]
    assert moment(rotation["deployed_at"]) - rest >= timedelta(minutes=30)


@pytest.fixture(scope="module")
def slept(crews):
    """A rotation during which a cluster was paused; the rotation and the old key as they were then."""
    rotation_id = crews.accepted(crews.projects["sleepy"])
    crews.wait(hours=3)
    rotation = crews.seen("sleepy", rotation_id)
    return rotation, crews.key(rotation["old_key"])


def test_a_paused_cluster_does_not_hold_the_deployment_up(slept):
    rotation, _ = slept

    assert rotation["state"] == "deployed"


def test_people_are_told_which_clusters_sleep_on_the_old_key(crews, slept):
    (told,) = crews.heard("rotation_deployed", crews.projects["sleepy"])

    assert "Paused clusters still on the old key: sleeper." in told["body"]


def test_a_paused_cluster_keeps_the_old_key(slept):
    _, old_key = slept

    assert not old_key["safe_to_delete"]
    assert "paused" in {reason["kind"] for reason in old_key["reasons"]}


def test_once_the_sleeper_was_seen_running_it_keeps_the_old_key_no_longer(crews, slept):
    rotation, _ = slept
    crews.wait(days=2)
    asleep = {reason["kind"] for reason in crews.key(rotation["old_key"])["reasons"]}

    crews.atlas.resume(crews.projects["sleepy"], "sleeper")
    crews.wait(days=3)

    assert asleep == {"paused"}
    old_key = crews.key(rotation["old_key"])
    assert (old_key["reasons"], old_key["safe_to_delete"]) == ([], True)
    assert rotation["old_key"] not in crews.atlas.keys_in_use()


@pytest.fixture(scope="module")
def urgent(crews):
    """An emergency in a project that wanted to be left alone, and every snapshot that the old key opened at its end."""
    quiet = {"until": f"{crews.now + timedelta(days=60):%Y-%m-%dT%H:%M:%SZ}", "comment": "not before spring"}
    answer = crews.ask("POST", f"/v1/projects/{crews.projects['urgent']}/acknowledgement", quiet)
    assert answer.status == 200
    rotation_id = crews.accepted(crews.projects["urgent"], emergency=True, reason="a laptop was stolen")
    while crews.seen("urgent", rotation_id)["state"] != "deployed":
        crews.wait(minutes=1)
    rotation = crews.seen("urgent", rotation_id)
    truth = {one.snapshot_id for one in crews.atlas.every_snapshot() if one.key_arn == rotation["old_key"]}
    return rotation, truth


def test_an_emergency_does_not_shorten_the_soak(urgent):
    rotation, _ = urgent

    assert rotation["emergency"]
    assert moment(rotation["deployed_at"]) - moment(rotation["swapped_at"]) > timedelta(minutes=30)


def test_after_an_emergency_every_snapshot_that_the_old_key_opens_is_listed(urgent):
    rotation, truth = urgent

    listed = rotation["still_readable"]
    assert truth
    assert {row[1] for row in listed["snapshots"]} == truth
    assert (listed["counted"], listed["key"], listed["unread"]) == (len(truth), rotation["old_key"], [])


def test_the_list_names_sharded_clusters_and_the_backups_of_deleted_ones(urgent):
    rotation, _ = urgent

    assert {row[0] for row in rotation["still_readable"]["snapshots"]} == {"shop", "wide", "former"}


def test_the_list_is_escalated_once(crews, urgent):
    rotation, truth = urgent
    told = crews.heard("still_readable", crews.projects["urgent"])

    assert len({one["attributes"]["notice_id"] for one in told}) == 1
    assert sorted(one["topic"].rpartition("-")[2] for one in told) == ["AlertsTopic", "EscalationsTopic"]
    assert f"can still read {len(truth)} snapshots" in told[0]["body"]
    assert rotation["rotation_id"] in told[0]["body"]


def test_an_emergency_deletes_no_snapshot(crews, urgent):
    _, truth = urgent

    for snapshot_id in truth:
        crews.atlas.restore(snapshot_id)


def test_other_rotations_list_nothing(watched):
    _, rotation = watched[-1]

    assert rotation["still_readable"] is None


def test_a_cluster_in_a_strange_state_holds_the_deployment_up_with_a_reason(crews):
    project_id = crews.projects["unknown"]
    odd = crews.atlas.ground.cluster(project_id, "odd")
    rotation_id = crews.accepted(project_id)
    crews.wait(minutes=26)
    odd.state = "WHO_KNOWS"

    crews.wait(hours=2)
    held_up = crews.seen("unknown", rotation_id)
    odd.state = "IDLE"
    crews.wait(hours=1)

    assert held_up["state"] == "deploying"
    assert held_up["waiting_for"] == ["cluster odd to become IDLE (it is WHO_KNOWS)"]
    assert crews.seen("unknown", rotation_id)["state"] == "deployed"


def test_a_snapshot_taken_after_the_deployment_proves_the_new_key(crews):
    project_id = crews.projects["proven"]
    crews.atlas.add_cluster(project_id, "kept", policies=HOURLY)
    rotation_id = crews.accepted(project_id)
    crews.wait(hours=2)

    snapshot_id = crews.atlas.take_snapshot(project_id, "kept")
    crews.wait(hours=1)

    (taken,) = [one for one in crews.atlas.every_snapshot() if one.snapshot_id == snapshot_id]
    assert taken.key_arn == crews.seen("proven", rotation_id)["new_key"] == crews.current("proven")


def test_no_function_failed(crews):
    assert crews.runner.failures == []
