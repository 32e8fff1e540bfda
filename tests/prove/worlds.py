"""Two virtual years of a fleet: Atlas as it shows itself, the real verbs at work, and how they did."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from random import Random

from fake_atlas import ROLE_ARN, a_role
from fake_keys import FakeKeys
from fake_roles import FakeRoles
from fake_tracker import FakeTracker
from prove.world_truth import Clock, Nature, TrueCluster, TrueProject
from simple_world import ACCOUNT, ANNA, DAY, HOUR, MINUTE, REGION, START, a_policy_for

from chalicelib.domain.arn import KeyArn
from chalicelib.domain.observed import AtlasProject, KeyStatus, ProjectEvent
from chalicelib.domain.opening import RotationRequest
from chalicelib.domain.records import Change, Key, KeyState, Rotation
from chalicelib.domain.refusals import Refusal
from chalicelib.usecases.discover import discover_all
from chalicelib.usecases.ports import Conflict, Due, NotFound, Outside, OutsideError, TemporaryError
from chalicelib.usecases.request_deletion import approve_deletion, attest, request_deletion
from chalicelib.usecases.request_rotation import request_rotation
from chalicelib.usecases.retire import advance_deletions
from chalicelib.usecases.rotate import advance_rotation
from chalicelib.usecases.sweep import sweep_key
from chalicelib.usecases.track import wake_what_is_due

BERT = f"arn:aws:iam::{ACCOUNT}:user/bert"
LENGTH = 730 * DAY


class LeanTracker(FakeTracker):
    """The tracker of the tests, with an index where it would look through everything."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: dict[Due, dict[tuple[str, ...], datetime]] = defaultdict(dict)
        self._linked: dict[str, dict[KeyArn, None]] = defaultdict(dict)

    def commit(self, change: Change) -> None:
        super().commit(change)
        self.commits.clear()
        for record in change.records:
            match record:
                case Key():
                    self._note(Due.SWEEP, (str(record.arn),), record.due)
                    for project_id in record.projects:
                        self._linked[project_id][record.arn] = None
                case Rotation():
                    self._note(Due.ROTATION, (record.project_id, record.rotation_id), record.due)
                case _ if type(record).__name__ == "Deletion":
                    self._note(Due.DELETION, (record.deletion_id,), record.due)

    def _note(self, kind: Due, name: tuple[str, ...], due: datetime | None) -> None:
        if due is None:
            self.waiting[kind].pop(name, None)
        else:
            self.waiting[kind][name] = due

    def due(self, kind: Due, now: datetime):
        yield from sorted(name for name, due in self.waiting[kind].items() if due <= now)

    def earliest(self) -> datetime | None:
        return min((due for kind in self.waiting.values() for due in kind.values()), default=None)

    def keys_of(self, project_id: str) -> tuple[Key, ...]:
        return tuple(self.key(arn) for arn in self._linked[project_id])

    def every_key(self) -> list[Key]:
        return [record for record in self._kept.values() if isinstance(record, Key)]


class WatchedKeys(FakeKeys):
    """KMS that remembers every call which took away a key that something needed."""

    def __init__(self, clock: Clock, nature: Nature) -> None:
        super().__init__(clock.time, account=ACCOUNT, region=REGION)
        self.nature = nature
        self.taken_too_early: list[str] = []

    def disable(self, arn: KeyArn) -> None:
        self._judge("disable", arn)
        super().disable(arn)

    def schedule_deletion(self, arn: KeyArn, *, days: int) -> datetime:
        self._judge("schedule", arn)
        return super().schedule_deletion(arn, days=days)

    def _judge(self, what: str, arn: KeyArn) -> None:
        if self.nature.needs.of[arn.key_id]:
            self.taken_too_early.append(f"{self._now()} {what} {arn}")

    def enabled(self, key_id: str) -> bool:
        return self._description(self.arn_of(key_id)).status is KeyStatus.ENABLED

    def arn_of(self, key_id: str) -> KeyArn:
        return KeyArn(account=ACCOUNT, region=REGION, key_id=key_id)


