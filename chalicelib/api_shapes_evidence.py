"""The evidence pack as types, for the OpenAPI document and the tests that hold real packs against them."""

from typing import Literal, TypedDict

from chalicelib.api_shapes import Arn, Check, Cursor, Error, NotCovered, Time
from chalicelib.domain.vocabulary import DeletionState, KeyState, Mode, RotationState, Strategy

Period = TypedDict("Period", {"from": Time | None, "to": Time | None})
"""From when to when; no beginning is the beginning of everything."""


class AboutProject(TypedDict):
    """The project that a pack is about."""

    project_id: str
    name: str
    organization: str
    key: Arn | None
    covered: list[str]
    not_covered: list[NotCovered]
    not_covered_because: str | None


class TrailEntry(TypedDict):
    """Who did what, when and why; and where it stands in the chain of its subject (null from before there were any)."""

    at: Time
    who: str
    what: str
    subject: str
    why: str
    before: str
    after: str
    request_id: str
    number: int | None
    previous: str | None
    hash: str | None


class ChainHead(TypedDict):
    """The number of a chain's last entry, and that one's hash."""

    number: int
    hash: str


class Chain(TypedDict):
    """Every entry about one subject, each with the hash of the one before it; no head is no entry yet."""

    subject: str
    head: ChainHead | None
    entries: list[TrailEntry]


class StoredProof(TypedDict):
    """A proof whose digest the pack names; that is the SHA-256 of the document."""

    digest: str
    key: Arn
    at: Time
    document: str


class PolicyInForce(TypedDict):
    """How often the key is to change, who says so, and who said what before."""

    rotation_period_days: int
    set_by: str
    due_at: Time | None
    mode: Mode
    strategy: Strategy
    quarantine_days: int
    history: list[TrailEntry]


class Dependent(TypedDict):
    """What one cluster holds of a key."""

    project_id: str
    cluster: str
    snapshots: int
    last_expiry: Time | None


class Attestation(TypedDict):
    """What a person vouched for; all empty when nobody did."""

    by: str | None
    at: Time | None
    says: str


class ProofOrNone(TypedDict):
    """The proof that nobody needs a key; both null when there is none."""

    digest: str | None
    at: Time | None


class KeyEvidence(TypedDict):
    """One key with its cryptoperiods."""

    arn: Arn
    state: KeyState
    created_by_keyturn: bool
    in_use_from: Time
    renewed_by_kms_at: Time | None
    stop_encrypting_by: Time
    stopped_encrypting_at: Time | None
    successor_deployed_at: Time | None
    stop_decrypting_by: Time
    needed_until: Time | None
    dependents: list[Dependent]
    dependents_seen_at: Time | None
    reasons_to_keep: list[str]
    last_use_known_to_kms: Time | None
    attestation: Attestation
    proof: ProofOrNone


class RotationEvidence(TypedDict):
    """One rotation, as it went."""

    rotation_id: str
    strategy: Strategy
    state: RotationState
    requested_by: str
    reason: str
    emergency: bool
    requested_at: Time
    settings_changed_at: Time | None
    deployed_at: Time | None
    ended_at: Time | None
    old_key: Arn
    new_key: Arn | None
    checks: list[Check]
    evidence: list[str]
    error: Error | None
    still_readable: str | None
    cancel_requested_by: str | None
    rollback_requested_by: str | None


class Proved(TypedDict):
    """What the proof behind a deletion counted."""

    at: Time
    clusters_read: int
    snapshots_read: int
    snapshots_of_this_key: int


class DeletionEvidence(TypedDict):
    """One deletion, as it went."""

    deletion_id: str
    key: Arn
    state: DeletionState
    proof: str
    proved: Proved | None
    requested_by: str
    requested_at: Time
    reason: str
    approved_by: str | None
    approved_at: Time | None
    called_off_by: str | None
    never_served: bool
    quarantine_days: int
    disabled_at: Time | None
    scheduled_at: Time | None
    deletion_date: Time | None
    ended_at: Time | None


class Deviation(TypedDict):
    """Where what happened is not what the policy or the standard asks for."""

    kind: Literal["overdue", "outlives", "failed_rotation", "broken_chain"]
    text: str
    key: Arn | None
    days: int | None


class Control(TypedDict):
    """A control of a standard, and the parts of the pack that speak to it."""

    standard: str
    control: str
    asks_for: str
    see: str


class Evidence(TypedDict):
    """Everything that was decided, done and proved about one project in one period; `chains` whatever the period.

    `digest` is the SHA-256 of everything else, written as RFC 8785 has it.
    """

    schema_version: str
    made_at: Time
    period: Period
    project: AboutProject
    policy: PolicyInForce
    keys: list[KeyEvidence]
    rotations: list[RotationEvidence]
    deletions: list[DeletionEvidence]
    proofs: list[StoredProof]
    trail: list[TrailEntry]
    chains: list[Chain]
    exceptions: list[Deviation]
    controls: list[Control]
    digest: str


class Summary(TypedDict):
    """What the evidence of one project comes to."""

    project_id: str
    name: str
    key: Arn | None
    rotation_period_days: int
    due_at: Time | None
    keys: int
    rotations: int
    deletions: int
    entries: int
    broken_chains: int
    exceptions: list[Deviation]


class FleetEvidence(TypedDict):
    """A page of the fleet's evidence, at most 25 projects long."""

    items: list[Summary]
    next: Cursor
