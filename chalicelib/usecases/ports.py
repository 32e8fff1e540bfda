"""The outside world as the verbs see it, and the only errors that may come out of it.

OutsideError
├── TemporaryError      it may work later: keep the state, wait, try again
│   └── Conflict        somebody else wrote first: read again
└── PermanentError      it will not work by waiting: stop and tell a person
    └── NotFound        the thing asked for does not exist there
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from chalicelib.domain.arn import KeyArn
    from chalicelib.domain.chain import Link, Trail
    from chalicelib.domain.observed import (
        AlertThreshold,
        AtlasAlert,
        AtlasProject,
        AtlasRole,
        BackupSchedule,
        Cluster,
        ExportJob,
        Grant,
        KeyDescription,
        KeyRotations,
        KeyUse,
        LegacyUser,
        NewKey,
        PrivateEndpoint,
        ProjectEvent,
        RestoreJob,
        Settings,
        Snapshot,
    )
    from chalicelib.domain.opening import RotationRequest
    from chalicelib.domain.records import (
        Change,
        Check,
        Deletion,
        Desk,
        Fleet,
        Key,
        Notice,
        Project,
        Proof,
        Rotation,
        Watch,
    )
    from chalicelib.domain.vocabulary import Channel


class OutsideError(Exception):
    """Something outside did not do what was asked; `call` names the call, `code` the outside's own word."""

    def __init__(self, message: str, *, call: str, code: str = "", retry_after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.call = call
        self.code = code
        self.retry_after = retry_after
        """Seconds that the outside asked us to wait."""


class TemporaryError(OutsideError):
    """It may work later."""


class Conflict(TemporaryError):
    """Somebody else wrote first."""


class PermanentError(OutsideError):
    """It will not work by waiting."""


class NotFound(PermanentError):
    """The thing asked for does not exist there."""


class Atlas(Protocol):
    """One Atlas organization, read with its reader's credentials. Every call may raise an OutsideError."""

    organization: str

    def projects(self) -> Iterator[AtlasProject]:
        """Every project of the organization."""
        ...

    def settings(self, project_id: str) -> Settings:
        """The Encryption at Rest settings; reading them makes Atlas probe the key."""
        ...

    def roles(self, project_id: str) -> tuple[AtlasRole, ...]:
        """The IAM roles that Atlas may assume for this project."""
        ...

    def private_endpoints(self, project_id: str) -> tuple[PrivateEndpoint, ...]:
        """The private endpoints to AWS KMS; Atlas shows them to a Project Owner alone."""
        ...

    def clusters(self, project_id: str, *, deleted_too: bool) -> Iterator[Cluster]:
        """Every cluster; with `deleted_too` also deleted ones whose backups are retained."""
        ...

    def snapshots(self, project_id: str, cluster: str) -> Iterator[Snapshot]:
        """The replica-set list of snapshots, page by page, complete or an error."""
        ...

    def sharded_snapshots(self, project_id: str, cluster: str) -> Iterator[Snapshot]:
        """The sharded-cluster list of snapshots, complete or an error."""
        ...

    def backup_schedule(self, project_id: str, cluster: str) -> BackupSchedule:
        """The cluster's backup policy."""
        ...

    def restore_jobs(self, project_id: str, cluster: str) -> Iterator[RestoreJob]:
        """The restores from the cluster's backups, complete or an error."""
        ...

    def export_jobs(self, project_id: str, cluster: str) -> Iterator[ExportJob]:
        """The exports of the cluster's snapshots, complete or an error."""
        ...

    def events(self, project_id: str, *, types: tuple[str, ...], since: datetime) -> Iterator[ProjectEvent]:
        """The project's events of these types (of all types for none) since a moment, complete or an error."""
        ...

    def alert_threshold_days(self, project_id: str) -> int | None:
        """After how many days Atlas itself nags about this project's key; None when it does not."""
        ...

    def alert_thresholds(self, project_id: str) -> tuple[AlertThreshold, ...]:
        """Every enabled alert configuration about the age of this project's key."""
        ...

    def set_alert_threshold(self, project_id: str, configuration_id: str, days: int) -> None:
        """Have an alert configuration raise its alert after so many days; nothing else of it changes.

        It needs the role Project Alerts Manager, as does the acknowledgement; a PermanentError where it is missing.
        """
        ...

    def open_alerts(self, project_id: str) -> tuple[AtlasAlert, ...]:
        """The alerts about the age of this project's key that are not closed."""
        ...

    def acknowledge_alert(self, project_id: str, alert_id: str, *, until: datetime, comment: str) -> None:
        """Acknowledge an alert until a moment (to the second), with at most 200 characters of comment."""
        ...

    def secret_expiries(self, client_id: str) -> tuple[datetime, ...]:
        """When the secrets of one of the organization's service accounts expire; Atlas shows it to few."""
        ...

    def latest_date(self) -> datetime | None:
        """The latest Date header seen from this Atlas, None before the first answer."""
        ...


class AtlasOwner(Protocol):
    """The one power over Atlas: to change which key a project's settings name."""

    def swap_key(
        self,
        project_id: str,
        key: KeyArn,
        *,
        settings: Settings,
        role_id: str | None,
        credentials_secret: str | None = None,
    ) -> None:
        """Send one complete `awsKms` block naming `key`; the answer carries no news: read back.

        With `credentials_secret` Atlas gets the IAM user credentials that this Secrets Manager secret holds
        (named `keyturn/…`), read at that moment, instead of the role.
        """
        ...


class Keys(Protocol):
    """The CMKs of one AWS account and region. Every call may raise an OutsideError."""

    account: str
    region: str

    def describe(self, arn: KeyArn) -> KeyDescription:
        """The key as KMS sees it; a key that KMS does not know comes back with the status GONE."""
        ...

    def rotations(self, arn: KeyArn) -> KeyRotations:
        """Whether KMS rotates the key by itself, and when it did."""
        ...

    def policy(self, arn: KeyArn) -> str:
        """The key policy, as JSON text."""
        ...

    def find_by_alias(self, alias: str) -> KeyArn | None:
        """The key that an alias points to."""
        ...

    def find_by_rotation(self, rotation_id: str) -> KeyArn | None:
        """Our own key that carries this rotation id in its tags (for a crash between creation and alias).

        One that is on its way to deletion is named too: it is not to be used, and not to be lost from sight.
        """
        ...

    def create(self, new: NewKey) -> KeyArn:
        """Create a symmetric CMK with its tags and policy in one call. Not idempotent: look first."""
        ...

    def name(self, arn: KeyArn, alias: str) -> None:
        """Point a new alias at the key; already pointing there is fine."""
        ...

    def rotate_on_demand(self, arn: KeyArn) -> None:
        """Start a rotation of the key's material, which KMS finishes later. Not idempotent: look first.

        It is one of the 25 in the key's life. One that runs or is near (`ConflictException`) is a TemporaryError;
        `LimitExceededException` and `UnsupportedOperationException` are PermanentErrors.
        """
        ...

    def rotate_automatically(self, arn: KeyArn, *, period_days: int = 365) -> None:
        """Turn KMS' own rotation on, every 90 to 2560 days; already on with this period is fine."""
        ...

    def last_used(self, arn: KeyArn) -> KeyUse:
        """The last use of the key that KMS recorded; an SDK that cannot ask gives the code `not_available`."""
        ...

    def enable(self, arn: KeyArn) -> None:
        """Enable the key; already enabled is fine."""
        ...

    def disable(self, arn: KeyArn) -> None:
        """Disable the key (quarantine); already disabled is fine."""
        ...

    def schedule_deletion(self, arn: KeyArn, *, days: int) -> datetime:
        """Schedule the deletion and give its date; already scheduled gives the date it has."""
        ...

    def cancel_deletion(self, arn: KeyArn) -> None:
        """Call a scheduled deletion off, which leaves the key disabled; not scheduled is fine."""
        ...


class Roles(Protocol):
    """The IAM roles and users of one AWS account. Every call may raise an OutsideError."""

    account: str

    def allows(self, role_arn: str, actions: tuple[str, ...], key: KeyArn) -> dict[str, Grant]:
        """What a role's or user's own policies, within its boundary, say about each action on the key.

        The key's policy is not asked. A principal that is gone raises NotFound; policies that may not be read
        or cannot be judged raise PermanentError: then nothing is known.
        """
        ...


Item = TypeVar("Item")


@dataclass(frozen=True, kw_only=True)
class Page(Generic[Item]):
    """One page of a list; `next` goes back as the cursor, None on the last page."""

    items: tuple[Item, ...]
    next: str | None


class Due(StrEnum):
    """The kinds of work that the time index holds."""

    REMINDER = "reminder"
    DIGEST = "digest"
    """A project whose next rung is spoken in a digest."""
    UNMARKED = "unmarked"
    """A desk whose last digest is not marked everywhere."""
    ROTATION = "rotation"
    SWEEP = "sweep"
    DELETION = "deletion"
    NOTICE = "notice"


class Tracker(Protocol):
    """Keyturn's memory. Single records are read strongly consistent; lists and the time index may lag."""

    def project(self, project_id: str) -> Project | None:
        """One project."""
        ...

    def projects(self, cursor: str | None, limit: int) -> Page[Project]:
        """The fleet, page by page; a cursor that is not ours raises PermanentError with code `bad_cursor`."""
        ...

    def fleet(self) -> Fleet:
        """What holds for every project; of version 0 while nobody has changed it."""
        ...

    def desk(self, group: str) -> Desk | None:
        """Where the digests of one group of recipients are written."""
        ...

    def rotation(self, project_id: str, rotation_id: str) -> Rotation | None:
        """One rotation."""
        ...

    def rotations(self, project_id: str, cursor: str | None, limit: int) -> Page[Rotation]:
        """A project's rotations, page by page, the latest request first."""
        ...

    def key(self, arn: KeyArn) -> Key | None:
        """One key."""
        ...

    def keys_named(self, key_id: str) -> tuple[Key, ...]:
        """Every key with this bare id (several only for multi-Region keys)."""
        ...

    def keys(self, cursor: str | None, limit: int) -> Page[Key]:
        """All keys, page by page."""
        ...

    def keys_of(self, project_id: str) -> tuple[Key, ...]:
        """Every key that the project uses or ever used."""
        ...

    def deletion(self, deletion_id: str) -> Deletion | None:
        """One request to delete a key."""
        ...

    def proof(self, arn: KeyArn, digest: str) -> Proof | None:
        """A stored verdict document."""
        ...

    def notice(self, notice_id: str) -> Notice | None:
        """One notice."""
        ...

    def watch(self) -> Watch | None:
        """What was last found out about Keyturn itself."""
        ...

    def trail(self, subject: str) -> Trail:
        """The audit trail about one subject, in the order of its writing."""
        ...

    def activity(self, cursor: str | None, limit: int) -> Page[Link]:
        """The audit trail of the whole fleet, page by page, newest entry first."""
        ...

    def due(self, kind: Due, now: datetime) -> Iterator[tuple[str, ...]]:
        """The names of everything due, longest overdue first.

        A name is (project id), (project id, rotation id), (key ARN), (deletion id), (notice id) or (group).
        """
        ...

    def commit(self, change: Change) -> None:
        """Save all of a change or nothing; raises Conflict when somebody else wrote first.

        Every audit entry goes behind the last one of its subject, with that one's hash and the id of the request that
        is being served.
        """
        ...

    def update_notice(self, notice: Notice) -> Notice:
        """Save how far the sending of a notice has come; raises Conflict when somebody else wrote first."""
        ...


class Messages(Protocol):
    """Everything that leaves: notices to people and machines, and wake-ups to ourselves."""

    def publish(self, notice: Notice, channel: Channel) -> None:
        """Send a notice over one channel."""
        ...

    def wake_rotation(self, project_id: str, rotation_id: str, *, delay_seconds: int = 0) -> None:
        """Have the next step of a rotation taken after a delay (at most 900 seconds are used)."""
        ...

    def wake_sweep(self, arn: KeyArn) -> None:
        """Have a key's evidence gathered soon."""
        ...


def _no_roles(_role_arn: str | None) -> Roles:
    text = "IAM is not furnished here: nothing can be said about what roles allow"
    raise PermanentError(text, call="iam", code="not_furnished")


def _no_legacy_user(secret_id: str) -> LegacyUser:
    text = f"STS is not furnished here: nobody can say whose credentials the secret {secret_id} holds"
    raise PermanentError(text, call="sts", code="not_furnished")


def _nobody_signed(_body: bytes, _signature: str) -> str | None:
    return None


def _no_accounts(_organization: str) -> dict[str, str]:
    return {}


def one_after_another(*calls: Callable[[], Any]) -> tuple[Any, ...]:
    """Make several calls that do not depend on each other, here in order; gives their answers or the first error."""
    return tuple(call() for call in calls)


def _no_preview(_project_id: str, _request: RotationRequest) -> tuple[Check, ...]:
    return ()


@dataclass(frozen=True, kw_only=True)
class Outside:
    """All of the outside world that a verb may touch; built once by `wiring`.

    `keys(region, role_arn)` speaks to KMS in a region, in the account of the role or in our own for None;
    `roles(role_arn)` speaks to IAM in the same way. `legacy_user(secret_id)` tells whose credentials a
    Secrets Manager secret holds; it raises an OutsideError where that cannot be told. `at_once` makes calls that
    do not depend on each other, side by side where it can. `preview` has the checks of a rotation made that nobody
    has opened, by somebody who may look at Atlas and KMS. `signed_by(body, signature)` names the organization whose
    webhook secret made the signature, None when none did; it raises an OutsideError where the secret that could have
    made it cannot be read. `dead_letters` counts the messages in each dead-letter queue, by its name. `unread_secrets`
    says of each organization's secret that cannot be read, by its name, why: `organizations` leaves it out, and who
    goes through them asks for these first. `service_accounts(organization)` gives the client ids that Keyturn uses
    there, by their role. `look_every` is how often an open deletion is looked at between its steps, None for as often
    as the rules say: the sandbox lives through months in seconds.
    """

    now: Callable[[], datetime]
    tracker: Tracker
    messages: Messages
    organizations: Callable[[], tuple[str, ...]]
    atlas: Callable[[str], Atlas]
    atlas_owner: Callable[[str], AtlasOwner]
    keys: Callable[[str, str | None], Keys]
    at_once: Callable[..., tuple[Any, ...]] = one_after_another
    preview: Callable[[str, RotationRequest], tuple[Check, ...]] = _no_preview
    roles: Callable[[str | None], Roles] = _no_roles
    legacy_user: Callable[[str], LegacyUser] = _no_legacy_user
    signed_by: Callable[[bytes, str], str | None] = _nobody_signed
    dead_letters: Callable[[], dict[str, int]] = dict
    unread_secrets: Callable[[], dict[str, OutsideError]] = dict
    service_accounts: Callable[[str], dict[str, str]] = _no_accounts
    look_every: timedelta | None = None
