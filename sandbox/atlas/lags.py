"""How late things show: nobody outside knows, so each is a length of time that tests choose."""

from dataclasses import dataclass
from datetime import timedelta

NONE = timedelta(0)


@dataclass(kw_only=True)
class Lags:
    """All are nothing until somebody sets them, while the world lives."""

    settings: timedelta = NONE
    """After a change GET still shows the former settings for so long."""
    lists: timedelta = NONE
    """A new snapshot or cluster is not in its list for so long."""
    events: timedelta = NONE
    """An event is not in the feed for so long."""
    iam: timedelta = NONE
    """After it is first named, a fresh key is refused for so long as if IAM did not know yet."""
