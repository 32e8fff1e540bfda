"""Guards: undoes, or tells, what somebody does in KMS to a key that something still needs.

The key comes back before anything is written. The notice is named by the event, so that the same event told twice
is one notice.
"""

import logging
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import Any

from chalicelib.domain.guarding import Act, KeyCall, decide, is_needed, read_call, unseen_call
from chalicelib.domain.observed import KeyStatus
from chalicelib.domain.records import AuditEntry, Change, Key, Notice, Project
from chalicelib.domain.wording_deletion import call_not_undone, call_told, key_brought_back
from chalicelib.usecases.locate import keys_at, projects_of
from chalicelib.usecases.observe import all_of
from chalicelib.usecases.ports import Conflict, Outside, OutsideError

_log = logging.getLogger(__name__)


def guard_key(outside: Outside, event: dict[str, Any]) -> None:
    """Answer one KMS call, in this invocation; a failing KMS raises its OutsideError after people were told."""
    call = read_call(event)
    key = outside.tracker.key(call.arn) if call is not None else None
    if call is None or key is None:
        return
    _answer(outside, call, key, outside.now())


def patrol_keys(outside: Outside) -> int:
    """Look at every key that something needs, as KMS has it: an event may have been missed. Gives the number seen.

    Raises an ExceptionGroup of what KMS would not say, once every key was looked at.
    """
    needed = [key for key in _every_key(outside) if is_needed(key)]
    troubles: list[Exception] = []
    for seen in batched(needed, _SIDE_BY_SIDE):
        found = outside.at_once(*(partial(_status, outside, key) for key in seen))
        for key, status in zip(seen, found, strict=True):
            try:
                _look_at(outside, key, status)
            except OutsideError as problem:
                troubles.append(problem)
    if troubles:
        raise ExceptionGroup(f"{len(troubles)} of {len(needed)} keys could not be looked after", troubles)
    return len(needed)


_SIDE_BY_SIDE = 8


def batched(keys: list[Key], size: int) -> Iterator[list[Key]]:
    """The keys in lists of a size."""
    yield from (keys[start : start + size] for start in range(0, len(keys), size))


def _every_key(outside: Outside) -> Iterator[Key]:
    def page(cursor: str | None) -> tuple[tuple[Key, ...], str | None]:
        answer = outside.tracker.keys(cursor, 100)
        return answer.items, answer.next

    return all_of(page)


def _status(outside: Outside, key: Key) -> KeyStatus | OutsideError:
    try:
        return keys_at(outside, key).describe(key.arn).status
    except OutsideError as problem:
        return problem


def _look_at(outside: Outside, listed: Key, status: KeyStatus | OutsideError) -> None:
    if isinstance(status, OutsideError):
        raise status
    now = outside.now()
    call = unseen_call(listed.arn, status, now)
    key = outside.tracker.key(listed.arn) if call is not None else None
    if call is not None and key is not None:
        _answer(outside, call, key, now)


def _answer(outside: Outside, call: KeyCall, key: Key, now: datetime) -> None:
    deletion = outside.tracker.deletion(key.deletion_id) if key.deletion_id is not None else None
    projects = projects_of(outside, key)
    match decide(call, key, deletion, projects):
        case Act.TELL:
            _tell(outside, call_told(call, key, projects, now), call, now, "call on a needed key seen")
        case Act.BRING_BACK:
            _bring_back(outside, call, key, projects, now)
        case Act.NOTHING:
            _log.info("%s on %s by %s is left alone", call.operation, call.arn, call.actor)


def _bring_back(outside: Outside, call: KeyCall, key: Key, projects: tuple[Project, ...], now: datetime) -> None:
    notice = key_brought_back(call, key, projects, now)
    if outside.tracker.notice(notice.notice_id) is not None:
        return
    kms = keys_at(outside, key)
    try:
        kms.cancel_deletion(key.arn)
        kms.enable(key.arn)
    except OutsideError as problem:
        cry = call_not_undone(call, key, projects, now, why=problem.message)
        _tell(outside, cry, call, now, "call on a needed key could not be undone")
        raise
    _tell(outside, notice, call, now, "call on a needed key undone")


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
