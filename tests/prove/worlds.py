"""Two virtual years of a fleet: the real verbs at work, and how they did in the eyes of the oracle."""

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random

from fake_atlas import ROLE_ARN
from fake_roles import FakeRoles
from prove.world_people import People
from prove.world_shown import LeanTracker, ShownAtlas, Wakes, WatchedKeys
from prove.world_things import Clock
from prove.world_truth import Nature
from simple_world import ACCOUNT, ANNA, DAY, HOUR, MINUTE, START

from chalicelib.domain.arn import KeyArn
from chalicelib.domain.records import Change, Key
from chalicelib.domain.refusals import Refusal
from chalicelib.domain.retention import WINDOW_NEVER_SEEN
from chalicelib.domain.vocabulary import KeyState
from chalicelib.usecases.discover import discover_all
from chalicelib.usecases.ports import Conflict, Outside, OutsideError
from chalicelib.usecases.request_deletion import approve_deletion, attest, request_deletion
from chalicelib.usecases.retire import advance_deletions
from chalicelib.usecases.sweep import sweep_key
from chalicelib.usecases.track import wake_what_is_due

BERT = f"arn:aws:iam::{ACCOUNT}:user/bert"
LENGTH = 730 * DAY


@dataclass(kw_only=True)
class Outcome:
    """What came of one world: how long each key that came free had to wait, and everything that went wrong."""

    sweeps: int = 0
    calls: Counter[str] = field(default_factory=Counter)
    false_safe: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    waits: dict[tuple[str, datetime], timedelta] = field(default_factory=dict)
    """For each time that a key (bare id) came free: from when it could be proved to the first verdict that did."""
    waits_since_free: list[timedelta] = field(default_factory=list)
    """The same times from the end of the very last need: what nobody could see by then is in them."""
    reads_once_a_day: int = 0
    """Calls of sweeps, had each thing been read but once a day for all the keys of its project."""
    missed_events: int = 0
    taken_too_early: list[str] = field(default_factory=list)
    deleted: int = 0
    naive_calls: int = 0
    naive_wrong: set[str] = field(default_factory=set)
    """Keys that a script which looks for the key's id in the snapshot list of each cluster would have given up."""


