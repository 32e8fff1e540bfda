"""What an operation of the Admin API is to this Atlas: a path, a version, who may call it, and its effect."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from sandbox.atlas.answers import Body
from sandbox.atlas.asked import Asked

API = "/api/atlas/v2"
READ_ONLY, OWNER = "Project Read Only", "Project Owner"
BACKUP_MANAGER, ALERTS_MANAGER = "Project Backup Manager", "Project Alerts Manager"
ACCOUNT_READER = "Organization Read Only"


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One operation; `template` is its path below the API's root as the API structure writes it.

    `role` is the least role that may call it. `rate` names the set of operations with which it shares its rate
    limit, None for none; `open` ones need no token.
    """

    template: str
    answer: Callable[[Asked], Body]
    method: str = "GET"
    version: str = "2023-01-01"
    role: str = READ_ONLY
    rate: str | None = "backups"
    status: int = 200
    open: bool = False

    @cached_property
    def name(self) -> str:
        """The operation as calls are counted by."""
        return f"{self.method} {API}{self.template}"

    @cached_property
    def media_type(self) -> str:
        """The one versioned media type that it speaks."""
        return f"application/vnd.atlas.{self.version}+json"


GROUP = "/groups/{groupId}"
CLUSTER = f"{GROUP}/clusters/{{clusterName}}"
