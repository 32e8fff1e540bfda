"""`python -m sandbox demo`: the whole story over fifteen virtual months, and the proof that nothing was lost."""

import gc
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from chalicelib import wiring
from sandbox.cast import stage
from sandbox.demo_proof import Outcome, prove, table_of, verdict_of
from sandbox.demo_story import Story, begin, live
from sandbox.rhythms import A_WEEK
from sandbox.timeline import Timeline

DAYS = 456
"""Fifteen months."""
_MANY_OBJECTS = 20_000


def tell(
    *,
    quiet: bool = False,
    as_json: bool = False,
    days: int = DAYS,
    around_atlas: Callable[[Any], Any] | None = None,
) -> int:
    """Tell the story on stdout; gives 0 when every promise was kept, else 1.

    `around_atlas` is put around the functions' Atlas reader: so a test blinds them, and sees the proof fail.
    """
    console = Console(quiet=quiet or as_json, soft_wrap=True)
    with _silence(), stage() as set_up, _seldom_collecting():
        wiring.furnish(now=set_up.world.clock.now, around_atlas=around_atlas, look_every=A_WEEK)
        story = begin(set_up, Timeline(console=console))
        _live(story, days)
        outcome = prove(story, days)
        keys = story.keys()
        console.print(table_of(keys, story.names, outcome))
    _conclude(outcome, keys, as_json=as_json)
    return 1 if outcome["broken"] else 0


def _conclude(outcome: Outcome, keys: list[dict[str, object]], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"ok": not outcome["broken"], **outcome, "keys": keys}, indent=2))
    else:
        print(verdict_of(outcome))


@contextmanager
def _silence() -> Iterator[None]:
    """Keep the functions' own log lines out of the story; what fails in them is in its outcome."""
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


@contextmanager
def _seldom_collecting() -> Iterator[None]:
    """Leave alone what the libraries hold: it never dies, and looking through it again and again takes time only."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(_MANY_OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def _live(story: Story, days: int) -> None:
    """Live with a progress bar on stderr."""
    columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
    errors = Console(stderr=True, quiet=story.timeline.console.quiet)
    with Progress(*columns, console=errors, transient=True) as bar:
        task = bar.add_task(f"{days} days", total=days)
        live(story, days, lambda: bar.advance(task))