class World:
    """A fleet from a seed. With `daily` every key that is not free is swept every day, whatever its record says.

    With `kept_for` every cluster keeps a daily snapshot for so long, and no others.
    """

    fault_chance = 0.0005

    def __init__(
        self, seed: int, *, daily: bool = False, length: timedelta = LENGTH, kept_for: timedelta | None = None
    ) -> None:
        self.seed, self.daily = seed, daily
        self.random, self.weather = Random(seed), Random(seed + 1)
        self.clock = Clock()
        minutes = self.random.choice((0, 0, 3, -3, 40, -40, 120, -120, 48 * 60, -48 * 60))
        self.nature = Nature(self.random, self.clock, timedelta(minutes=minutes), kept_for=kept_for)
        self.keys = WatchedKeys(self.clock, self.nature)
        self.tracker = LeanTracker()
        self.calls: Counter[str] = Counter()
        self.purpose = "other"
        self.outcome = Outcome(calls=self.calls)
        self._today, self._read_today = self.clock.now.date(), set[tuple[str | None, ...]]()
        self.end = START + length
        roles = FakeRoles(ACCOUNT)
        roles.add(ROLE_ARN)
        names = [f"{number:024x}" for number in range(1, self.random.choice((4, 5, 6)))]
        half = len(names) // 2
        self.organizations = {
            "org-a": ShownAtlas(self, "org-a", names[:half]),
            "org-b": ShownAtlas(self, "org-b", names[half:]),
        }
        self.outside = Outside(
            now=self.clock.time,
            tracker=self.tracker,
            messages=Wakes(self),
            organizations=lambda: tuple(self.organizations),
            atlas=self.organizations.__getitem__,
            atlas_owner=self.organizations.__getitem__,
            keys=lambda _region, _role: self.keys,
            roles=lambda _role: roles,
        )
        self.people = People(self.random, self.clock, self.nature, self.keys, self.outside)
        self.nature.may_outlive = self._is_swept
        self._furnish(names)

    def _is_swept(self, key_id: str | None) -> bool:
        """People take the copies under a key that was never swept along: nothing could ever show those to us."""
        key = self.tracker.key(self.keys.arn_of(key_id)) if key_id is not None else None
        return key is not None and key.state is KeyState.RETIRING and key.swept_at is not None

    def _furnish(self, names: list[str]) -> None:
        shared = self.people.new_key()
        for number, project_id in enumerate(names):
            key = shared if number < 2 else self.people.new_key()
            project = self.nature.add_project(project_id, key, self.people.spelled(key))
            for _ in range(self.random.choice((2, 3, 3, 4))):
                self.nature.add_cluster(project)
            self.people.live_on(project)
        self._every(DAY, 5 * MINUTE, self._discover)
        self._every(DAY, 11 * HOUR, self._people_look)
        self._every(DAY, 12 * HOUR, self._ask_naively)

    def _every(self, span: timedelta, after: timedelta, do) -> None:
        def turn() -> None:
            do()
            self.clock.after(span, turn)

        self.clock.after(after, turn)

    # what the system does

    def count(self, *call: str | None) -> None:
        """Count a call to Atlas under the purpose of the moment; of sweeps also what was not read before today."""
        purpose = self.purpose if call[0] != "events" else "events"
        self.calls[purpose] += 1
        if self.clock.now.date() != self._today:
            self._today, self._read_today = self.clock.now.date(), set()
        if purpose == "sweeps" and call not in self._read_today:
            self._read_today.add(call)
            self.outcome.reads_once_a_day += 1

    def _discover(self) -> None:
        self.purpose = "discovery"
        try:
            discover_all(self.outside)
        except OutsideError:
            return
        finally:
            self.purpose = "other"

    def as_other(self, verb, *args) -> None:
        self.purpose = "other"
        try:
            verb(self.outside, *args)
        except OutsideError:
            return

    def run(self) -> Outcome:
        """Live to the end; the time index is looked at every full hour at which something is due."""
        while True:
            due = self.tracker.earliest()
            look = None if due is None else _full_hour(max(due, self.clock.now))
            if look is not None and look <= self.clock.next:
                if look >= self.end:
                    break
                self.clock.now = look
                self._track()
            elif self.clock.next >= self.end:
                break
            else:
                self.clock.step()
        self._settle_accounts()
        return self.outcome

    def _track(self) -> None:
        wake_what_is_due(self.outside)
        self.purpose = "deletions"
        try:
            advance_deletions(self.outside)
        finally:
            self.purpose = "other"
        self.clock.now += timedelta(seconds=1)

    def sweep(self, arn: KeyArn) -> None:
        """Sweep a key, and ask the oracle what it thinks of the verdict."""
        before = self.tracker.key(arn)
        self.purpose = "sweeps" if before.safe_since is None else "sweeps of free keys"
        try:
            key = sweep_key(self.outside, arn)
        except Conflict:
            return
        finally:
            self.purpose = "other"
        self.outcome.sweeps += 1
        if key is None or key.state in {KeyState.CURRENT, KeyState.DEPLOYING}:
            return
        if key.safe_since is not None:
            self._judge_safe(key)
        elif self.daily:
            self.tracker.commit(Change(records=(replace(self.tracker.key(arn), next_sweep_at=self._tomorrow(key)),)))

    def _tomorrow(self, key: Key) -> datetime:
        """Every day at the same hour; what is being deployed is looked at when the verb wants it."""
        deploying = any(reason.kind == "deploying" for reason in key.reasons)
        return key.next_sweep_at if deploying else self.clock.now + DAY

    def _judge_safe(self, key: Key) -> None:
        needed = self.nature.needs.of[key.arn.key_id]
        if needed:
            self.outcome.false_safe.append(
                f"seed {self.seed}, {self.clock.now}, {key.arn.key_id}: {sorted(map(_named, needed))}"
            )
        elif key.safe_since == self.clock.now:
            free = self.nature.needs.free_since.get(key.arn.key_id, key.replaced_at)
            wait = self.clock.now - self._provable_since(key, free)
            first = (key.arn.key_id, free) not in self.outcome.waits
            if first:
                self.outcome.waits_since_free.append(self.clock.now - free)
            self.outcome.waits.setdefault((key.arn.key_id, free), max(wait, timedelta(0)))
            if first and wait > self._patience(key, free):
                self.outcome.late.append(f"seed {self.seed}, {self.clock.now}, {key.arn.key_id}: free since {free}")

    def _provable_since(self, key: Key, free: datetime) -> datetime:
        """Since when all that can be seen has said so: copies and lost windows count as long as they may live."""
        replaced = key.deployed_at or key.replaced_at or free
        copies = (replaced + c.copies_outlive_days * DAY for c in key.clusters if c.copies_outlive_days is not None)
        windows = (replaced + WINDOW_NEVER_SEEN for p in key.projects if self.nature.projects[p].lost_a_window())
        since = max((free, key.attested_at or free, *copies, *windows))
        unclear = (span for p in key.projects for span in self.nature.projects[p].unclear)
        for begin, end in sorted(unclear):
            if begin < since + 3 * DAY and end > since:
                since = end
        return since

    def _patience(self, key: Key, free: datetime) -> timedelta:
        """A day each to expire, to be confirmed, to be heard of and to be read again; a month where no event told."""
        missed = any(free - DAY < at <= self.clock.now for p in key.projects for at in self.nature.projects[p].missed)
        return 4 * DAY + abs(self.nature.skew) + (31 * DAY if missed else timedelta(0))

    def _people_look(self) -> None:
        """People vouch for copies when nothing else is left, and have some of the free keys deleted."""
        for key in self.tracker.every_key():
            kinds = {reason.kind for reason in key.reasons}
            if kinds and kinds <= {"region_copies", "confirmation"} and key.attested_at is None:
                self._ask(attest, key.arn.key_id, account=None, region=None, who=ANNA, statement="looked")
            old = key.safe_since is not None and self.clock.now > key.safe_since + 5 * DAY
            if old and key.deletion_id is None and int(key.arn.key_id[:8], 16) % 3 == 0:
                self._delete_key(key)

    def _delete_key(self, key: Key) -> None:
        asked = {"account": None, "region": None, "requester": ANNA, "reason": "old"}
        deletion = self._ask(request_deletion, key.arn.key_id, **asked)
        if deletion is not None:
            self._ask(approve_deletion, deletion.deletion_id, digest=deletion.digest, approver=BERT)

    def _ask(self, verb, *args, **named):
        try:
            return verb(self.outside, *args, **named)
        except (Refusal, OutsideError):
            return None

    def _ask_naively(self) -> None:
        """What a daily script does: page 100, living clusters, their replica-set list, the key's bare id."""
        for project in self.nature.projects.values():
            living = project.living()
            self.outcome.naive_calls += 2 + sum(2 + max(1, -(-len(c.snapshots) // 100)) for c in living)
            listed = {s.shown.key for c in living for s in c.snapshots.values()}
            for key in self.tracker.keys_of(project.project_id):
                if (
                    key.state is KeyState.RETIRING
                    and key.arn.key_id not in listed
                    and self.nature.needs.of[key.arn.key_id]
                ):
                    self.outcome.naive_wrong.add(key.arn.key_id)

    def _settle_accounts(self) -> None:
        self.outcome.taken_too_early = self.keys.taken_too_early
        self.outcome.missed_events = sum(len(project.missed) for project in self.nature.projects.values())
        for key in self.tracker.every_key():
            self.outcome.deleted += key.state is KeyState.DELETED
            free = self.nature.needs.free_since.get(key.arn.key_id)
            undecided = key.state is KeyState.RETIRING and key.deletion_id is None and key.safe_since is None
            if undecided and free is not None and (key.arn.key_id, free) not in self.outcome.waits:
                since = self._provable_since(key, free)
                if self.end - since > self._patience(key, free):
                    self.outcome.late.append(f"seed {self.seed}, {key.arn.key_id}: free since {since}, never told")


def _named(thing: object) -> str:
    return type(thing).__name__ if not isinstance(thing, tuple) else f"{_named(thing[0])} and {_named(thing[1])}"


def _full_hour(moment: datetime) -> datetime:
    hour = moment.replace(minute=0, second=0, microsecond=0)
    return hour if hour == moment else hour + HOUR
