"""What one sweep reads: which calls, for which projects and clusters, and what becomes of a call that fails."""

from dataclasses import replace

import pytest
from fake_atlas import (
    ORGANIZATION,
    PROJECT,
    FakeAtlas,
    a_cluster,
    a_key,
    a_restore,
    a_snapshot,
    an_export,
    some_settings,
)
from simple_world import DAY, HOUR, START, a_world, old_key

from chalicelib.domain.arn import KeyArn
from chalicelib.domain.evidence import Jobs
from chalicelib.domain.observed import BackupSchedule, Encryption
from chalicelib.domain.records import Policy, Project
from chalicelib.domain.vocabulary import KeyState
from chalicelib.usecases.gathering import gather_evidence
from chalicelib.usecases.ports import NotFound, PermanentError, TemporaryError

NEW = a_key(2)
BUSY = TemporaryError("no answer", call="GET /it", code="503")
PER_CLUSTER = ["snapshots", "sharded_snapshots", "restore_jobs", "export_jobs", "backup_schedule"]
PER_PROJECT = ["settings", "clusters", "clusters"]
OTHER = "d0123456789abcdef0123456"


@pytest.fixture
def world():
    """The old key was replaced ten days ago; its project runs one cluster."""
    world = a_world(key=NEW)
    world.in_atlas.settings = some_settings(NEW)
    change_key(world, state=KeyState.RETIRING, replaced_at=START - 10 * DAY, deployed_at=START - 9 * DAY)
    return world


def change_key(world, **changes):
    world.change(world.tracker.key(old_key(world)), **changes)


def gather(world):
    return gather_evidence(world.outside, world.tracker.key(old_key(world)), world.now)


def the_cluster(world):
    ((_, cluster),) = gather(world).clusters()
    return cluster


def calls(world):
    return [call[0] for call in world.atlas.calls]


def test_a_full_proof_makes_three_calls_a_project_and_five_a_cluster_and_no_more(world):
    world.in_atlas.clusters.append((a_cluster("side"), False))

    gather(world)

    assert sorted(calls(world)) == sorted(PER_PROJECT + 2 * PER_CLUSTER)


def test_a_deleted_cluster_with_retained_backups_is_read_but_for_its_schedule(world):
    world.in_atlas.clusters = [(a_cluster("gone"), True)]

    cluster = the_cluster(world)

    assert (cluster.cluster.name, cluster.alive, cluster.schedule) == ("gone", False, None)
    assert sorted(calls(world)) == sorted(PER_PROJECT + PER_CLUSTER[:-1])


def test_what_jobs_do_with_a_clusters_snapshots_is_counted(world):
    over = a_restore(2, running=False, delivery="download")
    world.in_atlas.restores["main"] = [a_restore(1), over, a_restore(3, delivery="pointInTime")]
    world.in_atlas.exports["main"] = [an_export(1), an_export(2, running=False, state="Successful")]

    cluster = the_cluster(world)

    assert cluster.jobs == Jobs(restores_running=2, exports_running=1, downloads=1)


def test_a_cluster_made_while_the_lists_of_clusters_were_read_is_not_lost(world):
    listed = world.atlas.clusters

    def growing(project_id, *, deleted_too):
        yield from listed(project_id, deleted_too=deleted_too)
        if deleted_too:
            world.in_atlas.clusters.append((a_cluster("young"), False))

    world.atlas.clusters = growing

    names = {cluster.cluster.name: cluster.alive for _, cluster in gather(world).clusters()}

    assert names == {"main": True, "young": True}


def test_a_cluster_deleted_while_the_lists_of_clusters_were_read_counts_as_deleted(world):
    listed = world.atlas.clusters

    def shrinking(project_id, *, deleted_too):
        yield from listed(project_id, deleted_too=deleted_too)
        world.in_atlas.clusters = [(a_cluster(), True)]

    world.atlas.clusters = shrinking

    assert the_cluster(world).alive is False


@pytest.mark.parametrize("call", ["settings", "clusters", *PER_CLUSTER])
def test_every_call_that_fails_is_named_and_no_other_call_is_left_out_for_it(world, call):
    gather(world)
    whole = len(world.atlas.calls)
    world.atlas.calls.clear()
    world.atlas.fail(call, TemporaryError("no answer", call=f"GET {call}"))

    evidence = gather(world)

    unread = [*evidence.projects[0].unread, *(one for _, c in evidence.clusters() for one in c.unread)]
    assert [(one.call, one.cause) for one in unread] == [(f"GET {call}", "no answer")]
    assert len(world.atlas.calls) == whole


def test_what_the_jobs_said_is_kept_when_another_call_fails(world):
    world.in_atlas.restores["main"] = [a_restore()]
    world.atlas.fail("export_jobs", BUSY)

    assert the_cluster(world).jobs == Jobs(restores_running=1)


def test_what_the_exports_said_is_kept_when_the_restores_cannot_be_read(world):
    world.in_atlas.exports["main"] = [an_export()]
    world.atlas.fail("restore_jobs", BUSY)

    cluster = the_cluster(world)

    assert (cluster.jobs, len(cluster.unread)) == (Jobs(exports_running=1), 1)


def test_a_list_that_breaks_in_the_middle_counts_as_unread_and_not_as_short(world):
    world.in_atlas.snapshots["main"] = [a_snapshot(1, NEW), a_snapshot(2, NEW)]
    listed = world.atlas.snapshots

    def breaking(project_id, cluster):
        yield next(listed(project_id, cluster))
        raise BUSY

    world.atlas.snapshots = breaking

    cluster = the_cluster(world)

    assert [(one.call, one.cause) for one in cluster.unread] == [("GET /it", "no answer")]
    assert cluster.tally.read == 0


