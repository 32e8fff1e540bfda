"""Every field and sentence of a deletion: what a request, an approval and an end record, and when to look again."""

from dataclasses import replace
from datetime import timedelta

import pytest
from test_approval import (
    ANNA,
    ARN,
    BERT,
    DAY,
    KEY,
    NOW,
    PROJECT,
    SNAPSHOT,
    UNREAD,
    UNUSED,
    compensation,
    key_of,
    look,
    quarantined,
    requested,
    scheduled,
)

from chalicelib.domain.approval import (
    APPROVE_WITHIN,
    Event,
    approve,
    call_off,
    end,
    give_back,
    next_state,
    open_compensation,
    open_deletion,
)
from chalicelib.domain.observed import KeyStatus
from chalicelib.domain.records import Policy, Reason
from chalicelib.domain.refusals import No, Refusal
from chalicelib.domain.retirement import (
    FRESH,
    LAST_CHANCE,
    LOOK_EVERY,
    UNREAD_WAITS,
    Step,
    decide,
    next_look,
)
from chalicelib.domain.transition import IllegalTransition
from chalicelib.domain.vocabulary import DeletionState, KeyState

HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)
NOT_OURS = "Keyturn did not create it, and not every project has delete_foreign_keys in its policy"


def refusal(call) -> Refusal:
    with pytest.raises(Refusal) as no:
        call()
    return no.value


def test_a_request_records_who_asked_for_what_when_and_why():
    patient = replace(PROJECT, policy=Policy(quarantine_days=9))

    deletion = open_deletion(KEY, (patient,), requester=ANNA, reason="old", now=NOW)

    assert (deletion.arn, deletion.requested_by, deletion.requested_at, deletion.reason) == (ARN, ANNA, NOW, "old")
    assert (deletion.quarantine_days, deletion.expires_at, deletion.next_look_at) == (9, NOW + 3 * DAY, NOW)
    assert (deletion.compensation, deletion.approved_by, deletion.version) == (False, None, 0)
    assert len(deletion.deletion_id) == 16


def test_two_requests_have_two_names():
    others = [
        open_deletion(KEY, (PROJECT,), requester=BERT, reason="old", now=NOW),
        open_deletion(KEY, (PROJECT,), requester=ANNA, reason="old", now=NOW + SECOND),
        open_deletion(
            replace(KEY, arn=replace(ARN, region="us-east-1")), (PROJECT,), requester=ANNA, reason="", now=NOW
        ),
    ]

    assert len({requested().deletion_id, *(other.deletion_id for other in others)}) == 4
    assert requested().deletion_id == requested().deletion_id


def test_a_key_that_is_taken_back_has_a_record_like_any_other():
    deletion = open_compensation(UNUSED, NOW)

    assert (deletion.requested_at, deletion.expires_at) == (NOW, NOW + APPROVE_WITHIN)
    assert deletion.reason == "it was made for a rotation that gave up, and no settings ever named it"
    assert len(deletion.deletion_id) == 16
    assert deletion.deletion_id != open_compensation(UNUSED, NOW + DAY).deletion_id


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (replace(KEY, deletion_id="abc"), f"{ARN}: a deletion was requested already (retiring)"),
        (replace(KEY, state=KeyState.DELETED), f"{ARN} may not be deleted: it is deleted already"),
        (replace(KEY, state=KeyState.CURRENT), f"{ARN} may not be deleted: it is in use"),
        (replace(KEY, safe_since=None), f"{ARN} may not be deleted: no sweep has found it free yet"),
        (replace(KEY, proof_digest=None), f"{ARN} may not be deleted: no proof is stored"),
        (
            replace(KEY, reasons=(SNAPSHOT, UNREAD)),
            f"{ARN} may not be deleted: 3 snapshots of main need it; clusters failed: 503",
        ),
        (replace(KEY, created_by_us=False), f"{ARN} may not be deleted: {NOT_OURS}"),
    ],
)
def test_a_request_that_is_refused_is_told_why(key, text):
    no = refusal(lambda: open_deletion(key, (PROJECT,), requester=ANNA, reason="", now=NOW))

    assert (no.no, no.text) == (No.CONFLICT, text)


APPROVALS = [
    (
        {"state": DeletionState.APPROVED},
        {},
        {},
        "the deletion is approved: only a request can be approved, and only once",
    ),
    ({}, {}, {"now": NOW + 3 * DAY}, "the request expired at 2027-03-04 12:00 UTC: request it anew"),
    ({}, {}, {"approver": ANNA}, "another principal than the requester must approve"),
    ({}, {}, {"digest": "d2"}, "the digest is not that of the proof this deletion was requested on: read it again"),
    (
        {},
        {"proof_digest": "d2"},
        {},
        "the key's verdict has changed since the request: call it off and request anew",
    ),
    ({}, {"reasons": (SNAPSHOT,)}, {}, f"{ARN} is not safe to delete any more"),
]


