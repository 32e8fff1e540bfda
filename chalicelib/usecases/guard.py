"""Guards: answers, as it happens, what somebody does in KMS to a key that something still needs."""

from typing import Any

from chalicelib.domain.guarding import is_going, read_call
from chalicelib.usecases.answering import answer_call
from chalicelib.usecases.ports import Outside


def guard_key(outside: Outside, event: dict[str, Any]) -> int:
    """Answer one KMS call, in this invocation; a failing KMS raises its OutsideError after people were told.

    Gives the number of needed keys that KMS goes on to delete because of it.
    """
    call = read_call(event)
    key = outside.tracker.key(call.arn) if call is not None else None
    if call is None or key is None:
        return 0
    return int(is_going(answer_call(outside, call, key, outside.now())))
