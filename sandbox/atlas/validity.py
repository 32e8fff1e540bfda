"""Whether a project's key works: asked of KMS, remembered, and told when it changes.

Atlas looks every 15 minutes. Here a look happens when somebody could tell the difference: when the settings
are read or changed, and when a snapshot could not be encrypted.
"""

from sandbox.atlas.ground import Ground
from sandbox.atlas.keys import Keys, KeyTrouble
from sandbox.atlas.model import Project


class Validity:
    """Knows which projects' keys work."""

    def __init__(self, ground: Ground, keys: Keys) -> None:
        self._ground = ground
        self._keys = keys

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
        return project.was_valid

    def _remember(self, project: Project, *, valid: bool) -> None:
        if project.was_valid == valid:
            return
        project.was_valid = valid
        words = ("VALID", "CONFIG_IS_VALID") if valid else ("INVALID", "CONFIG_NO_LONGER_VALID")
        self._ground.tell(project, f"AWS_ENCRYPTION_KEY_{words[0]}")
        self._ground.tell(project, f"ENCRYPTION_AT_REST_{words[1]}")
