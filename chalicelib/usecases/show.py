"""Shows: what the tracker holds, in the shapes that the API promises."""

import json
from datetime import datetime
from functools import partial
from typing import Any

from chalicelib.domain.activity import about
from chalicelib.domain.chain import Link
from chalicelib.domain.countdown import dollars_per_month, free_at, free_at_with, held_longest_by, used_since
from chalicelib.domain.deployment import banner
from chalicelib.domain.guarding import is_needed
from chalicelib.domain.records import Deletion, Key, Policy, Project, Reason, Rotation
from chalicelib.domain.reminders import cycle_start, due_at, period_days
from chalicelib.domain.retention import is_safe
from chalicelib.domain.vocabulary import About, KeyState
from chalicelib.domain.wording_deletion import harm_told, kind_of_harm
from chalicelib.usecases.locate import deletion_named, key_named, project_named, rotation_named
from chalicelib.usecases.observe import all_of
from chalicelib.usecases.ports import Outside

Shape = dict[str, Any]


def show_projects(outside: Outside, cursor: str | None, limit: int) -> Shape:
    """The fleet, page by page."""
    page = outside.tracker.projects(cursor, limit)
    return {"items": [_project(outside, project) for project in page.items], "next": page.next}


def show_project(outside: Outside, project_id: str) -> Shape:
    """One project."""
    return show_project_version(outside, project_id)[1]


def show_project_version(outside: Outside, project_id: str) -> tuple[int, Shape]:
    """The version that a project is remembered at, and the project."""
    project = project_named(outside, project_id)
    return project.version, _project(outside, project)


def show_rotations(outside: Outside, project_id: str, cursor: str | None, limit: int) -> Shape:
    """A project's rotations, page by page, the latest request first."""
    show_project(outside, project_id)
    page = outside.tracker.rotations(project_id, cursor, limit)
    return {"items": [rotation_shape(rotation) for rotation in page.items], "next": page.next}


def show_rotation(outside: Outside, project_id: str, rotation_id: str) -> Shape:
    """One rotation."""
    rotation = rotation_named(outside, project_id, rotation_id)
    return rotation_shape(rotation) | {"still_readable": _still_readable(outside, rotation)}


def _still_readable(outside: Outside, rotation: Rotation) -> Shape | None:
    """The stored list of what the old key still opens after an emergency."""
    if rotation.still_readable is None:
        return None
    proof = outside.tracker.proof(rotation.old_key, rotation.still_readable)
    return json.loads(proof.document) if proof is not None else None


def show_keys(outside: Outside, cursor: str | None, limit: int) -> Shape:
    """All keys, page by page; with the first page what the old ones cost, and which needed ones were harmed."""
    page = outside.tracker.keys(cursor, limit)
    shown = {"items": [key_shape(key) for key in page.items], "next": page.next}
    return shown if cursor is not None else shown | _of_all_keys(tuple(all_of(outside.tracker.keys)))


def _of_all_keys(keys: tuple[Key, ...]) -> Shape:
    retiring = [key for key in keys if not key.state.in_use and key.state is not KeyState.DELETED]
    harmed = [key for key in keys if _is_harmed(key) and is_needed(key)]
    return {
        "retiring": {"keys": len(retiring), "dollars_per_month": sum(dollars_per_month(key) for key in retiring)},
        "endangered": [
            {
                "arn": str(key.arn),
                "key_id": key.arn.key_id,
                "projects": list(key.projects),
                "warning": _warnings(key)[0],
            }
            for key in sorted(harmed, key=_by_date)
        ],
    }


def _by_date(key: Key) -> tuple[bool, datetime]:
    """What KMS deletes first comes first, and what it does not delete last."""
    date = key.harm.deletion_date if key.harm is not None else None
    return date is None, date or key.first_seen_at


def show_key(
    outside: Outside,
    key_id: str,
    *,
    account: str | None = None,
    region: str | None = None,
    retention_days: int | None = None,
) -> Shape:
    """One key by its id or ARN; with `retention_days` also when it would come free under that retention."""
    key = key_named(outside, key_id, account=account, region=region)
    if retention_days is None:
        return key_shape(key)
    what_if = {"retention_days": retention_days, "free_at": _time(free_at_with(key, retention_days))}
    return key_shape(key) | {"what_if": what_if}


def show_deletion(outside: Outside, deletion_id: str) -> Shape:
    """One request to delete a key."""
    return deletion_shape(deletion_named(outside, deletion_id))


