"""The strategies that keep the key: when KMS is asked to renew its material, and what counts as proof."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.arn import KeyArn
from chalicelib.domain.observed import ON_DEMAND_LIMIT, KeyDescription, KeyRotations, KeyStatus
from chalicelib.domain.records import Rotation
from chalicelib.domain.renewal import SHOWN_WITHIN, Renewal, decide_renewal, objections
from chalicelib.domain.vocabulary import RotationState, Strategy

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
KEY = KeyArn(account="111122223333", region="eu-west-1", key_id="11111111-1111-1111-1111-111111111111")
ON_DEMAND = Rotation(
    rotation_id="r1",
    project_id="p1",
    state=RotationState.RENEWING,
    strategy=Strategy.KMS_ON_DEMAND,
    requested_by="anna",
    requested_at=NOW,
    fingerprint="f",
    old_key=KEY,
)
SENT = replace(ON_DEMAND, renewals_before=2, renewal_sent_at=NOW)
AUTOMATIC = replace(ON_DEMAND, strategy=Strategy.KMS_AUTOMATIC, period_days=180)
NOTHING = KeyRotations(automatic=False, on_demand=2)
DESCRIBED = KeyDescription(arn=KEY, status=KeyStatus.ENABLED)


def test_a_renewal_is_asked_for_when_it_never_was():
    assert decide_renewal(ON_DEMAND, NOTHING, NOW).renewal is Renewal.SEND


def test_one_more_rotation_than_before_is_the_proof_that_it_is_done():
    dates = (NOW - timedelta(days=9), NOW)

    decision = decide_renewal(SENT, replace(NOTHING, on_demand=3, dates=dates), NOW)

    assert decision.renewal is Renewal.DONE
    assert decision.evidence == (
        "KMS rotated the key's material at 2027-02-20T12:00:00+00:00",
        "KMS rotated the key's material at 2027-03-01T12:00:00+00:00",
        "22 of 25 on-demand rotations are left",
    )


def test_a_renewal_that_is_not_shown_yet_is_looked_for_before_it_counts_as_lost():
    early = decide_renewal(SENT, NOTHING, NOW + SHOWN_WITHIN - SECOND)
    late = decide_renewal(SENT, NOTHING, NOW + SHOWN_WITHIN)

    assert (early.renewal, early.waiting_for) == (Renewal.WAIT, "KMS to show the on-demand rotation")
    assert late.renewal is Renewal.SEND


@pytest.mark.parametrize("rotation", [ON_DEMAND, SENT])
def test_a_renewal_that_runs_is_waited_for_however_long_it_takes_and_whoever_began_it(rotation):
    running = replace(NOTHING, on_demand_running_since=NOW)

    decision = decide_renewal(rotation, running, NOW + timedelta(days=9))

    assert (decision.renewal, decision.waiting_for) == (Renewal.WAIT, "KMS to finish the on-demand rotation")


def test_rotations_that_were_there_before_ours_was_asked_for_prove_nothing():
    unmarked = replace(SENT, renewals_before=None, renewal_sent_at=None)

    assert decide_renewal(unmarked, replace(NOTHING, on_demand=9), NOW).renewal is Renewal.SEND


@pytest.mark.parametrize(
    "shown",
    [
        KeyRotations(automatic=False),
        KeyRotations(automatic=False, period_days=180),
        KeyRotations(automatic=True, period_days=365),
        KeyRotations(automatic=True),
    ],
)
def test_kms_is_told_to_rotate_by_itself_until_it_does_so_in_the_period_wanted(shown):
    assert decide_renewal(AUTOMATIC, shown, NOW).renewal is Renewal.SEND


@pytest.mark.parametrize(("following", "words"), [(NOW, ", next on 2027-03-01"), (None, "")])
def test_a_key_that_kms_rotates_in_the_period_wanted_is_done(following, words):
    decision = decide_renewal(AUTOMATIC, KeyRotations(automatic=True, period_days=180, next_at=following), NOW)

    assert decision.renewal is Renewal.DONE
    assert decision.evidence == (f"KMS rotates the key by itself every 180 days{words}",)


SHOWN = st.builds(
    KeyRotations,
    automatic=st.booleans(),
    on_demand=st.integers(0, 25),
    on_demand_running_since=st.sampled_from([None, NOW]),
)


@given(
    SHOWN,
    st.none() | st.integers(0, 25),
    st.none() | st.integers(0, 1200).map(lambda seconds: NOW - timedelta(seconds=seconds)),
)
def test_no_second_renewal_is_sent_while_one_is_counted_runs_or_is_young(shown, before, sent_at):
    rotation = replace(ON_DEMAND, renewals_before=before, renewal_sent_at=sent_at)

    decision = decide_renewal(rotation, shown, NOW)

    if decision.renewal is Renewal.SEND:
        assert shown.on_demand_running_since is None
        assert sent_at is None or NOW - sent_at >= SHOWN_WITHIN
        assert before is None or sent_at is None or shown.on_demand <= before
    assert bool(decision.waiting_for) == (decision.renewal is Renewal.WAIT)


@given(SHOWN, st.integers(0, 25))
def test_nothing_but_a_higher_count_proves_an_on_demand_renewal(shown, before):
    decision = decide_renewal(replace(SENT, renewals_before=before), shown, NOW)

    assert (decision.renewal is Renewal.DONE) == (shown.on_demand > before)


@pytest.mark.parametrize("strategy", [Strategy.KMS_ON_DEMAND, Strategy.KMS_AUTOMATIC])
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"spec": "RSA_4096"}, "its spec is RSA_4096"),
        ({"custom_store": True}, "custom key store"),
        ({"origin": "EXTERNAL"}, "import new material"),
        ({"replica": True, "multi_region": True}, "rotate its primary key"),
        ({"aws_managed": True}, "managed by AWS"),
    ],
)
def test_a_kind_of_key_that_kms_cannot_renew_is_named(strategy, changes, words):
    (text,) = objections(strategy, replace(DESCRIBED, **changes), NOTHING)

    assert words in text


@pytest.mark.parametrize("shown", [NOTHING, replace(NOTHING, on_demand=ON_DEMAND_LIMIT - 1), None])
@pytest.mark.parametrize("described", [DESCRIBED, replace(DESCRIBED, multi_region=True)])
def test_nothing_stands_against_an_ordinary_key_with_a_rotation_left(described, shown):
    assert objections(Strategy.KMS_ON_DEMAND, described, shown) == ()


def test_the_25_rotations_of_a_key_limit_those_on_demand_only():
    used_up = replace(NOTHING, on_demand=ON_DEMAND_LIMIT)

    assert ["used up" in text for text in objections(Strategy.KMS_ON_DEMAND, DESCRIBED, used_up)] == [True]
    assert objections(Strategy.KMS_AUTOMATIC, DESCRIBED, used_up) == ()


def test_every_objection_is_told_at_once():
    external_replica = replace(DESCRIBED, origin="EXTERNAL", replica=True)

    assert len(objections(Strategy.KMS_ON_DEMAND, external_replica, replace(NOTHING, on_demand=25))) == 3
