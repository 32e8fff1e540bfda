"""The evidence that an auditor asks for: one project, one period, everything that was decided, done and proved.

Each key has the two dates of NIST SP 800-57 Part 1: until when it should encrypt (its originator-usage period, which
is the rotation period) and until when it may decrypt (its recipient-usage period: three years more at the most).
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from chalicelib.domain.countdown import free_at
from chalicelib.domain.records import AuditEntry, Deletion, Key, Project, Rotation, RotationState
from chalicelib.domain.reminders import due_at, period_days

SCHEMA_VERSION = "1"
DECRYPTS_FOR = timedelta(days=3 * 365)
"""How long after its originator-usage period a key-wrapping key may decrypt (SP 800-57 Part 1 Rev. 5, table 1)."""

CONTROLS = (
    ("PCI DSS 4.0.1", "3.7.4", "keys change at the end of their cryptoperiod", "policy, keys, rotations, exceptions"),
    ("PCI DSS 4.0.1", "3.7.5", "keys are retired, replaced or destroyed", "keys, rotations, deletions"),
    ("NIST SP 800-57 Part 1 Rev. 5", "5.3", "cryptoperiods: two dates for each key", "keys, exceptions"),
    ("CIS AWS Foundations", "3.6 (4.6 from 6.0 on)", "KMS rotates customer keys by itself", "keys"),
)
"""Standard, control, what it asks for in our words, and the parts of the pack that speak to it."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Everything that a pack is made from; a period without an end goes on until `now`."""

    project: Project
    rotations: tuple[Rotation, ...]
    keys: tuple[Key, ...]
    deletions: tuple[Deletion, ...]
    trail: tuple[AuditEntry, ...]
    begin: datetime | None
    end: datetime | None
    now: datetime


def compile_pack(facts: Facts) -> dict[str, Any]:
    """The pack as plain data; times are ISO 8601 in UTC."""
    rotations = [r for r in facts.rotations if _in_period(facts, r.requested_at, r.ended_at)]
    keys = [_key(facts, key) for key in sorted(facts.keys, key=lambda key: key.first_seen_at)]
    return {
        "schema_version": SCHEMA_VERSION,
        "made_at": _time(facts.now),
        "period": {"from": _time(facts.begin), "to": _time(facts.end or facts.now)},
        "project": {
            "project_id": facts.project.project_id,
            "name": facts.project.name,
            "organization": facts.project.organization,
            "covered": list(facts.project.covered),
            "not_covered": [asdict(cluster) for cluster in facts.project.not_covered],
        },
        "policy": {
            "rotation_period_days": period_days(facts.project),
            "set_by": "policy" if facts.project.policy.rotation_period_days else "the alert of Atlas, or the default",
            "due_at": _time(due_at(facts.project)),
            "history": [_entry(entry) for entry in facts.trail if entry.what == "policy changed"],
        },
        "keys": keys,
        "rotations": [_rotation(rotation) for rotation in rotations],
        "deletions": [_deletion(deletion) for deletion in facts.deletions],
        "trail": [_entry(entry) for entry in facts.trail if _in_period(facts, entry.at, entry.at)],
        "exceptions": list(_exceptions(facts)),
        "controls": [
            {"standard": standard, "control": control, "asks_for": asks, "see": see}
            for standard, control, asks, see in CONTROLS
        ],
    }


def _in_period(facts: Facts, begin: datetime, end: datetime | None) -> bool:
    after = facts.begin is None or end is None or end >= facts.begin
    return after and (facts.end is None or begin <= facts.end)


def began_at(facts: Facts, key: Key) -> datetime:
    """When the project began to encrypt with a key: the swap that brought it, else the first that is known of it."""
    if key.arn == facts.project.key and facts.project.key_since is not None:
        return facts.project.key_since
    swapped = [r.swapped_at for r in facts.rotations if r.new_key == key.arn and r.swapped_at is not None]
    left = [r.old_key_since for r in facts.rotations if r.old_key == key.arn and r.old_key_since is not None]
    return max(swapped, default=None) or max(left, default=key.first_seen_at)


def stop_encrypting_by(facts: Facts, key: Key) -> datetime:
    """The end of a key's originator-usage period under the present policy."""
    return began_at(facts, key) + timedelta(days=period_days(facts.project))


