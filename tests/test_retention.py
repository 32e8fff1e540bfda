"""Why a key must be kept: each rule alone keeps it, and only when none is left may it go."""

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from chalicelib.domain.arn import KeyArn
from chalicelib.domain.deployment import SOAK
from chalicelib.domain.evidence import ClusterEvidence, Evidence, Jobs, ProjectEvidence, Tally, Unread, tally
from chalicelib.domain.observed import BackupSchedule, Cluster, CopySetting, Encryption, KeyUse, Settings, Snapshot
from chalicelib.domain.proof import document
from chalicelib.domain.records import Key, Reason
from chalicelib.domain.retention import (
    LONG_RETENTION,
    LOOK_AGAIN,
    LOOK_AT_LEAST_EVERY,
    MARGIN,
    MARGIN_UNUSED,
    PASSING,
    RULES,
    is_safe,
    judge,
    needs,
    never_served,
    next_sweep_at,
    reasons_to_keep,
    still_paused,
)
from chalicelib.domain.vocabulary import KeyState

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
ARN = KeyArn(account="111122223333", region="eu-west-1", key_id="11111111-1111-1111-1111-111111111111")
NEXT = "22222222-2222-2222-2222-222222222222"
FOREIGN = "33333333-3333-3333-3333-333333333333"
KEY = Key(
    arn=ARN,
    state=KeyState.RETIRING,
    projects=("p1",),
    first_seen_at=NOW - 400 * DAY,
    replaced_at=NOW - 100 * DAY,
    deployed_at=NOW - 99 * DAY,
)
MAIN = Cluster(
    name="main",
    cluster_id="c1",
    kind="REPLICASET",
    state="IDLE",
    paused=False,
    encryption=Encryption.AWS,
    backups=True,
    point_in_time=True,
    tier="M10",
)
SCHEDULE = BackupSchedule(cluster_id="c1", restore_window_days=7)
CLEAN_CLUSTER = ClusterEvidence(cluster=MAIN, alive=True, schedule=SCHEDULE, tally=Tally(read=9))
CLEAN_PROJECT = ProjectEvidence(
    project_id="p1", settings=Settings(enabled=True, key=NEXT, valid=True), clusters=(CLEAN_CLUSTER,)
)
CLEAN = Evidence(key=KEY, gathered_at=NOW, atlas_date=NOW, projects=(CLEAN_PROJECT,))
BROKEN = Unread(call="snapshots of main", cause="503")
SNAPSHOT = Snapshot(
    snapshot_id="s1", status="completed", key=str(ARN), created_at=NOW - 200 * DAY, expires_at=NOW + 5 * DAY
)


def with_key(**changes) -> Evidence:
    return replace(CLEAN, key=replace(KEY, **changes))


def with_project(**changes) -> Evidence:
    return replace(CLEAN, projects=(replace(CLEAN_PROJECT, **changes),))


def with_cluster(**changes) -> Evidence:
    return with_project(clusters=(replace(CLEAN_CLUSTER, **changes),))


def with_tally(**counts) -> Evidence:
    return with_cluster(tally=Tally(read=9, **counts))


def counted(*snapshots, encrypted=True) -> Tally:
    return tally(Tally(), snapshots, key_id=ARN.key_id, known=frozenset({ARN.key_id, NEXT}), encrypted=encrypted)


def with_twice_the_name():
    """A cluster whose name was used again after it was deleted with its backups retained."""
    gone = replace(
        CLEAN_CLUSTER, cluster=replace(MAIN, cluster_id="c0", point_in_time=False), alive=False, schedule=None
    )
    (project,) = CLEAN.projects
    return replace(project, clusters=(gone, CLEAN_CLUSTER))


