"""A rotation step by step: what each wake-up does, and what crashes, lost answers and people do to it."""

import json
from dataclasses import replace

import pytest
from fake_atlas import PROJECT, ROLE_ARN, a_cluster, a_key, a_role, some_settings
from simple_world import ANNA, DAY, HOUR, MINUTE, REGION, SECOND, START, a_rotation, a_world, old_key

from chalicelib.domain.observed import Encryption, KeyStatus
from chalicelib.domain.records import Change, Key, KeyState, NoticeKind, Policy, RotationState
from chalicelib.usecases.ports import Conflict, PermanentError, TemporaryError
from chalicelib.usecases.request_rotation import cancel_rotation
from chalicelib.usecases.rotate import advance_rotation, advance_woken

BUSY = TemporaryError("GET /groups: 503", call="GET /groups", code="503")
LOST = TemporaryError("PATCH /encryptionAtRest: the connection broke", call="PATCH /encryptionAtRest")
FORBIDDEN = PermanentError("GET /groups: 403", call="GET /groups", code="403")
NO_ROLE_YET = TemporaryError("PATCH: CANNOT_ASSUME_ROLE", call="PATCH", code="CANNOT_ASSUME_ROLE")
GRANTS = json.dumps(
    {
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": ROLE_ARN},
                "Action": ["kms:DescribeKey", "kms:Encrypt", "kms:Decrypt"],
                "Resource": "*",
                "Condition": {"StringEquals": {"aws:SourceVpce": "vpce-1"}},
            }
        ]
    }
)


@pytest.fixture
def world():
    return a_world()


def in_state(world, state, **asked):
    rotation = a_rotation(world, **asked)
    rotation.go_until(state)
    return rotation


def raising(error):
    def hook(project_id, key):
        raise error

    return hook


def test_a_rotation_ends_with_the_new_key_current_and_the_old_one_to_be_swept(world):
    rotation = a_rotation(world)

    done = rotation.go_until("deployed")

    new, old = world.tracker.key(done.new_key), world.tracker.key(done.old_key)
    assert world.in_atlas.settings.key == str(done.new_key)
    assert (new.state, new.created_by_us, new.projects) == (KeyState.CURRENT, True, (PROJECT,))
    assert (old.state, old.deployed_at, old.next_sweep_at) == (KeyState.RETIRING, world.now, world.now)
    assert (world.project.key, world.project.open_rotation, world.project.generation) == (done.new_key, None, 2)
    assert (done.due, done.ended_at, done.lease_until) == (None, world.now, None)
    assert world.told() == ["rotation_started", "rotation_deploying", "rotation_deployed"]


def test_every_change_of_state_stands_in_the_audit_trail(world):
    rotation = a_rotation(world)

    rotation.go_until("deployed")

    assert [entry.what for entry in world.tracker.audit] == [
        "rotation requested",
        "rotation: preflight passed",
        "rotation: key ready",
        "settings changed",
        "rotation: swap seen",
        "rotation: settled",
    ]


def test_a_queue_message_takes_one_step(world):
    rotation = a_rotation(world)

    advance_woken(world.outside, {"project_id": PROJECT, "rotation_id": rotation.rotation_id})

    assert rotation.now.state is RotationState.PREPARING


def test_each_step_wakes_the_next_and_the_last_wakes_nobody(world):
    rotation = a_rotation(world)

    rotation.go_until("deployed")

    delays = [delay for _, _, delay in world.messages.rotation_wakes]
    assert delays[:4] == [0, 0, 0, 0]
    assert set(delays[4:]) == {300}
    assert world.tracker.commits[-1].records[0].next_look_at is None


def test_the_preflight_shows_all_its_checks_and_changes_nothing(world):
    rotation = a_rotation(world)

    passed = rotation.go()

    assert len(passed.checks) == 9
    assert all(check.passed for check in passed.checks)
    assert (world.created(), world.swaps()) == (0, 0)


