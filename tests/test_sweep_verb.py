"""A sweep of one key: what is read, what a failing call means, and the one notice when a key comes free."""

from dataclasses import replace

import pytest
from fake_atlas import PROJECT, a_cluster, a_key, a_snapshot, some_settings
from simple_world import ANNA, DAY, HOUR, REGION, START, a_world, old_key

from chalicelib.domain.observed import BackupSchedule, Encryption
from chalicelib.domain.records import Key, Policy, Rotation
from chalicelib.domain.vocabulary import DeletionState, KeyState, NoticeKind, RotationState, Strategy
from chalicelib.usecases.gathering import gather_evidence
from chalicelib.usecases.locate import keys_holding
from chalicelib.usecases.ports import Conflict, TemporaryError
from chalicelib.usecases.sweep import sweep_key, sweep_woken

NEW = a_key(2)
BUSY = TemporaryError("503", call="GET /groups", code="503")
OPEN = Rotation(
    rotation_id="open",
    project_id=PROJECT,
    state=RotationState.SWAPPING,
    strategy=Strategy.NEW_CMK,
    requested_by=ANNA,
    requested_at=START,
    fingerprint="",
    old_key=NEW,
    new_key=a_key(3),
)


@pytest.fixture
def world():
    """The old key was replaced ten days ago; nothing that Atlas shows needs it."""
    world = a_world(key=NEW)
    world.in_atlas.settings = some_settings(NEW)
    change_key(world, state=KeyState.RETIRING, replaced_at=START - 10 * DAY, deployed_at=START - 9 * DAY)
    return world


def change_key(world, **changes):
    world.change(world.tracker.key(old_key(world)), **changes)


def sweep(world):
    return sweep_key(world.outside, old_key(world))


def kinds(key):
    return [reason.kind for reason in key.reasons]


def a_safe_key(world):
    sweep(world)
    world.wait(25 * HOUR)
    return sweep(world)


def test_a_queue_message_sweeps_the_key_it_names(world):
    sweep_woken(world.outside, {"key": str(old_key(world))})

    assert world.tracker.key(old_key(world)).swept_at == world.now


def test_a_queue_message_that_names_no_key_is_passed_over(world):
    before = len(world.tracker.commits)

    sweep_woken(world.outside, {"key": "nonsense"})

    assert len(world.tracker.commits) == before


def test_a_key_that_nobody_knows_is_not_swept(world):
    assert sweep_key(world.outside, a_key(99)) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"state": KeyState.CURRENT},
        {"state": KeyState.DEPLOYING},
        {"state": KeyState.DELETED},
        {"deletion_id": "a deletion"},
    ],
)
def test_a_key_in_use_or_being_deleted_is_left_to_others(world, changes):
    change_key(world, **changes)

    left = sweep(world)

    assert left.swept_at is None
    assert world.atlas.calls == []


def test_both_lists_of_snapshots_are_read_and_counted_together(world):
    key = old_key(world)
    world.in_atlas.snapshots["main"] = [a_snapshot(1, key), a_snapshot(2, key)]
    world.in_atlas.sharded["main"] = [a_snapshot(3, key), a_snapshot(4, NEW)]
    world.change(world.tracker.key(key), projects=(PROJECT,))

    swept = sweep(world)

    assert "snapshots" in kinds(swept)
    assert swept.clusters[0].snapshots == 3


def test_snapshots_of_another_key_of_the_project_need_nothing(world):
    key = world.tracker.key(old_key(world))
    world.put(replace(key, arn=NEW, state=KeyState.CURRENT, version=0))
    world.in_atlas.snapshots["main"] = [a_snapshot(1, NEW)]

    assert kinds(sweep(world)) == ["confirmation"]


@pytest.mark.parametrize("call", ["settings", "clusters", "snapshots", "sharded_snapshots", "backup_schedule"])
def test_a_list_that_fails_is_a_reason_that_names_the_call(world, call):
    world.atlas.fail(call, TemporaryError("no answer", call=f"GET {call}"))

    swept = sweep(world)

    unread = [reason for reason in swept.reasons if reason.kind == "unread"]
    assert unread[0].call == f"GET {call}"
    assert "no answer" in unread[0].text
    assert swept.clean_since is None


