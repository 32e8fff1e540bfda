"""What Keyturn remembers: the records of the tracker, each one value with the version it was read at.

`due` is when a record next wants attention, None when it sleeps for good: work is found by that time, never
by scanning. A `version` of 0 marks a record that was never saved.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from chalicelib.domain.arn import KeyArn
from chalicelib.domain.vocabulary import (
    Channel,
    DeletionState,
    GuardMode,
    KeyState,
    Mode,
    NoticeKind,
    RotationState,
    Strategy,
)


@dataclass(frozen=True, kw_only=True)
class Policy:
    """A project's wishes; None for the period means: as Atlas' own alert says, else 90 days."""

    rotation_period_days: int | None = None
    ladder: tuple[int, ...] = (-30, -14, -7, -1, 0, 1, 7)
    mode: Mode = Mode.REMIND
    strategy: Strategy = Strategy.NEW_CMK
    automatic_period_days: int = 365
    """Every how many days KMS is told to rotate by itself under the strategy `kms-automatic`."""
    kms_role_arn: str | None = None
    recipients: tuple[str, ...] = ()
    escalate_after_days: int = 7
    """From how many days overdue on reminders go to the escalations topic too."""
    digest: bool = False
    """Whether reminders before the due day come together, one message a day for all projects of the same recipients."""
    digest_hour: int = 7
    """The hour of the day, in UTC, from which that message is sent."""
    quarantine_days: int = 7
    guard: GuardMode = GuardMode.CANCEL
    delete_foreign_keys: bool = False
    prove_by_snapshot: bool = False
    """Whether a rotation is deployed only when every cluster has shown a snapshot made with the next key."""
    attestation_always: bool = False
    """Whether a person must vouch for every key, not only where Atlas shows copies or downloads."""


@dataclass(frozen=True, kw_only=True)
class Uncovered:
    """A cluster that a rotation does not reach, and why."""

    name: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Project:
    """One Atlas project: what was last seen of it, its current key's cycle, and its policy."""

    kind: ClassVar[str] = "PROJECT"

    project_id: str
    name: str
    organization: str
    seen_at: datetime
    policy: Policy = field(default_factory=Policy)
    """As it holds: the fleet's defaults, with the project's own wishes over them."""
    policy_own: tuple[str, ...] = ()
    """The fields of the policy that were set for this project."""
    not_covered_because: str | None = None
    """Why the whole project is out of reach (Azure, Google Cloud, disabled, shared tiers); None when covered."""
    covered: tuple[str, ...] = ()
    not_covered: tuple[Uncovered, ...] = ()
    key: KeyArn | None = None
    key_since: datetime | None = None
    rotated_by_kms_at: datetime | None = None
    atlas_threshold_days: int | None = None
    role_arn: str | None = None
    role_id: str | None = None
    granted_by: KeyArn | None = None
    """The key whose policy was seen to give that role all it needs: only what was given can be taken away."""
    valid: bool | None = None
    access_key_id: str | None = None
    """The access key of an IAM user (its name, no secret) that the settings hold instead of a role."""
    access_key_seen_at: datetime | None = None
    """Since when that access key was seen; IAM would know its true age, which nobody here may ask."""
    backups_read: bool = False
    """Whether its snapshots were asked which keys it used before anybody looked."""
    named_in_backups: tuple[str, ...] = ()
    """The bare ids of keys that its snapshots name, as long as no key of this id is known to be linked with it."""
    drift: tuple[str, ...] = ()
    """What was found changed from outside, told once each; gone from here when it is mended."""
    open_rotation: str | None = None
    change_sent_at: datetime | None = None
    """When the last change of settings was sent whose rotation ended without seeing it: it may still take effect."""
    generation: int = 1
    """The number of the current key among this project's keys, carried in the alias of the next."""
    last_rung: int | None = None
    """The last rung of the ladder that was spoken in this cycle, in days relative to the due date."""
    quiet_until: datetime | None = None
    acknowledged_by: str | None = None
    quiet_in_atlas_until: datetime | None = None
    """Until when people acknowledged Atlas' own alert about this key: as long we are quiet too."""
    quiet_in_atlas_by: str | None = None
    alert_to_answer: str | None = None
    """The id of the last rotation that was deployed, until Atlas' alert was seen closed or acknowledged."""
    next_reminder_at: datetime | None = None
    in_digest: bool = False
    """Whether the next reminder waits for the digest, and is not spoken by itself."""
    version: int = 0

    @property
    def silent_until(self) -> datetime | None:
        """Until when nobody wants to be reminded: the later of what was said to us and of what was said to Atlas."""
        return max((d for d in (self.quiet_until, self.quiet_in_atlas_until) if d is not None), default=None)

    @property
    def due(self) -> datetime | None:
        """When the next reminder is owed."""
        return self.next_reminder_at


