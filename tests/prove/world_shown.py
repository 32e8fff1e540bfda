"""Atlas, KMS and the tracker as the verbs meet them in a true fleet, each lean enough for years of it."""

from collections import defaultdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from fake_atlas import a_role
from fake_keys import FakeKeys
from fake_tracker import FakeTracker
from prove.world_things import Clock, TrueCluster, TrueProject
from prove.world_truth import Nature
from simple_world import ACCOUNT, DAY, REGION

from chalicelib.domain.arn import KeyArn
from chalicelib.domain.observed import AtlasAlert, AtlasProject, KeyStatus, ProjectEvent
from chalicelib.domain.records import Change, Deletion, Key, Rotation
from chalicelib.usecases.ports import Due, NotFound, TemporaryError
from chalicelib.usecases.rotate import advance_rotation

if TYPE_CHECKING:
    from prove.worlds import World


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
                case Deletion():
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

    def open_alerts(self, project_id: str) -> tuple[AtlasAlert, ...]:
        self._begin("open_alerts", project_id)
        return ()

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

    def _begin(self, call: str, project_id: str | None = None, name: str | None = None) -> TrueProject | None:
        world = self.world
        world.count(call, project_id, name)
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
        project = self._begin(call, project_id, name)
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
