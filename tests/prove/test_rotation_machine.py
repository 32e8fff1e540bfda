"""Anything in any order: requests, time, faults and foreign hands, against an oracle that knows the true world.

A run is replayed by its seed (KEYTURN_SEED) at its size (KEYTURN_PROVE=1 or not); a failure prints its steps.
"""

import os
from collections import Counter
from contextlib import suppress
from datetime import timedelta

import pytest
from fake_atlas import CREDENTIALS, ROLE_ARN, USER_ARN, a_role
from figures import FULL_SIZE, tell
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from prove.trial import Trial
from prove.turmoil import Fault
from simple_world import ANNA, DAY, HOUR, MINUTE, SECOND, a_policy_for

from chalicelib.domain.observed import KeyStatus
from chalicelib.domain.records import Key
from chalicelib.domain.refusals import Refusal
from chalicelib.domain.vocabulary import GuardMode, Mode, Strategy
from chalicelib.usecases.discover import discover_all
from chalicelib.usecases.request_deletion import approve_deletion, call_off_deletion, request_deletion
from chalicelib.usecases.request_rotation import cancel_rotation, roll_back_rotation
from chalicelib.usecases.rotate import advance_rotation
from chalicelib.usecases.steer import acknowledge, change_policy

SEED = int(os.environ.get("KEYTURN_SEED", "20261124"))
EXAMPLES, STEPS = (500, 60) if FULL_SIZE else (30, 40)
BERND = "arn:aws:iam::111122223333:user/bernd"
EVERYBODY = a_policy_for([ROLE_ARN, USER_ARN])
PROJECTS = st.integers(0, 1)
TIMES = st.sampled_from([10 * SECOND, MINUTE, 5 * MINUTE, 16 * MINUTE, HOUR, 5 * HOUR, DAY, 9 * DAY, 40 * DAY])
UNTIL = st.sampled_from([timedelta(0), SECOND, MINUTE, 10 * MINUTE, 20 * MINUTE, 2 * HOUR])
"""In the queue, on its way, being deployed, deployed."""
CLUSTERS = st.sampled_from(["main", "side", "late"])
LAGS = st.sampled_from([timedelta(0), SECOND, MINUTE, 4 * MINUTE, 9 * MINUTE])
OTHERS = ("step", "cancel", "roll back", "discover")
"""What another invocation may do in the middle of one."""
CALLS = (
    "keys.create",
    "keys.name",
    "keys.rotate_on_demand",
    "owner.swap_key",
    "tracker.commit",
    "tracker.rotation",
    "atlas.settings",
    "messages.wake_rotation",
)
"""Where trouble is worst."""
PICK = st.integers(0, 5)
FIGURES: Counter[str] = Counter()


