"""Where nobody outside knows what Atlas does: the guesses, each a switch for tests."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from chalicelib.domain.arn import KeyArn


def show_key_id(arn: KeyArn) -> str | None:
    """Show the bare key id: what the field's documented format suggests."""
    return arn.key_id


KEY_FORMS: Mapping[str, Callable[[KeyArn], str | None]] = {
    "uuid": show_key_id,
    "arn": str,
    "upper": lambda arn: arn.key_id.upper(),
    "missing": lambda _arn: None,
}
"""Forms in which `masterKeyUUID` may name a CMK; the id of a multi-Region key is `mrk-…` in each."""


@dataclass(frozen=True, kw_only=True)
class Habits:
    """How this Atlas behaves where the documentation is silent."""

    shows_role_id: bool = True
    """The API structure says that `roleId` is written only; importers of real settings do read it."""
    show_master_key: Callable[[KeyArn], str | None] = show_key_id
    """How `masterKeyUUID` names a CMK; None leaves the field out."""
    shows_valid: bool = True
    """Answers of some years ago lacked `valid`."""
    copies_keep_originals_listed: bool = False
    """Whether a snapshot stays in its list as long as a copy of it is kept elsewhere."""
    deleted_clusters_keep_oplog: bool = False
    """Whether retained backups include the oplog; it is documented for projects with a Backup Compliance Policy."""
    state_of_shut_down: str = "REPAIRING"
    """The `stateName` of a cluster that Atlas shut down because its key does not work."""
    state_of_deleted: str = "IDLE"
    """The `stateName` of a deleted cluster whose backups are retained."""
