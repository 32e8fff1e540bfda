"""Retires: advances every open deletion by one step per look, each step from fresh evidence.

Every step can be taken again after a crash: the mark and the audit row are written before KMS is called, KMS is
called in ways that do no harm twice, and the state moves only after the call. Nothing but this file disables a key
or schedules its deletion.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from chalicelib.domain.approval import Event, end, give_back, kms_was_touched, next_state
from chalicelib.domain.evidence import Evidence
from chalicelib.domain.guarding import NOBODY_KNOWN
from chalicelib.domain.observed import KeyStatus
from chalicelib.domain.proof import document
from chalicelib.domain.records import AuditEntry, Change, Deletion, Key, Notice, Project, Proof, Reason
from chalicelib.domain.retention import reasons_to_keep
from chalicelib.domain.retirement import (
    FRESH,
    LOOK_EVERY,
    TROUBLE_WAITS,
    UNREAD_WAITS,
    WINDOW_DAYS,
    Decision,
    Look,
    Step,
    decide,
    is_hurried,
    is_last_chance,
    next_look,
    went_by_another_hand,
)
from chalicelib.domain.vocabulary import DeletionState, KeyState
from chalicelib.domain.wording_deletion import (
    deletion_ended,
    deletion_scheduled,
    key_deleted,
    key_quarantined,
    key_rescued,
    rescue_stuck,
)
from chalicelib.usecases.each import do_each
from chalicelib.usecases.gathering import gather_evidence
from chalicelib.usecases.locate import keys_among, projects_of
from chalicelib.usecases.ports import Conflict, Due, Keys, Outside, OutsideError, PermanentError, TemporaryError

_DISABLED = frozenset({DeletionState.QUARANTINED, DeletionState.SCHEDULED})
"""The states in which the key has been disabled for certain."""

_log = logging.getLogger(__name__)

Gather = Callable[[Outside, Key, datetime], Evidence]
Telling = Callable[[Deletion, Key, tuple[Project, ...], datetime], Notice]


@dataclass(frozen=True, kw_only=True)
class Work:
    """One step's place: the outside, the records as read, the moment, and the proof that was gathered for it."""

    outside: Outside
    deletion: Deletion
    key: Key
    projects: tuple[Project, ...]
    now: datetime
    proof: Proof | None = None

    @property
    def kms(self) -> Keys:
        """KMS in the key's account and region."""
        return keys_among(self.outside, self.key.arn, self.projects)

    @property
    def every(self) -> timedelta:
        """How often the deletion is looked at between its steps."""
        return self.outside.look_every or LOOK_EVERY


def advance_deletions(outside: Outside, *, gather: Gather = gather_evidence) -> int:
    """Take the next step of every deletion that is due; the trouble of one delays no other. Gives the number."""
    due = tuple(deletion_id for (deletion_id,) in outside.tracker.due(Due.DELETION, outside.now()))
    return do_each(due, partial(advance_deletion, outside, gather=gather), "deletions")


def advance_deletion(outside: Outside, deletion_id: str, *, gather: Gather = gather_evidence) -> Deletion | None:
    """Take the next step of one deletion; one that is unknown or over is left alone."""
    now = outside.now()
    deletion = outside.tracker.deletion(deletion_id)
    if deletion is None or deletion.state.terminal:
        return deletion
    stand_in = Key(arn=deletion.arn, state=KeyState.RETIRING, projects=(), first_seen_at=now)
    key = outside.tracker.key(deletion.arn) or stand_in
    work = Work(outside=outside, deletion=deletion, key=key, projects=projects_of(outside, key), now=now)
    try:
        return _step(work, gather)
    except Conflict:
        _log.info("deletion %s was written by somebody else, reading it again at the next look", deletion_id)
    except (TemporaryError, PermanentError) as problem:
        _put_off(work, problem)
    return outside.tracker.deletion(deletion_id)


def _step(work: Work, gather: Gather) -> Deletion:
    work, look = _look(work, gather)
    decision = decide(work.deletion, look, every=work.every)
    return _STEPS[decision.step](work, decision)


def _look(work: Work, gather: Gather) -> tuple[Work, Look]:
    """Ask KMS, then everything else, for what the present state needs to know."""
    look = Look(key=work.key, now=work.now)
    if work.deletion.state is DeletionState.REQUESTED and work.now >= work.deletion.expires_at:
        return work, look
    look = _describe(work, look)
    if look.status is KeyStatus.GONE or work.deletion.called_off_by is not None:
        return work, look
    evidence = gather(work.outside, _as_judged(work), work.now)
    reasons = reasons_to_keep(evidence, work.now)
    work = replace(work, proof=document(evidence, reasons))
    return work, replace(look, reasons=(*look.reasons, *reasons))


