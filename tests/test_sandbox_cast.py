"""Who lives in the served sandbox: whatever day it begins on, its story is the same."""

from datetime import UTC, datetime, timedelta

from sandbox.atlas.policy import Schedule
from sandbox.atlas.timetable import next_time
from sandbox.cast import SOON_GONE, soon_gone

DAYS = [datetime(2027, 1, 1, 12, tzinfo=UTC) + timedelta(days=number) for number in range(2 * 366)]


def first_monthly(begin):
    (monthly,) = (one for one in soon_gone(begin) if one.kind == "monthly")
    at, _ = next_time(Schedule(policy_id="5" * 24, items=(monthly,), hour=12, minute=0), begin)
    return at


def test_the_first_monthly_snapshot_comes_within_a_week_whatever_day_it_is():
    assert [begin for begin in DAYS if not begin < first_monthly(begin) < begin + timedelta(days=7)] == []


def test_it_comes_on_a_day_that_atlas_takes_and_is_kept_as_long_as_ever():
    for begin in DAYS:
        policies = soon_gone(begin)
        assert [(one.kind, one.keep) for one in policies] == [(one.kind, one.keep) for one in SOON_GONE]
        assert next(one.every for one in policies if one.kind == "monthly") in range(1, 29)
