"""A bank of verdicts and deletions that are broken on purpose: a bounded set of stories must catch every one.

Each story tells of a need that must be seen, or of a hand that must be refused; the unbroken system passes all. A
broken one is made by putting another function or constant into a module for the length of a run.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from atlas_stand_in import Pace, Reply, StandIn, a_session
from fake_atlas import (
    ORGANIZATION,
    PROJECT,
    FakeProject,
    a_cluster,
    a_key,
    a_restore,
    a_snapshot,
    an_event,
    an_export,
    some_settings,
)
from figures import FULL_SIZE, tell
from simple_world import ACCOUNT, ANNA, DAY, HOUR, START, World, a_rotation, a_world, found, old_key

from chalicelib.adapters import atlas_lists
from chalicelib.adapters.atlas import AtlasReader
from chalicelib.domain import approval, evidence, guarding, key_life, proof, remembered, retention, retirement, rumours
from chalicelib.domain.evidence import Evidence, Jobs, Tally
from chalicelib.domain.observed import BackupSchedule, CopySetting, Encryption, KeyStatus
from chalicelib.domain.policies import NO_WISHES
from chalicelib.domain.records import Deletion, Key
from chalicelib.domain.refusals import Refusal
from chalicelib.domain.retirement import Decision, Look
from chalicelib.domain.vocabulary import DeletionState, KeyState, NoticeKind
from chalicelib.usecases import discover, gathering, looking, request_deletion, retire, sweep
from chalicelib.usecases.guard import guard_key
from chalicelib.usecases.ports import TemporaryError
from chalicelib.usecases.rotating import deploy

NEW = a_key(2)
BERT = ANNA.replace("anna", "bert")
BUSY = TemporaryError("503", call="GET /groups")


def began(**changes: object) -> World:
    """The old key was replaced long ago; nothing that Atlas shows needs it."""
    world = a_world(key=NEW)
    world.in_atlas.settings = some_settings(NEW)
    key = world.tracker.key(old_key(world))
    facts = {"replaced_at": START - 300 * DAY, "deployed_at": START - 299 * DAY, "created_by_us": True, **changes}
    world.put(replace(key, state=KeyState.RETIRING, **facts), replace(key, arn=NEW, version=0))
    return world


def key_of(world: World) -> Key:
    return world.tracker.key(old_key(world))


def swept(world: World) -> Key:
    """The key after two sweeps that are more than a day apart, as the time index would have them."""
    for wait in (26 * HOUR, timedelta(0)):
        sweep.sweep_key(world.outside, old_key(world))
        world.wait(wait)
    return key_of(world)


def held(world: World, kind: str) -> None:
    """Two sweeps find the key needed, for this reason."""
    key = swept(world)
    assert key.safe_since is None
    assert kind in {reason.kind for reason in key.reasons}, key.reasons


def safe() -> World:
    """The same world, once the key was found safe."""
    world = began()
    assert swept(world).safe_since is not None
    return world


def a_free_key_is_found_safe_after_a_day() -> None:
    world = began()
    first = sweep.sweep_key(world.outside, old_key(world))
    world.wait(23 * HOUR)
    early = sweep.sweep_key(world.outside, old_key(world))
    world.wait(2 * HOUR)
    late = sweep.sweep_key(world.outside, old_key(world))
    assert (first.safe_since, early.safe_since, late.safe_since) == (None, None, world.now)


def a_sharded_snapshot_holds_the_key() -> None:
    world = began()
    world.in_atlas.sharded["main"] = [a_snapshot(1, old_key(world))]
    held(world, "snapshots")


def a_deleted_cluster_with_retained_backups_holds_the_key() -> None:
    world = began()
    world.in_atlas.clusters.append((a_cluster("gone"), True))
    world.in_atlas.snapshots["gone"] = [a_snapshot(1, old_key(world))]
    held(world, "snapshots")


def a_cluster_whose_encryption_was_switched_off_holds_the_key() -> None:
    world = began()
    world.in_atlas.clusters = [(a_cluster(encryption=Encryption.NONE), False)]
    world.in_atlas.snapshots["main"] = [a_snapshot(1, old_key(world))]
    held(world, "snapshots")


def a_key_is_the_same_however_it_is_written() -> None:
    for text in (str(old_key(began())), old_key(began()).key_id.upper(), f" {old_key(began())}"):
        world = began()
        world.in_atlas.snapshots["main"] = [replace(a_snapshot(1), key=text)]
        held(world, "snapshots")


def a_snapshot_without_a_key_id_or_with_a_strange_one_holds_the_key() -> None:
    for text in (None, a_key(99).key_id, "alias/x"):
        world = began()
        world.in_atlas.snapshots["main"] = [replace(a_snapshot(1), key=text)]
        held(world, "unidentified_snapshots")


def an_unfinished_or_failed_snapshot_holds_the_key() -> None:
    for status, kind in (
        ("queued", "unfinished_snapshots"),
        ("inProgress", "unfinished_snapshots"),
        ("failed", "failed_snapshots"),
    ):
        world = began()
        world.in_atlas.snapshots["main"] = [replace(a_snapshot(1), key=None, status=status)]
        held(world, kind)


def whatever_cannot_be_read_holds_the_key() -> None:
    for call in (
        "settings",
        "clusters",
        "snapshots",
        "sharded_snapshots",
        "restore_jobs",
        "export_jobs",
        "backup_schedule",
    ):
        world = began()
        world.atlas.fail(call, BUSY, times=None)
        held(world, "unread")


def a_project_that_the_tracker_lost_holds_the_key() -> None:
    held(began(projects=(PROJECT, "lost")), "unread")


def another_project_of_the_key_holds_it() -> None:
    other = "d0123456789abcdef0123456"
    world = began(projects=(PROJECT, other))
    world.put(replace(world.project, project_id=other, version=0))
    world.atlas.add(other, settings=some_settings(NEW)).snapshots["main"] = [a_snapshot(1, old_key(world))]
    held(world, "snapshots")


def a_name_that_was_used_again_holds_the_key() -> None:
    world = began()
    world.in_atlas.schedules["main"] = BackupSchedule(cluster_id="f" * 24, restore_window_days=7)
    held(world, "name_reused")
    world = began()
    world.in_atlas.clusters.append((a_cluster(cluster_id="f" * 24), True))
    held(world, "name_reused")


def a_restore_or_export_that_runs_holds_the_key() -> None:
    for restores, exports in (([a_restore()], []), ([], [an_export()])):
        world = began()
        world.in_atlas.restores["main"], world.in_atlas.exports["main"] = restores, exports
        held(world, "running_jobs")


def a_download_that_nobody_vouched_for_holds_the_key() -> None:
    world = began()
    world.in_atlas.restores["main"] = [a_restore(delivery="download", running=False)]
    held(world, "downloads")


def a_download_holds_the_key_when_its_cluster_is_gone_and_the_key_was_used_again() -> None:
    world = began()
    world.in_atlas.restores["main"] = [a_restore(delivery="download", running=False)]
    sweep.sweep_key(world.outside, old_key(world))
    world.in_atlas.clusters = [(a_cluster("other"), False)]
    world.put(replace(key_life.be_replaced(key_of(world), START - DAY), deployed_at=START - DAY))
    held(world, "downloads")


def a_paused_cluster_of_another_project_holds_a_key_that_a_rotation_leaves() -> None:
    world, other = a_world(), "b" * 24
    clusters = [(a_cluster(), False), (a_cluster("asleep", paused=True), False)]
    world.atlas.world[other] = FakeProject(name="other", settings=some_settings(NEW), clusters=clusters)
    world.put(replace(world.project, project_id=other, key=NEW, version=0))
    world.change(key_of(world), projects=(PROJECT, other))
    a_rotation(world).go_until("deployed")
    held(world, "paused")


def the_backups_of_a_project_that_used_the_key_before_it_was_known_hold_it() -> None:
    world, other = began(), "b" * 24
    world.atlas.world[other] = FakeProject(name="other", settings=some_settings(NEW), clusters=[(a_cluster(), False)])
    world.atlas.world[other].snapshots["main"] = [a_snapshot(1, old_key(world), expires_at=START + 300 * DAY)]
    looking.discover_project(world.outside, found(project_id=other), NO_WISHES)
    held(world, "snapshots")


def copies_in_other_regions_hold_the_key_until_somebody_vouched_and_they_are_over() -> None:
    copies = (CopySetting(region="us-east-1", longest_retention_days=400),)
    for attested in (None, START):
        world = began(attested_at=attested)
        cluster = a_cluster()
        world.in_atlas.schedules["main"] = BackupSchedule(
            cluster_id=cluster.cluster_id, restore_window_days=7, copy_regions=1, copies=copies
        )
        held(world, "region_copies")


def a_point_in_time_window_holds_the_key() -> None:
    world = began(replaced_at=START - DAY, deployed_at=START - DAY)
    cluster = a_cluster(point_in_time=True)
    world.in_atlas.clusters = [(cluster, False)]
    world.in_atlas.schedules["main"] = BackupSchedule(cluster_id=cluster.cluster_id, restore_window_days=7)
    held(world, "point_in_time")


def a_window_is_over_by_the_later_of_both_clocks() -> None:
    world = began()
    key = replace(key_of(world), replaced_at=START - 7 * DAY, deployed_at=START - 7 * DAY)
    cluster = a_cluster(point_in_time=True)
    world.in_atlas.clusters = [(cluster, False)]
    world.in_atlas.schedules["main"] = BackupSchedule(cluster_id=cluster.cluster_id, restore_window_days=7)
    seen = gathering.gather_evidence(world.outside, key, START)
    ahead = replace(seen, atlas_date=START + 2 * DAY)
    assert [len(retention.needs(one)) for one in (seen, ahead)] == [1, 0]


def a_cluster_that_was_paused_during_the_swap_holds_the_key() -> None:
    world = began(paused_clusters=(f"{PROJECT}/main",))
    world.in_atlas.clusters = [(a_cluster(paused=True), False)]
    held(world, "paused")


def a_swap_that_is_not_deployed_or_was_turned_back_holds_the_key() -> None:
    world = began(deployed_at=None)
    world.in_atlas.clusters = [(a_cluster(state="UPDATING"), False)]
    held(world, "deploying")
    world = began()
    world.in_atlas.settings = some_settings(old_key(world))
    held(world, "current")


def a_current_key_in_trouble_holds_every_older_one() -> None:
    world = began()
    world.in_atlas.settings = some_settings(NEW, valid=False)
    held(world, "drift")


def a_sweep_that_fails_starts_the_day_anew() -> None:
    world = began()
    sweep.sweep_key(world.outside, old_key(world))
    world.wait(25 * HOUR)
    world.atlas.fail("snapshots", BUSY)
    sweep.sweep_key(world.outside, old_key(world))
    world.wait(HOUR)
    assert sweep.sweep_key(world.outside, old_key(world)).safe_since is None


def a_list_of_two_pages_is_read_to_its_end_and_counted() -> None:
    def page(number: int, *, total: int = 2) -> dict[str, object]:
        row = {"id": f"{number:024x}", "status": "completed", "masterKeyUUID": a_key(number).key_id}
        links = [{"rel": "next"}] if number == 1 else []
        return {"results": [row], "totalCount": total, "links": links}

    def read(total: int) -> list[str]:
        with StandIn() as atlas:
            atlas.on(
                "/groups/p/clusters/c/backup/snapshots",
                lambda asked: Reply(body=page(int(asked.query["pageNum"]), total=total)),
            )
            reader = AtlasReader(a_session(atlas, Pace()), ORGANIZATION)
            return [snapshot.key for snapshot in reader.snapshots("p", "c")]

    assert read(2) == [a_key(1).key_id, a_key(2).key_id]
    with pytest.raises(TemporaryError):
        read(3)


def events_wake_a_key_and_never_free_it() -> None:
    world = safe()
    world.in_atlas.snapshots["main"] = [a_snapshot(1, old_key(world))]
    world.in_atlas.events = [an_event(type=rumours.EVENTS[0], at=world.now + HOUR)]
    world.wait(2 * DAY)
    discover.discover_all(world.outside)
    assert key_of(world).due <= world.now

    world = began()
    world.in_atlas.snapshots["main"] = [a_snapshot(1, old_key(world), expires_at=START + 20 * DAY)]
    sweep.sweep_key(world.outside, old_key(world))
    world.in_atlas.events = [an_event(type="CPS_SNAPSHOT_DELETED_AUDIT", at=START + HOUR)]
    world.wait(DAY)
    discover.discover_all(world.outside)
    assert (key_of(world).safe_since, bool(key_of(world).reasons)) == (None, True)


def requested(world: World) -> Deletion:
    asked = {"account": None, "region": None, "requester": ANNA, "reason": "old"}
    return request_deletion.request_deletion(world.outside, old_key(world).key_id, **asked)


def approved(world: World) -> Deletion:
    deletion = requested(world)
    return request_deletion.approve_deletion(world.outside, deletion.deletion_id, digest=deletion.digest, approver=BERT)


def refused(world: World, deletion: Deletion, **changes: str) -> None:
    with pytest.raises(Refusal):
        request_deletion.approve_deletion(
            world.outside, deletion.deletion_id, **{"digest": deletion.digest, "approver": BERT, **changes}
        )


def irreversible(world: World) -> list[str]:
    return [call for call in world.keys.calls if call in {"disable", "schedule_deletion"}]


def look(world: World, times: int = 1, every: timedelta = HOUR) -> None:
    for _ in range(times):
        retire.advance_deletions(world.outside)
        world.wait(every)


def a_key_that_is_needed_cannot_be_asked_to_be_deleted() -> None:
    world = began()
    world.in_atlas.snapshots["main"] = [a_snapshot(1, old_key(world))]
    swept(world)
    with pytest.raises(Refusal):
        requested(world)


def only_the_digest_that_was_read_approves() -> None:
    world = safe()
    refused(world, requested(world), digest="another")


def nobody_approves_what_they_asked_for_under_any_name() -> None:
    role = f"arn:aws:sts::{ACCOUNT}:assumed-role/Ops/"
    world = safe()
    refused(world, requested(world), approver=ANNA)
    world = safe()
    deletion = requested(world)
    world.change(world.tracker.deletion(deletion.deletion_id), requested_by=f"{role}one")
    refused(world, deletion, approver=f"{role}two")


def a_request_expires_and_an_approval_counts_once() -> None:
    world = safe()
    deletion = requested(world)
    world.wait(72 * HOUR)
    refused(world, deletion)
    world = safe()
    refused(world, approved(world))


def an_approval_for_a_verdict_that_changed_is_refused() -> None:
    world = safe()
    deletion = requested(world)
    world.change(key_of(world), proof_digest="another")
    refused(world, deletion)


def a_key_of_somebody_else_is_not_ours_to_delete() -> None:
    world = safe()
    world.change(key_of(world), created_by_us=False)
    with pytest.raises(Refusal):
        requested(world)


def a_need_found_after_the_approval_disables_nothing() -> None:
    world = safe()
    approved(world)
    world.in_atlas.snapshots["main"] = [a_snapshot(1, old_key(world))]
    look(world)
    assert irreversible(world) == []


def a_need_found_in_quarantine_or_later_brings_the_key_back() -> None:
    for days in (1, 9, 30):
        world = safe()
        approved(world)
        look(world, days, DAY)
        world.in_atlas.snapshots["main"] = [a_snapshot(1, old_key(world))]
        look(world, 26)
        assert world.keys.describe(old_key(world)).status is KeyStatus.ENABLED
        assert NoticeKind.KEY_RESCUED in world.told()


def the_quarantine_lasts_a_week_and_the_window_thirty_days() -> None:
    world = safe()
    deletion_id = approved(world).deletion_id
    look(world, 6 * 24)
    early = irreversible(world)
    look(world, 3 * 24)
    deletion = world.tracker.deletion(deletion_id)
    assert (early, irreversible(world)) == (["disable"], ["disable", "schedule_deletion"])
    assert deletion.deletion_date - deletion.scheduled_at == 30 * DAY


def what_cannot_be_read_takes_no_step() -> None:
    world = safe()
    approved(world)
    world.atlas.fail("snapshots", BUSY, times=None)
    look(world, 30)
    assert irreversible(world) == []


def evidence_that_is_old_when_kms_is_called_is_gathered_again() -> None:
    world = safe()
    approved(world)
    listed = world.atlas.clusters

    def slow(project_id: str, *, deleted_too: bool) -> Iterator[Any]:
        world.wait(HOUR)
        yield from listed(project_id, deleted_too=deleted_too)

    world.atlas.clusters = slow
    look(world)
    assert irreversible(world) == []


def each_step_stands_on_a_proof_of_that_moment_and_an_audit_row() -> None:
    world = safe()
    deletion_id = approved(world).deletion_id
    look(world, 9 * 24)
    for what in ("disabling the key", "scheduling the key's deletion"):
        (entry,) = [entry for entry in world.tracker.audit if (entry.what, entry.subject) == (what, deletion_id)]
        stored = world.tracker.proof(old_key(world), entry.why)
        assert stored is not None
        assert stored.at == entry.at


def the_proof_names_what_was_counted() -> None:
    world = safe()
    stored = world.tracker.proof(old_key(world), key_of(world).proof_digest)
    assert json.loads(stored.document)["projects"][0]["clusters"][0]["cluster"]["name"] == "main"
    assert len({proof.document(seen_with(count), ()).digest for count in range(3)}) == 3


def seen_with(count: int) -> Evidence:
    world = began()
    world.in_atlas.snapshots["main"] = [a_snapshot(n + 1, NEW) for n in range(count)]
    return gathering.gather_evidence(world.outside, key_of(world), START)


def a_deletion_is_called_off_on_the_last_day() -> None:
    world = safe()
    deletion_id = approved(world).deletion_id
    look(world, 36, DAY)
    request_deletion.call_off_deletion(world.outside, deletion_id, who=ANNA)
    look(world)
    assert world.keys.describe(old_key(world)).status is KeyStatus.ENABLED
    assert world.tracker.deletion(deletion_id).state is DeletionState.CALLED_OFF


def kms_event(world: World, operation: str) -> dict[str, Any]:
    detail = {"eventName": operation, "eventID": "e", "requestParameters": {"keyId": str(old_key(world))}}
    return {"source": "aws.kms", "detail": {**detail, "userIdentity": {"arn": BERT}, "recipientAccountId": ACCOUNT}}


def the_guard_brings_a_needed_key_back_and_leaves_a_free_one() -> None:
    for kept, left in ((began(), KeyStatus.ENABLED), (safe(), KeyStatus.DISABLED)):
        kept.keys.change(old_key(kept), status=KeyStatus.DISABLED)
        guard_key(kept.outside, kms_event(kept, "DisableKey"))
        assert kept.keys.describe(old_key(kept)).status is left


def the_guard_knows_the_call_of_an_approved_deletion_from_any_other() -> None:
    world = safe()
    approved(world)
    world.change(key_of(world), reasons=(retention.Reason(kind="snapshots", text="x"),))
    deletion = world.tracker.deletion(key_of(world).deletion_id)
    call = guarding.read_call(kms_event(world, "ScheduleKeyDeletion"))
    assert guarding.decide(call, key_of(world), deletion, ()) is guarding.Act.BRING_BACK


STORIES: tuple[Callable[[], None], ...] = (
    a_free_key_is_found_safe_after_a_day,
    a_sharded_snapshot_holds_the_key,
    a_deleted_cluster_with_retained_backups_holds_the_key,
    a_cluster_whose_encryption_was_switched_off_holds_the_key,
    a_key_is_the_same_however_it_is_written,
    a_snapshot_without_a_key_id_or_with_a_strange_one_holds_the_key,
    an_unfinished_or_failed_snapshot_holds_the_key,
    whatever_cannot_be_read_holds_the_key,
    a_project_that_the_tracker_lost_holds_the_key,
    another_project_of_the_key_holds_it,
    a_name_that_was_used_again_holds_the_key,
    a_restore_or_export_that_runs_holds_the_key,
    a_download_that_nobody_vouched_for_holds_the_key,
    a_download_holds_the_key_when_its_cluster_is_gone_and_the_key_was_used_again,
    a_paused_cluster_of_another_project_holds_a_key_that_a_rotation_leaves,
    the_backups_of_a_project_that_used_the_key_before_it_was_known_hold_it,
    copies_in_other_regions_hold_the_key_until_somebody_vouched_and_they_are_over,
    a_point_in_time_window_holds_the_key,
    a_window_is_over_by_the_later_of_both_clocks,
    a_cluster_that_was_paused_during_the_swap_holds_the_key,
    a_swap_that_is_not_deployed_or_was_turned_back_holds_the_key,
    a_current_key_in_trouble_holds_every_older_one,
    a_sweep_that_fails_starts_the_day_anew,
    a_list_of_two_pages_is_read_to_its_end_and_counted,
    events_wake_a_key_and_never_free_it,
    a_key_that_is_needed_cannot_be_asked_to_be_deleted,
    only_the_digest_that_was_read_approves,
    nobody_approves_what_they_asked_for_under_any_name,
    a_request_expires_and_an_approval_counts_once,
    an_approval_for_a_verdict_that_changed_is_refused,
    a_key_of_somebody_else_is_not_ours_to_delete,
    a_need_found_after_the_approval_disables_nothing,
    a_need_found_in_quarantine_or_later_brings_the_key_back,
    the_quarantine_lasts_a_week_and_the_window_thirty_days,
    what_cannot_be_read_takes_no_step,
    evidence_that_is_old_when_kms_is_called_is_gathered_again,
    each_step_stands_on_a_proof_of_that_moment_and_an_audit_row,
    the_proof_names_what_was_counted,
    a_deletion_is_called_off_on_the_last_day,
    the_guard_brings_a_needed_key_back_and_leaves_a_free_one,
    the_guard_knows_the_call_of_an_approved_deletion_from_any_other,
)


@contextmanager
def changed(module: Any, name: str, instead: object) -> Iterator[None]:
    """Mutate the subject: one function or constant of a module is another one for a while."""
    before = getattr(module, name)
    setattr(module, name, instead)
    try:
        yield
    finally:
        setattr(module, name, before)


@contextmanager
def all_changed(made_by: tuple[tuple[Any, str, object], ...]) -> Iterator[None]:
    if not made_by:
        yield
        return
    with changed(*made_by[0]), all_changed(made_by[1:]):
        yield


def caught_by() -> str | None:
    """The first story that the system, as it stands now, does not live up to."""
    for story in STORIES:
        try:
            story()
        except Exception:  # noqa: BLE001 - however a broken system breaks, it is caught
            return story.__name__
        except pytest.fail.Exception:
            return story.__name__
    return None


REAL_READ = gathering._read
REAL_DECIDE, REAL_EVIDENCE, REAL_EVERYBODY = retirement.decide, gathering.gather_evidence, gathering._everybody
REAL_FILLED = gathering._filled


def without_rule(*names: str) -> tuple[Any, str, object]:
    return retention, "RULES", tuple(rule for rule in retention.RULES if rule.__name__ not in names)


def ignores_sharded(seen: Any, readings: Any) -> Any:
    return REAL_FILLED(seen, (readings[0], (None, None), *readings[2:]))


def reads_the_living_alone(outside: Any, key: Any, now: Any) -> Evidence:
    seen = REAL_EVIDENCE(outside, key, now)
    alive = tuple(replace(p, clusters=tuple(c for c in p.clusters if c.alive)) for p in seen.projects)
    return replace(seen, projects=alive)


def only_encrypted_now(outside: Any, key: Any, now: Any) -> Evidence:
    seen = REAL_EVIDENCE(outside, key, now)
    encrypted = tuple(replace(p, clusters=tuple(c for c in p.clusters if c.encrypted)) for p in seen.projects)
    return replace(seen, projects=encrypted)


def counts_only(wanted: Callable[[Any], bool]) -> Callable[..., Tally]:
    def tally(so_far: Tally, snapshots: Any, **named: Any) -> Tally:
        return evidence.tally(so_far, filter(wanted, snapshots), **named)

    return tally


def as_written(text: str | None) -> str:
    return "" if text is None else text if len(text) == len(NEW.key_id) and text.islower() else NEW.key_id


def reads_what_it_can(call: Any) -> Any:
    answer, _ = REAL_READ(call)
    return answer, None


def first_project_only(outside: Any, key: Any) -> Any:
    return REAL_EVERYBODY(outside, key)[:1]


def first_page_only(http: Any, call: Any, rows: Any, *, kept: bool) -> Any:
    reading = atlas_lists._Reading(rows, kept=kept)
    reading.add(atlas_lists.read_answer(rows.decoder, call, http.read(call)))
    reading._claimed = 0
    return reading


def acts_in_spite_of(*kinds: str) -> Callable[..., Decision]:
    def decide(deletion: Deletion, seen: Look) -> Decision:
        left = tuple(reason for reason in seen.reasons if reason.kind not in kinds)
        return REAL_DECIDE(deletion, replace(seen, reasons=left))

    return decide


def ignores_needs_while(*states: DeletionState) -> Callable[..., Decision]:
    def decide(deletion: Deletion, seen: Look) -> Decision:
        return REAL_DECIDE(deletion, replace(seen, reasons=()) if deletion.state in states else seen)

    return decide


def approves(**ignoring: object) -> Callable[..., Deletion]:
    """An approval that takes some of what it is given for what it should be."""
    real = approval.approve

    def approve(deletion: Deletion, key: Any, *, digest: str, approver: str, now: Any) -> Deletion:
        taken = {"digest": digest, "approver": approver, "now": now}
        taken |= {name: value(deletion) for name, value in ignoring.items() if name != "deletion"}
        as_if = ignoring["deletion"](deletion) if "deletion" in ignoring else deletion
        return real(as_if, key, **taken)

    return approve


def never_calls_off(deletion: Deletion, *, who: str, now: Any) -> Deletion:
    return replace(deletion, called_off_by=who, state=DeletionState.CALLED_OFF, ended_at=now)


def frees_by_events(keys: Any, events: Any, now: Any) -> Any:
    return tuple(replace(key, reasons=(), safe_since=now) for key in keys if events)


def keeps_no_proof(seen: Evidence, reasons: Any) -> Any:
    return replace(proof.document(seen, reasons), digest="d")


def at_the_request(deletion: Deletion) -> Any:
    return deletion.requested_at


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A broken system: what is wrong with it, and what it is made by."""

    wrong: str
    made_by: tuple[tuple[Any, str, object], ...]


