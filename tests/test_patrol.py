"""A patrol: what it finds in KMS on keys that something needs, and what it does where no event told."""

from dataclasses import replace

import pytest
from fake_atlas import PROJECT
from simple_world import DAY, REGION, START, a_world, old_key

from chalicelib.domain.observed import KeyStatus
from chalicelib.domain.records import Deletion, Policy, Reason
from chalicelib.domain.vocabulary import DeletionState, GuardMode, KeyState, NoticeKind
from chalicelib.usecases.patrol import patrol_keys
from chalicelib.usecases.ports import NotFound, PermanentError, TemporaryError

NEEDED = (Reason(kind="snapshots", text="3 snapshots of main need it"),)
SLOW = TemporaryError("slow down", call="kms:DescribeKey", code="ThrottlingException")


@pytest.fixture
def world():
    """One project with its current key."""
    return a_world()


def an_old_key(world, **changes):
    """One more key of the project, replaced long ago."""
    arn = world.keys.add()
    facts = {"arn": arn, "state": KeyState.RETIRING, "reasons": NEEDED, "version": 0, **changes}
    world.put(replace(world.tracker.key(old_key(world)), **facts))
    return arn


def status(world, arn):
    return world.keys.describe(arn).status


def test_a_healthy_fleet_is_looked_at_and_left_alone(world):
    an_old_key(world)
    written = len(world.tracker.commits)

    looked_at = patrol_keys(world.outside).keys

    assert looked_at == 2
    assert world.keys.calls == ["describe", "describe"]
    assert len(world.tracker.commits) == written


@pytest.mark.parametrize(
    "shown",
    [
        {"status": KeyStatus.DISABLED},
        {"status": KeyStatus.PENDING_DELETION, "deletion_date": START + 7 * DAY},
    ],
    ids=str,
)
def test_a_needed_key_that_is_disabled_or_pending_deletion_works_again_and_people_are_told(world, shown):
    arn = an_old_key(world)
    world.keys.change(arn, **shown)

    patrol_keys(world.outside)

    (notice,) = world.tracker.notices
    assert status(world, arn) is KeyStatus.ENABLED
    assert (notice.kind, notice.escalate, notice.key_id) == (NoticeKind.KEY_RESCUED, True, arn.key_id)
    assert "no event told of it" in notice.text
    assert [entry.what for entry in world.tracker.audit] == ["call on a needed key undone"]


def test_the_current_key_and_one_that_no_sweep_has_found_free_are_needed_too(world):
    unswept = an_old_key(world, reasons=())
    for arn in (old_key(world), unswept):
        world.keys.change(arn, status=KeyStatus.DISABLED)

    patrol_keys(world.outside)

    assert [status(world, arn) for arn in (old_key(world), unswept)] == [KeyStatus.ENABLED, KeyStatus.ENABLED]


@pytest.mark.parametrize("changes", [{"safe_since": START, "reasons": ()}, {"state": KeyState.DELETED}], ids=str)
def test_a_key_that_is_free_or_gone_is_not_even_asked_about(world, changes):
    an_old_key(world, **changes)

    looked_at = patrol_keys(world.outside).keys

    assert (looked_at, world.keys.calls) == (1, ["describe"])


def test_a_needed_key_that_is_gone_is_told_for_nobody_brings_it_back(world):
    arn = an_old_key(world)
    world.keys.change(arn, status=KeyStatus.PENDING_DELETION, deletion_date=START)

    patrol_keys(world.outside)

    (notice,) = world.tracker.notices
    assert (notice.kind, notice.escalate) == (NoticeKind.DRIFT, True)
    assert "KeyDeleted" in notice.subject
    assert not {"enable", "cancel_deletion"} & set(world.keys.calls)


def test_where_the_policy_wants_to_be_told_only_it_is_told_once_a_week_and_nothing_is_undone(world):
    world.change(world.project, policy=Policy(guard=GuardMode.TELL))
    arn = an_old_key(world)
    world.keys.change(arn, status=KeyStatus.DISABLED)

    for _ in range(7):
        patrol_keys(world.outside)
        world.wait(DAY)
    first_week = world.told()
    patrol_keys(world.outside)

    assert first_week == [NoticeKind.DRIFT]
    assert world.told() == [NoticeKind.DRIFT, NoticeKind.DRIFT]
    assert status(world, arn) is KeyStatus.DISABLED


