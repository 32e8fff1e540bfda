"""After any finite burst of faults the next rotation completes within a day, and nobody had to untangle anything.

A burst is replayed by its number, its wish and the seed (KEYTURN_SEED).
"""

import os
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from random import Random

import pytest
from fake_atlas import CREDENTIALS, ROLE_ARN, USER_ARN
from figures import FULL_SIZE, tell
from prove.trial import Trial
from prove.turmoil import Fault
from simple_world import ANNA, DAY, HOUR, MINUTE, SECOND, a_policy_for

from chalicelib.domain.records import Rotation
from chalicelib.domain.vocabulary import Mode, Strategy
from chalicelib.domain.vocabulary import RotationState as State
from chalicelib.usecases.request_rotation import roll_back_rotation
from chalicelib.usecases.steer import change_policy

SEED = int(os.environ.get("KEYTURN_SEED", "20261124"))
BURSTS = 200 if FULL_SIZE else 6
WITHIN = DAY
EVERYBODY = a_policy_for([ROLE_ARN, USER_ARN])
ENDS = frozenset({State.DEPLOYED, State.ROLLED_BACK})
KINDS = {
    "temporary errors and lost answers": (Fault.BUSY, Fault.LOST),
    "crashes": (Fault.DIES_BEFORE, Fault.DIES_AFTER),
    "everything": tuple(Fault),
}


def a_legacy_trial() -> Trial:
    """A project that encrypts with an IAM user's credentials."""
    trial = Trial()
    trial.keys.set_policy(trial.first_keys[trial.projects[0]], EVERYBODY)
    trial.atlas.set_by_hand(
        trial.projects[0], role_id=None, legacy_access_key=True, access_key_id="AKIA0000000000000000"
    )
    trial.discover()
    return trial


@dataclass(frozen=True, kw_only=True)
class Wish:
    """A way to renew a key: what is asked for, of which project."""

    name: str
    legacy: bool = False
    strategy: Strategy = Strategy.NEW_CMK
    brings: bool = False
    emergency: bool = False
    goes_back: bool = False

    def begin(self) -> Trial:
        """The world in which it is asked for."""
        return a_legacy_trial() if self.legacy else Trial()

    def ask(self, trial: Trial) -> Rotation | None:
        """Ask for it once more."""
        project_id = trial.projects[0]
        asked: dict[str, object] = {"strategy": self.strategy, "emergency": self.emergency}
        if self.brings:
            asked["key"] = str(trial.keys.add(policy=EVERYBODY))
        if self.legacy:
            asked |= {"key": str(trial.atlas.current(project_id)), "credentials_secret": CREDENTIALS}
        return trial.ask(project_id, **asked)


WISHES = (
    Wish(name="a new key"),
    Wish(name="a brought key", brings=True),
    Wish(name="an emergency", emergency=True),
    Wish(name="other credentials", legacy=True),
    Wish(name="on demand", strategy=Strategy.KMS_ON_DEMAND),
    Wish(name="automatic", strategy=Strategy.KMS_AUTOMATIC),
    Wish(name="back again", goes_back=True),
)


def burst(trial: Trial, wish: Wish, random: Random, kinds: tuple[Fault, ...]) -> Rotation | None:
    """Some hours in which any call may be befallen, messages are lost, late and doubled, and everything lags."""
    trial.weather.storm(random, random.choice([0.02, 0.08, 0.25]), kinds)
    trial.atlas.shows_after = random.choice([0, 30, 200, 540]) * SECOND
    trial.keys.lists_after = random.choice([0, 30, 200]) * SECOND
    copies = random.choice([[[0]], [[0], []], [[]], [[0], [0, 5], [60]], [[0, 0]]])
    trial.post_office.copies = lambda: [late * SECOND for late in random.choice(copies)]
    rotation = wish.ask(trial)
    trial.run(random.choice([1, 10, 60, 240]) * MINUTE)
    if wish.goes_back and rotation is not None:
        trial.invoke(lambda: go_back(trial, rotation))
        trial.run(random.choice([1, 10, 60]) * MINUTE)
    trial.run(random.choice([0, 1, 60]) * MINUTE)
    return rotation


def go_back(trial: Trial, rotation: Rotation) -> None:
    """Ask for the way back where there is one."""
    if trial.rotation(rotation).state in {State.DEPLOYING, State.DEPLOYED}:
        roll_back_rotation(trial.outside, rotation.project_id, rotation.rotation_id, who=ANNA)


def quiet(trial: Trial) -> None:
    """The faults are over; nothing that a person would do is done."""
    trial.weather.calm()
    trial.post_office.copies = lambda: [timedelta(0)]
    trial.atlas.shows_after = trial.keys.lists_after = timedelta(0)


def complete(trial: Trial, wish: Wish) -> timedelta:
    """How long it took from the end of the burst until a rotation was through."""
    began = trial.now
    project_id = trial.projects[0]
    trial.run_until(lambda: not trial.oracle.open_of(project_id), within=WITHIN)
    done = [r for r in trial.rotations(project_id) if r.state in ENDS and r.ended_at > began]
    if not done:
        rotation = wish.ask(trial)
        trial.run_until(lambda: rotation is not None and trial.rotation(rotation).state in ENDS, within=WITHIN)
        assert rotation is not None
        assert trial.rotation(rotation).state in ENDS, trial.rotation(rotation)
    return trial.now - began


