"""Every way out of a rotation that shall not be: IAM that is not there yet, a cancel, a rollback; and what is left."""

from datetime import datetime, timedelta

import pytest
from storyteller import SETTINGS_PATH, Tale, telling

from sandbox.atlas import Fault

NOT_YET = ("CANNOT_ASSUME_ROLE", "INVALID_AWS_CREDENTIALS", "CLOUD_PROVIDER_ACCESS_ROLE_NOT_AUTHORIZED")
NAMES = (*NOT_YET, "never", "refused", "own", "given-up", "too-late", "turned", "returned", "no-way-back", "gone-on")


class Doubters(Tale):
    """A tale about a project for each way out."""

    def __init__(self, set_up):
        self.projects = {name: set_up.add_project(name) for name in NAMES}
        for project_id in self.projects.values():
            set_up.atlas.add_cluster(project_id, "main")
        self.old_keys = {name: set_up.atlas.projects[self.projects[name]].key for name in NAMES}
        super().__init__(set_up)

    def refuse_changes(self, name, code, times=None):
        """Have Atlas refuse every change of a project's settings with a code, until the fault is taken away."""
        path = SETTINGS_PATH.format(self.projects[name])
        fault = Fault("PATCH", path, "status", status=400, code=code, times=times)
        self.set_up.server.faults.append(fault)
        return fault

    def current(self, name):
        return self.in_settings(self.projects[name])

    def end(self, name, rotation_id, what):
        """Cancel a rotation or roll it back."""
        return self.ask("POST", f"/v1/projects/{self.projects[name]}/rotations/{rotation_id}/{what}", person=1)

    def seen(self, name, rotation_id):
        return self.rotation(self.projects[name], rotation_id)

    def aliases_of(self, arn):
        return [one["AliasName"] for one in self.kms().list_aliases(KeyId=arn)["Aliases"]]


@pytest.fixture(scope="module")
def doubters():
    with telling() as set_up:
        yield Doubters(set_up)


def moment(text):
    return datetime.fromisoformat(text)


def taken_back(doubters, made):
    """Whether a key that was made for nothing is on its way out, with its alias left as a tombstone."""
    doubters.wait(hours=24)
    (alias,) = doubters.aliases_of(made)
    return doubters.state_of(made) == "PendingDeletion" and alias.startswith("alias/keyturn/")


@pytest.mark.parametrize("code", NOT_YET)
def test_what_iam_does_not_know_for_two_minutes_is_waited_out(doubters, code):
    fault = doubters.refuse_changes(code, code)
    rotation_id = doubters.accepted(doubters.projects[code])

    doubters.wait(minutes=2)
    waiting = doubters.seen(code, rotation_id)
    doubters.set_up.server.faults.remove(fault)
    doubters.wait(hours=1)

    assert waiting["state"] == "swapping"
    assert code in waiting["waiting_for"][0]
    rotation = doubters.seen(code, rotation_id)
    assert (rotation["state"], doubters.current(code)) == ("deployed", rotation["new_key"])


@pytest.fixture(scope="module")
def never(doubters):
    """A rotation whose role IAM does not learn of within ten minutes."""
    doubters.atlas.lags.iam = timedelta(minutes=10)
    rotation_id = doubters.accepted(doubters.projects["never"])
    doubters.wait(minutes=10)
    doubters.atlas.lags.iam = timedelta(0)
    return doubters.seen("never", rotation_id)


def test_what_iam_does_not_know_after_three_minutes_ends_the_rotation_with_the_old_key_in_place(doubters, never):
    assert never["state"] == "failed"
    assert never["error"]["code"] in NOT_YET
    assert moment(never["ended_at"]) - moment(never["requested_at"]) < timedelta(minutes=5)
    assert doubters.current("never") == never["old_key"] == doubters.old_keys["never"]


def test_the_failure_is_told_with_its_cause_and_what_becomes_of_the_new_key(doubters, never):
    (told,) = doubters.heard("rotation_failed", doubters.projects["never"])

    assert never["error"]["detail"] in told["body"]
    assert f"{never['new_key']}, is not used: it is taken back within a day" in told["body"]


