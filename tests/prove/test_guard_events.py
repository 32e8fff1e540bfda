"""From the event to the notice and the key's return in one invocation, whatever becomes of the events on their way."""

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from random import Random

import pytest
from fake_atlas import PROJECT
from fake_keys import FakeKeys
from figures import FULL_SIZE, tell
from prove.deleting import Fault, Leaving, a_free_key, approved
from simple_world import ACCOUNT, DAY, HOUR, MINUTE, REGION, START, Killed, World, a_world, old_key

from chalicelib.domain.arn import KeyArn
from chalicelib.domain.guarding import UNDOING
from chalicelib.domain.observed import KeyStatus
from chalicelib.domain.records import ClusterTally, Key, Policy, Reason
from chalicelib.domain.vocabulary import GuardMode, KeyState, NoticeKind
from chalicelib.usecases.guard import guard_key
from chalicelib.usecases.patrol import patrol_keys
from chalicelib.usecases.ports import OutsideError

SEED = 17
HISTORIES = 1_000 if FULL_SIZE else 60
MALLORY = f"arn:aws:iam::{ACCOUNT}:user/mallory"
ELSEWHERE, ROLE_THERE = "999988887777", "arn:aws:iam::999988887777:role/keyturn"
UNTIL = START + 60 * DAY
SNAPSHOTS = Reason(
    kind="snapshots",
    text="12 snapshots of main need it; the last expires 2027-04-30",
    project_id=PROJECT,
    cluster="main",
    until=UNTIL,
)
NEEDED = {
    "current": {"state": KeyState.CURRENT},
    "deploying": {"state": KeyState.DEPLOYING},
    "held by snapshots": {"state": KeyState.RETIRING, "reasons": (SNAPSHOTS,)},
    "never swept": {"state": KeyState.RETIRING},
    "waiting to be confirmed": {"state": KeyState.RETIRING, "clean_since": START},
    "unreadable": {"state": KeyState.RETIRING, "reasons": (Reason(kind="unread", text="GET clusters failed"),)},
}
CALLS = {
    "disabled": ("DisableKey", None),
    "scheduled in 7 days": ("ScheduleKeyDeletion", 7),
    "scheduled in 30 days": ("ScheduleKeyDeletion", 30),
    "scheduled with no window": ("ScheduleKeyDeletion", None),
}
SPELLINGS = {
    "its ARN": str,
    "its bare id": lambda arn: arn.key_id,
    "capitals": lambda arn: str(arn).upper().replace("ARN:AWS:KMS", "arn:aws:kms").replace(":KEY/", ":key/"),
    "an alias, with its ARN among the resources": lambda _: "alias/atlas",
}


def event(arn: KeyArn, call: str = "DisableKey", *, number: int = 1, window: int | None = None, **detail):
    """What EventBridge hands over after a call on a key."""
    spelled = detail.pop("spelled", str(arn))
    asked = {"keyId": spelled} | ({} if window is None else {"pendingWindowInDays": window})
    return {
        "id": f"outer-{number}",
        "source": "aws.kms",
        "account": arn.account,
        "region": arn.region,
        "detail": {
            "eventName": call,
            "eventID": f"event-{number}",
            "awsRegion": arn.region,
            "recipientAccountId": arn.account,
            "userIdentity": {"type": "IAMUser", "arn": MALLORY},
            "requestParameters": asked,
            "resources": [{"ARN": str(arn)}] if spelled.startswith("alias/") else [],
            **detail,
        },
    }


def do(keys: FakeKeys, arn: KeyArn, call: str, window: int | None) -> None:
    """Let somebody make the call in KMS itself."""
    if call == "DisableKey":
        keys.change(arn, status=KeyStatus.DISABLED)
    else:
        date = keys._now() + timedelta(days=window or 30)
        keys.change(arn, status=KeyStatus.PENDING_DELETION, deletion_date=date)


def a_needed_key(**facts) -> World:
    world = a_world()
    tally = ClusterTally(project_id=PROJECT, cluster="main", cluster_id="c", snapshots=12, last_expiry=UNTIL)
    world.change(world.tracker.key(old_key(world)), clusters=(tally,), **facts)
    world.keys.calls.clear()
    return world


