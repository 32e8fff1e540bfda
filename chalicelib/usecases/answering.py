"""Answers a KMS call on a needed key, or its state, for guard and patrol alone: undoes or tells, as the domain decides.

The key comes back before anything is written, and again for the same event told twice: somebody may have called
again meanwhile. The notice is named by the event, so that it is told once.
"""

import logging
from dataclasses import replace
from datetime import datetime

from chalicelib.domain.guarding import Act, KeyCall, decide, harm_of, unseen_call
from chalicelib.domain.observed import KeyDescription
from chalicelib.domain.records import AuditEntry, Change, Harm, Key, Notice, Project
from chalicelib.domain.wording_deletion import call_not_undone, call_told, key_brought_back
from chalicelib.usecases.locate import keys_among, projects_of
from chalicelib.usecases.ports import Conflict, Outside, OutsideError

_log = logging.getLogger(__name__)
_TRIES = 3


def answer_call(outside: Outside, call: KeyCall, key: Key, now: datetime) -> Key:
    """Answer one call, in this invocation; a failing KMS raises its OutsideError after people were told.

    Gives the key as it is remembered then: with the harm that stands, as nobody undid it.
    """
    deletion = outside.tracker.deletion(key.deletion_id) if key.deletion_id is not None else None
    projects = projects_of(outside, key)
    match decide(call, key, deletion, projects):
        case Act.TELL:
            _tell(outside, call_told(call, key, projects, now), call, now, "call on a needed key seen")
            return _remember_harm(outside, key, harm_of(call, key.harm, now))
        case Act.BRING_BACK:
            _bring_back(outside, call, key, projects, now)
            return _remember_harm(outside, key, None)
        case Act.NOTHING:
            _log.info("%s on %s by %s is left alone", call.operation, call.arn, call.actor)
            return key


def answer_state(outside: Outside, listed: Key, described: KeyDescription) -> Key:
    """Answer what KMS shows of a key as it would the call that led there; a healthy key's old harm is forgotten.

    Gives the key as it is remembered then; one that nothing happened to is not even read again.
    """
    now = outside.now()
    call = unseen_call(described, listed.harm, now)
    if call is None and listed.harm is None:
        return listed
    key = outside.tracker.key(listed.arn)
    if key is None:
        return listed
    return answer_call(outside, call, key, now) if call is not None else _remember_harm(outside, key, None)


def _remember_harm(outside: Outside, key: Key, harm: Harm | None) -> Key:
    """Remember what stands, or that nothing does any more; a key that others write at the same moment is read again."""
    for left in reversed(range(_TRIES)):
        if key.harm == harm:
            return key
        marked = replace(key, harm=harm)
        try:
            outside.tracker.commit(Change(records=(marked,)))
        except Conflict:
            key = outside.tracker.key(key.arn) or key
            if not left:
                raise
        else:
            return replace(marked, version=marked.version + 1)
    return key


def _bring_back(outside: Outside, call: KeyCall, key: Key, projects: tuple[Project, ...], now: datetime) -> None:
    try:
        kms = keys_among(outside, key.arn, projects)
        kms.cancel_deletion(key.arn)
        kms.enable(key.arn)
    except OutsideError as problem:
        cry = call_not_undone(call, key, projects, now, why=problem.message)
        _tell(outside, cry, call, now, "call on a needed key could not be undone")
        _remember_harm(outside, key, harm_of(call, key.harm, now))
        raise
    _tell(outside, key_brought_back(call, key, projects, now), call, now, "call on a needed key undone")


def _tell(outside: Outside, notice: Notice, call: KeyCall, now: datetime, what: str) -> None:
    entry = AuditEntry(
        at=now,
        who="keyturn guard",
        what=what,
        subject=call.arn.key_id,
        why=f"{call.operation} by {call.actor} (event {call.event_id})",
    )
    try:
        outside.tracker.commit(Change(records=(), notices=(notice,), audit=(entry,)))
    except Conflict:
        if outside.tracker.notice(notice.notice_id) is None:
            raise
        _log.info("event %s was told already", call.event_id)
