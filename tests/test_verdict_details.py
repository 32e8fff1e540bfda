"""Every sentence of a verdict as people read it, whom it names, and what is remembered of each cluster."""

from dataclasses import replace
from datetime import timedelta

import pytest
from test_retention import (
    BROKEN,
    CLEAN,
    CLEAN_CLUSTER,
    CLEAN_PROJECT,
    DAY,
    HOUR,
    KEY,
    MAIN,
    NEEDED,
    NOW,
    PAUSED,
    SCHEDULE,
    UNUSED,
    with_cluster,
    with_key,
    with_project,
    with_tally,
)

from chalicelib.domain.evidence import Jobs, Tally
from chalicelib.domain.observed import BackupSchedule, CopySetting
from chalicelib.domain.records import ClusterTally, Reason
from chalicelib.domain.retention import MARGIN, judge, needs, reasons_to_keep, still_paused

OF_PROJECT, OF_CLUSTER = {"project_id": "p1"}, {"project_id": "p1", "cluster": "main"}
UNREAD = {"kind": "unread", "text": "snapshots of main failed: 503", "call": "snapshots of main"}
CURRENT = Reason(kind="current", text="it is the project's current key", **OF_PROJECT)
ROTATION = Reason(kind="rotation", text="a rotation from or to it is still open", **OF_PROJECT)
WINDOW = Reason(
    kind="point_in_time",
    text="the point-in-time window of main (7 days) reaches back to it",
    until=NOW + 7 * DAY,
    **OF_CLUSTER,
)
TWO_CLUSTERS = Reason(
    kind="name_reused",
    text="the name main belongs to two clusters: their snapshots cannot be told apart",
    **OF_CLUSTER,
)
SAID = (
    CURRENT,
    CURRENT,
    ROTATION,
    ROTATION,
    Reason(kind="deploying", text="the change to the next key is still being deployed"),
    Reason(kind="unknown_use", text="no project is known that uses or used it"),
    Reason(**UNREAD),
    Reason(**UNREAD, **OF_PROJECT),
    Reason(**UNREAD, **OF_CLUSTER),
    Reason(**UNREAD, **OF_CLUSTER),
    Reason(
        kind="snapshots",
        text="1 snapshot of main needs it; the last expires 2027-03-02",
        until=NOW + DAY,
        **OF_CLUSTER,
    ),
    Reason(kind="snapshots", text="2 snapshots of main need it; not all of them expire", **OF_CLUSTER),
    Reason(kind="snapshots", text="1 snapshot of main needs it; not all of them expire", **OF_CLUSTER),
    Reason(kind="snapshots", text="1 snapshot of main needs it; not all of them expire", **OF_CLUSTER),
    Reason(kind="unidentified_snapshots", text="1 snapshot of main names no key that is known", **OF_CLUSTER),
    Reason(kind="unfinished_snapshots", text="1 snapshot of main is queued or running", **OF_CLUSTER),
    Reason(kind="failed_snapshots", text="1 snapshot of main is failed, with no key shown", **OF_CLUSTER),
    WINDOW,
    WINDOW,
    TWO_CLUSTERS,
    TWO_CLUSTERS,
    Reason(kind="running_jobs", text="1 restore from backups of main is running", **OF_CLUSTER),
    Reason(kind="running_jobs", text="2 exports from backups of main are running", **OF_CLUSTER),
    Reason(kind="running_jobs", text="1 restore from backups of main is running", **OF_CLUSTER),
    Reason(
        kind="downloads",
        text="1 snapshot of main was downloaded, and what was downloaded stays encrypted: see that nobody needs it,"
        " and attest",
        **OF_CLUSTER,
    ),
    Reason(
        kind="attestation",
        text="the project's policy wants a person to vouch for what no list shows: attest",
        **OF_PROJECT,
    ),
    Reason(
        kind="region_copies",
        text="main keeps copies in 2 other regions; no list shows them: look in Atlas and attest",
        **OF_CLUSTER,
    ),
    Reason(kind="drift", text="the project's current key is in trouble: Atlas finds it invalid", **OF_PROJECT),
    Reason(kind="drift", text="the project's current key is in trouble: key not enabled", **OF_PROJECT),
    Reason(kind="drift", text="the project's current key is in trouble: grant removed", **OF_PROJECT),
    Reason(kind="paused", text="cluster main has been paused since before the change to the next key", **OF_CLUSTER),
)