@dataclass(frozen=True, kw_only=True)
class Check:
    """The result of one named preflight rule; `passed` is None when it could not be verified."""

    name: str
    passed: bool | None
    text: str


@dataclass(frozen=True, kw_only=True)
class Clause:
    """What a key's policy gives Atlas' principal, or denies it, of the three actions that it needs."""

    allows: bool
    actions: tuple[str, ...]
    condition: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What stopped a rotation: a code for machines, a sentence for people."""

    code: str
    detail: str


@dataclass(frozen=True, kw_only=True)
class Rotation:
    """One journey from a project's current key to the next."""

    kind: ClassVar[str] = "ROTATION"

    rotation_id: str
    project_id: str
    state: RotationState
    strategy: Strategy
    requested_by: str
    requested_at: datetime
    fingerprint: str
    """Digest of the request body: the same idempotency key with another body is another request."""
    old_key: KeyArn
    old_key_since: datetime | None = None
    """When the old key's cycle began: it goes on from there after a rollback."""
    reason: str = ""
    wanted_key: str | None = None
    """The operator's own key as written; None to have one created."""
    region: str | None = None
    """The AWS region that the next key is wanted in; None for that of the old key."""
    credentials_secret: str | None = None
    """The Secrets Manager id of an IAM user's credentials, for projects that still use one; never their value."""
    period_days: int | None = None
    """Every how many days KMS is to rotate by itself; None for other strategies."""
    emergency: bool = False
    """The old key may be known to others: what stays readable with it is listed once the new one is deployed."""
    principal: str | None = None
    """The ARN of the IAM role or user that Atlas comes as, seen in the preflight."""
    role_id: str | None = None
    inherited: tuple[Clause, ...] = ()
    """What the old key's policy says to the principal: the next key's policy repeats it."""
    creation_begun_at: datetime | None = None
    """From when on a key may exist that nobody has recorded: an answer was lost, or a process died on its way."""
    new_key: KeyArn | None = None
    created_by_us: bool = False
    alias: str | None = None
    checks: tuple[Check, ...] = ()
    waiting_for: tuple[str, ...] = ()
    error: Problem | None = None
    attempts: int = 0
    """Temporary failures in a row, for the back-off."""
    cancel_requested_by: str | None = None
    rollback_requested_by: str | None = None
    patch_sent_at: datetime | None = None
    """Written before the settings are changed: after a crash it says that a change may be on its way."""
    first_refused_at: datetime | None = None
    """Since when Atlas refuses the new key because IAM has not caught up yet."""
    refusal: Problem | None = None
    """What Atlas answered to the change of settings; believed only when the settings read back agree."""
    renewals_before: int | None = None
    """On-demand rotations of the key before this one was asked for: after a crash one more says that it was."""
    renewal_sent_at: datetime | None = None
    """Written before KMS is asked to renew the key's material."""
    evidence: tuple[str, ...] = ()
    """What KMS showed at the end: its own rotations of the key."""
    still_readable: str | None = None
    """Digest of the stored list of snapshots that the old key opens, written in an emergency."""
    untidy: bool = False
    """Ended before the swap, and a key made for it may not have been visible then: one more look is owed."""
    swapped_at: datetime | None = None
    settled_since: datetime | None = None
    """Since when every running encrypted cluster has been seen at rest, looked at without a break."""
    paused_clusters: tuple[str, ...] = ()
    deployed_at: datetime | None = None
    ended_at: datetime | None = None
    lease_until: datetime | None = None
    next_look_at: datetime | None = None
    version: int = 0

    @property
    def due(self) -> datetime | None:
        """When the next step is owed, None when the rotation has ended and left nothing behind."""
        return None if self.state.terminal and not self.untidy else self.next_look_at