class ShownAtlas:
    """One organization as its API shows it; `calls` counts every call under `purpose`."""

    def __init__(self, world: "World", organization: str, project_ids: list[str]) -> None:
        self.world, self.organization, self.project_ids = world, organization, project_ids
        self._date: datetime | None = None

    def projects(self):
        self._begin("projects")
        return [AtlasProject(project_id=p, name=p, organization=self.organization) for p in self.project_ids]

    def settings(self, project_id: str):
        project = self._begin("settings", project_id)
        return self.world.nature.settings(project, valid=self.world.keys.enabled(project.wanted))

    def roles(self, project_id: str):
        self._begin("roles", project_id)
        return (a_role(),)

    def private_endpoints(self, project_id: str):
        return ()

    def alert_threshold_days(self, project_id: str) -> int:
        self._begin("alert_threshold_days", project_id)
        return 90

    def clusters(self, project_id: str, *, deleted_too: bool):
        project = self._begin("clusters", project_id)
        for cluster in project.clusters:
            if not cluster.deleted or (deleted_too and (cluster.snapshots or cluster.sharded)):
                yield cluster.shown

    def snapshots(self, project_id: str, cluster: str):
        return self._listed(self._named("snapshots", project_id, cluster).snapshots)

    def sharded_snapshots(self, project_id: str, cluster: str):
        return self._listed(self._named("sharded_snapshots", project_id, cluster).sharded)

    def _listed(self, snapshots):
        now = self.world.clock.now
        return [snapshot.shown for snapshot in snapshots.values() if snapshot.listed_from <= now]

    def backup_schedule(self, project_id: str, cluster: str):
        return self._named("backup_schedule", project_id, cluster).schedule

    def restore_jobs(self, project_id: str, cluster: str):
        return list(self._named("restore_jobs", project_id, cluster).restores)

    def export_jobs(self, project_id: str, cluster: str):
        return list(self._named("export_jobs", project_id, cluster).exports.values())

    def events(self, project_id: str, *, types: tuple[str, ...], since: datetime) -> list[ProjectEvent]:
        project = self._begin("events", project_id)
        now = self.world.clock.now
        return [e for shown, e in project.events if shown <= now and e.at >= since and e.type in types]

    def latest_date(self) -> datetime | None:
        return self._date

    def swap_key(self, project_id: str, key: KeyArn, *, settings, role_id, credentials_secret=None) -> None:
        project = self._begin("swap_key", project_id)
        self.world.nature.name_key(project, key.key_id, str(key))

    def _begin(self, call: str, project_id: str | None = None) -> TrueProject | None:
        world = self.world
        world.calls[world.purpose if call != "events" else "events"] += 1
        project = world.nature.projects[project_id] if project_id is not None else None
        dark = project is not None and world.clock.now < project.dark_until
        if dark or world.weather.random() < world.fault_chance:
            if project is not None:
                project.unclear.append((world.clock.now, world.clock.now + DAY))
            raise TemporaryError(f"GET {call}: 503", call=f"GET {call}", code="503")
        self._date = world.clock.now + world.nature.skew
        return project

    def _named(self, call: str, project_id: str, name: str) -> TrueCluster:
        """Lists go by name: where one is used again they show what belongs to the living cluster."""
        project = self._begin(call, project_id)
        known = [c for c in project.clusters if c.name == name and (not c.deleted or c.snapshots or c.sharded)]
        if not known:
            raise NotFound(f"GET {call}: no cluster {name}", call=f"GET {call}", code="CLUSTER_NOT_FOUND")
        return next((cluster for cluster in known if not cluster.deleted), known[-1])


class Wakes:
    """Messages that are delivered: a rotation after its delay, a sweep at once."""

    def __init__(self, world: "World") -> None:
        self.world = world

    def publish(self, notice) -> None:
        """Nobody reads here."""

    def wake_rotation(self, project_id: str, rotation_id: str, *, delay_seconds: int = 0) -> None:
        world = self.world
        world.clock.after(
            timedelta(seconds=delay_seconds), lambda: world.as_other(advance_rotation, project_id, rotation_id)
        )

    def wake_sweep(self, arn: KeyArn) -> None:
        self.world.sweep(arn)


