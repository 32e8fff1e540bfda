"""Whether a project's key works: asked of KMS, remembered, and told when it changes.

Atlas looks every 15 minutes and shuts clusters down when it finds that the key does not work. Here only looks are
made that find something new: whenever the clock is about to move on, something is encrypted with each key, and a
look is due at the next quarter of an hour if that shows another state than is known. A grant of Decrypt alone that
was taken away is found when the API is asked, or by the look that comes with the next thing that happens.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from sandbox.atlas.cmk import Cmk
from sandbox.atlas.ground import Ground
from sandbox.atlas.keys import Keys, KeyTrouble
from sandbox.atlas.model import Project

LOOKS_EVERY = timedelta(minutes=15)
_TRIED_AGAIN_AFTER = timedelta(hours=12)
_EPOCH = datetime.fromisoformat("2000-01-01T00:00:00+00:00")


class Validity:
    """Knows which projects' keys work. `on_change` hears of a change, `on_broken` of every look that finds none.

    `changes` gives another value whenever AWS has changed: until then a key that worked is not tried again for half
    a day. Without it every look tries.
    """

    def __init__(self, ground: Ground, keys: Keys, changes: Callable[[], object] | None = None) -> None:
        self._changes = changes
        self._worked: dict[Cmk, tuple[object, datetime]] = {}
        self._ground = ground
        self._keys = keys
        self.on_change: Callable[[Project], object] = lambda _project: None
        self.on_broken: Callable[[Project], object] = lambda _project: None

    def check(self, project: Project) -> bool:
        """Probe the project's key now; a project without one is valid."""
        if project.encryption is None:
            return True
        self._remember(project, valid=self._works(project.encryption.cmk, self._keys.probe))
        return project.was_valid

    def next_look(self) -> datetime | None:
        """When the next look will find something to do; None while it would find nothing."""
        if any(self._looks_changed(project) for project in self._ground.projects.values()):
            return quarter_before(self._ground.now()) + LOOKS_EVERY
        return None

    def look(self) -> None:
        """Look at every project's key, once in a quarter of an hour; broken ones have consequences."""
        quarter = quarter_before(self._ground.now())
        for project in list(self._ground.projects.values()):
            if project.encryption is None or (project.looked_at or project.created_at) >= quarter:
                continue
            project.looked_at = quarter
            if not self.check(project):
                self.on_broken(project)

    def _looks_changed(self, project: Project) -> bool:
        if project.encryption is None:
            return False
        if project.was_valid:
            return not self._still_works(project.encryption.cmk)
        if any(cluster.keyed and not cluster.down for cluster in project.alive()):
            return True
        return self._works(project.encryption.cmk, self._keys.probe)

    def _still_works(self, cmk: Cmk) -> bool:
        """Whether something can be encrypted with the key, tried again only when that may have changed."""
        now, state = self._ground.now(), self._changes() if self._changes is not None else object()
        before, tried_at = self._worked.get(cmk, (None, now))
        if before == state and now < tried_at + _TRIED_AGAIN_AFTER:
            return True
        works = self._works(cmk, self._keys.try_once)
        if works:
            self._worked[cmk] = (state, now)
        return works

    def _works(self, cmk: Cmk, attempt: Callable[[Cmk], None]) -> bool:
        try:
            attempt(cmk)
        except KeyTrouble:
            return False
        return True

    def _remember(self, project: Project, *, valid: bool) -> None:
        if project.was_valid == valid:
            return
        project.was_valid = valid
        words = ("VALID", "CONFIG_IS_VALID") if valid else ("INVALID", "CONFIG_NO_LONGER_VALID")
        self._ground.tell(project, f"AWS_ENCRYPTION_KEY_{words[0]}")
        self._ground.tell(project, f"ENCRYPTION_AT_REST_{words[1]}")
        self.on_change(project)


def quarter_before(now: datetime) -> datetime:
    """Give the quarter of an hour that has begun."""
    return now - (now - _EPOCH) % LOOKS_EVERY
