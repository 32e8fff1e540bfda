"""Announces: sends a notice the moment it is written, told by the table's stream: the fast path."""

from chalicelib.usecases.ports import Outside
from chalicelib.usecases.publish import send_notice


def announce_written(outside: Outside, notice_id: str) -> None:
    """Send the notice that a stream record tells of, unless it was sent already."""
    send_notice(outside, notice_id)