def status(world: World, arn: KeyArn | None = None) -> KeyStatus:
    return world.keys._description(arn or old_key(world)).status


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("why", NEEDED)
def test_one_invocation_brings_a_needed_key_back_and_tells_who_did_it(why, call, spelling):
    world = a_needed_key(**NEEDED[why])
    arn, (operation, window) = old_key(world), CALLS[call]
    do(world.keys, arn, operation, window)

    guard_key(world.outside, event(arn, operation, window=window, spelled=SPELLINGS[spelling](arn)))

    (notice,) = world.tracker.notices
    assert status(world) is KeyStatus.ENABLED
    assert (notice.kind, notice.escalate, notice.key_id) == (NoticeKind.KEY_RESCUED, True, arn.key_id)
    assert [text for text in (MALLORY, ACCOUNT, operation, "payments", arn.key_id) if text not in notice.text] == []
    assert len(world.tracker.audit) == 1


def test_the_notice_counts_the_snapshots_and_names_the_day_of_the_last():
    world = a_needed_key(**NEEDED["held by snapshots"])

    guard_key(world.outside, event(old_key(world)))

    (notice,) = world.tracker.notices
    assert [said for said in ("12 snapshots", "2027-04-30") if said not in notice.text] == []


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("call", CALLS)
def test_a_fault_at_any_call_is_mended_by_the_next_delivery(call, fault):
    operation, window = CALLS[call]
    for at in range(12):
        world = a_needed_key(**NEEDED["held by snapshots"])
        arn = old_key(world)
        watched = Leaving(world=world, key=arn)
        watched.fault = (at, fault)
        do(world.keys, arn, operation, window)

        with suppress(Killed, OutsideError):
            guard_key(watched.watched, event(arn, operation, window=window))
        died_before_it_was_back = status(world) is not KeyStatus.ENABLED
        guard_key(world.outside, event(arn, operation, window=window))

        rescues = [n for n in world.tracker.notices if n.kind is NoticeKind.KEY_RESCUED]
        assert (status(world), len(rescues)) == (KeyStatus.ENABLED, 1), (at, died_before_it_was_back)


@pytest.mark.parametrize("call", CALLS)
def test_when_people_have_undone_what_was_only_told_of_the_key_is_in_danger_no_more(call):
    world = a_needed_key(**NEEDED["held by snapshots"])
    world.change(world.project, policy=Policy(guard=GuardMode.TELL))
    arn, (operation, window) = old_key(world), CALLS[call]
    do(world.keys, arn, operation, window)
    guard_key(world.outside, event(arn, operation, window=window))
    told = world.told()
    assert world.tracker.key(arn).harm is not None

    world.keys.change(arn, status=KeyStatus.ENABLED, deletion_date=None)
    going = guard_key(world.outside, event(arn, "EnableKey", number=2))

    assert (going, world.tracker.key(arn).harm, world.told()) == (0, None, told)


def test_a_key_whose_deletion_was_cancelled_is_still_disabled_and_in_danger():
    world = a_needed_key(**NEEDED["held by snapshots"])
    world.change(world.project, policy=Policy(guard=GuardMode.TELL))
    arn = old_key(world)
    do(world.keys, arn, "ScheduleKeyDeletion", 7)
    guard_key(world.outside, event(arn, "ScheduleKeyDeletion", window=7))

    world.keys.change(arn, status=KeyStatus.DISABLED, deletion_date=None)
    going = guard_key(world.outside, event(arn, "CancelKeyDeletion", number=2))

    assert (going, world.tracker.key(arn).harm.operation) == (0, "DisableKey")


@pytest.mark.parametrize("operation", sorted(UNDOING))
def test_undoing_where_nothing_was_done_asks_kms_nothing(operation):
    world = a_needed_key(**NEEDED["current"])

    assert guard_key(world.outside, event(old_key(world), operation)) == 0
    assert (world.keys.calls, world.told()) == ([], [])


