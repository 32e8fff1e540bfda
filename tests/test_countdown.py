"""When a key comes free, what keeps it longest, what it costs, and what a shorter retention would change."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from chalicelib.domain.arn import KeyArn
from chalicelib.domain.countdown import dollars_per_month, free_at, free_at_with, held_longest_by, used_since
from chalicelib.domain.records import ClusterTally, Key, Reason
from chalicelib.domain.vocabulary import KeyState

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
ARN = KeyArn(account="111122223333", region="eu-west-1", key_id="11111111-1111-1111-1111-111111111111")
KEY = Key(arn=ARN, state=KeyState.RETIRING, projects=("p1",), first_seen_at=NOW - 90 * DAY, deployed_at=NOW - 9 * DAY)
SNAPSHOTS = Reason(kind="snapshots", text="x", project_id="p1", cluster="main", until=NOW + 300 * DAY)
WINDOW = Reason(kind="point_in_time", text="x", project_id="p1", cluster="main", until=NOW + 5 * DAY)
MAIN = ClusterTally(
    project_id="p1", cluster="main", cluster_id="c1", snapshots=3, last_expiry=NOW + 300 * DAY, newest=NOW - 10 * DAY
)
DRAINING = replace(KEY, reasons=(SNAPSHOTS, WINDOW), clusters=(MAIN,))


@pytest.mark.parametrize(
    ("changes", "free"),
    [
        ({"safe_since": NOW}, NOW),
        ({}, None),
        ({"reasons": (Reason(kind="unread", text="x"),)}, None),
        ({"reasons": (Reason(kind="confirmation", text="x", until=NOW),)}, NOW),
        ({"reasons": (SNAPSHOTS, WINDOW)}, NOW + 301 * DAY),
    ],
)
def test_the_day_a_key_comes_free_is_told_where_it_can_be_said(changes, free):
    assert free_at(replace(KEY, **changes)) == free


def test_a_key_that_never_served_is_confirmed_within_an_hour():
    unused = replace(KEY, state=KeyState.UNUSED, created_by_us=True, reasons=(WINDOW,))

    assert free_at(unused) == NOW + 5 * DAY + timedelta(hours=1)


def test_the_reason_that_passes_last_holds_longest_and_one_without_an_end_before_all():
    endless = Reason(kind="unread", text="x")

    assert held_longest_by(DRAINING) == SNAPSHOTS
    assert held_longest_by(replace(DRAINING, reasons=(SNAPSHOTS, endless))) == endless
    assert held_longest_by(KEY) is None


@pytest.mark.parametrize(("retention", "free"), [(30, NOW + 21 * DAY), (7, NOW + 6 * DAY), (3650, NOW + 301 * DAY)])
def test_a_shorter_retention_brings_the_day_nearer_but_not_before_the_other_reasons(retention, free):
    assert free_at_with(DRAINING, retention) == free


def test_a_shorter_retention_gives_snapshots_that_never_expire_an_end():
    kept = replace(DRAINING, reasons=(replace(SNAPSHOTS, until=None),))

    assert free_at(kept) is None
    assert free_at_with(kept, 30) == NOW + 21 * DAY


def test_nothing_is_promised_where_the_youngest_snapshot_is_not_dated():
    undated = replace(DRAINING, clusters=(replace(MAIN, newest=None),), reasons=(replace(SNAPSHOTS, until=None),))

    assert free_at_with(undated, 30) is None


@pytest.mark.parametrize(
    ("used", "warned"), [(None, None), (NOW - 20 * DAY, None), (NOW - DAY, NOW - DAY), (NOW - 9 * DAY, None)]
)
def test_a_use_after_the_deployment_of_the_next_key_is_a_warning(used, warned):
    assert used_since(replace(KEY, last_used_at=used)) == warned


def test_a_key_costs_a_dollar_a_month_until_its_deletion_is_pending():
    assert {state: dollars_per_month(replace(KEY, state=state)) for state in KeyState} == {
        state: 0.0 if state in {KeyState.PENDING_DELETION, KeyState.DELETED} else 1.0 for state in KeyState
    }
