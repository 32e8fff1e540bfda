"""The evidence that an auditor asks for: one project, one period, everything that was decided, done and proved.

The chains of the audit trail are in it whole, whatever the period, and `digest` is that of all the rest: `keyturn
verify` checks both, and docs/audit.md says how anybody can.

Each key has the two dates of NIST SP 800-57 Part 1: until when it should encrypt (its originator-usage period, which
is the rotation period) and until when it may decrypt (its recipient-usage period: three years more at the most).
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from chalicelib.domain.canonical import digest_of
from chalicelib.domain.chain import Row, Trail, faults_of, shape_of
from chalicelib.domain.countdown import free_at
from chalicelib.domain.counting import counted
from chalicelib.domain.records import Deletion, Key, Project, Proof, Rotation
from chalicelib.domain.refusals import No, Refusal
from chalicelib.domain.reminders import due_at, period_days
from chalicelib.domain.vocabulary import RotationState, Strategy

SCHEMA_VERSION = "1"
DECRYPTS_FOR = timedelta(days=3 * 365)
"""How long after its originator-usage period a key-wrapping key may decrypt (SP 800-57 Part 1 Rev. 5, table 1)."""

CONTROLS = (
    ("PCI DSS 4.0.1", "3.7.4", "keys change at the end of their cryptoperiod", "policy, keys, rotations, exceptions"),
    (
        "PCI DSS 4.0.1",
        "3.7.5",
        "keys are retired, replaced or destroyed, and no longer encrypt from then on",
        "keys, rotations, deletions, proofs, trail",
    ),
    ("NIST SP 800-57 Part 1 Rev. 5", "5.3", "cryptoperiods: two dates for each key", "policy, keys, exceptions"),
    (
        "CIS AWS Foundations",
        "3.6 (4.6 from 6.0 on)",
        "customer keys are rotated every year or upon an event",
        "policy, keys, rotations",
    ),
)
"""Standard, control, what it asks for in our words, and the parts of the pack that speak to it."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Everything that a pack is made from; a period without an end goes on until `now`."""

    project: Project
    rotations: tuple[Rotation, ...]
    keys: tuple[Key, ...]
    deletions: tuple[Deletion, ...]
    trails: tuple[Trail, ...]
    """One for the project, each key and each deletion."""
    proofs: tuple[Proof, ...]
    begin: datetime | None
    end: datetime | None
    now: datetime


def check_period(begin: datetime | None, end: datetime | None, now: datetime) -> None:
    """Refuse a period in which nothing can lie: its pack would look complete and clean."""
    if begin is not None and begin >= (end or now):
        upto = f"`to` ({_time(end)})" if end is not None else f"now ({_time(now)}), where a period without `to` ends"
        text = f"`from` ({_time(begin)}) must lie before {upto}; a date is its first moment in UTC"
        raise Refusal(No.INVALID, text)


def compile_pack(facts: Facts) -> dict[str, Any]:
    """The pack as plain data; times are ISO 8601 in UTC."""
    chains = [shape_of(trail) for trail in facts.trails]
    rows = sorted((row for chain in chains for row in chain["entries"]), key=lambda row: str(row["at"]))
    rotations = sorted(facts.rotations, key=lambda rotation: rotation.requested_at)
    pack = {
        "schema_version": SCHEMA_VERSION,
        "made_at": _time(facts.now),
        "period": {"from": _time(facts.begin), "to": _time(facts.end or facts.now)},
        "project": _project(facts.project),
        "policy": _policy(facts, rows),
        "keys": [_key(facts, key) for key in sorted(facts.keys, key=lambda key: key.first_seen_at)],
        "rotations": [_rotation(r) for r in rotations if _in_period(facts, r.requested_at, r.ended_at)],
        "deletions": [_deletion(facts, d) for d in facts.deletions if _in_period(facts, d.requested_at, d.ended_at)],
        "proofs": [_proof(proof) for proof in facts.proofs],
        "trail": [row for row in rows if _is_in_period(facts, row)],
        "chains": chains,
        "exceptions": list(_exceptions(facts, chains)),
        "controls": [
            {"standard": standard, "control": control, "asks_for": asks, "see": see}
            for standard, control, asks, see in CONTROLS
        ],
    }
    return pack | {"digest": digest_of(pack)}


