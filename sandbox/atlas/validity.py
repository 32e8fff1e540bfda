"""Whether a project's key works: asked of KMS, remembered, and told when it changes.

Atlas looks every 15 minutes. Here a look happens when somebody could tell the difference: when the settings
are read or changed, before a snapshot, and at the next quarter of an hour after KMS changed a key.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from sandbox.atlas.ground import Ground
from sandbox.atlas.keys import Keys, KeyTrouble
from sandbox.atlas.model import CHECK_INTERVAL, Project


class Validity:
    """Knows which projects' keys work."""

    def __init__(self, ground: Ground, keys: Keys) -> None:
        self._ground = ground
        self._keys = keys
        self.on_change: Callable[[Project], None] = lambda _project: None

    def check(self, project: Project) -> bool:
        """Probe the project's key now; a project without one is valid."""
        if project.encryption is None:
            return True
        try:
            self._keys.probe(project.encryption.cmk)
        except KeyTrouble:
            self._remember(project, valid=False)
        else:
            self._remember(project, valid=True)
        return project.valid

    def check_all(self) -> None:
        """Probe every project's key."""
        for project in list(self._ground.projects.values()):
            self.check(project)

    def check_all_soon(self, since: datetime) -> None:
        """Probe every project's key at the next regular check after `since`."""
        passed = timedelta(minutes=since.minute % 15, seconds=since.second, microseconds=since.microsecond)
        self._ground.agenda.add(since - passed + CHECK_INTERVAL, self.check_all)

    def _remember(self, project: Project, *, valid: bool) -> None:
        if project.valid == valid:
            return
        project.valid = valid
        words = ("VALID", "CONFIG_IS_VALID") if valid else ("INVALID", "CONFIG_NO_LONGER_VALID")
        self._ground.tell(project, f"AWS_ENCRYPTION_KEY_{words[0]}")
        self._ground.tell(project, f"ENCRYPTION_AT_REST_{words[1]}")
        self.on_change(project)
