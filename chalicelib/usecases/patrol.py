"""Patrols: looks after every needed key as KMS has it, because an event may have been missed."""

from functools import partial

from chalicelib.domain.guarding import is_needed, unseen_call
from chalicelib.domain.observed import KeyStatus
from chalicelib.domain.records import Key, Project
from chalicelib.usecases.answering import answer_call
from chalicelib.usecases.locate import keys_among
from chalicelib.usecases.observe import all_of
from chalicelib.usecases.ports import Outside, OutsideError


def patrol_keys(outside: Outside) -> int:
    """Look at every key that something needs, as KMS has it: an event may have been missed. Gives the number seen.

    Raises an ExceptionGroup of what KMS would not say, once every key was looked at.
    """
    needed = [key for key in all_of(outside.tracker.keys) if is_needed(key)]
    projects = _fleet(outside)
    found = outside.at_once(*(partial(_status, outside, key, projects) for key in needed))
    troubles: list[Exception] = []
    for key, status in zip(needed, found, strict=True):
        try:
            _look_at(outside, key, status)
        except OutsideError as problem:
            troubles.append(problem)
    if troubles:
        raise ExceptionGroup(f"{len(troubles)} of {len(needed)} keys could not be looked after", troubles)
    return len(needed)


def _fleet(outside: Outside) -> dict[str, Project]:
    """Every project by its id: where its keys live changes so seldom that a list that lags will do."""
    return {project.project_id: project for project in all_of(outside.tracker.projects)}


def _status(outside: Outside, key: Key, projects: dict[str, Project]) -> KeyStatus | OutsideError:
    known = [projects[name] for name in key.projects if name in projects]
    try:
        return keys_among(outside, key.arn, known).describe(key.arn).status
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