def show_activity(outside: Outside, cursor: str | None, limit: int) -> Shape:
    """What happened in the whole fleet, page by page, newest first; projects are told by their names too."""
    page = outside.tracker.activity(cursor, limit)
    subjects = dict.fromkeys(link.entry.subject for link in page.items)
    named = [subject for subject in subjects if about(subject) is About.PROJECT]
    found = outside.at_once(*(partial(outside.tracker.project, subject) for subject in named))
    names = {project.project_id: project.name for project in found if project is not None}
    return {"items": [_entry(link, names.get(link.entry.subject)) for link in page.items], "next": page.next}


def _entry(link: Link, name: str | None) -> Shape:
    entry = link.entry
    return {
        "at": _time(entry.at),
        "who": entry.who,
        "what": entry.what,
        "about": about(entry.subject),
        "subject": entry.subject,
        "name": name,
        "why": entry.why,
        "before": entry.before,
        "after": entry.after,
        "number": link.number,
        "request_id": link.request_id,
    }


def show_watch(outside: Outside) -> Shape:
    """What was found out about Keyturn itself; `changed_at` is null before the first look."""
    seen = outside.tracker.watch()
    return {
        "changed_at": _time(seen.changed_at) if seen is not None else None,
        "dead_letters": list(seen.filled) if seen is not None else [],
        "expiring": list(seen.expiring) if seen is not None else [],
        "unverified": [*seen.unverified, *seen.unread] if seen is not None else [],
    }


def _project(outside: Outside, project: Project) -> Shape:
    rotation = (
        outside.tracker.rotation(project.project_id, project.open_rotation)
        if project.open_rotation is not None
        else None
    )
    return project_shape(project, rotation)


def project_shape(project: Project, rotation: Rotation | None) -> Shape:
    """A project as the API promises it."""
    return {
        "project_id": project.project_id,
        "name": project.name,
        "organization": project.organization,
        "key": str(project.key) if project.key is not None else None,
        "key_since": _time(cycle_start(project)),
        "due_at": _time(due_at(project)),
        "valid": project.valid,
        "access_key_id": project.access_key_id,
        "access_key_seen_at": _time(project.access_key_seen_at),
        "open_rotation": project.open_rotation,
        "banner": banner(rotation) if rotation is not None else None,
        "not_covered_because": project.not_covered_because,
        "covered": list(project.covered),
        "not_covered": [{"name": c.name, "reason": c.reason} for c in project.not_covered],
        "drift": list(project.drift),
        "quiet_until": _time(project.silent_until),
        "acknowledged_by": _who_asked_for_silence(project),
        "atlas_threshold_days": project.atlas_threshold_days,
        "policy": _policy(project.policy) | {"rotation_period_days": period_days(project)},
        "policy_own": list(project.policy_own),
    }


def show_fleet_version(outside: Outside) -> tuple[int, Shape]:
    """The version that the fleet's policy is remembered at, and the policy."""
    fleet = outside.tracker.fleet()
    return fleet.version, {"policy": _policy(fleet.policy)}


def _policy(policy: Policy) -> Shape:
    return {
        "rotation_period_days": policy.rotation_period_days,
        "ladder": list(policy.ladder),
        "mode": policy.mode,
        "strategy": policy.strategy,
        "automatic_period_days": policy.automatic_period_days,
        "kms_role_arn": policy.kms_role_arn,
        "recipients": list(policy.recipients),
        "escalate_after_days": policy.escalate_after_days,
        "digest": policy.digest,
        "digest_hour": policy.digest_hour,
        "quarantine_days": policy.quarantine_days,
        "guard": policy.guard,
        "delete_foreign_keys": policy.delete_foreign_keys,
        "prove_by_snapshot": policy.prove_by_snapshot,
        "attestation_always": policy.attestation_always,
    }


def _who_asked_for_silence(project: Project) -> str | None:
    """Who keeps us quiet: an operator, or somebody in Atlas, whichever lasts longer."""
    if project.silent_until is None:
        return None
    if project.silent_until == project.quiet_until:
        return project.acknowledged_by
    return f"atlas: {project.quiet_in_atlas_by or 'somebody'}"


def rotation_shape(rotation: Rotation) -> Shape:
    """A rotation as the API promises it."""
    return {
        "rotation_id": rotation.rotation_id,
        "project_id": rotation.project_id,
        "state": rotation.state,
        "strategy": rotation.strategy,
        "old_key": str(rotation.old_key),
        "new_key": str(rotation.new_key) if rotation.new_key is not None else None,
        "requested_by": rotation.requested_by,
        "reason": rotation.reason,
        "emergency": rotation.emergency,
        "region": rotation.region,
        "credentials_secret": rotation.credentials_secret,
        "rollback_requested_by": rotation.rollback_requested_by,
        "cancel_requested_by": rotation.cancel_requested_by,
        "evidence": list(rotation.evidence),
        "waiting_for": list(rotation.waiting_for),
        "checks": [{"name": c.name, "passed": c.passed, "text": c.text} for c in rotation.checks],
        "error": {"code": rotation.error.code, "detail": rotation.error.detail} if rotation.error else None,
        "banner": banner(rotation),
        "requested_at": _time(rotation.requested_at),
        "swapped_at": _time(rotation.swapped_at),
        "deployed_at": _time(rotation.deployed_at),
        "ended_at": _time(rotation.ended_at),
    }


