"""The small verbs: track, announce, relay, request and cancel a rotation, steer, and show."""

from dataclasses import asdict, replace
from datetime import UTC, datetime

import pytest
from fake_atlas import PROJECT, a_key, some_settings
from simple_world import (
    ANNA,
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    START,
    a_request,
    a_rotation,
    a_world,
    in_state,
    old_key,
    raising,
)

from chalicelib.domain.observed import KeyStatus
from chalicelib.domain.records import (
    Change,
    Check,
    ClusterTally,
    Deletion,
    Key,
    Notice,
    Policy,
    Problem,
    Reason,
    Uncovered,
)
from chalicelib.domain.refusals import No, Refusal
from chalicelib.domain.vocabulary import DeletionState, KeyState, NoticeKind, RotationState, Strategy
from chalicelib.usecases import show
from chalicelib.usecases.announce import announce_written
from chalicelib.usecases.ports import Conflict, PermanentError, TemporaryError
from chalicelib.usecases.preview import preview_asked
from chalicelib.usecases.publish import CLAIM, send_notice
from chalicelib.usecases.relay import send_all_due
from chalicelib.usecases.request_rotation import cancel_rotation, preview_rotation, request_rotation
from chalicelib.usecases.steer import acknowledge, change_policy
from chalicelib.usecases.track import wake_what_is_due

OUT_OF_ORDER = TemporaryError("SNS is out of order", call="Publish", code="503")
NOTICE = Notice(notice_id="n1", kind=NoticeKind.DRIFT, subject="s", text="t", created_at=START)


@pytest.fixture
def world():
    return a_world()


def with_notice(world, **changes):
    world.tracker.commit(Change(records=(), notices=(replace(NOTICE, **changes),)))


def refused(call, *args, **named):
    with pytest.raises(Refusal) as caught:
        call(*args, **named)
    return caught.value


# track


def test_every_key_and_rotation_that_is_due_is_woken(world):
    world.change(world.tracker.key(old_key(world)), next_sweep_at=START)
    rotation = a_rotation(world)
    world.messages.rotation_wakes.clear()

    woken = wake_what_is_due(world.outside)

    assert woken == 2
    assert world.messages.sweep_wakes == [old_key(world)]
    assert world.messages.rotation_wakes == [(PROJECT, rotation.rotation_id, 0)]


def test_nothing_is_woken_before_its_time(world):
    world.change(world.tracker.key(old_key(world)), next_sweep_at=START + SECOND)

    assert wake_what_is_due(world.outside) == 0


def test_a_key_whose_name_cannot_be_read_holds_up_no_other(world):
    strange = replace(a_key(7), key_id="strange")
    for arn in (strange, a_key(8)):
        world.put(Key(arn=arn, state=KeyState.UNUSED, projects=(), first_seen_at=START, next_sweep_at=START))

    wake_what_is_due(world.outside)

    assert world.messages.sweep_wakes == [a_key(8)]


# announce and relay


def test_a_notice_is_sent_as_soon_as_it_is_written(world):
    with_notice(world)

    announce_written(world.outside, "n1")

    assert [notice.notice_id for notice in world.messages.published] == ["n1"]
    assert world.tracker.notice("n1").sent_at == world.now


def test_a_notice_that_reached_one_place_goes_on_to_the_others_alone(world):
    with_notice(world, escalate=True)
    world.messages.fail("publish escalations", OUT_OF_ORDER)

    first = send_notice(world.outside, "n1")
    world.wait(HOUR)
    second = send_notice(world.outside, "n1")

    assert (first, second) == (False, True)
    assert world.messages.sent == [("n1", "bus"), ("n1", "alerts"), ("n1", "escalations")]