@pytest.mark.parametrize(("of_deletion", "of_key", "given", "text"), APPROVALS, ids=[row[3][:30] for row in APPROVALS])
def test_an_approval_that_is_refused_is_told_why(of_deletion, of_key, given, text):
    deletion = requested(**of_deletion)
    key = key_of(deletion, **of_key)

    no = refusal(lambda: approve(deletion, key, **{"digest": "d1", "approver": BERT, "now": NOW, **given}))

    assert no.no is (No.FORBIDDEN if "approver" in given else No.CONFLICT)
    assert (no.text, no.reasons) == (text, key.reasons)


def test_an_approval_records_who_and_when_and_changes_nothing_else():
    deletion = requested()

    approved = approve(deletion, key_of(deletion), digest="d1", approver=BERT, now=NOW + DAY)

    assert approved == replace(
        deletion,
        state=DeletionState.APPROVED,
        approved_by=BERT,
        approved_at=NOW + DAY,
        next_look_at=NOW + DAY,
    )


def test_an_approval_a_second_before_the_end_is_in_time():
    deletion = requested()

    assert approve(deletion, key_of(deletion), digest="d1", approver=BERT, now=NOW + 3 * DAY - SECOND)


def test_calling_off_what_is_over_is_refused_with_what_it_came_to():
    no = refusal(lambda: call_off(requested(state=DeletionState.RESCUED), who=BERT, now=NOW))

    assert (no.no, no.text) == (No.CONFLICT, "the deletion is over: rescued")


def test_calling_off_before_kms_was_touched_ends_the_deletion_at_once():
    waiting = requested(waiting_for=("clusters failed: 503",))

    ended = call_off(waiting, who=BERT, now=NOW + DAY)

    assert ended == replace(
        waiting,
        state=DeletionState.CALLED_OFF,
        called_off_by=BERT,
        ended_at=NOW + DAY,
        next_look_at=None,
        waiting_for=(),
    )


def test_the_first_to_call_off_is_remembered_and_the_next_look_is_at_once():
    wished = call_off(quarantined(called_off_by=ANNA), who=BERT, now=NOW + DAY)

    assert (wished.called_off_by, wished.next_look_at, wished.ended_at) == (ANNA, NOW + DAY, None)


@pytest.mark.parametrize("event", [Event.EXPIRED, Event.NEED_FOUND])
def test_a_deletion_that_ends_waits_for_nothing_any_more(event):
    ended = end(requested(waiting_for=("x",)), event, NOW + DAY)

    assert (ended.ended_at, ended.next_look_at, ended.waiting_for, ended.due) == (NOW + DAY, None, (), None)


def test_a_step_that_is_not_in_the_table_is_an_error_that_says_so():
    with pytest.raises(IllegalTransition, match="a deletion that is requested cannot take the event “key disabled”"):
        next_state(DeletionState.REQUESTED, Event.KEY_DISABLED)


def test_a_key_given_back_without_a_need_keeps_its_verdict_and_with_one_loses_it():
    held = replace(KEY, state=KeyState.QUARANTINED, deletion_id="x")

    kept, needed = give_back(held, NOW), give_back(held, NOW, (SNAPSHOT,))

    back = {"state": KeyState.RETIRING, "deletion_id": None, "past_deletions": ("x",), "next_sweep_at": NOW}
    assert kept == replace(held, **back)
    assert needed == replace(kept, reasons=(SNAPSHOT,), clean_since=None, safe_since=None)


def test_a_look_that_found_nothing_is_followed_by_the_next_when_something_can_change():
    approved_wait = decide(requested(), look(requested()))
    in_quarantine, pending = quarantined(), scheduled()

    assert (approved_wait.step, approved_wait.look_at) == (Step.WAIT, NOW + 3 * DAY)
    assert decide(in_quarantine, look(in_quarantine)).look_at == NOW + LOOK_EVERY
    assert decide(pending, look(pending)).look_at == NOW + LOOK_EVERY
    assert approved_wait.reasons == ()


@pytest.mark.parametrize(
    ("deletion", "now", "then"),
    [
        (quarantined(), NOW, NOW + LOOK_EVERY),
        (quarantined(), NOW + 7 * DAY - HOUR, NOW + 7 * DAY),
        (quarantined(), NOW + 7 * DAY - LOOK_EVERY, NOW + 7 * DAY),
        (quarantined(), NOW + 7 * DAY - LOOK_EVERY - SECOND, NOW + 7 * DAY - SECOND),
        (quarantined(), NOW + 7 * DAY, NOW + 7 * DAY + UNREAD_WAITS),
        (quarantined(), NOW + 9 * DAY, NOW + 9 * DAY + UNREAD_WAITS),
        (quarantined(deletion_date=NOW + HOUR), NOW, NOW + LOOK_EVERY),
        (scheduled(), NOW, NOW + LOOK_EVERY),
        (scheduled(), NOW + 30 * DAY - HOUR, NOW + 30 * DAY),
        (scheduled(), NOW + 30 * DAY, NOW + 30 * DAY + UNREAD_WAITS),
        (scheduled(deletion_date=None), NOW, NOW + LOOK_EVERY),
    ],
)
def test_the_next_look_is_when_the_quarantine_or_the_key_ends_and_daily_until_then(deletion, now, then):
    assert next_look(deletion, now) == then


