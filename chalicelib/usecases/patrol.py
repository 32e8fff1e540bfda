"""Patrols: looks after every needed key as KMS has it, because an event may have been missed."""

from collections.abc import Iterator
from functools import partial

from chalicelib.domain.guarding import is_needed, unseen_call
from chalicelib.domain.observed import KeyStatus
from chalicelib.domain.records import Key
from chalicelib.usecases.answering import answer_call
from chalicelib.usecases.locate import keys_at
from chalicelib.usecases.observe import all_of
from chalicelib.usecases.ports import Outside, OutsideError

_SIDE_BY_SIDE = 8


def patrol_keys(outside: Outside) -> int:
    """Look at every key that something needs, as KMS has it: an event may have been missed. Gives the number seen.

    Raises an ExceptionGroup of what KMS would not say, once every key was looked at.
    """
    needed = [key for key in _every_key(outside) if is_needed(key)]
    troubles: list[Exception] = []
    for seen in _batched(needed, _SIDE_BY_SIDE):
        found = outside.at_once(*(partial(_status, outside, key) for key in seen))
        for key, status in zip(seen, found, strict=True):
            try:
                _look_at(outside, key, status)
            except OutsideError as problem:
                troubles.append(problem)
    if troubles:
        raise ExceptionGroup(f"{len(troubles)} of {len(needed)} keys could not be looked after", troubles)
    return len(needed)


def _batched(keys: list[Key], size: int) -> Iterator[list[Key]]:
    """The keys in lists of a size."""
    yield from (keys[start : start + size] for start in range(0, len(keys), size))


def _every_key(outside: Outside) -> Iterator[Key]:
    def page(cursor: str | None) -> tuple[tuple[Key, ...], str | None]:
        answer = outside.tracker.keys(cursor, 100)
        return answer.items, answer.next

    return all_of(page)


def _status(outside: Outside, key: Key) -> KeyStatus | OutsideError:
    try:
        return keys_at(outside, key).describe(key.arn).status
    except OutsideError as problem:
        return problem


def _look_at(outside: Outside, listed: Key, status: KeyStatus | OutsideError) -> None:
    if isinstance(status, OutsideError):
        raise status
    now = outside.now()
    call = unseen_call(listed.arn, status, now)
    key = outside.tracker.key(listed.arn) if call is not None else None
    if call is not None and key is not None:
        answer_call(outside, call, key, now)