def test_a_notice_that_cannot_even_be_read_blocks_itself_alone(world):
    for name in ("n0", "n1", "n2"):
        with_notice(world, notice_id=name)
    read = world.tracker.notice

    def damaged(notice_id):
        if notice_id == "n0":
            raise PermanentError("the tracker's item cannot be read", call="decode", code="damaged")
        return read(notice_id)

    world.tracker.notice = damaged

    with pytest.raises(ExceptionGroup):
        send_all_due(world.outside)

    assert [notice_id for notice_id, channel in world.messages.sent if channel == "alerts"] == ["n1", "n2"]


def test_a_notice_is_sent_once_however_often_it_is_announced(world):
    with_notice(world)

    sent = [send_notice(world.outside, "n1") for _ in range(3)]

    assert (sent, len(world.messages.published)) == ([True, False, False], 1)


def test_a_notice_that_nobody_knows_is_passed_over(world):
    assert not send_notice(world.outside, "unknown")


def test_a_notice_claimed_by_somebody_else_is_left_until_the_claim_runs_out(world):
    with_notice(world, claimed_until=START + CLAIM)

    early = send_all_due(world.outside)
    world.wait(CLAIM)
    late = send_all_due(world.outside)

    assert (early, late) == (0, 1)


def test_a_claim_is_respected_even_when_the_stream_tells_of_the_notice(world):
    with_notice(world, claimed_until=START + CLAIM)

    assert not send_notice(world.outside, "n1")


def test_the_slower_of_two_senders_sends_nothing(world):
    with_notice(world)

    def too_late(notice):
        raise Conflict("somebody else wrote first", call="update_notice")

    world.tracker.update_notice = too_late

    assert not send_notice(world.outside, "n1")
    assert world.messages.published == []


def test_a_notice_that_could_not_be_sent_is_tried_again_later_and_holds_up_no_other(world):
    with_notice(world)
    with_notice(world, notice_id="n2")
    world.messages.fail("publish", OUT_OF_ORDER)

    sent = send_all_due(world.outside)
    waiting = world.tracker.notice("n1")
    world.wait(20 * SECOND)
    sent_later = send_all_due(world.outside)

    assert (sent, sent_later) == (1, 1)
    assert (waiting.sent_at, waiting.attempts, waiting.due) == (None, 1, START + 20 * SECOND)
    assert [notice.notice_id for notice in world.messages.published] == ["n2", "n1"]


def test_a_crash_between_sending_and_marking_sends_the_same_id_again(world):
    with_notice(world)
    mark = world.tracker.update_notice

    def crash_at_the_mark(notice):
        if notice.sent_at is not None:
            raise KeyboardInterrupt
        return mark(notice)

    world.tracker.update_notice = crash_at_the_mark
    with pytest.raises(KeyboardInterrupt):
        send_notice(world.outside, "n1")
    world.tracker.update_notice = mark
    world.wait(CLAIM)

    send_all_due(world.outside)

    assert [notice.notice_id for notice in world.messages.published] == ["n1", "n1"]


# requesting, previewing and cancelling a rotation


def test_a_request_opens_a_rotation_and_wakes_it(world):
    rotation = request_rotation(world.outside, PROJECT, a_request(reason="yearly"))

    assert world.tracker.rotation(PROJECT, rotation.rotation_id) == rotation
    assert (rotation.state, rotation.reason, rotation.requested_by) == (RotationState.REQUESTED, "yearly", ANNA)
    assert world.messages.rotation_wakes == [(PROJECT, rotation.rotation_id, 0)]


def test_the_same_request_again_gives_the_same_rotation(world):
    first = request_rotation(world.outside, PROJECT, a_request())

    again = request_rotation(world.outside, PROJECT, a_request())

    assert again == first
    assert len(world.messages.rotation_wakes) == 1


def test_the_same_idempotency_key_with_another_request_is_refused(world):
    first = request_rotation(world.outside, PROJECT, a_request())

    no = refused(request_rotation, world.outside, PROJECT, a_request(reason="another"))

    assert (no.no, no.details) == (No.CONTRADICTION, {"rotation_id": first.rotation_id})


