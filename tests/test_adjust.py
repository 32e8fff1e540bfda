"""Setting Atlas' own alert to our period: seen in Atlas, written down, refused where somebody must decide."""

import json
from dataclasses import replace

import pytest
from fake_atlas import CONFIGURATION, PROJECT
from simple_world import ANNA, BUSY, START, a_world
from storyteller import Tale, telling

from chalicelib.domain.observed import AlertThreshold
from chalicelib.domain.records import Policy
from chalicelib.usecases.adjust import adjust_asked
from chalicelib.usecases.ports import PermanentError, TemporaryError

NO_ROLE = PermanentError("PUT /alertConfigs: 401: give it Project Alerts Manager", call="PUT", code="UNAUTHORIZED")
PUT = "PUT /api/atlas/v2/groups/{groupId}/alertConfigs/{alertConfigId}"


@pytest.fixture
def world():
    return a_world(policy=Policy(rotation_period_days=120), atlas_threshold_days=90)


def ask(world, project_id=PROJECT):
    return adjust_asked(world.outside, {"project_id": project_id, "who": ANNA})


def changes(world):
    return [call for call in world.atlas.calls if call[0] == "set_alert_threshold"]


def test_the_threshold_becomes_the_period_and_it_is_written_down_who_wanted_it(world):
    threshold = ask(world)["threshold"]

    assert (threshold["before_days"], threshold["after_days"], threshold["changed"]) == (90, 120, True)
    assert world.in_atlas.threshold == world.project.atlas_threshold_days == 120
    (entry,) = world.tracker.audit
    assert (entry.who, entry.what, entry.before, entry.after) == (
        ANNA, "Atlas' alert threshold set", "90 days", "120 days",
    )  # fmt: skip


def test_the_answer_names_what_atlas_does_not_see(world):
    assert "Atlas knows nothing of rotations made by AWS" in ask(world)["threshold"]["note"]


def test_what_is_so_already_is_not_sent(world):
    world.in_atlas.threshold = 120

    assert ask(world)["threshold"]["changed"] is False
    assert changes(world) == []
    assert world.tracker.audit == []


def test_a_period_that_follows_atlas_changes_nothing(world):
    world.change(world.project, policy=Policy())

    assert ask(world)["threshold"]["changed"] is False


def test_without_an_alert_there_is_none_to_set(world):
    world.in_atlas.threshold = None

    refused = ask(world)["refused"]

    assert refused["no"] == "conflict"
    assert "there is none to set" in refused["text"]


def test_several_alerts_are_left_to_whoever_made_them(world):
    world.in_atlas.more_thresholds = [AlertThreshold(configuration_id="f" * 24, days=200)]

    assert "90 days, 200 days" in ask(world)["refused"]["text"]
    assert changes(world) == []


def test_a_missing_role_is_a_refusal_that_names_it(world):
    world.atlas.fail("set_alert_threshold", NO_ROLE)

    assert "Project Alerts Manager" in ask(world)["refused"]["text"]
    assert world.project.atlas_threshold_days == 90


def test_what_may_work_later_is_raised(world):
    world.atlas.fail("alert_thresholds", BUSY)

    with pytest.raises(TemporaryError):
        ask(world)


def test_an_unknown_project_is_refused(world):
    assert ask(world, "f" * 24)["refused"]["no"] == "unknown"


def test_what_atlas_took_and_does_not_show_is_not_called_done(world):
    deaf = replace(world.outside, atlas=lambda _organization: Deaf(world.atlas))

    refused = adjust_asked(deaf, {"project_id": PROJECT, "who": ANNA})["refused"]

    assert "yet shows 90" in refused["text"]
    assert world.tracker.audit == []


class Deaf:
    """An Atlas that takes a threshold and keeps its own."""

    def __init__(self, atlas):
        self._atlas = atlas

    def __getattr__(self, name):
        return getattr(self._atlas, name)

    def set_alert_threshold(self, *_asked):
        pass


def test_a_project_that_others_write_meanwhile_is_read_again(world):
    whole = world.tracker.commit
    lost = []

    def commit(change):
        if not lost:
            lost.append(None)
            world.tracker.commit = whole
            world.change(world.project, last_rung=-30)
        whole(change)

    world.tracker.commit = commit
    ask(world)

    assert (world.project.last_rung, world.project.atlas_threshold_days) == (-30, 120)
    assert world.tracker.audit[0].at == START


@pytest.fixture(scope="module")
def tale():
    with telling() as set_up:
        project_id = set_up.add_project("payments")
        set_up.atlas.add_cluster(project_id, "ledger")
        tale = Tale(set_up)
        tale.project_id = project_id
        yield tale


def test_over_the_api_the_alert_is_set_and_nothing_else_of_it_changes(tale):
    (config,) = tale.atlas.projects[tale.project_id].alert_configs.values()
    config.notifications.append({"typeName": "PAGER_DUTY", "notifierId": "b" * 24, "serviceKey": "a-service-key"})
    before = json.loads(json.dumps(config.notifications))
    tale.steer(tale.project_id, rotation_period_days=200)

    answer = tale.ask("POST", f"/v1/projects/{tale.project_id}/atlas-threshold")

    assert (answer.status, answer.json()["after_days"]) == (200, 200)
    assert (config.days, config.enabled) == (200, True)
    assert sorted(config.notifications, key=str) == sorted(before, key=str)
    assert tale.project(tale.project_id)["atlas_threshold_days"] == 200


def test_over_the_api_a_missing_role_is_a_problem_that_names_it(tale):
    tale.set_up.server.reader_roles.remove("Project Alerts Manager")
    tale.steer(tale.project_id, rotation_period_days=300)
    try:
        answer = tale.ask("POST", f"/v1/projects/{tale.project_id}/atlas-threshold")
    finally:
        tale.set_up.server.reader_roles.add("Project Alerts Manager")

    assert answer.status == 409
    assert "Project Alerts Manager" in answer.json()["detail"]


def test_over_the_api_an_unknown_project_is_not_found(tale):
    assert tale.ask("POST", f"/v1/projects/{'f' * 24}/atlas-threshold").status == 404


def test_an_atlas_that_does_not_answer_is_unavailable(tale):
    with Silence(tale):
        answer = tale.ask("POST", f"/v1/projects/{tale.project_id}/atlas-threshold")

    assert answer.status == 503
    assert CONFIGURATION not in answer.body


class Silence:
    """While it lasts every call to Atlas is refused for now."""

    def __init__(self, tale):
        self._faults = tale.set_up.server.faults

    def __enter__(self):
        from sandbox.atlas.faults import Fault

        self._faults.append(Fault(method="*", path_pattern="", kind="status", status=503, times=None))

    def __exit__(self, *_):
        self._faults.clear()