def summary_of(pack: dict[str, Any]) -> dict[str, Any]:
    """What a pack comes to, in one line of a fleet."""
    exceptions, chains = pack["exceptions"], pack["chains"]
    return {
        "project_id": pack["project"]["project_id"],
        "name": pack["project"]["name"],
        "key": pack["project"]["key"],
        "rotation_period_days": pack["policy"]["rotation_period_days"],
        "due_at": pack["policy"]["due_at"],
        "keys": len(pack["keys"]),
        "rotations": len(pack["rotations"]),
        "deletions": len(pack["deletions"]),
        "entries": sum(len(chain["entries"]) for chain in chains),
        "broken_chains": sum(1 for one in exceptions if one["kind"] == "broken_chain"),
        "exceptions": exceptions,
    }


def _project(project: Project) -> dict[str, Any]:
    return {
        "project_id": project.project_id,
        "name": project.name,
        "organization": project.organization,
        "key": str(project.key) if project.key is not None else None,
        "covered": list(project.covered),
        "not_covered": [asdict(cluster) for cluster in project.not_covered],
        "not_covered_because": project.not_covered_because,
    }


def _policy(facts: Facts, rows: Sequence[Row]) -> dict[str, Any]:
    policy = facts.project.policy
    return {
        "rotation_period_days": period_days(facts.project),
        "set_by": "policy" if policy.rotation_period_days else "the alert of Atlas, or the default",
        "due_at": _time(due_at(facts.project)),
        "mode": policy.mode,
        "strategy": policy.strategy,
        "quarantine_days": policy.quarantine_days,
        "history": [row for row in rows if row["what"] == "policy changed"],
    }


def _in_period(facts: Facts, begin: datetime, end: datetime | None) -> bool:
    after = facts.begin is None or end is None or end >= facts.begin
    return after and (facts.end is None or begin <= facts.end)


def _is_in_period(facts: Facts, row: Row) -> bool:
    at = datetime.fromisoformat(str(row["at"]))
    return _in_period(facts, at, at)


def began_at(facts: Facts, key: Key) -> datetime:
    """When the project began to encrypt with a key: the swap that brought it, else the first that is known of it."""
    if key.arn == facts.project.key and facts.project.key_since is not None:
        return facts.project.key_since
    swapped = [r.swapped_at for r in facts.rotations if r.new_key == key.arn and r.swapped_at is not None]
    left = [r.old_key_since for r in facts.rotations if r.old_key == key.arn and r.old_key_since is not None]
    return max(swapped, default=None) or max(left, default=key.first_seen_at)


def renewed_at(facts: Facts, key: Key) -> datetime | None:
    """When KMS last gave a key new material, as far as we know; None for never."""
    ours = [
        r.deployed_at
        for r in facts.rotations
        if r.old_key == key.arn and r.strategy is not Strategy.NEW_CMK and r.deployed_at is not None
    ]
    seen = facts.project.rotated_by_kms_at if key.arn == facts.project.key else None
    return max([*ours, *([seen] if seen is not None else [])], default=None)


def stop_encrypting_by(facts: Facts, key: Key) -> datetime:
    """The end of a key's originator-usage period under the present policy: new material begins a new one."""
    began, renewed = began_at(facts, key), renewed_at(facts, key)
    return max(began, renewed or began) + timedelta(days=period_days(facts.project))


def _key(facts: Facts, key: Key) -> dict[str, Any]:
    until = stop_encrypting_by(facts, key)
    return {
        "arn": str(key.arn),
        "state": key.state,
        "created_by_keyturn": key.created_by_us,
        "in_use_from": _time(began_at(facts, key)),
        "renewed_by_kms_at": _time(renewed_at(facts, key)),
        "stop_encrypting_by": _time(until),
        "stopped_encrypting_at": _time(key.replaced_at),
        "successor_deployed_at": _time(key.deployed_at),
        "stop_decrypting_by": _time(until + DECRYPTS_FOR),
        "needed_until": _time(free_at(key)),
        "dependents": [
            {
                "project_id": c.project_id,
                "cluster": c.cluster,
                "snapshots": c.snapshots,
                "last_expiry": _time(c.last_expiry),
            }
            for c in key.clusters
        ],
        "dependents_seen_at": _time(key.swept_at),
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
        "still_readable": rotation.still_readable,
        "cancel_requested_by": rotation.cancel_requested_by,
        "rollback_requested_by": rotation.rollback_requested_by,
    }