def _as_judged(work: Work) -> Key:
    """The key as its deletion was opened on it: one that never served has not served because it is disabled now."""
    return replace(work.key, state=KeyState.UNUSED) if work.deletion.compensation else work.key


def _describe(work: Work, look: Look) -> Look:
    try:
        shown = work.kms.describe(work.key.arn)
    except OutsideError as problem:
        unread = Reason(kind="unread", text=f"{problem.call} failed: {problem.message}", call=problem.call)
        return replace(look, reasons=(unread,))
    return replace(look, status=shown.status, deletion_date=shown.deletion_date)


def _wait(work: Work, decision: Decision) -> Deletion:
    waiting = replace(work.deletion, waiting_for=tuple(r.text for r in decision.reasons), next_look_at=decision.look_at)
    work.outside.tracker.commit(Change(records=(waiting,)))
    return _saved(waiting)


def _expire(work: Work, _: Decision) -> Deletion:
    ended = end(work.deletion, Event.EXPIRED, work.now)
    return _record(work, ended, give_back(work.key, work.now), deletion_ended, "deletion expired")


def _call_off(work: Work, _: Decision) -> Deletion:
    brought_back = kms_was_touched(work.deletion) and _bring_back(work)
    ended = end(work.deletion, Event.CALLED_OFF, work.now)
    what = "key brought back, deletion called off" if brought_back else "deletion called off"
    return _record(work, ended, give_back(work.key, work.now), deletion_ended, what)


def _rescue(work: Work, decision: Decision) -> Deletion:
    was_disabled = work.deletion.state in _DISABLED
    if kms_was_touched(work.deletion):
        work = _claim(work)
        was_disabled = _bring_back(work) or was_disabled
    ended = end(work.deletion, Event.NEED_FOUND, work.now)

    def telling(deletion: Deletion, key: Key, projects: tuple[Project, ...], now: datetime) -> Notice:
        return key_rescued(deletion, key, projects, now, was_disabled=was_disabled)

    key = give_back(work.key, work.now, decision.reasons)
    why = "; ".join(reason.text for reason in decision.reasons)
    return _record(work, ended, key, telling, "need found, key kept", why=why)


def _claim(work: Work) -> Work:
    """Hold the deletion as it was read: KMS may show what another process has just done with a newer record."""
    claimed = replace(work.deletion, next_look_at=work.now + TROUBLE_WAITS)
    work.outside.tracker.commit(Change(records=(claimed,)))
    return replace(work, deletion=_saved(claimed))


def _bring_back(work: Work) -> bool:
    """Cancel a deletion if there is one, which leaves the key disabled, and enable it; False for an enabled key.

    What waiting does not mend, or what lasts until the last chance, is for people.
    """
    if _is_enabled(work):
        return False
    try:
        work.kms.cancel_deletion(work.key.arn)
        work.kms.enable(work.key.arn)
    except OutsideError as problem:
        if isinstance(problem, PermanentError) or is_last_chance(work.deletion, work.now):
            _cry_for_help(work, problem.message)
        raise
    return True


def _is_enabled(work: Work) -> bool:
    """Whether KMS shows the key enabled, and thus not leaving; of what it does not show that is not known."""
    try:
        return work.kms.describe(work.key.arn).status is KeyStatus.ENABLED
    except OutsideError:
        return False


def _cry_for_help(work: Work, why: str) -> None:
    notice = rescue_stuck(work.deletion, work.key, work.projects, work.now, why=why)
    if work.outside.tracker.notice(notice.notice_id) is None:
        work.outside.tracker.commit(Change(records=(), notices=(notice,)))


def _disable(work: Work, _: Decision) -> Deletion:
    work = _write_ahead(work, replace(work.deletion, quarantined_at=work.now), "disabling the key")
    work.kms.disable(work.key.arn)
    quarantined = _moved(work, work.deletion, Event.KEY_DISABLED)
    key = replace(work.key, state=KeyState.QUARANTINED, next_sweep_at=None)
    return _record(work, quarantined, key, key_quarantined, "key disabled, quarantine begun")


