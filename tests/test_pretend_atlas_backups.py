"""Backups of the pretend Atlas: copies, restores, exports, points in time, names used again, ids in every form."""

from datetime import timedelta

import pytest
from pretend_atlas_sandbox import ROLE, Sandbox

from sandbox.atlas import BackupPolicy, CannotRestore, CopySetting, Habits, PretendAtlas

NONE: tuple[BackupPolicy, ...] = ()
DAILY = (BackupPolicy(kind="daily", keep=timedelta(days=3)),)
LONGER = (CopySetting(region="EU_WEST_1", keep=(("daily", timedelta(days=30)),)),)
ALIKE = (CopySetting(region="EU_WEST_1", oplogs=True),)
HOUR = timedelta(hours=1)


@pytest.fixture
def sandbox():
    made = Sandbox()
    with PretendAtlas(made.world) as made.atlas:
        yield made


@pytest.fixture
def key(sandbox):
    return sandbox.new_key()


@pytest.fixture
def project(sandbox, key):
    return sandbox.world.add_project("shop", key=key, role_arn=ROLE)


def a_snapshot(sandbox, project, **options):
    """Take one of the cluster `c` and wait until it is done."""
    taken = sandbox.world.take_snapshot(project, "c", **options)
    sandbox.pass_time(minutes=8)
    return taken


def backups(project, tail="snapshots", cluster="c"):
    return f"/groups/{project}/clusters/{cluster}/backup/{tail}"


def retained(sandbox, project):
    path = f"/groups/{project}/clusters?includeDeletedWithRetainedBackups=true"
    return [one["name"] for one in sandbox.listed(path, version="2024-08-05")]


def test_a_deleted_cluster_leaves_the_list_once_its_last_snapshot_has_expired(sandbox, project):
    sandbox.world.add_cluster(project, "c", policies=NONE)
    a_snapshot(sandbox, project, retention_days=5)
    sandbox.world.delete_cluster(project, "c", retain_backups=True)
    sandbox.pass_time(days=4)
    before = retained(sandbox, project)

    sandbox.pass_time(days=1)

    assert (before, retained(sandbox, project)) == (["c"], [])
    status, body = sandbox.ask("GET", backups(project))
    assert (status, body["errorCode"]) == (404, "CLUSTER_NOT_FOUND")


def test_one_snapshot_is_shown_by_the_resource_of_its_kind(sandbox, project):
    sandbox.world.add_cluster(project, "c", policies=NONE)
    sandbox.world.add_cluster(project, "s", kind="SHARDED", policies=NONE)
    plain = a_snapshot(sandbox, project)
    sharded = sandbox.world.take_snapshot(project, "s")

    shown = sandbox.ask("GET", backups(project, f"snapshots/{plain}"))
    shown_sharded = sandbox.ask("GET", backups(project, f"snapshots/shardedCluster/{sharded}", "s"))
    wrong_kind = sandbox.ask("GET", backups(project, f"snapshots/{sharded}", "s"))

    assert (shown[0], shown[1]["id"], shown_sharded[0], shown_sharded[1]["id"]) == (200, plain, 200, sharded)
    assert (wrong_kind[0], wrong_kind[1]["errorCode"]) == (404, "SNAPSHOT_NOT_FOUND")


def test_copies_are_kept_as_long_as_their_own_setting_says(sandbox, project, key):
    sandbox.world.add_cluster(project, "c", policies=DAILY, copies=LONGER)
    sandbox.pass_time(days=2)
    sandbox.world.set_schedule(project, "c", NONE)

    sandbox.pass_time(days=20)

    assert sandbox.listed(backups(project)) == []
    assert len(sandbox.snapshots(key)) == 2
    for one in sandbox.snapshots():
        sandbox.world.restore(one.snapshot_id)
    sandbox.pass_time(days=11)
    assert sandbox.snapshots() == []


def test_a_snapshot_whose_copy_is_kept_may_stay_in_the_list():
    sandbox = Sandbox(habits=Habits(copies_keep_originals_listed=True))
    with PretendAtlas(sandbox.world) as sandbox.atlas:
        project = sandbox.world.add_project("shop", key=sandbox.new_key(), role_arn=ROLE)
        sandbox.world.add_cluster(project, "c", policies=DAILY, copies=LONGER)
        sandbox.pass_time(days=2)
        sandbox.world.set_schedule(project, "c", NONE)

        sandbox.pass_time(days=20)

        assert len(sandbox.listed(backups(project))) == 2


