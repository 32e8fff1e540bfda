"""The answers of the API as types: the OpenAPI document is drawn from them, tests hold real answers against them."""

from typing import Annotated, Any, Literal, NotRequired, TypedDict

from msgspec import Meta

from chalicelib.domain.vocabulary import About, DeletionState, GuardMode, KeyState, Mode, RotationState, Strategy

Time = Annotated[str, Meta(extra_json_schema={"format": "date-time"}, description="UTC, to the second.")]
Arn = Annotated[str, Meta(description="The full ARN of a KMS key.")]
Cursor = Annotated[str | None, Meta(description="Goes back as `cursor` for the next page; null when there is none.")]


class Health(TypedDict):
    """The API is alive."""

    status: Literal["ok"]
    version: str


class NotCovered(TypedDict):
    """A cluster that a rotation does not reach, and why."""

    name: str
    reason: str


class Wishes(TypedDict):
    """What people want of Keyturn."""

    ladder: Annotated[list[int], Meta(description="Days relative to `due_at`; negative is before.")]
    mode: Mode
    strategy: Strategy
    automatic_period_days: int
    kms_role_arn: str | None
    recipients: list[str]
    escalate_after_days: int
    digest: bool
    digest_hour: int
    quarantine_days: int
    guard: GuardMode
    delete_foreign_keys: bool
    prove_by_snapshot: bool
    attestation_always: bool


class Policy(Wishes):
    """What holds for a project: the fleet's policy, with the project's own wishes over it."""

    rotation_period_days: int


class Fleet(TypedDict):
    """What holds for every project that wishes nothing else."""

    policy: "FleetPolicy"


class FleetPolicy(Wishes):
    """The fleet's policy; without a period each project goes by the alert of its Atlas, else by 90 days."""

    rotation_period_days: int | None


class Project(TypedDict):
    """One Atlas project: its key, when it is due, and what is under way."""

    project_id: str
    name: str
    organization: str
    key: Arn | None
    key_since: Time | None
    due_at: Time | None
    valid: Annotated[bool | None, Meta(description="Whether Atlas itself finds the settings valid.")]
    access_key_id: Annotated[str | None, Meta(description="The IAM user's access key in the settings, no secret.")]
    access_key_seen_at: Annotated[Time | None, Meta(description="Since when it was seen; its true age only IAM knows.")]
    open_rotation: str | None
    banner: Annotated[str | None, Meta(description="What people must know while a rotation deploys.")]
    not_covered_because: str | None
    covered: list[str]
    not_covered: list[NotCovered]
    drift: Annotated[list[str], Meta(description="What was changed from outside.")]
    quiet_until: Annotated[
        Time | None,
        Meta(
            description="Until when people asked for silence, here or in Atlas; a rotation that the policy makes waits"
            " as long."
        ),
    ]
    acknowledged_by: Annotated[str | None, Meta(description="Who did; `atlas: …` for an alert acknowledged there.")]
    atlas_threshold_days: Annotated[
        int | None, Meta(description="After how many days Atlas' own alert comes; null where there is none.")
    ]
    policy: Policy
    policy_own: Annotated[list[str], Meta(description="The fields of the policy that were set for this project.")]


class AtlasThreshold(TypedDict):
    """What became of the threshold of Atlas' own alert."""

    project_id: str
    before_days: int
    after_days: int
    changed: bool
    note: Annotated[str, Meta(description="What Atlas' alert does not see.")]


class Watch(TypedDict):
    """What Keyturn found out about itself."""

    changed_at: Annotated[Time | None, Meta(description="When this was last otherwise; null before the first look.")]
    dead_letters: Annotated[list[str], Meta(description="The dead-letter queues that are not empty.")]
    expiring: Annotated[list[str], Meta(description="The secrets of service accounts that expire soon.")]
    unverified: Annotated[list[str], Meta(description="What Keyturn may not look at.")]


class Happened(TypedDict):
    """One line of the audit trail: who did what, when and why."""

    at: Time
    who: str
    what: str
    about: About
    subject: Annotated[str, Meta(description="The id of the project, key, deletion or alert that it is about.")]
    name: Annotated[str | None, Meta(description="The project's name, where it is about one.")]
    why: str
    before: str
    after: str
    number: Annotated[int, Meta(description="Its place in the chain of its subject.")]
    request_id: Annotated[str, Meta(description="The request that caused it; empty where there was none.")]


class Activity(TypedDict):
    """A page of what happened, newest first."""

    items: list[Happened]
    next: Cursor


class Projects(TypedDict):
    """A page of the fleet."""

    items: list[Project]
    next: Cursor


class Mail(TypedDict):
    """One reminder to come."""

    at: Time
    rung: int
    in_digest: bool


class KeyAhead(TypedDict):
    """A key's days ahead; `arn` is null for one that is not made yet."""

    arn: Arn | None
    since: Time | None
    replaced_at: Time | None
    free_at: Annotated[Time | None, Meta(description="null while nobody can say.")]


class Month(TypedDict):
    """How many keys a project pays for, if each old one is given up as soon as that can be."""

    at: Time
    keys: int
    dollars_per_month: float


class Rehearsal(TypedDict):
    """What the days ahead bring one project if every rotation is made on its due day, and nothing else changes."""

    project_id: str
    name: str
    recipients: list[str]
    mails: list[Mail]
    rotations: list[Time]
    keys: list[KeyAhead]
    months: Annotated[list[Month], Meta(description="Every 30 days from today on.")]


