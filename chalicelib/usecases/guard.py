"""Guards: answers, as it happens, what somebody does in KMS to a key that something still needs."""

from typing import Any

from chalicelib.domain.guarding import read_call
from chalicelib.usecases.answering import answer_call
from chalicelib.usecases.ports import Outside


def guard_key(outside: Outside, event: dict[str, Any]) -> None:
    """Answer one KMS call, in this invocation; a failing KMS raises its OutsideError after people were told."""
    call = read_call(event)
    key = outside.tracker.key(call.arn) if call is not None else None
    if call is not None and key is not None:
        answer_call(outside, call, key, outside.now())
