"""Atlas' own alert, both ways: what people acknowledge there makes us quiet, what we rotated is acknowledged there."""

from dataclasses import replace

import pytest
from fake_atlas import ACKNOWLEDGED_BY, PROJECT, an_alert
from simple_world import (
    ANNA,
    BUSY,
    DAY,
    FORBIDDEN,
    HOUR,
    MINUTE,
    START,
    Killed,
    a_rotation,
    a_world,
    found,
    raising,
)

from chalicelib.domain.acknowledgement import is_worth_asking
from chalicelib.domain.policies import NO_WISHES
from chalicelib.domain.records import Policy
from chalicelib.domain.vocabulary import Mode, NoticeKind, Strategy
from chalicelib.usecases.acknowledging import follow_alerts
from chalicelib.usecases.discover import discover_all
from chalicelib.usecases.looking import discover_project
from chalicelib.usecases.ports import NotFound, PermanentError
from chalicelib.usecases.remind import remind
from chalicelib.usecases.steer import acknowledge

NO_ROLE = PermanentError(f"PATCH /groups/{PROJECT}/alerts: 401: give it the role", call="PATCH", code="UNAUTHORIZED")
GONE = NotFound("PATCH: gone", call="PATCH", code="ALERT_NOT_FOUND")


@pytest.fixture
def world():
    """A key that is a hundred days old, with Atlas' alert open for ten."""
    world = a_world(atlas_threshold_days=90)
    world.wait(100 * DAY)
    world.in_atlas.alerts = [an_alert(opened_at=world.now - 10 * DAY)]
    return world


def acknowledge_in_atlas(world, until, **said):
    (alert,) = world.in_atlas.alerts
    who = {"acknowledged_until": until, "acknowledged_by": ACKNOWLEDGED_BY, "comment": "in the May window"}
    world.in_atlas.alerts = [replace(alert, **{**who, **said})]


def look(world):
    discover_project(world.outside, found(), NO_WISHES)
    follow_alerts(world.outside, PROJECT)


def said_in_the_trail(world, about="Atlas"):
    return [(entry.who, entry.what, entry.why) for entry in world.tracker.audit if about in entry.what]


def a_deployed_rotation(world, **asked):
    rotation = a_rotation(world, **asked)
    rotation.go_until("deployed")
    return rotation


def sent(world):
    return [call for call in world.atlas.calls if call[0] == "acknowledge_alert"]


def test_an_acknowledgement_in_atlas_makes_us_quiet_until_then_and_not_a_moment_longer(world):
    until = world.now + 5 * DAY
    acknowledge_in_atlas(world, until)
    look(world)

    assert world.project.silent_until == until
    assert world.project.due == until
    assert not remind(world.outside, PROJECT)
    world.now = until - MINUTE
    assert not remind(world.outside, PROJECT)
    world.now = until
    assert remind(world.outside, PROJECT)


def test_the_trail_names_whom_atlas_names(world):
    acknowledge_in_atlas(world, world.now + 5 * DAY)
    look(world)
    look(world)

    assert said_in_the_trail(world) == [
        (f"atlas: {ACKNOWLEDGED_BY}", "alert acknowledged in Atlas", "in the May window")
    ]


def test_what_is_taken_back_in_atlas_wakes_us_at_the_next_look(world):
    acknowledge_in_atlas(world, world.now + 50 * DAY)
    look(world)
    acknowledge_in_atlas(world, None, acknowledged_by=None, comment="")
    look(world)

    assert world.project.silent_until is None
    assert world.project.due == world.now
    assert said_in_the_trail(world)[-1] == ("atlas", "acknowledgement withdrawn in Atlas", "")


def test_what_ran_out_by_itself_is_not_told_as_withdrawn(world):
    acknowledge_in_atlas(world, world.now + DAY)
    look(world)
    world.wait(2 * DAY)
    look(world)

    assert world.project.quiet_in_atlas_until is None
    assert len(said_in_the_trail(world)) == 1


