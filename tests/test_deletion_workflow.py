"""A deletion from the request to the day the key is gone, and every way in which it may end before."""

import ast
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from deletion_world import ARN, BERT, Leaving
from fake_atlas import PROJECT
from simple_world import ANNA, DAY, HOUR, START, raising

from chalicelib.domain.evidence import Unread
from chalicelib.domain.observed import KeyStatus
from chalicelib.domain.records import Deletion, Proof
from chalicelib.domain.refusals import No, Refusal
from chalicelib.domain.vocabulary import DeletionState, KeyState, NoticeKind
from chalicelib.usecases.ports import Conflict, PermanentError, TemporaryError
from chalicelib.usecases.request_deletion import approve_deletion, attest, call_off_deletion, request_deletion
from chalicelib.usecases.retire import advance_deletion, advance_deletions

DENIED = PermanentError("denied", call="kms", code="AccessDeniedException")
CRASH = TemporaryError("the process died", call="crash")


@pytest.fixture
def world():
    return Leaving()


def test_a_key_goes_from_request_to_gone_with_every_step_told(world):
    deletion_id = world.approved()

    world.look_hourly_for(40 * DAY)

    assert world.state(deletion_id) is DeletionState.DELETED
    assert (world.key.state, world.key.due) == (KeyState.DELETED, None)
    assert world.touched() == ["disable", "schedule_deletion"]
    assert world.told() == [
        NoticeKind.DELETION_REQUESTED,
        NoticeKind.DELETION_APPROVED,
        NoticeKind.KEY_QUARANTINED,
        NoticeKind.DELETION_SCHEDULED,
        NoticeKind.KEY_DELETED,
    ]


def test_the_quarantine_lasts_seven_days_and_the_window_thirty(world):
    deletion_id = world.approved()

    world.look_hourly_for(40 * DAY)

    deletion = world.tracker.deletion(deletion_id)
    assert timedelta(0) <= deletion.scheduled_at - deletion.quarantined_at - 7 * DAY <= HOUR
    assert deletion.deletion_date == deletion.scheduled_at + 30 * DAY


def test_every_call_that_takes_a_key_away_follows_a_durable_audit_row_and_a_fresh_proof(world):
    world.approved()

    world.look_hourly_for(8 * DAY)

    for call, entry in (("disable", "disabling the key"), ("schedule_deletion", "scheduling the key's deletion")):
        assert world.journal[world.journal.index(call) - 1] == entry
    entry = next(e for e in world.tracker.audit if e.what == "scheduling the key's deletion")
    assert world.tracker.proof(ARN, entry.why).at == entry.at > START + 6 * DAY


def test_a_step_reads_the_projects_of_its_key_once(world):
    world.approved()
    world.tracker.projects_read.clear()

    world.look()

    assert (world.status, world.tracker.projects_read) == (KeyStatus.DISABLED, [PROJECT])


def test_a_key_is_not_swept_while_its_deletion_is_open_and_is_looked_at_daily_instead(world):
    world.quarantined()
    looks = world.gathered

    world.look_hourly_for(4 * DAY)

    assert world.key.due is None
    assert world.gathered - looks >= 4


def test_where_it_is_looked_at_less_often_every_step_still_comes_on_its_day(world):
    deletion_id = world.approved()
    world.outside = replace(world.outside, look_every=7 * DAY)

    world.look_hourly_for(40 * DAY)

    deletion = world.tracker.deletion(deletion_id)
    assert deletion.state is DeletionState.DELETED
    assert timedelta(0) <= deletion.scheduled_at - deletion.quarantined_at - 7 * DAY <= HOUR
    assert timedelta(0) <= deletion.ended_at - deletion.deletion_date <= HOUR
    assert world.gathered <= 10


def test_a_request_that_nobody_approves_expires_and_the_key_is_watched_again(world):
    deletion_id = world.request()

    world.look_hourly_for(4 * DAY)

    assert world.state(deletion_id) is DeletionState.EXPIRED
    assert (world.key.deletion_id, world.key.state, world.touched()) == (None, KeyState.RETIRING, [])
    assert world.key.due is not None
    assert world.request() != deletion_id


def test_a_request_is_proved_afresh_before_anybody_approves_it(world):
    world.request()

    world.look()

    assert world.gathered == 1


