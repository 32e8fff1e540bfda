"""Atlas and KMS as they truly are: keys that can be used or not, clusters that turn late, changes that show late."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from fake_atlas import ROLE_ARN, USER_ARN, FakeAtlas, a_cluster, a_snapshot, some_settings
from fake_keys import FakeKeys
from simple_world import ACCOUNT, DAY, MINUTE, REGION, a_policy_for

from chalicelib.domain.arn import KeyArn, parse_key_id
from chalicelib.domain.key_policy import missing_permissions
from chalicelib.domain.observed import Cluster, Encryption, KeyRotations, KeyStatus, Settings, Snapshot
from chalicelib.usecases.ports import PermanentError

UNUSABLE = "INVALID_KMS_KEY"
NOT_YET = "CANNOT_ASSUME_ROLE"


class TrueKeys(FakeKeys):
    """KMS that lists a key, and shows a renewal, only some time after it happened."""

    def __init__(self, now: Callable[[], datetime], account: str, region: str) -> None:
        super().__init__(now, account=account, region=region)
        self.lists_after = timedelta(0)
        self._stale: dict[KeyArn, tuple[datetime, KeyRotations]] = {}

    def find_by_rotation(self, rotation_id: str) -> KeyArn | None:
        arn = super().find_by_rotation(rotation_id)
        created = self._description(arn).created_at if arn is not None else None
        return None if created is None or self._now() < created + self.lists_after else arn

    def rotations(self, arn: KeyArn) -> KeyRotations:
        shown = super().rotations(arn)
        until, stale = self._stale.get(arn, (self._now(), shown))
        return stale if self._now() < until else shown

    def rotate_on_demand(self, arn: KeyArn) -> None:
        before = super().rotations(arn)
        super().rotate_on_demand(arn)
        self._stale[arn] = (self._now() + self.lists_after, before)

    def status(self, arn: KeyArn) -> KeyStatus:
        """What is true of a key now."""
        return self._description(arn).status

    def renewals(self, arn: KeyArn) -> int:
        """How often the key's material was truly renewed on demand, or is being."""
        return self._kept[arn].on_demand + (self._kept[arn].running_since is not None)

    def made_for(self, rotation_id: str) -> tuple[KeyArn, ...]:
        """Every key ever made for a rotation."""
        return tuple(arn for arn, kept in self._kept.items() if kept.tags.get("keyturn:rotation") == rotation_id)

    def ours(self) -> tuple[KeyArn, ...]:
        """Every key that we made."""
        return tuple(arn for arn, kept in self._kept.items() if "keyturn:rotation" in kept.tags)

    def grants(self, arn: KeyArn, principal: str) -> bool:
        """Whether a principal can use the key now."""
        return self.status(arn) is KeyStatus.ENABLED and not missing_permissions(self._kept[arn].policy, principal)


@dataclass(kw_only=True)
class Turn:
    """A cluster on its way to another key: it leaves IDLE some time after the change."""

    key: KeyArn
    begins: datetime
    ends: datetime