@pytest.mark.parametrize(("needed", "said"), list(zip(NEEDED, SAID, strict=True)), ids=[kind for kind, _ in NEEDED])
def test_each_reason_says_what_holds_the_key_where_and_until_when(needed, said):
    _, seen = needed

    assert needs(seen) == (said,)


def test_a_window_of_unknown_length_says_so():
    (reason,) = needs(with_cluster(schedule=replace(SCHEDULE, restore_window_days=None)))

    assert reason.text == "the point-in-time window of main (of unknown length) reaches back to it"


def test_a_long_kept_snapshot_and_those_taken_on_demand_are_called_out_in_one_sentence():
    (reason,) = needs(with_tally(of_this_key=2, on_demand=1, last_expiry=NOW + 400 * DAY))

    assert reason.text == (
        "2 snapshots of main need it, 1 of them on demand; the last expires 2028-04-04, more than a year from now"
    )


def test_the_wait_for_a_second_sweep_says_how_long_it_is():
    text = "nothing needs it; a second clean sweep at least {} h after the first must confirm that"

    assert [r.text for r in reasons_to_keep(CLEAN, NOW)] == [text.format(24)]
    assert [r.text for r in reasons_to_keep(replace(CLEAN, key=UNUSED), NOW)] == [text.format(1)]
    assert [r.kind for r in reasons_to_keep(CLEAN, NOW)] == ["confirmation"]


@pytest.mark.parametrize("at", [0, 1])
def test_a_cluster_without_a_window_hides_that_of_no_other(at):
    bare = replace(MAIN, name="bare", cluster_id="c2", point_in_time=False)
    other = replace(CLEAN_CLUSTER, cluster=bare, schedule=replace(SCHEDULE, cluster_id="c2"))
    clusters = [CLEAN_CLUSTER]
    clusters.insert(at, other)
    seen = replace(with_project(clusters=tuple(clusters)), key=replace(KEY, replaced_at=NOW, deployed_at=NOW))

    assert [(r.kind, r.cluster) for r in needs(seen)] == [("point_in_time", "main")]


@pytest.mark.parametrize(
    "kind", ["downloads", "running_jobs", "region_copies", "name_reused", "unidentified_snapshots"]
)
def test_a_cluster_that_holds_nothing_hides_no_other(kind):
    (_, seen) = next(row for row in NEEDED if row[0] == kind)
    (project,) = (p for p in seen.projects)
    free = replace(CLEAN_CLUSTER, cluster=replace(MAIN, name="free", cluster_id="c8"), schedule=None)
    both = (free, *project.clusters, replace(free, cluster=replace(free.cluster, name="last", cluster_id="c9")))

    seen = replace(seen, projects=(replace(project, clusters=both),))

    assert {(r.kind, r.cluster) for r in needs(seen)} == {(kind, "main")}


def test_a_paused_cluster_may_have_any_name():
    seen = replace(
        with_cluster(cluster=replace(PAUSED, name="a/b")), key=replace(KEY, paused_clusters=("p1/a/b", "p2/gone"))
    )

    assert still_paused(seen) == ("p1/a/b",)
    assert [(r.project_id, r.cluster) for r in needs(seen)] == [("p1", "a/b")]


def test_a_paused_cluster_of_a_project_that_cannot_be_read_stays_remembered_whatever_its_name():
    seen = replace(with_project(clusters=(), unread=(BROKEN,)), key=replace(KEY, paused_clusters=("p1/a/b", "p2/a/b")))

    assert still_paused(seen) == ("p1/a/b",)


def test_what_each_cluster_holds_is_remembered():
    judged = judge(with_tally(of_this_key=2, last_expiry=NOW + DAY, newest=NOW - DAY))

    assert judged.clusters == (
        ClusterTally(
            project_id="p1",
            cluster="main",
            cluster_id="c1",
            snapshots=2,
            last_expiry=NOW + DAY,
            newest=NOW - DAY,
            restore_window_days=7,
        ),
    )
    assert judged.swept_at == NOW


