"""Relays: sends every notice that still waits, found by the time index: the sure path."""

from chalicelib.usecases.ports import Due, Outside
from chalicelib.usecases.publish import send_notice


def send_all_due(outside: Outside) -> int:
    """Send what waits and count it; a notice that cannot be sent holds up no other."""
    return sum(send_notice(outside, notice_id) for (notice_id,) in outside.tracker.due(Due.NOTICE, outside.now()))