def test_a_failed_preflight_ends_the_rotation_with_every_fault_in_one_sentence(world):
    world.keys.change(old_key(world), status=KeyStatus.DISABLED)
    world.in_atlas.settings = some_settings(old_key(world), valid=False)

    failed = a_rotation(world).go()

    assert failed.state is RotationState.FAILED
    assert failed.error.code == "settings_valid"
    assert "the current key is Disabled" in failed.error.detail
    assert (world.created(), world.swaps(), world.project.open_rotation) == (0, 0, None)
    assert world.told()[-1] == NoticeKind.ROTATION_FAILED


def test_a_current_key_that_may_not_be_described_only_warns(world):
    world.keys.fail("describe", FORBIDDEN)

    passed = a_rotation(world).go()

    unsure = [check.name for check in passed.checks if check.passed is None]
    assert (passed.state, unsure) == (RotationState.PREPARING, ["current_key_enabled"])


def test_a_brought_key_that_grants_what_atlas_needs_is_used_and_none_is_made(world):
    wanted = world.keys.add(policy=GRANTS)
    rotation = a_rotation(world, key=wanted.key_id)

    done = rotation.go_until("deployed")

    assert (done.new_key, done.created_by_us, world.created()) == (wanted, False, 0)
    assert not world.tracker.key(wanted).created_by_us


def test_a_brought_key_whose_policy_does_not_grant_stops_the_rotation(world):
    wanted = world.keys.add(policy='{"Statement": []}')

    failed = a_rotation(world, key=str(wanted)).go()

    assert (failed.state, failed.error.code) == (RotationState.FAILED, "wanted_key_grants")


def test_a_brought_key_that_kms_does_not_know_stops_the_rotation(world):
    failed = a_rotation(world, key=a_key(77).key_id).go()

    assert (failed.state, failed.error.code) == (RotationState.FAILED, "wanted_key_usable")


def test_a_brought_key_whose_name_went_bad_in_the_row_stops_the_rotation(world):
    rotation = a_rotation(world)
    world.change(rotation.now, wanted_key="no key at all")

    failed = rotation.go()

    assert (failed.state, failed.error.code) == (RotationState.FAILED, "wanted_key_usable")


def test_a_brought_key_on_its_way_to_deletion_is_refused(world):
    wanted = world.keys.add(policy=GRANTS)
    world.put(Key(arn=wanted, state=KeyState.PENDING_DELETION, projects=(), first_seen_at=START))

    failed = a_rotation(world, key=str(wanted)).go(2)

    assert (failed.state, failed.error.code) == (RotationState.FAILED, "key_in_deletion")
    assert world.swaps() == 0


def test_a_key_that_comes_back_into_use_is_not_judged_by_its_earlier_life(world):
    wanted = world.keys.add(policy=GRANTS)
    earlier = Key(arn=wanted, state=KeyState.RETIRING, projects=(PROJECT,), first_seen_at=START - 400 * DAY)
    long_ago = START - 100 * DAY
    world.put(replace(earlier, deployed_at=long_ago, clean_since=long_ago, safe_since=long_ago, attested_at=long_ago))

    done = a_rotation(world, key=str(wanted)).go_until("deployed")

    back = world.tracker.key(done.new_key)
    assert (back.deployed_at, back.clean_since, back.safe_since, back.attested_at) == (None, None, None, None)
    assert back.first_seen_at == START - 400 * DAY


def test_the_new_key_has_an_alias_rotates_yearly_and_carries_the_old_condition(world):
    world.keys.set_policy(old_key(world), GRANTS)
    rotation = in_state(world, "swapping")

    new = rotation.now.new_key

    assert world.keys.aliases[f"alias/keyturn/{PROJECT}/2-{rotation.rotation_id}"] == new
    assert world.keys.rotations(new).automatic
    assert "vpce-1" in world.keys.policy(new)
    assert world.tracker.key(new).alias == rotation.now.alias


@pytest.mark.parametrize("policy", ["not json", '{"Statement": []}'])
def test_an_old_policy_without_a_readable_condition_carries_nothing_over(world, policy):
    world.keys.set_policy(old_key(world), policy)

    rotation = in_state(world, "swapping")

    assert "Condition" not in world.keys.policy(rotation.now.new_key)


