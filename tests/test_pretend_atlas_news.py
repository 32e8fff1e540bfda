"""When a world says that there is something new to look at: after whatever anybody does, not after each snapshot."""

from datetime import timedelta

import pytest

from sandbox.cast import stage
from sandbox.world import Timeless


class Place:
    """A project with a cluster for each thing that may be done to one."""

    def __init__(self, set_up):
        self.set_up, self.world, self.atlas = set_up, set_up.world, set_up.atlas
        self.project = set_up.add_project("shop")
        for name in ("events", "running", "sleeping", "old", "growing", "open"):
            self.atlas.add_cluster(self.project, name)
        self.atlas.pause(self.project, "sleeping")
        self.kept, self.given_up = (self.atlas.take_snapshot(self.project, "events") for _ in range(2))
        self.wait(days=1)

    def wait(self, **length):
        self.set_up.let_atlas_live(self.world.clock.now() + timedelta(**length))


DEEDS = {
    "a key is switched": lambda at: at.atlas.switch_key_by_hand(at.project, at.set_up.make_key("other")),
    "a project is made": lambda at: at.set_up.add_project("second"),
    "a role is offered": lambda at: at.atlas.add_role(at.project, None),
    "a cluster is made": lambda at: at.atlas.add_cluster(at.project, "new"),
    "a cluster is paused": lambda at: at.atlas.pause(at.project, "running"),
    "a cluster is resumed": lambda at: at.atlas.resume(at.project, "sleeping"),
    "a cluster is deleted": lambda at: at.atlas.delete_cluster(at.project, "old", retain_backups=True),
    "a cluster is sharded": lambda at: at.atlas.convert_to_sharded(at.project, "growing"),
    "a cluster is decrypted": lambda at: at.atlas.decrypt_cluster(at.project, "open"),
    "a snapshot is kept for longer": lambda at: at.atlas.extend_retention(at.kept, days=90),
    "a snapshot is deleted": lambda at: at.atlas.delete_snapshot(at.given_up),
    "a key is disabled": lambda at: at.world.aws.client("kms").disable_key(
        KeyId=at.atlas.projects[at.project].key.partition("/")[2]
    ),
    "an alert of the key's age comes": lambda at: at.wait(days=120),
}


@pytest.fixture(scope="module")
def place():
    with stage() as set_up:
        yield Place(set_up)


def test_days_of_scheduled_snapshots_are_no_news(place):
    before, taken = place.world.changes, len(list(place.atlas.every_snapshot()))

    place.wait(days=5)

    assert place.world.changes == before
    assert len(list(place.atlas.every_snapshot())) > taken


@pytest.mark.parametrize("deed", DEEDS)
def test_what_anybody_does_is_news(place, deed):
    before = place.world.changes

    DEEDS[deed](place)

    assert place.world.changes != before


def test_an_atlas_of_somebody_else_may_always_have_changed():
    foreign = Timeless()

    assert foreign.changes != foreign.changes