def test_the_key_made_for_a_failed_rotation_is_taken_back_within_a_day(doubters, never):
    assert taken_back(doubters, never["new_key"])


def test_after_a_failure_the_next_rotation_makes_another_key_and_succeeds(doubters, never):
    rotation_id = doubters.accepted(doubters.projects["never"])

    doubters.wait(hours=2)

    rotation = doubters.seen("never", rotation_id)
    assert rotation["state"] == "deployed"
    assert rotation["new_key"] not in {never["new_key"], never["old_key"]}


def test_any_other_refusal_ends_the_rotation_after_one_change_was_tried(doubters):
    fault, before = doubters.refuse_changes("refused", "NO_PERMISSION_TO_ENCRYPT_DECRYPT"), doubters.patches()
    rotation_id = doubters.accepted(doubters.projects["refused"])

    doubters.wait(minutes=10)
    doubters.set_up.server.faults.remove(fault)

    rotation = doubters.seen("refused", rotation_id)
    assert (rotation["state"], rotation["error"]["code"]) == ("failed", "NO_PERMISSION_TO_ENCRYPT_DECRYPT")
    assert doubters.patches() - before == 1
    assert doubters.current("refused") == doubters.old_keys["refused"]
    assert taken_back(doubters, rotation["new_key"])


def test_a_key_that_was_brought_stays_its_owners_when_the_rotation_fails(doubters):
    fault, key = doubters.refuse_changes("own", "NO_PERMISSION_TO_ENCRYPT_DECRYPT"), doubters.make_key()
    rotation_id = doubters.accepted(doubters.projects["own"], key=key)

    doubters.wait(hours=30)
    doubters.set_up.server.faults.remove(fault)

    assert doubters.seen("own", rotation_id)["state"] == "failed"
    assert doubters.state_of(key) == "Enabled"
    assert "Your key" in doubters.heard("rotation_failed", doubters.projects["own"])[0]["body"]


def test_a_rotation_is_cancelled_before_anything_was_made(doubters):
    keys = len(doubters.kms().list_keys()["Keys"])
    rotation_id = doubters.accepted(doubters.projects["given-up"])

    answer = doubters.end("given-up", rotation_id, "cancel")
    doubters.wait(minutes=5)

    rotation = doubters.seen("given-up", rotation_id)
    assert answer.status == 202
    assert (rotation["state"], rotation["new_key"]) == ("cancelled", None)
    assert rotation["cancel_requested_by"] == doubters.world.operators[1].arn
    assert len(doubters.kms().list_keys()["Keys"]) == keys


def test_a_cancel_before_the_swap_takes_the_made_key_back(doubters):
    fault = doubters.refuse_changes("given-up", "CANNOT_ASSUME_ROLE")
    rotation_id = doubters.accepted(doubters.projects["given-up"])
    doubters.wait(minutes=1)
    made = doubters.seen("given-up", rotation_id)["new_key"]

    answer = doubters.end("given-up", rotation_id, "cancel")
    doubters.set_up.server.faults.remove(fault)
    doubters.wait(minutes=5)

    assert answer.status == 202
    assert doubters.seen("given-up", rotation_id)["state"] == "cancelled"
    assert doubters.current("given-up") == doubters.old_keys["given-up"]
    assert doubters.project(doubters.projects["given-up"])["open_rotation"] is None
    assert taken_back(doubters, made)


def test_after_the_swap_a_cancel_is_refused_and_points_to_the_rollback(doubters):
    rotation_id = doubters.accepted(doubters.projects["too-late"])
    doubters.wait(minutes=10)

    answer = doubters.end("too-late", rotation_id, "cancel")

    assert answer.status == 409
    assert "roll the rotation back instead" in answer.json()["detail"]


def test_before_the_swap_a_rollback_is_refused_and_points_to_the_cancel(doubters):
    rotation_id = doubters.accepted(doubters.projects["turned"])

    answer = doubters.end("turned", rotation_id, "rollback")

    assert answer.status == 409
    assert "cancel the rotation instead" in answer.json()["detail"]


