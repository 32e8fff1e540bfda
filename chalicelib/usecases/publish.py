"""Publishes, for announce and relay alone: a notice is claimed, sent, and marked as sent.

It is never lost: what is not marked is sent again by `relay`, over the channels that it has not reached. It is doubled
only if the process dies between sending and marking, and then both copies carry the same id.
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
    reached = list(claimed.reached)
    for channel in claimed.channels:
        if channel in reached:
            continue
        try:
            outside.messages.publish(claimed, channel)
        except OutsideError as problem:
            _log.warning("notice %s was not sent to %s: %s", notice_id, channel, problem.message)
            later = now + backoff(claimed.attempts)
            outside.tracker.update_notice(replace(claimed, reached=tuple(reached), claimed_until=later))
            return False
        reached.append(channel)
    outside.tracker.update_notice(replace(claimed, sent_at=now, claimed_until=None))
    return True