SWITCHED_OFF = replace(MAIN, encryption=Encryption.NONE)
JUST_REPLACED = {"replaced_at": NOW - DAY, "deployed_at": NOW - DAY}
PAUSED = replace(MAIN, paused=True)
NEEDED = [
    ("current", with_project(settings=Settings(enabled=True, key=str(ARN).upper()))),
    ("current", with_project(settings=Settings(enabled=False, key=ARN.key_id))),
    ("rotation", with_project(open_rotation_keys=(ARN.key_id, NEXT))),
    ("rotation", with_project(open_rotation_keys=(FOREIGN, ARN.key_id))),
    ("deploying", with_key(deployed_at=None)),
    ("unknown_use", replace(CLEAN, projects=())),
    ("unread", replace(CLEAN, unread=(BROKEN,))),
    ("unread", with_project(unread=(BROKEN,))),
    ("unread", with_cluster(unread=(BROKEN,))),
    ("unread", with_cluster(unread=(BROKEN,), alive=False)),
    ("snapshots", with_tally(of_this_key=1, last_expiry=NOW + DAY)),
    ("snapshots", with_tally(of_this_key=2, without_expiry=1, last_expiry=NOW + DAY)),
    ("snapshots", with_cluster(tally=Tally(of_this_key=1), alive=False)),
    ("snapshots", with_cluster(tally=Tally(of_this_key=1), cluster=replace(MAIN, encryption=Encryption.NONE))),
    ("unidentified_snapshots", with_tally(unidentified=1)),
    ("unfinished_snapshots", with_tally(unfinished=1)),
    ("failed_snapshots", with_tally(failed=1)),
    ("point_in_time", with_key(**JUST_REPLACED)),
    ("point_in_time", replace(with_cluster(alive=False), key=replace(KEY, **JUST_REPLACED))),
    ("name_reused", with_cluster(schedule=replace(SCHEDULE, cluster_id="c2"))),
    ("name_reused", replace(CLEAN, projects=(with_twice_the_name(),))),
    ("running_jobs", with_cluster(jobs=Jobs(restores_running=1))),
    ("running_jobs", with_cluster(jobs=Jobs(exports_running=2))),
    (
        "running_jobs",
        with_cluster(jobs=Jobs(restores_running=1), cluster=replace(MAIN, encryption=Encryption.NONE)),
    ),
    ("downloads", with_cluster(jobs=Jobs(downloads=1))),
    ("attestation", with_project(attestation_wanted=True)),
    ("region_copies", with_cluster(schedule=replace(SCHEDULE, copy_regions=2))),
    ("drift", with_project(settings=Settings(enabled=True, key=NEXT, valid=False))),
    ("drift", with_project(drift=("key_not_enabled",))),
    ("drift", with_project(settings=Settings(enabled=True, key=NEXT), drift=("grant_removed",))),
    ("paused", replace(with_cluster(cluster=PAUSED), key=replace(KEY, paused_clusters=("p1/main",)))),
]


@pytest.mark.parametrize(("kind", "seen"), NEEDED)
def test_each_rule_alone_keeps_the_key_even_after_a_day_of_clean_sweeps(kind, seen):
    seen = replace(seen, key=replace(seen.key, clean_since=NOW - 9 * DAY, safe_since=NOW - 8 * DAY))

    judged = judge(seen)

    assert [reason.kind for reason in reasons_to_keep(seen, NOW)] == [kind]
    assert kind in {reason.kind for reason in judged.reasons}
    forgotten = (None, None) if kind not in PASSING else (NOW - 9 * DAY, NOW - 8 * DAY)
    assert (judged.clean_since, judged.safe_since) == forgotten


def test_a_running_snapshot_holds_the_key_for_an_hour_and_forgets_nothing():
    seen = with_tally(unfinished=1)
    safe = replace(seen.key, clean_since=NOW - 9 * DAY, safe_since=NOW - 8 * DAY)

    judged = judge(replace(seen, key=safe))

    assert [reason.kind for reason in judged.reasons] == ["unfinished_snapshots"]
    assert judged.next_sweep_at == NOW + timedelta(hours=1)
    assert judged.safe_since == safe.safe_since


def test_every_rule_has_a_row_here():
    speaking = {rule for rule in RULES for _, seen in NEEDED if tuple(rule(seen))}

    assert speaking == set(RULES)


def test_every_reason_is_shown_in_the_order_of_the_rules():
    seen = replace(with_tally(of_this_key=1, failed=2), unread=(BROKEN,))

    assert [reason.kind for reason in needs(seen)] == ["unread", "snapshots", "failed_snapshots"]


def test_what_nothing_needs_waits_for_confirmation_and_is_safe_a_day_later():
    first = judge(CLEAN)
    early = judge(replace(CLEAN, key=first, gathered_at=NOW + MARGIN - timedelta(seconds=1)))
    late = judge(replace(CLEAN, key=early, gathered_at=NOW + MARGIN))

    assert [r.kind for r in first.reasons] == [r.kind for r in early.reasons] == ["confirmation"]
    assert (first.clean_since, early.clean_since) == (NOW, NOW)
    assert (late.reasons, late.safe_since) == ((), NOW + MARGIN)


def test_the_confirmation_names_the_moment_it_can_come_and_a_sweep_follows_then():
    first = judge(CLEAN)

    assert first.reasons[0].until == NOW + MARGIN
    assert first.next_sweep_at == NOW + MARGIN + timedelta(minutes=1)


def test_a_safe_key_stays_safe_since_the_same_moment_and_is_looked_at_monthly():
    safe = judge(with_key(clean_since=NOW - 9 * DAY, safe_since=NOW - 8 * DAY))

    assert safe.safe_since == NOW - 8 * DAY
    assert safe.next_sweep_at == NOW + LOOK_AT_LEAST_EVERY


