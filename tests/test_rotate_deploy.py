"""The deployment of a swap: soaked, held up with a reason, overtaken by people, and told of at its end."""

import json
from dataclasses import replace

import pytest
from fake_atlas import PROJECT, a_cluster, a_key, a_snapshot, some_settings
from simple_world import BUSY, DAY, HOUR, MINUTE, START, a_rotation, a_world, found, in_state, old_key

from chalicelib.domain.observed import Encryption, Settings
from chalicelib.domain.policies import NO_WISHES
from chalicelib.domain.records import Policy
from chalicelib.domain.vocabulary import KeyState, NoticeKind, RotationState
from chalicelib.usecases.discover import discover_project
from chalicelib.usecases.ports import PermanentError


@pytest.fixture
def world():
    return a_world()


def test_an_old_key_that_is_not_ours_to_see_does_not_hold_up_the_end(world):
    rotation = in_state(world, "deploying")
    world.change(rotation.now, old_key=a_key(5))

    done = rotation.go_until("deployed")

    assert world.tracker.key(done.old_key) is None


def test_the_deployment_soaks_for_thirty_minutes(world):
    rotation = in_state(world, "deploying")
    swapped = world.now

    rotation.go_until("deployed")

    assert world.now - swapped == 35 * MINUTE


def test_a_cluster_that_is_updating_starts_the_soak_anew(world):
    rotation = in_state(world, "deploying")
    rotation.go(4)
    world.in_atlas.clusters = [(a_cluster(state="UPDATING"), False)]
    updating = rotation.go()
    world.in_atlas.clusters = [(a_cluster(), False)]
    stopped = world.now

    rotation.go_until("deployed")

    assert updating.settled_since is None
    assert "cluster main to become IDLE" in updating.waiting_for[0]
    assert world.now - stopped == 35 * MINUTE


def test_a_cluster_without_the_customer_key_holds_nothing_up(world):
    world.in_atlas.clusters.append((a_cluster("plain", encryption=Encryption.NONE, state="UPDATING"), False))

    rotation = a_rotation(world)

    assert rotation.go_until("deployed").paused_clusters == ()


def test_a_paused_cluster_is_written_down_as_still_on_the_old_key(world):
    world.in_atlas.clusters.append((a_cluster("asleep", paused=True), False))

    done = a_rotation(world).go_until("deployed")

    assert done.paused_clusters == ("asleep",)
    assert world.tracker.key(done.old_key).paused_clusters == (f"{PROJECT}/asleep",)
    assert "Paused clusters still on the old key: asleep" in world.told(NoticeKind.ROTATION_DEPLOYED)[0]


def test_settings_that_go_back_to_the_old_key_are_waited_out(world):
    rotation = in_state(world, "deploying")
    world.in_atlas.settings = some_settings(old_key(world))

    waiting = rotation.go()

    assert waiting.waiting_for == ("the settings to name the new key",)


def test_a_third_key_during_the_deployment_ends_it_and_the_old_key_is_swept_on(world):
    rotation = in_state(world, "deploying")
    world.in_atlas.settings = some_settings(a_key(9))

    failed = rotation.go()

    old = world.tracker.key(failed.old_key)
    assert (failed.state, failed.error.code) == (RotationState.FAILED, "key_changed_by_hand")
    assert (old.state, old.next_sweep_at, old.deployed_at) == (KeyState.RETIRING, world.now, None)


def test_a_deployment_row_without_a_new_key_is_not_taken_for_done(world):
    rotation = in_state(world, "deploying")
    new = rotation.now.new_key
    world.in_atlas.settings = some_settings(old_key(world))
    world.change(rotation.now, new_key=None)

    ended = rotation.go(10)

    assert ended.state is RotationState.FAILED
    assert world.tracker.key(new).state is KeyState.DEPLOYING


def test_a_project_deleted_in_atlas_during_the_deployment_waits_for_a_person(world):
    rotation = in_state(world, "deploying")
    del world.atlas.world[PROJECT]

    waiting = rotation.go()

    assert (waiting.state, waiting.next_look_at - world.now) == (RotationState.DEPLOYING, HOUR)


def test_a_good_look_during_the_deployment_forgets_the_failures_before_it(world):
    rotation = in_state(world, "deploying")
    world.atlas.fail("settings", BUSY, times=2)

    failing = rotation.go(2).attempts
    looked = rotation.go()

    assert (failing, looked.attempts, looked.state) == (2, 0, RotationState.DEPLOYING)


def test_a_key_that_is_found_invalid_during_the_deployment_is_alarmed_about_at_once_and_once(world):
    rotation = in_state(world, "deploying")
    world.in_atlas.settings = replace(world.in_atlas.settings, valid=False)

    waiting = rotation.go(3)
    discover_project(world.outside, found(), NO_WISHES)

    assert "Atlas to find the new key valid" in waiting.waiting_for
    assert world.told().count(NoticeKind.DRIFT) == 1


def test_a_cluster_in_a_state_that_nobody_knows_holds_the_deployment_up(world):
    rotation = in_state(world, "deploying")
    world.in_atlas.clusters = [(a_cluster(state="CONTEMPLATING"), False)]

    waiting = rotation.go(20)

    assert waiting.waiting_for == ("cluster main to become IDLE (it is CONTEMPLATING)",)