def test_an_old_policy_that_may_not_be_read_carries_nothing_over(world):
    world.keys.fail("policy", FORBIDDEN)

    rotation = in_state(world, "swapping")

    assert "Condition" not in world.keys.policy(rotation.now.new_key)


def test_a_key_made_just_before_a_crash_is_adopted_by_its_tag(world):
    rotation = in_state(world, "preparing")
    world.keys.fail("name", BUSY)

    rotation.go_until("swapping")

    assert world.created() == 1
    assert world.keys.tags(rotation.now.new_key)["keyturn:rotation"] == rotation.rotation_id


def test_a_key_named_just_before_a_crash_is_adopted_by_its_alias(world):
    rotation = in_state(world, "preparing")
    world.keys.fail("rotate_automatically", BUSY)

    rotation.go_until("swapping")

    assert world.created() == 1
    assert world.keys.calls.count("find_by_rotation") == 1


def test_a_crash_between_the_making_of_a_key_and_its_record_makes_no_second_key(world):
    rotation = in_state(world, "preparing")
    commit = world.tracker.commit

    def crash(change):
        if world.created():
            raise KeyboardInterrupt
        commit(change)

    world.tracker.commit = crash
    with pytest.raises(KeyboardInterrupt):
        rotation.go()
    world.tracker.commit = commit

    swapping = rotation.go()

    assert (swapping.state, world.created(), len(world.keys.arns)) == (RotationState.SWAPPING, 1, 2)
    assert world.tracker.key(swapping.new_key).state is KeyState.UNUSED


def test_a_project_whose_role_was_withdrawn_gets_no_key(world):
    rotation = in_state(world, "preparing")
    world.in_atlas.roles = []

    failed = rotation.go()

    assert (failed.state, failed.error.code, world.created()) == (RotationState.FAILED, "role_authorized", 0)


def test_the_role_that_encryption_uses_is_taken_where_the_settings_name_none(world):
    world.in_atlas.settings = some_settings(old_key(world), role_id=None)

    done = a_rotation(world).go_until("deployed")

    assert ROLE_ARN in world.keys.policy(done.new_key)


def test_two_roles_in_use_and_none_named_stop_the_rotation(world):
    world.in_atlas.settings = some_settings(old_key(world), role_id=None)
    world.in_atlas.roles.append(a_role(role_id="other"))

    failed = a_rotation(world).go()

    assert (failed.state, failed.error.code) == (RotationState.FAILED, "role_authorized")


def test_a_role_that_vanishes_before_the_swap_stops_it_with_the_old_key_in_place(world):
    rotation = in_state(world, "swapping")
    world.in_atlas.settings = some_settings(old_key(world), role_id=None)
    world.in_atlas.roles = []

    failed = rotation.go()

    assert (failed.state, failed.error.code, world.swaps()) == (RotationState.FAILED, "refused", 0)


def test_keys_are_made_in_the_account_of_the_projects_role():
    world = a_world(policy=Policy(kms_role_arn="arn:aws:iam::111122223333:role/keys"))

    in_state(world, "swapping")

    assert set(world.asked_keys) == {(REGION, "arn:aws:iam::111122223333:role/keys")}


def test_the_settings_are_changed_once_however_often_it_is_woken(world):
    world.atlas.delay_swaps = True
    rotation = in_state(world, "swapping")

    rotation.go(8)

    assert (rotation.now.state, world.swaps()) == (RotationState.SWAPPING, 1)
    assert rotation.now.waiting_for == ("the change of settings was sent and is not seen yet",)


def test_a_change_that_shows_late_is_waited_for(world):
    world.atlas.delay_swaps = True
    rotation = in_state(world, "swapping")
    rotation.go(4)
    world.atlas.settle()

    seen = rotation.go()

    assert (seen.state, seen.swapped_at, world.swaps()) == (RotationState.DEPLOYING, world.now, 1)


def test_a_change_that_never_shows_is_sent_again_after_ten_minutes(world):
    world.atlas.delay_swaps = True
    rotation = in_state(world, "swapping")
    rotation.go()
    world.wait(10 * MINUTE)

    rotation.go()

    assert world.swaps() == 2


