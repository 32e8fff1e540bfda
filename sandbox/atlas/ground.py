"""What every part of the pretend Atlas stands on: time, chance, ids, the agenda and the projects."""

from bisect import insort
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from random import Random

from sandbox.atlas.agenda import Agenda
from sandbox.atlas.habits import Habits
from sandbox.atlas.lags import Lags
from sandbox.atlas.model import Cluster, Project, ProjectEvent
from sandbox.atlas.names import Names
from sandbox.atlas.refusals import no_such_cluster, no_such_project

_BY_THE_SCHEDULE = frozenset({"CPS_SNAPSHOT_STARTED", "CPS_SNAPSHOT_SUCCESSFUL", "CPS_COPY_SNAPSHOT_SUCCESSFUL"})


class Ground:
    """The state of the world. While something due is being done, the time is the moment it was due at."""

    def __init__(self, clock: Callable[[], datetime], *, seed: int, habits: Habits) -> None:
        self.clock = clock
        self.habits = habits
        self.lags = Lags()
        self.names = Names(seed)
        self.chance = Random(f"chance {seed}")
        self.agenda = Agenda()
        self.projects: dict[str, Project] = {}
        self.told = 0
        """How much has been told that is no step of a snapshot which a schedule took."""
        self._moment: datetime | None = None

    def now(self) -> datetime:
        """The virtual time."""
        return self._moment or self.clock()

    @contextmanager
    def at(self, moment: datetime) -> Iterator[None]:
        """Let it be `moment` for a while."""
        self._moment = moment
        try:
            yield
        finally:
            self._moment = None

    def after(self, delay: timedelta, action: Callable[[], None]) -> None:
        """Have something done later."""
        self.agenda.add(self.now() + delay, action)

    def minutes(self, least: float, most: float) -> timedelta:
        """Give a duration by chance, in whole seconds."""
        return timedelta(seconds=self.chance.randint(int(60 * least), int(60 * most)))

    def project(self, project_id: str) -> Project:
        """The project with this id; refused with GROUP_NOT_FOUND when there is none."""
        project = self.projects.get(project_id)
        if project is None:
            raise no_such_project(project_id)
        return project

    def cluster(self, project_id: str, name: str) -> Cluster:
        """The living cluster with this name; refused with CLUSTER_NOT_FOUND when there is none."""
        for cluster in self.project(project_id).clusters.values():
            if cluster.name == name and not cluster.deleted:
                return cluster
        raise no_such_cluster(name, project_id)

    def tell(self, project: Project, kind: str, cluster: str | None = None, *, at: datetime | None = None) -> None:
        """Write a line into the project's activity feed, now or with a time to come."""
        self.told += kind not in _BY_THE_SCHEDULE
        when = at or self.now()
        event = ProjectEvent(event_id=self.names.object_id(when), at=when, kind=kind, cluster=cluster)
        insort(project.events, event, key=lambda known: known.at)