@pytest.mark.parametrize("seen", [evidence for kind, evidence in NEEDED if kind == "unread"])
def test_an_unread_call_starts_the_wait_anew_however_long_all_was_clean(seen):
    before = judge(CLEAN)

    unsure = judge(replace(seen, key=before, gathered_at=NOW + 9 * DAY))
    after = judge(replace(CLEAN, key=unsure, gathered_at=NOW + 10 * DAY))

    assert [(r.kind, r.call, r.text) for r in unsure.reasons] == [
        ("unread", "snapshots of main", "snapshots of main failed: 503")
    ]
    assert [r.kind for r in after.reasons] == ["confirmation"]
    assert after.clean_since == NOW + 10 * DAY


def test_every_cluster_of_the_evidence_counts_whichever_list_it_came_from():
    shard = replace(CLEAN_CLUSTER, cluster=replace(MAIN, name="big", kind="SHARDED"), tally=Tally(of_this_key=1))
    seen = with_project(clusters=(CLEAN_CLUSTER, shard))

    judged = judge(seen)

    assert [(r.kind, r.cluster) for r in judged.reasons] == [("snapshots", "big")]
    assert [(c.cluster, c.cluster_id, c.snapshots) for c in judged.clusters] == [("main", "c1", 0), ("big", "c1", 1)]


@pytest.mark.parametrize(
    ("counts", "text", "until"),
    [
        ({"of_this_key": 1, "last_expiry": NOW}, "1 snapshot of main needs it; the last expires 2027-03-01", NOW),
        ({"of_this_key": 3, "without_expiry": 1, "last_expiry": NOW}, "3 snapshots of main need it; not all", None),
        ({"of_this_key": 2, "on_demand": 2}, "2 snapshots of main need it, 2 of them on demand; not all", None),
    ],
)
def test_snapshots_say_how_many_which_and_until_when(counts, text, until):
    (reason,) = needs(with_tally(**counts))

    assert reason.text.startswith(text)
    assert reason.until == until


def test_the_point_in_time_window_passes_with_its_days_and_the_margin():
    until = NOW - DAY + 7 * DAY + MARGIN
    seen = with_key(**JUST_REPLACED)

    (reason,) = needs(seen)

    assert reason.until == until
    assert needs(replace(seen, gathered_at=until)) == ()


@pytest.mark.parametrize(
    ("replaced", "deployed", "since"), [(NOW - 9 * DAY, NOW - DAY, NOW - DAY), (NOW - DAY, None, NOW - DAY)]
)
def test_the_point_in_time_window_counts_from_the_deployment_where_it_is_known(replaced, deployed, since):
    seen = with_key(replaced_at=replaced, deployed_at=deployed)

    windows = [reason for reason in needs(seen) if reason.kind == "point_in_time"]

    assert [reason.until for reason in windows] == [since + 7 * DAY + MARGIN]
    assert "window of main (7 days)" in windows[0].text


def test_a_point_in_time_window_of_unknown_length_keeps_the_key_until_it_is_known():
    seen = with_cluster(schedule=replace(SCHEDULE, restore_window_days=None))

    (reason,) = needs(seen)

    assert (reason.kind, reason.until) == ("point_in_time", None)
    assert "of unknown length" in reason.text


@pytest.mark.parametrize(
    "seen",
    [
        with_cluster(cluster=replace(MAIN, point_in_time=False), schedule=replace(SCHEDULE, restore_window_days=None)),
        with_cluster(cluster=replace(MAIN, encryption=Encryption.NONE)),
        with_cluster(schedule=None),
    ],
)
def test_no_point_in_time_window_concerns_a_cluster_that_keeps_none_under_a_customer_key(seen):
    assert needs(replace(seen, key=replace(KEY, **JUST_REPLACED))) == ()


def test_a_key_that_was_never_replaced_has_no_point_in_time_window_behind_it():
    assert needs(with_key(replaced_at=None, deployed_at=None)) == ()


UNUSED = replace(KEY, state=KeyState.UNUSED, created_by_us=True, replaced_at=None, deployed_at=None)
SERVED = [
    *(replace(UNUSED, state=state) for state in KeyState if state is not KeyState.UNUSED),
    replace(UNUSED, created_by_us=False),
]


def test_a_key_of_our_own_that_never_served_is_safe_an_hour_after_the_first_clean_sweep():
    first = judge(replace(CLEAN, key=UNUSED))
    early = judge(replace(CLEAN, key=first, gathered_at=NOW + MARGIN_UNUSED - timedelta(seconds=1)))
    late = judge(replace(CLEAN, key=early, gathered_at=NOW + MARGIN_UNUSED))

    assert never_served(UNUSED)
    assert ["at least 1 h" in reason.text for reason in first.reasons] == [True]
    assert (first.due, early.safe_since) == (NOW + MARGIN_UNUSED + timedelta(minutes=1), None)
    assert (late.reasons, late.safe_since) == ((), NOW + MARGIN_UNUSED)