def variant(wrong: str, *made_by: tuple[Any, str, object]) -> Variant:
    return Variant(wrong=wrong, made_by=made_by)


def gathers(instead: Any) -> tuple[tuple[Any, str, object], ...]:
    return ((sweep, "gather_evidence", instead), (retire, "gather_evidence", instead))


def deployed_for_all(work: Any, key: Key) -> Key:
    return replace(key, deployed_at=work.now, next_sweep_at=work.now)


VARIANTS = (
    variant("ignores the sharded list", (gathering, "_filled", ignores_sharded)),
    variant("ignores deleted clusters with retained backups", *gathers(reads_the_living_alone)),
    variant("looks at clusters that are encrypted now", *gathers(only_encrypted_now)),
    variant("reads the first page only", (atlas_lists, "_read_once", first_page_only)),
    variant("takes no notice of the total", (atlas_lists._Reading, "lack", "")),
    variant("takes a missing key id for no key", (gathering, "tally", counts_only(lambda s: s.key is not None))),
    variant("passes over what is not finished", (gathering, "tally", counts_only(lambda s: s.status == "completed"))),
    variant("compares key ids as they are written", (evidence, "_key_named", as_written)),
    variant("takes unknown keys for others'", without_rule("snapshots_of_unknown_keys")),
    variant("does not mind queued or failed snapshots", without_rule("snapshots_unfinished")),
    variant("takes what cannot be read for empty", (gathering, "_read", reads_what_it_can)),
    variant("does not say what could not be read", without_rule("unread")),
    variant("judges a shared key by one project", (gathering, "_everybody", first_project_only)),
    variant("does not notice a name that is used again", without_rule("name_used_again")),
    variant("does not mind running jobs", without_rule("jobs_running")),
    variant("counts no jobs", (gathering, "_restores", lambda *_: Jobs()), (gathering, "_exports", lambda *_: Jobs())),
    variant("does not mind downloads", without_rule("downloads")),
    variant("does not mind copies", without_rule("region_copies")),
    variant("takes copies to live as long as originals", (remembered, "_longest_copy", lambda _: 0)),
    variant("forgets downloads with each verdict", (key_life, "forget_counts", lambda _: ())),
    variant("forgets downloads with their cluster", (remembered, "forget_counts", lambda _: ())),
    variant("takes the end of one rotation for that of all", (deploy, "_left_behind", deployed_for_all)),
    variant("asks no backups for past keys", (looking, "keys_in_backups", lambda *_: frozenset())),
    variant("forgets the point-in-time window", without_rule("point_in_time_window")),
    variant("goes by its own clock only", (Evidence, "now", property(lambda seen: seen.gathered_at))),
    variant("forgets paused clusters", without_rule("paused_since_before"), (retention, "still_paused", lambda _: ())),
    variant("does not wait for the deployment", without_rule("swap_not_deployed")),
    variant("does not look whether the key is in use again", without_rule("still_current")),
    variant("does not mind a current key in trouble", without_rule("current_key_in_trouble")),
    variant("is content with one sweep", (retention, "MARGIN", timedelta(0))),
    variant("counts what cannot be read as clean", (retention, "PASSING", frozenset({"unread"}))),
    variant("lets events free a key", (looking, "wake", frees_by_events)),
    variant("does not listen to events", (looking, "wake", lambda *_: ())),
    variant(
        "lets a needed key be asked for",
        (approval, "is_safe", lambda _: True),
        (approval, "_reasons_against", lambda *_: ()),
    ),
    variant("approves any digest", (request_deletion, "approve", approves(digest=lambda d: d.digest))),
    variant("lets the requester approve", (request_deletion, "approve", approves(approver=lambda _: BERT))),
    variant("takes another session for another person", (approval, "principal", lambda arn: arn)),
    variant("lets requests live for ever", (request_deletion, "approve", approves(now=at_the_request))),
    variant(
        "approves twice",
        (request_deletion, "approve", approves(deletion=lambda d: replace(d, state=DeletionState.REQUESTED))),
    ),
    variant("deletes what others made", (approval, "_all_allow_foreign", lambda *_: True)),
    variant("looks no more after the approval", (retire, "decide", ignores_needs_while(DeletionState.APPROVED))),
    variant("looks no more in quarantine", (retire, "decide", ignores_needs_while(DeletionState.QUARANTINED))),
    variant("looks no more once it is scheduled", (retire, "decide", ignores_needs_while(DeletionState.SCHEDULED))),
    variant("acts on what it could not read", (retire, "decide", acts_in_spite_of("unread"))),
    variant("takes old evidence for fresh", (retire, "FRESH", timedelta(days=99))),
    variant("skips the quarantine", (retirement, "quarantine_ends", lambda deletion: deletion.quarantined_at)),
    variant("takes the shortest window", (retire, "WINDOW_DAYS", 7)),
    variant("stores no proof", (retire, "document", keeps_no_proof)),
    variant("leaves the key disabled when called off", (request_deletion, "call_off", never_calls_off)),
    variant("brings nothing back", (retire, "_bring_back", lambda _: None)),
    variant("guards nothing", (guarding, "is_needed", lambda _: False)),
    variant("guards what is free", (guarding, "is_needed", lambda _: True)),
    variant(
        "takes any call for that of a deletion",
        (guarding, "went_through_workflow", lambda _, deletion: deletion is not None),
    ),
)


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_the_system_as_it_is_lives_up_to_every_story(story):
    story()


def test_every_broken_variant_is_caught():
    bank = VARIANTS if FULL_SIZE else VARIANTS[::3]
    missed = []
    for broken in bank:
        with all_changed(broken.made_by):
            if caught_by() is None:
                missed.append(broken.wrong)

    tell(broken_verdicts_and_deletions=len(VARIANTS), caught=f"{len(bank) - len(missed)}/{len(bank)}")
    assert missed == []
    assert caught_by() is None
