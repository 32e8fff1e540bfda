"""The evidence pack as types, for the OpenAPI document and the tests that hold real packs against them."""

from typing import TypedDict

from chalicelib.api_shapes import Arn, Check, Error, NotCovered, Time
from chalicelib.domain.records import DeletionState, KeyState, RotationState, Strategy

Period = TypedDict("Period", {"from": Time | None, "to": Time | None})
"""From when to when; no beginning is the beginning of everything."""


class AboutProject(TypedDict):
    """The project that a pack is about."""

    project_id: str
    name: str
    organization: str
    covered: list[str]
    not_covered: list[NotCovered]


class TrailEntry(TypedDict):
    """Who did what, when and why."""

    at: Time
    who: str
    what: str
    subject: str
    why: str
    before: str
    after: str


class PolicyInForce(TypedDict):
    """How often the key is to change, who says so, and who said what before."""

    rotation_period_days: int
    set_by: str
    due_at: Time | None
    history: list[TrailEntry]


class Dependent(TypedDict):
    """What one cluster holds of a key."""

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
    stop_encrypting_by: Time
    stopped_encrypting_at: Time | None
    stop_decrypting_by: Time
    needed_until: Time | None
    dependents: list[Dependent]
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
    rollback_requested_by: str | None


class DeletionEvidence(TypedDict):
    """One deletion, as it went."""

    deletion_id: str
    key: Arn
    state: DeletionState
    proof: str
    requested_by: str
    requested_at: Time
    approved_by: str | None
    approved_at: Time | None
    never_served: bool
    disabled_at: Time | None
    scheduled_at: Time | None
    deletion_date: Time | None
    ended_at: Time | None


class Deviation(TypedDict):
    """Where what happened is not what the policy or the standard asks for."""

    kind: str
    text: str
    key: Arn
    days: int | None


class Control(TypedDict):
    """A control of a standard, and the parts of the pack that speak to it."""

    standard: str
    control: str
    asks_for: str
    see: str


class Evidence(TypedDict):
    """Everything that was decided, done and proved about one project in one period."""

    schema_version: str
    made_at: Time
    period: Period
    project: AboutProject
    policy: PolicyInForce
    keys: list[KeyEvidence]
    rotations: list[RotationEvidence]
    deletions: list[DeletionEvidence]
    trail: list[TrailEntry]
    exceptions: list[Deviation]
    controls: list[Control]
