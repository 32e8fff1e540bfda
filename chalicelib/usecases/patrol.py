"""Patrols: looks after every needed key as KMS has it, because an event may have been missed."""

from dataclasses import dataclass
from functools import partial

from chalicelib.domain.counting import counted
from chalicelib.domain.guarding import is_going, is_needed
from chalicelib.domain.observed import KeyDescription
from chalicelib.domain.records import Key, Project
from chalicelib.domain.vocabulary import KeyState
from chalicelib.usecases.answering import answer_state
from chalicelib.usecases.locate import keys_among
from chalicelib.usecases.observe import all_of
from chalicelib.usecases.ports import Outside, OutsideError


@dataclass(frozen=True, kw_only=True)
class Round:
    """What a patrol came to: how many keys it looked at, and how many of them KMS is going to delete all the same."""

    keys: int
    going: int


def patrol_keys(outside: Outside) -> Round:
    """Look at every key that something needs, as KMS has it: an event may have been missed.

    Looks too at what was harmed and is needed no more, until nothing stands any longer.
    Raises an ExceptionGroup of what KMS would not say, once every key was looked at.
    """
    needed = [key for key in all_of(outside.tracker.keys) if is_needed(key) or _stays_harmed(key)]
    projects = _fleet(outside)
    found = outside.at_once(*(partial(_described, outside, key, projects) for key in needed))
    troubles: list[Exception] = []
    going = 0
    for key, described in zip(needed, found, strict=True):
        try:
            going += is_going(_look_at(outside, key, described))
        except OutsideError as problem:
            troubles.append(problem)
    if troubles:
        raise ExceptionGroup(f"{len(troubles)} of {counted(len(needed), 'key')} could not be looked after", troubles)
    return Round(keys=len(needed), going=going)


def _stays_harmed(key: Key) -> bool:
    return key.harm is not None and key.state is not KeyState.DELETED


def _fleet(outside: Outside) -> dict[str, Project]:
    """Every project by its id: where its keys live changes so seldom that a list that lags will do."""
    return {project.project_id: project for project in all_of(outside.tracker.projects)}


def _described(outside: Outside, key: Key, projects: dict[str, Project]) -> KeyDescription | OutsideError:
    known = [projects[name] for name in key.projects if name in projects]
    try:
        return keys_among(outside, key.arn, known).describe(key.arn)
    except OutsideError as problem:
        return problem


def _look_at(outside: Outside, listed: Key, described: KeyDescription | OutsideError) -> Key:
    if isinstance(described, OutsideError):
        raise described
    return answer_state(outside, listed, described)