@pytest.mark.parametrize("state", [DeletionState.APPROVED, DeletionState.QUARANTINED])
def test_a_key_that_its_own_deletion_disabled_is_left_to_that(world, state):
    arn = an_old_key(world, deletion_id="d1")
    deletion = Deletion(
        deletion_id="d1",
        arn=arn,
        state=state,
        digest="x",
        requested_by="anna",
        requested_at=START,
        expires_at=START + 3 * DAY,
    )
    world.put(deletion)
    world.keys.change(arn, status=KeyStatus.DISABLED)

    patrol_keys(world.outside)

    assert (status(world, arn), world.told()) == (KeyStatus.DISABLED, [])


def test_a_window_that_nobody_approved_is_undone_even_while_a_deletion_is_open(world):
    arn = an_old_key(world, deletion_id="d1")
    deletion = Deletion(
        deletion_id="d1",
        arn=arn,
        state=DeletionState.APPROVED,
        digest="x",
        requested_by="anna",
        requested_at=START,
        expires_at=START + 3 * DAY,
    )
    world.put(deletion)
    world.keys.change(arn, status=KeyStatus.PENDING_DELETION, deletion_date=START + 7 * DAY)

    patrol_keys(world.outside)

    assert status(world, arn) is KeyStatus.ENABLED


@pytest.mark.parametrize("trouble", [SLOW, PermanentError("denied", call="kms:DescribeKey")])
def test_a_key_that_kms_will_not_show_delays_no_other_and_fails_aloud(world, trouble):
    second = an_old_key(world)
    world.keys.change(second, status=KeyStatus.DISABLED)
    world.keys.fail("describe", trouble)

    with pytest.raises(ExceptionGroup) as failed:
        patrol_keys(world.outside)

    assert failed.value.exceptions == (trouble,)
    assert status(world, second) is KeyStatus.ENABLED


@pytest.mark.parametrize("call", ["cancel_deletion", "enable"])
def test_a_key_that_cannot_be_brought_back_is_cried_for_once_and_tried_again_at_the_next_patrol(world, call):
    arn = an_old_key(world)
    world.keys.change(arn, status=KeyStatus.DISABLED)
    for _ in range(2):
        world.keys.fail(call, PermanentError("denied", call="kms"))
        with pytest.raises(ExceptionGroup):
            patrol_keys(world.outside)

    patrol_keys(world.outside)

    assert world.told() == [NoticeKind.KEY_NEEDED_AGAIN, NoticeKind.KEY_RESCUED]
    assert status(world, arn) is KeyStatus.ENABLED


def test_a_key_disabled_again_on_the_same_day_is_brought_back_again(world):
    arn = an_old_key(world)
    for _ in range(2):
        world.keys.change(arn, status=KeyStatus.DISABLED)
        patrol_keys(world.outside)

    assert status(world, arn) is KeyStatus.ENABLED


def test_a_fleet_of_several_pages_is_patrolled_to_its_end(world):
    arns = [an_old_key(world) for _ in range(120)]
    world.keys.change(arns[-1], status=KeyStatus.DISABLED)

    looked_at = patrol_keys(world.outside).keys

    assert looked_at == 121
    assert status(world, arns[-1]) is KeyStatus.ENABLED


def test_a_key_of_another_region_is_asked_about_there(world):
    abroad = world.add_place("us-east-1")
    arn = abroad.add()
    world.put(replace(world.tracker.key(old_key(world)), arn=arn, version=0))
    abroad.change(arn, status=KeyStatus.DISABLED)

    patrol_keys(world.outside)

    assert abroad.describe(arn).status is KeyStatus.ENABLED
    assert ("us-east-1", None) in world.asked_keys
    assert (REGION, None) in world.asked_keys


def test_a_key_that_lost_its_need_while_kms_was_asked_is_left_alone(world):
    arn = an_old_key(world)
    world.keys.change(arn, status=KeyStatus.DISABLED)
    describe = world.keys.describe

    def freed_meanwhile(asked):
        key = world.tracker.key(arn)
        world.put(replace(key, reasons=(), safe_since=START))
        return describe(asked)

    world.keys.describe = freed_meanwhile

    patrol_keys(world.outside)

    assert (describe(arn).status, world.told()) == (KeyStatus.DISABLED, [])


