"""Answers that are lost, late or wrong while the settings are changed: one key, one change, the truth at the end."""

from collections import Counter
from datetime import timedelta

import pytest
from storyteller import SETTINGS_PATH, Tale, telling

from sandbox.atlas import Fault


def patch(kind, **more):
    return ("PATCH", kind, more)


LOST = {
    "error before": [patch("status", status=500)],
    "no answer, no effect": [patch("drop_before")],
    "effect, answer lost": [patch("drop_after")],
    "effect and 500": [patch("status_after", status=500)],
    "effect and 503 twice": [patch("status_after", status=503, times=2)],
    "effect and half an answer": [patch("truncate")],
    "effect and no JSON": [patch("not_json")],
    "effect and 409": [patch("status_after", status=409, code="ATLAS_SAYS_NO")],
    "effect after a second": [patch("late_effect", status=500, seconds=1)],
    "effect after a minute": [patch("late_effect", status=504, seconds=60)],
    "effect after nine minutes": [patch("late_effect", status=500, seconds=540)],
    "too many calls": [patch("429", times=3)],
    "token revoked": [patch("token_revoked")],
    "read-back lost": [patch("drop_after"), ("GET", "drop_before", {"nth": 3, "times": 2})],
}
FATAL = {
    "409": (409, "ATLAS_SAYS_NO"),
    **{
        code: (400, code)
        for code in (
            "NO_PERMISSION_TO_ENCRYPT_DECRYPT",
            "AWS_KMS_CUSTOMER_MASTER_KEY_NOT_ENABLED",
            "AWS_KMS_CUSTOMER_MASTER_KEY_PENDING_DELETION",
            "AWS_KMS_REGION_NOT_SUPPORTED",
            "INVALID_REGION",
            "ENCRYPTION_AT_REST_SETTINGS_INVALID",
            "CANNOT_CHANGE_ENCRYPTION_AT_REST_PROVIDER",
            "AWS_KMS_CREDENTIALS_AUTH_DEPRECATED",
            "MISSING_ATTRIBUTE",
        )
    },
}
LATE = ("settings shown late", "keys shown late")


class Postmen(Tale):
    """A tale about a project for each way in which an answer can go wrong."""

    def __init__(self, set_up):
        self.projects = {name: set_up.add_project(name) for name in (*LOST, *FATAL, *LATE)}
        for project_id in self.projects.values():
            set_up.atlas.add_cluster(project_id, "main", backups=False)
        super().__init__(set_up)

    def order(self, name, method, kind, **more):
        self.set_up.server.faults.append(Fault(method, SETTINGS_PATH.format(self.projects[name]), kind, **more))

    def changes(self, name):
        """How often Atlas has really changed a project's settings since it was made."""
        events = Counter(one.kind for one in self.atlas.projects[self.projects[name]].events)
        return events["ENCRYPTION_AT_REST_CONFIGURATION_UPDATED"] - 1

    def made_for(self, rotation_id):
        """Every key that was made for a rotation, as its tags tell."""
        kms, found = self.kms(), []
        for one in kms.get_paginator("list_keys").paginate().search("Keys[].KeyId"):
            tags = {tag["TagKey"]: tag["TagValue"] for tag in kms.list_resource_tags(KeyId=one)["Tags"]}
            if rotation_id in tags.values():
                found.append(one)
        return found


@pytest.fixture(scope="module")
def postmen():
    """All rotations are requested at once, every fault is ordered for its own project; then three hours pass."""
    with telling() as set_up:
        tale = Postmen(set_up)
        tale.old_keys = {name: tale.in_settings(project_id) for name, project_id in tale.projects.items()}
        for name, faults in LOST.items():
            for method, kind, more in faults:
                tale.order(name, method, kind, **more)
        for name, (status, code) in FATAL.items():
            tale.order(name, "PATCH", "status", status=status, code=code, times=None)
        tale.ids = {name: tale.accepted(tale.projects[name]) for name in (*LOST, *FATAL)}
        tale.wait(hours=3)
        yield tale


def rotation_of(postmen, name):
    return postmen.rotation(postmen.projects[name], postmen.ids[name])


@pytest.mark.parametrize("name", LOST)
def test_whatever_becomes_of_the_answer_the_rotation_ends_as_atlas_shows(postmen, name):
    rotation = rotation_of(postmen, name)

    assert (rotation["state"], rotation["error"]) == ("deployed", None)
    assert postmen.in_settings(postmen.projects[name]) == rotation["new_key"]


@pytest.mark.parametrize("name", LOST)
def test_one_key_is_made_and_one_change_applied(postmen, name):
    assert len(postmen.made_for(postmen.ids[name])) == 1
    assert postmen.changes(name) == 1


@pytest.mark.parametrize("name", FATAL)
def test_what_atlas_refuses_for_good_stops_with_the_old_key_in_place(postmen, name):
    rotation = rotation_of(postmen, name)

    assert (rotation["state"], rotation["error"]["code"]) == ("failed", FATAL[name][1])
    assert postmen.in_settings(postmen.projects[name]) == postmen.old_keys[name] == rotation["old_key"]
    assert postmen.changes(name) == 0


def test_nothing_that_was_refused_for_good_was_sent_twice(postmen):
    sent = {fault.path_pattern: fault.seen for fault in postmen.set_up.server.faults if fault.times is None}

    assert set(sent.values()) == {1}


def test_what_was_made_for_a_rotation_that_failed_is_taken_back_within_a_day(postmen):
    postmen.wait(hours=21)

    left = {postmen.state_of(rotation_of(postmen, name)["new_key"]) for name in FATAL}

    assert left == {"PendingDeletion"}


def test_settings_that_are_shown_late_are_waited_for_not_sent_again(postmen):
    name = "settings shown late"
    postmen.atlas.lags.settings = timedelta(minutes=5)
    postmen.ids[name] = postmen.accepted(postmen.projects[name])

    postmen.wait(hours=2)
    postmen.atlas.lags.settings = timedelta(0)

    assert rotation_of(postmen, name)["state"] == "deployed"
    assert postmen.changes(name) == 1


def test_a_new_key_that_kms_shows_late_is_not_made_twice(postmen):
    name = "keys shown late"
    postmen.world.aws.kms.consistency_delay = timedelta(seconds=40)
    postmen.ids[name] = postmen.accepted(postmen.projects[name])

    postmen.wait(hours=2)
    postmen.world.aws.kms.consistency_delay = timedelta(0)

    assert rotation_of(postmen, name)["state"] == "deployed"
    assert len(postmen.made_for(postmen.ids[name])) == 1
    assert postmen.changes(name) == 1


def test_no_function_failed(postmen):
    assert postmen.runner.failures == []