@pytest.mark.parametrize("wish", WISHES, ids=lambda wish: wish.name.replace(" ", "-"))
def test_after_any_burst_of_faults_the_next_rotation_completes_without_a_human(wish):
    slowest, stuck, totals = timedelta(0), [], Counter()
    for number in range(BURSTS):
        name, kinds = list(KINDS.items())[number % len(KINDS)]
        trial = wish.begin()
        burst(trial, wish, Random(f"{SEED}/{wish.name}/{number}"), kinds)
        quiet(trial)
        took = complete(trial, wish)
        slowest = max(slowest, took)
        if took > WITHIN:
            stuck.append((number, name))
        trial.run(2 * DAY)
        trial.oracle.agree(trial.projects[0])
        assert trial.oracle.orphans() == [], number
        totals.update(trial.weather.befallen)

    figures = {"wish": wish.name, "bursts": BURSTS, "faults": totals.total(), "stuck": len(stuck)}
    tell(liveness_seed=str(SEED), **figures, slowest_hours=round(slowest / HOUR, 1), allowed_hours=WITHIN // HOUR)
    assert stuck == []


@pytest.mark.parametrize("parked_by", ["a temporary error", "a permanent error after the swap", "lost messages"])
def test_what_is_parked_wakes_by_itself_from_the_time_index(parked_by):
    trial = Trial()
    rotation = trial.ask(trial.projects[0])
    trial.post_office.copies = list  # whatever is sent is lost; only the schedule finds what overslept
    if parked_by != "lost messages":
        trial.run(MINUTE if "after" in parked_by else timedelta(0))
        fault = Fault.REFUSED if "after" in parked_by else Fault.BUSY
        trial.weather.broken = lambda call, _: fault if call == "atlas.settings" else None
    trial.run(5 * HOUR)
    parked = trial.rotation(rotation)

    trial.weather.broken = lambda _call, _args: None
    trial.post_office.copies = lambda: [timedelta(0)]
    took = trial.run_until(lambda: trial.rotation(rotation).state.terminal, within=WITHIN)

    tell(parked_by=parked_by, stood_in=parked.state.value, through_after_hours=round(took / HOUR, 1))
    assert parked.state not in ENDS
    assert parked.due is not None
    assert trial.rotation(rotation).state is State.DEPLOYED
    assert took <= 3 * HOUR


FLEET = 20


def timeline(trouble: Fault | None) -> tuple[Trial, dict[str, list[datetime | None]]]:
    """When each project of a fleet was swapped and through, all of them due on one day; the seventh is broken."""
    trial = Trial(FLEET)
    lame = trial.projects[6]
    if trouble is not None:
        trial.weather.broken = lambda call, args: (
            trouble if call.startswith(("atlas.", "owner.")) and lame in args else None
        )
    changed = {"mode": Mode.ROTATE, "rotation_period_days": 2}
    for project_id in trial.projects:
        trial.invoke(partial(change_policy, trial.outside, project_id, changed, who=ANNA))
    trial.run(3 * DAY)
    dates = {
        p: [d for r in trial.rotations(p) for d in (r.requested_at, r.swapped_at, r.ended_at)] for p in trial.projects
    }
    return trial, {p: found for p, found in dates.items() if p != lame}


@pytest.fixture(scope="module")
def well():
    """When the others' rotations took their steps where nothing failed."""
    return timeline(None)[1]


@pytest.mark.parametrize("trouble", Fault, ids=lambda fault: fault.name.lower())
def test_a_failed_project_delays_no_other(trouble, well):
    trial, beside_a_broken_one = timeline(trouble)

    assert trial.weather.faults > 0
    assert all(len(dates) == 3 and None not in dates for dates in well.values())
    late = [p for p in well if beside_a_broken_one[p] != well[p]]
    tell(fleet=FLEET, broken_by=trouble.name.lower(), faults=trial.weather.faults, others_delayed=len(late))
    assert late == []


def test_a_broken_project_is_through_within_a_day_of_its_mending():
    trial, _ = timeline(Fault.BUSY)
    lame = trial.projects[6]

    trial.weather.broken = lambda _call, _args: None
    took = trial.run_until(lambda: any(r.state in ENDS for r in trial.rotations(lame)), within=WITHIN)

    tell(mended_project_is_through_after_hours=round(took / HOUR, 1))
    assert took <= WITHIN


def test_a_refusal_that_lasts_is_told_and_leaves_the_old_key_in_place():
    trial = Trial()
    first = trial.first_keys[trial.projects[0]]
    trial.weather.broken = lambda call, _: Fault.REFUSED if call == "owner.swap_key" else None

    rotation = trial.ask(trial.projects[0])
    trial.run(HOUR)

    assert trial.rotation(rotation).state is State.FAILED
    assert trial.atlas.current(trial.projects[0]) == first