def test_a_need_found_while_nobody_has_approved_yet_ends_the_request(world):
    deletion_id = world.request()
    world.snapshots = 1

    world.look()

    (notice,) = (n for n in world.tracker.notices if n.kind is NoticeKind.KEY_RESCUED)
    assert (world.state(deletion_id), world.touched()) == (DeletionState.RESCUED, [])
    assert (world.key.state, world.key.safe_since, world.key.due) == (KeyState.RETIRING, None, world.now)
    assert "it had not been disabled" in notice.text
    with pytest.raises(Refusal):
        approve_deletion(world.outside, deletion_id, digest="d1", approver=BERT)


def test_what_cannot_be_read_while_nobody_has_approved_yet_is_shown_and_looked_at_hourly(world):
    deletion_id = world.request()
    world.unread = (Unread(call="clusters", cause="503"),)

    world.look()

    deletion = world.tracker.deletion(deletion_id)
    assert (deletion.state, deletion.due) == (DeletionState.REQUESTED, world.now + HOUR)
    assert deletion.waiting_for == ("clusters failed: 503",)


def test_a_request_that_waits_for_what_cannot_be_read_expires_at_its_minute(world):
    deletion_id = world.request()
    world.unread = (Unread(call="clusters", cause="503"),)
    world.now = world.tracker.deletion(deletion_id).expires_at - HOUR / 2

    world.look()
    due = world.tracker.deletion(deletion_id).due
    world.now = due
    world.look()

    assert due == world.tracker.deletion(deletion_id).expires_at
    assert world.state(deletion_id) is DeletionState.EXPIRED


def test_what_was_found_before_the_approval_is_not_what_the_key_is_disabled_on(world):
    deletion_id = world.request()
    world.look()
    world.look_hourly_for(2 * HOUR)
    approve_deletion(world.outside, deletion_id, digest="d1", approver=BERT)

    world.look()

    entry = next(e for e in world.tracker.audit if e.what == "disabling the key")
    assert world.tracker.proof(ARN, entry.why).at == world.now
    assert (world.gathered, world.touched()) == (2, ["disable"])


def test_a_request_that_is_over_is_ended_without_another_sweep(world):
    world.request()
    world.look()
    world.now += 4 * DAY

    world.look()

    assert world.gathered == 1


def test_a_second_request_is_refused_with_the_id_of_the_first(world):
    deletion_id = world.request()

    with pytest.raises(Refusal) as no:
        world.request()

    assert (no.value.no, no.value.details) == (No.CONFLICT, {"deletion_id": deletion_id})


def test_a_key_that_is_not_known_is_refused(world):
    for name in ("87654321-1234-1234-1234-123456789abc", "nonsense"):
        with pytest.raises(Refusal) as no:
            request_deletion(world.outside, name, account=None, region=None, requester=ANNA, reason="")
        assert no.value.no is No.UNKNOWN


def test_an_id_that_names_several_keys_is_refused_with_the_choices(world):
    elsewhere = replace(ARN, region="us-east-1")
    world.put(replace(world.key, arn=elsewhere, version=0))

    with pytest.raises(Refusal) as no:
        world.request()

    assert no.value.no is No.INVALID
    assert "region=eu-west-1" in no.value.text
    assert "region=us-east-1" in no.value.text
    chosen = request_deletion(world.outside, ARN.key_id, account=None, region="us-east-1", requester=ANNA, reason="")
    assert chosen.arn == elsewhere


def test_an_approval_without_its_stored_proof_is_refused(world):
    deletion_id = world.request()
    world.tracker.lose(world.tracker.proof(ARN, "d1"))

    with pytest.raises(Refusal):
        approve_deletion(world.outside, deletion_id, digest="d1", approver=BERT)


def test_an_approval_counts_once(world):
    deletion_id = world.approved()

    with pytest.raises(Refusal):
        approve_deletion(world.outside, deletion_id, digest="d1", approver=BERT)


def test_an_approval_of_what_is_not_known_is_refused(world):
    with pytest.raises(Refusal) as no:
        approve_deletion(world.outside, "nothing", digest="d1", approver=BERT)

    assert no.value.no is No.UNKNOWN


