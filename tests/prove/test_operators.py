"""Several operators at once, and messages in every order: one rotation, one answer, one final row.

On the fake the operators take turns call by call, as a seed says that is printed; on DynamoDB Local, where it is there,
they run as threads. `KEYTURN_SEED` draws other turns.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import permutations, product
from random import Random
from threading import Barrier

import pytest
from dynamodb_local import client_at, dynamodb_local, shipped_table, why_not
from fake_atlas import PROJECT
from figures import FULL_SIZE, tell
from journeys import History, Journey, begin, live_on, what_is_wrong
from mortal_ports import Baton, Fate, mortal_outside
from simple_world import (
    MINUTE,
    SECOND,
    START,
    Rotating,
    World,
    a_request,
    a_rotation,
    a_world,
    found,
    in_state,
    old_key,
)

from chalicelib.adapters.tracker import DynamoTracker
from chalicelib.domain.opening import rotation_id
from chalicelib.domain.policies import NO_WISHES
from chalicelib.domain.records import Change, Rotation
from chalicelib.domain.refusals import No, Refusal
from chalicelib.domain.vocabulary import NoticeKind, RotationState, Strategy
from chalicelib.usecases.announce import announce_written
from chalicelib.usecases.discover import discover_project
from chalicelib.usecases.ports import Conflict, Outside
from chalicelib.usecases.request_rotation import cancel_rotation, request_rotation, roll_back_rotation
from chalicelib.usecases.rotate import advance_woken
from chalicelib.usecases.sweep import sweep_woken

SEED = int(os.environ.get("KEYTURN_SEED", "20270301"))
OPERATORS = range(2, 9)
Answer = Rotation | Refusal | Conflict
Act = Callable[[Outside], Rotation]


def said(act: Act, outside: Outside) -> Answer:
    """What an operator is answered: a rotation, a refusal, or that somebody else wrote first."""
    try:
        return act(outside)
    except (Refusal, Conflict) as no:
        return no


def in_turns(world: World, acts: list[Act], chance: Random) -> list[Answer]:
    """All act at once, in turns that chance gives out at each of their calls."""
    answers: dict[int, Answer] = {}

    def operator(number: int, act: Act):
        def process(ask):
            answers[number] = said(act, mortal_outside(world, Fate(baton=ask)))

        return process

    def choices() -> Iterator[int]:
        while True:
            yield chance.randrange(len(acts))

    Baton(choices(), lambda: None).run([operator(*numbered) for numbered in enumerate(acts)])
    return [answers[number] for number in range(len(acts))]


def asking(**asked) -> Act:
    return lambda outside: request_rotation(outside, PROJECT, a_request(**asked))


SAME = [{"idempotency_key": "one"}] * 8
DIFFERENT = [{"idempotency_key": f"key {number}"} for number in range(8)]
OTHER_BODIES = [{"idempotency_key": "one", "reason": f"reason {number}"} for number in range(8)]
MIXED = [{"idempotency_key": f"key {number % 3}"} for number in range(8)]
CROWDS = {"same key": SAME, "different keys": DIFFERENT, "same key, other bodies": OTHER_BODIES, "mixed keys": MIXED}
REFUSED = {
    "same key": set(),
    "different keys": {No.CONFLICT},
    "same key, other bodies": {No.CONTRADICTION},
    "mixed keys": {No.CONFLICT},
}


def what_disagrees(answers: list[Answer], requests: list[dict], tracker, refused: set[No]) -> list[str]:
    """Every promise to the operators that was broken."""
    opened = {answer.rotation_id for answer in answers if isinstance(answer, Rotation)}
    kept = [one.rotation_id for one in tracker.rotations(PROJECT, None, 100).items]
    noes = [answer for answer in answers if isinstance(answer, Refusal)]
    lucky = {r["idempotency_key"] for r, answer in zip(requests, answers, strict=True) if isinstance(answer, Rotation)}
    facts = {
        f"{opened} were opened, {kept} are kept": len(opened) == 1 and set(kept) == opened,
        "the project has another": tracker.project(PROJECT).open_rotation in opened,
        "an operator was told to try again": not any(isinstance(answer, Conflict) for answer in answers),
        f"refused as {[no.no for no in noes]}": {no.no for no in noes} <= refused,
        f"named {[no.details for no in noes]}": all(no.details["rotation_id"] in opened for no in noes),
        f"{lucky} were answered by a rotation": len(lucky) == 1,
    }
    return [text for text, right in facts.items() if not right]


@pytest.mark.parametrize("crowd", CROWDS)
def test_operators_who_ask_at_once_get_one_rotation(crowd):
    broken, histories, switches = {}, 0, Counter()
    for count in OPERATORS:
        for number in range(80 if FULL_SIZE else 3):
            world, requests = a_world(), CROWDS[crowd][:count]
            chance = Random(f"{SEED} {crowd} {count} {number}")

            answers = in_turns(world, [asking(**asked) for asked in requests], chance)

            histories += 1
            switches[sum(isinstance(answer, Rotation) for answer in answers)] += 1
            wrong = what_disagrees(answers, requests, world.tracker, REFUSED[crowd])
            if world.told() != [NoticeKind.ROTATION_STARTED]:
                wrong.append(f"told {world.told()}")
            if wrong:
                broken[count, number] = wrong

    survived = f"{histories - len(broken):,}/{histories:,}"
    tell(operators=crowd, at_once="2 to 8", histories=histories, survived=survived, seed=str(SEED))
    assert broken == {}


@pytest.fixture(scope="module")
def stored():
    if (reason := why_not()) is not None:
        pytest.skip(reason)
    with dynamodb_local() as address:
        client = client_at(address)
        made = shipped_table(client)
        yield client, made["name"]


@pytest.mark.parametrize("crowd", CROWDS)
def test_operators_who_ask_at_once_get_one_rotation_from_a_real_database(stored, crowd):
    client, table = stored
    broken, histories = {}, 0
    for count in OPERATORS:
        for number in range(6):
            empty(client, table)
            world, requests = a_world(), CROWDS[crowd][:count]
            tracker = stored_world(world, DynamoTracker(client, table))

            answers = at_once(world.outside, [asking(**asked) for asked in requests])

            histories += 1
            wrong = what_disagrees(answers, requests, tracker, REFUSED[crowd])
            if wrong:
                broken[count, number] = wrong

    survived = f"{histories - len(broken):,}/{histories:,}"
    tell(operators=f"{crowd}, on DynamoDB Local", at_once="2 to 8", histories=histories, survived=survived)
    assert broken == {}


def empty(client, table) -> None:
    for item in client.scan(TableName=table)["Items"]:
        client.delete_item(TableName=table, Key={"pk": item["pk"], "sk": item["sk"]})


def stored_world(world: World, tracker: DynamoTracker) -> DynamoTracker:
    """Move the world's memory into a real database."""
    key = world.tracker.key(old_key(world))
    tracker.commit(Change(records=(replace(world.project, version=0), replace(key, version=0))))
    world.outside = replace(world.outside, tracker=tracker)
    return tracker


