"""What may be requested, who may approve it, and what the next step of a deletion is."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from chalicelib.domain.approval import (
    COMPENSATION,
    TABLE,
    Event,
    approve,
    call_off,
    give_back,
    kms_was_touched,
    next_state,
    open_compensation,
    open_deletion,
    quarantine_days,
)
from chalicelib.domain.arn import KeyArn
from chalicelib.domain.evidence import Evidence, ProjectEvidence
from chalicelib.domain.observed import KeyStatus, Settings
from chalicelib.domain.records import Deletion, Key, Policy, Project, Reason
from chalicelib.domain.refusals import No, Refusal
from chalicelib.domain.retention import current_key_in_trouble
from chalicelib.domain.retirement import Look, Step, decide, next_look, quarantine_ends
from chalicelib.domain.transition import IllegalTransition
from chalicelib.domain.vocabulary import DeletionState, KeyState

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
ARN = KeyArn(account="111122223333", region="eu-west-1", key_id="12345678-1234-1234-1234-123456789abc")
ANNA, BERT = "arn:aws:iam::111122223333:user/anna", "arn:aws:iam::111122223333:user/bert"
SNAPSHOT = Reason(kind="snapshots", text="3 snapshots of main need it")
UNREAD = Reason(kind="unread", text="clusters failed: 503", call="clusters")
PROJECT = Project(project_id="p1", name="Shop", organization="o1", seen_at=NOW)
KEY = Key(
    arn=ARN,
    state=KeyState.RETIRING,
    projects=("p1",),
    first_seen_at=NOW - 400 * DAY,
    created_by_us=True,
    clean_since=NOW - 3 * DAY,
    safe_since=NOW - 2 * DAY,
    proof_digest="d1",
    version=4,
)


def requested(**changes) -> Deletion:
    deletion = open_deletion(KEY, (PROJECT,), requester=ANNA, reason="old", now=NOW)
    return replace(deletion, **changes)


def key_of(deletion: Deletion, **changes) -> Key:
    return replace(KEY, deletion_id=deletion.deletion_id, **changes)


def quarantined(**changes) -> Deletion:
    return requested(state=DeletionState.QUARANTINED, quarantined_at=NOW, **changes)


def scheduled(**changes) -> Deletion:
    facts = {"scheduled_at": NOW, "deletion_date": NOW + 30 * DAY, **changes}
    return requested(state=DeletionState.SCHEDULED, quarantined_at=NOW - 7 * DAY, **facts)


def look(deletion: Deletion, at: datetime = NOW, **facts) -> Look:
    return Look(**{"key": key_of(deletion), "now": at, **facts})


@pytest.mark.parametrize("state", list(DeletionState))
@pytest.mark.parametrize("event", list(Event))
def test_an_event_leads_where_the_table_says_and_nowhere_else(state, event):
    if (state, event) in TABLE:
        assert next_state(state, event) is TABLE[state, event]
    else:
        with pytest.raises(IllegalTransition):
            next_state(state, event)


def test_nothing_follows_a_terminal_state_and_everything_open_can_be_called_off():
    assert not [state for state, _ in TABLE if state.terminal]
    assert all((state, Event.CALLED_OFF) in TABLE for state in DeletionState if not state.terminal)


def test_the_only_way_to_a_scheduled_deletion_leads_through_approval_and_quarantine():
    assert [s for (s, _), to in TABLE.items() if to is DeletionState.SCHEDULED] == [DeletionState.QUARANTINED]
    assert [s for (s, _), to in TABLE.items() if to is DeletionState.QUARANTINED] == [DeletionState.APPROVED]
    assert [s for (s, _), to in TABLE.items() if to is DeletionState.APPROVED] == [DeletionState.REQUESTED]


def test_a_request_is_bound_to_the_proof_and_expires_after_72_hours():
    deletion = open_deletion(KEY, (PROJECT,), requester=ANNA, reason="old", now=NOW)

    assert deletion.state is DeletionState.REQUESTED
    assert (deletion.digest, deletion.expires_at) == ("d1", NOW + 3 * DAY)
    assert deletion.due == NOW


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        (replace(KEY, reasons=(SNAPSHOT,), safe_since=None), "snapshots"),
        (replace(KEY, reasons=(SNAPSHOT,)), "snapshots"),
        (replace(KEY, safe_since=None), "confirmation"),
        (replace(KEY, state=KeyState.CURRENT), "current"),
        (replace(KEY, state=KeyState.DEPLOYING), "current"),
        (replace(KEY, state=KeyState.DELETED), "deleted"),
        (replace(KEY, created_by_us=False), "not_ours"),
    ],
)
def test_a_key_that_is_needed_or_not_ours_is_refused_with_the_reason(key, kind):
    with pytest.raises(Refusal) as no:
        open_deletion(key, (PROJECT,), requester=ANNA, reason="", now=NOW)

    assert no.value.no is No.CONFLICT
    assert [r.kind for r in no.value.reasons] == [kind]


def test_a_second_request_names_the_open_deletion():
    with pytest.raises(Refusal) as no:
        open_deletion(replace(KEY, deletion_id="abc"), (PROJECT,), requester=ANNA, reason="", now=NOW)

    assert no.value.details == {"deletion_id": "abc"}


def test_a_foreign_key_goes_only_if_every_project_allows_it():
    foreign = replace(KEY, created_by_us=False, projects=("p1", "p2"))
    allowing = replace(PROJECT, policy=Policy(delete_foreign_keys=True))
    other = replace(allowing, project_id="p2")

    assert open_deletion(foreign, (allowing, other), requester=ANNA, reason="", now=NOW)
    for projects in [(allowing,), (allowing, replace(other, policy=Policy())), ()]:
        with pytest.raises(Refusal):
            open_deletion(foreign, projects, requester=ANNA, reason="", now=NOW)


def test_the_longest_quarantine_counts_and_it_is_never_under_a_day():
    short, long = (replace(PROJECT, policy=Policy(quarantine_days=n)) for n in (0, 14))

    assert quarantine_days([short, long]) == 14
    assert quarantine_days([short]) == 1
    assert quarantine_days([]) == 7


def test_another_person_approves_and_the_next_look_is_at_once():
    deletion = requested()

    approved = approve(deletion, key_of(deletion), digest="d1", approver=BERT, now=NOW + DAY)

    assert (approved.state, approved.approved_by, approved.due) == (DeletionState.APPROVED, BERT, NOW + DAY)


ROLE = "arn:aws:sts::111122223333:assumed-role/Ops/"
SSO = "arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_Ops_1/"


@pytest.mark.parametrize(
    ("requester", "approver"),
    [
        (ANNA, ANNA),
        (ANNA, ""),
        (ROLE + "one", ROLE + "two"),
        (ROLE + "one", "arn:aws:iam::111122223333:role/Ops"),
        (SSO + "anna", SSO + "Anna"),
    ],
)
def test_the_requester_cannot_approve_under_any_session_name(requester, approver):
    deletion = requested(requested_by=requester)

    with pytest.raises(Refusal) as no:
        approve(deletion, key_of(deletion), digest="d1", approver=approver, now=NOW)

    assert no.value.no is No.FORBIDDEN


FEDERATED = "arn:aws:sts::111122223333:federated-user/"


@pytest.mark.parametrize(
    ("requester", "approver"),
    [(ANNA, FEDERATED + "bert"), (FEDERATED + "anna", BERT), (FEDERATED + "a", FEDERATED + "b")],
)
def test_a_name_that_its_bearer_chose_is_neither_of_the_two_people(requester, approver):
    deletion = requested(requested_by=requester)

    with pytest.raises(Refusal) as no:
        approve(deletion, key_of(deletion), digest="d1", approver=approver, now=NOW)

    assert no.value.no is No.FORBIDDEN
    assert "federated user" in no.value.text


def test_a_federated_user_requests_no_deletion():
    with pytest.raises(Refusal) as no:
        open_deletion(KEY, (PROJECT,), requester=FEDERATED + "anna", reason="old", now=NOW)

    assert no.value.no is No.FORBIDDEN
    assert "call as an IAM user" in no.value.text


@pytest.mark.parametrize(
    ("of_deletion", "of_key", "digest", "after"),
    [
        ({}, {}, "d2", 0 * DAY),
        ({}, {}, "", 0 * DAY),
        ({}, {}, "d1", 3 * DAY),
        ({"state": DeletionState.APPROVED}, {}, "d1", 0 * DAY),
        ({"state": DeletionState.QUARANTINED}, {}, "d1", 0 * DAY),
        ({"state": DeletionState.CALLED_OFF}, {}, "d1", 0 * DAY),
        ({}, {"proof_digest": "d2"}, "d1", 0 * DAY),
        ({}, {"proof_digest": None}, "d1", 0 * DAY),
        ({}, {"safe_since": None}, "d1", 0 * DAY),
        ({}, {"reasons": (SNAPSHOT,)}, "d1", 0 * DAY),
        ({}, {"state": KeyState.CURRENT}, "d1", 0 * DAY),
        ({"deletion_id": "other"}, {"deletion_id": "mine"}, "d1", 0 * DAY),
    ],
)
def test_an_approval_that_is_stale_late_or_repeated_is_refused(of_deletion, of_key, digest, after):
    deletion = requested(**of_deletion)
    key = replace(key_of(deletion), **of_key)

    with pytest.raises(Refusal) as no:
        approve(deletion, key, digest=digest, approver=BERT, now=NOW + after)

    assert no.value.no is No.CONFLICT


def test_an_approval_for_a_key_without_a_record_is_refused():
    with pytest.raises(Refusal):
        approve(requested(), None, digest="d1", approver=BERT, now=NOW)


def test_before_kms_was_touched_a_deletion_is_called_off_at_once():
    for deletion in (requested(), requested(state=DeletionState.APPROVED)):
        assert call_off(deletion, who=BERT, now=NOW).state is DeletionState.CALLED_OFF


def test_once_kms_may_have_been_touched_calling_off_waits_for_the_next_look():
    crashed = requested(state=DeletionState.APPROVED, quarantined_at=NOW)

    wished = [call_off(deletion, who=BERT, now=NOW) for deletion in (crashed, quarantined(), scheduled())]

    assert kms_was_touched(crashed)
    assert {(d.called_off_by, d.due, d.state.terminal) for d in wished} == {(BERT, NOW, False)}
    assert {decide(d, look(d)).step for d in wished} == {Step.CALL_OFF}


def test_a_deletion_that_is_over_cannot_be_called_off():
    with pytest.raises(Refusal):
        call_off(requested(state=DeletionState.DELETED), who=BERT, now=NOW)


def test_a_key_given_back_is_swept_again_but_a_key_in_use_stays_in_use():
    back = give_back(replace(KEY, state=KeyState.QUARANTINED, deletion_id="x"), NOW, (SNAPSHOT,))
    used = give_back(replace(KEY, state=KeyState.CURRENT, deletion_id="x"), NOW)

    assert (back.state, back.due, back.safe_since, back.reasons) == (KeyState.RETIRING, NOW, None, (SNAPSHOT,))
    assert (used.state, used.due, used.deletion_id) == (KeyState.CURRENT, None, None)


def test_a_request_waits_until_it_expires():
    deletion = requested()

    assert decide(deletion, look(deletion, NOW + 3 * DAY - timedelta(seconds=1))).step is Step.WAIT
    assert decide(deletion, look(deletion, NOW + 3 * DAY)).step is Step.EXPIRE


@pytest.mark.parametrize("make", [lambda: requested(state=DeletionState.APPROVED), quarantined, scheduled])
def test_a_need_brings_the_key_back_in_every_state(make):
    deletion = make()

    decision = decide(deletion, look(deletion, reasons=(UNREAD, SNAPSHOT)))

    assert (decision.step, decision.reasons) == (Step.RESCUE, (SNAPSHOT,))


@pytest.mark.parametrize("make", [lambda: requested(state=DeletionState.APPROVED), quarantined, scheduled])
def test_a_key_that_is_current_again_is_brought_back_even_if_no_sweep_says_so(make):
    deletion = make()

    assert decide(deletion, look(deletion, key=key_of(deletion, state=KeyState.CURRENT))).step is Step.RESCUE


@pytest.mark.parametrize("make", [lambda: requested(state=DeletionState.APPROVED), quarantined, scheduled])
def test_what_cannot_be_read_makes_a_deletion_wait_an_hour(make):
    deletion = make()

    decision = decide(deletion, look(deletion, reasons=(UNREAD,)))

    assert (decision.step, decision.look_at) == (Step.WAIT, NOW + timedelta(hours=1))


def test_near_the_deletion_date_what_cannot_be_read_brings_the_key_back():
    deletion = scheduled()

    early, late = (decide(deletion, look(deletion, NOW + n * DAY, reasons=(UNREAD,))) for n in (26, 28))

    assert (early.step, late.step) == (Step.WAIT, Step.RESCUE)


def test_a_key_whose_record_does_not_know_the_deletion_is_never_disabled():
    deletion = requested(state=DeletionState.APPROVED)

    assert decide(deletion, look(deletion, key=KEY)).step is Step.WAIT


def test_a_clean_look_disables_then_waits_for_the_quarantine_then_schedules():
    approved, waiting = requested(state=DeletionState.APPROVED), quarantined(quarantine_days=2)

    steps = [
        decide(approved, look(approved)).step,
        decide(waiting, look(waiting, NOW + DAY)).step,
        decide(waiting, look(waiting, NOW + 2 * DAY)).step,
    ]

    assert steps == [Step.DISABLE, Step.WAIT, Step.SCHEDULE]


def test_a_quarantine_lasts_a_day_at_least_whatever_the_record_says():
    deletion = quarantined(quarantine_days=0)

    assert decide(deletion, look(deletion, NOW + timedelta(hours=23))).step is Step.WAIT


@pytest.mark.parametrize("deletion", [quarantined(), quarantined(quarantine_days=1), scheduled()])
@pytest.mark.parametrize("hours", range(0, 31 * 24, 5))
def test_the_next_look_is_always_ahead_and_within_a_day(deletion, hours):
    now = NOW + timedelta(hours=hours)

    assert now < next_look(deletion, now) <= now + DAY


@pytest.mark.parametrize(
    ("deletion", "facts"),
    [
        (quarantined(), {"status": KeyStatus.ENABLED}),
        (quarantined(), {"status": KeyStatus.PENDING_DELETION}),
        (quarantined(), {"status": KeyStatus.PENDING_REPLICA_DELETION}),
        (quarantined(scheduled_at=NOW), {"status": KeyStatus.PENDING_DELETION, "deletion_date": NOW + 29 * DAY}),
        (scheduled(), {"status": KeyStatus.ENABLED}),
        (scheduled(), {"status": KeyStatus.DISABLED}),
        (scheduled(), {"status": KeyStatus.PENDING_DELETION, "deletion_date": NOW + 7 * DAY}),
    ],
)
def test_a_hand_in_kms_that_objects_or_hurries_ends_the_deletion(deletion, facts):
    assert decide(deletion, look(deletion, **facts)).step is Step.RESCUE


@pytest.mark.parametrize(
    ("deletion", "facts"),
    [
        (quarantined(), {"status": KeyStatus.DISABLED}),
        (quarantined(scheduled_at=NOW), {"status": KeyStatus.PENDING_DELETION, "deletion_date": NOW + 30 * DAY}),
        (quarantined(scheduled_at=NOW), {"status": KeyStatus.PENDING_REPLICA_DELETION}),
        (scheduled(), {"status": KeyStatus.PENDING_DELETION, "deletion_date": NOW + 30 * DAY}),
    ],
)
def test_what_the_workflow_itself_did_is_no_objection(deletion, facts):
    assert decide(deletion, look(deletion, **facts)).step is Step.WAIT


def test_a_state_of_kms_that_is_not_known_counts_as_unread():
    deletion = scheduled()

    assert [r.kind for r in decide(deletion, look(deletion, status=KeyStatus.UNKNOWN)).reasons] == ["unread"]


def test_a_key_that_kms_does_not_know_any_more_is_deleted():
    open_ones = [requested(), requested(state=DeletionState.APPROVED), quarantined(), scheduled()]

    for deletion in (*open_ones, *(replace(one, called_off_by=BERT) for one in open_ones)):
        assert decide(deletion, look(deletion, status=KeyStatus.GONE)).step is Step.FINISH


def test_while_atlas_finds_a_key_invalid_nothing_is_disabled_and_a_disabled_key_comes_back():
    evidence = Evidence(
        key=KEY,
        gathered_at=NOW,
        atlas_date=None,
        projects=(
            ProjectEvidence(project_id="p0", settings=Settings(enabled=True, valid=True)),
            ProjectEvidence(project_id="p1", settings=Settings(enabled=True, valid=False)),
        ),
    )
    reasons = tuple(current_key_in_trouble(evidence))
    approved, disabled = requested(state=DeletionState.APPROVED), quarantined()

    steps = [decide(d, look(d, reasons=reasons)).step for d in (approved, disabled)]

    assert steps == [Step.WAIT, Step.RESCUE]


UNUSED = replace(KEY, state=KeyState.UNUSED)


def compensation(**changes) -> Deletion:
    return replace(open_compensation(UNUSED, NOW), **changes)


def test_a_key_of_ours_that_never_served_is_taken_back_without_anybodys_approval():
    deletion = compensation()

    assert (deletion.state, deletion.compensation, deletion.due) == (DeletionState.APPROVED, True, NOW)
    assert (deletion.digest, deletion.requested_by, deletion.approved_by) == ("d1", COMPENSATION, None)
    assert (deletion.quarantine_days, deletion.arn) == (0, ARN)


@pytest.mark.parametrize(
    "changes",
    [
        *({"state": state} for state in KeyState if state is not KeyState.UNUSED),
        {"created_by_us": False},
        {"safe_since": None},
        {"reasons": (SNAPSHOT,)},
        {"reasons": (UNREAD,)},
        {"proof_digest": None},
        {"deletion_id": "abc"},
    ],
    ids=str,
)
def test_no_other_key_is_ever_taken_back_without_approval(changes):
    assert open_compensation(replace(UNUSED, **changes), NOW) is None


def test_taking_a_key_back_skips_the_quarantine_but_neither_the_disabling_nor_the_window_of_kms():
    approved = compensation()
    disabled = replace(approved, state=DeletionState.QUARANTINED, quarantined_at=NOW)
    pending = replace(disabled, state=DeletionState.SCHEDULED, scheduled_at=NOW, deletion_date=NOW + 30 * DAY)

    assert quarantine_ends(approved) is None
    assert quarantine_ends(disabled) == NOW
    assert [decide(d, look(d)).step for d in (approved, disabled, pending)] == [Step.DISABLE, Step.SCHEDULE, Step.WAIT]


@pytest.mark.parametrize("days", [0, 1, 7])
def test_a_deletion_that_people_asked_for_never_skips_its_quarantine(days):
    assert quarantine_ends(quarantined(quarantine_days=days)) == NOW + max(1, days) * DAY


@pytest.mark.parametrize(
    "changes",
    [{}, {"state": DeletionState.QUARANTINED, "quarantined_at": NOW}, {"state": DeletionState.SCHEDULED}],
)
def test_a_need_brings_back_a_key_that_is_being_taken_back_like_any_other(changes):
    deletion = compensation(**changes)

    assert decide(deletion, look(deletion, reasons=(SNAPSHOT,))).step is Step.RESCUE
    assert decide(deletion, look(deletion, key=key_of(deletion, state=KeyState.DEPLOYING))).step is Step.RESCUE


def test_a_key_that_people_called_back_is_not_taken_back_again_by_itself():
    called_off = call_off(compensation(), who=BERT, now=NOW)
    key = give_back(key_of(called_off, state=KeyState.QUARANTINED), NOW)

    assert called_off.state is DeletionState.CALLED_OFF
    assert open_compensation(key, NOW) is None