class Machine(RuleBasedStateMachine):
    """Every rule is something that somebody or something does."""

    def __init__(self):
        super().__init__()
        self.trial = Trial(2)
        self.there = list(self.trial.projects)
        self.may_go = False

    @initialize(legacy=st.booleans(), may_go=st.integers(0, 4))
    def set_up(self, legacy, may_go):
        self.may_go = may_go == 0
        for key in self.trial.first_keys.values():
            self.trial.keys.set_policy(key, EVERYBODY)
        if legacy:
            self.trial.atlas.set_by_hand(
                self.trial.projects[1], role_id=None, legacy_access_key=True, access_key_id="AKIA0000000000000000"
            )
        self.trial.discover()

    def project(self, number):
        return self.there[number % len(self.there)]

    def ask(self, work):
        """What a person asks for: it may be refused."""

        def asked():
            try:
                work()
                FIGURES["wishes granted"] += 1
            except Refusal:
                FIGURES["wishes refused"] += 1

        self.trial.invoke(asked)

    def pick(self, found, number):
        return found[number % len(found)] if found else None

    # people

    @rule(number=PROJECTS, strategy=st.sampled_from([None, None, *Strategy]), emergency=st.booleans())
    def request(self, number, strategy, emergency):
        self.ask(lambda: self.trial.ask(self.project(number), strategy=strategy, emergency=emergency))

    @rule(
        number=PROJECTS,
        bad=st.sampled_from(
            [
                {},
                {},
                {},
                {"spec": "RSA_2048"},
                {"usage": "SIGN_VERIFY"},
                {"status": KeyStatus.DISABLED},
                {"status": KeyStatus.PENDING_IMPORT},
                {"policy": "{}"},
            ]
        ),
        bare=st.booleans(),
    )
    def bring_a_key(self, number, bad, bare):
        key = self.trial.keys.add(**({"policy": EVERYBODY} | bad))
        self.ask(lambda: self.trial.ask(self.project(number), key=key.key_id if bare else str(key)))

    @rule(same_key=st.booleans())
    def change_credentials(self, same_key):
        key = self.trial.atlas.current(self.project(1)) if same_key else self.trial.keys.add(policy=EVERYBODY)
        self.ask(lambda: self.trial.ask(self.project(1), key=str(key) if key else None, credentials_secret=CREDENTIALS))

    @rule(number=PROJECTS, which=PICK)
    def cancel(self, number, which):
        chosen = self.pick(self.trial.rotations(self.project(number))[::-1], which)
        if chosen is not None:
            self.ask(lambda: cancel_rotation(self.trial.outside, chosen.project_id, chosen.rotation_id, who=ANNA))

    @rule(number=PROJECTS, which=PICK)
    def roll_back(self, number, which):
        chosen = self.pick(self.trial.rotations(self.project(number))[::-1], which)
        if chosen is not None:
            self.ask(lambda: roll_back_rotation(self.trial.outside, chosen.project_id, chosen.rotation_id, who=ANNA))

    @rule(
        number=PROJECTS,
        mode=st.sampled_from(Mode),
        strategy=st.sampled_from(Strategy),
        guard=st.sampled_from(GuardMode),
    )
    def change_policy(self, number, mode, strategy, guard):
        changed = {"mode": mode, "strategy": strategy, "guard": guard, "delete_foreign_keys": True}
        self.ask(lambda: change_policy(self.trial.outside, self.project(number), changed, who=ANNA))

    @rule(number=PROJECTS, days=st.integers(1, 30))
    def acknowledge(self, number, days):
        until = self.trial.now + days * DAY
        self.ask(lambda: acknowledge(self.trial.outside, self.project(number), until=until, comment="later", who=ANNA))

    @rule(which=PICK)
    def delete_a_key(self, which):
        chosen = self.pick([key for key in self.trial.oracle.kept(Key) if key.safe_since is not None], which)
        if chosen is None:
            return

        def work():
            wanted = request_deletion(
                self.trial.outside, chosen.arn.key_id, account=None, region=None, requester=ANNA, reason=""
            )
            approve_deletion(self.trial.outside, wanted.deletion_id, digest=wanted.digest, approver=BERND)
            FIGURES["deletions approved"] += 1

        self.ask(work)

    @rule(which=PICK)
    def call_a_deletion_off(self, which):
        chosen = self.pick([k.deletion_id for k in self.trial.oracle.kept(Key) if k.deletion_id is not None], which)
        if chosen is not None:
            self.ask(lambda: call_off_deletion(self.trial.outside, chosen, who=ANNA))

    @rule(
        number=PROJECTS,
        strategy=st.sampled_from([None, None, None, *Strategy]),
        trouble=st.sampled_from([None, None, *Fault, *OTHERS]),
        at=st.sampled_from(CALLS),
        lags=st.tuples(LAGS, LAGS),
        time=UNTIL,
    )
    def rotate(self, number, strategy, trouble, at, lags, time):
        """A rotation that comes so far with one trouble at the most; else few would get anywhere."""
        self.mend()
        self.ask(lambda: self.trial.ask(self.project(number), strategy=strategy, **self.credentials_of(number)))
        self.trial.atlas.shows_after, self.trial.keys.lists_after = lags[0], min(lags[1], 4 * MINUTE)
        if trouble is not None:
            self.trial.weather.strike_at(at, self.other(number, trouble) if trouble in OTHERS else trouble)
        self.trial.run(time)

    def credentials_of(self, number):
        legacy = self.trial.atlas.world[self.project(number)].settings.legacy_access_key
        return {"credentials_secret": CREDENTIALS} if legacy else {}

    @rule()
    def people_mend(self):
        self.mend()

    # time, and what wakes

    @rule(time=TIMES)
    def wait(self, time):
        self.trial.run(time)

    @rule(copies=st.lists(LAGS, max_size=3))
    def deliver_messages(self, copies):
        """None: messages are lost; several: each comes so often and so late."""
        self.trial.post_office.copies = lambda: copies

    @rule()
    def deliver_well(self):
        self.trial.post_office.copies = lambda: [timedelta(0)]

    @rule(number=PROJECTS, which=PICK, late=LAGS)
    def wake_at_random(self, number, which, late):
        chosen = self.pick(self.trial.rotations(self.project(number))[::-1], which)
        if chosen is not None:
            body = {"project_id": chosen.project_id, "rotation_id": chosen.rotation_id}
            self.trial.post("rotate", body, late)

    @rule(number=PROJECTS, after=st.integers(0, 40), what=st.sampled_from(OTHERS))
    def overtake(self, number, after, what):
        """In the middle of an invocation, another one."""
        self.trial.weather.meddle(self.other(number, what), after_calls=after)

    def other(self, number, what):
        """Another invocation, about the rotation that is open then."""
        trial, project_id = self.trial, self.project(number)

        def work():
            found = trial.oracle.open_of(project_id)
            with suppress(Refusal):
                match what:
                    case "step" if found:
                        advance_rotation(trial.outside, project_id, found[0].rotation_id)
                    case "cancel" if found:
                        cancel_rotation(trial.outside, project_id, found[0].rotation_id, who=ANNA)
                    case "roll back" if found:
                        roll_back_rotation(trial.outside, project_id, found[0].rotation_id, who=ANNA)
                    case "discover":
                        discover_all(trial.outside)
            FIGURES["overtaken"] += 1

        return lambda: trial.overtake(work)

    @rule(which=PICK)
    def sweep_at_random(self, which):
        chosen = self.pick(self.trial.oracle.kept(Key), which)
        if chosen is not None:
            self.trial.post("sweep", {"key": str(chosen.arn)}, timedelta(0))

    @rule()
    def discover(self):
        """What an undisturbed look has seen is what the tracker says; an open rotation may be ahead of it."""
        self.trial.run(SECOND)  # two looks at one instant would give their news one name
        before = self.trial.weather.faults + FIGURES["overtaken"]
        undisturbed = self.trial.discover() and before == self.trial.weather.faults + FIGURES["overtaken"]
        for project_id in self.there:
            if undisturbed and not self.trial.oracle.open_of(project_id):
                self.trial.oracle.agree(project_id)
                FIGURES["looks agreed"] += 1

    # faults

    @rule(fault=st.sampled_from(Fault), after=st.integers(0, 60))
    def strike(self, fault, after):
        self.trial.weather.strike(fault, after_calls=after)

    @rule(random=st.randoms(use_true_random=False), chance=st.sampled_from([0.02, 0.1, 0.3]))
    def storm(self, random, chance):
        self.trial.weather.storm(random, chance)

    @rule()
    def calm(self):
        self.trial.weather.calm()

    @rule(shows=LAGS, lists=st.sampled_from([timedelta(0), MINUTE, 4 * MINUTE]), not_yet=LAGS)
    def lag(self, shows, lists, not_yet):
        self.trial.atlas.shows_after, self.trial.keys.lists_after = shows, lists
        self.trial.atlas.not_yet_until = self.trial.now + not_yet

    # foreign hands

    @rule(number=PROJECTS, which=PICK, fresh=st.booleans())
    def switch_the_key(self, number, which, fresh):
        project_id = self.project(number)
        tracked = [k.arn for k in self.trial.oracle.kept(Key) if project_id in k.projects]
        usable = [arn for arn in tracked if self.trial.keys.status(arn) is KeyStatus.ENABLED]
        key = None if fresh else self.pick(usable, which)
        key = key or self.trial.keys.add(policy=EVERYBODY)
        self.trial.atlas.set_by_hand(project_id, key=str(key), enabled=True)
        FIGURES["drifts"] += 1

    @rule(number=PROJECTS, enabled=st.booleans())
    def switch_encryption(self, number, enabled):
        self.trial.atlas.set_by_hand(self.project(number), enabled=enabled)
        FIGURES["drifts"] += 1

    @rule(which=PICK, how=st.sampled_from(["disable", "schedule", "enable", "enable", "policy"]))
    def touch_a_key(self, which, how):
        key = self.pick(self.trial.keys.arns, which)
        leaving = self.trial.keys.status(key) is KeyStatus.PENDING_DELETION
        match how:
            case "disable" if not leaving:
                self.trial.keys.disable(key)
            case "schedule":
                self.trial.keys.schedule_deletion(key, days=30)
            case "enable":
                self.enable(key)
            case "policy":
                self.trial.keys.set_policy(key, a_policy_for("arn:aws:iam::111122223333:role/other"))
        self.trial.atlas.live()
        FIGURES["drifts"] += 1

    def enable(self, key):
        self.trial.keys.cancel_deletion(key)
        self.trial.keys.enable(key)
        self.trial.keys.set_policy(key, EVERYBODY)

    @rule(number=PROJECTS, there=st.booleans())
    def withdraw_the_role(self, number, there):
        self.trial.atlas.world[self.project(number)].roles[:] = [a_role()] if there else []
        FIGURES["drifts"] += 1

    @precondition(lambda self: self.may_go and len(self.there) > 1)
    @rule()
    def delete_the_project(self):
        del self.trial.atlas.world[self.there.pop()]
        FIGURES["drifts"] += 1

    @rule(number=PROJECTS, name=CLUSTERS, how=st.sampled_from(["pause", "resume", "add", "delete"]))
    def touch_a_cluster(self, number, name, how):
        atlas, project_id = self.trial.atlas, self.project(number)
        atlas.live()
        cluster = atlas.cluster(project_id, name)
        match how:
            case "pause" if cluster is not None:
                atlas.pause(project_id, name)
            case "resume" if cluster is not None and cluster.paused:
                atlas.resume(project_id, name)
            case "add" if not any(c.name == name for c, _ in atlas.world[project_id].clusters):
                atlas.add_cluster(project_id, name)
            case "delete" if cluster is not None and name != "main":
                atlas.delete_cluster(project_id, name)

    @rule(number=PROJECTS, name=CLUSTERS, days=st.sampled_from([1, 7, 35]))
    def take_a_snapshot(self, number, name, days):
        atlas, project_id = self.trial.atlas, self.project(number)
        atlas.live()
        cluster = atlas.cluster(project_id, name)
        if cluster is not None and not cluster.paused:
            atlas.take_snapshot(project_id, name, kept_for=days * DAY)

    # promises

    @invariant()
    def every_promise_is_kept(self):
        self.trial.oracle.look()
        FIGURES["steps"] += 1

    def teardown(self):
        self.mend()
        self.trial.run(20 * MINUTE)
        self.mend()
        self.trial.run(3 * DAY)
        self.trial.discover()
        for project_id in self.there:
            assert self.trial.oracle.open_of(project_id) == []
            self.trial.oracle.agree(project_id)
        gone = set(self.trial.projects) - set(self.there)
        assert self.trial.oracle.orphans(but_for=gone) == []
        self.count()

    def mend(self):
        """Quiet: no more faults, and people mend what people broke."""
        trial = self.trial
        trial.weather.calm()
        trial.post_office.copies = lambda: [timedelta(0)]
        trial.atlas.shows_after = trial.keys.lists_after = timedelta(0)
        trial.atlas.not_yet_until = None
        for project_id in self.there:
            trial.atlas.world[project_id].roles[:] = [a_role()]
            trial.atlas.set_by_hand(project_id, enabled=True)
            key = trial.atlas.current(project_id)
            if key is None or trial.keys.status(key) is KeyStatus.GONE:
                trial.atlas.set_by_hand(project_id, key=str(trial.keys.add(policy=EVERYBODY)))
            else:
                self.enable(key)

    def count(self):
        FIGURES["histories"] += 1
        FIGURES["calls"] += self.trial.weather.calls
        FIGURES["faults"] += self.trial.weather.faults
        FIGURES["changes of settings"] += sum(self.trial.oracle.swaps.values())
        for project_id in self.trial.projects:
            FIGURES.update(rotation.state.value for rotation in self.trial.rotations(project_id))