@pytest.mark.parametrize("theirs", [2, 20])
def test_an_operators_own_acknowledgement_is_not_shortened_by_what_atlas_says(world, theirs):
    ours = world.now + 10 * DAY
    acknowledge(world.outside, PROJECT, until=ours, comment="", who=ANNA)
    acknowledge_in_atlas(world, world.now + theirs * DAY)
    look(world)
    both = world.project.silent_until
    acknowledge_in_atlas(world, None)
    look(world)

    assert both == max(ours, world.now + theirs * DAY)
    assert world.project.silent_until == ours
    assert world.project.acknowledged_by == ANNA


def test_an_acknowledgement_of_the_key_before_is_not_one_of_this_key(world):
    world.change(world.project, key_since=world.now - 95 * DAY)
    world.in_atlas.alerts = [an_alert(opened_at=world.now - 96 * DAY)]
    acknowledge_in_atlas(world, world.now + 50 * DAY)

    look(world)

    assert world.project.silent_until is None


def test_alerts_that_cannot_be_read_leave_what_was_known(world):
    acknowledge_in_atlas(world, world.now + 5 * DAY)
    look(world)
    world.atlas.fail("open_alerts", BUSY, times=None)
    world.wait(DAY)
    look(world)

    assert world.project.silent_until == world.now + 4 * DAY


def test_nobody_asks_for_alerts_while_the_key_is_young():
    world = a_world(atlas_threshold_days=90)

    assert not is_worth_asking(world.project, START + 89 * DAY)
    assert is_worth_asking(world.project, START + 90 * DAY)
    assert not is_worth_asking(replace(world.project, atlas_threshold_days=None), START + 900 * DAY)
    assert not is_worth_asking(replace(world.project, open_rotation="r"), START + 900 * DAY)
    assert not is_worth_asking(replace(world.project, key=None), START + 900 * DAY)


def test_an_alert_still_open_after_a_rotation_is_acknowledged_once_in_its_name(world):
    rotation = a_deployed_rotation(world)
    look(world)
    early = sent(world)
    world.wait(6 * HOUR)
    for _ in range(3):
        look(world)
        world.wait(DAY)

    (alert,) = world.in_atlas.alerts
    assert (early, len(sent(world))) == ([], 1)
    assert alert.comment.startswith(f"Keyturn rotation {rotation.rotation_id} (new-cmk) is deployed since ")
    assert len(alert.comment) <= 200
    assert alert.acknowledged_until == rotation.now.swapped_at + 90 * DAY
    assert said_in_the_trail(world, "acknowledged") == [
        ("keyturn", "Atlas' alert acknowledged", f"rotation {rotation.rotation_id}")
    ]
    assert world.project.alert_to_answer is None


def test_our_own_acknowledgement_does_not_silence_the_ladder(world):
    a_deployed_rotation(world)
    world.wait(6 * HOUR)
    look(world)

    assert sent(world)
    assert world.project.silent_until is None


def test_an_alert_that_atlas_closed_by_itself_is_left_alone(world):
    a_deployed_rotation(world)
    world.in_atlas.alerts = []
    world.wait(6 * HOUR)
    look(world)
    world.in_atlas.alerts = [an_alert(opened_at=world.now)]
    world.wait(DAY)
    look(world)

    assert sent(world) == []
    assert world.project.alert_to_answer is None


def test_an_alert_that_people_acknowledged_is_left_to_them(world):
    a_deployed_rotation(world)
    world.wait(6 * HOUR)
    acknowledge_in_atlas(world, world.now + 3 * DAY)
    look(world)

    assert sent(world) == []


def test_a_renewal_in_kms_is_acknowledged_too_for_atlas_never_sees_it(world):
    rotation = a_deployed_rotation(world, strategy=Strategy.KMS_ON_DEMAND)
    world.wait(6 * HOUR)
    look(world)

    (alert,) = world.in_atlas.alerts
    assert f"{rotation.rotation_id} (kms-on-demand)" in alert.comment


