"""Where nobody outside knows what Atlas does: the guesses, each a switch for tests."""

from collections.abc import Callable
from dataclasses import dataclass

from chalicelib.domain.arn import KeyArn


def show_key_id(arn: KeyArn) -> str | None:
    """Show the bare key id: what the field's documented format suggests."""
    return arn.key_id


def no_such_user(access_key_id: str, secret: str) -> str | None:  # noqa: ARG001 - replaced by worlds with users
    """Know no IAM user by access key."""
    return None


def every_role(role_arn: str) -> bool:  # noqa: ARG001 - replaced by worlds that know their roles
    """Take every role to exist."""
    return True


@dataclass(frozen=True, kw_only=True)
class Habits:
    """How this Atlas behaves where the documentation is silent, and whom it knows in AWS."""

    shows_role_id: bool = True
    """The API structure says that `roleId` is written only; importers of real settings do read it."""
    show_master_key: Callable[[KeyArn], str | None] = show_key_id
    """How `masterKeyUUID` names a CMK; None leaves the field out."""
    reused_name_hides_backups: bool = False
    """Whether a new cluster under an old name hides the snapshots of the deleted one."""
    state_of_deleted: str = "IDLE"
    """The `stateName` of a deleted cluster whose backups are retained."""
    links_host: str = "http://localhost:8080"
    """The host in `links[].href`: as in recorded answers not the one that was asked."""
    user_of: Callable[[str, str], str | None] = no_such_user
    """The ARN of the IAM user with this access key id and secret (old projects only)."""
    role_exists: Callable[[str], bool] = every_role
    """Whether AWS has a role for Atlas to assume."""
