"""What Atlas' events mean for a sweep that sleeps: they wake it, and nothing more."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from fake_atlas import a_key, an_event

from chalicelib.domain.records import ClusterTally, Key, Reason
from chalicelib.domain.rumours import EVENTS, OVERLAP, asleep, concerning, listen_since, wake
from chalicelib.domain.vocabulary import KeyState

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
DAY, HOUR, SECOND = timedelta(days=1), timedelta(hours=1), timedelta(seconds=1)
SLEEPING = Key(
    arn=a_key(1),
    state=KeyState.RETIRING,
    projects=("p1",),
    first_seen_at=NOW - 300 * DAY,
    swept_at=NOW - 2 * DAY,
    next_sweep_at=NOW + 20 * DAY,
    clean_since=NOW - 5 * DAY,
    safe_since=NOW - 4 * DAY,
)


def test_a_key_that_is_swept_only_days_from_now_sleeps():
    never_served = replace(SLEEPING, state=KeyState.UNUSED)

    assert asleep([SLEEPING, never_served], NOW) == (SLEEPING, never_served)


@pytest.mark.parametrize(
    "changes",
    [
        *({"state": state} for state in KeyState if state not in {KeyState.RETIRING, KeyState.UNUSED}),
        {"swept_at": None},
        {"next_sweep_at": None},
        {"next_sweep_at": NOW},
        {"next_sweep_at": NOW + 12 * HOUR},
    ],
    ids=str,
)
def test_a_key_that_is_swept_soon_anyway_or_by_nobody_needs_no_rumour(changes):
    assert asleep([replace(SLEEPING, **changes)], NOW) == ()


def test_a_sweep_that_is_half_a_day_away_is_just_far_enough_for_events_to_matter():
    assert asleep([replace(SLEEPING, next_sweep_at=NOW + 12 * HOUR + SECOND)], NOW)


def test_events_are_asked_for_from_the_earliest_sweep_on_and_a_little_before():
    other = replace(SLEEPING, swept_at=NOW - 9 * DAY)

    assert listen_since([SLEEPING, other]) == NOW - 9 * DAY - OVERLAP
    assert listen_since([]) is None
    assert listen_since([replace(SLEEPING, swept_at=None)]) is None


@pytest.mark.parametrize("at", [NOW - 2 * DAY - OVERLAP + SECOND, NOW - 2 * DAY, NOW - HOUR, NOW + HOUR])
def test_an_event_since_the_last_sweep_has_the_key_swept_now(at):
    (woken,) = wake([SLEEPING], [NOW - 90 * DAY, at], NOW)

    assert woken == replace(SLEEPING, next_sweep_at=NOW)


@pytest.mark.parametrize("at", [NOW - 2 * DAY - OVERLAP, NOW - 9 * DAY])
def test_what_happened_before_the_last_sweep_wakes_nobody(at):
    assert wake([SLEEPING], [at], NOW) == ()
    assert wake([SLEEPING], [], NOW) == ()


def test_each_key_is_woken_by_what_happened_after_its_own_sweep():
    older = replace(SLEEPING, arn=a_key(2), swept_at=NOW - 9 * DAY)

    woken = wake([SLEEPING, older], [NOW - 5 * DAY], NOW)

    assert [key.arn for key in woken] == [older.arn]


def test_events_that_could_not_be_read_wake_every_key_that_sleeps():
    older = replace(SLEEPING, arn=a_key(2), swept_at=NOW - 9 * DAY)

    woken = wake([SLEEPING, older], None, NOW)

    assert [(key.arn, key.due) for key in woken] == [(SLEEPING.arn, NOW), (older.arn, NOW)]


def test_a_key_that_was_never_swept_is_woken_by_anything():
    assert wake([replace(SLEEPING, swept_at=None)], [NOW - 90 * DAY], NOW)


@pytest.mark.parametrize("events", [None, [], [NOW], [NOW - 90 * DAY]])
def test_events_change_nothing_of_a_verdict_and_never_put_a_look_off(events):
    needed = replace(SLEEPING, safe_since=None, clean_since=None)

    for woken in wake([SLEEPING, needed], events, NOW):
        before = SLEEPING if woken.safe_since is not None else needed
        assert replace(woken, next_sweep_at=before.next_sweep_at) == before
        assert woken.next_sweep_at <= before.next_sweep_at


def test_every_kind_of_event_is_asked_for_once_in_one_call():
    assert len(set(EVENTS)) == len(EVENTS)
    assert {"CPS_SNAPSHOT_RETENTION_MODIFIED_AUDIT", "CLUSTER_CREATED"} <= set(EVENTS)


def a_tally(cluster: str, snapshots: int) -> ClusterTally:
    return ClusterTally(project_id="p1", cluster=cluster, cluster_id=cluster, snapshots=snapshots)


def an_expiry(days: int, cluster: str = "main") -> Reason:
    return Reason(kind="snapshots", text="x", project_id="p1", cluster=cluster, until=NOW + days * DAY)


HELD = replace(SLEEPING, safe_since=None, reasons=(an_expiry(20),), clusters=(a_tally("main", 3), a_tally("side", 0)))
FREE = replace(SLEEPING, clusters=(a_tally("main", 0), a_tally("side", 0)))
DELETED, CREATED = "CPS_SNAPSHOT_DELETED_AUDIT", "CLUSTER_CREATED"


@pytest.mark.parametrize("kind", EVENTS)
@pytest.mark.parametrize("key", [HELD, FREE], ids=["held", "free"])
def test_every_kind_of_event_concerns_some_key_at_its_own_moment(kind, key):
    events = [an_event(1, type=kind, at=NOW - HOUR, cluster=None)]
    adds = kind in {
        "CLUSTER_CREATED",
        "ENCRYPTION_AT_REST_CONFIGURATION_UPDATED",
        "ENCRYPTION_AT_REST_CONFIG_NO_LONGER_VALID",
    }

    heard = concerning(events, key, NOW)

    assert heard == (() if key is HELD and adds else (NOW - HOUR,))


@pytest.mark.parametrize(
    ("key", "kind", "cluster", "concerned"),
    [
        (HELD, DELETED, "main", True),
        (HELD, DELETED, None, True),
        (HELD, DELETED, "side", False),
        (HELD, "CPS_RESTORE_REQUESTED_AUDIT", "main", True),
        (HELD, "CPS_RESTORE_REQUESTED_AUDIT", "side", False),
        (HELD, CREATED, "main", False),
        (HELD, CREATED, None, False),
        (FREE, CREATED, "new", True),
        (FREE, CREATED, None, True),
        (FREE, DELETED, "side", False),
        (replace(FREE, clusters=(a_tally("main", 1),)), DELETED, "main", True),
        (replace(HELD, reasons=(an_expiry(-1),)), CREATED, "new", True),
        (replace(HELD, reasons=(an_expiry(0),)), CREATED, "new", True),
        (replace(HELD, reasons=(replace(an_expiry(1), until=None),)), CREATED, "new", True),
        (replace(HELD, reasons=(replace(an_expiry(1), until=None), an_expiry(2))), CREATED, "new", False),
        (replace(HELD, reasons=(an_expiry(1, "side"), an_expiry(2))), DELETED, "side", True),
    ],
)
def test_an_event_concerns_a_key_where_it_may_change_what_the_last_sweep_found(key, kind, cluster, concerned):
    events = [an_event(1, type=kind, at=NOW - HOUR, cluster=cluster)]

    assert bool(concerning(events, key, NOW)) is concerned


def test_of_many_events_those_that_concern_the_key_are_kept_with_their_moments():
    events = [
        an_event(1, type=DELETED, at=NOW - 3 * HOUR, cluster="main"),
        an_event(2, type=DELETED, at=NOW - 2 * HOUR, cluster="side"),
        an_event(3, type=DELETED, at=NOW - HOUR, cluster="main"),
    ]

    assert concerning(events, HELD, NOW) == (NOW - 3 * HOUR, NOW - HOUR)