def at_once(outside: Outside, acts: list[Act]) -> list[Answer]:
    together = Barrier(len(acts))

    def operator(act: Act) -> Answer:
        together.wait(10)
        return said(act, outside)

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(operator, acts))


WISHES: dict[str, tuple[Journey, Act]] = {
    "ask": (Journey(begin=lambda: Rotating(world=a_world(), rotation_id=rotation_id(PROJECT, "one"))), asking()),
    "give it up": (
        Journey(
            begin=lambda: in_state(a_world(), "swapping"),
            ends=frozenset({RotationState.CANCELLED}),
            told=frozenset({NoticeKind.ROTATION_CANCELLED}),
            swaps=0,
        ),
        lambda outside: cancel_rotation(outside, PROJECT, rotation_id(PROJECT, "one"), who="anna"),
    ),
    "go back": (
        Journey(begin=lambda: in_state(a_world(), "deployed"), ends=frozenset({RotationState.ROLLED_BACK}), swaps=2),
        lambda outside: roll_back_rotation(outside, PROJECT, rotation_id(PROJECT, "one"), who="anna"),
    ),
}


@pytest.mark.parametrize("wish", WISHES)
def test_an_operator_whose_request_dies_at_any_call_asks_again_and_is_heard_once(wish):
    journey, act = WISHES[wish]
    broken, histories = {}, 0
    for number, after in product(range(1, 8), (False, True)):
        history = begin(journey)
        dying = Fate(dies_at=number, after=after)
        dying.live(lambda dying=dying, history=history: act(mortal_outside(history.world, dying)))
        history.world.wait(SECOND)
        answer = said(act, history.world.outside)
        live_on(history)

        histories += dying.deaths
        wrong = what_is_wrong(history)
        if isinstance(answer, Conflict) or wrong:
            broken[number, after] = [answer, *wrong]

    tell(operator=f"dies when about to {wish}", deaths=histories, broken=len(broken))
    assert histories > 4
    assert broken == {}


