"""The words that records, rules and doors share: what a thing can be, and how people and programs name it.

They stand apart from the records because the doors need them at every start, and the records only when they act.
"""

from enum import StrEnum


class Mode(StrEnum):
    """What happens on the due day: people are told, or the rotation starts by itself."""

    REMIND = "remind"
    ROTATE = "rotate"


class Strategy(StrEnum):
    """How a key is renewed."""

    NEW_CMK = "new-cmk"
    KMS_ON_DEMAND = "kms-on-demand"
    KMS_AUTOMATIC = "kms-automatic"


class GuardMode(StrEnum):
    """What the guard does for a key that is still needed: call the deletion off, or only tell."""

    CANCEL = "cancel"
    TELL = "tell"


class RotationState(StrEnum):
    """Where a rotation stands; docs/states.md is drawn from the table in `rotation.py`."""

    REQUESTED = "requested"
    PREPARING = "preparing"
    SWAPPING = "swapping"
    DEPLOYING = "deploying"
    RENEWING = "renewing"
    ROLLING_BACK = "rolling_back"
    RETURNING = "returning"
    DEPLOYED = "deployed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    ROLLED_BACK = "rolled_back"

    @property
    def terminal(self) -> bool:
        """Whether nothing more will happen by itself; what is deployed a person may still roll back."""
        return self in {self.DEPLOYED, self.FAILED, self.CANCELLED, self.ROLLED_BACK}


class KeyState(StrEnum):
    """Where a CMK stands in its life with us."""

    CURRENT = "current"
    DEPLOYING = "deploying"
    RETIRING = "retiring"
    UNUSED = "unused"
    QUARANTINED = "quarantined"
    PENDING_DELETION = "pending_deletion"
    DELETED = "deleted"

    @property
    def in_use(self) -> bool:
        """Whether the settings of a project name it, or are about to."""
        return self in {self.CURRENT, self.DEPLOYING}


class DeletionState(StrEnum):
    """Where a request to get rid of a key stands."""

    REQUESTED = "requested"
    APPROVED = "approved"
    QUARANTINED = "quarantined"
    SCHEDULED = "scheduled"
    DELETED = "deleted"
    CALLED_OFF = "called_off"
    EXPIRED = "expired"
    RESCUED = "rescued"

    @property
    def terminal(self) -> bool:
        """Whether nothing more will happen."""
        return self in {self.DELETED, self.CALLED_OFF, self.EXPIRED, self.RESCUED}


class NoticeKind(StrEnum):
    """What a notice is about; subscribers filter on it."""

    REMINDER = "reminder"
    DIGEST = "digest"
    ROTATION_STARTED = "rotation_started"
    ROTATION_DEPLOYING = "rotation_deploying"
    ROTATION_DEPLOYED = "rotation_deployed"
    ROTATION_FAILED = "rotation_failed"
    ROTATION_BLOCKED = "rotation_blocked"
    ROTATION_CANCELLED = "rotation_cancelled"
    ROTATION_ROLLED_BACK = "rotation_rolled_back"
    STILL_READABLE = "still_readable"
    DRIFT = "drift"
    KEY_SAFE = "key_safe"
    KEY_NEEDED_AGAIN = "key_needed_again"
    DELETION_REQUESTED = "deletion_requested"
    DELETION_APPROVED = "deletion_approved"
    KEY_QUARANTINED = "key_quarantined"
    DELETION_SCHEDULED = "deletion_scheduled"
    KEY_DELETED = "key_deleted"
    DELETION_ENDED = "deletion_ended"
    KEY_RESCUED = "key_rescued"
    ATLAS_UNREACHABLE = "atlas_unreachable"
    ENCRYPTION_ENABLED = "encryption_enabled"
    SECRET_EXPIRES = "secret_expires"  # noqa: S105 - a kind of notice
    DEAD_LETTERS = "dead_letters"


class Channel(StrEnum):
    """The ways that a notice leaves by."""

    ALERTS = "alerts"
    ESCALATIONS = "escalations"
    BUS = "bus"


class About(StrEnum):
    """What an entry of the audit trail can be about."""

    PROJECT = "project"
    KEY = "key"
    DELETION = "deletion"
    ALERT = "alert"
    FLEET = "fleet"
