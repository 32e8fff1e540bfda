"""No key is taken away without a fresh proof that another person approved, whatever happens between any two calls."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from figures import FULL_SIZE, tell
from prove.deleting import (
    BERT,
    FAULTS,
    NEEDS,
    READS,
    Leaving,
    a_free_key,
    approved,
    elsewhere,
    in_quarantine,
)
from simple_world import ACCOUNT, ANNA, DAY, HOUR, START, old_key

from chalicelib.domain.observed import KeyStatus
from chalicelib.domain.refusals import No, Refusal
from chalicelib.domain.vocabulary import DeletionState, KeyState, NoticeKind
from chalicelib.usecases.request_deletion import approve_deletion, call_off_deletion

STAGES = {"disabling": approved, "scheduling": in_quarantine}
ROLE = f"arn:aws:sts::{ACCOUNT}:assumed-role/operators"
SSO = f"arn:aws:sts::{ACCOUNT}:assumed-role/AWSReservedSSO"
IN_USE_AGAIN = {"state": KeyState.CURRENT}
EVERY = 1 if FULL_SIZE else 7


def nothing(_leaving):
    pass


def expires(leaving):
    leaving.world.wait(72 * HOUR)


def expires_and_is_looked_at(leaving):
    leaving.live(73 * HOUR)


def somebody_approves_first(leaving):
    leaving.approve(f"arn:aws:iam::{ACCOUNT}:user/carla")


def is_called_off(leaving):
    call_off_deletion(leaving.world.outside, leaving.deletion.deletion_id, who=ANNA)


def is_quarantined(leaving):
    somebody_approves_first(leaving)
    leaving.look()


def is_scheduled(leaving):
    is_quarantined(leaving)
    leaving.live(8 * DAY)


def is_rescued(leaving):
    leaving.snapshot_appears()
    leaving.look()


def changes(**facts):
    def change(leaving):
        leaving.world.change(leaving.record, **facts)

    return change


def loses_its_proof(leaving):
    kept = leaving.world.tracker._kept
    for place in [place for place in kept if place[0] == "Proof"]:
        del kept[place]


REFUSED = {
    "by the requester": (nothing, {"approver": ANNA}, No.FORBIDDEN),
    "by nobody": (nothing, {"approver": ""}, No.FORBIDDEN),
    "by another session of the requester's role": (
        nothing,
        {"requester": f"{ROLE}/anna", "approver": f"{ROLE}/bert"},
        No.FORBIDDEN,
    ),
    "by the requester under another permission set": (
        nothing,
        {"requester": f"{SSO}_Admin_0123456789abcdef/anna", "approver": f"{SSO}_Power_fedcba9876543210/Anna"},
        No.FORBIDDEN,
    ),
    "by the requester under a name of their choice": (
        nothing,
        {"approver": f"arn:aws:sts::{ACCOUNT}:federated-user/bert"},
        No.FORBIDDEN,
    ),
    "after 72 hours": (expires, {}, No.CONFLICT),
    "once it has expired": (expires_and_is_looked_at, {}, No.CONFLICT),
    "a second time": (somebody_approves_first, {}, No.CONFLICT),
    "with no digest": (nothing, {"digest": ""}, No.CONFLICT),
    "with the digest of another key's deletion": (nothing, {"digest": "another"}, No.CONFLICT),
    "under the name of another deletion": (nothing, {"deletion_id": "another"}, No.UNKNOWN),
    "after its verdict changed": (changes(proof_digest="0" * 64), {}, No.CONFLICT),
    "after a need was found": (changes(safe_since=None), {}, No.CONFLICT),
    "while the key is in use again": (changes(**IN_USE_AGAIN), {}, No.CONFLICT),
    "while a rotation brings the key back": (lambda x: x.rotation_takes_it_up(), {}, No.CONFLICT),
    "for a key that another deletion holds": (changes(deletion_id="another"), {}, No.CONFLICT),
    "without the proof as stored": (loses_its_proof, {}, No.CONFLICT),
    "after it was called off": (is_called_off, {}, No.CONFLICT),
    "after the key was rescued": (is_rescued, {}, No.CONFLICT),
    "in quarantine": (is_quarantined, {}, No.CONFLICT),
    "once its deletion is scheduled": (is_scheduled, {}, No.CONFLICT),
}
TAKEN_BY_THE_FIRST_APPROVAL = {"a second time", "in quarantine", "once its deletion is scheduled"}


@pytest.mark.parametrize("how", REFUSED)
def test_an_approval_is_refused_and_takes_nothing_away(how):
    before, changed, no = REFUSED[how]
    leaving = a_free_key()
    deletion = leaving.request(changed.get("requester", ANNA))
    before(leaving)
    taken = list(leaving.taken_away)

    with pytest.raises(Refusal) as refusal:
        approve_deletion(
            leaving.world.outside,
            changed.get("deletion_id", deletion.deletion_id),
            digest=changed.get("digest", deletion.digest),
            approver=changed.get("approver", BERT),
        )

    assert refusal.value.no is no
    leaving.live(5 * DAY)
    assert (leaving.unproved, leaving.taken_away == taken or how in TAKEN_BY_THE_FIRST_APPROVAL) == ([], True)


@pytest.mark.parametrize("of", ["another key", "another account"])
def test_an_approval_counts_for_no_other_key(of):
    leaving = a_free_key()
    world = leaving.world
    other = world.keys.add() if of == "another key" else elsewhere(leaving.key)
    twin = replace(leaving.record, arn=other, proof_digest="twin", version=0)
    world.put(twin, replace(world.tracker.proof(leaving.key, leaving.record.proof_digest), arn=other, version=0))
    mine = leaving.request()

    with pytest.raises(Refusal) as refusal:
        approve_deletion(world.outside, mine.deletion_id, digest="twin", approver=BERT)
    leaving.approve()
    leaving.look()

    assert refusal.value.no is No.CONFLICT
    assert leaving.status is KeyStatus.DISABLED
    assert world.tracker.key(other).state is KeyState.RETIRING


def test_the_number_of_refused_approvals_is_told():
    tell(approvals_refused=len(REFUSED) + 2)

    assert len(REFUSED) + 2 >= 12


def calls_of(stage):
    """How many calls a look makes from this stage, when nothing happens."""
    leaving = STAGES[stage]()
    leaving.look()
    assert len(leaving.taken_away) == 1
    return len(leaving.calls)


def seen_too_late(leaving: Leaving, need: str) -> bool:
    """Whether what happened came after the list that shows it was read, so that no proof could know of it."""
    first_look = leaving.calls[: leaving.calls.index(leaving.taken_away[0])]
    reads = [number for number, call in enumerate(first_look) if call == READS[need]]
    return leaving.happened_at > reads[-1]


def comes_back(leaving: Leaving, problems: list[str], what: str) -> None:
    """A key that something needs works again within a day of the need, and is told of if it was ever disabled."""
    leaving.live(24 * HOUR)
    if leaving.status is not KeyStatus.ENABLED:
        problems.append(f"{what}: {leaving.status} a day later")
    if leaving.taken_away and NoticeKind.KEY_RESCUED not in leaving.world.told():
        problems.append(f"{what}: nobody was told of the rescue")
    problems += [f"{what}: {case}" for case in leaving.unproved]


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("need", NEEDS)
def test_a_need_that_appears_between_any_two_calls_is_never_overrun(stage, need):
    problems, outcomes = [], Counter()
    for number in range(calls_of(stage) + 1):
        leaving = STAGES[stage]()
        with leaving.happening(number, getattr(leaving, need)):
            leaving.look()
        if leaving.happened_at is None:
            getattr(leaving, need)()
            leaving.happened_at = len(leaving.calls)
        if leaving.taken_away and not seen_too_late(leaving, need):
            problems.append(f"before call {number}: {leaving.taken_away} in spite of it")
        outcomes["taken, then rescued" if leaving.taken_away else "kept"] += 1
        comes_back(leaving, problems, f"before call {number}")

    tell(
        interleavings=sum(outcomes.values()),
        stage=stage,
        need=need,
        **{k.replace(", ", "_"): v for k, v in outcomes.items()},
    )
    assert problems == []
    assert len(outcomes) == 2


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("what", ["rotation_takes_it_up", "said_unsafe"])
def test_a_record_that_somebody_writes_meanwhile_stops_the_call(stage, what):
    problems, total = [], calls_of(stage)
    for number in range(total):
        leaving = STAGES[stage]()
        with leaving.happening(number, getattr(leaving, what)):
            leaving.look()
        commits = [n for n, call in enumerate(leaving.calls) if call == "tracker.commit"]
        if leaving.taken_away and what == "rotation_takes_it_up" and leaving.happened_at <= commits[0]:
            problems.append(f"before call {number}: {leaving.taken_away} in spite of it")
        if what == "rotation_takes_it_up":
            leaving.settings_name_it()
            leaving.live(24 * HOUR)
            if leaving.status is not KeyStatus.ENABLED:
                problems.append(f"before call {number}: {leaving.status} a day later")
        problems += [f"before call {number}: {case}" for case in leaving.unproved]

    tell(interleavings=total, stage=stage, record=what, irreversible_calls_without_proof=len(problems))
    assert problems == []


@pytest.mark.parametrize("stage", STAGES)
def test_crashes_lost_answers_and_doubled_deliveries_do_no_harm(stage):
    """Each fault at each call; with it a need that appears at another call, and the wake-up delivered twice."""
    problems, histories, total = [], 0, calls_of(stage)
    places = [(fault, at, need) for fault in FAULTS for at in range(total) for need in (None, *range(0, total, 3))]
    for fault, at, need in places[::EVERY]:
        leaving = STAGES[stage]()
        leaving.fault = (at, fault)
        with leaving.happening(need if need is not None else total * 9, leaving.snapshot_appears):
            leaving.look()
            leaving.deliver_again()
            leaving.world.wait(16 * timedelta(minutes=1))
            leaving.look()
        leaving.fault = None
        what = f"{fault} at call {at}, need at {need}"
        if leaving.happened_at is None:
            problems += [f"{what}: {case}" for case in leaving.unproved]
            leaving.live(2 * DAY)
            if leaving.deletion.state not in {DeletionState.QUARANTINED, DeletionState.SCHEDULED}:
                problems.append(f"{what}: it is {leaving.deletion.state} two days later")
        else:
            comes_back(leaving, problems, what)
        histories += 1

    tell(
        histories=histories,
        stage=stage,
        faults=len(FAULTS),
        calls=total,
        irreversible_calls_without_proof=len(problems),
    )
    assert problems == []


@pytest.mark.parametrize("stage", STAGES)
def test_a_second_delivery_in_the_midst_of_the_first_does_no_harm(stage):
    total = calls_of(stage)
    for number in range(total):
        leaving = STAGES[stage]()
        with leaving.happening(number, leaving.deliver_again):
            leaving.look()
        leaving.live(2 * DAY)
        done = {"disabling": DeletionState.QUARANTINED, "scheduling": DeletionState.SCHEDULED}[stage]

        assert (leaving.deletion.state, leaving.unproved) == (done, []), number


def test_a_need_found_at_any_hour_brings_the_key_back_within_a_day():
    step = 2 if FULL_SIZE else 37
    problems, moments = [], 0
    for need in NEEDS:
        leaving = approved()
        for hours in range(0, 37 * 24 + 2, step):
            leaving = approved()
            leaving.live(hours * HOUR, step=12 * HOUR)
            if leaving.status is KeyStatus.GONE:
                break
            getattr(leaving, need)()
            comes_back(leaving, problems, f"{need} after {hours} hours")
            moments += 1

    tell(moments_of_need=moments, not_back_within_24_hours=len(problems))
    assert problems == []


def test_every_step_is_undone_by_calling_off_until_the_last_day():
    undone = 0
    for day in range(38):
        leaving = approved()
        leaving.live(day * DAY - HOUR if day else timedelta(0), step=12 * HOUR)
        was = leaving.deletion.state
        call_off_deletion(leaving.world.outside, leaving.deletion.deletion_id, who=ANNA)
        leaving.live(HOUR)

        assert leaving.status is KeyStatus.ENABLED, (day, was)
        assert leaving.deletion.state is DeletionState.CALLED_OFF
        assert (leaving.record.deletion_id, leaving.record.state) == (None, KeyState.RETIRING)
        undone += 1

    tell(days_on_which_it_was_called_off=undone, unproved=len(leaving.unproved))
    assert leaving.unproved == []


@pytest.mark.parametrize("skew", [-48, -24, -1, 0, 1, 24, 48])
@pytest.mark.parametrize("window", [1, 7])
def test_clocks_two_days_apart_take_no_key_before_its_window_is_over(skew, window):
    leaving = a_free_key(skew=skew * HOUR, window=window, swept=False)
    over = START + window * DAY
    while leaving.record.safe_since is None and leaving.world.now < START + 30 * DAY:
        leaving.live(HOUR)
    free = leaving.record.safe_since
    leaving.approve()
    leaving.live(40 * DAY, step=HOUR)

    tell(atlas_ahead_by_hours=skew, window_days=window, called_free_after_it_by=free - over)
    assert timedelta(0) <= free - over <= timedelta(hours=50)
    assert (leaving.unproved, leaving.status) == ([], KeyStatus.GONE)
    assert leaving.taken_away == ["keys.disable", "keys.schedule_deletion"]
    deletion = leaving.deletion
    assert deletion.scheduled_at - deletion.quarantined_at >= 7 * DAY
    assert deletion.deletion_date - deletion.scheduled_at >= 30 * DAY


def test_a_key_of_another_project_is_not_touched_by_any_of_this():
    leaving = approved()
    others = [arn for arn in leaving.world.keys.arns if arn != old_key(leaving.world)]

    leaving.live(40 * DAY, step=12 * HOUR)

    assert leaving.status is KeyStatus.GONE
    assert [leaving.world.keys._description(arn).status for arn in others] == [KeyStatus.ENABLED]
