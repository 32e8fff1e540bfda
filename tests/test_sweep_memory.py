"""What sweeps saw holds a key when Atlas shows it no more, and when the key is used again, by whichever project."""

from dataclasses import replace

import pytest
from fake_atlas import PROJECT, FakeProject, a_cluster, a_key, a_restore, a_snapshot, some_settings
from simple_world import ANNA, BUSY, DAY, HOUR, MINUTE, START, a_policy_for, a_rotation, a_world, found, old_key

from chalicelib.domain.observed import BackupSchedule, CopySetting, Encryption, Settings
from chalicelib.domain.policies import NO_WISHES
from chalicelib.domain.retention import WINDOW_NEVER_SEEN
from chalicelib.domain.vocabulary import KeyState
from chalicelib.usecases.discover import discover_project
from chalicelib.usecases.request_deletion import attest
from chalicelib.usecases.sweep import sweep_key

NEW = a_key(2)
OTHER, NEW_OF_OTHER = "b" * 24, a_key(7)
COPIES = CopySetting(region="us-east-1", longest_retention_days=400)


def copying(cluster):
    return BackupSchedule(cluster_id=cluster.cluster_id, restore_window_days=0, copy_regions=1, copies=(COPIES,))


@pytest.fixture
def world():
    """The old key was replaced ten days ago; nothing that Atlas shows needs it."""
    world = a_world(key=NEW)
    world.in_atlas.settings = some_settings(NEW)
    world.in_atlas.clusters = [(a_cluster(), False), (a_cluster("other"), False)]
    left = world.tracker.key(old_key(world))
    world.change(left, state=KeyState.RETIRING, replaced_at=START - 10 * DAY, deployed_at=START - 9 * DAY)
    return world


@pytest.fixture
def shared():
    """A key that one project still uses, and another left forty days ago, while its cluster `asleep` was paused."""
    world = a_world()
    clusters = [(a_cluster(), False), (a_cluster("asleep", paused=True), False)]
    world.atlas.world[OTHER] = FakeProject(name="other", settings=some_settings(NEW_OF_OTHER), clusters=clusters)
    world.put(replace(world.project, project_id=OTHER, name="other", key=NEW_OF_OTHER, version=0))
    world.change(
        world.tracker.key(old_key(world)),
        projects=tuple(sorted((PROJECT, OTHER))),
        replaced_at=START - 40 * DAY,
        deployed_at=START - 39 * DAY,
        paused_clusters=(f"{OTHER}/asleep",),
    )
    return world


def sweep(world):
    return sweep_key(world.outside, old_key(world))


def sweep_until_it_is_settled(world):
    for span in (35 * MINUTE, 35 * MINUTE, 25 * HOUR, 25 * HOUR):
        sweep(world)
        world.wait(span)
    return sweep(world)


def kinds(key):
    return [reason.kind for reason in key.reasons]


def test_a_paused_cluster_of_one_project_holds_a_key_that_another_project_leaves(shared):
    a_rotation(shared).go_until("deployed")

    swept = sweep_until_it_is_settled(shared)

    assert [(r.kind, r.project_id, r.cluster) for r in swept.reasons] == [("paused", OTHER, "asleep")]


def test_a_rotation_that_ends_says_nothing_of_another_projects_clusters(shared):
    a_rotation(shared).go_until("deployed")

    assert shared.tracker.key(old_key(shared)).deployed_at is None
    assert kinds(sweep(shared)) == ["deploying"]


@pytest.mark.parametrize(("encryption", "kind"), [(Encryption.NONE, "confirmation"), (Encryption.AWS, "deploying")])
def test_a_project_that_switched_encryption_off_holds_a_shared_key_until_its_clusters_are_decrypted(
    shared, encryption, kind
):
    theirs = shared.atlas.world[OTHER]
    theirs.settings = Settings(enabled=False)
    theirs.clusters = [(a_cluster(encryption=encryption), False)]
    a_rotation(shared).go_until("deployed")

    for _ in range(2):
        sweep(shared)
        shared.wait(35 * MINUTE)

    assert kinds(sweep(shared)) == [kind]


def test_a_key_changed_by_hand_in_one_project_is_settled_there_though_another_has_rotated():
    world = a_world()
    key, next_key = old_key(world), world.keys.add(a_policy_for())
    world.keys.set_policy(key, a_policy_for())
    clusters = [(a_cluster(), False), (a_cluster("asleep", paused=True), False)]
    world.atlas.world[OTHER] = FakeProject(name="other", settings=some_settings(key), clusters=clusters)
    discover_project(world.outside, found(project_id=OTHER, name="other"), NO_WISHES)
    world.atlas.world[OTHER].settings = some_settings(next_key)
    discover_project(world.outside, found(project_id=OTHER, name="other"), NO_WISHES)
    sweep(world)

    a_rotation(world).go_until("deployed")

    assert "paused" in kinds(sweep_until_it_is_settled(world))


def test_copies_of_one_project_hold_a_key_that_another_project_leaves(shared):
    left = shared.tracker.key(old_key(shared))
    shared.change(left, state=KeyState.RETIRING, paused_clusters=())
    theirs = shared.atlas.world[OTHER]
    theirs.clusters = [(a_cluster(), False)]
    theirs.schedules["main"] = copying(a_cluster())
    sweep(shared)
    theirs.schedules["main"] = BackupSchedule(cluster_id=a_cluster().cluster_id, restore_window_days=0)
    assert "region_copies" in kinds(sweep(shared))

    a_rotation(shared).go_until("deployed")

    assert "region_copies" in kinds(sweep_until_it_is_settled(shared))


