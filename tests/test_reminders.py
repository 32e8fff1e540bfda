"""When a reminder is owed: by the next rung that was not spoken, never by equality of days."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.arn import KeyArn
from chalicelib.domain.records import Policy, Project
from chalicelib.domain.reminders import (
    cycle_start,
    due_at,
    forget_rungs_ahead,
    next_reminder_at,
    period_days,
    rungs_owed,
    rungs_passed,
)
from chalicelib.domain.vocabulary import Mode

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
START = datetime(2027, 3, 1, 12, tzinfo=UTC)
DUE = START + 90 * DAY
PROJECT = Project(
    project_id="p1",
    name="Shop",
    organization="o1",
    seen_at=START,
    key=KeyArn(account="111122223333", region="eu-west-1", key_id="12345678-1234-1234-1234-123456789abc"),
    key_since=START,
)
UNKNOWN_KEY = replace(PROJECT, key=None, key_since=None, rotated_by_kms_at=START)
NOT_COVERED = replace(PROJECT, not_covered_because="flex")
ROTATING = replace(PROJECT, open_rotation="r1")
WHOLE_LADDER = (-30, -14, -7, -1, 0, 1, 7)


def with_policy(**wishes) -> Project:
    return replace(PROJECT, policy=Policy(**wishes))


@pytest.mark.parametrize(
    ("wish", "threshold", "period"), [(30, 180, 30), (None, 180, 180), (30, None, 30), (None, None, 90)]
)
def test_the_period_is_the_policys_else_the_alerts_else_ninety_days(wish, threshold, period):
    project = replace(with_policy(rotation_period_days=wish), atlas_threshold_days=threshold)

    assert period_days(project) == period
    assert due_at(project) == START + period * DAY


def test_a_cycle_starts_with_the_key_or_with_its_latest_material():
    renewed = replace(PROJECT, rotated_by_kms_at=START + DAY)
    renewed_before = replace(PROJECT, rotated_by_kms_at=START - DAY)

    assert cycle_start(PROJECT) == START
    assert cycle_start(renewed) == START + DAY
    assert cycle_start(renewed_before) == START


@pytest.mark.parametrize("project", [UNKNOWN_KEY, NOT_COVERED])
def test_nothing_is_due_without_a_known_key_or_coverage(project):
    assert due_at(project) is None
    assert rungs_passed(project, DUE) == ()
    assert rungs_owed(project, DUE) == ()
    assert next_reminder_at(project, DUE) is None


@pytest.mark.parametrize("rung", WHOLE_LADDER)
def test_a_rung_is_owed_from_its_moment_on_and_not_before(rung):
    moment = DUE + rung * DAY

    assert rung not in rungs_owed(PROJECT, moment - timedelta(seconds=1))
    assert rungs_owed(PROJECT, moment)[-1] == rung


def test_rungs_that_were_missed_are_owed_together():
    spoken = replace(PROJECT, last_rung=-30)

    assert rungs_owed(spoken, DUE + HOUR) == (-14, -7, -1, 0)


def test_a_rung_that_was_spoken_is_owed_no_more():
    assert rungs_owed(replace(PROJECT, last_rung=0), DUE + HOUR) == ()


def test_after_the_last_rung_a_reminder_follows_every_week():
    spoken = replace(PROJECT, last_rung=7)

    assert rungs_owed(spoken, DUE + 13 * DAY) == ()
    assert rungs_owed(spoken, DUE + 14 * DAY) == (14,)
    assert rungs_owed(spoken, DUE + 30 * DAY) == (14, 21, 28)


@pytest.mark.parametrize(("spoken", "following"), [(7, 14), (14, 21), (9, 14), (20, 21)])
def test_the_weekly_reminders_keep_their_day_whatever_was_spoken_last(spoken, following):
    moment = next_reminder_at(replace(PROJECT, last_rung=spoken), START)

    assert moment == DUE + following * DAY


@pytest.mark.parametrize(("spoken", "following"), [(None, -30), (-30, -14), (-10, -7), (0, 1)])
def test_the_next_look_is_at_the_next_rung(spoken, following):
    moment = next_reminder_at(replace(PROJECT, last_rung=spoken), START)

    assert moment == DUE + following * DAY


def test_the_next_look_is_now_while_something_is_owed():
    assert next_reminder_at(PROJECT, DUE) == DUE


def test_a_quiet_project_is_owed_nothing_until_its_date_and_everything_then():
    quiet = replace(PROJECT, quiet_until=DUE + DAY)

    assert rungs_owed(quiet, DUE) == ()
    assert next_reminder_at(quiet, DUE) == DUE + DAY
    assert rungs_owed(quiet, DUE + DAY) == (-30, -14, -7, -1, 0, 1)


def test_a_quiet_date_that_is_over_changes_nothing():
    once_quiet = replace(PROJECT, quiet_until=START)

    assert next_reminder_at(once_quiet, START) == DUE - 30 * DAY


def test_an_open_rotation_silences_the_reminders_and_is_looked_at_daily():
    assert rungs_owed(ROTATING, DUE) == ()
    assert next_reminder_at(ROTATING, DUE) == DUE + DAY


def test_in_mode_rotate_the_due_day_is_a_rung_even_where_the_ladder_has_none():
    project = with_policy(ladder=(-7, 7), mode=Mode.ROTATE)

    assert rungs_passed(project, DUE) == (-7, 0)
    assert rungs_passed(with_policy(ladder=(-7, 7)), DUE) == (-7,)


@pytest.mark.parametrize("mode", Mode)
def test_an_empty_ladder_still_speaks_on_the_due_day(mode):
    assert rungs_passed(with_policy(ladder=(), mode=mode), DUE + 7 * DAY) == (0, 7)


def test_a_ladder_may_be_written_in_any_order_and_twice():
    assert rungs_passed(with_policy(ladder=(1, -1, 1, 0)), DUE + DAY) == (-1, 0, 1)


def test_rungs_that_lie_ahead_after_the_due_date_moved_are_owed_again():
    moved = replace(with_policy(rotation_period_days=100), last_rung=0)

    assert forget_rungs_ahead(moved, DUE) == -14


@pytest.mark.parametrize(
    ("project", "now"),
    [(PROJECT, DUE), (replace(PROJECT, last_rung=0), START), (replace(NOT_COVERED, last_rung=0), DUE)],
)
def test_nothing_counts_as_spoken_when_no_rung_has_come_or_none_was_spoken(project, now):
    assert forget_rungs_ahead(project, now) is None


def test_a_due_date_that_did_not_move_forgets_nothing():
    assert forget_rungs_ahead(replace(PROJECT, last_rung=-1), DUE) == -1


LADDERS = st.lists(st.integers(-60, 30), max_size=6).map(tuple)
POLICIES = st.builds(Policy, ladder=LADDERS, mode=st.sampled_from(Mode), rotation_period_days=st.integers(1, 120))
LOOKS = st.lists(st.integers(0, 24 * 250), min_size=1, max_size=40).map(sorted)


@given(POLICIES, LOOKS)
def test_over_any_calendar_of_looks_each_rung_is_owed_once_and_none_is_skipped(policy, hours):
    project, owed, now = replace(PROJECT, policy=policy), [], START
    for hour in hours:
        now = START + hour * HOUR
        rungs = rungs_owed(project, now)
        owed += rungs
        project = replace(project, last_rung=rungs[-1] if rungs else project.last_rung)

    assert tuple(owed) == rungs_passed(project, now)
    assert len(owed) == len(set(owed))
    assert next_reminder_at(project, now) > now


@given(POLICIES, st.integers(1, 40))
def test_whoever_looks_only_when_the_next_look_is_due_never_comes_too_early_or_too_late(policy, looks):
    project, now = replace(PROJECT, policy=policy), START - 100 * DAY
    for _ in range(looks):
        now = next_reminder_at(project, now)
        rungs = rungs_owed(project, now)
        assert len(rungs) == 1
        project = replace(project, last_rung=rungs[0])

    assert project.last_rung == rungs_passed(project, now)[-1]
    assert now == due_at(project) + project.last_rung * DAY