def test_a_second_rotation_of_a_project_is_refused(world):
    request_rotation(world.outside, PROJECT, a_request())

    no = refused(request_rotation, world.outside, PROJECT, a_request(idempotency_key="two"))

    assert no.no == No.CONFLICT


@pytest.mark.parametrize(
    "call",
    [
        lambda world: request_rotation(world.outside, "unknown", a_request()),
        lambda world: preview_rotation(world.outside, "unknown", a_request()),
        lambda world: cancel_rotation(world.outside, "unknown", "one", who=ANNA),
        lambda world: cancel_rotation(world.outside, PROJECT, "unknown", who=ANNA),
        lambda world: change_policy(world.outside, "unknown", {}, who=ANNA),
        lambda world: acknowledge(world.outside, "unknown", until=START + DAY, comment="", who=ANNA),
        lambda world: show.show_project(world.outside, "unknown"),
        lambda world: show.show_rotations(world.outside, "unknown", None, 10),
        lambda world: show.show_rotation(world.outside, PROJECT, "unknown"),
        lambda world: show.show_key(world.outside, "unknown"),
        lambda world: show.show_deletion(world.outside, "unknown"),
    ],
)
def test_what_nobody_knows_is_refused_as_unknown(world, call):
    assert refused(call, world).no == No.UNKNOWN


def test_a_preview_shows_every_check_and_changes_nothing(world):
    before = len(world.tracker.commits)

    checks = preview_rotation(world.outside, PROJECT, a_request(key="alias/mine", strategy=Strategy.KMS_AUTOMATIC))

    assert [(check.name, check.passed) for check in checks] == [
        ("covered", True),
        ("nothing_open", True),
        ("strategy", False),
        ("wanted_key", False),
    ]
    assert len(world.tracker.commits) == before


def seeing(world):
    """The world's outside with the eyes of somebody who may look at Atlas and KMS."""

    def preview(project_id, request):
        answer = preview_asked(world.outside, {"project_id": project_id, "request": asdict(request)})
        return tuple(Check(**check) for check in answer["checks"])

    return replace(world.outside, preview=preview)


def test_a_preview_looks_at_atlas_and_kms_too_and_changes_nothing(world):
    before = len(world.tracker.commits)

    checks = preview_rotation(seeing(world), PROJECT, a_request())

    assert len(checks) == 4 + 18
    assert all(check.passed for check in checks)
    assert (len(world.tracker.commits), world.swaps(), world.created()) == (before, 0, 0)


@pytest.mark.parametrize("strategy", [Strategy.KMS_ON_DEMAND, Strategy.KMS_AUTOMATIC])
def test_a_preview_of_a_renewal_asks_whether_kms_can_do_it(world, strategy):
    world.keys.change(old_key(world), custom_store=True)

    checks = preview_rotation(seeing(world), PROJECT, a_request(strategy=strategy))

    assert [check.name for check in checks if check.passed is False] == ["kms_can_renew"]


def test_a_request_that_cannot_succeed_is_refused_with_every_reason_and_opens_nothing(world):
    world.in_atlas.settings = some_settings(old_key(world), valid=False)
    world.keys.change(old_key(world), status=KeyStatus.DISABLED)

    no = refused(request_rotation, seeing(world), PROJECT, a_request())

    assert (no.no, [reason.kind for reason in no.reasons]) == (No.CONFLICT, ["settings_valid", "current_key_enabled"])
    assert (world.project.open_rotation, world.told(), world.messages.rotation_wakes) == (None, [], [])


def test_a_request_is_taken_when_nobody_can_look_ahead(world):
    blind = replace(world.outside, preview=raising(OUT_OF_ORDER))

    rotation = request_rotation(blind, PROJECT, a_request())

    assert world.project.open_rotation == rotation.rotation_id


def test_a_preview_that_cannot_look_ahead_says_so(world):
    blind = replace(world.outside, preview=raising(OUT_OF_ORDER))

    checks = preview_rotation(blind, PROJECT, a_request())

    assert [check.name for check in checks if check.passed is None] == ["preview"]
    assert OUT_OF_ORDER.message in checks[-1].text