def test_what_the_first_list_counted_is_kept_when_the_second_fails(world):
    world.in_atlas.snapshots["main"] = [a_snapshot(1, old_key(world))]
    world.atlas.fail("sharded_snapshots", BUSY)

    assert kinds(sweep(world)) == ["unread", "snapshots"]


def test_a_project_that_the_tracker_lost_is_a_reason(world):
    change_key(world, projects=(PROJECT, "lost"))

    swept = sweep(world)

    assert kinds(swept) == ["unread"]
    assert "tracker project lost" in swept.reasons[0].text


def test_a_key_of_no_known_project_cannot_be_judged(world):
    change_key(world, projects=())

    assert kinds(sweep(world)) == ["unknown_use"]


def test_one_clean_sweep_is_not_enough(world):
    swept = sweep(world)

    assert (kinds(swept), swept.safe_since, swept.clean_since) == (["confirmation"], None, world.now)
    assert world.told() == []


def test_a_second_clean_sweep_too_soon_is_not_enough(world):
    sweep(world)
    world.wait(23 * HOUR)

    assert sweep(world).safe_since is None


def test_two_clean_sweeps_a_day_apart_give_one_safe_notice_with_its_proof(world):
    safe = a_safe_key(world)
    world.wait(7 * DAY)

    again = sweep(world)

    assert (safe.reasons, safe.safe_since) == ((), START + 25 * HOUR)
    assert again.safe_since == safe.safe_since
    assert world.told() == ["key_safe"]
    assert safe.proof_digest in world.told(NoticeKind.KEY_SAFE)[0]
    assert world.tracker.proof(safe.arn, safe.proof_digest).at == START + 25 * HOUR


def test_a_sweep_that_fails_in_between_starts_the_wait_anew(world):
    sweep(world)
    world.wait(25 * HOUR)
    world.atlas.fail("snapshots", BUSY)
    sweep(world)

    swept = sweep(world)

    assert (kinds(swept), swept.clean_since) == (["confirmation"], world.now)


def test_a_key_that_is_needed_again_is_told_once(world):
    a_safe_key(world)
    world.in_atlas.snapshots["main"] = [a_snapshot(1, old_key(world))]
    world.wait(DAY)

    needed = sweep(world)
    world.wait(DAY)
    sweep(world)

    assert (kinds(needed), needed.safe_since) == (["snapshots"], None)
    assert world.told() == ["key_safe", "key_needed_again"]


def test_a_deleted_cluster_with_retained_backups_still_needs_its_key(world):
    world.in_atlas.clusters.append((a_cluster("gone"), True))
    world.in_atlas.snapshots["gone"] = [a_snapshot(1, old_key(world))]

    swept = sweep(world)

    assert [reason.cluster for reason in swept.reasons] == ["gone"]


def test_the_backup_policy_of_a_deleted_cluster_or_one_without_backups_is_not_asked(world):
    world.in_atlas.clusters = [(a_cluster("gone"), True), (a_cluster("bare", backups=False), False)]

    sweep(world)

    assert "backup_schedule" not in {call[0] for call in world.atlas.calls}


def test_shared_clusters_have_no_key_to_look_for(world):
    world.in_atlas.clusters = [(a_cluster(tier="M0", encryption=Encryption.NONE), False)]

    sweep(world)

    assert "snapshots" not in {call[0] for call in world.atlas.calls}


def test_the_point_in_time_window_is_read_from_the_backup_policy(world):
    cluster = a_cluster(point_in_time=True)
    world.in_atlas.clusters = [(cluster, False)]
    world.in_atlas.schedules["main"] = BackupSchedule(cluster_id=cluster.cluster_id, restore_window_days=30)

    assert kinds(sweep(world)) == ["point_in_time"]