STATES = ("requested", "preparing", "swapping", "deploying", "rolling_back", "returning")
BY_KMS = ("requested", "renewing")


@pytest.mark.parametrize(
    ("state", "strategy"),
    [*((state, Strategy.NEW_CMK) for state in STATES), *((state, Strategy.KMS_ON_DEMAND) for state in BY_KMS)],
)
def test_a_rotation_during_a_rotation_is_refused_and_changes_nothing(state, strategy):
    world = a_world()
    rotation = on_its_way(world, state, strategy)
    before, project = rotation.now, world.project

    refusal = said(asking(idempotency_key="two"), world.outside)
    same = said(asking(idempotency_key="one", strategy=strategy), world.outside)

    assert (refusal.no, refusal.details) == (No.CONFLICT, {"rotation_id": rotation.rotation_id})
    assert same == before == rotation.now
    assert world.project == project


def on_its_way(world: World, state: str, strategy: Strategy) -> Rotating:
    if state not in {"rolling_back", "returning"}:
        return in_state(world, state, strategy=strategy)
    rotation = in_state(world, "deploying", strategy=strategy)
    rotation.roll_back()
    rotation.go_until(state)
    return rotation


CHANGES_OF_MIND: dict[str, tuple[str, Callable[[Rotating], Rotation], RotationState]] = {
    "give it up": ("swapping", Rotating.cancel, RotationState.CANCELLED),
    "go back while deploying": ("deploying", Rotating.roll_back, RotationState.ROLLED_BACK),
    "go back when deployed": ("deployed", Rotating.roll_back, RotationState.ROLLED_BACK),
}


@pytest.mark.parametrize("wish", CHANGES_OF_MIND)
def test_operators_who_change_their_minds_at_once_while_a_worker_is_at_it_agree_in_the_end(wish):
    state, change, end = CHANGES_OF_MIND[wish]
    journey = Journey(begin=lambda: in_state(a_world(), state), ends=frozenset({end}), told=frozenset(), swaps=None)
    broken = {}
    histories = 0
    for count in OPERATORS:
        for number in range(24 if FULL_SIZE else 2):
            history = begin(journey)
            world, rotation_id = history.world, history.rotation.rotation_id

            def decide(outside, change=change, world=world, rotation_id=rotation_id):
                here = replace_outside(world, outside)
                return change(Rotating(world=here, rotation_id=rotation_id))

            def step(outside, rotation_id=rotation_id):
                advance_woken(outside, {"project_id": PROJECT, "rotation_id": rotation_id})

            acts = [*[decide] * count, *([step] if state == "deploying" else [])]
            answers = in_turns(world, acts, Random(f"{SEED} {wish} {count} {number}"))[:count]
            live_on(history)

            histories += 1
            wrong = what_is_wrong(history)
            if not any(isinstance(answer, Rotation) for answer in answers):
                wrong.append("nobody was heard")
            if wrong:
                broken[count, number] = wrong

    survived = f"{histories - len(broken):,}/{histories:,}"
    tell(operators=wish, at_once="2 to 8", histories=histories, survived=survived, seed=str(SEED))
    assert broken == {}


def replace_outside(world: World, outside: Outside):
    """The same world, seen by another process."""
    seen = object.__new__(World)
    seen.__dict__.update(world.__dict__, outside=outside)
    return seen


# --- messages ---


