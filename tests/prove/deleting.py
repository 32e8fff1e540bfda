"""A key on its way out on the fakes of the ports: what reaches KMS is held against the records of that moment."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from fake_atlas import PROJECT, FakeAtlas, a_cluster, a_restore, a_snapshot, some_settings
from simple_world import ACCOUNT, ANNA, DAY, HOUR, REGION, START, Killed, World, a_world, old_key

from chalicelib.domain.arn import KeyArn, principal
from chalicelib.domain.key_life import take_up
from chalicelib.domain.observed import BackupSchedule, KeyStatus
from chalicelib.domain.records import Deletion, Key
from chalicelib.domain.retirement import FRESH
from chalicelib.domain.vocabulary import KeyState
from chalicelib.usecases.ports import Due, Outside, OutsideError, TemporaryError
from chalicelib.usecases.request_deletion import approve_deletion, request_deletion
from chalicelib.usecases.retire import advance_deletion, advance_deletions
from chalicelib.usecases.sweep import sweep_key

BERT = f"arn:aws:iam::{ACCOUNT}:user/bert"
TAKES_AWAY = frozenset({"keys.disable", "keys.schedule_deletion"})
MARKS = {"keys.disable": "disabling the key", "keys.schedule_deletion": "scheduling the key's deletion"}


class Fault(StrEnum):
    """What befalls one call."""

    BUSY = "nothing done, try later"
    LOST = "done, but the answer is lost"
    DIES_BEFORE = "the process dies before it"
    DIES_AFTER = "the process dies after it"


@dataclass(frozen=True, kw_only=True)
class Watched:
    """A port of which every call is told to `reached`, and may be struck."""

    port: object
    name: str
    reached: Callable[[str, dict], Fault | None]

    def __getattr__(self, name: str) -> Any:
        there = getattr(self.port, name)
        if not callable(there):
            return there
        called = f"{self.name}.{name}"

        def call(*args, **named):
            fault = self.reached(called, named)
            if fault is Fault.DIES_BEFORE:
                raise Killed(called)
            if fault is Fault.BUSY:
                raise TemporaryError(f"{called}: busy", call=called)
            answer = there(*args, **named)
            if fault is Fault.DIES_AFTER:
                raise Killed(called)
            if fault is Fault.LOST:
                raise TemporaryError(f"{called}: the answer is lost", call=called)
            return answer

        return call


class SkewedAtlas(FakeAtlas):
    """An Atlas whose clock is ahead of ours by `skew`."""

    skew = timedelta(0)

    def latest_date(self) -> datetime | None:
        date = super().latest_date()
        return None if date is None else date + self.skew


@dataclass(kw_only=True)
class Leaving:
    """A key that two clean sweeps found free, and everything that befalls it.

    `unproved` lists calls that would take it away without all that must be durable by then; `happens` is done just
    before the call of its number.
    """

    world: World
    key: KeyArn
    fault: tuple[int, Fault] | None = None
    """The number of a call, as `calls` counts them, and what befalls it."""
    unproved: list[str] = field(default_factory=list)
    taken_away: list[str] = field(default_factory=list)
    """The calls that truly reached KMS and take the key away."""
    calls: list[str] = field(default_factory=list)
    happens: tuple[int, Callable[[], None]] | None = None
    happened_at: int | None = None
    watched: Outside = field(init=False)

    def __post_init__(self) -> None:
        outside = self.world.outside
        self.watched = replace(
            outside,
            tracker=self._exposed(outside.tracker, "tracker"),
            atlas=lambda name: self._exposed(outside.atlas(name), "atlas"),
            keys=lambda region, role: self._exposed(outside.keys(region, role), "keys"),
        )

    def _exposed(self, port: object, name: str) -> Watched:
        return Watched(port=port, name=name, reached=self._reached)

    def _reached(self, call: str, named: dict) -> Fault | None:
        number = len(self.calls)
        if self.happens is not None and number == self.happens[0]:
            _, do = self.happens
            self.happens, self.happened_at = None, number
            do()
        self.calls.append(call)
        fault = self.fault[1] if self.fault is not None and self.fault[0] == number else None
        if call in TAKES_AWAY and fault not in {Fault.BUSY, Fault.DIES_BEFORE}:
            self._judge(call, named)
            self.taken_away.append(call)
        return fault

    def _judge(self, call: str, named: dict) -> None:
        tracker, now = self.world.tracker, self.world.now
        deletion = self.deletion
        if deletion is None:
            self.unproved.append(f"{call}: there is no deletion")
            return
        rows = [e for e in tracker.audit if e.subject == deletion.deletion_id and e.what == MARKS[call]]
        proofs = [proof for row in rows if (proof := tracker.proof(self.key, row.why)) is not None]
        found = {
            "no audit row": not rows,
            "no stored proof": not proofs,
            "a stale proof": bool(proofs) and max(proof.at for proof in proofs) < now - FRESH,
            "a proof with reasons": any(json.loads(proof.document)["reasons"] for proof in proofs),
            "nobody approved": deletion.approved_by is None or deletion.approved_at is None,
            "its requester approved": principal(deletion.approved_by or "") == principal(deletion.requested_by),
            "a proof from before the approval": any(p.at < deletion.approved_at for p in proofs),
            "a window under 30 days": call == "keys.schedule_deletion" and named.get("days") != 30,
            "no mark": (deletion.quarantined_at if call == "keys.disable" else deletion.scheduled_at) is None,
            "it was called off": deletion.called_off_by is not None,
        }
        self.unproved += [f"{call}: {what}" for what, is_so in found.items() if is_so]

    @property
    def record(self) -> Key:
        return self.world.tracker.key(self.key)

    @property
    def deletion(self) -> Deletion | None:
        """The last deletion that was asked for."""
        all_of_them = [r for r in self.world.tracker._kept.values() if isinstance(r, Deletion) and r.arn == self.key]
        return max(all_of_them, key=lambda deletion: deletion.requested_at, default=None)

    @property
    def status(self) -> KeyStatus:
        return self.world.keys._description(self.key).status

    def request(self, who: str = ANNA) -> Deletion:
        asked = {"account": self.key.account, "region": None, "requester": who, "reason": "old"}
        return request_deletion(self.world.outside, self.key.key_id, **asked)

    def approve(self, who: str = BERT) -> Deletion:
        deletion = self.deletion or self.request()
        return approve_deletion(self.world.outside, deletion.deletion_id, digest=deletion.digest, approver=who)

    def look(self) -> None:
        """One scheduled look, under the weather."""
        with suppress(Killed, OutsideError, ExceptionGroup):
            advance_deletions(self.watched)

    def deliver_again(self) -> None:
        """The same wake-up a second time, by another process that lives in calm weather."""
        if self.deletion is not None:
            advance_deletion(self.world.outside, self.deletion.deletion_id)

    def live(self, time: timedelta, step: timedelta = HOUR) -> None:
        """Let time pass: every hour the schedules look at deletions and at what is due to be swept."""
        end = self.world.now + time
        while self.world.now < end:
            self.world.wait(min(step, end - self.world.now))
            self.look()
            for _ in tuple(self.world.tracker.due(Due.SWEEP, self.world.now)):
                sweep_key(self.world.outside, self.key)

    @contextmanager
    def happening(self, number: int, do: Callable[[], None]) -> Iterator[None]:
        """Let something happen just before the call of this number, counted from now."""
        self.happens, self.happened_at = (len(self.calls) + number, do), None
        yield
        self.happens = None

    # what may make it needed again

    def snapshot_appears(self) -> None:
        shown = a_snapshot(7, self.key, created_at=self.world.now, expires_at=self.world.now + 60 * DAY)
        self.world.in_atlas.snapshots["main"] = [shown]

    def restore_begins(self) -> None:
        self.snapshot_appears()
        self.world.in_atlas.restores["main"] = [a_restore(7)]

    def settings_name_it(self) -> None:
        self.world.in_atlas.settings = some_settings(self.key)

    def rotation_takes_it_up(self) -> None:
        self.world.put(take_up(self.record, PROJECT, KeyState.CURRENT))

    def said_unsafe(self) -> None:
        self.world.change(self.record, proof_digest="another", safe_since=None)


NEEDS = ("snapshot_appears", "restore_begins", "settings_name_it")
READS = {
    "snapshot_appears": "atlas.snapshots",
    "restore_begins": "atlas.snapshots",
    "settings_name_it": "atlas.settings",
}


def a_free_key(*, skew: timedelta = timedelta(0), window: int | None = None, swept: bool = True) -> Leaving:
    """A project that left its first key half a year ago, or just now where a point-in-time window is to pass."""
    world = a_world()
    atlas = SkewedAtlas(now=world.time)
    atlas.skew, atlas.world = skew, world.atlas.world
    world.atlas = world.organizations[world.atlas.organization] = atlas
    left, current = old_key(world), world.keys.add()
    world.in_atlas.settings = some_settings(current)
    world.in_atlas.clusters = [(a_cluster(point_in_time=window is not None), False)]
    if window is not None:
        cluster_id = a_cluster().cluster_id
        world.in_atlas.schedules["main"] = BackupSchedule(cluster_id=cluster_id, restore_window_days=window)
    world.change(world.project, key=current)
    world.put(Key(arn=current, state=KeyState.CURRENT, projects=(PROJECT,), first_seen_at=START))
    since = START if window is not None else START - 180 * DAY
    world.change(
        world.tracker.key(left),
        state=KeyState.RETIRING,
        created_by_us=True,
        replaced_at=since,
        deployed_at=since,
        next_sweep_at=START,
    )
    leaving = Leaving(world=world, key=left)
    if swept:
        leaving.live(26 * HOUR)
        assert leaving.record.safe_since is not None
    return leaving


def in_quarantine() -> Leaving:
    """A key whose quarantine is over: the next look schedules its deletion."""
    leaving = approved()
    leaving.live(7 * DAY)
    while leaving.deletion.state == "quarantined" and leaving.world.now < leaving.deletion.quarantined_at + 7 * DAY:
        leaving.world.wait(HOUR)
    leaving.calls.clear()
    leaving.taken_away.clear()
    return leaving


def approved() -> Leaving:
    """A key whose deletion was just approved: the next look disables it."""
    leaving = a_free_key()
    leaving.approve()
    leaving.calls.clear()
    leaving.taken_away.clear()
    return leaving


def elsewhere(key: KeyArn) -> KeyArn:
    return replace(key, account="999988887777", region=REGION)


FAULTS = (Fault.DIES_BEFORE, Fault.DIES_AFTER, Fault.BUSY, Fault.LOST)
