"""A process that dies, or is overtaken, at any one call to the outside: all ends as if nothing had happened."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from fake_atlas import ACCESS_KEY_ID, CREDENTIALS, PROJECT, USER_ARN
from simple_world import (
    DAY,
    MINUTE,
    Killed,
    Rotating,
    World,
    a_legacy_world,
    a_policy_for,
    a_rotation,
    a_world,
    let_time_pass,
    old_key,
)

from chalicelib.domain.observed import KeyStatus
from chalicelib.domain.records import Strategy
from chalicelib.domain.rotation import LEASE
from chalicelib.usecases.rotate import advance_rotation


@dataclass(kw_only=True)
class Fate:
    """Dies once, at the call of this number; `after` its effect, so that its answer is lost, or before it."""

    dies_at: int | None = None
    after: bool = False
    calls: int = 0
    instead: Callable[[], object] | None = None
    """What happens in place of the death."""

    def passes(self, *, after: bool) -> None:
        self.calls += not after
        if self.dies_at == self.calls and self.after is after:
            self.dies_at = None
            if self.instead is None:
                raise Killed
            self.instead()


@dataclass(frozen=True, kw_only=True)
class Mortal:
    """A port of which each call may be the last one."""

    port: Any
    fate: Fate

    def __getattr__(self, name: str) -> Any:
        there = getattr(self.port, name)
        if not callable(there):
            return there

        def call(*args, **named):
            self.fate.passes(after=False)
            answer = there(*args, **named)
            self.fate.passes(after=True)
            return answer

        return call


def make_mortal(world: World, fate: Fate) -> None:
    tracker, messages = Mortal(port=world.tracker, fate=fate), Mortal(port=world.messages, fate=fate)
    atlas, keys = Mortal(port=world.atlas, fate=fate), world.outside.keys
    world.outside = replace(
        world.outside,
        tracker=tracker,
        messages=messages,
        atlas=lambda _: atlas,
        atlas_owner=lambda _: atlas,
        keys=lambda region, role: Mortal(port=keys(region, role), fate=fate),
        roles=lambda _: Mortal(port=world.roles, fate=fate),
        legacy_user=atlas.legacy_user,
    )


def live_on(rotation: Rotating, *, doubled: bool) -> None:
    """Wake the rotation whenever it is due until it has ended; a `doubled` message wakes it twice."""
    for _ in range(80):
        now = rotation.now
        if now.due is None:
            return
        rotation.world.now = max(rotation.world.now, now.due, now.lease_until or now.due)
        for _ in range(1 + doubled):
            try:
                rotation.wake()
            except Killed:
                continue
    raise AssertionError(f"it has not ended: {rotation.now.state}, {rotation.now.waiting_for}")


@dataclass(frozen=True, kw_only=True)
class Journey:
    """A way for a rotation to go, and what must be true at its end, whatever happened."""

    state: str
    swaps: int
    keys: int
    begin: Callable[[], Rotating]
    kept: Callable[[World, Rotating], bool] = lambda _world, _rotation: True


def a_new_key() -> Rotating:
    return a_rotation(a_world())


def a_brought_key() -> Rotating:
    world = a_world()
    return a_rotation(world, key=str(world.keys.add(policy=a_policy_for())))


def an_emergency() -> Rotating:
    return a_rotation(a_world(), emergency=True)


def other_credentials() -> Rotating:
    world = a_legacy_world()
    world.keys.set_policy(old_key(world), a_policy_for(USER_ARN))
    return a_rotation(world, key=str(old_key(world)), credentials_secret=CREDENTIALS)


def on_demand() -> Rotating:
    return a_rotation(a_world(), strategy=Strategy.KMS_ON_DEMAND)


def automatic() -> Rotating:
    return a_rotation(a_world(), strategy=Strategy.KMS_AUTOMATIC)


def back_from_deploying() -> Rotating:
    rotation = a_rotation(a_world())
    rotation.go_until("deploying")
    rotation.roll_back()
    return rotation


def back_from_deployed() -> Rotating:
    rotation = a_rotation(a_world())
    rotation.go_until("deployed")
    rotation.roll_back()
    return rotation


def given_up() -> Rotating:
    rotation = a_rotation(a_world())
    rotation.go_until("swapping")
    rotation.cancel()
    return rotation


def on_the_new_key(world: World, rotation: Rotating) -> bool:
    return world.in_atlas.settings.key == str(rotation.now.new_key) == str(world.project.key)


def on_the_old_key(world: World, _rotation: Rotating) -> bool:
    return world.in_atlas.settings.key == str(old_key(world)) == str(world.project.key)


def with_new_credentials(world: World, _rotation: Rotating) -> bool:
    return world.in_atlas.settings.access_key_id == ACCESS_KEY_ID


def one_used(world: World, _rotation: Rotating) -> bool:
    return world.keys.rotations(old_key(world)).on_demand == 1


JOURNEYS = (
    Journey(begin=a_new_key, state="deployed", swaps=1, keys=2, kept=on_the_new_key),
    Journey(begin=a_brought_key, state="deployed", swaps=1, keys=2, kept=on_the_new_key),
    Journey(begin=an_emergency, state="deployed", swaps=1, keys=2, kept=on_the_new_key),
    Journey(begin=other_credentials, state="deployed", swaps=1, keys=1, kept=with_new_credentials),
    Journey(begin=on_demand, state="deployed", swaps=0, keys=1, kept=one_used),
    Journey(begin=automatic, state="deployed", swaps=0, keys=1, kept=on_the_old_key),
    Journey(begin=back_from_deploying, state="rolled_back", swaps=2, keys=2, kept=on_the_old_key),
    Journey(begin=back_from_deployed, state="rolled_back", swaps=2, keys=2, kept=on_the_old_key),
    Journey(begin=given_up, state="cancelled", swaps=0, keys=2, kept=on_the_old_key),
)
EVERY_JOURNEY = pytest.mark.parametrize("journey", JOURNEYS, ids=lambda journey: journey.begin.__name__)


def go_there(journey: Journey, fate: Fate, *, doubled: bool = False) -> Rotating:
    rotation = journey.begin()
    make_mortal(rotation.world, fate)
    live_on(rotation, doubled=doubled)
    return rotation


def what_is_wrong(journey: Journey, rotation: Rotating) -> list[str]:
    world = rotation.world
    tracked = {key.arn for key in world.tracker.keys_of(PROJECT)}
    facts = {
        f"it is {rotation.now.state}: {rotation.now.error}": rotation.now.state == journey.state,
        f"{world.swaps()} changes of settings": world.swaps() == journey.swaps,
        f"{len(world.keys.arns)} keys": len(world.keys.arns) == journey.keys,
        "a key that nobody tracks": tracked == set(world.keys.arns),
        "the project is still taken": world.project.open_rotation is None,
        "not what was asked for": journey.kept(world, rotation),
    }
    return [text for text, right in facts.items() if not right]


@EVERY_JOURNEY
@pytest.mark.parametrize("doubled", [False, True])
@pytest.mark.parametrize("after", [False, True])
def test_a_death_at_any_call_changes_nothing_in_the_end(journey, after, doubled):
    unharmed = Fate()
    go_there(journey, unharmed)

    wrong = {}
    for number in range(1, unharmed.calls + 1):
        rotation = go_there(journey, Fate(dies_at=number, after=after), doubled=doubled)
        wrong[number] = what_is_wrong(journey, rotation)

    assert {number: said for number, said in wrong.items() if said} == {}


@EVERY_JOURNEY
@pytest.mark.parametrize("late", [LEASE + MINUTE, timedelta(0)])
def test_a_second_worker_at_any_call_changes_nothing_in_the_end(journey, late):
    unharmed = Fate()
    go_there(journey, unharmed)

    wrong = {}
    for number in range(1, unharmed.calls + 1):
        rotation = journey.begin()
        fate = Fate(dies_at=number, instead=another_worker(rotation, late))
        make_mortal(rotation.world, fate)
        live_on(rotation, doubled=False)
        wrong[number] = what_is_wrong(journey, rotation)

    assert {number: said for number, said in wrong.items() if said} == {}


def another_worker(rotation: Rotating, late: timedelta) -> Callable[[], object]:
    """Somebody who is woken while the first is held up for so long."""
    outside = rotation.world.outside

    def work():
        rotation.world.wait(late)
        return advance_rotation(outside, PROJECT, rotation.rotation_id)

    return work


@EVERY_JOURNEY
def test_somebody_who_writes_the_project_at_any_call_changes_nothing_in_the_end(journey):
    unharmed = Fate()
    go_there(journey, unharmed)

    wrong = {}
    for number in range(1, unharmed.calls + 1):
        rotation = journey.begin()
        world = rotation.world
        fate = Fate(dies_at=number, instead=lambda world=world: world.change(world.project, name="renamed"))
        make_mortal(world, fate)
        live_on(rotation, doubled=False)
        wrong[number] = what_is_wrong(journey, rotation)

    assert {number: said for number, said in wrong.items() if said} == {}


def test_a_death_at_any_call_before_a_cancellation_leaves_no_orphan_a_day_later():
    unharmed = Fate()
    go_there(JOURNEYS[0], unharmed)

    orphans = {}
    for number in range(1, unharmed.calls + 1):
        rotation = a_rotation(a_world())
        make_mortal(rotation.world, Fate(dies_at=number, after=True))
        try:
            rotation.wake()
        except Killed:
            rotation.world.change(rotation.now, cancel_requested_by="anna")
            let_time_pass(rotation.world, 2 * DAY)
            orphans[number] = unwanted(rotation)

    assert len(orphans) > 10
    assert {number: found for number, found in orphans.items() if found} == {}


def unwanted(rotation: Rotating) -> list[str]:
    """The keys that are neither in use, nor kept for what they encrypted, nor on their way to deletion."""
    world = rotation.world
    used = {world.project.key, old_key(world)}
    statuses = {arn: world.keys.describe(arn).status for arn in world.keys.arns if arn not in used}
    return [f"{arn} is {status}" for arn, status in statuses.items() if status is not KeyStatus.PENDING_DELETION]