def test_a_snapshot_that_appears_after_the_approval_keeps_the_key_enabled(world):
    deletion_id = world.approved()
    world.snapshots = 1

    world.look()

    assert (world.state(deletion_id), world.touched()) == (DeletionState.RESCUED, [])
    assert [reason.kind for reason in world.key.reasons] == ["snapshots"]


@pytest.mark.parametrize("days", [0, 3, 6, 8, 20, 36])
def test_a_need_found_at_any_time_brings_the_key_back_within_a_day(world, days):
    deletion_id = world.quarantined()
    world.look_hourly_for(days * DAY)
    world.snapshots = 2

    world.look_hourly_for(DAY)

    assert world.state(deletion_id) is DeletionState.RESCUED
    assert world.status is KeyStatus.ENABLED
    assert (world.key.state, world.key.safe_since, world.key.deletion_id) == (KeyState.RETIRING, None, None)
    assert [n.kind for n in world.tracker.notices if n.escalate] == [NoticeKind.KEY_RESCUED]


def test_a_current_key_that_atlas_finds_invalid_brings_the_old_one_back_and_is_said_once(world):
    world.quarantined()
    world.valid = False

    world.look_hourly_for(DAY)

    (notice,) = (n for n in world.tracker.notices if n.kind is NoticeKind.KEY_RESCUED)
    assert (world.status, notice.text.count("invalid")) == (KeyStatus.ENABLED, 1)


def test_what_cannot_be_read_disables_nothing_and_is_shown(world):
    deletion_id = world.approved()
    world.unread = (Unread(call="clusters", cause="503"),)

    world.look_hourly_for(5 * DAY)

    deletion = world.tracker.deletion(deletion_id)
    assert (deletion.state, world.touched()) == (DeletionState.APPROVED, [])
    assert deletion.waiting_for == ("clusters failed: 503",)


def test_what_cannot_be_read_does_not_end_a_quarantine(world):
    deletion_id = world.quarantined()
    world.unread = (Unread(call="clusters", cause="503"),)

    world.look_hourly_for(20 * DAY)

    assert (world.state(deletion_id), world.touched()) == (DeletionState.QUARANTINED, ["disable"])


def test_what_cannot_be_read_until_three_days_before_the_end_brings_the_key_back(world):
    deletion_id = world.scheduled()
    world.unread = (Unread(call="clusters", cause="503"),)

    world.look_hourly_for(25 * DAY)
    waiting = world.state(deletion_id)
    world.look_hourly_for(3 * DAY)

    assert (waiting, world.state(deletion_id)) == (DeletionState.SCHEDULED, DeletionState.RESCUED)
    assert world.status is KeyStatus.ENABLED


def test_a_deletion_is_called_off_before_anything_was_done(world):
    deletion_id = world.approved()

    call_off_deletion(world.outside, deletion_id, who=ANNA)
    world.look_hourly_for(DAY)

    assert (world.state(deletion_id), world.touched()) == (DeletionState.CALLED_OFF, [])
    assert world.told()[-1] is NoticeKind.DELETION_ENDED


@pytest.mark.parametrize("days", [0, 3, 10, 36])
def test_a_deletion_is_called_off_until_the_last_day_and_the_key_works_again(world, days):
    deletion_id = world.quarantined()
    world.look_hourly_for(days * DAY)
    world.unread = (Unread(call="clusters", cause="503"),)

    call_off_deletion(world.outside, deletion_id, who=ANNA)
    world.look()

    assert world.state(deletion_id) is DeletionState.CALLED_OFF
    assert (world.in_kms.status, world.in_kms.deletion_date) == (KeyStatus.ENABLED, None)
    assert (world.key.state, world.key.deletion_id, world.key.due) == (KeyState.RETIRING, None, world.now)


@pytest.mark.parametrize("at", range(6))
@pytest.mark.parametrize("after_kms", [False, True])
def test_a_crash_before_any_write_loses_nothing_and_doubles_nothing(world, at, after_kms):
    deletion_id = world.approved()
    writes = []

    def crash(change):
        writes.append(change)
        if len(writes) == at + 1 or (after_kms and len(writes) == at + 2):
            raise CRASH

    world.tracker.before_commit = crash
    for _ in range(42 * 24):
        world.now += HOUR
        try:
            world.look()
        except ExceptionGroup:
            continue

    assert world.state(deletion_id) is DeletionState.DELETED
    assert sorted(world.told()) == sorted(set(world.told()))