def test_a_new_key_that_atlas_has_not_found_valid_yet_is_waited_for(world):
    rotation = in_state(world, "swapping")
    rotation.go()
    world.in_atlas.settings = replace(world.in_atlas.settings, valid=False)

    waiting = rotation.go()

    assert waiting.state is RotationState.SWAPPING
    assert "has not found it valid" in waiting.waiting_for[0]


def test_an_answer_that_is_lost_is_looked_for_and_not_asked_again(world):
    rotation = in_state(world, "swapping")
    world.atlas.after_swap = raising(LOST)

    rotation.go_until("deploying")

    assert world.swaps() == 1


def test_a_crash_just_after_the_change_is_found_by_looking(world):
    rotation = in_state(world, "swapping")
    world.atlas.after_swap = raising(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        rotation.go()

    rotation.go_until("deploying")

    assert world.swaps() == 1


def test_a_read_back_that_fails_keeps_the_mark_that_a_change_is_on_its_way(world):
    rotation = in_state(world, "swapping")
    sent = rotation.go()
    world.atlas.fail("settings", BUSY)

    waiting = rotation.go()

    assert (waiting.patch_sent_at, waiting.attempts) == (sent.patch_sent_at, 1)
    assert rotation.go().state is RotationState.DEPLOYING


def test_a_refusal_for_good_stops_the_rotation_with_the_old_key_in_place(world):
    rotation = in_state(world, "swapping")
    world.atlas.fail("swap_key", FORBIDDEN)

    failed = rotation.go()

    assert (failed.state, failed.error.code, failed.patch_sent_at) == (RotationState.FAILED, "403", None)
    assert world.in_atlas.settings.key == str(old_key(world))
    assert world.project.key == old_key(world)
    assert world.tracker.key(failed.new_key).next_sweep_at == world.now


def test_a_refusal_that_passes_with_time_is_asked_again_soon(world):
    rotation = in_state(world, "swapping")
    world.atlas.fail("swap_key", NO_ROLE_YET, times=3)

    waiting = rotation.go()
    rotation.go_until("deploying")

    assert waiting.next_look_at - waiting.first_refused_at == 20 * SECOND
    assert (waiting.patch_sent_at, world.swaps()) == (None, 4)


def test_a_refusal_that_has_not_passed_after_three_minutes_is_final(world):
    rotation = in_state(world, "swapping")
    world.atlas.fail("swap_key", NO_ROLE_YET, times=None)
    began = world.now

    failed = rotation.go_until("failed")

    assert (failed.error.code, world.now - began) == ("CANNOT_ASSUME_ROLE", 3 * MINUTE)


def test_a_key_changed_by_hand_before_the_swap_stops_it(world):
    rotation = in_state(world, "swapping")
    world.in_atlas.settings = some_settings(a_key(9))

    failed = rotation.go()

    assert (failed.error.code, world.swaps()) == ("key_changed_by_hand", 0)
    assert world.in_atlas.settings.key == str(a_key(9))


def test_a_new_key_set_by_hand_counts_as_the_swap(world):
    rotation = in_state(world, "swapping")
    world.in_atlas.settings = some_settings(rotation.now.new_key)

    seen = rotation.go()

    assert (seen.state, world.swaps()) == (RotationState.DEPLOYING, 0)


def test_a_refusal_during_the_deployment_of_a_key_set_by_hand_only_waits(world):
    rotation = in_state(world, "swapping")
    world.in_atlas.settings = some_settings(rotation.now.new_key)
    rotation.go()
    world.atlas.fail("settings", FORBIDDEN)

    waiting = rotation.go()

    assert waiting.state is RotationState.DEPLOYING


def test_an_old_key_that_the_tracker_lost_is_recorded_at_the_swap(world):
    other = world.keys.add()
    world.change(world.project, key=other)
    world.in_atlas.settings = some_settings(other)

    rotation = in_state(world, "deploying")

    assert world.tracker.key(rotation.now.old_key).state is KeyState.RETIRING


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


@pytest.mark.parametrize("state", ["requested", "preparing", "swapping"])
def test_a_rotation_can_be_cancelled_until_the_settings_are_changed(world, state):
    rotation = in_state(world, state)
    cancel_rotation(world.outside, PROJECT, rotation.rotation_id, who=ANNA)

    cancelled = rotation.go()

    assert (cancelled.state, world.swaps(), world.project.open_rotation) == (RotationState.CANCELLED, 0, None)
    assert world.told()[-1] == NoticeKind.ROTATION_CANCELLED


def test_a_key_made_for_a_cancelled_rotation_stays_in_sight(world):
    rotation = in_state(world, "swapping")
    cancel_rotation(world.outside, PROJECT, rotation.rotation_id, who=ANNA)

    cancelled = rotation.go()

    abandoned = world.tracker.key(cancelled.new_key)
    assert (abandoned.state, abandoned.due) == (KeyState.UNUSED, world.now)


def test_a_brought_key_that_somebody_else_uses_is_left_alone_by_a_cancellation(world):
    wanted = world.keys.add(policy=GRANTS)
    world.put(Key(arn=wanted, state=KeyState.CURRENT, projects=("other",), first_seen_at=START))
    rotation = in_state(world, "swapping", key=str(wanted))
    cancel_rotation(world.outside, PROJECT, rotation.rotation_id, who=ANNA)

    rotation.go()

    assert world.tracker.key(wanted).due is None


@pytest.mark.parametrize("changed", [{"patch_sent_at": START}, {"state": RotationState.DEPLOYING}])
def test_a_wish_to_cancel_that_comes_too_late_is_passed_over(world, changed):
    rotation = in_state(world, "swapping")
    world.change(rotation.now, cancel_requested_by=ANNA, **changed)

    later = rotation.go()

    assert later.state is not RotationState.CANCELLED


def test_a_doubled_wake_up_takes_no_second_step(world):
    rotation = in_state(world, "deploying")
    before = rotation.now

    answer = rotation.step()

    assert (answer, rotation.now) == (None, before)


def test_a_rotation_in_somebodys_hands_is_left_alone(world):
    rotation = a_rotation(world)
    world.change(rotation.now, lease_until=world.now + MINUTE)

    answer = rotation.step()

    assert (answer, rotation.now.state) == (None, RotationState.REQUESTED)


def test_a_lease_that_ran_out_is_taken_over(world):
    rotation = a_rotation(world)
    world.change(rotation.now, lease_until=world.now)

    answer = rotation.step()

    assert answer.state is RotationState.PREPARING


def test_the_slower_of_two_wake_ups_takes_no_step(world):
    rotation = a_rotation(world)
    commit = world.tracker.commit

    def too_late(change: Change) -> None:
        commit(Change(records=(replace(rotation.now, lease_until=world.now + MINUTE),)))
        commit(change)

    world.outside.tracker.commit = too_late

    answer = rotation.step()

    assert (answer, rotation.now.state) == (None, RotationState.REQUESTED)


def test_unknown_and_finished_rotations_are_left_alone(world):
    rotation = in_state(world, "deployed")
    before = len(world.tracker.commits)

    answers = [
        rotation.step(),
        advance_rotation(world.outside, PROJECT, "unknown"),
        advance_rotation(world.outside, "unknown", rotation.rotation_id),
    ]

    assert (answers, len(world.tracker.commits)) == ([None, None, None], before)


def test_temporary_errors_back_off_in_the_row_and_success_forgets_them(world):
    rotation = a_rotation(world)
    world.atlas.fail("settings", BUSY, times=3)

    waits = [rotation.go().next_look_at - world.now for _ in range(3)]

    assert waits == [20 * SECOND, 40 * SECOND, 80 * SECOND]
    assert rotation.now.waiting_for == (BUSY.message,)
    assert rotation.go().attempts == 0


def test_a_good_look_during_the_deployment_forgets_the_failures_before_it(world):
    rotation = in_state(world, "deploying")
    world.atlas.fail("settings", BUSY, times=2)

    failing = rotation.go(2).attempts
    looked = rotation.go()

    assert (failing, looked.attempts, looked.state) == (2, 0, RotationState.DEPLOYING)


def test_a_wait_that_atlas_asks_for_is_kept_to_and_never_woken_early(world):
    rotation = a_rotation(world)
    world.atlas.fail("settings", TemporaryError("429", call="GET", retry_after=7.5))

    waiting = rotation.go()

    assert waiting.next_look_at - world.now == 7.5 * SECOND
    assert world.messages.rotation_wakes[-1][2] == 8


def test_a_long_wait_is_left_to_the_time_index(world):
    rotation = a_rotation(world)
    world.atlas.fail("settings", TemporaryError("429", call="GET", retry_after=3600))
    before = len(world.messages.rotation_wakes)

    rotation.go()

    assert len(world.messages.rotation_wakes) == before
    assert rotation.now.due == world.now + HOUR


def test_a_permanent_error_before_the_swap_ends_the_rotation(world):
    rotation = a_rotation(world)
    world.atlas.fail("settings", FORBIDDEN)

    failed = rotation.go()

    assert (failed.state, failed.error.code) == (RotationState.FAILED, "403")


def test_a_permanent_error_after_the_swap_parks_with_one_notice_and_goes_on_when_mended(world):
    rotation = in_state(world, "deploying")
    world.atlas.fail("settings", FORBIDDEN, times=3)

    parked = rotation.go(3)
    notices = len(world.told(NoticeKind.ROTATION_BLOCKED))
    done = rotation.go_until("deployed")

    assert (parked.state, parked.waiting_for, notices) == (RotationState.DEPLOYING, (FORBIDDEN.message,), 1)
    assert done.error is None


def test_a_block_that_comes_back_after_other_trouble_is_told_once_and_holds_nothing_up(world):
    rotation = in_state(world, "deploying")
    for trouble in (FORBIDDEN, BUSY, FORBIDDEN):
        world.atlas.fail("settings", trouble)

    rotation.go(3)

    assert rotation.now.waiting_for == (FORBIDDEN.message,)
    assert len(world.told(NoticeKind.ROTATION_BLOCKED)) == 1


def test_a_project_deleted_in_atlas_during_the_deployment_waits_for_a_person(world):
    rotation = in_state(world, "deploying")
    del world.atlas.world[PROJECT]

    waiting = rotation.go()

    assert (waiting.state, waiting.next_look_at - world.now) == (RotationState.DEPLOYING, HOUR)


def test_a_row_that_lost_its_new_key_ends_without_a_change(world):
    rotation = in_state(world, "swapping")
    world.change(rotation.now, new_key=None)

    failed = rotation.go()

    assert (failed.state, world.swaps()) == (RotationState.FAILED, 0)


def test_a_step_overtaken_by_a_cancellation_saves_nothing_and_the_next_one_cancels(world):
    rotation = in_state(world, "swapping")
    settings = world.atlas.settings

    def cancelled_meanwhile(project_id):
        world.change(rotation.now, cancel_requested_by=ANNA)
        return settings(project_id)

    world.atlas.settings = cancelled_meanwhile
    with pytest.raises(Conflict):
        rotation.step()
    world.atlas.settings = settings

    cancelled = rotation.go()

    assert (cancelled.state, world.swaps()) == (RotationState.CANCELLED, 0)


def test_a_deployment_row_without_a_new_key_is_not_taken_for_done(world):
    rotation = in_state(world, "deploying")
    new = rotation.now.new_key
    world.in_atlas.settings = some_settings(old_key(world))
    world.change(rotation.now, new_key=None)

    waiting = rotation.go(10)

    assert waiting.state is RotationState.DEPLOYING
    assert world.tracker.key(new).state is KeyState.DEPLOYING


def test_a_fleet_of_shared_clusters_has_no_key_to_rotate(world):
    world.in_atlas.clusters = [(a_cluster(tier="M0", encryption=Encryption.NONE), False)]

    failed = a_rotation(world).go()

    assert failed.error.code == "tier_has_the_feature"
