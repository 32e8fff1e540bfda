"""What people do to a fleet now and then: rotate, switch keys by hand, change clusters, snapshots and settings."""

from itertools import count
from random import Random

from fake_atlas import ROLE_ARN
from prove.world_shown import WatchedKeys
from prove.world_things import Clock, TrueCluster, TrueProject, TrueSnapshot
from prove.world_truth import Nature
from simple_world import ANNA, DAY, HOUR, a_policy_for

from chalicelib.domain.opening import RotationRequest
from chalicelib.domain.refusals import Refusal
from chalicelib.usecases.ports import Outside, OutsideError
from chalicelib.usecases.request_rotation import request_rotation


class People:
    """Everybody with a hand on the fleet but the system; each habit comes at random about every so many days."""

    def __init__(self, random: Random, clock: Clock, nature: Nature, keys: WatchedKeys, outside: Outside) -> None:
        self.random, self.clock, self.nature, self.keys, self.outside = random, clock, nature, keys, outside
        self._requests = count()

    def new_key(self) -> str:
        return self.keys.add(policy=a_policy_for(ROLE_ARN)).key_id

    def spelled(self, key: str) -> str:
        return self.random.choice((key, str(self.keys.arn_of(key))))

    def live_on(self, project: TrueProject) -> None:
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

    def _some_snapshot(self, project: TrueProject) -> tuple[TrueCluster, TrueSnapshot] | None:
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
        key = self.new_key()
        self.nature.name_key(project, key, self.spelled(key))

    def _switch_back(self, project: TrueProject) -> None:
        """People take a key that was here before, or that of another project, if Atlas can use it."""
        known = sorted(key for key in self.nature.needs.of if key in self._ids() and self.keys.enabled(key))
        key = self.random.choice(known)
        self.nature.name_key(project, key, self.spelled(key))

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
