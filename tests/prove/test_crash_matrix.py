"""The crash matrix: whatever kills, doubles or overtakes a rotation, it ends as if nothing had happened.

Every history starts anew, is harmed at one place (or at several, drawn by a seed that is printed), and then lives on by
the time index alone. `KEYTURN_SEED` draws others.
"""

import ast
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import product
from pathlib import Path
from random import Random

import pytest
from fake_atlas import PROJECT
from figures import FULL_SIZE, tell
from journeys import JOURNEYS, History, Journey, begin, live_on, what_is_wrong
from mortal_ports import ROTATE_PATH, Baton, Fate, mortal_outside
from simple_world import MINUTE, SECOND, Rotating, a_rotation, a_world, in_state

from chalicelib.domain.refusals import Refusal
from chalicelib.domain.rotation import LEASE
from chalicelib.usecases.ports import Due
from chalicelib.usecases.publish import CLAIM, send_notice
from chalicelib.usecases.rotate import advance_rotation

SEED = int(os.environ.get("KEYTURN_SEED", "20270301"))
AT_ONCE, LATE = timedelta(0), 4 * MINUTE
"""How late KMS lists a new key; an alias is found at once."""

EVERY_JOURNEY = pytest.mark.parametrize("journey", JOURNEYS, ids=str)
WITHOUT_INTERFERENCE = pytest.mark.parametrize("journey", [j for j in JOURNEYS if j.upset is None], ids=str)


@dataclass(kw_only=True)
class Count:
    """What a proof went through, and what it found wrong, by where the harm was done."""

    about: str
    journey: Journey
    histories: int = 0
    faults: int = 0
    broken: dict[str, list[str]] = field(default_factory=dict)
    made: Counter[int] = field(default_factory=Counter)

    def add(self, where: object, history: History, faults: int) -> None:
        wrong = what_is_wrong(history)
        self.histories += 1
        self.faults += faults
        self.made[history.world.created()] += 1
        if wrong:
            self.broken[str(where)] = wrong

    def check(self) -> None:
        survived = self.histories - len(self.broken)
        TOTAL.update(histories=self.histories, faults_injected=self.faults, survived=survived)
        tell(
            crash_matrix=self.about,
            journey=str(self.journey).replace("_", " "),
            histories=self.histories,
            faults_injected=self.faults,
            survived=f"{survived:,}/{self.histories:,}",
            keys_made=dict(sorted(self.made.items())),
            seed=str(SEED),
        )
        assert self.histories > 0
        assert self.broken == {}


TOTAL: Counter[str] = Counter()


@pytest.fixture(scope="module", autouse=True)
def _total():
    yield
    tell(crash_matrix="in all", **TOTAL, seed=str(SEED))


def how_far(journey: Journey) -> Fate:
    """How many calls and lines the journey takes unharmed."""
    unharmed = begin(journey, Fate(dies_at_line=-1))
    live_on(unharmed)
    assert what_is_wrong(unharmed) == []
    return unharmed.fate


def some(cases: Iterable[tuple], most: int, about: str) -> list[tuple]:
    """All cases at full size, else some of them, drawn by the seed."""
    everything = list(cases)
    return everything if FULL_SIZE or len(everything) <= most else Random(f"{SEED} {about}").sample(everything, most)


@EVERY_JOURNEY
def test_a_death_before_or_after_any_call_changes_nothing_in_the_end(journey):
    count, calls = Count(about="a death at every call", journey=journey), how_far(journey).calls

    cases = product(range(1, calls + 1), (False, True), (0, 1, 2), (AT_ONCE, LATE))
    for case in some(cases, 50, f"calls {journey}"):
        number, after, redeliveries, listed_after = case
        fate = Fate(dies_at=number, after=after)
        history = begin(journey, fate, redeliveries=redeliveries, listed_after=listed_after)
        live_on(history)
        count.add(case, history, fate.deaths)

    count.check()