def copying(days: int | None, **changes):
    copies = (CopySetting(region="r", longest_retention_days=days),)
    schedule = BackupSchedule(cluster_id="c1", restore_window_days=7, copy_regions=1, copies=copies)
    return replace(with_cluster(schedule=schedule), key=replace(KEY, attested_at=NOW, **changes))


def test_until_when_copies_may_live_is_remembered_with_their_cluster():
    (tally,) = judge(copying(120)).clusters

    assert tally.copies_outlive_days == 120


@pytest.mark.parametrize("later", [with_cluster(), with_cluster(schedule=None), with_project(clusters=())])
def test_copies_that_were_seen_hold_the_key_when_their_setting_or_cluster_is_gone(later):
    before = judge(copying(120))

    after = judge(replace(later, key=before))

    (reason,) = (reason for reason in after.reasons if reason.kind == "region_copies")
    assert reason.until == KEY.deployed_at + 120 * DAY + MARGIN
    assert reason.text == "main kept copies in other regions; the last may live until then"
    assert [(t.cluster, t.snapshots, t.copies_outlive_days) for t in after.clusters] == [("main", 0, 120)]


@pytest.mark.parametrize(("first", "then"), [(120, 200), (200, 120)])
def test_of_two_settings_seen_one_after_another_the_longer_counts(first, then):
    before = judge(copying(first))

    after = judge(replace(copying(then), key=before))

    assert [t.copies_outlive_days for t in after.clusters] == [200]


def test_a_cluster_that_is_gone_and_kept_no_copies_is_forgotten():
    tally = ClusterTally(
        project_id="p1",
        cluster="old",
        cluster_id="c0",
        snapshots=3,
        last_expiry=NOW,
        newest=NOW,
        copies_outlive_days=None,
    )

    assert [t.cluster for t in judge(with_key(clusters=(tally,))).clusters] == ["main"]


def test_a_cluster_that_is_gone_is_remembered_for_its_copies_alone():
    tally = ClusterTally(
        project_id="p1",
        cluster="old",
        cluster_id="c0",
        snapshots=3,
        last_expiry=NOW,
        newest=NOW,
        copies_outlive_days=5,
    )

    (_, remembered) = judge(with_key(clusters=(tally,))).clusters

    assert remembered == replace(tally, snapshots=0, last_expiry=None, newest=None)


def test_a_schedule_that_counts_regions_but_lists_no_copies_tells_of_copies_that_live_as_long_as_their_originals():
    seen = replace(with_cluster(schedule=replace(SCHEDULE, copy_regions=1)), key=replace(KEY, attested_at=NOW))

    assert [t.copies_outlive_days for t in judge(seen).clusters] == [0]


@pytest.mark.parametrize(
    "seen", [with_tally(unfinished=1), with_cluster(jobs=Jobs(exports_running=1), tally=Tally(unfinished=1))]
)
def test_all_that_passes_by_itself_forgets_nothing_alone_or_together(seen):
    clean = replace(KEY, clean_since=NOW - 9 * DAY, safe_since=NOW - 8 * DAY)

    judged = judge(replace(seen, key=clean))

    assert (judged.clean_since, judged.safe_since, judged.due) == (NOW - 9 * DAY, NOW - 8 * DAY, NOW + HOUR)


def test_a_key_that_was_replaced_by_hand_and_is_at_rest_is_looked_at_again_before_it_counts_as_deployed():
    by_hand = replace(KEY, deployed_at=None, settled_since=None)
    restless = replace(
        CLEAN_PROJECT, project_id="p2", clusters=(replace(CLEAN_CLUSTER, cluster=replace(MAIN, state="UPDATING")),)
    )

    judged = judge(replace(CLEAN, key=by_hand, projects=(CLEAN_PROJECT, restless)))

    assert (judged.settled_since, judged.deployed_at) == (None, None)
    assert judged.due == NOW + timedelta(minutes=30)
