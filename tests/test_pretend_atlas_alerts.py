"""Alerts of the pretend Atlas: when they open and close, who is told, and the activity feed beside them."""

import json
from base64 import b64encode
from datetime import timedelta
from hmac import digest

import pytest
from pretend_atlas_sandbox import ROLE, Sandbox

from sandbox.atlas import BackupPolicy, PretendAtlas, Webhook

NONE: tuple[BackupPolicy, ...] = ()
ABOUT_KEYS = ("AWS_ENCRYPTION_KEY_INVALID", "ENCRYPTION_AT_REST_CONFIG_NO_LONGER_VALID")


@pytest.fixture
def sandbox():
    made = Sandbox()
    with PretendAtlas(made.world) as made.atlas:
        yield made


@pytest.fixture
def key(sandbox):
    return sandbox.new_key()


@pytest.fixture
def project(sandbox, key):
    return sandbox.world.add_project("shop", key=key, role_arn=ROLE)


def statuses(sandbox, project):
    return [one["status"] for one in sandbox.listed(f"/groups/{project}/alerts")]


def test_an_alert_is_kept_as_closed_after_the_rotation_that_ended_it(sandbox, project):
    sandbox.pass_time(days=91)
    opened = statuses(sandbox, project)
    sandbox.world.switch_key_by_hand(project, sandbox.new_key())

    alert = sandbox.listed(f"/groups/{project}/alerts?status=CLOSED")[0]

    assert (opened, statuses(sandbox, project)) == (["OPEN"], ["CLOSED"])
    assert alert["resolved"] == "2026-04-02T00:30:00Z"
    assert sandbox.ask("GET", f"/groups/{project}/alerts/{alert['id']}")[1] == alert


def test_every_key_that_grows_too_old_has_an_alert_of_its_own(sandbox, project):
    for _ in range(2):
        sandbox.pass_time(days=91)
        sandbox.world.switch_key_by_hand(project, sandbox.new_key())
    sandbox.pass_time(days=91)

    assert statuses(sandbox, project) == ["OPEN", "CLOSED", "CLOSED"]


def test_an_acknowledged_alert_is_tracked_until_the_time_given(sandbox, project):
    sandbox.pass_time(days=91)
    alert = sandbox.listed(f"/groups/{project}/alerts")[0]
    path, until = f"/groups/{project}/alerts/{alert['id']}", sandbox.clock.now() + timedelta(days=7)
    body = {"acknowledgedUntil": until.isoformat(), "acknowledgementComment": "next week"}

    status, shown = sandbox.ask("PATCH", path, body, version="2024-05-30")

    assert (status, shown["status"], shown["acknowledgementComment"]) == (200, "TRACKING", "next week")
    sandbox.pass_time(days=8)
    assert statuses(sandbox, project) == ["OPEN"]


def test_an_acknowledgement_can_be_taken_back(sandbox, project):
    sandbox.pass_time(days=91)
    alert = sandbox.listed(f"/groups/{project}/alerts")[0]
    path = f"/groups/{project}/alerts/{alert['id']}"
    sandbox.ask("PATCH", path, {"acknowledgedUntil": "2030-01-01T00:00:00Z"}, version="2024-05-30")

    sandbox.ask("PATCH", path, {"unacknowledgeAlert": True}, version="2024-05-30")

    assert statuses(sandbox, project) == ["OPEN"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"acknowledgedUntil": "soon"},
        {"acknowledgedUntil": "2030-01-01T00:00:00"},
        {"acknowledgedUntil": "2030-01-01T00:00:00Z", "acknowledgementComment": "x" * 201},
    ],
)
def test_a_strange_acknowledgement_is_refused(sandbox, project, body):
    sandbox.pass_time(days=91)
    alert = sandbox.listed(f"/groups/{project}/alerts")[0]

    status, _ = sandbox.ask("PATCH", f"/groups/{project}/alerts/{alert['id']}", body, version="2024-05-30")

    assert status == 400


@pytest.mark.parametrize("kind", ABOUT_KEYS)
def test_a_project_can_ask_to_be_told_of_a_key_that_does_not_work(sandbox, project, key, kind):
    status, config = sandbox.ask("POST", f"/groups/{project}/alertConfigs", {"eventTypeName": kind})
    sandbox.to_key("DisableKey", key)
    sandbox.world.add_cluster(project, "free", tier="M0")
    sandbox.pass_time(minutes=15)
    sandbox.ask("GET", f"/groups/{project}/encryptionAtRest")
    broken = [(one["eventTypeName"], one["status"]) for one in sandbox.listed(f"/groups/{project}/alerts")]
    sandbox.to_key("EnableKey", key)

    sandbox.pass_time(minutes=15)

    assert (status, "threshold" in config) == (201, False)
    assert broken == [(kind, "OPEN")]
    assert statuses(sandbox, project) == ["CLOSED"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"eventTypeName": "AWS_ENCRYPTION_KEY_NEEDS_ROTATION"}, "MISSING_THRESHOLD"),
        ({"eventTypeName": ABOUT_KEYS[0], "threshold": {"threshold": 1}}, "THRESHOLD_PRESENT"),
        ({"eventTypeName": "NO_PRIMARY"}, "INVALID_ATTRIBUTE"),
    ],
)
def test_a_configuration_that_makes_no_sense_is_refused(sandbox, project, body, code):
    status, answer = sandbox.ask("POST", f"/groups/{project}/alertConfigs", body)

    assert (status, answer["errorCode"]) == (400, code)