def _key(facts: Facts, key: Key) -> dict[str, Any]:
    until = stop_encrypting_by(facts, key)
    return {
        "arn": str(key.arn),
        "state": key.state,
        "created_by_keyturn": key.created_by_us,
        "in_use_from": _time(began_at(facts, key)),
        "stop_encrypting_by": _time(until),
        "stopped_encrypting_at": _time(key.replaced_at),
        "stop_decrypting_by": _time(until + DECRYPTS_FOR),
        "needed_until": _time(free_at(key)),
        "dependents": [
            {"cluster": c.cluster, "snapshots": c.snapshots, "last_expiry": _time(c.last_expiry)} for c in key.clusters
        ],
        "reasons_to_keep": [reason.text for reason in key.reasons],
        "last_use_known_to_kms": _time(key.last_used_at),
        "attestation": {"by": key.attested_by, "at": _time(key.attested_at), "says": key.attestation},
        "proof": {"digest": key.proof_digest, "at": _time(key.proof_at)},
    }


def _rotation(rotation: Rotation) -> dict[str, Any]:
    return {
        "rotation_id": rotation.rotation_id,
        "strategy": rotation.strategy,
        "state": rotation.state,
        "requested_by": rotation.requested_by,
        "reason": rotation.reason,
        "emergency": rotation.emergency,
        "requested_at": _time(rotation.requested_at),
        "settings_changed_at": _time(rotation.swapped_at),
        "deployed_at": _time(rotation.deployed_at),
        "ended_at": _time(rotation.ended_at),
        "old_key": str(rotation.old_key),
        "new_key": str(rotation.new_key) if rotation.new_key is not None else None,
        "checks": [asdict(check) for check in rotation.checks],
        "evidence": list(rotation.evidence),
        "error": asdict(rotation.error) if rotation.error is not None else None,
        "rollback_requested_by": rotation.rollback_requested_by,
    }


def _deletion(deletion: Deletion) -> dict[str, Any]:
    return {
        "deletion_id": deletion.deletion_id,
        "key": str(deletion.arn),
        "state": deletion.state,
        "proof": deletion.digest,
        "requested_by": deletion.requested_by,
        "requested_at": _time(deletion.requested_at),
        "approved_by": deletion.approved_by,
        "approved_at": _time(deletion.approved_at),
        "never_served": deletion.compensation,
        "disabled_at": _time(deletion.quarantined_at),
        "scheduled_at": _time(deletion.scheduled_at),
        "deletion_date": _time(deletion.deletion_date),
        "ended_at": _time(deletion.ended_at),
    }


def _entry(entry: AuditEntry) -> dict[str, Any]:
    return asdict(entry) | {"at": _time(entry.at)}


def _exceptions(facts: Facts) -> Iterable[dict[str, Any]]:
    for key in facts.keys:
        yield from _overdue(facts, key)
        yield from _outlives(facts, key)
    for rotation in facts.rotations:
        if rotation.state is RotationState.FAILED and rotation.error is not None:
            text = f"rotation {rotation.rotation_id} failed: {rotation.error.detail}"
            yield {"kind": "failed_rotation", "text": text, "key": str(rotation.old_key), "days": None}


def _overdue(facts: Facts, key: Key) -> Iterable[dict[str, Any]]:
    until = stop_encrypting_by(facts, key)
    in_use = key.arn == facts.project.key
    stopped = facts.now if in_use else key.replaced_at
    late = (stopped - until) // timedelta(days=1) if stopped is not None else 0
    if late > 0:
        did = "encrypts" if in_use else "encrypted"
        text = f"{key.arn} {did} for {late} days beyond its cryptoperiod"
        yield {"kind": "overdue", "text": text, "key": str(key.arn), "days": late}


def _outlives(facts: Facts, key: Key) -> Iterable[dict[str, Any]]:
    limit = stop_encrypting_by(facts, key) + DECRYPTS_FOR
    expiries = [c.last_expiry for c in key.clusters if c.last_expiry is not None]
    last = max(expiries, default=None)
    if last is not None and last > limit:
        days = (last - limit) // timedelta(days=1)
        text = f"snapshots need {key.arn} for {days} days beyond the end of its recipient-usage period"
        yield {"kind": "outlives", "text": text, "key": str(key.arn), "days": days}


def _time(moment: datetime | None) -> str | None:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment is not None else None
