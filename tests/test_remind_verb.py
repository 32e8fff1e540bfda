"""Reminders: each rung once, missed ones in one message, and the rotation that a policy starts by itself."""

from dataclasses import replace

import pytest
from fake_atlas import PROJECT
from simple_world import ANNA, DAY, HOUR, START, Rotating, a_world

from chalicelib.domain.records import Change, Policy
from chalicelib.domain.vocabulary import Mode, NoticeKind, Strategy
from chalicelib.usecases.ports import Conflict, Due
from chalicelib.usecases.remind import BY_POLICY, remind, remind_all
from chalicelib.usecases.steer import acknowledge, change_policy

DUE = START + 90 * DAY


def reminding(world, *, days):
    """Let a scheduler remind every hour for so many days; gives the rungs spoken and when."""
    for _ in range(24 * days):
        remind_all(world.outside)
        world.wait(HOUR)
    return rungs(world)


def rungs(world):
    return [notice.rung for notice in world.tracker.notices if notice.kind is NoticeKind.REMINDER]


def test_every_rung_of_the_ladder_is_spoken_exactly_once():
    world = a_world()

    spoken = reminding(world, days=100)

    assert spoken == [-30, -14, -7, -1, 0, 1, 7]


def test_after_the_ladder_a_reminder_follows_every_week():
    world = a_world()
    world.now = DUE + 7 * DAY
    remind_all(world.outside)

    spoken = reminding(world, days=22)

    assert spoken == [7, 14, 21, 28]


def test_days_that_were_missed_are_told_in_one_message():
    world = a_world()
    world.now = DUE - 6 * DAY

    spoke = remind(world.outside, PROJECT)

    assert (spoke, rungs(world)) == (True, [-7])
    assert "could not be sent: 2" in world.told(NoticeKind.REMINDER)[0]


def test_a_reminder_stands_in_the_audit_trail():
    world = a_world()
    world.now = DUE

    remind(world.outside, PROJECT)

    assert (world.tracker.audit[-1].what, world.tracker.audit[-1].after) == ("reminded", "rung 0")


def test_a_second_run_at_the_same_moment_says_nothing():
    world = a_world()
    world.now = DUE
    remind(world.outside, PROJECT)
    before = len(world.tracker.commits)

    spoke = remind(world.outside, PROJECT)

    assert (spoke, len(world.tracker.commits)) == (False, before)


def test_a_table_restored_to_an_hour_before_repeats_a_reminder_under_its_id_at_most():
    before, restored = a_world(), a_world()
    before.now = DUE - 6 * DAY
    restored.now = before.now + 5 * HOUR

    remind_all(before.outside)
    again = [remind_all(restored.outside) for _ in range(3)]

    assert again == [1, 0, 0]
    assert [n.notice_id for n in restored.tracker.notices] == [n.notice_id for n in before.tracker.notices]


def test_nobody_who_has_just_rotated_is_told_that_the_next_rotation_is_near():
    world = a_world(policy=Policy(rotation_period_days=14), next_reminder_at=START)

    spoken = reminding(world, days=13)

    assert spoken == [-7]


def test_a_project_that_nobody_knows_is_passed_over():
    assert not remind(a_world().outside, "unknown")


def test_a_project_in_the_index_too_early_is_moved_on():
    world = a_world(next_reminder_at=START)

    spoke = remind_all(world.outside)

    assert (spoke, world.project.due) == (0, DUE - 30 * DAY)


@pytest.mark.parametrize("now", [START, DUE])
def test_a_project_that_somebody_else_writes_is_looked_at_again(now):
    world = a_world(next_reminder_at=START)
    world.now = now

    def commit(change: Change) -> None:
        raise Conflict("somebody else wrote first", call="commit")

    world.tracker.commit = commit

    spoke = remind_all(world.outside)

    assert (spoke, list(world.tracker.due(Due.REMINDER, now))) == (0, [(PROJECT,)])


def test_an_acknowledged_project_is_quiet_until_the_day_named():
    world = a_world()
    world.now = DUE
    acknowledge(world.outside, PROJECT, until=DUE + 3 * DAY, comment="on holiday", who=ANNA)

    spoken = reminding(world, days=4)

    assert spoken == [1]


def test_a_rotation_that_the_policy_makes_waits_for_the_end_of_an_acknowledgement_and_no_longer():
    world = a_world(policy=Policy(mode=Mode.ROTATE))
    world.now = DUE
    acknowledge(world.outside, PROJECT, until=DUE + 3 * DAY, comment="on holiday", who=ANNA)

    remind_all(world.outside)
    quiet = world.project.open_rotation
    world.wait(3 * DAY)
    remind_all(world.outside)

    assert quiet is None
    assert world.project.open_rotation is not None


def test_a_longer_period_is_reminded_of_anew_from_its_first_rung():
    world = a_world()
    world.now = DUE
    remind_all(world.outside)
    change_policy(world.outside, PROJECT, {"rotation_period_days": 180}, who=ANNA)

    spoken = reminding(world, days=100)

    assert spoken == [0, -30, -14, -7, -1, 0, 1, 7]


def test_a_rung_is_not_spoken_again_when_the_due_day_moves_away_and_back_and_the_ladder_goes_on():
    world = a_world()
    world.now = DUE
    remind(world.outside, PROJECT)
    change_the_period_and_back(world)

    spoke = remind_all(world.outside)

    assert (spoke, rungs(world), world.project.due) == (0, [0], DUE + DAY)
    assert reminding(world, days=8) == [0, 1, 7]