def test_a_project_that_is_gone_from_atlas_is_unread_three_times(world):
    del world.atlas.world[PROJECT]

    (project,) = gather(world).projects

    assert len(project.unread) == 3
    assert project.clusters == ()


def test_clusters_that_cannot_hold_a_customer_key_are_left_out(world):
    world.in_atlas.clusters = [
        (a_cluster("m0", tier="M0"), False),
        (a_cluster("none", encryption=Encryption.NONE), False),
    ]

    assert [cluster.cluster.name for _, cluster in gather(world).clusters()] == ["none"]


def test_a_schedule_is_read_of_running_clusters_with_backups_alone(world):
    schedule = BackupSchedule(cluster_id="x", restore_window_days=2)
    world.in_atlas.schedules["main"] = schedule
    world.in_atlas.clusters.append((a_cluster("bare", backups=False), False))

    by_name = {cluster.cluster.name: cluster.schedule for _, cluster in gather(world).clusters()}

    assert by_name == {"main": schedule, "bare": None}


def test_every_project_of_the_key_is_read_in_its_own_organization(world):
    second = FakeAtlas(organization="e" * 24, now=lambda: world.now + HOUR)
    second.add(OTHER, settings=some_settings(NEW))
    second.world[OTHER].snapshots["main"] = [a_snapshot(1, old_key(world))]
    world.organizations["e" * 24] = second
    world.put(replace(world.project, project_id=OTHER, organization="e" * 24, version=0))
    change_key(world, projects=(PROJECT, OTHER))

    evidence = gather(world)

    assert [(p, c.tally.of_this_key) for p, c in evidence.clusters()] == [(PROJECT, 0), (OTHER, 1)]
    assert evidence.atlas_date == world.now + HOUR


def test_a_project_that_the_tracker_does_not_know_is_unread(world):
    change_key(world, projects=(PROJECT, "lost"))

    evidence = gather(world)

    assert [one.call for one in evidence.unread] == ["tracker project lost"]


def test_the_snapshots_of_a_familys_other_regions_are_looked_for_in_their_projects(world):
    family = f"mrk-{7:032x}"
    here, there = (KeyArn(account="111122223333", region=r, key_id=family) for r in ("eu-west-1", "us-east-1"))
    elsewhere = Project(project_id=OTHER, name="twin", organization=ORGANIZATION, seen_at=START)
    world.atlas.add(OTHER, settings=some_settings(NEW)).snapshots["main"] = [a_snapshot(1, there)]
    key = world.tracker.key(old_key(world))
    world.put(elsewhere, replace(key, arn=here, version=0), replace(key, arn=there, projects=(OTHER,), version=0))

    evidence = gather_evidence(world.outside, world.tracker.key(here), world.now)

    assert [(p, c.tally.of_this_key) for p, c in evidence.clusters()] == [(PROJECT, 0), (OTHER, 1)]


def test_a_key_of_one_region_has_no_family_to_look_for(world):
    twin = replace(old_key(world), account="999999999999")
    world.put(replace(world.tracker.key(old_key(world)), arn=twin, projects=(OTHER,), version=0))

    assert [project.project_id for project in gather(world).projects] == [PROJECT]


def test_a_policy_that_wants_a_person_to_vouch_goes_into_the_evidence(world):
    world.change(world.project, policy=Policy(attestation_always=True), drift=("grant_removed",))

    (project,) = gather(world).projects

    assert (project.attestation_wanted, project.drift) == (True, ("grant_removed",))


def test_the_last_use_that_kms_recorded_goes_into_the_evidence(world):
    world.keys.use(old_key(world), "Decrypt")

    used = gather(world).used

    assert (used.at, used.operation) == (world.now, "Decrypt")


@pytest.mark.parametrize("trouble", [BUSY, PermanentError("denied", call="kms"), NotFound("gone", call="kms")])
def test_a_last_use_that_kms_will_not_tell_is_no_reason(world, trouble):
    world.keys.fail("last_used", trouble)

    evidence = gather(world)

    assert (evidence.used, evidence.unread) == (None, ())


def test_the_calls_of_all_clusters_are_made_side_by_side(world):
    world.in_atlas.clusters += [(a_cluster(name), False) for name in ("b", "c")]
    sizes = []

    def at_once(*wanted):
        sizes.append(len(wanted))
        return tuple(call() for call in reversed(wanted))[::-1]

    evidence = gather_evidence(replace(world.outside, at_once=at_once), world.tracker.key(old_key(world)), world.now)

    assert sizes == [len(PER_PROJECT), 3 * len(PER_CLUSTER)]
    assert [cluster.cluster.name for _, cluster in evidence.clusters()] == ["main", "b", "c"]


def test_each_cluster_is_given_its_own_answers(world):
    gone = a_cluster("gone", point_in_time=True)
    world.in_atlas.clusters = [(gone, True), (a_cluster("live"), False)]
    world.in_atlas.snapshots |= {"gone": [a_snapshot(1, old_key(world))], "live": []}
    world.in_atlas.restores["live"] = [a_restore(delivery="download")]

    gone_seen, live_seen = (cluster for _, cluster in gather(world).clusters())

    assert (gone_seen.tally.of_this_key, gone_seen.jobs.downloads) == (1, 0)
    assert (live_seen.tally.of_this_key, live_seen.jobs.downloads) == (0, 1)


def test_evidence_counts_snapshots_and_keeps_none(world):
    world.in_atlas.snapshots["main"] = [a_snapshot(number, NEW) for number in range(500)]
    world.put(replace(world.tracker.key(old_key(world)), arn=NEW, state=KeyState.CURRENT, version=0))

    cluster = the_cluster(world)

    assert cluster.tally.by_key == ((NEW.key_id, 500),)