def test_copies_without_a_retention_of_their_own_go_with_the_original(sandbox, project):
    sandbox.world.add_cluster(project, "c", policies=NONE, copies=ALIKE)
    taken = a_snapshot(sandbox, project, retention_days=5)
    sandbox.world.extend_retention(taken, days=5)

    sandbox.pass_time(days=9)

    assert sandbox.listed(backups(project))[0]["copyRegions"] == ["EU_WEST_1"]
    sandbox.pass_time(days=1)
    assert sandbox.snapshots() == []


def test_the_schedule_shows_where_copies_go_and_how_long_they_are_kept(sandbox, project):
    sandbox.world.add_cluster(project, "c", policies=DAILY, copies=(*LONGER, *ALIKE), point_in_time_days=4)

    body = sandbox.ask("GET", backups(project, "schedule"), version="2024-08-05")[1]

    own, alike = body["copySettings"]
    item = {"frequencyType": "daily", "retentionUnit": "days", "retentionValue": 30}
    assert (own["regionName"], own["copyPolicyItems"]) == ("EU_WEST_1", [item])
    assert (alike["shouldCopyOplogs"], "copyPolicyItems" in alike, body["restoreWindowDays"]) == (True, False, 4)


@pytest.mark.parametrize(("keep", "left"), [(True, 2), (False, 0)])
def test_copies_in_a_region_that_was_dropped_stay_or_go_at_once(sandbox, project, keep, left):
    sandbox.world.add_cluster(project, "c", policies=DAILY, copies=LONGER)
    sandbox.pass_time(days=2)
    sandbox.world.drop_copies(project, "c", "EU_WEST_1", keep=keep)
    sandbox.world.set_schedule(project, "c", NONE)

    sandbox.pass_time(days=20)

    assert len(sandbox.snapshots()) == left


def test_a_retention_that_is_extended_later_moves_the_expiry(sandbox, project):
    sandbox.world.add_cluster(project, "c", policies=NONE)
    taken = a_snapshot(sandbox, project, retention_days=2)
    before = sandbox.listed(backups(project))[0]["expiresAt"]

    sandbox.world.extend_retention(taken, days=10)

    assert (before[:10], sandbox.listed(backups(project))[0]["expiresAt"][:10]) == ("2026-01-03", "2026-01-13")
    kinds = [one["eventTypeName"] for one in sandbox.listed(f"/groups/{project}/events")]
    assert "CPS_SNAPSHOT_RETENTION_MODIFIED_AUDIT" in kinds


def test_a_deleted_snapshot_is_gone_with_its_copies(sandbox, project):
    sandbox.world.add_cluster(project, "c", policies=NONE, copies=ALIKE)
    taken = a_snapshot(sandbox, project)

    sandbox.world.delete_snapshot(taken)

    assert (sandbox.listed(backups(project)), sandbox.snapshots()) == ([], [])


def test_a_restore_runs_for_its_time_and_is_then_finished(sandbox, project):
    sandbox.world.add_cluster(project, "c", policies=NONE)
    taken = a_snapshot(sandbox, project)
    job = sandbox.world.start_restore(taken, takes=2 * HOUR, target=(project, "other"))
    running = sandbox.listed(backups(project, "restoreJobs"))[0]

    sandbox.pass_time(hours=2)

    finished = sandbox.listed(backups(project, "restoreJobs"))[0]
    assert (running["id"], running["snapshotId"], running["targetClusterName"]) == (job, taken, "other")
    assert ("finishedAt" in running, finished["finishedAt"]) == (False, "2026-01-01T02:38:00Z")
    assert sandbox.ask("GET", backups(project, f"restoreJobs/{job}"))[1] == finished
    kinds = [one["eventTypeName"] for one in sandbox.listed(f"/groups/{project}/events")]
    assert {"CPS_RESTORE_REQUESTED_AUDIT", "CPS_RESTORE_SUCCESSFUL"} <= set(kinds)


def test_a_restore_fails_whose_key_breaks_before_it_ends(sandbox, project, key):
    sandbox.world.add_cluster(project, "c", policies=NONE)
    sandbox.world.start_restore(a_snapshot(sandbox, project), takes=2 * HOUR)
    sandbox.to_key("DisableKey", key)

    sandbox.pass_time(hours=2)

    assert sandbox.listed(backups(project, "restoreJobs"))[0]["failed"] is True


def test_a_restore_needs_its_key_also_after_the_snapshot_has_expired(sandbox, project, key):
    sandbox.world.add_cluster(project, "c", policies=NONE)
    taken = a_snapshot(sandbox, project, retention_days=1)
    sandbox.world.switch_key_by_hand(project, sandbox.new_key())
    sandbox.pass_time(hours=23)
    sandbox.world.start_restore(taken, takes=2 * HOUR)
    sandbox.pass_time(minutes=90)
    while_running = (sandbox.snapshots(), key in sandbox.world.keys_in_use())

    sandbox.pass_time(minutes=30)

    assert (while_running, key in sandbox.world.keys_in_use()) == (([], True), False)