class Rehearsals(TypedDict):
    """A page of the fleet's days ahead."""

    items: list[Rehearsal]
    next: Cursor


class Check(TypedDict):
    """One rule looked at before a rotation; `passed` is null when it could not be verified."""

    name: str
    passed: bool | None
    text: str


class DryRun(TypedDict):
    """The checks of a rotation that nobody has opened."""

    dry_run: Literal[True]
    checks: list[Check]


class Error(TypedDict):
    """What stopped a rotation: a code for machines, a sentence for people."""

    code: str
    detail: str


class Rotation(TypedDict):
    """One journey from a project's current key to the next."""

    rotation_id: str
    project_id: str
    state: RotationState
    strategy: Strategy
    old_key: Arn
    new_key: Arn | None
    requested_by: str
    reason: str
    emergency: bool
    region: str | None
    credentials_secret: Annotated[str | None, Meta(description="The name of a secret, never its value.")]
    rollback_requested_by: str | None
    cancel_requested_by: str | None
    evidence: list[str]
    waiting_for: list[str]
    checks: list[Check]
    error: Error | None
    banner: str | None
    requested_at: Time
    swapped_at: Time | None
    deployed_at: Time | None
    ended_at: Time | None


class StillReadable(TypedDict):
    """The snapshots that the old key still opens after an emergency."""

    key: Arn
    at: str
    counted: Annotated[int, Meta(description="All of them; the list may be shorter.")]
    unread: Annotated[list[str], Meta(description="What could not be read, and may hold more.")]
    snapshots: Annotated[
        list[list[Any]], Meta(description="Cluster, snapshot, made at, kept until, whether its key was seen.")
    ]


class RotationInFull(Rotation):
    """A rotation, and after an emergency what the old key still opens."""

    still_readable: StillReadable | None


class Rotations(TypedDict):
    """A page of a project's rotations."""

    items: list[Rotation]
    next: Cursor


class Reason(TypedDict):
    """One reason to keep a key; `call` names the call that failed, for the kind `unread`."""

    kind: str
    text: str
    project_id: str | None
    cluster: str | None
    until: Annotated[Time | None, Meta(description="When the reason passes by itself; null when it will not.")]
    call: str | None


class Tally(TypedDict):
    """What one cluster holds of one key."""

    project_id: str
    cluster: str
    snapshots: int
    last_expiry: Time | None
    newest: Time | None


class KeyWarning(TypedDict):
    """What does not keep a key, and yet should make people look."""

    kind: str
    text: str
    at: Time | None


class ProofNamed(TypedDict):
    """The proof that nobody needs a key, by the digest that an approval names."""

    digest: str
    at: Time | None


class Key(TypedDict):
    """One KMS key: who needs it, until when, what it costs, and the proof when nobody does."""

    arn: Arn
    key_id: str
    state: KeyState
    projects: list[str]
    created_by_us: bool
    safe_to_delete: bool
    reasons: list[Reason]
    clusters: list[Tally]
    replaced_at: Time | None
    deployed_at: Time | None
    swept_at: Time | None
    free_at: Annotated[Time | None, Meta(description="When nothing will need it any more; null when nobody knows.")]
    held_longest_by: Reason | None
    warnings: list[KeyWarning]
    dollars_per_month: float
    proof: ProofNamed | None
    deletion_id: str | None


class WhatIf(TypedDict):
    """When a key would come free if snapshots were kept no longer than so many days."""

    retention_days: int
    free_at: Time | None


class KeyInFull(Key):
    """A key, and with `retention_days` when it would come free."""

    what_if: NotRequired[WhatIf]


class Retiring(TypedDict):
    """How many keys no project uses any more, and what they cost."""

    keys: int
    dollars_per_month: float


class Endangered(TypedDict):
    """A needed key that somebody disabled, or scheduled for deletion, outside Keyturn, and that nobody brought back."""

    arn: Arn
    key_id: str
    projects: list[str]
    warning: KeyWarning


class Keys(TypedDict):
    """A page of all keys; the first page also says what the retiring ones cost, and which needed ones were harmed."""

    items: list[Key]
    next: Cursor
    retiring: NotRequired[Retiring]
    endangered: NotRequired[list[Endangered]]


class Deletion(TypedDict):
    """One request to delete a key, bound to the proof it was made on."""

    deletion_id: str
    key: Arn
    state: DeletionState
    digest: str
    requested_by: str
    approved_by: str | None
    called_off_by: str | None
    compensation: Annotated[bool, Meta(description="The key was made for a rotation that gave up.")]
    waiting_for: list[str]
    quarantine_days: int
    requested_at: Time
    expires_at: Time
    approved_at: Time | None
    quarantined_at: Time | None
    scheduled_at: Time | None
    deletion_date: Time | None
    ended_at: Time | None


class Verdict(TypedDict):
    """What became of a webhook call."""

    verdict: str


class Because(TypedDict):
    """One reason of a problem."""

    kind: str
    text: str
    project_id: str | None
    cluster: str | None


class Problem(TypedDict):
    """Why a request was not carried out (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    request_id: Annotated[str, Meta(description="As in the header x-request-id: the log tells more under it.")]
    reasons: NotRequired[list[Because]]
    rotation_id: NotRequired[Annotated[str, Meta(description="The rotation that stands in the way.")]]
    choices: NotRequired[Annotated[str, Meta(description="Where keys of this id live.")]]
    role: NotRequired[Annotated[str, Meta(description="The role that the caller lacks.")]]


class GatewayMessage(TypedDict):
    """What API Gateway says before anything of Keyturn runs."""

    message: str