@EVERY_JOURNEY
def test_a_death_at_any_line_of_the_rotate_path_changes_nothing_in_the_end(journey):
    count, lines = Count(about="a death at every line", journey=journey), how_far(journey).lines

    cases = ((number, more % 3) for number in range(1, lines + 1) for more in deliveries(journey, number))
    for case in some(cases, 35, f"lines {journey}"):
        number, redeliveries = case
        fate = Fate(dies_at_line=number)
        history = begin(journey, fate, redeliveries=redeliveries, listed_after=(AT_ONCE, LATE)[number % 2])
        live_on(history)
        count.add(case, history, fate.deaths)

    count.check()


def deliveries(journey: Journey, number: int) -> Iterable[int]:
    """How often the wake-ups are delivered: each way for the journey of most rotations, in turn for the others."""
    return (0, 1, 2) if journey is JOURNEYS[0] else (number,)


@EVERY_JOURNEY
def test_a_second_death_on_the_way_back_to_life_changes_nothing_in_the_end(journey):
    count, unharmed = Count(about="two deaths", journey=journey), how_far(journey)
    chance = Random(f"{SEED} two deaths {journey}")

    for number in range(150 if FULL_SIZE else 4):
        fate = Fate(
            dies_at=chance.randint(1, unharmed.calls),
            after=chance.random() < 1 / 2,
            dies_at_line=chance.randint(1, unharmed.lines),
        )
        history = begin(journey, fate, redeliveries=number % 3, listed_after=chance.choice([AT_ONCE, LATE]))
        live_on(history)
        count.add(number, history, fate.deaths)

    count.check()


@pytest.mark.parametrize("after", [False, True], ids=["before the effect", "after the effect"])
def test_a_death_when_the_key_is_made_after_any_other_death_makes_no_second_key(after):
    journey = JOURNEYS[0]
    count, calls = Count(about="another death when the key is made", journey=journey), how_far(journey).calls

    for number in range(1, calls + 1):
        fate = Fate(dies_at=number, dies_of="create", after=after)
        history = begin(journey, fate, listed_after=LATE)
        live_on(history)
        count.add(number, history, fate.deaths)

    count.check()


@EVERY_JOURNEY
@pytest.mark.parametrize("late", [AT_ONCE, LEASE + MINUTE], ids=["under the lease", "after the lease"])
def test_a_second_worker_between_any_two_calls_changes_nothing_in_the_end(journey, late):
    count, calls = Count(about=f"a second worker {late} later", journey=journey), how_far(journey).calls

    for case in some(product(range(1, calls + 1), (AT_ONCE, LATE)), 20, f"worker {journey} {late}"):
        number, listed_after = case
        history = begin(journey, Fate(dies_at=number), listed_after=listed_after)
        history.fate.instead = another_worker(history, late)
        live_on(history)
        count.add(case, history, 1)

    count.check()


def another_worker(history: History, late: timedelta):
    """Somebody who is woken while the first is held up for so long, and who is not held up."""

    def work():
        history.world.wait(late)
        advance_rotation(history.world.outside, PROJECT, history.rotation.rotation_id)

    return work


@EVERY_JOURNEY
def test_workers_that_take_turns_call_by_call_change_nothing_in_the_end(journey):
    count = Count(about="two workers in turns", journey=journey)

    for number in range(100 if FULL_SIZE else 4):
        history = begin(journey, listed_after=(AT_ONCE, LATE)[number % 2])
        crowd = Crowd(chance=Random(f"{SEED} turns {journey} {number}"), history=history)
        history.wake = crowd.work
        live_on(history)
        count.add(number, history, crowd.switches)

    count.check()


@pytest.mark.parametrize("after", [False, True], ids=["before the effect", "after the effect"])
def test_a_death_of_those_who_take_an_unused_key_back_leaves_no_orphan(after):
    journey = next(j for j in JOURNEYS if str(j) == "given up when swapping")
    unharmed = begin(journey)
    live_on(unharmed)
    count = Count(about="a death at every call of the janitor", journey=journey)

    for number in range(1, unharmed.janitor.calls + 1):
        history = begin(journey)
        history.janitor.dies_at, history.janitor.after = number, after
        live_on(history)
        count.add(number, history, history.janitor.deaths)

    count.check()
    assert count.faults > 20