@dataclass(kw_only=True)
class Post:
    """The messages that one rotation brings about, as handlers get them; each carries ids and decides nothing."""

    rotation: Rotating
    said: list[str] = field(default_factory=list)

    @property
    def world(self) -> World:
        return self.rotation.world

    def wake(self) -> None:
        advance_woken(self.world.outside, {"project_id": PROJECT, "rotation_id": self.rotation.rotation_id})

    def sweep_the_old(self) -> None:
        sweep_woken(self.world.outside, {"key": str(self.rotation.now.old_key)})

    def sweep_the_new(self) -> None:
        if self.rotation.now.new_key is not None:
            sweep_woken(self.world.outside, {"key": str(self.rotation.now.new_key)})

    def discover(self) -> None:
        discover_project(self.world.outside, found(), NO_WISHES)

    def announce_the_first(self) -> None:
        announce_written(self.world.outside, self.world.tracker.notices[0].notice_id)

    def announce_the_last(self) -> None:
        announce_written(self.world.outside, self.world.tracker.notices[-1].notice_id)

    def all(self) -> tuple[Callable[[], None], ...]:
        return (
            self.wake,
            self.sweep_the_old,
            self.sweep_the_new,
            self.discover,
            self.announce_the_first,
            self.announce_the_last,
        )


def final_rows(rotation: Rotating) -> dict[str, object]:
    """What the tracker says in the end; versions and the times of mere looks are left out."""
    world = rotation.world
    now = rotation.now
    project = world.project
    keys = {
        str(key.arn): (key.state, key.projects, key.replaced_at, key.deployed_at, key.created_by_us, key.alias)
        for key in world.tracker.keys_of(PROJECT)
    }
    return {
        "rotation": replace(now, version=0),
        "project": replace(project, version=0, seen_at=START),
        "keys": keys,
        "notices": sorted((n.notice_id, n.text) for n in world.tracker.notices if n.kind != NoticeKind.KEY_SAFE),
        "settings": world.in_atlas.settings,
    }


def deliver(order: tuple[int, ...], again: tuple[int, ...]) -> tuple[dict[str, object], Rotating]:
    """Bring all messages in this order at each moment when the rotation is due, some of them twice."""
    rotation = a_rotation(a_world())
    world, post = rotation.world, Post(rotation=rotation)
    for _ in range(40):
        for number in (*order, *again):
            post.all()[number]()
        now = rotation.now
        if now.due is None:
            return final_rows(rotation), rotation
        world.now = max(world.now, now.due, now.lease_until or now.due)
    raise AssertionError(f"it does not end: {rotation.now}")


def test_the_messages_of_a_rotation_in_every_order_and_twice_make_the_same_final_row():
    orders = list(permutations(range(6)))
    chance = Random(f"{SEED} orders")
    in_order, _ = deliver(orders[0], ())

    tried = orders if FULL_SIZE else chance.sample(orders, 60)
    different = {}
    for order in tried:
        again = tuple(chance.sample(range(6), chance.randrange(4)))
        rows, rotation = deliver(order, again)
        if rows != in_order:
            different[order, again] = {name for name in rows if rows[name] != in_order[name]}
        assert len(rotation.world.messages.published) == len({n.notice_id for n in rotation.world.messages.published})

    tell(
        messages="in every order",
        orders=len(tried),
        of_all=len(orders),
        same=len(tried) - len(different),
        seed=str(SEED),
    )
    assert in_order["rotation"].state == RotationState.DEPLOYED
    assert different == {}


def test_wake_ups_at_any_moment_lost_late_and_doubled_come_to_the_same_end():
    journey = Journey(begin=lambda: a_rotation(a_world()))
    broken, deliveries = {}, 0
    histories = 1_000 if FULL_SIZE else 60
    for number in range(histories):
        chance = Random(f"{SEED} late {number}")
        history = begin(journey)
        post = Post(rotation=history.rotation)
        for moment in sorted(START + 90 * MINUTE * chance.random() for _ in range(chance.randint(1, 25))):
            history.world.now = moment
            deliveries += 1
            post.wake()
        live_on(history)
        wrong = what_is_wrong(history)
        if wrong or at_what(history) != ("deployed", 1, 1):
            broken[number] = [*wrong, at_what(history)]

    survived = f"{histories - len(broken):,}/{histories:,}"
    tell(wake_ups="at any moment", histories=histories, deliveries=deliveries, survived=survived, seed=str(SEED))
    assert broken == {}


def at_what(history: History) -> tuple[str, int, int]:
    return history.rotation.now.state, history.world.created(), history.world.swaps()


def test_a_request_that_meets_somebody_who_writes_the_project_opens_all_the_same():
    world = a_world()
    fate = Fate(dies_of="commit", instead=lambda: world.change(world.project, name="renamed"))

    opened = request_rotation(mortal_outside(world, fate), PROJECT, a_request())

    assert world.project.open_rotation == opened.rotation_id