def key_shape(key: Key) -> Shape:
    """A key as the API promises it: who needs it, until when, what it costs, and the proof when nobody does."""
    reasons = key.reasons or _standing_reasons(key)
    longest = held_longest_by(key)
    return {
        "arn": str(key.arn),
        "key_id": key.arn.key_id,
        "state": key.state,
        "projects": list(key.projects),
        "created_by_us": key.created_by_us,
        "safe_to_delete": is_safe(key),
        "reasons": [_reason(reason) for reason in reasons],
        "clusters": [
            {
                "project_id": c.project_id,
                "cluster": c.cluster,
                "snapshots": c.snapshots,
                "last_expiry": _time(c.last_expiry),
                "newest": _time(c.newest),
            }
            for c in key.clusters
        ],
        "replaced_at": _time(key.replaced_at),
        "deployed_at": _time(key.deployed_at),
        "swept_at": _time(key.swept_at),
        "free_at": _time(free_at(key)),
        "held_longest_by": _reason(longest) if longest is not None else None,
        "warnings": _warnings(key),
        "dollars_per_month": dollars_per_month(key),
        "proof": {"digest": key.proof_digest, "at": _time(key.proof_at)} if key.proof_digest else None,
        "deletion_id": key.deletion_id,
    }


def _warnings(key: Key) -> list[Shape]:
    """What does not keep a key, and yet should make people look."""
    used, harm, warnings = used_since(key), key.harm if _is_harmed(key) else None, []
    if harm is not None:
        at = harm.deletion_date or harm.seen_at
        warnings.append({"kind": kind_of_harm(harm), "text": harm_told(harm), "at": _time(at)})
    if used is not None:
        text = f"KMS recorded a use of it on {used:%Y-%m-%d}, after its successor had reached every cluster"
        warnings.append({"kind": "used_since", "text": text, "at": _time(used)})
    return warnings


def _is_harmed(key: Key) -> bool:
    """Whether something was done to it that is not the work of its own approved deletion."""
    return key.harm is not None and key.state not in {
        KeyState.QUARANTINED,
        KeyState.PENDING_DELETION,
        KeyState.DELETED,
    }


def _standing_reasons(key: Key) -> tuple[Reason, ...]:
    """What a key's state alone says against deleting it, before or without a sweep."""
    project = key.projects[0] if key.projects else None
    match key.state:
        case KeyState.CURRENT:
            return (Reason(kind="current", text="it is the project's current key", project_id=project),)
        case KeyState.DEPLOYING:
            return (Reason(kind="deploying", text="it is being deployed as the next key", project_id=project),)
        case KeyState.RETIRING | KeyState.UNUSED if key.swept_at is None:
            return (Reason(kind="unswept", text="no sweep has looked for what needs it yet"),)
        case _:
            return ()


def deletion_shape(deletion: Deletion) -> Shape:
    """A request to delete a key as the API promises it."""
    return {
        "deletion_id": deletion.deletion_id,
        "key": str(deletion.arn),
        "state": deletion.state,
        "digest": deletion.digest,
        "requested_by": deletion.requested_by,
        "approved_by": deletion.approved_by,
        "called_off_by": deletion.called_off_by,
        "compensation": deletion.compensation,
        "waiting_for": list(deletion.waiting_for),
        "quarantine_days": deletion.quarantine_days,
        "requested_at": _time(deletion.requested_at),
        "expires_at": _time(deletion.expires_at),
        "approved_at": _time(deletion.approved_at),
        "quarantined_at": _time(deletion.quarantined_at),
        "scheduled_at": _time(deletion.scheduled_at),
        "deletion_date": _time(deletion.deletion_date),
        "ended_at": _time(deletion.ended_at),
    }


def _reason(reason: Reason) -> Shape:
    return {
        "kind": reason.kind,
        "text": reason.text,
        "project_id": reason.project_id,
        "cluster": reason.cluster,
        "until": _time(reason.until),
        "call": reason.call,
    }


def _time(moment: datetime | None) -> str | None:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment is not None else None
