"""Does one thing after another, so that the trouble of one delays no other."""

import logging
from collections.abc import Callable, Iterable
from typing import TypeVar

Name = TypeVar("Name")

_log = logging.getLogger(__name__)


def do_each(names: Iterable[Name], do: Callable[[Name], object], what: str) -> int:
    """Do it for each, and give for how many it did something.

    Raises an ExceptionGroup of what went wrong, once every one has had its turn; `what` names the ones in its text.
    """
    done = seen = 0
    troubles: list[Exception] = []
    for name in names:
        seen += 1
        try:
            done += bool(do(name))
        except Exception as trouble:  # noqa: BLE001 - one that needs help at once may stand behind the one with the trouble
            _log.warning("%s %s: %s", what, name, trouble)
            troubles.append(trouble)
    if troubles:
        raise ExceptionGroup(f"{len(troubles)} of {seen} {what} were in trouble", troubles)
    return done
