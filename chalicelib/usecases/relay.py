"""Relays: sends every notice that still waits, found by the time index: the sure path."""

from functools import partial

from chalicelib.usecases.each import do_each
from chalicelib.usecases.ports import Due, Outside
from chalicelib.usecases.publish import send_notice


def send_all_due(outside: Outside) -> int:
    """Send what waits and count it; a notice that cannot be sent, or not even be read, holds up no other."""
    waiting = (notice_id for (notice_id,) in outside.tracker.due(Due.NOTICE, outside.now()))
    return do_each(waiting, partial(send_notice, outside), "notices")