@pytest.mark.parametrize("key", SERVED, ids=lambda key: f"{key.state}, ours: {key.created_by_us}")
def test_any_other_key_waits_the_whole_day_and_for_a_person_who_attests(key):
    copies = with_cluster(schedule=replace(SCHEDULE, copy_regions=1))
    clean = replace(key, clean_since=NOW - MARGIN_UNUSED)

    assert not never_served(key)
    assert [r.until for r in reasons_to_keep(replace(CLEAN, key=clean), NOW)] == [NOW - MARGIN_UNUSED + MARGIN]
    assert [r.kind for r in needs(replace(copies, key=key))] == ["region_copies"]


def test_copies_in_other_regions_cannot_be_of_a_key_that_never_served():
    seen = with_cluster(schedule=replace(SCHEDULE, copy_regions=1))

    assert needs(replace(seen, key=UNUSED)) == ()


@pytest.mark.parametrize(
    ("kind", "seen"),
    [
        (kind, seen)
        for kind, seen in NEEDED
        if kind not in {"region_copies", "paused", "point_in_time", "deploying", "downloads", "attestation", *PASSING}
    ],
)
def test_whatever_still_names_a_key_that_never_served_keeps_it_like_any_other(kind, seen):
    judged = judge(replace(seen, key=replace(UNUSED, clean_since=NOW - 9 * DAY, safe_since=NOW - 8 * DAY)))

    assert [reason.kind for reason in judged.reasons] == [kind]
    assert (judged.clean_since, judged.safe_since) == (None, None)


@pytest.mark.parametrize("kind", ["downloads", "attestation"])
def test_what_a_person_vouched_for_or_a_key_that_never_served_needs_nobody_to_vouch(kind):
    (seen,) = (evidence for named, evidence in NEEDED if named == kind)

    assert [(r.kind, r.until, "attest" in r.text) for r in needs(seen)] == [(kind, None, True)]
    for key in (replace(KEY, attested_at=NOW), UNUSED):
        assert needs(replace(seen, key=key)) == ()


def test_a_cluster_whose_encryption_was_switched_off_counts_while_it_has_snapshots_made_under_a_key():
    seen = with_cluster(cluster=SWITCHED_OFF, jobs=Jobs(downloads=1))
    seen = replace(seen, key=replace(KEY, **JUST_REPLACED))
    (project,) = seen.projects
    (cluster,) = project.clusters

    remembers = replace(cluster, tally=Tally(by_key=((NEXT, 1),)))

    assert needs(seen) == ()
    found = needs(replace(seen, projects=(replace(project, clusters=(remembers,)),)))
    assert [reason.kind for reason in found] == ["point_in_time", "downloads"]


def test_downloads_say_how_many_and_of_which_cluster():
    (reason,) = needs(with_cluster(jobs=Jobs(downloads=3)))

    assert reason.text.startswith("3 snapshots of main were downloaded")
    assert (reason.project_id, reason.cluster) == ("p1", "main")


@pytest.mark.parametrize("jobs", [Jobs(downloads=1), Jobs()])
def test_downloads_from_a_cluster_without_a_customer_key_keep_nothing(jobs):
    assert needs(with_cluster(cluster=replace(MAIN, encryption=Encryption.NONE), jobs=jobs)) == ()


def test_a_policy_of_one_project_that_wants_somebody_to_vouch_is_enough_and_named():
    other = replace(CLEAN_PROJECT, project_id="p2", attestation_wanted=True)

    (reason,) = needs(replace(CLEAN, projects=(CLEAN_PROJECT, other)))

    assert (reason.kind, reason.project_id) == ("attestation", "p2")


def test_restores_and_exports_are_told_apart_and_counted():
    seen = with_cluster(jobs=Jobs(restores_running=2, exports_running=1))

    texts = [reason.text for reason in needs(seen)]

    assert texts == ["2 restores from backups of main are running", "1 export from backups of main is running"]


def test_a_running_job_holds_the_key_for_an_hour_and_forgets_nothing():
    seen = with_cluster(jobs=Jobs(restores_running=1))

    judged = judge(replace(seen, key=replace(KEY, clean_since=NOW - 9 * DAY, safe_since=NOW - 8 * DAY)))

    assert (judged.safe_since, judged.due) == (NOW - 8 * DAY, NOW + HOUR)
    assert judged.reasons != ()