@pytest.mark.parametrize("meanwhile", ["nothing", "another is cancelled"])
def test_a_change_that_may_still_take_effect_is_waited_for_by_the_next_rotation(meanwhile):
    """Found by the machine: a hand in Atlas overtakes a change that is on its way, and its rotation gives up."""
    trial = Trial()
    (project_id,) = trial.projects
    trial.atlas.shows_after = 10 * MINUTE
    first = trial.ask(project_id)
    trial.run(SECOND)
    trial.atlas.set_by_hand(project_id, key=str(trial.keys.add(policy=EVERYBODY)))
    trial.run(MINUTE)
    trial.discover()
    if meanwhile == "another is cancelled":
        between = trial.ask(project_id)
        cancel_rotation(trial.outside, project_id, between.rotation_id, who=ANNA)
        trial.run(MINUTE)
    second = trial.ask(project_id)
    trial.run(2 * MINUTE)
    waiting = trial.rotation(second)
    trial.run(3 * DAY)
    trial.discover()

    assert trial.rotation(first).error.code == "key_changed_by_hand"
    assert waiting.waiting_for == ("the rotation before sent a change of settings that may still take effect",)
    assert trial.oracle.swaps == {first.rotation_id: 1}
    trial.oracle.agree(project_id)
    assert trial.oracle.orphans() == []


def test_no_promise_is_broken_whatever_happens_in_whatever_order():
    FIGURES.clear()
    machine = seed(SEED)(Machine)
    size = settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )

    run_state_machine_as_test(machine, settings=size)

    tell(rotation_machine_seed=str(SEED), broken_promises=0, **{k.replace(" ", "_"): n for k, n in FIGURES.items()})
    assert FIGURES["deployed"]