@dataclass(kw_only=True)
class Crowd:
    """Two workers for each wake-up, in turns that chance gives out; now and then one of them dies or is held up."""

    chance: Random
    history: History
    switches: int = 0

    def work(self) -> None:
        baton = Baton(self._choices(), self._between)
        self._may_be_held_up = self.chance.random() < 1 / 4
        baton.run([self._worker(), self._worker()])
        self.switches += baton.switches

    def _choices(self) -> Iterator[int]:
        while True:
            yield self.chance.randrange(2)

    def _between(self) -> None:
        self.history.world.wait(self.chance.choice([AT_ONCE, AT_ONCE, SECOND]))
        if self._may_be_held_up and self.chance.random() < 1 / 10:
            self._may_be_held_up = False
            self.history.world.wait(LEASE + SECOND)

    def _worker(self):
        fate = Fate(dies_at=self.chance.randint(1, 30) if self.chance.random() < 1 / 10 else None)

        def process(ask):
            fate.baton = ask
            outside = mortal_outside(self.history.world, fate)
            fate.live(lambda: advance_rotation(outside, PROJECT, self.history.rotation.rotation_id))
            self.history.fate.late_words += fate.late_words

        return process


@WITHOUT_INTERFERENCE
def test_somebody_who_writes_the_project_at_any_call_changes_nothing_in_the_end(journey):
    count, calls = Count(about="the project is written by others", journey=journey), how_far(journey).calls

    for number in range(1, calls + 1, 1 if FULL_SIZE else 14):
        history = begin(journey, Fate(dies_at=number))
        world = history.world
        history.fate.instead = lambda world=world: world.change(world.project, name="renamed")
        live_on(history)
        count.add(number, history, 1)

    count.check()


@pytest.mark.parametrize("state", ["deploying", "deployed", "rolling_back", "returning"])
def test_what_others_may_see_already_is_not_given_up(state):
    world = a_world()
    rotation = in_state(world, state) if state in {"deploying", "deployed"} else on_the_way_back(world, state)
    before = rotation.now

    with pytest.raises(Refusal):
        rotation.cancel()

    assert rotation.now == before


def on_the_way_back(world, state) -> Rotating:
    rotation = in_state(world, "deploying")
    rotation.roll_back()
    rotation.go_until(state)
    return rotation


def test_an_emergency_whose_way_back_is_refused_comes_to_its_end_a_second_time():
    rotation = in_state(a_world(), "deployed", emergency=True)
    world = rotation.world
    world.keys.disable(rotation.now.old_key)
    rotation.roll_back()

    rotation.go_until("deployed")

    assert world.told().count("still_readable") == 1
    assert rotation.now.error.code == "rollback_refused"


def test_no_clean_up_of_ours_acts_in_a_dying_process():
    holding = [
        f"{Path(file).name}:{node.lineno}" for file in ROTATE_PATH for node in ast.walk(parsed(file)) if holds(node)
    ]

    assert holding == []


def parsed(file):
    return ast.parse(Path(file).read_text(encoding="utf-8"))


def holds(node):
    """Whether a dying process would still run something here."""
    if isinstance(node, ast.ExceptHandler):
        return node.type is None or "BaseException" in ast.unparse(node.type)
    return isinstance(node, (ast.With, ast.AsyncWith)) or (isinstance(node, ast.Try) and bool(node.finalbody))


def test_a_death_at_any_call_of_the_sender_loses_no_notice_and_changes_no_word():
    doubled = 0
    for number, after in product(range(1, 6), (False, True)):
        rotation = a_rotation(a_world())
        world, fate = rotation.world, Fate(dies_at=number, after=after)
        outside = mortal_outside(world, fate)
        (name,) = (n.notice_id for n in world.tracker.notices)
        for _ in range(3):
            fate.live(lambda outside=outside, name=name: send_notice(outside, name))
            world.wait(CLAIM)

        sent = world.messages.published
        doubled += len(sent) - 1
        assert len(sent) in {1, 2}
        assert len({(n.notice_id, n.text) for n in sent}) == 1
        assert tuple(world.tracker.due(Due.NOTICE, world.now)) == ()
    tell(sender="deaths at every call", deaths=10, lost=0, doubled_with_the_same_id=doubled)
    assert doubled == 2