def test_a_rollback_is_written_down_with_its_asker_and_looked_at_at_once(world):
    rotation = in_state(world, "deployed")
    world.messages.rotation_wakes.clear()

    asked = rotation.roll_back(who=ANNA)

    assert asked == rotation.now
    assert (asked.state, asked.rollback_requested_by, asked.due) == (RotationState.ROLLING_BACK, ANNA, world.now)
    assert world.project.open_rotation == rotation.rotation_id
    assert world.messages.rotation_wakes == [(PROJECT, rotation.rotation_id, 0)]
    assert world.tracker.audit[-1].what == "rollback requested"


def test_a_cancellation_is_written_down_and_looked_at_at_once(world):
    rotation = a_rotation(world)

    asked = cancel_rotation(world.outside, PROJECT, rotation.rotation_id, who=ANNA)

    assert asked == rotation.now
    assert (asked.cancel_requested_by, asked.due) == (ANNA, world.now)
    assert world.tracker.audit[-1].what == "rotation cancel requested"
    assert len(world.messages.rotation_wakes) == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"state": RotationState.DEPLOYING},
        {"state": RotationState.SWAPPING, "patch_sent_at": START},
        {"state": RotationState.DEPLOYED},
    ],
)
def test_a_rotation_whose_settings_are_changed_cannot_be_cancelled(world, changes):
    rotation = a_rotation(world)
    world.change(rotation.now, **changes)

    no = refused(cancel_rotation, world.outside, PROJECT, rotation.rotation_id, who=ANNA)

    assert (no.no, rotation.now.cancel_requested_by) == (No.CONFLICT, None)


# steering


def test_a_policy_is_changed_in_the_named_fields_only_and_the_ladder_set_anew(world):
    steered = change_policy(world.outside, PROJECT, {"rotation_period_days": 30, "quarantine_days": 9}, who=ANNA)

    entry = world.tracker.audit[-1]
    assert steered == world.project
    assert (steered.policy.rotation_period_days, steered.policy.quarantine_days) == (30, 9)
    assert steered.policy.ladder == Policy().ladder
    assert steered.due == START + 16 * DAY
    assert (entry.who, entry.after) == (
        ANNA,
        "rotation period: from as the alert of Atlas says, else 90 days to 30 days; quarantine: from 7 days to 9 days",
    )


def test_an_acknowledged_project_is_quiet_until_its_date(world):
    quiet = acknowledge(world.outside, PROJECT, until=START + 80 * DAY, comment="migration", who=ANNA)

    assert quiet == world.project
    assert (quiet.quiet_until, quiet.acknowledged_by) == (START + 80 * DAY, ANNA)
    assert world.tracker.audit[-1].why == "migration"


@pytest.mark.parametrize("until", [START, START - DAY])
def test_an_acknowledgement_must_reach_into_the_future(world, until):
    no = refused(acknowledge, world.outside, PROJECT, until=until, comment="", who=ANNA)

    assert (no.no, world.project.quiet_until) == (No.INVALID, None)


def test_silence_reaches_ninety_days_ahead_at_the_most(world):
    acknowledge(world.outside, PROJECT, until=START + 90 * DAY, comment="", who=ANNA)

    no = refused(acknowledge, world.outside, PROJECT, until=START + 90 * DAY + SECOND, comment="", who=ANNA)

    assert (no.no, world.project.quiet_until) == (No.INVALID, START + 90 * DAY)
    assert "`until` may lie 90 days ahead at the most" in no.text


# showing


def test_the_fleet_is_shown_page_by_page(world):
    world.put(replace(world.project, project_id="f" * 24, version=0))

    first = show.show_projects(world.outside, None, 1)
    second = show.show_projects(world.outside, first["next"], 1)

    assert [item["project_id"] for item in first["items"] + second["items"]] == [PROJECT, "f" * 24]
    assert second["next"] is None


