"""Watches over Keyturn itself: messages that nobody could handle, and credentials that are about to expire."""

import logging
from dataclasses import replace
from datetime import datetime, timedelta

from chalicelib.domain.expiry import Expiry, in_question, rung_owed
from chalicelib.domain.records import Change, Notice, Watch
from chalicelib.domain.wording import day
from chalicelib.domain.wording_watch import dead_letters, secret_expires
from chalicelib.usecases.ports import Conflict, Outside, OutsideError, PermanentError

_log = logging.getLogger(__name__)

_DAILY = timedelta(hours=23, minutes=30)
"""A schedule is never quite on time."""


def watch_over_keyturn(outside: Outside) -> int:
    """Look at every dead-letter queue and service account, tell what is new; gives the number of messages that lie."""
    now = outside.now()
    known = outside.tracker.watch()
    seen = replace(known, unverified=()) if known is not None else Watch(changed_at=now)
    counts, seen = _count(outside, seen)
    expiries, seen = _expiries(outside, seen, now) if _atlas_is_to_be_asked(seen, now) else ([], seen)
    owed = [(one, rung) for one in expiries if (rung := rung_owed(one, now)) is not None]
    newly = [name for name in seen.filled if known is None or name not in known.filled]
    notices = (
        *(dead_letters(name, counts[name], now) for name in newly if name in counts),
        *(secret_expires(one, rung, now) for one, rung in owed),
    )
    _record(outside, known, seen, notices, now)
    return sum(counts.values())


def _count(outside: Outside, seen: Watch) -> tuple[dict[str, int], Watch]:
    try:
        counts = outside.dead_letters()
    except OutsideError as problem:
        _log.warning("the dead-letter queues could not be counted: %s", problem.message)
        unverified = f"whether the dead-letter queues are empty ({problem.call}: {problem.code or 'no answer'})"
        return {}, replace(seen, unverified=(*seen.unverified, unverified))
    return counts, replace(seen, filled=tuple(sorted(name for name, number in counts.items() if number)))


def _atlas_is_to_be_asked(seen: Watch, now: datetime) -> bool:
    """Once a day; and with every look while people have something to mend, so that they see it mended."""
    return seen.asked_at is None or now - seen.asked_at >= _DAILY or bool(seen.expiring or seen.unread)


def _expiries(outside: Outside, seen: Watch, now: datetime) -> tuple[list[Expiry], Watch]:
    """What Atlas shows of our own accounts; where it may not be seen that is said, and no error."""
    found: list[Expiry] = []
    unread: list[str] = []
    asked_at: datetime | None = now
    for secret, problem in outside.unread_secrets().items():
        _log.warning("the secret %s could not be read: %s", secret, problem.message)
        if isinstance(problem, PermanentError):
            unread.append(f"the Atlas organization of the secret {secret}, with all its projects ({problem.message})")
        else:
            asked_at = None
    for organization in outside.organizations():
        atlas = outside.atlas(organization)
        for role, client_id in outside.service_accounts(organization).items():
            try:
                at = in_question(atlas.secret_expiries(client_id), now)
            except OutsideError as problem:
                _log.warning("when the secrets of %s expire could not be read: %s", client_id, problem.message)
                if isinstance(problem, PermanentError):
                    unread.append(_unread(organization, role, client_id, problem.message))
                else:
                    asked_at = None
                continue
            if at is not None:
                found.append(Expiry(organization=organization, role=role, client_id=client_id, at=at))
    expiring = tuple(_in_words(one) for one in found if rung_owed(one, now) is not None)
    return found, replace(seen, expiring=expiring, unread=tuple(unread), asked_at=asked_at)


def _unread(organization: str, role: str, client_id: str, why: str) -> str:
    return (
        f"when the secrets expire of service account {client_id}, the {role} of organization {organization}: Atlas"
        f" does not show it to the reader ({why})"
    )


def _in_words(one: Expiry) -> str:
    return f"a secret of service account {one.client_id}, the {one.role} of {one.organization}: {day(one.at)}"


def _record(outside: Outside, known: Watch | None, seen: Watch, notices: tuple[Notice, ...], now: datetime) -> None:
    new = tuple(notice for notice in notices if outside.tracker.notice(notice.notice_id) is None)
    if seen == known and not new:
        return
    same = known is not None and replace(seen, asked_at=known.asked_at) == known
    try:
        outside.tracker.commit(Change(records=(seen if same else replace(seen, changed_at=now),), notices=new))
    except Conflict:
        _log.info("somebody else watched at the same moment")
