"""What is done about the settings: decided from what Atlas shows, there and back."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.arn import KeyArn
from chalicelib.domain.observed import Settings
from chalicelib.domain.records import Problem, Rotation
from chalicelib.domain.swap import (
    INCONSISTENT_FOR,
    NOT_YET,
    SETTLES_WITHIN,
    Exchange,
    Swap,
    decide_swap,
    exchange_of,
    names,
)
from chalicelib.domain.vocabulary import RotationState, Strategy

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
OLD = KeyArn(account="111122223333", region="eu-west-1", key_id="11111111-1111-1111-1111-111111111111")
NEW = replace(OLD, key_id="22222222-2222-2222-2222-222222222222")
OTHER = replace(OLD, key_id="33333333-3333-3333-3333-333333333333")
HERE = replace(OLD, key_id="mrk-" + "a" * 32)
THERE = replace(HERE, region="eu-central-1")
REFUSED = Problem(code="INVALID_REGION", detail="Atlas refuses the region")
ROTATION = Rotation(
    rotation_id="r1",
    project_id="p1",
    state=RotationState.SWAPPING,
    strategy=Strategy.NEW_CMK,
    requested_by="anna",
    requested_at=NOW,
    fingerprint="f",
    old_key=OLD,
    new_key=NEW,
)
FORTH = exchange_of(ROTATION)
BACK = exchange_of(replace(ROTATION, state=RotationState.ROLLING_BACK))
CREDENTIALS = Exchange(leaving=OLD, wanted=OLD, access_key_id="AKIANEW")
ON_OLD = Settings(enabled=True, key=str(OLD), region="eu-west-1", valid=True)
ON_NEW = replace(ON_OLD, key=NEW.key_id)
WAYS = [pytest.param(FORTH, ON_OLD, ON_NEW, id="forth"), pytest.param(BACK, ON_NEW, ON_OLD, id="back")]


@pytest.mark.parametrize("text", [str(OLD), str(OLD).upper(), OLD.key_id, OLD.key_id.upper()])
@pytest.mark.parametrize("region", ["eu-west-1", None])
def test_settings_name_a_key_however_they_spell_it(text, region):
    assert names(Settings(enabled=True, key=text, region=region), OLD)


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        (ON_OLD, NEW),
        (ON_OLD, None),
        (Settings(enabled=True), OLD),
        (ON_NEW, OLD),
        (replace(ON_OLD, key="gibberish"), OLD),
    ],
)
def test_settings_do_not_name_another_key_or_none(settings, key):
    assert not names(settings, key)


@pytest.mark.parametrize(
    "settings",
    [
        Settings(enabled=True, key=str(THERE), region="eu-west-1"),
        Settings(enabled=True, key=THERE.key_id, region="eu-central-1"),
    ],
)
def test_the_twins_of_a_multi_region_key_are_told_apart_by_their_region(settings):
    assert names(settings, THERE)
    assert not names(settings, HERE)


@pytest.mark.parametrize("state", RotationState)
def test_a_rotation_leaves_the_old_key_but_on_its_way_back_the_new_one(state):
    exchange = exchange_of(replace(ROTATION, state=state, patch_sent_at=NOW, refusal=REFUSED), access_key_id="AKIANEW")

    back = state is RotationState.ROLLING_BACK
    assert (exchange.leaving, exchange.wanted) == ((NEW, OLD) if back else (OLD, NEW))
    assert (exchange.access_key_id, exchange.sent_at, exchange.refusal) == ("AKIANEW", NOW, REFUSED)


def test_a_rotation_without_a_new_key_has_nothing_to_exchange():
    assert exchange_of(replace(ROTATION, new_key=None)) is None


@pytest.mark.parametrize(("exchange", "before", "after"), WAYS)
class TestEitherWay:
    """What holds on the way there and on the way back."""

    def test_the_change_is_sent_while_the_settings_are_valid_and_name_the_key_that_is_left(
        self, exchange, before, after
    ):
        assert decide_swap(exchange, before, NOW).swap is Swap.SEND

    def test_it_is_seen_when_the_settings_name_the_wanted_key_and_are_valid(self, exchange, before, after):
        assert decide_swap(exchange, after, NOW).swap is Swap.SEEN

    @pytest.mark.parametrize("valid", [False, None])
    def test_a_wanted_key_that_is_not_found_valid_yet_is_waited_for(self, exchange, before, after, valid):
        decision = decide_swap(exchange, replace(after, valid=valid), NOW)

        assert decision.swap is Swap.WAIT
        assert f"{exchange.wanted} in its settings but has not found it valid" in decision.waiting_for

    @pytest.mark.parametrize("valid", [True, False, None])
    def test_a_change_that_was_sent_is_looked_for_before_anything_else_is_done(self, exchange, before, after, valid):
        sent, seen = replace(exchange, sent_at=NOW), replace(before, valid=valid)

        early = decide_swap(sent, seen, NOW + SETTLES_WITHIN - timedelta(seconds=1))
        late = decide_swap(sent, seen, NOW + SETTLES_WITHIN)

        assert (early.swap, "not seen yet" in early.waiting_for) == (Swap.WAIT, True)
        assert late.swap is (Swap.SEND if valid else Swap.STOP)

    def test_a_refusal_stops_only_when_the_settings_read_back_are_as_before(self, exchange, before, after):
        refused = replace(exchange, sent_at=NOW, refusal=REFUSED)

        agreed = decide_swap(refused, before, NOW)
        applied = decide_swap(refused, after, NOW)

        assert (agreed.swap, agreed.problem) == (Swap.STOP, REFUSED)
        assert applied.swap is Swap.SEEN

    def test_a_refusal_beside_the_wanted_key_that_is_not_valid_yet_is_waited_out(self, exchange, before, after):
        refused = replace(exchange, sent_at=NOW, refusal=REFUSED)

        assert decide_swap(refused, replace(after, valid=None), NOW).swap is Swap.WAIT

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"enabled": False}, "encryption_disabled"),
            ({"enabled": False, "valid": None, "key": None}, "encryption_disabled"),
            ({"key": str(OTHER)}, "key_changed_by_hand"),
            ({"key": None}, "key_changed_by_hand"),
            ({"key": str(OTHER), "valid": False}, "key_changed_by_hand"),
            ({"region": "us-east-1", "key": OLD.key_id}, "key_changed_by_hand"),
            ({"valid": False}, "current_key_invalid"),
            ({"valid": None}, "current_key_invalid"),
        ],
    )
    def test_it_stops_when_the_settings_are_not_what_it_was_requested_for(self, exchange, before, after, changes, code):
        decision = decide_swap(exchange, replace(before, **changes), NOW)

        assert (decision.swap, decision.problem.code) == (Swap.STOP, code)

    @pytest.mark.parametrize("refusal", [None, REFUSED])
    def test_encryption_switched_off_stops_it_even_under_the_wanted_key(self, exchange, before, after, refusal):
        decision = decide_swap(replace(exchange, sent_at=NOW, refusal=refusal), replace(after, enabled=False), NOW)

        assert (decision.swap, decision.problem.code) == (Swap.STOP, "encryption_disabled")


def test_credentials_alone_are_sent_until_the_settings_show_their_access_key():
    before, after = (replace(ON_OLD, access_key_id=name) for name in ("AKIAOLD", "AKIANEW"))

    assert decide_swap(CREDENTIALS, before, NOW).swap is Swap.SEND
    assert decide_swap(replace(CREDENTIALS, sent_at=NOW), before, NOW).swap is Swap.WAIT
    assert decide_swap(CREDENTIALS, after, NOW).swap is Swap.SEEN


def test_a_refusal_of_credentials_alone_is_believed_while_the_settings_show_the_old_ones():
    refused = replace(CREDENTIALS, sent_at=NOW, refusal=REFUSED)

    assert decide_swap(refused, replace(ON_OLD, access_key_id="AKIAOLD"), NOW).problem == REFUSED
    assert decide_swap(refused, replace(ON_OLD, access_key_id="AKIANEW"), NOW).swap is Swap.SEEN


def test_a_new_key_under_other_credentials_than_those_sent_is_not_taken_for_the_change():
    exchange = replace(FORTH, access_key_id="AKIANEW")

    assert decide_swap(exchange, replace(ON_NEW, access_key_id="AKIANEW"), NOW).swap is Swap.SEEN
    assert decide_swap(exchange, replace(ON_NEW, access_key_id="AKIAOLD"), NOW).swap is Swap.STOP


def test_a_change_to_a_twin_in_another_region_is_sent_and_seen_like_any_other():
    exchange = Exchange(leaving=HERE, wanted=THERE)
    settings = Settings(enabled=True, key=HERE.key_id, region="eu-west-1", valid=True)

    assert decide_swap(exchange, settings, NOW).swap is Swap.SEND
    assert decide_swap(exchange, replace(settings, region="eu-central-1"), NOW).swap is Swap.SEEN
    assert decide_swap(exchange, replace(settings, region="us-east-1"), NOW).swap is Swap.STOP


def test_three_refusals_pass_by_themselves_for_three_minutes():
    assert len(NOT_YET) == 3
    assert timedelta(minutes=3) == INCONSISTENT_FOR


KEYS = st.sampled_from([OLD, NEW, OTHER, HERE, THERE])
EXCHANGES = st.builds(
    Exchange,
    leaving=KEYS,
    wanted=KEYS,
    access_key_id=st.sampled_from([None, "AKIAOLD", "AKIANEW"]),
    sent_at=st.none() | st.integers(0, 1200).map(lambda seconds: NOW - timedelta(seconds=seconds)),
    refusal=st.sampled_from([None, REFUSED]),
)
SETTINGS = st.builds(
    Settings,
    enabled=st.booleans(),
    key=KEYS.map(str) | KEYS.map(lambda key: key.key_id) | st.sampled_from([None, "gibberish"]),
    region=st.sampled_from([None, "eu-west-1", "eu-central-1"]),
    valid=st.sampled_from([True, False, None]),
    access_key_id=st.sampled_from([None, "AKIAOLD", "AKIANEW"]),
)


@given(EXCHANGES, SETTINGS)
def test_nothing_is_ever_sent_over_settings_that_are_not_enabled_valid_and_on_the_key_that_is_left(exchange, settings):
    if decide_swap(exchange, settings, NOW).swap is Swap.SEND:
        assert settings.enabled
        assert settings.valid
        assert names(settings, exchange.leaving)
        assert exchange.refusal is None
        assert exchange.sent_at is None or NOW - exchange.sent_at >= SETTLES_WITHIN
        assert not exchange.is_shown_by(settings)


@given(EXCHANGES, SETTINGS)
def test_only_what_atlas_shows_and_finds_valid_counts_as_seen(exchange, settings):
    seen = settings.enabled and exchange.is_shown_by(settings) and settings.valid is True

    assert (decide_swap(exchange, settings, NOW).swap is Swap.SEEN) == seen


@given(EXCHANGES, SETTINGS)
def test_every_stop_has_a_problem_and_every_wait_a_reason(exchange, settings):
    decision = decide_swap(exchange, settings, NOW)

    assert (decision.problem is not None) == (decision.swap is Swap.STOP)
    assert bool(decision.waiting_for) == (decision.swap is Swap.WAIT)