class TrueAtlas(FakeAtlas):
    """Atlas that probes keys for real; `uses` is the key that each cluster's data truly needs to go on running.

    A change of settings shows `shows_after`, clusters leave IDLE `turns_after` it and take `turns_for`.
    """

    def __init__(self, keys: TrueKeys, now: Callable[[], datetime]) -> None:
        super().__init__(now=now)
        self.keys = keys
        self.shows_after = timedelta(0)
        self.turns_after, self.turns_for = 8 * MINUTE, 12 * MINUTE
        self.not_yet_until: datetime | None = None
        self.late: list[tuple[datetime, str, Settings]] = []
        self.named: dict[str, list[tuple[str, str | None]]] = {}
        """Every (key, access key id) that a project's settings ever truly had."""
        self.uses: dict[tuple[str, str], KeyArn] = {}
        self._turns: dict[tuple[str, str], Turn] = {}
        self._snapshots = 0

    def begin(self, project_id: str, name: str) -> KeyArn:
        """A project with two running clusters under a key of its own."""
        key = self.keys.add(policy=a_policy_for(ROLE_ARN))
        clusters = [(a_cluster(each), False) for each in ("main", "side")]
        self.add(project_id, name=name, settings=some_settings(key), clusters=clusters)
        self.uses |= {(project_id, cluster.name): key for cluster, _ in clusters}
        self._note(project_id)
        return key

    def settings(self, project_id: str) -> Settings:
        self.live()
        shown = super().settings(project_id)
        return replace(shown, valid=self.finds_valid(project_id)) if shown.enabled else shown

    def clusters(self, project_id, *, deleted_too):
        self.live()
        yield from super().clusters(project_id, deleted_too=deleted_too)

    def swap_key(self, project_id, key, *, settings, role_id, credentials_secret=None) -> None:
        self.live()
        call = f"PATCH /groups/{project_id}/encryptionAtRest"
        now = self._now()
        if self.not_yet_until is not None and now < self.not_yet_until:
            raise PermanentError(f"{call}: {NOT_YET}", call=call, code=NOT_YET)
        principal = ROLE_ARN if credentials_secret is None else USER_ARN
        usable = key in self.keys._kept and self.keys.grants(key, principal)
        if project_id in self.world and not (usable and self.finds_valid(project_id)):
            raise PermanentError(f"{call}: {UNUSABLE}", call=call, code=UNUSABLE)
        before = self._project(project_id, call).settings
        super().swap_key(project_id, key, settings=settings, role_id=role_id, credentials_secret=credentials_secret)
        self.late.append((now + self.shows_after, project_id, self.world[project_id].settings))
        self.world[project_id].settings = before
        self.live()

    def set_by_hand(self, project_id: str, **changes: object) -> None:
        """Change a project's settings in the Atlas UI."""
        self.live()
        self.world[project_id].settings = replace(self.world[project_id].settings, **changes)
        self._note(project_id)
        self.live()

    def finds_valid(self, project_id: str) -> bool:
        """Atlas' own probe of the key that the settings name."""
        settings, key = self.world[project_id].settings, self.current(project_id)
        if key is None:
            return False
        if settings.legacy_access_key:
            return self.keys.grants(key, USER_ARN)
        return bool(self.world[project_id].roles) and self.keys.grants(key, ROLE_ARN)

    def current(self, project_id: str) -> KeyArn | None:
        """The key that the settings truly name now."""
        settings = self.world[project_id].settings
        key_id = parse_key_id(settings.key) if settings.enabled and settings.key is not None else None
        return next((arn for arn in self.keys._kept if arn.key_id == key_id), None)

    def live(self) -> None:
        """Let happen what has fallen due: changes that show, clusters that turn."""
        now = self._now()
        for change in sorted(self.late, key=lambda late: late[0]):
            if change[0] <= now:
                self.late.remove(change)
                if change[1] in self.world:
                    self.world[change[1]].settings = replace(change[2], enabled=True)
                    self._note(change[1])
        for project_id in self.world:
            self._turn_clusters(project_id, now)

    def _note(self, project_id: str) -> None:
        settings = self.world[project_id].settings
        entry = (str(settings.key), settings.access_key_id)
        if settings.enabled and entry not in self.named.setdefault(project_id, []):
            self.named[project_id].append(entry)

    def _turn_clusters(self, project_id: str, now: datetime) -> None:
        project, wanted = self.world[project_id], self.current(project_id)
        for number, (cluster, deleted) in enumerate(project.clusters):
            place = (project_id, cluster.name)
            if deleted or cluster.paused or cluster.encryption is not Encryption.AWS:
                continue
            state = self._turned(place, wanted, now)
            project.clusters[number] = (replace(cluster, state=state), False)

    def _turned(self, place: tuple[str, str], wanted: KeyArn | None, now: datetime) -> str:
        turn = self._turns.get(place)
        if turn is not None and now >= turn.ends:
            self.uses[place] = turn.key
            del self._turns[place]
            turn = None
        if turn is not None and wanted not in {None, turn.key} and now < turn.begins:
            del self._turns[place]  # as it begins, a cluster takes the key that the settings name then
            turn = None
        if turn is None and wanted is not None and self.uses[place] != wanted and self.finds_valid(place[0]):
            begins = now + self.turns_after
            turn = self._turns[place] = Turn(key=wanted, begins=begins, ends=begins + self.turns_for)
        return "UPDATING" if turn is not None and now >= turn.begins else "IDLE"

    def pause(self, project_id: str, name: str) -> None:
        """Pause a cluster: it keeps the key that it has."""
        self._turns.pop((project_id, name), None)
        self._put(project_id, name, paused=True, state="IDLE")

    def resume(self, project_id: str, name: str) -> None:
        """Resume a cluster: it turns to the settings' key while it starts."""
        self._put(project_id, name, paused=False, state="UPDATING")
        wanted, now = self.current(project_id), self._now()
        if wanted is not None:
            self._turns[project_id, name] = Turn(key=wanted, begins=now, ends=now + self.turns_for)

    def add_cluster(self, project_id: str, name: str) -> None:
        """Add a cluster, which begins with the settings' key."""
        wanted = self.current(project_id)
        if wanted is not None:
            self.uses[project_id, name] = wanted
            self.world[project_id].clusters.append((a_cluster(name), False))

    def delete_cluster(self, project_id: str, name: str) -> None:
        """Delete a cluster and keep its backups."""
        clusters = self.world[project_id].clusters
        clusters[:] = [(c, deleted or c.name == name) for c, deleted in clusters]
        self.uses.pop((project_id, name), None)
        self._turns.pop((project_id, name), None)

    def _put(self, project_id: str, name: str, **changes: object) -> None:
        clusters = self.world[project_id].clusters
        clusters[:] = [(replace(c, **changes) if c.name == name else c, deleted) for c, deleted in clusters]

    def cluster(self, project_id: str, name: str) -> Cluster | None:
        """A cluster that lives, None for one that is deleted or was never there."""
        return next((c for c, deleted in self.world[project_id].clusters if c.name == name and not deleted), None)

    def take_snapshot(self, project_id: str, name: str, *, kept_for: timedelta = 7 * DAY) -> None:
        """Take a snapshot of a cluster, with the key that its data truly has."""
        self._snapshots += 1
        key = self.uses[project_id, name]
        made = self._now()
        snapshot = a_snapshot(self._snapshots, key, created_at=made, expires_at=made + kept_for)
        self.world[project_id].snapshots.setdefault(name, []).append(snapshot)

    def snapshots(self, project_id, cluster):
        self._expire(project_id)
        yield from super().snapshots(project_id, cluster)

    def _expire(self, project_id: str) -> None:
        for kept in self.world[project_id].snapshots.values():
            kept[:] = [snapshot for snapshot in kept if not self._expired(snapshot)]

    def _expired(self, snapshot: Snapshot) -> bool:
        return snapshot.expires_at is not None and snapshot.expires_at <= self._now()

    def needs(self, arn: KeyArn) -> list[str]:
        """Everything in the true world that needs a key now."""
        self.live()
        found = [f"{p} names it" for p in self.world if self.current(p) == arn]
        alive = {(p, c.name) for p, kept in self.world.items() for c, deleted in kept.clusters if not deleted}
        found += [f"{p}/{c} runs on it" for (p, c), key in self.uses.items() if key == arn and (p, c) in alive]
        found += [f"{p} is about to name it" for _, p, late in self.late if parse_key_id(late.key) == arn.key_id]
        for project_id, kept in self.world.items():
            self._expire(project_id)
            taken = [s for each in kept.snapshots.values() for s in each if s.key == arn.key_id]
            found += [f"a snapshot of {project_id} needs it" for _ in taken]
        return found

    def still_on(self, project_id: str, other_than: KeyArn) -> list[str]:
        """The running encrypted clusters whose data is not under a key."""
        self.live()
        running = [c.name for c, deleted in self.world[project_id].clusters if not deleted and not c.paused]
        return [name for name in running if self.uses.get((project_id, name), other_than) != other_than]


def true_keys(now: Callable[[], datetime]) -> TrueKeys:
    """KMS of our account and region."""
    return TrueKeys(now, account=ACCOUNT, region=REGION)
