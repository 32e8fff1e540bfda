"""Follows a table of states: the one rule that every life in Keyturn obeys."""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

State = TypeVar("State", bound=StrEnum)
Event = TypeVar("Event", bound=StrEnum)


class IllegalTransition(Exception):
    """An event that the present state does not know; nothing was changed."""


def follow(table: Mapping[tuple[State, Event], State], state: State, event: Event, *, of: str) -> State:
    """Where an event leads; raises IllegalTransition for a pair that is not in the table of this kind of life."""
    try:
        return table[state, event]
    except KeyError:
        raise IllegalTransition(f"a {of} that is {state} cannot take the event “{event}”") from None