def test_a_rollback_while_the_new_key_is_being_deployed_brings_the_old_one_back(doubters):
    rotation_id = doubters.project(doubters.projects["turned"])["open_rotation"]
    doubters.wait(minutes=10)
    new_key = doubters.current("turned")

    answer = doubters.end("turned", rotation_id, "rollback")
    doubters.wait(minutes=10)
    on_its_way = doubters.seen("turned", rotation_id)
    doubters.wait(hours=2)

    assert answer.status == 202
    assert new_key != doubters.old_keys["turned"]
    assert (on_its_way["state"], new_key in on_its_way["banner"]) == ("returning", True)
    rotation = doubters.seen("turned", rotation_id)
    assert (rotation["state"], doubters.current("turned")) == ("rolled_back", doubters.old_keys["turned"])
    assert rotation["rollback_requested_by"] == doubters.world.operators[1].arn
    assert doubters.project(doubters.projects["turned"])["key"] == doubters.old_keys["turned"]


def test_the_key_left_by_a_rollback_is_tracked_and_not_taken_back_unproven(doubters):
    rotation = doubters.rotations(doubters.projects["turned"])[0]

    key = doubters.key(rotation["new_key"])

    assert key["state"] == "retiring"
    assert not key["safe_to_delete"]
    assert doubters.state_of(rotation["new_key"]) == "Enabled"


@pytest.fixture(scope="module")
def returned(doubters):
    """A rotation that was deployed and then rolled back, with the project as it was before both."""
    before = doubters.project(doubters.projects["returned"])
    rotation_id = doubters.accepted(doubters.projects["returned"])
    doubters.wait(hours=2)
    assert doubters.seen("returned", rotation_id)["state"] == "deployed"
    answer = doubters.end("returned", rotation_id, "rollback")
    doubters.wait(hours=2)
    return before, answer, doubters.seen("returned", rotation_id)


def test_a_rollback_after_the_deployment_brings_the_old_key_back(doubters, returned):
    _, answer, rotation = returned

    assert answer.status == 202
    assert (rotation["state"], doubters.current("returned")) == ("rolled_back", doubters.old_keys["returned"])
    assert doubters.atlas.projects[doubters.projects["returned"]].valid()


def test_with_the_old_key_its_old_cycle_comes_back(doubters, returned):
    before, _, _ = returned

    after = doubters.project(doubters.projects["returned"])
    assert [after[name] for name in ("key", "key_since", "due_at")] == [
        before[name] for name in ("key", "key_since", "due_at")
    ]


def test_a_rollback_is_told_and_never_repeated(doubters, returned):
    _, _, rotation = returned

    again = doubters.end("returned", rotation["rotation_id"], "rollback")

    assert again.status == 409
    assert len(doubters.heard("rotation_rolled_back", doubters.projects["returned"])) == 1


def test_there_is_no_way_back_to_a_key_that_was_disabled(doubters):
    project_id, old_key = doubters.projects["no-way-back"], doubters.old_keys["no-way-back"]
    doubters.steer(project_id, guard="tell")
    rotation_id = doubters.accepted(project_id)
    doubters.wait(hours=2)
    doubters.kms().disable_key(KeyId=old_key)
    before = doubters.patches()

    doubters.end("no-way-back", rotation_id, "rollback")
    doubters.wait(hours=2)

    rotation = doubters.seen("no-way-back", rotation_id)
    assert (rotation["state"], rotation["error"]["code"]) == ("deployed", "rollback_refused")
    assert f"the old key {old_key} is Disabled" in rotation["error"]["detail"]
    assert doubters.current("no-way-back") == rotation["new_key"]
    assert doubters.patches() == before
    (told,) = doubters.heard("rotation_blocked", project_id)
    assert "the rollback was given up" in told["body"]


def test_only_the_last_rotation_can_be_rolled_back(doubters):
    project_id, first = doubters.projects["gone-on"], None
    for _ in range(2):
        rotation_id = doubters.accepted(project_id)
        first = first or rotation_id
        doubters.wait(hours=2)

    answer = doubters.end("gone-on", first, "rollback")

    assert answer.status == 409
    assert "only its last rotation can be rolled back" in answer.json()["detail"]


def test_no_function_failed(doubters):
    assert doubters.runner.failures == []