def test_a_snapshot_that_names_its_copies_asks_for_a_person_though_no_setting_does(world):
    world.in_atlas.snapshots["main"] = [a_snapshot(1, old_key(world), expires_at=START + DAY, copied=True)]
    assert kinds(sweep(world)) == ["snapshots", "region_copies"]

    world.in_atlas.snapshots["main"] = []
    world.wait(2 * DAY)

    assert kinds(sweep(world)) == ["region_copies"]


@pytest.mark.parametrize("what", ["its cluster is deleted", "its cluster's encryption is switched off"])
def test_a_download_asks_for_a_person_though(world, what):
    world.in_atlas.restores["main"] = [a_restore(delivery="download", running=False)]
    assert kinds(sweep(world)) == ["downloads"]
    kept = [(a_cluster("other"), False)]
    off = [(a_cluster(encryption=Encryption.NONE), False)] if "switched off" in what else []

    world.in_atlas.clusters = [*off, *kept]
    world.wait(25 * HOUR)

    assert kinds(sweep(world)) == ["downloads"]
    attest(world.outside, old_key(world).key_id, account=None, region=None, who=ANNA, statement="nobody has it")
    assert kinds(sweep(world)) == ["confirmation"]


def test_the_window_of_a_deleted_cluster_counts_as_it_was_last_seen(world):
    cluster = a_cluster(point_in_time=True)
    world.in_atlas.clusters = [(cluster, False)]
    world.in_atlas.schedules["main"] = BackupSchedule(cluster_id=cluster.cluster_id, restore_window_days=30)
    sweep(world)

    world.in_atlas.clusters = [(cluster, True)]

    (reason,) = sweep(world).reasons
    assert (reason.kind, reason.until) == ("point_in_time", START - 9 * DAY + 31 * DAY)


def test_the_window_of_a_deleted_cluster_that_no_sweep_ever_saw_counts_as_a_long_one(world):
    world.in_atlas.clusters = [(a_cluster(point_in_time=True), True)]

    (reason,) = sweep(world).reasons

    assert (reason.kind, reason.until) == ("point_in_time", START - 9 * DAY + WINDOW_NEVER_SEEN + DAY)
    assert "of unknown length" in reason.text


def backed_up(world, key):
    """Another project whose settings name a key of its own, and whose backups name this one."""
    theirs = world.keys.add(a_policy_for())
    other = FakeProject(name="other", settings=some_settings(theirs), clusters=[(a_cluster(), False)])
    other.snapshots["main"] = [a_snapshot(1, key, expires_at=START + 300 * DAY)]
    world.atlas.world[OTHER] = other
    return other


def look_at_other(world):
    return discover_project(world.outside, found(project_id=OTHER, name="other"), NO_WISHES)


def test_the_backups_of_a_project_that_used_the_key_before_anybody_looked_hold_it(world):
    backed_up(world, old_key(world))

    look_at_other(world)

    assert [(r.kind, r.project_id) for r in sweep(world).reasons] == [("snapshots", OTHER)]
    assert "key seen in the backups" in {entry.what for entry in world.tracker.audit}


def test_a_key_that_becomes_known_after_the_project_whose_backups_name_it_is_linked_at_the_next_look():
    world = a_world()
    later = world.keys.add()
    backed_up(world, later)
    assert look_at_other(world).named_in_backups == (later.key_id,)
    world.put(replace(world.tracker.key(old_key(world)), arn=later, version=0))

    project = look_at_other(world)

    assert project.named_in_backups == ()
    assert OTHER in world.tracker.key(later).projects


def test_a_key_that_served_between_two_looks_is_found_in_the_backups_when_the_settings_name_another(world):
    other = backed_up(world, NEW_OF_OTHER)
    look_at_other(world)
    other.snapshots["main"].append(a_snapshot(2, old_key(world), expires_at=START + 300 * DAY))
    assert "snapshots" not in kinds(sweep(world))
    other.settings = some_settings(world.keys.add(a_policy_for()))

    look_at_other(world)

    assert "snapshots" in kinds(sweep(world))


def test_backups_are_read_once_where_nothing_was_changed_by_hand(world):
    backed_up(world, old_key(world))
    look_at_other(world)
    world.atlas.calls.clear()

    look_at_other(world)

    assert "snapshots" not in {call[0] for call in world.atlas.calls}


def test_backups_that_cannot_be_read_are_told_once_and_asked_for_again_each_day(world):
    backed_up(world, old_key(world))
    world.atlas.fail("sharded_snapshots", BUSY, times=2)

    told = [look_at_other(world).drift for _ in range(3)]

    assert told == [("backups_unread",), ("backups_unread",), ()]
    assert len(world.told("drift")) == 1
    assert OTHER in world.tracker.key(old_key(world)).projects


def test_a_key_that_turns_out_to_be_needed_while_it_is_being_deleted_is_judged_by_the_deletion(world):
    world.change(world.tracker.key(old_key(world)), deletion_id="d1", next_sweep_at=None)
    backed_up(world, old_key(world))

    look_at_other(world)

    assert world.tracker.key(old_key(world)).due is None
