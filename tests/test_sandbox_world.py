"""What waiting for an Atlas costs in the pretend world: our own nothing, a foreign one the seconds it asks for."""

from http import HTTPStatus

import pytest
from werkzeug.wrappers import Response

from sandbox.runner import Runner
from sandbox.web import serving
from sandbox.world import LONGEST_REAL_WAIT, AtlasPlace, Timeless, World

LOGIN = ("client", "secret")


class OurTime:
    """An Atlas on our clock in which nothing happens."""

    changes = None

    def next_event_at(self):
        return None

    def run_due(self):
        pass


class DeadAtlas:
    """An Atlas that answers nothing but one status."""

    def __init__(self, status, retry_after, its_time):
        self.answer = Response("{}", status, {"Retry-After": retry_after} if retry_after else {})
        self.its_time, self.calls = its_time, 0

    def __call__(self, world):
        address = world.stack.enter_context(serving(self.count, 0))
        return AtlasPlace(address=address, organization="5" * 24, reader=LOGIN, owner=LOGIN), self.its_time

    def count(self, environ, start_response):
        self.calls += 1
        return self.answer(environ, start_response)


def wait_for(atlas):
    """Let Keyturn discover what is in an Atlas; gives the real seconds waited and the virtual time that passed."""
    waited = []
    with World(atlas, sleep=waited.append) as world:
        before = world.clock.now()
        Runner(world).run_until(before)
        return waited, world.clock.now() - before


@pytest.mark.parametrize(("status", "retry_after"), [(HTTPStatus.SERVICE_UNAVAILABLE, None), (429, "3")])
def test_a_dead_atlas_of_our_own_is_asked_again_and_costs_neither_real_nor_virtual_time(status, retry_after):
    atlas = DeadAtlas(status, retry_after, OurTime())

    waited, passed = wait_for(atlas)

    assert atlas.calls >= 4  # once, and once after each of three waits
    assert (waited, passed.total_seconds()) == ([], 0)


def test_a_foreign_atlas_is_given_the_seconds_that_it_asks_for():
    atlas = DeadAtlas(429, "3", Timeless())

    waited, passed = wait_for(atlas)

    assert len(waited) >= 3
    assert min(waited) >= 3
    assert passed.total_seconds() == 0


@pytest.mark.parametrize(
    ("status", "retry_after"), [(HTTPStatus.SERVICE_UNAVAILABLE, None), (429, str(int(LONGEST_REAL_WAIT)))]
)
def test_no_foreign_atlas_holds_up_the_world_for_longer(status, retry_after):
    atlas = DeadAtlas(status, retry_after, Timeless())

    waited, _ = wait_for(atlas)

    assert atlas.calls >= 4
    assert waited == []
