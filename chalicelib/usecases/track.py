"""Tracks: finds by the time index which keys need a look and which rotations overslept, and wakes them."""

from chalicelib.domain.arn import parse_key_arn
from chalicelib.usecases.ports import Due, Outside


def wake_what_is_due(outside: Outside) -> int:
    """Queue a sweep for every key that is due and a step for every rotation whose wake-up was lost."""
    now = outside.now()
    woken = 0
    for (text,) in outside.tracker.due(Due.SWEEP, now):
        arn = parse_key_arn(text)
        if arn is not None:
            outside.messages.wake_sweep(arn)
            woken += 1
    for project_id, rotation_id in outside.tracker.due(Due.ROTATION, now):
        outside.messages.wake_rotation(project_id, rotation_id)
        woken += 1
    return woken
