"""Guards: answers, as it happens, what somebody does in KMS to a key that something still needs."""

from typing import Any

from chalicelib.domain.guarding import UNDOING, is_going, read_call
from chalicelib.domain.records import Key
from chalicelib.usecases.answering import answer_call, answer_state
from chalicelib.usecases.locate import keys_among, projects_of
from chalicelib.usecases.ports import Outside


def guard_key(outside: Outside, event: dict[str, Any]) -> int:
    """Answer one KMS call, in this invocation; a failing KMS raises its OutsideError after people were told.

    Gives the number of needed keys that KMS goes on to delete because of it.
    """
    call = read_call(event)
    key = outside.tracker.key(call.arn) if call is not None else None
    if call is None or key is None:
        return 0
    answered = (
        _look_again(outside, key) if call.operation in UNDOING else answer_call(outside, call, key, outside.now())
    )
    return int(is_going(answered))


def _look_again(outside: Outside, key: Key) -> Key:
    """Somebody undid something: a key that was in danger may be so no more."""
    if key.harm is None:
        return key
    return answer_state(outside, key, keys_among(outside, key.arn, projects_of(outside, key)).describe(key.arn))