def test_what_passes_beside_what_does_not_holds_the_key_like_the_latter():
    seen = with_cluster(jobs=Jobs(restores_running=1), tally=Tally(of_this_key=1, last_expiry=NOW + 5 * DAY))

    judged = judge(replace(seen, key=replace(KEY, clean_since=NOW - 9 * DAY, safe_since=NOW - 8 * DAY)))

    assert (judged.clean_since, judged.safe_since) == (None, None)
    assert judged.due == NOW + LOOK_AGAIN


@pytest.mark.parametrize(
    ("settings", "drift", "said"),
    [
        (Settings(enabled=True, key=NEXT, valid=False), (), "Atlas finds it invalid"),
        (Settings(enabled=True, key=NEXT, valid=True), ("key_not_enabled",), "key not enabled"),
        (None, ("key_invalid", "grant_removed"), "grant removed, key invalid"),
    ],
    ids=str,
)
def test_while_the_current_key_is_in_trouble_any_older_one_may_be_the_cure(settings, drift, said):
    (reason,) = needs(with_project(settings=settings, drift=drift))

    assert (reason.kind, reason.project_id, reason.until) == ("drift", "p1", None)
    assert reason.text.endswith(said)


@pytest.mark.parametrize(
    ("settings", "drift"),
    [
        (Settings(enabled=False, key=NEXT, valid=False), ()),
        (Settings(enabled=True, key=NEXT, valid=None), ()),
        (None, ()),
        (Settings(enabled=True, key=NEXT, valid=True), ("project_gone", "key_changed")),
        (Settings(enabled=True, key=NEXT, valid=True), ("grant_removed",)),
    ],
    ids=str,
)
def test_other_drift_or_settings_that_are_off_are_no_trouble_of_the_current_key(settings, drift):
    assert needs(with_project(settings=settings, drift=drift)) == ()


@pytest.mark.parametrize("shown", ["c2", "c0"])
def test_a_schedule_that_belongs_to_another_cluster_tells_that_the_name_was_used_again(shown):
    (reason,) = needs(with_cluster(schedule=replace(SCHEDULE, cluster_id=shown)))

    assert (reason.kind, reason.cluster, reason.until) == ("name_reused", "main", None)


def test_a_schedule_that_does_not_say_whose_it_is_tells_nothing_of_the_name():
    assert needs(with_cluster(schedule=replace(SCHEDULE, cluster_id=None))) == ()


def test_the_same_name_in_two_projects_is_not_the_same_name():
    other = replace(CLEAN_CLUSTER, cluster=replace(MAIN, cluster_id="c9"), schedule=None)

    assert (
        needs(replace(CLEAN, projects=(CLEAN_PROJECT, replace(CLEAN_PROJECT, project_id="p2", clusters=(other,)))))
        == ()
    )


@pytest.mark.parametrize(
    ("used", "known", "shown"),
    [
        (None, NOW - DAY, NOW - DAY),
        (KeyUse(at=NOW, operation="Decrypt", tracked_since=None), NOW - DAY, NOW),
        (KeyUse(at=None, operation=None, tracked_since=NOW), None, None),
    ],
    ids=str,
)
def test_the_last_use_that_kms_recorded_is_shown_and_changes_no_verdict(used, known, shown):
    safe = {"clean_since": NOW - 9 * DAY, "safe_since": NOW - 8 * DAY}

    judged = judge(replace(with_key(**safe, last_used_at=known), used=used))

    assert (judged.last_used_at, judged.reasons, judged.safe_since) == (shown, (), NOW - 8 * DAY)


def test_a_snapshot_that_is_kept_for_more_than_a_year_is_called_out():
    seen = with_tally(of_this_key=1, last_expiry=NOW + LONG_RETENTION + timedelta(seconds=1))

    assert needs(seen)[0].text.endswith(", more than a year from now")
    assert "a year" not in needs(with_tally(of_this_key=1, last_expiry=NOW + LONG_RETENTION))[0].text


def test_the_later_clock_is_taken_for_now():
    assert replace(CLEAN, atlas_date=NOW + HOUR).now == NOW + HOUR
    assert replace(CLEAN, atlas_date=NOW - HOUR).now == NOW
    assert replace(CLEAN, atlas_date=None).now == NOW


def test_copies_in_other_regions_are_settled_by_a_person_who_attests():
    seen = with_cluster(schedule=replace(SCHEDULE, copy_regions=1))

    assert needs(replace(seen, key=replace(KEY, attested_at=NOW))) == ()


def copied(*days: int | None, **changes) -> Evidence:
    copies = tuple(CopySetting(region=f"r{n}", longest_retention_days=kept) for n, kept in enumerate(days))
    seen = with_cluster(schedule=replace(SCHEDULE, copy_regions=len(days), copies=copies))
    return replace(seen, key=replace(KEY, **{"attested_at": NOW, **changes}))


