"""The way back to the old key: who may ask for it when, and what it changes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from chalicelib.domain.arn import KeyArn
from chalicelib.domain.records import Key, Problem, Project, Rotation
from chalicelib.domain.refusals import No, Refusal
from chalicelib.domain.rollback import ask_rollback, turn_round
from chalicelib.domain.vocabulary import KeyState, Strategy
from chalicelib.domain.vocabulary import RotationState as State

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
OLD = KeyArn(account="111122223333", region="eu-west-1", key_id="11111111-1111-1111-1111-111111111111")
NEW = replace(OLD, key_id="22222222-2222-2222-2222-222222222222")
DEPLOYED = Rotation(
    rotation_id="r1",
    project_id="p1",
    state=State.DEPLOYED,
    strategy=Strategy.NEW_CMK,
    requested_by="anna",
    requested_at=NOW - 9 * HOUR,
    fingerprint="f",
    old_key=OLD,
    new_key=NEW,
    patch_sent_at=NOW - 8 * HOUR,
    swapped_at=NOW - 8 * HOUR,
    first_refused_at=NOW - 8 * HOUR,
    refusal=Problem(code="x", detail="y"),
    settled_since=NOW - 7 * HOUR,
    deployed_at=NOW - 6 * HOUR,
    ended_at=NOW - 6 * HOUR,
    paused_clusters=("attic",),
)
DEPLOYING = replace(DEPLOYED, state=State.DEPLOYING, deployed_at=None, ended_at=None)
PROJECT = Project(project_id="p1", name="Shop", organization="o1", seen_at=NOW, key=NEW)
DURING = replace(PROJECT, open_rotation="r1")
OLD_RECORD = Key(arn=OLD, state=KeyState.RETIRING, projects=("p1",), first_seen_at=NOW)


def ask(rotation: Rotation, project: Project = PROJECT, old: Key | None = OLD_RECORD):
    return ask_rollback(rotation, project, old, who="bert", now=NOW)


def test_a_deployed_rotation_is_opened_again_and_turns_round_at_once():
    rotation, project = ask(DEPLOYED)

    assert (rotation.state, rotation.rollback_requested_by, rotation.due) == (State.ROLLING_BACK, "bert", NOW)
    assert (rotation.ended_at, project) == (None, replace(PROJECT, open_rotation="r1"))


def test_a_rotation_under_way_only_notes_the_wish_and_is_looked_at_at_once():
    rotation, project = ask(DEPLOYING, DURING)

    assert rotation == replace(DEPLOYING, rollback_requested_by="bert", next_look_at=NOW)
    assert project is DURING


def test_a_change_that_may_be_on_its_way_can_be_rolled_back_before_it_is_seen():
    rotation, _ = ask(replace(DEPLOYING, state=State.SWAPPING, swapped_at=None), DURING)

    assert (rotation.state, rotation.rollback_requested_by) == (State.SWAPPING, "bert")


def test_turning_round_forgets_how_the_way_there_went_but_neither_key_nor_the_swap():
    turned = turn_round(DEPLOYED)

    forgotten = (turned.patch_sent_at, turned.refusal, turned.first_refused_at, turned.settled_since)
    assert {*forgotten, turned.deployed_at} == {None}
    assert (turned.old_key, turned.new_key, turned.swapped_at) == (OLD, NEW, DEPLOYED.swapped_at)
    assert turned.paused_clusters == ("attic",)


@pytest.mark.parametrize("state", [State.REQUESTED, State.PREPARING, State.SWAPPING, State.RENEWING])
def test_before_anything_was_changed_a_rotation_is_cancelled_instead(state):
    with pytest.raises(Refusal, match="cancel the rotation instead") as refused:
        ask(replace(DEPLOYED, state=state, patch_sent_at=None), DURING)

    assert refused.value.no is No.CONFLICT


@pytest.mark.parametrize(
    "rotation",
    [replace(DEPLOYED, state=state) for state in (State.ROLLING_BACK, State.RETURNING, State.ROLLED_BACK)]
    + [replace(DEPLOYED, state=state) for state in (State.FAILED, State.CANCELLED)]
    + [replace(DEPLOYED, state=State.RENEWING, renewal_sent_at=NOW), replace(DEPLOYED, new_key=None)],
)
def test_a_rotation_without_a_way_back_says_in_which_state_it_is(rotation):
    with pytest.raises(Refusal, match=f"a rotation that is {rotation.state} cannot be rolled back"):
        ask(rotation)


def test_a_change_of_credentials_alone_has_no_other_key_to_go_back_to():
    with pytest.raises(Refusal, match="did not change"):
        ask(replace(DEPLOYED, new_key=OLD))


@pytest.mark.parametrize("rotation", [DEPLOYING, DEPLOYED])
@pytest.mark.parametrize(
    "changes",
    [
        {"deletion_id": "d1"},
        {"state": KeyState.QUARANTINED},
        {"state": KeyState.PENDING_DELETION},
        {"state": KeyState.DELETED},
    ],
)
def test_an_old_key_on_its_way_to_deletion_is_no_way_back(rotation, changes):
    with pytest.raises(Refusal, match="call that off first"):
        ask(rotation, old=replace(OLD_RECORD, **changes))


def test_an_old_key_that_nobody_recorded_is_judged_on_the_way():
    assert ask(DEPLOYED, old=None)[0].state is State.ROLLING_BACK


def test_a_deployed_rotation_waits_for_the_one_that_is_open():
    with pytest.raises(Refusal) as refused:
        ask(DEPLOYED, replace(PROJECT, open_rotation="r2"))

    assert refused.value.details == {"rotation_id": "r2"}


@pytest.mark.parametrize("key", [OLD, None, replace(NEW, region="us-east-1")])
def test_only_the_last_rotation_of_a_project_can_be_rolled_back(key):
    with pytest.raises(Refusal, match="only its last rotation"):
        ask(DEPLOYED, replace(PROJECT, key=key))