def _schedule(work: Work, decision: Decision) -> Deletion:
    marked = replace(work.deletion, scheduled_at=decision.scheduled_at or work.now)
    work = _write_ahead(work, marked, "scheduling the key's deletion")
    date = work.kms.schedule_deletion(work.key.arn, days=WINDOW_DAYS)
    if is_hurried(work.deletion, date):
        text = f"{work.key.arn} goes on {date:%Y-%m-%d}: somebody else scheduled that meanwhile; looking again"
        raise TemporaryError(text, call="kms:ScheduleKeyDeletion", code="scheduled_by_hand")
    scheduled = _moved(work, replace(work.deletion, deletion_date=date), Event.DELETION_SCHEDULED)
    key = replace(work.key, state=KeyState.PENDING_DELETION, next_sweep_at=None)
    return _record(work, scheduled, key, deletion_scheduled, "key's deletion scheduled")


def _finish(work: Work, _: Decision) -> Deletion:
    ended = end(work.deletion, Event.KEY_GONE, work.now)
    key = replace(work.key, state=KeyState.DELETED, next_sweep_at=None)
    if went_by_another_hand(work.deletion, work.now):
        return _record(work, ended, key, key_deleted, "key found deleted by another hand", who=NOBODY_KNOWN)
    return _record(work, ended, key, key_deleted, "key deleted")


_STEPS: dict[Step, Callable[[Work, Decision], Deletion]] = {
    Step.WAIT: _wait,
    Step.EXPIRE: _expire,
    Step.CALL_OFF: _call_off,
    Step.RESCUE: _rescue,
    Step.DISABLE: _disable,
    Step.SCHEDULE: _schedule,
    Step.FINISH: _finish,
}


def _write_ahead(work: Work, marked: Deletion, what: str) -> Work:
    """Make mark, proof and audit row durable before KMS is called; the key is held to be as it was read."""
    if work.proof is None or work.outside.now() > work.now + FRESH:
        raise TemporaryError("the evidence is not fresh any more: looking again", call="sweep", code="stale_evidence")
    known = work.outside.tracker.proof(work.key.arn, work.proof.digest)
    marked = replace(marked, next_look_at=work.now + TROUBLE_WAITS)
    entry = _audit(work, what, before=work.deletion.state, after=work.deletion.state, why=work.proof.digest)
    records = (marked, work.key) if known is not None else (marked, work.key, work.proof)
    work.outside.tracker.commit(Change(records=records, audit=(entry,)))
    return replace(work, deletion=_saved(marked), key=replace(work.key, version=work.key.version + 1))


def _moved(work: Work, deletion: Deletion, event: Event) -> Deletion:
    moved = replace(deletion, state=next_state(deletion.state, event), waiting_for=())
    return replace(moved, next_look_at=next_look(moved, work.now, work.every))


def _record(  # noqa: PLR0913 - what becomes of both records, and how that is told
    work: Work, deletion: Deletion, key: Key, telling: Telling, what: str, *, why: str = "", who: str = ""
) -> Deletion:
    entry = _audit(work, what, before=work.deletion.state, after=deletion.state, why=why or deletion.reason, who=who)
    work.outside.tracker.commit(
        Change(
            records=(deletion, key),
            notices=(telling(deletion, key, work.projects, work.now),),
            audit=(entry,),
        )
    )
    return _saved(deletion)


def _put_off(work: Work, problem: OutsideError) -> None:
    """Remember what stands in the way and when to try again; the records are read anew, a step may have begun."""
    wait = TROUBLE_WAITS if isinstance(problem, TemporaryError) else UNREAD_WAITS
    deletion = work.outside.tracker.deletion(work.deletion.deletion_id)
    if deletion is None or deletion.state.terminal:
        return
    _log.warning("deletion %s waits %s: %s", deletion.deletion_id, wait, problem.message)
    waiting = replace(deletion, waiting_for=(problem.message,), next_look_at=work.now + wait)
    try:
        work.outside.tracker.commit(Change(records=(waiting,)))
    except Conflict:
        _log.info("deletion %s moved on meanwhile", deletion.deletion_id)


def _audit(work: Work, what: str, *, before: str, after: str, why: str, who: str = "") -> AuditEntry:
    return AuditEntry(
        at=work.now,
        who=who or work.deletion.called_off_by or work.deletion.approved_by or work.deletion.requested_by,
        what=what,
        subject=work.deletion.deletion_id,
        why=why,
        before=before,
        after=after,
    )


def _saved(deletion: Deletion) -> Deletion:
    return replace(deletion, version=deletion.version + 1)
