"""Keeps a pretend world running on loopback until somebody stops it."""

import json
import logging
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread

import app as hall
from sandbox.cast import soon_gone, stage
from sandbox.consoles import open_consoles
from sandbox.door import open_door
from sandbox.pretend import elsewhere
from sandbox.runner import NeverIdle, Runner
from sandbox.scenarios import open_scenario
from sandbox.shells import write_shells
from sandbox.world import World

_PAUSE = 0.05
"""Real seconds between two looks for work that came from outside without the clock being turned."""

_log = logging.getLogger(__name__)


def serve(*, port: int, atlas_url: str | None, scenario: str | None = None, env: Path | None = None) -> int:
    """Print one JSON line when all of it is ready, `env` filled before; SIGTERM and ctrl-C stop it."""
    stop, own = Event(), sys.stdout
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    speak_to_stderr()
    with _open(atlas_url, scenario) as world:
        runner = Runner(world)
        runner.run_until(world.clock.now())
        with (
            open_door(world, runner, port) as api,
            open_consoles(api, world.aws.region, world.operators) as consoles,
            _pumping(world, runner, stop),
        ):
            if env is not None:
                write_shells(env, world, api)
            print(json.dumps(_announcement(world, api, consoles)), file=own, flush=True)
            stop.wait()
    return 0


@contextmanager
def _open(atlas_url: str | None, scenario: str | None) -> Iterator[World]:
    """A world at the present moment: on another's Atlas, in a scenario, or on our own Atlas with somebody in it."""
    start = datetime.now(tz=UTC).replace(microsecond=0)
    if atlas_url is not None:
        with World(elsewhere(atlas_url), start=start) as world:
            yield world
        return
    if scenario is not None:
        with open_scenario(scenario, start) as set_up:
            yield set_up.world
        return
    with stage(start) as set_up:
        payments = set_up.add_project("payments")
        playground = set_up.atlas.add_project("playground")  # without a customer key: its tier has none
        set_up.atlas.add_cluster(payments, "ledger", policies=soon_gone(start))
        set_up.atlas.add_cluster(playground, "toys", tier="M0")
        yield set_up.world


def speak_to_stderr() -> None:
    """Move the functions' log lines away from stdout, which belongs to the sandbox's own answers."""
    for handler in hall.logger.handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setStream(sys.stderr)


def _announcement(world: World, api: str, consoles: list[str]) -> dict[str, object]:
    admin = world.aws.admin
    return {
        "api": api,
        "aws": world.aws.address,
        "atlas": world.place.address,
        "console": consoles[0],
        "consoles": consoles,
        "table": world.resources["TrackerTable"]["name"],
        "alerts_topic": world.resources["AlertsTopic"]["arn"],
        "event_bus": world.resources["EventBus"]["name"],
        "admin": {"access_key_id": admin.access_key_id, "secret_access_key": admin.secret_access_key},
        "operators": [asdict(operator) for operator in world.operators],
    }


@contextmanager
def _pumping(world: World, runner: Runner, stop: Event) -> Iterator[None]:
    """Do at once what a request or a call to AWS from outside has set in motion."""

    def pump() -> None:
        while not stop.wait(_PAUSE):
            # Whoever turns the clock may hold the world for long; being told to stop is noticed all the same.
            if world.lock.acquire(timeout=_PAUSE):
                _settle(world, runner)

    thread = Thread(target=pump, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _settle(world: World, runner: Runner) -> None:
    """Settle a world whose lock is held, and give the lock back; restless functions do not end the pump."""
    try:
        runner.settle()
    except NeverIdle:
        _log.exception("the pump gives up for now")
    finally:
        world.lock.release()