def test_a_project_that_is_not_covered_is_not_reminded_of():
    world = a_world(not_covered_because="it is gone")
    world.now = DUE

    spoke = remind_all(world.outside)

    assert (spoke, world.told(), world.project.due) == (0, [], None)


def by_policy(**changes):
    return a_world(policy=Policy(mode=Mode.ROTATE, **changes))


def test_on_the_due_day_a_rotation_is_started_where_the_policy_says_so():
    world = by_policy()
    world.now = DUE

    spoke = remind(world.outside, PROJECT)

    rotation = world.tracker.rotation(PROJECT, world.project.open_rotation)
    assert (spoke, rotation.requested_by, rotation.requested_at) == (True, BY_POLICY, DUE)
    assert world.messages.rotation_wakes == [(PROJECT, rotation.rotation_id, 0)]
    assert world.told() == ["rotation_started"]


def test_before_the_due_day_a_policy_that_rotates_only_reminds():
    world = by_policy()
    world.now = DUE - DAY

    remind(world.outside, PROJECT)

    assert (rungs(world), world.project.open_rotation) == ([-1], None)


def test_an_open_rotation_silences_the_ladder():
    world = by_policy()
    world.now = DUE
    remind(world.outside, PROJECT)

    spoken = reminding(world, days=10)

    assert spoken == []


def test_a_rotation_by_policy_that_failed_is_started_again_at_the_next_rung():
    world = by_policy()
    world.now = DUE
    remind(world.outside, PROJECT)
    first = world.project.open_rotation
    world.change(world.project, open_rotation=None, next_reminder_at=DUE + DAY)
    world.wait(DAY)

    remind_all(world.outside)

    assert world.project.open_rotation not in {None, first}


def change_the_period_and_back(world):
    """An operator moves the due day away for an hour."""
    for days in (100, 90):
        change_policy(world.outside, PROJECT, {"rotation_period_days": days}, who=ANNA)
        world.wait(HOUR)


def cancelled_by_policy():
    """A rotation that the policy started on the due day, and that Anna cancelled."""
    world = by_policy(ladder=(-7, 0))
    world.now = DUE
    remind(world.outside, PROJECT)
    rotation = Rotating(world=world, rotation_id=world.project.open_rotation)
    rotation.cancel()
    rotation.go_until("cancelled")
    return world


def test_where_the_rotation_by_policy_was_there_already_its_reminder_is_spoken_instead():
    world = cancelled_by_policy()
    change_the_period_and_back(world)

    spoke = remind_all(world.outside)

    assert (spoke, rungs(world), world.project.open_rotation) == (1, [0], None)


def test_the_reminder_in_a_rotations_place_is_spoken_once_however_often_the_due_day_moves_away_and_back():
    world = cancelled_by_policy()
    for _ in range(3):
        change_the_period_and_back(world)
        reminding(world, days=1)

    assert (rungs(world), world.project.due) == ([0], DUE + 7 * DAY)


def test_after_the_reminder_in_its_place_a_rotation_is_started_at_the_next_rung():
    world = cancelled_by_policy()
    change_the_period_and_back(world)

    reminding(world, days=8)

    rotation = world.tracker.rotation(PROJECT, world.project.open_rotation)
    assert (rotation.requested_by, rotation.requested_at.date()) == (BY_POLICY, (DUE + 7 * DAY).date())


def test_nobody_is_reminded_where_another_process_starts_the_rotation_at_this_very_moment():
    world = by_policy()
    world.now = DUE
    look = world.tracker.rotation

    def rotation(*names):
        world.tracker.rotation = look
        remind(world.outside, PROJECT)
        return look(*names)

    world.tracker.rotation = rotation

    spoke = remind(world.outside, PROJECT)

    assert (spoke, world.told()) == (False, ["rotation_started"])
    assert world.messages.rotation_wakes == [(PROJECT, world.project.open_rotation, 0)]


@pytest.mark.parametrize("strategy", list(Strategy))
def test_a_rotation_by_policy_follows_the_strategy_of_the_policy(strategy):
    world = by_policy(strategy=strategy, automatic_period_days=200)
    world.now = DUE

    remind(world.outside, PROJECT)

    rotation = world.tracker.rotation(PROJECT, world.project.open_rotation)
    assert rotation.strategy is strategy
    assert rotation.period_days == (200 if strategy is Strategy.KMS_AUTOMATIC else None)


def test_a_renewal_by_policy_begins_the_ladder_anew():
    world = by_policy(strategy=Strategy.KMS_ON_DEMAND)
    world.now = DUE
    remind(world.outside, PROJECT)
    Rotating(world=world, rotation_id=world.project.open_rotation).go_until("deployed")

    assert world.project.due == world.now + 60 * DAY
    assert reminding(world, days=59) == []


def test_a_project_that_cannot_be_rotated_by_policy_is_reminded_instead():
    world = by_policy()
    world.change(world.project, open_rotation=None, key=None)
    world.now = DUE

    remind(world.outside, PROJECT)

    assert (rungs(world), world.project.open_rotation) == ([0], None)


def test_several_projects_are_spoken_to_longest_overdue_first():
    world = a_world()
    world.put(replace(world.project, project_id="older", next_reminder_at=START, key_since=START - DAY, version=0))
    world.now = DUE

    spoke = remind_all(world.outside)

    assert (spoke, [notice.project_id for notice in world.tracker.notices]) == (2, ["older", PROJECT])
