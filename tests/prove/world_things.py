"""A fleet as it truly is: its time, its projects, clusters and snapshots, and which key each of them depends on."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from heapq import heappop, heappush
from itertools import count

from simple_world import START

from chalicelib.domain.observed import (
    BackupSchedule,
    Cluster,
    CopySetting,
    Encryption,
    ExportJob,
    ProjectEvent,
    RestoreJob,
    Snapshot,
)

Do = Callable[[], None]


class Clock:
    """Virtual time: what is to happen happens in order, and time stands at its moment meanwhile."""

    def __init__(self) -> None:
        self.now = START
        self._coming: list[tuple[datetime, int, Do]] = []
        self._number = count()

    def time(self) -> datetime:
        return self.now

    def at(self, when: datetime, do: Do) -> None:
        heappush(self._coming, (max(when, self.now), next(self._number), do))

    def after(self, span: timedelta, do: Do) -> None:
        self.at(self.now + span, do)

    @property
    def next(self) -> datetime:
        return self._coming[0][0]

    def step(self) -> None:
        self.now, _, do = heappop(self._coming)
        do()


class Needs:
    """The oracle: which things depend on each key (bare id) at this moment, and since when none does."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.of: dict[str, set[object]] = defaultdict(set)
        self.free_since: dict[str, datetime] = {}

    def begin(self, key: str | None, thing: object) -> None:
        if key is not None:
            self.of[key].add(thing)
            self.free_since.pop(key, None)

    def end(self, key: str | None, thing: object) -> None:
        if key is not None and thing in self.of[key]:
            self.of[key].discard(thing)
            if not self.of[key]:
                self.free_since[key] = self.clock.now


@dataclass(eq=False, kw_only=True)
class TrueSnapshot:
    """A snapshot with the key that its data truly has; `shown` is how Atlas lists it, from `listed_from` on."""

    key: str | None
    shown: Snapshot
    listed_from: datetime
    expires_at: datetime | None = None


@dataclass(eq=False, kw_only=True)
class TrueCluster:
    """A cluster; `uses` is the key that its data truly has. `plan` is how often snapshots are made, and kept."""

    name: str
    cluster_id: str
    plan: tuple[tuple[timedelta, timedelta], ...]
    window: timedelta | None
    copies: tuple[CopySetting, ...]
    uses: str | None
    encrypted: bool
    kind: str
    state: str = "CREATING"
    paused: bool = False
    deleted: bool = False
    turning: bool = False
    snapshots: dict[str, TrueSnapshot] = field(default_factory=dict)
    sharded: dict[str, TrueSnapshot] = field(default_factory=dict)
    restores: list[RestoreJob] = field(default_factory=list)
    exports: dict[str, ExportJob] = field(default_factory=dict)
    copied: set[TrueSnapshot] = field(default_factory=set)
    """Snapshots of which copies with a retention of their own live in other regions."""

    @property
    def shown(self) -> Cluster:
        return Cluster(
            name=self.name,
            cluster_id=self.cluster_id,
            kind=self.kind,
            state=self.state,
            paused=self.paused,
            encryption=Encryption.AWS if self.encrypted else Encryption.NONE,
            backups=True,
            point_in_time=self.window is not None,
            tier="M10",
        )

    @property
    def schedule(self) -> BackupSchedule:
        days = self.window.days if self.window is not None else 0
        return BackupSchedule(
            cluster_id=self.cluster_id, restore_window_days=days, copy_regions=len(self.copies), copies=self.copies
        )


@dataclass(eq=False, kw_only=True)
class TrueProject:
    """A project; `wanted` is the key that its settings truly name, `text` how they spell it."""

    project_id: str
    wanted: str
    text: str
    clusters: list[TrueCluster] = field(default_factory=list)
    events: list[tuple[datetime, ProjectEvent]] = field(default_factory=list)
    missed: list[datetime] = field(default_factory=list)
    """When something happened that no event will ever tell."""
    unclear: list[tuple[datetime, datetime]] = field(default_factory=list)
    """When nothing can be proved: for a day after no answer, with a failed snapshot of no key, one name for two."""
    dark_until: datetime = START

    def two_names(self, name: str) -> bool:
        """Whether a name belongs to a living cluster and to one of which backups are retained."""
        named = [c for c in self.clusters if c.name == name and (not c.deleted or c.snapshots or c.sharded)]
        return len(named) > 1

    def lost_a_window(self) -> bool:
        """Whether a cluster that kept points in time was deleted with its backups."""
        return any(cluster.deleted and cluster.window is not None for cluster in self.clusters)

    def living(self) -> list[TrueCluster]:
        return [cluster for cluster in self.clusters if not cluster.deleted]
