"""Every call of a sweep fails in every way: no verdict is ever safe for it, the reason names the call, nothing escapes.

The sweep speaks to Atlas over HTTP, through the adapter. A cell is one call of it and one kind of fault, which lasts or
strikes once; a fault that struck once may only be forgotten when the call was made again.
"""

import random
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import product

import pytest
from atlas_stand_in import SECRET, TOKEN, Pace, a_session
from fake_atlas import ORGANIZATION, a_snapshot
from figures import FULL_SIZE, tell
from prove.faulty_atlas import CURRENT, KINDS, PLACES, FaultyAtlas, Place, spoils
from simple_world import ANNA, DAY, HOUR, START, World, a_world, old_key

from chalicelib.adapters.atlas import AtlasReader
from chalicelib.domain.observed import KeyStatus
from chalicelib.domain.records import Deletion
from chalicelib.domain.retention import is_safe
from chalicelib.domain.retirement import LAST_CHANCE
from chalicelib.domain.vocabulary import DeletionState, KeyState
from chalicelib.usecases.ports import Conflict, NotFound, OutsideError, PermanentError, TemporaryError
from chalicelib.usecases.request_deletion import approve_deletion, request_deletion
from chalicelib.usecases.retire import advance_deletions
from chalicelib.usecases.sweep import sweep_key
from chalicelib.wiring import at_once

SEED = 20_270_301
SAMPLE = 120
FOUND_ONCE = ("nested too deep", "an empty object", "total larger than the list", "refused, nested too deep")
"""Kinds that a sweep once did not survive at some call: all their cells are always tried."""

BERT = ANNA.replace("anna", "bert")
CELLS = [
    (place, kind, lasting) for place, kind in product(PLACES, KINDS) for lasting in (True, False) if spoils(place, kind)
]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one cell came to; `wrong` is empty where the fault was survived."""

    safe: bool
    wrong: str = ""


@pytest.fixture(scope="module")
def atlas():
    with FaultyAtlas() as stand_in:
        yield stand_in


def a_safe_world() -> World:
    """The old key was found safe days ago, and all that Atlas shows still says so."""
    world = a_world(key=CURRENT)
    key = world.tracker.key(old_key(world))
    long_ago = {"replaced_at": START - 200 * DAY, "deployed_at": START - 199 * DAY}
    clean = {"clean_since": START - 9 * DAY, "safe_since": START - 8 * DAY, "proof_digest": "d"}
    world.put(
        replace(key, state=KeyState.RETIRING, created_by_us=True, **long_ago, **clean),
        replace(key, arn=CURRENT, version=0),
    )
    return world


def over_http(world: World, atlas: FaultyAtlas, *, side_by_side: bool = False) -> World:
    """Let the world's Atlas be the one that the stand-in shows."""
    world.organizations[ORGANIZATION] = AtlasReader(a_session(atlas, Pace()), ORGANIZATION)
    if side_by_side:
        world.outside = replace(world.outside, at_once=at_once)
    return world


def swept(atlas: FaultyAtlas, place: Place, *, side_by_side: bool) -> Outcome:
    """Sweep once over HTTP and say what is wrong with the verdict."""
    world = over_http(a_safe_world(), atlas, side_by_side=side_by_side)
    try:
        key = sweep_key(world.outside, old_key(world))
    except Exception as escaped:  # noqa: BLE001 - whatever escapes is what is looked for
        return Outcome(safe=False, wrong=f"{type(escaped).__name__} escaped: {escaped}")
    texts = " ".join(reason.text for reason in key.reasons)
    if SECRET in texts or f"{TOKEN}-" in texts:
        return Outcome(safe=False, wrong="a reason tells a secret")
    if is_safe(key) or key.safe_since is not None:
        return Outcome(safe=True, wrong="" if atlas.times > 1 else "safe, and the call was not made again")
    named = [
        r for r in key.reasons if r.kind == "unread" and r.call and place.path.removeprefix("/api/atlas/v2") in r.call
    ]
    return Outcome(safe=False, wrong="" if named else f"the call is not named: {texts}")