@pytest.mark.parametrize(
    ("rotation", "expected"),
    [
        (OPEN, "rotation"),
        (replace(OPEN, state=RotationState.CANCELLED), "confirmation"),
        (None, "confirmation"),
    ],
)
def test_a_rotation_that_is_open_may_still_go_back_to_the_key(world, rotation, expected):
    world.change(world.project, open_rotation="open")
    if rotation is not None:
        world.put(replace(rotation, old_key=old_key(world)))

    assert kinds(sweep(world)) == [expected]


def test_a_sweep_that_finds_the_current_key_invalid_alarms_at_once_and_once(world):
    world.in_atlas.settings = some_settings(NEW, valid=False)

    for _ in range(3):
        sweep(world)
        world.wait(HOUR)

    assert world.told() == [NoticeKind.DRIFT]
    assert (world.project.valid, world.project.drift) == (False, ("key_invalid",))
    assert "will shut its clusters down" in world.told(NoticeKind.DRIFT)[0]


def test_an_alarm_that_somebody_else_overtakes_loses_no_verdict(world):
    world.in_atlas.settings = some_settings(NEW, valid=False)
    settings = world.atlas.settings
    commit = world.tracker.commit

    def overtaken(change):
        if change.notices:
            world.tracker.commit = commit
            raise Conflict("somebody else wrote first", call="commit")
        commit(change)

    world.tracker.commit = overtaken

    swept = sweep(world)

    assert (swept.swept_at, world.told(), world.atlas.settings) == (world.now, [], settings)


def an_unused_key(world, **changes):
    made = world.keys.add()
    key = Key(arn=made, state=KeyState.UNUSED, projects=(PROJECT,), first_seen_at=START, created_by_us=True)
    world.put(replace(key, next_sweep_at=START, **changes))
    return made


def test_a_key_of_ours_that_never_served_is_taken_back_after_two_sweeps_an_hour_apart(world):
    made = an_unused_key(world)
    first = sweep_key(world.outside, made)
    world.now = first.due

    second = sweep_key(world.outside, made)

    deletion = world.tracker.deletion(second.deletion_id)
    assert (first.deletion_id, first.due - START <= 2 * HOUR) == (None, True)
    assert (deletion.compensation, deletion.state, deletion.due) == (True, DeletionState.APPROVED, world.now)
    assert (deletion.digest, second.due) == (second.proof_digest, None)
    assert world.tracker.audit[-1].what == "unused key is taken back"


@pytest.mark.parametrize("changes", [{"created_by_us": False}, {"state": KeyState.RETIRING}])
def test_a_key_that_is_not_ours_or_has_served_is_not_taken_back(world, changes):
    made = an_unused_key(world)
    world.change(world.tracker.key(made), **changes)

    for _ in range(3):
        sweep_key(world.outside, made)
        world.wait(25 * HOUR)

    assert world.tracker.key(made).deletion_id is None


def test_a_key_of_ours_that_settings_name_after_all_is_not_taken_back(world):
    made = an_unused_key(world)
    world.in_atlas.settings = some_settings(made)

    for _ in range(3):
        swept = sweep_key(world.outside, made)
        world.wait(2 * HOUR)

    assert (kinds(swept), swept.deletion_id) == (["current"], None)


def test_the_later_of_both_clocks_is_written_into_the_evidence(world):
    evidence = gather_evidence(world.outside, world.tracker.key(old_key(world)), START)

    assert evidence.atlas_date == world.now


def test_a_key_of_another_account_is_reached_through_the_role_of_its_project(world):
    role = "arn:aws:iam::111122223333:role/keys"
    world.change(world.project, policy=Policy(kms_role_arn=role))

    keys_holding(world.outside, world.project, old_key(world))

    assert world.asked_keys == [(REGION, role)]


def test_a_role_of_another_account_than_the_keys_is_not_used(world):
    world.change(world.project, policy=Policy(kms_role_arn="arn:aws:iam::999999999999:role/keys"))

    keys_holding(world.outside, world.project, old_key(world))

    assert world.asked_keys == [(REGION, None)]