@pytest.mark.parametrize(
    ("days", "changes", "until"),
    [
        ((120, 7, None), {}, NOW - 99 * DAY + 120 * DAY + MARGIN),
        ((None, None), {"deployed_at": NOW}, NOW + MARGIN),
        ((30,), {"deployed_at": None, "replaced_at": NOW - DAY}, NOW - DAY + 30 * DAY + MARGIN),
    ],
    ids=str,
)
def test_copies_that_somebody_vouched_for_keep_the_key_until_the_longest_lived_must_be_gone(days, changes, until):
    seen = copied(*days, **changes)

    (reason,) = (one for one in needs(seen) if one.kind == "region_copies")

    assert (reason.until, f"{len(days)} other region" in reason.text) == (until, True)
    assert "the last may live until then" in reason.text
    assert "region_copies" not in {r.kind for r in needs(replace(seen, gathered_at=until))}
    assert "region_copies" in {r.kind for r in needs(replace(seen, gathered_at=until - timedelta(seconds=1)))}


@pytest.mark.parametrize("days", [(1,), (None,), ()])
def test_copies_that_nobody_vouched_for_have_no_end(days):
    seen = copied(*(days or (None,)), attested_at=None)

    (reason,) = needs(seen)

    assert (reason.kind, reason.until) == ("region_copies", None)
    assert "attest" in reason.text


def test_copies_of_a_key_whose_last_day_is_not_known_have_no_end_whoever_vouched():
    seen = copied(1, deployed_at=None, replaced_at=None)

    assert [(r.kind, r.until) for r in needs(seen)] == [("region_copies", None)]


def test_a_short_lived_copy_ends_nothing_of_another_cluster_that_nobody_can_see_the_end_of():
    lasting = replace(
        CLEAN_CLUSTER,
        cluster=replace(MAIN, name="big", cluster_id="c2"),
        schedule=BackupSchedule(
            cluster_id="c2",
            restore_window_days=7,
            copy_regions=1,
            copies=(CopySetting(region="r", longest_retention_days=999),),
        ),
    )
    (project,) = copied(1).projects
    seen = replace(copied(1), projects=(replace(project, clusters=(*project.clusters, lasting)),))

    assert [(r.cluster, r.until) for r in needs(seen)] == [("big", NOW - 99 * DAY + 999 * DAY + MARGIN)]


def test_copies_of_a_cluster_without_a_customer_key_keep_nothing():
    seen = with_cluster(cluster=replace(MAIN, encryption=Encryption.NONE), schedule=replace(SCHEDULE, copy_regions=1))

    assert needs(seen) == ()


@pytest.mark.parametrize(
    ("seen", "still"),
    [
        (with_cluster(cluster=PAUSED), True),
        (with_cluster(cluster=MAIN), False),
        (with_cluster(cluster=PAUSED, alive=False), False),
        (with_project(clusters=()), False),
        (with_project(clusters=(), unread=(BROKEN,)), True),
    ],
)
def test_a_cluster_paused_during_the_swap_counts_until_it_is_seen_running_or_gone(seen, still):
    seen = replace(seen, key=replace(KEY, paused_clusters=("p1/main",)))

    assert still_paused(seen) == (("p1/main",) if still else ())
    assert judge(seen).paused_clusters == still_paused(seen)


BY_HAND = {"deployed_at": None, "replaced_at": NOW - 100 * DAY}


def test_a_key_replaced_by_hand_is_deployed_once_all_was_at_rest_for_the_soak():
    first = judge(with_key(**BY_HAND))
    second = judge(replace(CLEAN, key=first, gathered_at=NOW + SOAK / 2))
    third = judge(replace(CLEAN, key=second, gathered_at=NOW + SOAK))

    assert (first.settled_since, first.deployed_at) == (NOW, None)
    assert (second.settled_since, second.deployed_at) == (NOW, None)
    assert third.deployed_at == NOW + SOAK
    assert first.next_sweep_at == NOW + SOAK


def test_the_clusters_paused_while_a_key_replaced_by_hand_settled_are_remembered():
    judged = judge(replace(with_cluster(cluster=PAUSED), key=replace(KEY, **BY_HAND, settled_since=NOW - SOAK)))

    assert judged.deployed_at == NOW
    assert judged.paused_clusters == ("p1/main",)