@pytest.mark.parametrize("state", [DeletionState.REQUESTED, DeletionState.APPROVED])
def test_what_cannot_be_read_is_looked_at_hourly_and_a_request_no_later_than_its_end(state):
    deletion = requested(state=state)
    late = NOW + 3 * DAY - HOUR / 2

    early = decide(deletion, look(deletion, reasons=(UNREAD,)))
    near = decide(deletion, look(deletion, late, reasons=(UNREAD,)))

    assert (early.look_at, early.reasons) == (NOW + UNREAD_WAITS, (UNREAD,))
    assert near.look_at == (NOW + 3 * DAY if state is DeletionState.REQUESTED else late + UNREAD_WAITS)


def test_the_last_chance_begins_three_days_before_the_end_and_names_what_could_not_be_read():
    deletion = scheduled()
    begins = NOW + 30 * DAY - LAST_CHANCE

    at, after = (decide(deletion, look(deletion, moment, reasons=(UNREAD,))) for moment in (begins, begins + SECOND))

    assert (at.step, after.step, after.reasons) == (Step.WAIT, Step.RESCUE, (UNREAD,))


def test_a_scheduled_deletion_of_unknown_date_has_no_time_to_wait():
    deletion = scheduled(deletion_date=None)

    assert decide(deletion, look(deletion, reasons=(UNREAD,))).step is Step.RESCUE


@pytest.mark.parametrize(
    ("deletion", "facts", "reason"),
    [
        (
            quarantined(),
            {"status": KeyStatus.ENABLED},
            Reason(kind="enabled_by_hand", text="somebody enabled it during its quarantine"),
        ),
        (
            quarantined(),
            {"status": KeyStatus.PENDING_DELETION},
            Reason(kind="scheduled_by_hand", text="somebody scheduled its deletion during its quarantine"),
        ),
        (
            scheduled(),
            {"status": KeyStatus.DISABLED},
            Reason(kind="cancelled_by_hand", text="somebody cancelled its deletion in KMS"),
        ),
        (
            scheduled(),
            {"status": KeyStatus.PENDING_DELETION, "deletion_date": NOW + 7 * DAY},
            Reason(kind="scheduled_by_hand", text="somebody scheduled its deletion anew, for an earlier day"),
        ),
        (
            scheduled(),
            {"status": KeyStatus.UNKNOWN},
            Reason(kind="unread", text="KMS shows a state that is not known", call="kms:DescribeKey"),
        ),
        (
            quarantined(),
            {"key": KEY},
            Reason(kind="unread", text="the key's record does not know this deletion", call="tracker key"),
        ),
        (
            quarantined(),
            {"key": replace(KEY, deletion_id=quarantined().deletion_id, state=KeyState.CURRENT)},
            Reason(kind="current", text="it is in use again"),
        ),
    ],
)
def test_what_kms_or_the_records_say_against_a_deletion_is_told_in_a_sentence(deletion, facts, reason):
    assert decide(deletion, look(deletion, **facts)).reasons == (reason,)


@pytest.mark.parametrize(
    ("apart", "step"), [(timedelta(minutes=1), Step.WAIT), (timedelta(minutes=1, seconds=1), Step.RESCUE)]
)
def test_two_spellings_of_one_deletion_date_are_not_two_dates(apart, step):
    deletion = scheduled()
    shown = {"status": KeyStatus.PENDING_DELETION, "deletion_date": NOW + 30 * DAY - apart}

    assert decide(deletion, look(deletion, **shown)).step is step


def test_trouble_of_the_current_key_keeps_a_disabled_key_from_going_and_an_untouched_one_waiting():
    trouble = (Reason(kind="drift", text="x", project_id="p1"),)
    untouched = (requested(), requested(state=DeletionState.APPROVED))

    assert {decide(d, look(d, reasons=trouble)).step for d in untouched} == {Step.WAIT}
    assert {decide(d, look(d, reasons=trouble)).step for d in (quarantined(), scheduled())} == {Step.RESCUE}


def test_the_times_are_those_that_the_documents_promise():
    assert (timedelta(minutes=15), HOUR) == (FRESH, UNREAD_WAITS)
    assert (LAST_CHANCE, LOOK_EVERY) == (3 * DAY, 22 * HOUR)
    assert compensation().quarantine_days == 0
