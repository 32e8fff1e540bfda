"""The life of a deletion: what may be requested, who may approve it, and what may follow what.

Nothing here acts. A pair of state and event that is not in the table is an error, never a guess; `docs/states.md`
is drawn from the table.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum

from chalicelib.domain.arn import names_nobody, principal
from chalicelib.domain.records import Deletion, Key, Project, Reason
from chalicelib.domain.refusals import No, Refusal
from chalicelib.domain.retention import is_safe, never_served
from chalicelib.domain.transition import follow
from chalicelib.domain.vocabulary import DeletionState as State
from chalicelib.domain.vocabulary import KeyState


class Event(StrEnum):
    """What can happen to a deletion."""

    APPROVED = "approved"
    EXPIRED = "expired"
    CALLED_OFF = "called off"
    KEY_DISABLED = "key disabled"
    DELETION_SCHEDULED = "deletion scheduled"
    NEED_FOUND = "need found"
    KEY_GONE = "key gone"


TABLE: dict[tuple[State, Event], State] = {
    (State.REQUESTED, Event.APPROVED): State.APPROVED,
    (State.REQUESTED, Event.EXPIRED): State.EXPIRED,
    (State.REQUESTED, Event.CALLED_OFF): State.CALLED_OFF,
    (State.REQUESTED, Event.NEED_FOUND): State.RESCUED,
    (State.REQUESTED, Event.KEY_GONE): State.DELETED,
    (State.APPROVED, Event.KEY_DISABLED): State.QUARANTINED,
    (State.APPROVED, Event.NEED_FOUND): State.RESCUED,
    (State.APPROVED, Event.CALLED_OFF): State.CALLED_OFF,
    (State.APPROVED, Event.KEY_GONE): State.DELETED,
    (State.QUARANTINED, Event.DELETION_SCHEDULED): State.SCHEDULED,
    (State.QUARANTINED, Event.NEED_FOUND): State.RESCUED,
    (State.QUARANTINED, Event.CALLED_OFF): State.CALLED_OFF,
    (State.QUARANTINED, Event.KEY_GONE): State.DELETED,
    (State.SCHEDULED, Event.KEY_GONE): State.DELETED,
    (State.SCHEDULED, Event.NEED_FOUND): State.RESCUED,
    (State.SCHEDULED, Event.CALLED_OFF): State.CALLED_OFF,
}


def next_state(state: State, event: Event) -> State:
    """Where an event leads; raises IllegalTransition for a pair that is not in the table."""
    return follow(TABLE, state, event, of="deletion")


APPROVE_WITHIN = timedelta(hours=72)
"""How long a request may wait for another person."""

DEFAULT_QUARANTINE_DAYS = 7
COMPENSATION = "keyturn"
"""Who takes back what a rotation left behind."""


def require_a_name(who: str) -> None:
    """Refuse a federated user: nobody knows who decides under that name, nor whether two of them are two people."""
    if names_nobody(who):
        text = f"{who} is a federated user, which does not say who stands behind it: call as an IAM user or a role"
        raise Refusal(No.FORBIDDEN, text)


def quarantine_days(projects: Iterable[Project]) -> int:
    """The longest quarantine that a project of the key asks for, never under a day."""
    return max(1, max((p.policy.quarantine_days for p in projects), default=DEFAULT_QUARANTINE_DAYS))


def open_deletion(key: Key, projects: tuple[Project, ...], *, requester: str, reason: str, now: datetime) -> Deletion:
    """Begin a deletion, bound to the key's proof; raises Refusal with every reason when it may not be."""
    require_a_name(requester)
    if key.deletion_id is not None:
        raise Refusal(
            No.CONFLICT, f"{key.arn}: a deletion was requested already ({key.state})", deletion_id=key.deletion_id
        )
    reasons = _reasons_against(key, projects)
    if reasons or key.proof_digest is None:
        said = "; ".join(r.text for r in reasons) or "no proof is stored"
        raise Refusal(No.CONFLICT, f"{key.arn} may not be deleted: {said}", reasons)
    return Deletion(
        deletion_id=hashlib.sha256(f"{key.arn}\n{requester}\n{now.isoformat()}".encode()).hexdigest()[:16],
        arn=key.arn,
        state=State.REQUESTED,
        digest=key.proof_digest,
        requested_by=requester,
        requested_at=now,
        expires_at=now + APPROVE_WITHIN,
        quarantine_days=quarantine_days(projects),
        reason=reason,
        next_look_at=now,
    )