def test_a_sweep_in_which_nothing_fails_is_safe_and_makes_the_calls_of_the_matrix(atlas):
    atlas.order(None)
    world = over_http(a_safe_world(), atlas)

    key = sweep_key(world.outside, old_key(world))

    made = {place for place in PLACES for asked in atlas.asked if place.is_asked(asked, any_page=False)}
    assert (key.reasons, is_safe(key)) == ((), True)
    assert made == set(PLACES)
    assert all(any(p.is_asked(asked, any_page=False) for p in PLACES) for asked in atlas.asked)


def a_sample() -> list[tuple[Place, str, bool]]:
    """Every kind that was ever trouble, everywhere; every other kind and every call now and then."""
    chosen = random.Random(SEED).sample(CELLS, SAMPLE)
    return [cell for cell in CELLS if (cell[1] in FOUND_ONCE and cell[2]) or cell in chosen]


def test_no_fault_of_any_call_ever_leads_to_a_verdict_that_is_safe(atlas):
    cells = CELLS if FULL_SIZE else a_sample()
    failed, forgiven = [], 0
    for number, (place, kind, lasting) in enumerate(cells):
        atlas.order(place, kind, lasting=lasting)
        outcome = swept(atlas, place, side_by_side=number % 4 == 0)
        forgiven += outcome.safe
        wrong = outcome.wrong or ("a lasting fault was forgotten" if outcome.safe and lasting else "")
        if wrong:
            failed.append(f"{place}, {kind}, {'lasting' if lasting else 'once'}: {wrong}")

    tell(
        fault_matrix_calls=len(PLACES),
        kinds=len(KINDS),
        cells=len(cells),
        survived=len(cells) - len(failed),
        forgiven_after_asking_again=forgiven,
        escaped=sum("escaped" in line for line in failed),
        seed=SEED,
    )
    assert not failed, "\n".join(failed[:20])


def test_a_token_that_is_revoked_at_any_call_ends_the_reading_and_is_named(atlas):
    for number in range(len(PLACES)):
        atlas.order(None)
        world = over_http(a_safe_world(), atlas)
        revoked_from(atlas, number)

        key = sweep_key(world.outside, old_key(world))

        del atlas.answer
        unread = [reason for reason in key.reasons if reason.kind == "unread"]
        assert not is_safe(key)
        assert all("401" in reason.text for reason in unread)
        assert len(unread) >= 1


def revoked_from(atlas: FaultyAtlas, number: int) -> None:
    """From a call on, whatever it is, no token is worth anything."""
    answered = type(atlas).answer

    def answer(asked):
        good = answered(atlas, asked)
        return KINDS["status 401"](good.body) if len(atlas.asked) > number else good

    atlas.answer = answer


KMS_TROUBLES = [
    TemporaryError("slow down", call="kms:GetKeyLastUsage", code="ThrottlingException"),
    TemporaryError("internal", call="kms:GetKeyLastUsage", code="KMSInternalException"),
    TemporaryError("no answer", call="kms:GetKeyLastUsage"),
    PermanentError("denied", call="kms:GetKeyLastUsage", code="AccessDeniedException"),
    PermanentError("too old an SDK", call="kms:GetKeyLastUsage", code="not_available"),
    NotFound("no such key", call="kms:GetKeyLastUsage", code="NotFoundException"),
]


@pytest.mark.parametrize("trouble", KMS_TROUBLES, ids=lambda trouble: trouble.code or "lost")
def test_what_kms_will_not_tell_of_the_last_use_changes_no_verdict_and_stops_no_sweep(trouble):
    for needed in (True, False):
        world = on_fakes(needed=needed)
        world.keys.fail("last_used", trouble)

        key = sweep_key(world.outside, old_key(world))

        assert is_safe(key) is not needed


def on_fakes(*, needed: bool) -> World:
    """The same world without HTTP; with a snapshot that needs the old key, or with none."""
    world = a_safe_world()
    world.in_atlas.settings = replace(world.in_atlas.settings, key=str(CURRENT))
    world.in_atlas.snapshots["main"] = [a_snapshot(1, old_key(world) if needed else CURRENT)]
    return world


class Counting:
    """A tracker or KMS in front of another, of which one call fails, before its effect or after it."""

    def __init__(self, inner, *, nth: int | None = None, error: OutsideError | None = None, after: bool = False):
        self._inner, self._nth, self._error, self._after = inner, nth, error, after
        self.made = 0

    def __getattr__(self, name):
        inner = getattr(self._inner, name)
        if not callable(inner) or name in {"change", "fail_next"}:
            return inner

        def call(*args, **named):
            self.made += 1
            strikes = self.made == self._nth
            if strikes and not self._after:
                raise self._error
            answer = inner(*args, **named)
            if strikes:
                raise self._error
            return answer

        return call