def _deletion(facts: Facts, deletion: Deletion) -> dict[str, Any]:
    return {
        "deletion_id": deletion.deletion_id,
        "key": str(deletion.arn),
        "state": deletion.state,
        "proof": deletion.digest,
        "proved": _proved(facts, deletion),
        "requested_by": deletion.requested_by,
        "requested_at": _time(deletion.requested_at),
        "reason": deletion.reason,
        "approved_by": deletion.approved_by,
        "approved_at": _time(deletion.approved_at),
        "called_off_by": deletion.called_off_by,
        "never_served": deletion.compensation,
        "quarantine_days": deletion.quarantine_days,
        "disabled_at": _time(deletion.quarantined_at),
        "scheduled_at": _time(deletion.scheduled_at),
        "deletion_date": _time(deletion.deletion_date),
        "ended_at": _time(deletion.ended_at),
    }


def _proved(facts: Facts, deletion: Deletion) -> dict[str, Any] | None:
    """What the proof of a deletion counted of those who depended on the key; None when it is not stored any more."""
    proof = next((p for p in facts.proofs if (p.arn, p.digest) == (deletion.arn, deletion.digest)), None)
    if proof is None:
        return None
    tallies = [c["tally"] for p in json.loads(proof.document)["projects"] for c in p["clusters"]]
    return {
        "at": _time(proof.at),
        "clusters_read": len(tallies),
        "snapshots_read": sum(tally["read"] for tally in tallies),
        "snapshots_of_this_key": sum(tally["of_this_key"] for tally in tallies),
    }


def _proof(proof: Proof) -> dict[str, Any]:
    return {"digest": proof.digest, "key": str(proof.arn), "at": _time(proof.at), "document": proof.document}


def _exceptions(facts: Facts, chains: Iterable[Row]) -> Iterator[dict[str, Any]]:
    for key in facts.keys:
        yield from _overdue(facts, key)
        yield from _outlives(facts, key)
    for rotation in facts.rotations:
        failed = rotation.state is RotationState.FAILED and rotation.error is not None
        if failed and _in_period(facts, rotation.requested_at, rotation.ended_at):
            text = f"rotation {rotation.rotation_id} failed: {rotation.error.detail if rotation.error else ''}"
            yield {"kind": "failed_rotation", "text": text, "key": str(rotation.old_key), "days": None}
    for chain in chains:
        for fault in faults_of(chain):
            place = f", entry {fault.number}" if fault.number is not None else ""
            text = f"audit trail of {fault.subject}{place}: {fault.what}"
            yield {"kind": "broken_chain", "text": text, "key": None, "days": None}


def _overdue(facts: Facts, key: Key) -> Iterable[dict[str, Any]]:
    until = stop_encrypting_by(facts, key)
    in_use = key.arn == facts.project.key
    judged = min(facts.end or facts.now, facts.now)
    stopped = judged if in_use else key.replaced_at
    late = (min(stopped, judged) - until) // timedelta(days=1) if stopped is not None else 0
    if late > 0:
        did = "encrypts" if in_use else "encrypted"
        text = f"{key.arn} {did} for {counted(late, 'day')} beyond its cryptoperiod"
        yield {"kind": "overdue", "text": text, "key": str(key.arn), "days": late}


def _outlives(facts: Facts, key: Key) -> Iterable[dict[str, Any]]:
    limit = stop_encrypting_by(facts, key) + DECRYPTS_FOR
    expiries = [c.last_expiry for c in key.clusters if c.last_expiry is not None]
    last = max(expiries, default=None)
    if last is not None and last > limit:
        days = (last - limit) // timedelta(days=1)
        text = f"snapshots need {key.arn} for {counted(days, 'day')} beyond the end of its recipient-usage period"
        yield {"kind": "outlives", "text": text, "key": str(key.arn), "days": days}


def _time(moment: datetime | None) -> str | None:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment is not None else None
