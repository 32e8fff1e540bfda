"""The alarm: any look at the settings that finds the current key invalid is told at once.

Atlas checks every 15 minutes and then shuts the clusters down (docs of Atlas, "Customer Key Management").
"""

from dataclasses import dataclass, replace
from datetime import datetime

from chalicelib.domain.observed import Settings
from chalicelib.domain.records import Notice, Project
from chalicelib.domain.wording import drift

KEY_INVALID = "key_invalid"
INVALID_TEXT = (
    "Atlas finds its key invalid and will shut its clusters down:"
    " restore the key, its policy or the role that Atlas uses at once."
)


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """The project that knows of the trouble, and the notice that tells it."""

    project: Project
    notice: Notice


def probe(project: Project, settings: Settings | None, now: datetime) -> Alarm | None:
    """An alarm when the settings show an invalid key that nobody has been told of yet."""
    if settings is None or not settings.found_invalid or KEY_INVALID in project.drift:
        return None
    told = replace(project, valid=False, drift=(*project.drift, KEY_INVALID))
    return Alarm(project=told, notice=drift(told, KEY_INVALID, INVALID_TEXT, now))