@dataclass(frozen=True, kw_only=True)
class Reason:
    """One reason to keep a key: a kind for machines, a sentence for people.

    `until` is when the reason passes by itself if nothing changes, None when it will not; `call` names the
    Atlas or KMS call that failed, for a reason of kind `unread`.
    """

    kind: str
    text: str
    project_id: str | None = None
    cluster: str | None = None
    until: datetime | None = None
    call: str | None = None


@dataclass(frozen=True, kw_only=True)
class ClusterTally:
    """What one cluster holds of one key: written per cluster, never per snapshot."""

    project_id: str
    cluster: str
    cluster_id: str
    snapshots: int
    last_expiry: datetime | None = None
    newest: datetime | None = None
    """When its youngest snapshot was made."""
    copies_outlive_days: int | None = None
    """For how many days copies in other regions may outlive their originals; None where no copies were ever seen."""
    downloads: int = 0
    """How many of its snapshots were seen to be downloaded."""
    restore_window_days: int | None = None
    """How far back points in time can be restored, as last seen."""


@dataclass(frozen=True, kw_only=True)
class Harm:
    """What somebody did in KMS to a key that something needs, outside Keyturn, and that nobody has undone yet."""

    operation: str
    """As KMS calls it; `KeyDeleted` for a key that is gone."""
    actor: str
    seen_at: datetime
    deletion_date: datetime | None = None
    """When KMS is going to delete the key; None where nothing is scheduled."""


@dataclass(frozen=True, kw_only=True)
class Proof:
    """A verdict document as stored, and the digest that names it."""

    kind: ClassVar[str] = "PROOF"

    digest: str
    at: datetime
    arn: KeyArn
    document: str
    version: int = 0

    @property
    def due(self) -> datetime | None:
        """Proofs ask for nothing."""
        return None


@dataclass(frozen=True, kw_only=True)
class Key:
    """One CMK and all that is known of who needs it."""

    kind: ClassVar[str] = "KEY"

    arn: KeyArn
    state: KeyState
    projects: tuple[str, ...]
    """Every project that uses the key or ever used it."""
    first_seen_at: datetime
    created_by_us: bool = False
    rotation_id: str | None = None
    alias: str | None = None
    replaced_at: datetime | None = None
    """When the settings of its last project stopped naming it."""
    deployed_at: datetime | None = None
    """When its replacement had reached every running cluster; None while that is not so."""
    settled_since: datetime | None = None
    """For a key replaced by hand: since when every running encrypted cluster has been seen at rest."""
    paused_clusters: tuple[str, ...] = ()
    """Clusters (`project/cluster`) paused while the swap was deployed and not seen running since."""
    reasons: tuple[Reason, ...] = ()
    clusters: tuple[ClusterTally, ...] = ()
    swept_at: datetime | None = None
    last_used_at: datetime | None = None
    """The last use that KMS recorded: a use is a warning, silence is no proof."""
    clean_since: datetime | None = None
    """The first of an unbroken row of sweeps that found nothing that needs the key."""
    safe_since: datetime | None = None
    proof_digest: str | None = None
    proof_at: datetime | None = None
    attested_at: datetime | None = None
    attested_by: str | None = None
    attestation: str = ""
    deletion_id: str | None = None
    harm: Harm | None = None
    """What was done to it outside Keyturn and still stands."""
    past_deletions: tuple[str, ...] = ()
    """Requests to delete it that came to nothing: an auditor wants to see them too."""
    next_sweep_at: datetime | None = None
    version: int = 0

    @property
    def due(self) -> datetime | None:
        """When the next sweep is owed."""
        return self.next_sweep_at


@dataclass(frozen=True, kw_only=True)
class Deletion:
    """One request to delete a key, bound to the proof it was made on."""

    kind: ClassVar[str] = "DELETION"

    deletion_id: str
    arn: KeyArn
    state: DeletionState
    digest: str
    requested_by: str
    requested_at: datetime
    expires_at: datetime
    quarantine_days: int = 7
    reason: str = ""
    compensation: bool = False
    """The key was made for a rotation that gave up, and never served: nobody's approval is asked to take it back."""
    approved_by: str | None = None
    approved_at: datetime | None = None
    called_off_by: str | None = None
    quarantined_at: datetime | None = None
    scheduled_at: datetime | None = None
    deletion_date: datetime | None = None
    ended_at: datetime | None = None
    waiting_for: tuple[str, ...] = ()
    next_look_at: datetime | None = None
    version: int = 0

    @property
    def due(self) -> datetime | None:
        """When the next step is owed."""
        return None if self.state.terminal else self.next_look_at


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """What holds for every project that wishes nothing else; each takes a change up at its next daily look."""

    policy: Policy = field(default_factory=Policy)
    version: int = 0

    @property
    def due(self) -> None:
        """Nothing is owed to it."""
        return


