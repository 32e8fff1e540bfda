"""Several hands at once: operators that repeat and contradict each other, and people in the Atlas UI meanwhile."""

import pytest
from storyteller import SETTINGS_PATH, Tale, telling

from sandbox.atlas import Fault

NAMES = ("asked", "overtaken", "forestalled", "undone", "switched-off", "many", "removed")


class Hands(Tale):
    """A tale about projects in which several people do something at the same time."""

    def __init__(self, set_up):
        self.projects = {name: set_up.add_project(name) for name in NAMES}
        for project_id in self.projects.values():
            set_up.atlas.add_cluster(project_id, "main", backups=False)
        self.old_keys = {name: set_up.atlas.projects[self.projects[name]].key for name in NAMES}
        super().__init__(set_up)

    def post(self, name, key, body=None, person=0):
        target = f"/v1/projects/{self.projects[name]}/rotations"
        return self.ask("POST", target, body or {}, person=person, idempotency_key=key)

    def current(self, name):
        return self.in_settings(self.projects[name])

    def seen(self, name, rotation_id):
        return self.rotation(self.projects[name], rotation_id)


@pytest.fixture(scope="module")
def hands():
    with telling() as set_up:
        yield Hands(set_up)


def test_the_same_key_with_the_same_body_is_the_same_rotation_for_whoever_asks(hands):
    first, again = hands.post("asked", "ours", {"reason": "due"}), hands.post("asked", "ours", {"reason": "due"}, 1)

    assert (first.status, again.status) == (202, 202)
    assert first.json()["rotation_id"] == again.json()["rotation_id"]
    assert len(hands.rotations(hands.projects["asked"])) == 1


def test_the_same_key_with_another_body_is_a_contradiction(hands):
    answer = hands.post("asked", "ours", {"reason": "another"})

    assert answer.status == 422


def test_a_second_rotation_waits_for_the_end_of_the_first_and_names_it(hands):
    (first,) = hands.rotations(hands.projects["asked"])

    answer = hands.post("asked", "theirs", person=1)

    assert (answer.status, answer.json()["rotation_id"]) == (409, first["rotation_id"])


def test_repeated_requests_make_one_key_and_one_change(hands):
    keys, patches = len(hands.kms().list_keys()["Keys"]), hands.patches()
    answers = [hands.post("many", key, person=person) for key in "aabbab" for person in (0, 1)]

    hands.wait(hours=2)

    assert {answer.status for answer in answers} == {202, 409}
    assert len(hands.rotations(hands.projects["many"])) == 1
    rotations_open = 2  # the project asked is rotated in the same hours
    assert len(hands.kms().list_keys()["Keys"]) - keys == hands.patches() - patches == rotations_open


def test_a_key_chosen_in_atlas_before_the_swap_is_not_overwritten(hands):
    name, project_id = "forestalled", hands.projects["forestalled"]
    fault = Fault("PATCH", SETTINGS_PATH.format(project_id), "status", status=400, code="CANNOT_ASSUME_ROLE", times=1)
    hands.set_up.server.faults.append(fault)
    rotation_id = hands.accepted(project_id)
    hands.wait(seconds=10)
    chosen, before = hands.make_key(), hands.patches()
    hands.atlas.switch_key_by_hand(project_id, chosen)

    hands.wait(hours=25)

    rotation = hands.seen(name, rotation_id)
    assert (rotation["state"], rotation["error"]["code"]) == ("failed", "key_changed_by_hand")
    assert hands.current(name) == chosen == hands.project(project_id)["key"]
    assert hands.patches() == before
    assert hands.state_of(rotation["new_key"]) == "PendingDeletion"
    assert len(hands.heard("drift", project_id)) == 1


def test_a_key_chosen_in_atlas_during_the_deployment_is_adopted(hands):
    name, project_id = "overtaken", hands.projects["overtaken"]
    rotation_id = hands.accepted(project_id)
    hands.wait(minutes=12)
    chosen, before = hands.make_key(), hands.patches()
    hands.atlas.switch_key_by_hand(project_id, chosen)

    hands.wait(hours=25)

    rotation = hands.seen(name, rotation_id)
    assert (rotation["state"], rotation["error"]["code"]) == ("failed", "key_changed_by_hand")
    assert hands.current(name) == chosen == hands.project(project_id)["key"]
    assert hands.patches() == before
    for left in (rotation["old_key"], rotation["new_key"]):
        assert hands.key(left)["state"] == "retiring"
        assert hands.state_of(left) == "Enabled"


def test_a_swap_that_people_undo_in_atlas_stays_undone(hands):
    name, project_id = "undone", hands.projects["undone"]
    rotation_id = hands.accepted(project_id)
    hands.wait(minutes=12)
    before = hands.patches()
    hands.atlas.switch_key_by_hand(project_id, hands.old_keys[name])

    hands.wait(hours=25)

    rotation = hands.seen(name, rotation_id)
    assert (rotation["state"], rotation["error"]["code"]) == ("failed", "key_changed_by_hand")
    assert hands.current(name) == hands.old_keys[name] == hands.project(project_id)["key"]
    assert hands.patches() == before
    assert hands.project(project_id)["banner"] is None
    assert hands.key(hands.old_keys[name])["state"] == "current"
    assert hands.key(rotation["new_key"])["state"] == "retiring"
    assert len(hands.heard("drift", project_id)) == 1


def test_encryption_switched_off_during_the_deployment_stays_off(hands):
    name, project_id = "switched-off", hands.projects["switched-off"]
    rotation_id = hands.accepted(project_id)
    hands.wait(minutes=40)
    before = hands.patches()
    hands.atlas.disable_encryption(project_id)

    hands.wait(hours=25)

    rotation = hands.seen(name, rotation_id)
    assert (rotation["state"], rotation["error"]["code"]) == ("failed", "encryption_disabled")
    assert hands.current(name) is None
    assert hands.patches() == before
    assert [one["subject"].rpartition(": ")[2] for one in hands.heard("drift", project_id)] == ["encryption disabled"]


def test_the_rotation_of_a_project_that_is_removed_ends_within_a_day_and_its_keys_stay(hands):
    name, project_id = "removed", hands.projects["removed"]
    rotation_id = hands.accepted(project_id)
    hands.wait(minutes=12)
    hands.atlas.remove_project(project_id)

    hands.wait(hours=26)

    rotation, project = hands.seen(name, rotation_id), hands.project(project_id)
    assert (rotation["state"], rotation["error"]["code"]) == ("failed", "project_gone")
    assert (project["banner"], project["open_rotation"]) == (None, None)
    assert [one["subject"].rpartition(": ")[2] for one in hands.heard("drift", project_id)] == ["project gone"]
    for key in (rotation["old_key"], rotation["new_key"]):
        assert hands.state_of(key) == "Enabled"
        assert not hands.key(key)["safe_to_delete"]


def test_no_function_failed(hands):
    assert hands.runner.failures == []