def test_a_cursor_of_somebody_else_is_refused(world):
    with pytest.raises(PermanentError) as caught:
        show.show_keys(world.outside, "nonsense", 10)

    assert caught.value.code == "bad_cursor"


def test_a_project_is_shown_with_its_due_date_policy_and_what_is_not_covered(world):
    world.change(world.project, not_covered=(Uncovered(name="plain", reason="off"),))

    shown = show.show_project(world.outside, PROJECT)

    assert shown["key"] == str(old_key(world))
    assert (shown["key_since"], shown["due_at"]) == ("2027-03-01T12:00:00Z", "2027-05-30T12:00:00Z")
    assert shown["policy"]["rotation_period_days"] == 90
    assert shown["not_covered"] == [{"name": "plain", "reason": "off"}]
    assert (shown["banner"], shown["open_rotation"]) == (None, None)


def test_a_project_without_a_key_has_no_due_date(world):
    world.change(world.project, key=None, key_since=None)

    shown = show.show_project(world.outside, PROJECT)

    assert (shown["key"], shown["key_since"], shown["due_at"]) == (None, None, None)


def test_while_a_swap_is_deployed_the_project_and_the_rotation_bear_the_warning(world):
    rotation = a_rotation(world)
    rotation.go_until("deploying")

    shown = show.show_project(world.outside, PROJECT)
    shown_rotation = show.show_rotation(world.outside, PROJECT, rotation.rotation_id)

    assert f"do not disable or delete {rotation.now.old_key}" in shown["banner"]
    assert shown_rotation["banner"] == shown["banner"]


def test_a_project_whose_open_rotation_is_missing_is_shown_without_a_warning(world):
    world.change(world.project, open_rotation="missing")

    assert show.show_project(world.outside, PROJECT)["banner"] is None


def test_rotations_are_listed_with_their_checks_and_errors(world):
    rotation = a_rotation(world)
    rotation.go()
    world.change(rotation.now, error=Problem(code="refused", detail="no"), new_key=a_key(2))

    (shown,) = show.show_rotations(world.outside, PROJECT, None, 10)["items"]

    assert shown["error"] == {"code": "refused", "detail": "no"}
    assert shown["new_key"] == str(a_key(2))
    assert [check["name"] for check in shown["checks"]] == [check.name for check in rotation.now.checks]
    assert len(shown["checks"]) == 18


def test_a_rotation_that_has_just_been_asked_for_has_no_new_key_and_no_error(world):
    rotation = a_rotation(world)

    shown = show.show_rotation(world.outside, PROJECT, rotation.rotation_id)

    assert (shown["new_key"], shown["error"], shown["ended_at"]) == (None, None, None)


def shown_key(world, **changes):
    world.change(world.tracker.key(old_key(world)), **changes)
    return show.show_key(world.outside, old_key(world).key_id)


@pytest.mark.parametrize(
    ("state", "kind"),
    [(KeyState.CURRENT, "current"), (KeyState.DEPLOYING, "deploying"), (KeyState.UNUSED, "unswept")],
)
def test_a_key_that_no_sweep_has_judged_says_why_it_is_kept(world, state, kind):
    shown = shown_key(world, state=state)

    assert [reason["kind"] for reason in shown["reasons"]] == [kind]
    assert shown["safe_to_delete"] is False


def test_a_current_key_of_no_project_is_still_said_to_be_kept():
    world = a_world()
    arn = a_key(5)
    world.put(Key(arn=arn, state=KeyState.CURRENT, projects=(), first_seen_at=START))

    shown = show.show_key(world.outside, arn.key_id)

    assert shown["reasons"][0]["project_id"] is None


