"""Where an event leads a rotation, and what is done about the settings."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from chalicelib.domain.arn import KeyArn
from chalicelib.domain.observed import Settings
from chalicelib.domain.records import Rotation, Strategy
from chalicelib.domain.records import RotationState as State
from chalicelib.domain.rotation import (
    PATCH_SETTLES_WITHIN,
    TABLE,
    Event,
    IllegalTransition,
    Swap,
    backoff,
    decide_swap,
    names,
    next_state,
)

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
OLD = KeyArn(account="111122223333", region="eu-west-1", key_id="11111111-1111-1111-1111-111111111111")
NEW = replace(OLD, key_id="22222222-2222-2222-2222-222222222222")
OTHER = replace(OLD, key_id="33333333-3333-3333-3333-333333333333")
ROTATION = Rotation(
    rotation_id="r1",
    project_id="p1",
    state=State.SWAPPING,
    strategy=Strategy.NEW_CMK,
    requested_by="anna",
    requested_at=NOW,
    fingerprint="f",
    old_key=OLD,
    new_key=NEW,
)
ON_OLD = Settings(enabled=True, key=str(OLD), valid=True)
ON_NEW = replace(ON_OLD, key=NEW.key_id)


@pytest.mark.parametrize(("state", "event"), sorted(TABLE))
def test_an_event_leads_where_the_table_says(state, event):
    assert next_state(state, event) is TABLE[state, event]


@pytest.mark.parametrize(("state", "event"), sorted(set(product(State, Event)) - set(TABLE)))
def test_every_pair_that_is_not_in_the_table_is_refused(state, event):
    with pytest.raises(IllegalTransition, match=f"that is {state} cannot take the event “{event}”"):
        next_state(state, event)


def test_nothing_follows_a_terminal_state_and_something_follows_every_other():
    assert {state for state, _ in TABLE} == {state for state in State if not state.terminal}


def test_every_open_rotation_can_fail_but_none_is_cancelled_once_the_swap_was_seen():
    assert {state for state, event in TABLE if event is Event.REFUSED} == {s for s in State if not s.terminal}
    assert (State.DEPLOYING, Event.CANCELLED) not in TABLE


def test_a_rotation_that_has_ended_asks_for_no_more_looks():
    looking = replace(ROTATION, next_look_at=NOW)

    assert looking.due == NOW
    assert replace(looking, state=State.DEPLOYED).due is None


def test_the_wait_after_failures_doubles_from_ten_seconds_to_an_hour():
    waits = [backoff(attempts).total_seconds() for attempts in (0, 1, 2, 8, 9, 10_000)]

    assert waits == [10, 20, 40, 2560, 3600, 3600]


@pytest.mark.parametrize("text", [str(OLD), OLD.key_id, OLD.key_id.upper()])
def test_settings_name_a_key_however_they_spell_it(text):
    assert names(Settings(enabled=True, key=text), OLD)


@pytest.mark.parametrize(
    ("settings", "key"), [(ON_OLD, NEW), (ON_OLD, None), (Settings(enabled=True), OLD), (ON_NEW, OLD)]
)
def test_settings_do_not_name_another_key_or_none(settings, key):
    assert not names(settings, key)


def test_the_swap_is_sent_while_the_settings_are_valid_and_name_the_old_key():
    assert decide_swap(ROTATION, ON_OLD, NOW).swap is Swap.SEND


def test_the_swap_is_seen_when_the_settings_name_the_new_key_and_are_valid():
    assert decide_swap(ROTATION, ON_NEW, NOW).swap is Swap.SEEN


@pytest.mark.parametrize("valid", [False, None])
def test_a_new_key_not_found_valid_yet_is_waited_for(valid):
    decision = decide_swap(ROTATION, replace(ON_NEW, valid=valid), NOW)

    assert decision.swap is Swap.WAIT
    assert "valid" in decision.waiting_for


def test_a_change_that_was_sent_is_looked_for_before_it_is_sent_again():
    sent = replace(ROTATION, patch_sent_at=NOW)

    early = decide_swap(sent, ON_OLD, NOW + PATCH_SETTLES_WITHIN - timedelta(seconds=1))
    late = decide_swap(sent, ON_OLD, NOW + PATCH_SETTLES_WITHIN)

    assert (early.swap, late.swap) == (Swap.WAIT, Swap.SEND)


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        (Settings(enabled=False), "encryption_disabled"),
        (Settings(enabled=False, key=str(NEW), valid=True), "encryption_disabled"),
        (replace(ON_OLD, key=str(OTHER)), "key_changed_by_hand"),
        (replace(ON_OLD, key=None), "key_changed_by_hand"),
        (replace(ON_OLD, valid=False), "current_key_invalid"),
        (replace(ON_OLD, valid=None), "current_key_invalid"),
    ],
)
def test_the_swap_stops_when_the_settings_are_not_what_it_was_requested_for(settings, code):
    decision = decide_swap(ROTATION, settings, NOW)

    assert (decision.swap, decision.problem.code) == (Swap.STOP, code)