@pytest.mark.parametrize(
    "seen",
    [
        with_project(settings=Settings(enabled=True, key=str(ARN), valid=True)),
        with_project(settings=Settings(enabled=True, key=NEXT, valid=False)),
        with_project(settings=None, unread=(BROKEN,)),
        with_project(unread=(BROKEN,)),
        with_cluster(cluster=replace(MAIN, state="UPDATING")),
        replace(CLEAN, projects=(CLEAN_PROJECT, replace(CLEAN_PROJECT, project_id="p2", settings=None))),
        replace(CLEAN, projects=()),
    ],
)
def test_any_unrest_or_doubt_keeps_a_key_replaced_by_hand_from_being_settled(seen):
    judged = judge(replace(seen, key=replace(KEY, **BY_HAND, settled_since=NOW - SOAK)))

    assert (judged.settled_since, judged.deployed_at) == (None, None)
    assert "deploying" in {reason.kind for reason in judged.reasons}


def test_a_key_with_an_open_rotation_is_left_for_the_rotation_to_settle():
    seen = with_project(open_rotation_keys=(FOREIGN, NEXT))

    judged = judge(replace(seen, key=replace(KEY, **BY_HAND, settled_since=NOW - SOAK)))

    assert judged.deployed_at is None


@pytest.mark.parametrize(
    "changes",
    [
        {"state": KeyState.DELETED},
        {"state": KeyState.CURRENT},
        {"state": KeyState.DEPLOYING},
        {"deletion_id": "d1"},
    ],
)
def test_a_key_in_use_or_on_its_way_out_needs_no_sweep(changes):
    assert next_sweep_at(replace(KEY, **changes), NOW) is None


@pytest.mark.parametrize(
    ("until", "wait"),
    [
        ((None,), LOOK_AGAIN),
        ((NOW + DAY, None), LOOK_AGAIN),
        ((NOW + 2 * DAY, None), 2 * DAY + timedelta(minutes=1)),
        ((NOW + 300 * DAY, None), LOOK_AT_LEAST_EVERY),
        ((NOW + 2 * DAY, NOW + 3 * DAY), 3 * DAY + timedelta(minutes=1)),
        ((NOW - DAY,), HOUR),
        ((NOW + 300 * DAY,), LOOK_AT_LEAST_EVERY),
        ((), LOOK_AT_LEAST_EVERY),
    ],
)
def test_a_key_sleeps_until_its_last_reason_passes_and_a_month_at_the_most(until, wait):
    reasons = tuple(Reason(kind="snapshots", text="x", until=moment) for moment in until)

    assert next_sweep_at(replace(KEY, reasons=reasons), NOW) == NOW + wait


def test_the_window_of_a_cluster_that_was_paused_during_the_swap_begins_when_it_runs_again():
    schedule = BackupSchedule(cluster_id=MAIN.cluster_id, restore_window_days=2)
    seen = with_cluster(cluster=replace(MAIN, point_in_time=True), schedule=schedule)
    long_ago = replace(KEY, replaced_at=NOW - 30 * DAY, deployed_at=NOW - 30 * DAY, paused_clusters=("p1/main",))

    judged = judge(replace(seen, key=long_ago))

    assert (judged.deployed_at, judged.paused_clusters) == (NOW, ())
    assert [(r.kind, r.until) for r in judged.reasons] == [("point_in_time", NOW + 2 * DAY + MARGIN)]


def test_a_key_that_one_project_still_uses_is_not_looked_at_as_if_it_were_being_deployed():
    deploying, current = Reason(kind="deploying", text="x"), Reason(kind="current", text="x")

    assert next_sweep_at(replace(KEY, reasons=(deploying,)), NOW) == NOW + SOAK
    assert next_sweep_at(replace(KEY, reasons=(deploying, current)), NOW) == NOW + LOOK_AGAIN


@pytest.mark.parametrize("kind", ["unread", "paused", "running_jobs", "unfinished_snapshots", "failed_snapshots"])
def test_what_may_end_any_day_is_looked_at_again_tomorrow_however_long_the_rest_lasts(kind):
    reasons = (Reason(kind=kind, text="x"), Reason(kind="snapshots", text="x", until=NOW + 20 * DAY))

    assert next_sweep_at(replace(KEY, reasons=reasons), NOW) == NOW + LOOK_AGAIN


@pytest.mark.parametrize("kind", ["region_copies", "downloads", "attestation", "current"])
def test_what_only_a_person_can_end_is_looked_at_when_the_rest_is_over(kind):
    reasons = (Reason(kind=kind, text="x"), Reason(kind="snapshots", text="x", until=NOW + 20 * DAY))

    assert next_sweep_at(replace(KEY, reasons=reasons), NOW) == NOW + 20 * DAY + timedelta(minutes=1)