def test_a_crash_between_disabling_and_writing_is_undone_by_calling_off(world):
    deletion_id = world.approved()
    world.tracker.before_commit = lambda change: _refuse_state(change, DeletionState.QUARANTINED)
    world.look()
    world.tracker.before_commit = lambda change: None

    call_off_deletion(world.outside, deletion_id, who=ANNA)
    world.look()

    assert world.touched() == ["disable", "cancel_deletion", "enable"]
    assert world.state(deletion_id) is DeletionState.CALLED_OFF


def _refuse_state(change, state):
    if any(isinstance(r, Deletion) and r.state is state for r in change.records):
        raise CRASH


def test_what_another_delivery_has_just_scheduled_is_not_taken_for_a_strangers_hand(world):
    deletion_id = world.quarantined()
    world.now = world.tracker.deletion(deletion_id).quarantined_at + 7 * DAY
    describe = world.keys.describe

    def described_after_the_other(arn):
        world.keys.describe = describe
        world.look()
        return describe(arn)

    world.keys.describe = described_after_the_other

    world.look()

    assert (world.state(deletion_id), world.status) == (DeletionState.SCHEDULED, KeyStatus.PENDING_DELETION)


def test_a_verdict_that_somebody_changes_meanwhile_stops_the_call(world):
    deletion_id = world.approved()

    def gather(outside, key, now):
        world.change(key, state=KeyState.CURRENT)
        return world.gather(outside, key, now)

    advance_deletion(world.outside, deletion_id, gather=gather)

    assert (world.state(deletion_id), world.touched()) == (DeletionState.APPROVED, [])


def test_evidence_that_took_too_long_to_gather_is_not_acted_on(world):
    deletion_id = world.approved()

    def gather(outside, key, now):
        world.now += HOUR
        return world.gather(outside, key, now)

    advance_deletion(world.outside, deletion_id, gather=gather)

    assert (world.state(deletion_id), world.touched()) == (DeletionState.APPROVED, [])


@pytest.mark.parametrize(
    ("trouble", "wait"),
    [(TemporaryError("slow down", call="kms"), HOUR / 4), (PermanentError("denied", call="kms"), HOUR)],
)
def test_a_kms_that_refuses_is_asked_again_later_and_the_cause_is_shown(world, trouble, wait):
    deletion_id = world.approved()
    world.keys.trouble = {"disable": trouble}

    world.look()

    deletion = world.tracker.deletion(deletion_id)
    assert (deletion.state, deletion.waiting_for) == (DeletionState.APPROVED, (trouble.message,))
    assert deletion.due == world.now + wait


def cries(world):
    return [n for n in world.tracker.notices if n.kind is NoticeKind.KEY_NEEDED_AGAIN]


def test_a_key_that_cannot_be_brought_back_makes_one_cry_for_help(world):
    deletion_id = world.scheduled()
    world.snapshots = 1
    world.keys.trouble = {"enable": PermanentError("denied", call="kms")}

    world.look_hourly_for(2 * DAY)

    assert world.state(deletion_id) is DeletionState.SCHEDULED
    assert [(n.escalate, "denied" in n.text) for n in cries(world)] == [(True, True)]


def test_a_key_that_was_called_off_and_whose_role_cannot_be_assumed_makes_one_cry_for_help(world):
    deletion_id = world.scheduled()
    world.outside = replace(world.outside, keys=raising(DENIED))
    call_off_deletion(world.outside, deletion_id, who=ANNA)

    world.look_hourly_for(2 * DAY)

    assert [(n.escalate, "denied" in n.text) for n in cries(world)] == [(True, True)]
    assert world.state(deletion_id) is DeletionState.SCHEDULED


def test_a_key_that_a_busy_kms_does_not_bring_back_makes_one_cry_for_help_three_days_before_the_end(world):
    deletion_id = world.scheduled()
    end = world.tracker.deletion(deletion_id).deletion_date
    world.outside = replace(world.outside, keys=raising(TemporaryError("slow down", call="kms")))
    call_off_deletion(world.outside, deletion_id, who=ANNA)

    world.look_hourly_for(end - world.now - 3 * DAY)
    before = len(cries(world))
    world.look_hourly_for(DAY)

    assert (before, [(n.escalate, "slow down" in n.text) for n in cries(world)]) == (0, [(True, True)])