def test_encryption_switched_off_during_the_deployment_ends_it_and_both_keys_are_kept(world):
    rotation = in_state(world, "deploying")
    world.in_atlas.settings = Settings(enabled=False)

    failed = rotation.go()

    assert (failed.state, failed.error.code) == (RotationState.FAILED, "encryption_disabled")
    assert world.tracker.key(failed.old_key).due == world.now
    assert {key.state for key in world.tracker.keys_of(PROJECT)} == {KeyState.RETIRING, KeyState.DEPLOYING}


def test_a_third_key_during_the_deployment_is_adopted_and_the_new_one_tracked(world):
    rotation = in_state(world, "deploying")
    third = world.keys.add()
    world.in_atlas.settings = some_settings(third)
    failed = rotation.go()

    discover_project(world.outside, found(), NO_WISHES)

    assert (world.project.key, world.tracker.key(failed.new_key).state) == (third, KeyState.RETIRING)


def an_emergency(world):
    old = old_key(world)
    soon, late = START + 3 * DAY, START + 30 * DAY
    world.in_atlas.clusters.append((a_cluster("gone"), True))
    world.in_atlas.snapshots["main"] = [a_snapshot(1, old, expires_at=soon), a_snapshot(2, a_key(9))]
    world.in_atlas.snapshots["gone"] = [a_snapshot(3, old, expires_at=late)]
    world.in_atlas.sharded["main"] = [a_snapshot(4, old, expires_at=soon)]
    return a_rotation(world, emergency=True, reason="leaked")


def test_after_an_emergency_every_snapshot_that_stays_readable_is_listed_the_longest_lived_first(world):
    done = an_emergency(world).go_until("deployed")

    listed = json.loads(world.tracker.proof(done.old_key, done.still_readable).document)
    assert [(cluster, int(number, 16)) for cluster, number, *_ in listed["snapshots"]] == [
        ("gone", 3),
        ("main", 1),
        ("main", 4),
    ]
    assert (listed["counted"], listed["unread"]) == (3, [])


def test_after_an_emergency_people_are_told_in_an_escalated_notice(world):
    done = an_emergency(world).go_until("deployed")

    (notice,) = [n for n in world.tracker.notices if n.kind is NoticeKind.STILL_READABLE]
    assert (notice.escalate, notice.detail["document"]) == (True, done.still_readable)
    assert "can still read 3 snapshots of gone, main, the last until 2027-03-31" in notice.text


@pytest.mark.parametrize("call", ["snapshots", "sharded_snapshots"])
def test_a_list_that_cannot_be_read_in_an_emergency_is_named_and_holds_nothing_up(world, call):
    rotation = an_emergency(world)
    world.atlas.fail(call, PermanentError("no", call=f"GET {call} of gone", code="403"), times=None, only="gone")

    done = rotation.go_until("deployed")

    listed = json.loads(world.tracker.proof(done.old_key, done.still_readable).document)
    assert listed["unread"] == [f"GET {call} of gone: no"]
    assert f"Not read: GET {call} of gone" in world.told(NoticeKind.STILL_READABLE)[0]


def test_an_emergency_soaks_no_shorter(world):
    rotation = an_emergency(world)
    rotation.go_until("deploying")
    swapped = world.now

    rotation.go_until("deployed")

    assert world.now - swapped >= 30 * MINUTE


def test_without_an_emergency_nothing_is_listed(world):
    done = in_state(world, "deployed").now

    assert (done.still_readable, "snapshots" in {call[0] for call in world.atlas.calls}) == (None, False)


def made_with(world, rotation, **changes):
    since = rotation.now.swapped_at
    snapshot = a_snapshot(7, rotation.now.new_key, created_at=since + MINUTE, expires_at=since + 9 * DAY)
    return replace(snapshot, **changes)


@pytest.fixture
def proving(world):
    """A rotation of a project whose policy wants a snapshot made with the new key."""
    world.change(world.project, policy=Policy(prove_by_snapshot=True))
    rotation = a_rotation(world)
    rotation.go_until("deploying")
    rotation.go(12)
    return rotation


def test_where_the_policy_wants_proof_a_rotation_waits_for_a_snapshot_of_every_cluster(world, proving):
    assert proving.now.state == "deploying"
    assert proving.now.waiting_for == ("a snapshot of cluster main made with the new key: take one to hurry",)


@pytest.mark.parametrize("lists", ["snapshots", "sharded"])
def test_a_snapshot_made_with_the_new_key_proves_the_deployment(world, proving, lists):
    getattr(world.in_atlas, lists)["main"] = [made_with(world, proving)]

    done = proving.go_until("deployed")

    assert done.evidence == (f"snapshot {7:024x} of cluster main was made with {done.new_key}",)


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "inProgress"},
        {"key": None},
        {"key": a_key(9).key_id},
        {"created_at": START - HOUR},
        {"created_at": None},
    ],
)
def test_a_snapshot_that_is_older_or_shows_another_key_proves_nothing(world, proving, changes):
    world.in_atlas.snapshots["main"] = [made_with(world, proving, **changes)]

    proving.go(3)

    assert proving.now.state == "deploying"


def test_clusters_that_are_paused_or_not_backed_up_are_not_waited_for(world, proving):
    world.in_atlas.clusters = [(a_cluster("main", paused=True), False), (a_cluster("bare", backups=False), False)]

    assert proving.go_until("deployed").evidence == ()
