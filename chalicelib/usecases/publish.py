"""Publishes, for announce and relay alone: a notice is claimed, sent, and marked as sent.

It is never lost: what is not marked is sent again by `relay`. It is doubled only if the process dies between
sending and marking, and then both copies carry the same id.
"""

import logging
from dataclasses import replace
from datetime import timedelta

from chalicelib.domain.rotation import backoff
from chalicelib.usecases.ports import Conflict, Outside, OutsideError

CLAIM = timedelta(minutes=5)

_log = logging.getLogger(__name__)


def send_notice(outside: Outside, notice_id: str) -> bool:
    """Send one notice unless somebody else has or is at it; tells whether it was sent now."""
    now = outside.now()
    notice = outside.tracker.notice(notice_id)
    if notice is None or notice.sent_at is not None:
        return False
    if notice.claimed_until is not None and now < notice.claimed_until:
        return False
    try:
        claimed = outside.tracker.update_notice(
            replace(notice, claimed_until=now + CLAIM, attempts=notice.attempts + 1)
        )
    except Conflict:
        return False
    try:
        outside.messages.publish(claimed)
    except OutsideError as problem:
        _log.warning("notice %s was not sent: %s", notice_id, problem.message)
        outside.tracker.update_notice(replace(claimed, claimed_until=now + backoff(claimed.attempts)))
        return False
    outside.tracker.update_notice(replace(claimed, sent_at=now, claimed_until=None))
    return True