def test_a_download_has_no_target_and_a_cancelled_job_says_so(sandbox, project):
    sandbox.world.add_cluster(project, "c", policies=NONE)
    taken = a_snapshot(sandbox, project)
    job = sandbox.world.start_restore(taken, delivery="download")
    export = sandbox.world.start_export(taken)

    sandbox.world.cancel_job(job)
    sandbox.world.cancel_job(export)

    shown = sandbox.listed(backups(project, "restoreJobs"))[0]
    assert (shown["deliveryType"], shown["cancelled"], "targetClusterName" in shown) == ("download", True, False)
    assert sandbox.listed(backups(project, "exports"))[0]["state"] == "Cancelled"


def test_an_export_is_queued_runs_and_succeeds(sandbox, project):
    sandbox.world.add_cluster(project, "c", policies=NONE)
    taken = a_snapshot(sandbox, project)
    export = sandbox.world.start_export(taken, takes=HOUR)
    path, seen = backups(project, f"exports/{export}"), []
    for minutes in (0, 10, 60):
        sandbox.pass_time(minutes=minutes)
        sandbox.tokens.clear()
        seen.append(sandbox.ask("GET", path)[1])

    assert [one["state"] for one in seen] == ["Queued", "InProgress", "Successful"]
    assert ["finishedAt" in one for one in seen] == [False, False, True]
    assert {one["snapshotId"] for one in seen} == {taken}


def test_an_export_fails_whose_key_breaks(sandbox, project, key):
    sandbox.world.add_cluster(project, "c", policies=NONE)
    sandbox.world.start_export(a_snapshot(sandbox, project))
    sandbox.to_key("DisableKey", key)

    sandbox.pass_time(hours=2)

    assert sandbox.listed(backups(project, "exports"))[0]["state"] == "Failed"


def test_a_cluster_can_be_restored_to_any_moment_of_its_window(sandbox, project):
    sandbox.world.add_cluster(project, "c", policies=NONE, point_in_time_days=3)
    sandbox.pass_time(days=5)
    now = sandbox.clock.now()

    sandbox.world.restore_to(project, "c", now - timedelta(days=2))

    with pytest.raises(CannotRestore, match="keeps no oplog"):
        sandbox.world.restore_to(project, "c", now - timedelta(days=4))
    sandbox.world.start_restore_to(project, "c", now - timedelta(days=2), target=(project, "c"))
    shown = sandbox.listed(backups(project, "restoreJobs"))[0]
    assert (shown["deliveryType"], "snapshotId" in shown) == ("pointInTime", False)


def test_old_oplog_needs_the_old_key_until_the_window_is_over(sandbox, project, key):
    sandbox.world.add_cluster(project, "c", policies=NONE, point_in_time_days=3)
    sandbox.pass_time(days=5)
    before_swap = sandbox.clock.now() - HOUR
    successor = sandbox.new_key()
    sandbox.world.switch_key_by_hand(project, successor)
    sandbox.pass_time(days=1)
    in_use = sandbox.world.keys_in_use()
    sandbox.to_key("DisableKey", key)

    with pytest.raises(CannotRestore, match="not enabled"):
        sandbox.world.restore_to(project, "c", before_swap)

    sandbox.world.restore_to(project, "c", sandbox.clock.now() - HOUR)
    assert in_use == {key, successor}
    sandbox.pass_time(days=2, hours=1)
    assert sandbox.world.keys_in_use() == {successor}
    assert [str(one.sealed.cmk.arn) for _, _, one in sandbox.world.every_oplog()] == [successor]


@pytest.mark.parametrize("kept", [True, False])
def test_the_oplog_of_a_deleted_cluster_may_be_retained_with_its_backups(kept):
    sandbox = Sandbox(habits=Habits(deleted_clusters_keep_oplog=kept))
    project = sandbox.world.add_project("shop", key=sandbox.new_key(), role_arn=ROLE)
    sandbox.world.add_cluster(project, "c", policies=NONE, point_in_time_days=3)

    sandbox.world.delete_cluster(project, "c", retain_backups=True)

    assert (list(sandbox.world.every_oplog()) != []) is kept


def test_without_point_in_time_no_oplog_is_kept(sandbox, project):
    sandbox.world.add_cluster(project, "c", policies=NONE)

    assert list(sandbox.world.every_oplog()) == []