def open_compensation(key: Key, now: datetime) -> Deletion | None:
    """Take back a key that was made for a rotation that gave up and never served; None for any other key."""
    if not (never_served(key) and is_safe(key)) or key.deletion_id is not None or key.proof_digest is None:
        return None
    return Deletion(
        deletion_id=hashlib.sha256(f"{key.arn}\ncompensation\n{now.isoformat()}".encode()).hexdigest()[:16],
        arn=key.arn,
        state=State.APPROVED,
        digest=key.proof_digest,
        requested_by=COMPENSATION,
        requested_at=now,
        expires_at=now + APPROVE_WITHIN,
        quarantine_days=0,
        reason="it was made for a rotation that gave up, and no settings ever named it",
        compensation=True,
        next_look_at=now,
    )


def _reasons_against(key: Key, projects: tuple[Project, ...]) -> tuple[Reason, ...]:
    if key.state is KeyState.DELETED:
        return (Reason(kind="deleted", text="it is deleted already"),)
    if key.state.in_use and not key.reasons:
        return (Reason(kind="current", text="it is in use"),)
    if not is_safe(key):
        return key.reasons or (Reason(kind="confirmation", text="no sweep has found it free yet"),)
    if key.created_by_us or _all_allow_foreign(key, projects):
        return ()
    text = "Keyturn did not create it, and not every project has delete_foreign_keys in its policy"
    return (Reason(kind="not_ours", text=text),)


def _all_allow_foreign(key: Key, projects: tuple[Project, ...]) -> bool:
    allowing = {p.project_id for p in projects if p.policy.delete_foreign_keys}
    return bool(key.projects) and set(key.projects) <= allowing


def approve(deletion: Deletion, key: Key | None, *, digest: str, approver: str, now: datetime) -> Deletion:
    """Approve a request once, by another principal, for exactly the proof it was made on; else raise Refusal."""
    if deletion.state is not State.REQUESTED:
        raise Refusal(No.CONFLICT, f"the deletion is {deletion.state}: only a request can be approved, and only once")
    if now >= deletion.expires_at:
        raise Refusal(No.CONFLICT, f"the request expired at {deletion.expires_at:%Y-%m-%d %H:%M} UTC: request it anew")
    require_a_name(approver)
    require_a_name(deletion.requested_by)
    if not approver or principal(approver) == principal(deletion.requested_by):
        raise Refusal(No.FORBIDDEN, "another principal than the requester must approve")
    if digest != deletion.digest:
        raise Refusal(No.CONFLICT, "the digest is not that of the proof this deletion was requested on: read it again")
    if key is None or key.deletion_id != deletion.deletion_id or key.proof_digest != deletion.digest:
        raise Refusal(No.CONFLICT, "the key's verdict has changed since the request: call it off and request anew")
    if not is_safe(key):
        raise Refusal(No.CONFLICT, f"{key.arn} is not safe to delete any more", key.reasons)
    return replace(
        deletion,
        state=next_state(deletion.state, Event.APPROVED),
        approved_by=approver,
        approved_at=now,
        next_look_at=now,
    )


def call_off(deletion: Deletion, *, who: str, now: datetime) -> Deletion:
    """Call a deletion off: at once while KMS was not touched, else it is recorded and the next look undoes it."""
    if deletion.state.terminal:
        raise Refusal(No.CONFLICT, f"the deletion is over: {deletion.state}")
    wished = replace(deletion, called_off_by=deletion.called_off_by or who, next_look_at=now)
    return wished if kms_was_touched(deletion) else end(wished, Event.CALLED_OFF, now)


def kms_was_touched(deletion: Deletion) -> bool:
    """Whether the key may have been disabled: the mark is written before the call, so a crash hides nothing."""
    return deletion.quarantined_at is not None


def end(deletion: Deletion, event: Event, now: datetime) -> Deletion:
    """End a deletion by an event that leads to a terminal state."""
    return replace(deletion, state=next_state(deletion.state, event), ended_at=now, next_look_at=None, waiting_for=())


def forget_deletion(key: Key) -> Key:
    """The key without its deletion, which stays among those that came to nothing."""
    over = (key.deletion_id,) if key.deletion_id is not None else ()
    return replace(key, deletion_id=None, past_deletions=(*key.past_deletions, *over))


def give_back(key: Key, now: datetime, needs: tuple[Reason, ...] = ()) -> Key:
    """The key after a deletion that ended without deleting it: swept again at once, needed if `needs` are given."""
    key = forget_deletion(key)
    if not key.state.in_use:
        key = replace(key, state=KeyState.RETIRING, next_sweep_at=now)
    return replace(key, reasons=needs, clean_since=None, safe_since=None) if needs else key