def test_a_configuration_that_is_switched_off_closes_its_alert(sandbox, project):
    sandbox.pass_time(days=91)
    config = sandbox.listed(f"/groups/{project}/alertConfigs")[0]

    sandbox.ask("PATCH", f"/groups/{project}/alertConfigs/{config['id']}", {"enabled": False})

    assert statuses(sandbox, project) == ["CLOSED"]
    assert sandbox.listed(f"/groups/{project}/alertConfigs")[0]["enabled"] is False


def test_an_alert_leads_to_its_configuration_and_back(sandbox, project):
    sandbox.pass_time(days=91)
    alert = sandbox.listed(f"/groups/{project}/alerts")[0]

    configs = sandbox.listed(f"/groups/{project}/alerts/{alert['id']}/alertConfigs")

    assert [one["id"] for one in configs] == [alert["alertConfigId"]]
    assert sandbox.listed(f"/groups/{project}/alertConfigs/{configs[0]['id']}/alerts") == [alert]


def test_a_webhook_is_told_when_an_alert_opens_and_closes(sandbox, project):
    told = []
    sandbox.world.alerts.webhook = Webhook(deliver=lambda raw, headers: told.append((raw, headers)), secret="shared")
    sandbox.pass_time(days=91)
    sandbox.world.switch_key_by_hand(project, sandbox.new_key())

    events = [headers["X-MMS-Event"] for _, headers in told]

    assert events == ["alert.open", "alert.close"]
    body = json.loads(told[0][0])
    assert (body["groupId"], body["status"]) == (project, "OPEN")
    assert body["eventTypeName"] == "AWS_ENCRYPTION_KEY_NEEDS_ROTATION"
    assert body["created"] == "2026-04-01T00:30:01Z"
    assert "shop" in body["humanReadable"]
    for raw, headers in told:
        assert headers["X-MMS-Signature"] == b64encode(digest(b"shared", raw, "sha1")).decode()


def test_a_webhook_without_secret_is_not_signed(sandbox, project):
    told = []
    sandbox.world.alerts.webhook = Webhook(deliver=lambda _raw, headers: told.append(headers))

    sandbox.pass_time(days=91)

    assert [set(headers) for headers in told] == [{"Content-Type", "X-MMS-Event"}]


def test_the_feed_is_narrowed_by_type_time_and_cluster(sandbox, project):
    sandbox.world.add_cluster(project, "a", policies=NONE)
    sandbox.world.add_cluster(project, "b", policies=NONE)
    sandbox.pass_time(days=1)
    sandbox.world.take_snapshot(project, "a")
    sandbox.world.switch_key_by_hand(project, sandbox.new_key())
    sandbox.pass_time(days=1)

    def kinds(query):
        return {one["eventTypeName"] for one in sandbox.listed(f"/groups/{project}/events?{query}")}

    two = "eventType=CLUSTER_CREATED&eventType=AWS_ENCRYPTION_KEY_ROTATED"
    assert kinds(two) == {"CLUSTER_CREATED", "AWS_ENCRYPTION_KEY_ROTATED"}
    assert kinds(f"{two}&minDate=2026-01-02T00:00:00Z") == {"AWS_ENCRYPTION_KEY_ROTATED"}
    assert "CLUSTER_CREATED" not in kinds("excludedEventType=CLUSTER_CREATED")
    assert kinds("maxDate=2026-01-01T12:00:00Z&clusterNames=b") == {"CLUSTER_CREATED"}
    assert "CPS_SNAPSHOT_SUCCESSFUL" in kinds("clusterNames=a")
    assert "CPS_SNAPSHOT_SUCCESSFUL" not in kinds("clusterNames=b")


def test_the_feed_shows_what_happened_in_the_very_second_that_it_is_asked_from(sandbox, project):
    sandbox.pass_time(days=1)
    sandbox.world.switch_key_by_hand(project, sandbox.new_key())

    query = f"minDate={sandbox.clock.now():%Y-%m-%dT%H:%M:%SZ}&eventType=AWS_ENCRYPTION_KEY_ROTATED"

    assert len(sandbox.listed(f"/groups/{project}/events?{query}")) == 1


def test_the_feed_comes_in_pages_and_is_counted_only_on_request(sandbox, project):
    for number in range(3):
        sandbox.world.add_cluster(project, f"c{number}", policies=NONE)
    path = f"/groups/{project}/events?eventType=CLUSTER_CREATED&itemsPerPage=2"

    first = sandbox.ask("GET", f"{path}&pageNum=1")[1]
    last = sandbox.ask("GET", f"{path}&pageNum=2&includeCount=true")[1]

    assert (len(first["results"]), first["totalCount"]) == (2, 0)
    assert (len(last["results"]), last["totalCount"]) == (1, 3)
    assert [link["rel"] for link in first["links"]] == ["self", "next"]
    one = first["results"][0]
    assert sandbox.ask("GET", f"/groups/{project}/events/{one['id']}")[1] == one


def test_events_may_show_late(sandbox, project):
    sandbox.world.lags.events = timedelta(minutes=15)
    sandbox.world.add_cluster(project, "c", policies=NONE)
    path = f"/groups/{project}/events?eventType=CLUSTER_CREATED"
    early = sandbox.listed(path)

    sandbox.pass_time(minutes=15)

    assert (len(early), len(sandbox.listed(path))) == (0, 1)


def test_a_moment_that_is_none_is_refused(sandbox, project):
    status, _ = sandbox.ask("GET", f"/groups/{project}/events?minDate=yesterday")

    assert status == 400