def test_a_free_key_is_left_alone_whatever_is_called():
    for operation, window in CALLS.values():
        leaving = a_free_key()
        do(leaving.world.keys, leaving.key, operation, window)
        before, told = leaving.status, len(leaving.world.tracker.notices)
        leaving.world.keys.calls.clear()

        guard_key(leaving.world.outside, event(leaving.key, operation, window=window))
        patrol_keys(leaving.world.outside)

        assert (leaving.status, len(leaving.world.tracker.notices)) == (before, told)
        assert {"enable", "cancel_deletion"}.isdisjoint(leaving.world.keys.calls)


def test_the_workflows_own_calls_are_left_alone_however_often_and_late_they_are_told():
    leaving = approved()
    own = {"arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/keyturn-retire/lambda"}
    told = Counter()
    for hour in range(39 * 24):
        leaving.live(HOUR)
        disabled = event(leaving.key, "DisableKey", number=1, userIdentity=own)
        scheduled = event(leaving.key, "ScheduleKeyDeletion", number=2, window=30, userIdentity=own)
        happened = [disabled] * (leaving.deletion.quarantined_at is not None)
        happened += [scheduled] * (leaving.deletion.scheduled_at is not None)
        for each in happened if hour % 11 == 0 else ():
            guard_key(leaving.world.outside, each)
            told[each["detail"]["eventName"]] += 1
        if hour % 24 == 0:
            patrol_keys(leaving.world.outside)

    tell(own_calls_told=sum(told.values()), undone=leaving.world.keys.calls.count("enable"))
    assert leaving.status is KeyStatus.GONE
    assert {"enable", "cancel_deletion"}.isdisjoint(leaving.world.keys.calls)
    assert NoticeKind.KEY_RESCUED not in leaving.world.told()


@pytest.mark.parametrize("call", CALLS)
def test_a_key_of_another_account_is_brought_back_there_and_nowhere_else(call):
    operation, window = CALLS[call]
    world = a_needed_key(**NEEDED["current"])
    there = world.add_place(REGION, account=ELSEWHERE, role=ROLE_THERE)
    arn = there.add()
    world.change(world.project, policy=Policy(kms_role_arn=ROLE_THERE))
    world.put(Key(arn=arn, state=KeyState.RETIRING, projects=(PROJECT,), first_seen_at=START, reasons=(SNAPSHOTS,)))
    do(there, arn, operation, window)
    do(world.keys, old_key(world), "DisableKey", None)

    guard_key(world.outside, event(arn, operation, window=window))

    assert there._description(arn).status is KeyStatus.ENABLED
    assert status(world) is KeyStatus.DISABLED, "no event told of ours"
    assert ELSEWHERE in world.tracker.notices[0].text
    assert world.keys.calls == []


def test_the_same_key_id_in_another_account_is_another_key():
    world = a_needed_key(**NEEDED["current"])
    stranger = replace(old_key(world), account=ELSEWHERE)

    guard_key(world.outside, event(stranger))
    guard_key(world.outside, event(stranger, spelled=stranger.key_id))

    assert (world.tracker.notices, world.keys.calls) == ([], [])


def test_where_policy_wants_only_to_be_told_nothing_is_touched():
    world = a_needed_key(**NEEDED["held by snapshots"])
    world.change(world.project, policy=Policy(guard=GuardMode.TELL))
    do(world.keys, old_key(world), "DisableKey", None)

    for _ in range(3):
        guard_key(world.outside, event(old_key(world)))

    assert (status(world), world.told(), world.keys.calls) == (KeyStatus.DISABLED, [NoticeKind.DRIFT], [])