@dataclass(kw_only=True)
class Outcome:
    """What came of one world: how long each key that came free had to wait, and everything that went wrong."""

    sweeps: int = 0
    calls: Counter[str] = field(default_factory=Counter)
    false_safe: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    waits: dict[tuple[str, datetime], timedelta] = field(default_factory=dict)
    """For each time that a key (bare id) came free: from when it could be proved to the first verdict that did."""
    missed_events: int = 0
    taken_too_early: list[str] = field(default_factory=list)
    deleted: int = 0
    naive_calls: int = 0
    naive_wrong: set[str] = field(default_factory=set)
    """Keys that a script which looks for the key's id in the snapshot list of each cluster would have given up."""


class World:
    """A fleet from a seed. With `daily` every key that is not free is swept every day, whatever its record says."""

    fault_chance = 0.0005

    def __init__(self, seed: int, *, daily: bool = False, length: timedelta = LENGTH) -> None:
        self.seed, self.daily = seed, daily
        self.random, self.weather = Random(seed), Random(seed + 1)
        self.clock = Clock()
        minutes = self.random.choice((0, 0, 3, -3, 40, -40, 120, -120, 48 * 60, -48 * 60))
        self.nature = Nature(self.random, self.clock, timedelta(minutes=minutes))
        self.keys = WatchedKeys(self.clock, self.nature)
        self.tracker = LeanTracker()
        self.calls: Counter[str] = Counter()
        self.purpose = "other"
        self.outcome = Outcome(calls=self.calls)
        self.end = START + length
        self._requests = count()
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
        self.nature.may_outlive = self._is_swept
        self._furnish(names)

    def _is_swept(self, key_id: str | None) -> bool:
        """People take the copies under a key that was never swept along: nothing could ever show those to us."""
        key = self.tracker.key(self.keys.arn_of(key_id)) if key_id is not None else None
        return key is not None and key.state is KeyState.RETIRING and key.swept_at is not None

    def _furnish(self, names: list[str]) -> None:
        shared = self._new_key()
        for number, project_id in enumerate(names):
            key = shared if number < 2 else self._new_key()
            project = self.nature.add_project(project_id, key, self._spelled(key))
            for _ in range(self.random.choice((2, 3, 3, 4))):
                self.nature.add_cluster(project)
            self._live(project)
        self._every(DAY, 5 * MINUTE, self._discover)
        self._every(DAY, 11 * HOUR, self._people_look)
        self._every(DAY, 12 * HOUR, self._ask_naively)

    def _new_key(self) -> str:
        return self.keys.add(policy=a_policy_for(ROLE_ARN)).key_id

    def _spelled(self, key: str) -> str:
        return self.random.choice((key, str(self.keys.arn_of(key))))

    def _every(self, span: timedelta, after: timedelta, do) -> None:
        def turn() -> None:
            do()
            self.clock.after(span, turn)

        self.clock.after(after, turn)

    def _live(self, project: TrueProject) -> None:
        """Let people do what they do, now and then."""
        habits = (
            (75, self._rotate),
            (300, self._switch_by_hand),
            (400, self._switch_back),
            (60, self._on_demand),
            (150, self._extend),
            (150, self._delete_one),
            (70, self._restore),
            (90, self._export),
            (200, self._pause),
            (150, self._add),
            (180, self._delete),
            (500, self._convert),
            (900, self._switch_off),
            (400, self._stop_copying),
            (80, self._darken),
        )
        for days, habit in habits:
            self._now_and_then(project, days, habit)

    def _now_and_then(self, project: TrueProject, days: int, habit) -> None:
        def turn() -> None:
            habit(project)
            self._now_and_then(project, days, habit)

        self.clock.after(days * DAY * (0.3 + 1.4 * self.random.random()), turn)

    def _one(self, project: TrueProject) -> TrueCluster | None:
        living = project.living()
        return self.random.choice(living) if living else None

    def _some_snapshot(self, project: TrueProject):
        cluster = self.random.choice(project.clusters)
        listed = cluster.snapshots or cluster.sharded
        done = [s for s in listed.values() if s.shown.status == "completed"]
        return (cluster, self.random.choice(done)) if done else None

    def _rotate(self, project: TrueProject) -> None:
        request = RotationRequest(requested_by=ANNA, idempotency_key=f"{next(self._requests)}")
        try:
            request_rotation(self.outside, project.project_id, request)
        except (Refusal, OutsideError):
            return

    def _switch_by_hand(self, project: TrueProject) -> None:
        key = self._new_key()
        self.nature.name_key(project, key, self._spelled(key))

    def _switch_back(self, project: TrueProject) -> None:
        """People take a key that was here before, or that of another project, if Atlas can use it."""
        known = sorted(key for key in self.nature.needs.of if key in self._ids() and self.keys.enabled(key))
        key = self.random.choice(known)
        self.nature.name_key(project, key, self._spelled(key))

    def _ids(self) -> set[str]:
        return {arn.key_id for arn in self.keys.arns}

    def _on_demand(self, project: TrueProject) -> None:
        cluster = self._one(project)
        if cluster is not None and not cluster.paused:
            keep = self.random.choice((1, 3, 10, 60, 200)) * DAY
            self.nature.take_snapshot(project, cluster, keep, on_demand=True)

    def _extend(self, project: TrueProject) -> None:
        found = self._some_snapshot(project)
        if found is not None:
            self.nature.extend(project, *found)

    def _delete_one(self, project: TrueProject) -> None:
        found = self._some_snapshot(project)
        if found is not None:
            self.nature.delete(project, *found)

    def _restore(self, project: TrueProject) -> None:
        found = self._some_snapshot(project)
        if found is not None:
            self.nature.restore(project, *found)

    def _export(self, project: TrueProject) -> None:
        found = self._some_snapshot(project)
        if found is not None:
            self.nature.export(*found)

    def _pause(self, project: TrueProject) -> None:
        cluster = self._one(project)
        if cluster is not None:
            self.nature.pause(project, cluster)

    def _add(self, project: TrueProject) -> None:
        """Add a cluster, sometimes under the name of one that is gone."""
        if len(project.living()) >= 5:
            return
        gone = sorted({c.name for c in project.clusters} - {c.name for c in project.living()})
        again = self.random.choice(gone) if gone and self.random.random() < 0.04 else None
        self.nature.add_cluster(project, again)

    def _delete(self, project: TrueProject) -> None:
        cluster = self._one(project)
        if cluster is not None and len(project.living()) > 1:
            self.nature.delete_cluster(project, cluster, retain=self.random.random() < 0.6)

    def _convert(self, project: TrueProject) -> None:
        cluster = self._one(project)
        if cluster is not None:
            self.nature.convert(cluster)

    def _switch_off(self, project: TrueProject) -> None:
        cluster = self._one(project)
        if cluster is not None:
            self.nature.switch_off(project, cluster)

    def _stop_copying(self, project: TrueProject) -> None:
        cluster = self._one(project)
        if cluster is not None:
            self.nature.stop_copying(cluster)

    def _darken(self, project: TrueProject) -> None:
        project.dark_until = self.clock.now + self.nature.some(HOUR, 14 * HOUR)
        project.unclear.append((self.clock.now, project.dark_until))

    # what the system does

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
            self.outcome.waits.setdefault((key.arn.key_id, free), max(wait, timedelta(0)))
            if first and wait > self._patience(key, free):
                self.outcome.late.append(f"seed {self.seed}, {self.clock.now}, {key.arn.key_id}: free since {free}")

    def _provable_since(self, key: Key, free: datetime) -> datetime:
        """Since when all that can be seen has said so: copies cannot, and count for as long as they may live."""
        copies = (c.copies_until - DAY for c in key.clusters if c.copies_until is not None)
        since = max((free, key.attested_at or free, *copies))
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