def test_a_kms_that_cannot_be_described_counts_as_unread(world):
    deletion_id = world.quarantined()
    world.keys.trouble = {"describe": PermanentError("denied", call="kms:DescribeKey")}

    world.look_hourly_for(10 * DAY)

    assert world.tracker.deletion(deletion_id).waiting_for == ("kms:DescribeKey failed: denied",)
    assert world.touched() == ["disable"]


def test_a_key_enabled_by_hand_during_its_quarantine_is_kept(world):
    deletion_id = world.quarantined()
    world.keys.enable(ARN)

    world.look_hourly_for(DAY)

    assert world.state(deletion_id) is DeletionState.RESCUED


def test_a_key_that_a_hand_hurries_after_our_own_call_was_denied_is_kept(world):
    deletion_id = world.quarantined()
    world.keys.fail("schedule_deletion", DENIED)
    while world.tracker.deletion(deletion_id).scheduled_at is None:
        world.look_hourly_for(HOUR)
    world.keys.schedule_deletion(ARN, days=7)

    world.look_hourly_for(2 * HOUR)

    assert (world.state(deletion_id), world.status) == (DeletionState.RESCUED, KeyStatus.ENABLED)
    assert NoticeKind.DELETION_SCHEDULED not in world.told()


def test_a_hand_that_hurries_the_key_while_its_own_proof_is_written_is_not_taken_for_ours(world):
    deletion_id = world.quarantined()

    def hurried(change):
        if any(entry.what == "scheduling the key's deletion" for entry in change.audit):
            world.keys.change(ARN, status=KeyStatus.PENDING_DELETION, deletion_date=world.now + 7 * DAY)

    world.tracker.before_commit = hurried
    world.look_hourly_for(8 * DAY)

    assert (world.state(deletion_id), world.status) == (DeletionState.RESCUED, KeyStatus.ENABLED)
    assert NoticeKind.DELETION_SCHEDULED not in world.told()


def test_a_deletion_that_was_scheduled_is_known_as_ours_however_often_its_record_is_lost(world):
    deletion_id = world.quarantined()
    world.tracker.before_commit = lambda change: _refuse_state(change, DeletionState.SCHEDULED)
    world.look_hourly_for(8 * DAY)
    world.tracker.before_commit = lambda change: None

    world.look_hourly_for(HOUR)

    deletion = world.tracker.deletion(deletion_id)
    assert deletion.state is DeletionState.SCHEDULED
    assert deletion.deletion_date == world.in_kms.deletion_date == deletion.scheduled_at + 30 * DAY


@pytest.mark.parametrize("reached", ["request", "approved", "quarantined", "scheduled"])
def test_a_key_that_somebody_else_deleted_ends_its_deletion_and_that_is_told(world, reached):
    deletion_id = getattr(world, reached)()
    world.keys.change(ARN, status=KeyStatus.GONE)

    world.look_hourly_for(DAY)

    assert (world.state(deletion_id), world.key.state, world.key.due) == (DeletionState.DELETED, KeyState.DELETED, None)
    notice = world.tracker.notices[-1]
    assert (notice.kind, notice.escalate) == (NoticeKind.KEY_DELETED, True)
    assert "somebody else deleted it" in notice.text
    assert ("Approved by: nobody\n" in notice.text) == (reached == "request")
    assert (world.tracker.audit[-1].what, world.tracker.audit[-1].who) == (
        "key found deleted by another hand",
        "unknown: no event told of it; see CloudTrail",
    )


def test_a_key_that_went_on_its_day_is_not_laid_to_anybody_elses_hand(world):
    world.scheduled()
    world.tracker.before_commit = lambda change: _refuse_state(change, DeletionState.DELETED)
    world.look_hourly_for(40 * DAY)
    world.tracker.before_commit = lambda change: None

    world.look_hourly_for(DAY)

    notice = world.tracker.notices[-1]
    assert (notice.kind, notice.escalate) == (NoticeKind.KEY_DELETED, False)
    assert "somebody else" not in notice.text
    assert (world.tracker.audit[-1].what, world.tracker.audit[-1].who) == ("key deleted", BERT)


