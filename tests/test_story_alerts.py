"""Atlas' alert and Keyturn, over HTTP on the sandbox: it starts a rotation, is acknowledged after it, and heeded."""

from datetime import timedelta

import pytest
from storyteller import Tale, telling

ALERT = "AWS_ENCRYPTION_KEY_NEEDS_ROTATION"
ACKNOWLEDGE = "PATCH /api/atlas/v2/groups/{groupId}/alerts/{alertId}"


@pytest.fixture
def tale():
    with telling() as set_up:
        project_id = set_up.add_project("payments")
        set_up.atlas.add_cluster(project_id, "ledger")
        set_up.let_atlas_live(set_up.world.clock.now() + timedelta(days=85))
        tale = Tale(set_up)
        tale.project_id = project_id
        yield tale


def alerts(tale):
    return list(tale.atlas.projects[tale.project_id].alerts.values())


def reminders(tale):
    """How many reminders were sent, however many topics each went to."""
    return len({one["attributes"]["notice_id"] for one in tale.heard("reminder", tale.project_id)})


def test_a_rotation_by_policy_closes_the_alert_and_nothing_is_left_to_acknowledge(tale):
    tale.steer(tale.project_id, mode="rotate")
    tale.wait(days=9)

    (rotation,) = tale.rotations(tale.project_id)
    assert (rotation["state"], rotation["requested_by"]) == ("deployed", "keyturn policy")
    assert all(alert.resolved_at is not None for alert in alerts(tale))
    assert tale.set_up.server.calls[ACKNOWLEDGE] == 0
    assert tale.runner.failures == []


def test_a_renewal_that_atlas_does_not_see_is_acknowledged_in_atlas_until_the_next_is_due(tale):
    tale.steer(tale.project_id, mode="rotate", strategy="kms-on-demand")
    tale.wait(days=9)

    (rotation,) = tale.rotations(tale.project_id)
    (alert,) = alerts(tale)
    assert rotation["state"] == "deployed"
    assert (alert.kind, alert.resolved_at) == (ALERT, None)
    assert alert.comment.startswith(f"Keyturn rotation {rotation['rotation_id']} (kms-on-demand)")
    assert f"{alert.acknowledged_until:%Y-%m-%dT%H:%M:%SZ}" == tale.project(tale.project_id)["due_at"]
    assert tale.set_up.server.calls[ACKNOWLEDGE] == 1
    assert tale.project(tale.project_id)["quiet_until"] is None


def test_without_the_role_the_rotation_is_done_all_the_same_and_the_refusal_is_told_once(tale):
    tale.set_up.server.reader_roles.remove("Project Alerts Manager")
    tale.steer(tale.project_id, mode="rotate", strategy="kms-on-demand")
    tale.wait(days=12)

    (rotation,) = tale.rotations(tale.project_id)
    (message,) = tale.heard("drift", tale.project_id)
    assert rotation["state"] == "deployed"
    assert "Project Alerts Manager" in message["body"]
    assert tale.project(tale.project_id)["drift"] == ["alert_not_acknowledged"]


def test_what_people_acknowledge_in_atlas_silences_keyturn_at_once_and_as_long(tale):
    tale.wait(days=6, hours=1)
    (alert,) = alerts(tale)
    reminded = reminders(tale)
    project = tale.atlas.projects[tale.project_id]
    until = tale.now + timedelta(days=20)
    tale.atlas.alerts.acknowledge(project, alert, until, "frozen until the audit is over")
    tale.wait(minutes=1)
    shown = tale.project(tale.project_id)
    tale.wait(days=19)
    silent = reminders(tale)
    tale.wait(days=2)

    assert shown["quiet_until"] == f"{until:%Y-%m-%dT%H:%M:%SZ}"
    assert shown["acknowledged_by"] == "atlas: somebody@example.com"
    assert silent == reminded
    assert reminders(tale) == reminded + 1


def test_what_is_taken_back_in_atlas_is_heard_within_minutes(tale):
    tale.wait(days=6, hours=1)
    (alert,) = alerts(tale)
    project = tale.atlas.projects[tale.project_id]
    tale.atlas.alerts.acknowledge(project, alert, tale.now + timedelta(days=20), None)
    tale.wait(minutes=1)
    tale.atlas.alerts.acknowledge(project, alert, None, None)
    tale.wait(minutes=1)

    assert tale.project(tale.project_id)["quiet_until"] is None


def test_dead_letters_and_expiring_secrets_are_told_and_shown(tale):
    queue = tale.world.resources["SweepsDeadLetters"]
    tale.world.aws.client("sqs").send_message(QueueUrl=queue["url"], MessageBody="{}")
    tale.atlas.secrets_expire[tale.atlas.owner.client_id] = tale.now + timedelta(days=9)
    tale.set_up.server.reader_roles.remove("Project Alerts Manager")
    tale.wait(days=3)

    seen = tale.get("/v1/watch")
    assert seen["dead_letters"] == [queue["url"].rpartition("/")[2]]
    assert [tale.atlas.owner.client_id in one for one in seen["expiring"]] == [True]
    assert seen["unverified"] == []
    for kind, told in (("dead_letters", 1), ("secret_expires", 2)):
        assert len({one["attributes"]["notice_id"] for one in tale.heard(kind)}) == told
    assert tale.runner.failures == []


def test_a_reader_that_may_not_see_service_accounts_is_no_error(tale):
    tale.set_up.server.reader_roles.remove("Organization Read Only")
    tale.wait(days=2)

    assert len(tale.get("/v1/watch")["unverified"]) == 2
    assert tale.runner.failures == []