@dataclass(frozen=True, kw_only=True)
class Told:
    """A rung that a digest has spoken: of which project, and of which of its cycles."""

    project_id: str
    cycle_start: datetime
    rung: int


@dataclass(frozen=True, kw_only=True)
class Desk:
    """Where the digests of one group of recipients are written; one is finished before the next is begun."""

    group: str
    unmarked: tuple[Told, ...] = ()
    """What the last digest spoke and no project's record says yet."""
    told_at: datetime | None = None
    version: int = 0

    @property
    def due(self) -> datetime | None:
        """Since when something is left to be marked."""
        return self.told_at if self.unmarked else None


@dataclass(frozen=True, kw_only=True)
class Notice:
    """One fact to tell people: written with the state change, sent afterwards, the same id on every copy."""

    kind_of_record: ClassVar[str] = "NOTICE"

    notice_id: str
    kind: NoticeKind
    subject: str
    text: str
    created_at: datetime
    project_id: str | None = None
    key_id: str | None = None
    rung: int | None = None
    recipients: tuple[str, ...] = ()
    escalate: bool = False
    detail: dict[str, str] = field(default_factory=dict)
    claimed_until: datetime | None = None
    sent_at: datetime | None = None
    attempts: int = 0
    reached: tuple[Channel, ...] = ()
    """Where it has gone already, after an attempt that did not get everywhere."""
    version: int = 0

    @property
    def channels(self) -> tuple[Channel, ...]:
        """Where it goes: to the event bus, to the alerts topic, and when it escalates to the other one too.

        The bus comes first, as machines know a second copy by its id: so few deaths as can be send people two.
        """
        return (Channel.BUS, Channel.ALERTS, Channel.ESCALATIONS) if self.escalate else (Channel.BUS, Channel.ALERTS)

    @property
    def due(self) -> datetime | None:
        """From when the notice waits to be sent, None once it was."""
        if self.sent_at is not None:
            return None
        return self.claimed_until or self.created_at


@dataclass(frozen=True, kw_only=True)
class AuditEntry:
    """Who did what, when and why, as one line of the trail; `subject` is a project, key or deletion id.

    Its place in the chain of its subject, and the request that caused it, are given by the tracker: see `chain.py`.
    """

    at: datetime
    who: str
    what: str
    subject: str
    why: str = ""
    before: str = ""
    after: str = ""


WATCH = "keyturn"
"""The name of the one record of what was found out about Keyturn itself."""


@dataclass(frozen=True, kw_only=True)
class Watch:
    """What was last found out about Keyturn itself: what piles up, what expires, what nobody may look at."""

    kind: ClassVar[str] = "WATCH"

    name: str = WATCH
    changed_at: datetime
    filled: tuple[str, ...] = ()
    """The dead-letter queues that were not empty."""
    expiring: tuple[str, ...] = ()
    """The service accounts with a secret that expires soon, in words."""
    unread: tuple[str, ...] = ()
    """The service accounts whose secrets Atlas does not show, in words."""
    asked_at: datetime | None = None
    """When Atlas last told, or refused to tell, of every service account."""
    unverified: tuple[str, ...] = ()
    """What else could not be looked at, and why, in words."""
    version: int = 0

    @property
    def due(self) -> datetime | None:
        """A schedule looks, whatever this record says."""
        return None


Record = Project | Rotation | Key | Deletion | Proof | Fleet | Desk | Watch


@dataclass(frozen=True, kw_only=True)
class Change:
    """All that one step records, saved in one transaction or not at all.

    Each record carries the version it was read at; the tracker refuses the whole change when any of them was
    written by somebody else since, or when a notice with the same id exists already.
    """

    records: tuple[Record, ...]
    notices: tuple[Notice, ...] = ()
    audit: tuple[AuditEntry, ...] = ()
    trails_read: tuple[tuple[str, int], ...] = ()
    """Subjects of `audit` whose trail was read before, with its length then: one that grew refuses the change."""