def test_a_key_whose_schedule_was_never_written_down_still_went_by_our_hand(world):
    deletion_id = world.quarantined()
    world.tracker.before_commit = lambda change: _refuse_state(change, DeletionState.SCHEDULED)
    world.look_hourly_for(39 * DAY)

    assert world.state(deletion_id) is DeletionState.DELETED
    assert "somebody else" not in world.tracker.notices[-1].text


@pytest.mark.parametrize("reached", ["approved", "quarantined", "scheduled"])
def test_a_key_that_is_gone_ends_a_deletion_that_was_called_off_without_a_false_alarm(world, reached):
    deletion_id = getattr(world, reached)()
    world.keys.change(ARN, status=KeyStatus.GONE)
    world.change(world.tracker.deletion(deletion_id), called_off_by=ANNA, next_look_at=world.now)

    world.look()

    assert world.state(deletion_id) is DeletionState.DELETED
    assert NoticeKind.KEY_NEEDED_AGAIN not in world.told()
    assert f"called off by {ANNA}" in world.tracker.notices[-1].text


def _is_denied_every_change(world):
    world.keys.trouble = dict.fromkeys(("disable", "enable", "cancel_deletion"), DENIED)


def test_a_key_that_could_not_be_disabled_is_called_off_without_kms(world):
    deletion_id = world.approved()
    _is_denied_every_change(world)
    world.look()

    call_off_deletion(world.outside, deletion_id, who=ANNA)
    world.look()

    assert (world.state(deletion_id), world.status) == (DeletionState.CALLED_OFF, KeyStatus.ENABLED)
    assert world.touched() == ["disable"]
    assert (world.key.deletion_id, world.key.state, world.key.due) == (None, KeyState.RETIRING, world.now)
    assert world.told()[-1] is NoticeKind.DELETION_ENDED
    assert world.tracker.audit[-1].what == "deletion called off"


def test_a_key_that_could_not_be_disabled_and_is_needed_is_kept_without_kms(world):
    deletion_id = world.approved()
    _is_denied_every_change(world)
    world.look()
    world.snapshots = 1

    world.look_hourly_for(2 * HOUR)

    assert (world.state(deletion_id), world.status) == (DeletionState.RESCUED, KeyStatus.ENABLED)
    assert world.touched() == ["disable"]
    assert (world.key.deletion_id, world.key.state) == (None, KeyState.RETIRING)
    assert "it had not been disabled" in world.tracker.notices[-1].text
    assert NoticeKind.KEY_NEEDED_AGAIN not in world.told()


def test_a_key_that_kms_does_not_describe_is_brought_back_all_the_same(world):
    deletion_id = world.quarantined()
    world.keys.trouble = {"describe": DENIED}

    call_off_deletion(world.outside, deletion_id, who=ANNA)
    world.look()

    assert (world.state(deletion_id), world.status) == (DeletionState.CALLED_OFF, KeyStatus.ENABLED)


def test_a_key_that_kms_neither_describes_nor_enables_is_asked_for_again_until_it_does(world):
    deletion_id = world.quarantined()
    world.keys.trouble = {"describe": DENIED, "enable": DENIED}
    call_off_deletion(world.outside, deletion_id, who=ANNA)
    world.look()
    waiting = world.tracker.deletion(deletion_id)
    world.keys.trouble = {}

    world.look_hourly_for(HOUR)

    assert (waiting.state, waiting.waiting_for) == (DeletionState.QUARANTINED, ("denied",))
    assert (world.state(deletion_id), world.status) == (DeletionState.CALLED_OFF, KeyStatus.ENABLED)


def test_the_trouble_of_one_deletion_delays_no_other(world):
    broken = world.add_place("us-east-1").add()
    world.put(replace(world.key, arn=broken, version=0), Proof(digest="d1", at=START, arn=broken, document="{}"))
    ids = [
        request_deletion(world.outside, ARN.key_id, account=None, region=r, requester=ANNA, reason="").deletion_id
        for r in ("us-east-1", "eu-west-1")
    ]
    for deletion_id in ids:
        approve_deletion(world.outside, deletion_id, digest="d1", approver=BERT)

    def gather(outside, key, now):
        if key.arn == broken:
            raise ZeroDivisionError
        return world.gather(outside, key, now)

    with pytest.raises(ExceptionGroup):
        advance_deletions(world.outside, gather=gather)

    assert [world.state(i) for i in ids] == [DeletionState.APPROVED, DeletionState.QUARANTINED]