def test_a_key_shows_who_needs_it_and_when_it_comes_free(world):
    until = START + 5 * DAY
    reason = Reason(kind="snapshots", text="3 snapshots", project_id=PROJECT, cluster="main", until=until)
    tally = ClusterTally(project_id=PROJECT, cluster="main", cluster_id="1", snapshots=3, last_expiry=until)

    shown = shown_key(world, state=KeyState.RETIRING, reasons=(reason,), clusters=(tally,), swept_at=START)

    assert shown["reasons"][0]["until"] == "2027-03-06T12:00:00Z"
    assert shown["clusters"][0]["snapshots"] == 3
    assert (shown["free_at"], shown["dollars_per_month"]) == ("2027-03-07T12:00:00Z", 1.0)
    assert (shown["safe_to_delete"], shown["proof"]) == (False, None)


def test_a_safe_key_shows_its_proof(world):
    shown = shown_key(
        world, state=KeyState.RETIRING, swept_at=START, safe_since=START, proof_digest="d" * 64, proof_at=START
    )

    assert (shown["safe_to_delete"], shown["reasons"]) == (True, [])
    assert shown["proof"] == {"digest": "d" * 64, "at": "2027-03-01T12:00:00Z"}


@pytest.mark.parametrize("state", [KeyState.PENDING_DELETION, KeyState.DELETED])
def test_a_key_that_is_being_deleted_costs_nothing(world, state):
    assert shown_key(world, state=state)["dollars_per_month"] == 0.0


def test_a_key_id_that_lives_in_two_regions_must_be_said_where(world):
    twin = replace(old_key(world), region="us-east-1")
    world.put(Key(arn=twin, state=KeyState.UNUSED, projects=(), first_seen_at=START))

    no = refused(show.show_key, world.outside, twin.key_id)

    assert no.no == No.INVALID
    assert "region=us-east-1" in no.text
    assert "region=eu-west-1" in no.text
    assert show.show_key(world.outside, twin.key_id, region="us-east-1")["arn"] == str(twin)


def test_a_key_is_found_by_its_id_and_by_its_arn_however_they_are_spelt(world):
    arn = old_key(world)

    for name in (arn.key_id, arn.key_id.upper(), str(arn), f" {str(arn).upper()} "):
        assert show.show_key(world.outside, name)["arn"] == str(arn)


def test_an_arn_names_the_key_of_its_own_region_and_no_twin(world):
    twin, unknown = replace(old_key(world), region="us-east-1"), replace(old_key(world), region="us-west-2")
    world.put(Key(arn=twin, state=KeyState.UNUSED, projects=(), first_seen_at=START))

    assert show.show_key(world.outside, str(twin))["arn"] == str(twin)
    assert refused(show.show_key, world.outside, str(unknown)).no == No.UNKNOWN


def test_a_key_is_not_found_in_another_account(world):
    no = refused(show.show_key, world.outside, old_key(world).key_id, account="999999999999")

    assert no.no == No.UNKNOWN


def test_all_keys_are_listed(world):
    shown = show.show_keys(world.outside, None, 10)

    assert [item["arn"] for item in shown["items"]] == [str(old_key(world))]


def test_times_are_shown_in_utc_to_the_second(world):
    moment = datetime(2027, 3, 1, 12, 0, 7, 999, tzinfo=UTC)

    assert shown_key(world, replaced_at=moment)["replaced_at"] == "2027-03-01T12:00:07Z"


def test_a_deletion_is_shown_with_who_asked_who_approved_and_what_it_waits_for(world):
    world.put(
        Deletion(
            deletion_id="d1",
            arn=old_key(world),
            state=DeletionState.QUARANTINED,
            digest="d" * 64,
            requested_by=ANNA,
            requested_at=START,
            expires_at=START + DAY,
            approved_by="bert",
            approved_at=START + MINUTE,
            waiting_for=("the quarantine to end",),
        )
    )

    shown = show.show_deletion(world.outside, "d1")

    assert (shown["requested_by"], shown["approved_by"], shown["state"]) == (ANNA, "bert", "quarantined")
    assert shown["waiting_for"] == ["the quarantine to end"]
    assert (shown["approved_at"], shown["deletion_date"]) == ("2027-03-01T12:01:00Z", None)
