"""Where an event leads a rotation, and when there is no more to do."""

from dataclasses import replace
from datetime import UTC, datetime
from itertools import product

import pytest

from chalicelib.domain.arn import KeyArn
from chalicelib.domain.records import Rotation
from chalicelib.domain.rotation import TABLE, Event, backoff, may_be_cancelled, next_state
from chalicelib.domain.transition import IllegalTransition
from chalicelib.domain.vocabulary import RotationState as State
from chalicelib.domain.vocabulary import Strategy

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
OLD = KeyArn(account="111122223333", region="eu-west-1", key_id="11111111-1111-1111-1111-111111111111")
ROTATION = Rotation(
    rotation_id="r1",
    project_id="p1",
    state=State.SWAPPING,
    strategy=Strategy.NEW_CMK,
    requested_by="anna",
    requested_at=NOW,
    fingerprint="f",
    old_key=OLD,
    next_look_at=NOW,
)
OPEN = {state for state in State if not state.terminal}


@pytest.mark.parametrize(("state", "event"), sorted(TABLE))
def test_an_event_leads_where_the_table_says(state, event):
    assert next_state(state, event) is TABLE[state, event]


@pytest.mark.parametrize(("state", "event"), sorted(set(product(State, Event)) - set(TABLE)))
def test_every_pair_that_is_not_in_the_table_is_refused(state, event):
    with pytest.raises(IllegalTransition, match=f"that is {state} cannot take the event “{event}”"):
        next_state(state, event)


def test_something_follows_every_open_state_and_only_a_rollback_follows_an_end():
    assert {state for state, _ in TABLE} == OPEN | {State.DEPLOYED}
    assert [event for state, event in TABLE if state.terminal] == [Event.ROLLBACK_ASKED]


def test_every_open_rotation_can_fail():
    assert {state for state, event in TABLE if event is Event.REFUSED} == OPEN


def test_every_state_is_reached_from_the_request_and_every_open_one_leads_to_an_end():
    reached, before = {State.REQUESTED}, set()
    while reached != before:
        before = set(reached)
        reached |= {to for (state, _), to in TABLE.items() if state in reached}

    assert reached == set(State)
    assert all(any(s is state and to.terminal for (s, _), to in TABLE.items()) for state in OPEN)


def test_the_way_to_a_changed_project_leads_through_the_preflight_only():
    assert {event for state, event in TABLE if state is State.REQUESTED} == {
        Event.PREFLIGHT_PASSED,
        Event.KEY_STAYS,
        Event.REFUSED,
        Event.CANCELLED,
    }


@pytest.mark.parametrize("state", State)
def test_a_rotation_may_be_cancelled_until_something_was_changed(state):
    cancellable = state in {State.REQUESTED, State.PREPARING, State.SWAPPING, State.RENEWING}

    assert may_be_cancelled(replace(ROTATION, state=state)) == cancellable


@pytest.mark.parametrize("mark", ["patch_sent_at", "renewal_sent_at"])
@pytest.mark.parametrize("state", State)
def test_a_rotation_whose_change_may_be_on_its_way_is_not_cancelled(state, mark):
    assert not may_be_cancelled(replace(ROTATION, state=state, **{mark: NOW}))


@pytest.mark.parametrize("state", State)
def test_a_rotation_that_has_ended_asks_for_no_more_looks_unless_a_key_may_be_left_behind(state):
    ended = replace(ROTATION, state=state)

    assert ended.due == (None if state.terminal else NOW)
    assert replace(ended, untidy=True).due == NOW


def test_the_wait_after_failures_doubles_from_ten_seconds_to_an_hour():
    waits = [backoff(attempts).total_seconds() for attempts in (0, 1, 2, 8, 9, 10_000)]

    assert waits == [10, 20, 40, 2560, 3600, 3600]