TRACKER_TROUBLES = [
    (TemporaryError("throttled", call="dynamodb", code="ThrottlingException"), False),
    (TemporaryError("the answer was lost", call="dynamodb"), True),
    (Conflict("somebody else wrote first", call="commit"), False),
]


@pytest.mark.parametrize(("trouble", "after"), TRACKER_TROUBLES, ids=["throttled", "lost", "overtaken"])
@pytest.mark.parametrize("needed", [True, False], ids=["needed", "free"])
def test_a_tracker_that_fails_at_any_call_of_a_sweep_leaves_a_whole_verdict_or_none(trouble, after, needed):
    world = on_fakes(needed=needed)
    counting = Counting(world.tracker)
    sweep_key(replace(world.outside, tracker=counting), old_key(world))
    expected = (world.tracker.key(old_key(world)).reasons, world.told())

    for nth in range(1, counting.made + 1):
        world = on_fakes(needed=needed)
        before = world.tracker.key(old_key(world))
        faulty = Counting(world.tracker, nth=nth, error=trouble, after=after)
        with suppress(type(trouble)):
            sweep_key(replace(world.outside, tracker=faulty), old_key(world))
        left = world.tracker.key(old_key(world))
        world.wait(HOUR)
        sweep_key(world.outside, old_key(world))

        assert left == before or (left.reasons, world.told()) == expected
        assert (world.tracker.key(old_key(world)).reasons, world.told()) == expected


def in_deletion() -> tuple[World, str]:
    """A key whose deletion was approved just now."""
    world = on_fakes(needed=False)
    key = old_key(world)
    sweep_key(world.outside, key)
    asked = {"account": None, "region": None, "requester": ANNA, "reason": "old"}
    deletion = request_deletion(world.outside, key.key_id, **asked)
    approve_deletion(world.outside, deletion.deletion_id, digest=deletion.digest, approver=BERT)
    return world, deletion.deletion_id


def run(world: World, keys: Counting, days: int) -> None:
    """Let the schedule look every few hours."""
    outside = replace(world.outside, keys=lambda _region, _role: keys)
    for _ in range(days * 6):
        advance_deletions(outside)
        world.wait(4 * HOUR)


def brought_to_an_end(world: World, deletion: Deletion) -> bool:
    """The key is gone; or it works, because KMS would not show it so shortly before its end."""
    if deletion.state is DeletionState.DELETED:
        return world.keys.arns == ()
    late = deletion.ended_at > deletion.deletion_date - LAST_CHANCE
    works = world.keys.describe(deletion.arn).status is KeyStatus.ENABLED
    return deletion.state is DeletionState.RESCUED and late and works


DELETION_TROUBLES = [
    (TemporaryError("throttled", call="kms", code="ThrottlingException"), False),
    (TemporaryError("the answer was lost", call="kms"), True),
    (PermanentError("denied", call="kms", code="AccessDeniedException"), False),
]


@pytest.mark.parametrize(("trouble", "after"), DELETION_TROUBLES, ids=["throttled", "lost", "denied"])
def test_kms_that_fails_at_any_call_of_a_deletion_delays_it_and_doubles_nothing(trouble, after):
    world, _ = in_deletion()
    counting = Counting(world.keys)
    run(world, counting, 45)
    calls = range(1, counting.made + 1)

    survived = given_up = 0
    for nth in calls if FULL_SIZE else (*calls[:6], *calls[-4:]):
        world, deletion_id = in_deletion()
        run(world, Counting(world.keys, nth=nth, error=trouble, after=after), 45)
        done = [call for call in world.keys.calls if call in {"disable", "schedule_deletion"}]
        deletion = world.tracker.deletion(deletion_id)
        assert (done[0], done[-1], len(done) <= 3) == ("disable", "schedule_deletion", True), nth
        assert brought_to_an_end(world, deletion), nth
        assert sorted(world.told()) == sorted(set(world.told()))
        survived += 1
        given_up += deletion.state is DeletionState.RESCUED

    tell(kms_calls_of_a_deletion=counting.made, faults_of_kms=survived, survived=survived, given_up_late=given_up)