@dataclass(kw_only=True)
class Mallory:
    """Somebody who takes keys away at random for a month, while events get lost, late, doubled and out of order."""

    random: Random
    world: World
    needed: list[KeyArn]
    free: list[KeyArn]
    number: int = 0
    counts: Counter = field(default_factory=Counter)
    on_the_way: list[tuple] = field(default_factory=list)
    away_since: dict[KeyArn, object] = field(default_factory=dict)
    longest: timedelta = timedelta(0)
    left_as: dict[KeyArn, KeyStatus] = field(default_factory=dict)
    """How each free key was left by its last call: nobody may change that."""
    reached: set[str] = field(default_factory=set)
    """The ids of events that were delivered at least once for a needed key."""

    def strike(self) -> None:
        arn = self.random.choice(self.needed + self.free)
        call, window = self.random.choice(list(CALLS.values()))
        if status(self.world, arn) is KeyStatus.GONE:
            return
        if arn in self.free:
            call, window = "DisableKey", None
        do(self.world.keys, arn, call, window)
        self.number += 1
        self.counts["calls"] += 1
        if arn in self.needed:
            self.away_since.setdefault(arn, self.world.now)
        else:
            self.left_as[arn] = KeyStatus.DISABLED
        if self.random.random() < 0.3:
            self.counts["missed"] += 1
            return
        told = event(arn, call, number=self.number, window=window)
        for _ in range(self.random.choice((1, 1, 2, 3))):
            lag = self.random.choice((0, 1, 20, 90, 300)) * MINUTE
            self.on_the_way.append((self.world.now + lag, self.number, arn, told))

    def deliver(self) -> None:
        arrived = [each for each in self.on_the_way if each[0] <= self.world.now]
        self.on_the_way = [each for each in self.on_the_way if each[0] > self.world.now]
        self.random.shuffle(arrived)
        for _, number, arn, told in arrived:
            guard_key(self.world.outside, told)
            self.counts["deliveries"] += 1
            if arn in self.needed:
                self.reached.add(f"event-{number}")
                assert status(self.world, arn) is KeyStatus.ENABLED, told
            self.see()

    def see(self) -> None:
        for arn in [arn for arn in self.away_since if status(self.world, arn) is KeyStatus.ENABLED]:
            self.longest = max(self.longest, self.world.now - self.away_since.pop(arn))

    def live(self, time: timedelta) -> None:
        end, patrol = self.world.now + time, self.world.now
        while self.world.now < end:
            self.world.wait(10 * MINUTE)
            if self.random.random() < 0.02:
                self.strike()
            self.deliver()
            if self.world.now >= patrol:
                patrol_keys(self.world.outside)
                patrol += DAY
                self.see()


def a_crowd(seed: int) -> Mallory:
    world = a_world()
    record = world.tracker.key(old_key(world))
    needed, free = [old_key(world)], []
    for facts in NEEDED.values():
        needed.append(world.keys.add())
        world.put(replace(record, arn=needed[-1], version=0, **facts))
    for _ in range(2):
        free.append(world.keys.add())
        world.put(replace(record, arn=free[-1], version=0, state=KeyState.RETIRING, safe_since=START))
    world.keys.calls.clear()
    return Mallory(random=Random(seed), world=world, needed=needed, free=free)


def test_random_months_of_lost_late_doubled_and_shuffled_events_leave_no_needed_key_away_for_a_day():
    counts, longest = Counter(), timedelta(0)
    for seed in range(SEED, SEED + HISTORIES):
        mallory = a_crowd(seed)
        mallory.live(30 * DAY)
        rescues = [n for n in mallory.world.tracker.notices if n.kind is NoticeKind.KEY_RESCUED]
        about = Counter((n.key_id, n.detail.get("event", n.notice_id)) for n in rescues)

        assert mallory.longest <= DAY + 10 * MINUTE, seed
        assert set(about.values()) == {1}, seed
        assert len(rescues) >= len(mallory.reached), seed
        assert {n.key_id for n in rescues} <= {arn.key_id for arn in mallory.needed}, seed
        assert {arn: status(mallory.world, arn) for arn in mallory.left_as} == mallory.left_as, seed
        counts += mallory.counts
        counts["rescues told"] += len(rescues)
        longest = max(longest, mallory.longest)

    tell(
        seeds=f"{SEED}-{SEED + HISTORIES - 1}",
        virtual_days=30 * HISTORIES,
        **{name.replace(" ", "_"): number for name, number in counts.items()},
        longest_away=longest,
    )
