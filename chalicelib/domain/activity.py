"""What an entry of the audit trail is about, told from the name of its subject."""

import re

from chalicelib.domain.arn import parse_key_id
from chalicelib.domain.policies import FLEET
from chalicelib.domain.vocabulary import About

ALERT = "alert "
"""How the subject of an entry about an alert of Atlas begins."""

_DELETION_ID = re.compile(r"[0-9a-f]{16}")


def about(subject: str) -> About:
    """What a subject names; each kind has ids of a form of its own."""
    if subject == FLEET:
        return About.FLEET
    if subject.startswith(ALERT):
        return About.ALERT
    if parse_key_id(subject) is not None:
        return About.KEY
    return About.DELETION if _DELETION_ID.fullmatch(subject) else About.PROJECT