@pytest.mark.parametrize("alive", [True, False])
def test_copies_are_remembered_when_their_cluster_shows_no_schedule_any_more(alive):
    copying = BackupSchedule(
        cluster_id=MAIN.cluster_id,
        restore_window_days=0,
        copy_regions=1,
        copies=(CopySetting(region="us-east-1", longest_retention_days=40),),
    )
    deployed = replace(KEY, replaced_at=NOW - 2 * DAY, deployed_at=NOW - DAY, attested_at=NOW)
    once = judge(replace(with_cluster(schedule=copying), key=deployed))

    gone = with_cluster(alive=alive, schedule=replace(copying, copies=(), copy_regions=0) if alive else None)
    later = judge(replace(gone, key=once, gathered_at=NOW + 39 * DAY, atlas_date=None))
    nowhere = replace(gone, key=later, gathered_at=NOW + 39 * DAY, atlas_date=None)
    nowhere = replace(nowhere, projects=tuple(replace(p, clusters=()) for p in nowhere.projects))
    forgotten = judge(nowhere)
    over = needs(replace(nowhere, key=forgotten, gathered_at=NOW + 40 * DAY))

    for judged in (later, forgotten):
        assert [(r.kind, r.cluster, r.until) for r in judged.reasons] == [("region_copies", "main", NOW + 40 * DAY)]
    assert over == ()


def test_snapshots_of_this_key_are_counted_with_their_last_expiry():
    later = replace(SNAPSHOT, key=ARN.key_id.upper(), expires_at=NOW + 9 * DAY, on_demand=True)
    never = replace(SNAPSHOT, expires_at=None, status="failed")

    seen = counted(later, SNAPSHOT, never)

    assert seen == Tally(
        read=3,
        of_this_key=3,
        without_expiry=1,
        on_demand=1,
        last_expiry=NOW + 9 * DAY,
        newest=SNAPSHOT.created_at,
        by_key=((ARN.key_id, 3),),
    )


@pytest.mark.parametrize(
    ("changes", "counts"),
    [
        ({"key": NEXT}, {}),
        ({"key": NEXT, "status": "queued"}, {}),
        ({"key": None}, {"unidentified": 1}),
        ({"key": FOREIGN}, {"unidentified": 1}),
        ({"key": "gibberish"}, {"unidentified": 1}),
        ({"key": None, "status": "queued"}, {"unfinished": 1}),
        ({"key": None, "status": "inProgress"}, {"unfinished": 1}),
        ({"key": None, "status": "failed"}, {"failed": 1}),
    ],
)
def test_a_snapshot_is_passed_over_only_when_another_known_key_made_it(changes, counts):
    seen = counted(replace(SNAPSHOT, **changes))

    assert replace(seen, by_key=()) == Tally(read=1, **counts)


def test_a_snapshot_without_a_key_id_matters_only_where_a_customer_key_may_encrypt():
    assert counted(replace(SNAPSHOT, key=None), encrypted=False) == Tally(read=1, by_key=(("", 1),))
    assert counted(replace(SNAPSHOT, key=FOREIGN), encrypted=False) == Tally(
        read=1, unidentified=1, by_key=((FOREIGN, 1),)
    )


@pytest.mark.parametrize("provider", Encryption)
def test_a_cluster_whose_provider_is_unknown_counts_as_encrypted(provider):
    evidence = replace(CLEAN_CLUSTER, cluster=replace(MAIN, encryption=provider))

    assert evidence.encrypted == (provider in {Encryption.AWS, Encryption.UNKNOWN})


def test_the_proof_holds_what_was_counted_and_is_named_by_its_digest():
    seen = replace(with_tally(of_this_key=2, last_expiry=NOW), atlas_date=None)

    proof = document(seen, needs(seen))

    written = json.loads(proof.document)
    assert proof.digest == hashlib.sha256(proof.document.encode()).hexdigest()
    assert (written["key"], written["atlas_date"]) == (str(ARN), None)
    assert written["projects"][0]["clusters"][0]["tally"]["of_this_key"] == 2
    assert [reason["kind"] for reason in written["reasons"]] == ["snapshots"]
    assert proof.due is None


def test_the_same_evidence_gives_the_same_digest_and_any_other_count_another():
    assert document(CLEAN, ()).digest == document(CLEAN, ()).digest
    assert document(CLEAN, ()).digest != document(with_tally(failed=1), ()).digest


@pytest.mark.parametrize(
    ("changes", "safe"),
    [
        ({}, True),
        ({"state": KeyState.UNUSED}, True),
        ({"state": KeyState.QUARANTINED}, True),
        ({"safe_since": None}, False),
        ({"reasons": (Reason(kind="unread", text="clusters failed"),)}, False),
        *(({"state": state}, False) for state in (KeyState.CURRENT, KeyState.DEPLOYING, KeyState.DELETED)),
    ],
)
def test_a_key_is_safe_once_a_verdict_said_so_and_while_it_is_neither_in_use_nor_gone(changes, safe):
    assert is_safe(replace(replace(KEY, safe_since=NOW), **changes)) is safe