def test_a_project_of_the_key_is_named_in_what_is_told(world):
    arn = an_old_key(world)
    world.keys.change(arn, status=KeyStatus.DISABLED)

    patrol_keys(world.outside)

    assert f"payments ({PROJECT})" in world.told(NoticeKind.KEY_RESCUED)[0]


def test_kms_that_knows_nothing_of_a_key_while_undoing_is_told_of(world):
    arn = an_old_key(world)
    world.keys.change(arn, status=KeyStatus.DISABLED)
    world.keys.fail("enable", NotFound("no such key", call="kms:EnableKey"))

    with pytest.raises(ExceptionGroup):
        patrol_keys(world.outside)

    assert "could not be undone" in world.told(NoticeKind.KEY_NEEDED_AGAIN)[0]


# ---- what nobody undid ----


def a_key_going(world, days=7):
    """A needed key that somebody scheduled for deletion, in a project that only wants to be told."""
    world.change(world.project, policy=Policy(guard=GuardMode.TELL))
    arn = an_old_key(world)
    world.keys.change(arn, status=KeyStatus.PENDING_DELETION, deletion_date=START + days * DAY)
    return arn


def test_a_needed_key_that_kms_goes_on_to_delete_is_remembered_with_its_day_and_counted(world):
    arn = a_key_going(world)

    seen = patrol_keys(world.outside)

    harm = world.tracker.key(arn).harm
    assert (seen.going, harm.operation, harm.deletion_date) == (1, "ScheduleKeyDeletion", START + 7 * DAY)


def test_it_is_counted_at_every_patrol_and_written_once(world):
    a_key_going(world)
    patrol_keys(world.outside)
    written = len(world.tracker.commits)

    assert patrol_keys(world.outside).going == 1
    assert len(world.tracker.commits) == written


def test_once_it_is_well_again_nothing_is_counted_or_remembered(world):
    arn = a_key_going(world)
    patrol_keys(world.outside)
    world.keys.change(arn, status=KeyStatus.ENABLED, deletion_date=None)

    seen = patrol_keys(world.outside)

    assert (seen.going, world.tracker.key(arn).harm) == (0, None)


def test_a_needed_key_that_is_only_disabled_is_remembered_and_not_counted_as_going(world):
    world.change(world.project, policy=Policy(guard=GuardMode.TELL))
    arn = an_old_key(world)
    world.keys.change(arn, status=KeyStatus.DISABLED)

    seen = patrol_keys(world.outside)

    assert (seen.going, world.tracker.key(arn).harm.operation) == (0, "DisableKey")


def test_a_harmed_key_that_nothing_needs_any_more_is_looked_at_until_it_is_well(world):
    arn = a_key_going(world)
    patrol_keys(world.outside)
    world.change(world.tracker.key(arn), reasons=(), safe_since=START)

    assert patrol_keys(world.outside).going == 0
    assert world.tracker.key(arn).harm is not None
    world.keys.change(arn, status=KeyStatus.ENABLED, deletion_date=None)
    patrol_keys(world.outside)
    assert world.tracker.key(arn).harm is None


def test_what_cannot_be_undone_is_remembered_until_it_can(world):
    arn = an_old_key(world)
    world.keys.change(arn, status=KeyStatus.PENDING_DELETION, deletion_date=START + 7 * DAY)
    world.keys.fail("cancel_deletion", PermanentError("denied", call="kms"))
    with pytest.raises(ExceptionGroup):
        patrol_keys(world.outside)
    remembered = world.tracker.key(arn).harm

    patrol_keys(world.outside)

    assert remembered.deletion_date == START + 7 * DAY
    assert world.tracker.key(arn).harm is None


def test_a_key_written_by_others_at_the_same_moment_is_read_again(world):
    arn = a_key_going(world)
    commit, busy = world.tracker.commit, iter([True])

    def others_first(change):
        if any(record.arn == arn for record in change.records) and next(busy, False):
            world.change(world.tracker.key(arn), last_used_at=START)
        commit(change)

    world.tracker.commit = others_first

    patrol_keys(world.outside)

    key = world.tracker.key(arn)
    assert (key.last_used_at, key.harm.operation) == (START, "ScheduleKeyDeletion")