def test_a_process_that_dies_after_the_acknowledgement_does_not_send_it_again(world):
    a_deployed_rotation(world)
    world.wait(6 * HOUR)
    whole = world.tracker.commit
    world.tracker.commit = raising(Killed())
    with pytest.raises(Killed):
        follow_alerts(world.outside, PROJECT)
    world.tracker.commit = whole
    look(world)

    assert len(sent(world)) == 1
    assert world.project.alert_to_answer is None
    assert len(said_in_the_trail(world, "alert acknowledged")) == 1


def test_a_refusal_is_told_once_fails_no_rotation_and_is_mended_by_the_role(world):
    rotation = a_deployed_rotation(world)
    world.wait(6 * HOUR)
    world.atlas.fail("acknowledge_alert", NO_ROLE, times=None)
    for _ in range(3):
        look(world)
        world.wait(DAY)
    texts = world.told(NoticeKind.DRIFT)
    refused = world.project.drift
    world.atlas.mend()
    look(world)

    assert len(texts) == 1
    assert "Project Alerts Manager" in texts[0]
    assert refused == ("alert_not_acknowledged",)
    assert rotation.now.state == "deployed"
    assert (world.project.drift, world.project.alert_to_answer) == ((), None)
    assert world.in_atlas.alerts[0].acknowledged_until is not None


def test_what_fails_for_now_is_tried_at_the_next_look_and_told_to_nobody(world):
    a_deployed_rotation(world)
    world.wait(6 * HOUR)
    world.atlas.fail("acknowledge_alert", BUSY)
    look(world)
    pending = world.project.alert_to_answer
    look(world)

    assert pending is not None
    assert world.project.alert_to_answer is None
    assert world.told(NoticeKind.DRIFT) == []


def test_an_alert_that_is_gone_meanwhile_needs_no_answer(world):
    a_deployed_rotation(world)
    world.wait(6 * HOUR)
    world.atlas.fail("acknowledge_alert", GONE)
    look(world)

    assert world.project.alert_to_answer is None


def test_a_rotation_that_was_rolled_back_is_not_acknowledged(world):
    rotation = a_deployed_rotation(world)
    rotation.roll_back()
    rotation.go_until("rolled_back")
    world.wait(6 * HOUR)
    look(world)

    assert sent(world) == []
    assert world.project.alert_to_answer is None


def test_another_process_that_writes_at_the_same_moment_is_met_again(world):
    acknowledge_in_atlas(world, world.now + 5 * DAY)
    whole = world.outside.atlas
    touched = []

    def atlas_while_somebody_writes(organization):
        if not touched:
            touched.append(world.change(world.project, acknowledged_by=ANNA))
        return whole(organization)

    follow_alerts(replace(world.outside, atlas=atlas_while_somebody_writes), PROJECT)

    assert world.project.quiet_in_atlas_until == world.now + 5 * DAY


def test_the_daily_discovery_answers_too(world):
    a_deployed_rotation(world)
    world.wait(6 * HOUR)

    discover_all(world.outside)

    assert len(sent(world)) == 1


def test_a_project_that_rotates_by_policy_stays_quiet_while_atlas_is_acknowledged(world):
    world.change(world.project, policy=Policy(mode=Mode.ROTATE), policy_own=("mode",))
    acknowledge_in_atlas(world, world.now + 5 * DAY)
    look(world)
    remind(world.outside, PROJECT)
    quiet = world.project.open_rotation
    world.wait(5 * DAY)
    remind(world.outside, PROJECT)

    assert quiet is None
    assert world.project.open_rotation is not None


def test_a_forbidden_list_of_alerts_harms_nothing(world):
    world.atlas.fail("open_alerts", FORBIDDEN, times=None)
    before = world.project

    follow_alerts(world.outside, PROJECT)

    assert world.project == before
