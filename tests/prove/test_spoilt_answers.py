"""Answers of Atlas that went wrong by chance, anywhere in them: no sweep fails over one, and none finds a key free.

The fault matrix (test_fault_matrix.py) lets every call go wrong in every way that somebody thought of; here Hypothesis
thinks of others.
"""

import json

import pytest
from atlas_stand_in import Reply
from figures import FULL_SIZE, tell
from hypothesis import given, seed, settings
from hypothesis import strategies as st
from prove.faulty_atlas import PLACES, FaultyAtlas, good_answer
from prove.test_fault_matrix import a_safe_world, over_http
from simple_world import old_key
from spoilt_answers import bodies, with_other

from chalicelib.domain.retention import is_safe
from chalicelib.usecases.sweep import sweep_key

SEED = 20_270_301
EXAMPLES = 1000 if FULL_SIZE else 40
NEEDS_IT = ("snapshots", "snapshots/shardedClusters")


class SpoiltAtlas(FaultyAtlas):
    """Answers as its like, but for the body that one call gets; the clusters but two may have a snapshot of a key."""

    def __init__(self) -> None:
        super().__init__()
        self.spoilt = None
        self.needed = None

    def answer(self, asked):
        if self.spoilt is not None and self.spoilt[0].is_asked(asked, any_page=False):
            return Reply(body=self.spoilt[1])
        return Reply(body=self.good(asked.path, json.loads(json.dumps(super().answer(asked).body))))

    def good(self, path, body):
        """What is answered when nothing goes wrong."""
        name, _, kind = path.partition("/clusters/")[2].partition("/backup/")
        if self.needed is not None and kind in NEEDS_IT and name not in {"main", "gone"}:
            body["results"][0]["masterKeyUUID"] = self.needed.key_id
        return body


@pytest.fixture(scope="module")
def atlas():
    with SpoiltAtlas() as stand_in:
        yield stand_in


def sweep(atlas, *, needed, spoilt=None):
    """Sweep the old key once, over HTTP, while one call gets a spoilt answer."""
    world = over_http(a_safe_world(), atlas)
    atlas.needed, atlas.spoilt = old_key(world) if needed else None, spoilt
    return is_safe(sweep_key(world.outside, old_key(world)))


def test_what_is_spoilt_here_shows_a_free_key_as_free_and_a_needed_one_as_needed(atlas):
    assert sweep(atlas, needed=False)
    assert not sweep(atlas, needed=True)


BEYOND = 10**30
PLACE_OF = {str(place): place for place in PLACES}
FOUND_ONCE = {
    "/clusters/big/backup/schedule": [("restoreWindowDays", BEYOND), ("restoreWindowDays", 3_000_000)],
    "/clusters/main/backup/schedule": [
        ("copySettings", [{"copyPolicyItems": [{"retentionUnit": "years", "retentionValue": 30_000}]}])
    ],
    "/api/oauth/token": [("expires_in", BEYOND), ("expires_in", -BEYOND)],
    **{
        f"/clusters/big/backup/{kind}": [
            (("results", 0, field), moment)
            for field in ("expiresAt", "createdAt")
            for moment in ("9999-12-31T23:59:59-23:00", "0001-01-01T00:00:00+23:00")
        ]
        for kind in NEEDS_IT
    },
}
"""Values that once stopped a sweep, or might: they leave the calendar."""


@pytest.mark.parametrize(("place", "wrong"), [(place, wrong) for place in FOUND_ONCE for wrong in FOUND_ONCE[place]])
def test_numbers_and_times_that_leave_the_calendar_stop_no_sweep(atlas, place, wrong):
    path, value = wrong
    atlas.needed = old_key(a_safe_world())
    good = atlas.good(PLACE_OF[place].path, json.loads(json.dumps(good_answer(PLACE_OF[place]))))
    body = json.dumps(with_other(good, path if isinstance(path, tuple) else (path,), value)).encode()

    assert not sweep(atlas, needed=True, spoilt=(PLACE_OF[place], body))


def test_no_spoilt_answer_stops_a_sweep_or_frees_a_key_that_is_needed(atlas):
    free = 0

    @seed(SEED)
    @settings(max_examples=EXAMPLES, deadline=None, database=None)
    @given(place=st.sampled_from(PLACES), data=st.data())
    def judge(place, data):
        nonlocal free
        atlas.needed = old_key(a_safe_world())
        good = atlas.good(place.path, json.loads(json.dumps(good_answer(place))))
        body = data.draw(bodies(good, wrongs=1))

        assert not sweep(atlas, needed=True, spoilt=(place, body))
        free += sweep(atlas, needed=False, spoilt=(place, body))

    judge()
    tell(spoilt_answers=EXAMPLES, calls=len(PLACES), free_keys_still_found_free=free, seed=SEED)
    assert free, "a sweep that nothing satisfies proves nothing"
