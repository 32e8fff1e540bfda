"""Where nobody outside knows what Atlas does: the guesses, each a switch for tests."""

from collections.abc import Callable
from dataclasses import dataclass

from chalicelib.domain.arn import KeyArn


def show_key_id(arn: KeyArn) -> str | None:
    """Show the bare key id: what the field's documented format suggests."""
    return arn.key_id


@dataclass(frozen=True, kw_only=True)
class Habits:
    """How this Atlas behaves where the documentation is silent."""

    shows_role_id: bool = True
    """The API structure says that `roleId` is written only; importers of real settings do read it."""
    show_master_key: Callable[[KeyArn], str | None] = show_key_id
    """How `masterKeyUUID` names a CMK; None leaves the field out."""
    state_of_deleted: str = "IDLE"
    """The `stateName` of a deleted cluster whose backups are retained."""