def test_what_is_unknown_or_over_is_left_alone(world):
    deletion_id = world.request()
    call_off_deletion(world.outside, deletion_id, who=ANNA)

    assert advance_deletion(world.outside, "nothing", gather=world.gather) is None
    assert advance_deletion(world.outside, deletion_id, gather=world.gather).state is DeletionState.CALLED_OFF


def test_a_deletion_that_is_gone_while_it_is_looked_at_is_not_put_off(world):
    deletion_id = world.approved()

    def gather(outside, key, now):
        world.tracker.lose(world.tracker.deletion(deletion_id))
        raise CRASH

    assert advance_deletion(world.outside, deletion_id, gather=gather) is None


def test_a_deletion_that_somebody_else_writes_while_it_is_put_off_stays_as_they_wrote_it(world):
    deletion_id = world.approved()
    before = world.tracker.deletion(deletion_id)

    def gather(outside, key, now):
        raise CRASH

    def overtaken(change):
        raise Conflict("somebody else wrote first", call="commit")

    world.tracker.before_commit = overtaken

    assert advance_deletion(world.outside, deletion_id, gather=gather) == before


def test_a_wish_to_call_off_that_was_written_before_kms_was_touched_ends_without_kms(world):
    deletion_id = world.approved()
    world.change(world.tracker.deletion(deletion_id), called_off_by=ANNA)

    world.look()

    assert (world.state(deletion_id), world.touched()) == (DeletionState.CALLED_OFF, [])


def test_a_key_whose_record_still_names_a_deletion_that_is_over_can_be_asked_for_again(world):
    deletion_id = world.request()
    call_off_deletion(world.outside, deletion_id, who=ANNA)
    world.change(world.key, deletion_id=deletion_id)
    world.now += HOUR

    assert world.request() != deletion_id


def test_a_person_vouches_for_what_no_list_shows_and_the_key_is_swept_at_once(world):
    vouched = attest(world.outside, ARN.key_id, account=None, region=None, who=ANNA, statement="no copies left")

    assert (vouched.attested_by, vouched.attestation, vouched.due) == (ANNA, "no copies left", START)
    assert [entry.what for entry in world.tracker.audit] == ["key attested"]


@pytest.mark.parametrize(("statement", "state"), [("  ", KeyState.RETIRING), ("fine", KeyState.CURRENT)])
def test_an_empty_statement_or_one_about_a_key_in_use_is_refused(world, statement, state):
    world.change(world.key, state=state)

    with pytest.raises(Refusal):
        attest(world.outside, ARN.key_id, account=None, region=None, who=ANNA, statement=statement)


def test_a_federated_user_vouches_for_nothing_and_asks_for_no_deletion(world):
    who = f"arn:aws:sts::{ARN.account}:federated-user/anna"

    for decide in (
        lambda: attest(world.outside, ARN.key_id, account=None, region=None, who=who, statement="no copies left"),
        lambda: request_deletion(world.outside, ARN.key_id, account=None, region=None, requester=who, reason=""),
        lambda: approve_deletion(world.outside, world.request(), digest="d1", approver=who),
    ):
        with pytest.raises(Refusal) as no:
            decide()
        assert (no.value.no, who in no.value.text) == (No.FORBIDDEN, True)
    assert (world.key.attested_by, world.state(world.key.deletion_id)) == (None, DeletionState.REQUESTED)


def test_every_notice_can_be_read_by_its_subject_alone(world):
    world.approved()
    world.look_hourly_for(40 * DAY)

    for notice in world.tracker.notices:
        assert ARN.key_id in notice.subject
        assert len(notice.subject) <= 100
        assert f"Shop ({PROJECT})" in notice.text
        assert "What to do:" in notice.text


def test_the_irreversible_call_has_one_call_site():
    house = Path(__file__).parent.parent
    files = [house / "app.py", *sorted((house / "chalicelib").rglob("*.py"))]
    calls = [
        path.name
        for path in files
        if path.exists()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr == "schedule_deletion"
    ]

    assert calls == ["retire.py"]
