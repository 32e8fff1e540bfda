from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from chalicelib.domain.arn import KeyArn
from chalicelib.domain.key_life import be_replaced, be_wanted, take_up
from chalicelib.domain.records import Key, Reason
from chalicelib.domain.vocabulary import KeyState

THEN = datetime(2027, 3, 1, tzinfo=UTC)
NOW = THEN + timedelta(days=90)
ONCE_SAFE = Key(
    arn=KeyArn(account="123456789012", region="us-east-1", key_id="11111111-2222-3333-4444-555555555555"),
    state=KeyState.RETIRING,
    projects=("old",),
    first_seen_at=THEN,
    replaced_at=THEN,
    deployed_at=THEN,
    reasons=(Reason(kind="snapshots", text="one"),),
    swept_at=THEN,
    clean_since=THEN,
    safe_since=THEN,
    proof_digest="a" * 64,
    proof_at=THEN,
    attested_at=THEN,
)


@pytest.mark.parametrize(
    "turned",
    [
        be_wanted(ONCE_SAFE, "new"),
        take_up(ONCE_SAFE, "new", KeyState.CURRENT),
        be_replaced(ONCE_SAFE, NOW),
    ],
)
def test_every_turn_forgets_that_the_key_was_once_safe(turned):
    assert turned.safe_since is None
    assert turned.clean_since is None
    assert turned.proof_digest is None
    assert turned.attested_at is None
    assert turned.reasons == ()


def test_a_wanted_key_keeps_its_place_and_its_history():
    wanted = be_wanted(ONCE_SAFE, "new")

    assert wanted.state is KeyState.RETIRING
    assert wanted.replaced_at == THEN
    assert wanted.projects == ("new", "old")


def test_a_key_that_is_taken_up_was_never_replaced():
    taken = take_up(ONCE_SAFE, "old", KeyState.CURRENT)

    assert (taken.replaced_at, taken.deployed_at, taken.projects) == (None, None, ("old",))


def test_a_replaced_key_waits_for_its_successor_to_be_deployed():
    replaced = be_replaced(replace(ONCE_SAFE, state=KeyState.CURRENT), NOW)

    assert (replaced.state, replaced.replaced_at, replaced.deployed_at) == (KeyState.RETIRING, NOW, None)