def test_a_name_that_is_used_again_leads_to_the_backups_of_both_clusters(sandbox, project):
    first = sandbox.world.add_cluster(project, "c", policies=NONE)
    a_snapshot(sandbox, project)
    sandbox.world.delete_cluster(project, "c", retain_backups=True)
    second = sandbox.world.add_cluster(project, "c", policies=NONE)
    a_snapshot(sandbox, project)

    path = f"/groups/{project}/clusters?includeDeletedWithRetainedBackups=true"
    listed = sandbox.listed(path, version="2024-08-05")

    assert {(one["name"], one["id"]) for one in listed} == {("c", first), ("c", second)}
    assert len(sandbox.listed(backups(project))) == 2
    schedule = sandbox.ask("GET", backups(project, "schedule"), version="2024-08-05")[1]
    assert (first == second, schedule["clusterId"]) == (False, second)


FORMS = {
    "uuid": lambda key: key.rsplit("/", 1)[1],
    "arn": lambda key: key,
    "upper": lambda key: key.rsplit("/", 1)[1].upper(),
    "missing": lambda _key: None,
}


@pytest.mark.parametrize("form", FORMS)
def test_a_project_can_name_its_keys_in_several_forms(sandbox, project, key, form):
    sandbox.world.add_cluster(project, "c", policies=NONE)
    a_snapshot(sandbox, project)

    sandbox.world.show_key_ids(project, form)

    assert sandbox.listed(backups(project))[0].get("masterKeyUUID") == FORMS[form](key)


def test_a_multi_region_key_is_named_as_one(sandbox):
    key = sandbox.new_key(MultiRegion=True)
    project = sandbox.world.add_project("shop", key=key, role_arn=ROLE)
    sandbox.world.add_cluster(project, "c", policies=NONE)

    a_snapshot(sandbox, project)

    assert sandbox.listed(backups(project))[0]["masterKeyUUID"].startswith("mrk-")


def test_a_cluster_that_was_converted_keeps_its_old_snapshots_in_the_list_of_replica_sets(sandbox, project):
    sandbox.world.add_cluster(project, "c", policies=NONE)
    old = a_snapshot(sandbox, project)
    sandbox.world.convert_to_sharded(project, "c")

    new = a_snapshot(sandbox, project)

    assert [one["id"] for one in sandbox.listed(backups(project))] == [old]
    assert [one["id"] for one in sandbox.listed(backups(project, "snapshots/shardedClusters"))] == [new]
    assert len(sandbox.world.ground.cluster(project, "c").nodes) == 6


def test_a_cluster_without_key_keeps_the_key_of_its_old_snapshots(sandbox, project, key):
    sandbox.world.add_cluster(project, "c", policies=NONE)
    a_snapshot(sandbox, project)
    sandbox.world.decrypt_cluster(project, "c")
    a_snapshot(sandbox, project)

    new, old = sandbox.listed(backups(project))

    assert ("masterKeyUUID" in new, key.endswith(old["masterKeyUUID"])) == (False, True)


def test_new_snapshots_may_be_listed_late(sandbox, project):
    sandbox.world.lags.lists = timedelta(minutes=15)
    sandbox.world.add_cluster(project, "c", policies=NONE)
    a_snapshot(sandbox, project)
    early = sandbox.listed(backups(project))

    sandbox.pass_time(minutes=7)

    assert (len(early), len(sandbox.listed(backups(project)))) == (0, 1)


def test_new_clusters_may_be_listed_late(sandbox, project):
    sandbox.world.lags.lists = timedelta(minutes=15)
    sandbox.world.add_cluster(project, "c", policies=NONE)
    early = retained(sandbox, project)

    sandbox.pass_time(minutes=15)

    assert (early, retained(sandbox, project)) == ([], ["c"])


def test_a_snapshot_of_last_resort_says_so(sandbox, project):
    sandbox.world.add_cluster(project, "c", policies=NONE)
    taken = a_snapshot(sandbox, project)

    sandbox.world.turn_into_fallback(taken)

    assert sandbox.listed(backups(project))[0]["snapshotType"] == "fallback"


def test_the_truth_names_every_key_that_settings_nodes_and_snapshots_need(sandbox, project, key):
    sandbox.world.add_cluster(project, "c", policies=NONE)
    sandbox.world.add_cluster(project, "paused", policies=NONE, paused=True)
    successor = sandbox.new_key()
    sandbox.world.switch_key_by_hand(project, successor)
    sandbox.pass_time(hours=1)
    with_paused = sandbox.world.keys_in_use()

    sandbox.world.resume(project, "paused")
    sandbox.pass_time(hours=1)

    assert (with_paused, sandbox.world.keys_in_use()) == ({key, successor}, {successor})
