"""Whoever kills the functions, wherever: those that come after go on, and the story ends as if nothing had been.

Each test lives through one rotation, from its request to the old key's first sweeps, and dies on the way. The
ordinary run takes a sample of the places where one can die; KEYTURN_PROVE=1 takes every single one.
"""

import random
from collections import defaultdict
from datetime import timedelta

import pytest
from figures import FULL_SIZE, tell
from mortal_process import Killed, Side, mortal

from sandbox.cast import SOON_GONE, stage
from sandbox.runner import Runner

SEED = 20261124
ROTATION_CALLS, GUARD_CALLS = 260, 24
"""The most outside calls of a rotation with two days of sweeps, and of one guarded call with its notice."""

SAMPLE = 3 if not FULL_SIZE else None
GUARD_SAMPLE = 2 if not FULL_SIZE else None
LIVES, CALLS_IN_A_LIFE = (12 if FULL_SIZE else 1), (25, 60)
TOPICS = ("AlertsTopic", "EscalationsTopic")
DANGEROUS, QUIET = timedelta(days=2), timedelta(days=1)


def places(calls, sample):
    """Where one can die on a way of so many outside calls: everywhere, or at a sample of places."""
    every = [(number, side) for number in range(1, calls + 1) for side in Side]
    return every if sample is None else sorted(random.Random(SEED).sample(every, sample))


IRREVOCABLE = {
    "TrentService.CreateKey": Side.AFTER,
    "PATCH": Side.AFTER,
    "AmazonSQS.SendMessage": Side.BEFORE,
    "AmazonSQS.DeleteMessage": Side.BEFORE,
}
"""Calls that cannot be taken back, each with the side on which it is worse to die: the sample's only one."""


def irrevocable():
    return [(call, side) for call, worse in IRREVOCABLE.items() for side in Side if FULL_SIZE or side is worse]


class Life:
    """One project on one world, on the day before its rotation is requested."""

    def __init__(self, set_up, fate):
        self.set_up, self.fate, self.world = set_up, fate, set_up.world
        self.project_id = set_up.add_project("payments")
        set_up.atlas.add_cluster(self.project_id, "ledger", policies=SOON_GONE)
        self.old_key = set_up.atlas.projects[self.project_id].key
        set_up.let_atlas_live(self.world.clock.now() + timedelta(days=2))
        fate.be_born(self.world)
        self.runner, self.api = set_up.install()
        self.runner.run_until(self.world.clock.now())
        self.deaths, self.calls_in_danger = [], 0
        self.meet_fate = lambda: None

    def rotate(self):
        """Request a rotation and live on; a client who gets no answer asks again, as clients do."""
        before = len(self.fate.calls)
        requested = self.through_deaths(self._request)
        end = self.world.clock.now() + DANGEROUS
        self.through_deaths(lambda: self.runner.run_until(end))
        self.calls_in_danger = len(self.fate.calls) - before
        self.fate.spare()
        self.runner.run_until(end + QUIET)
        return requested.json()["rotation_id"]

    def through_deaths(self, act):
        while True:
            try:
                return act()
            except Killed as death:
                self.deaths.append(str(death))
                self.fate.be_born(self.world)
                self.runner = Runner(self.world)
                self.meet_fate()

    def _request(self):
        body, headers = {"reason": "a test of patience"}, {"idempotency-key": "once"}
        return self.ask("POST", f"/v1/projects/{self.project_id}/rotations", body, headers=headers)

    def ask(self, method, target, body=None, **more):
        answer = self.api.ask(method, target, body, caller=self.world.operators[0].arn, **more)
        assert answer.status in {200, 202}, answer.body
        return answer

    def keys_of(self, rotation_id):
        """Every key in KMS that says it was made for this rotation."""
        kms = self.world.aws.client("kms")
        arns = [key["KeyArn"] for key in kms.list_keys()["Keys"]]
        tags = {arn: kms.list_resource_tags(KeyId=arn)["Tags"] for arn in arns}
        return [arn for arn in arns if {"TagKey": "keyturn:rotation", "TagValue": rotation_id} in tags[arn]]

    def told(self):
        """Per notice id every text that people got."""
        texts = defaultdict(list)
        for message in self.world.aws.inbox():
            texts[message["attributes"]["notice_id"]].append((message["subject"], message["body"]))
        return texts

    def recorded_notices(self):
        items = self.world.aws.client("dynamodb").scan(TableName=self.world.resources["TrackerTable"]["name"])["Items"]
        return {item["pk"]["S"].partition("#")[2] for item in items if item["sk"]["S"] == "NOTICE"}

    def due(self):
        return self.world.aws.due_items(self.world.resources["TrackerTable"]["name"])


@pytest.fixture
def life():
    with mortal() as fate, stage(over_the_wire=True) as set_up:
        yield Life(set_up, fate)


def assert_the_story_is_whole(life, rotation_id):
    rotations = life.ask("GET", f"/v1/projects/{life.project_id}/rotations").json()["items"]
    assert [(one["rotation_id"], one["state"]) for one in rotations] == [(rotation_id, "deployed")]
    (new_key,) = life.keys_of(rotation_id)
    assert life.set_up.atlas.projects[life.project_id].key == new_key == rotations[0]["new_key"]
    project = life.ask("GET", f"/v1/projects/{life.project_id}").json()
    assert (project["key"], project["open_rotation"]) == (new_key, None)
    old_key = life.ask("GET", f"/v1/keys/{life.old_key.rpartition('/')[2]}").json()
    assert (old_key["state"], old_key["safe_to_delete"]) == ("retiring", False)
    assert [reason["kind"] for reason in old_key["reasons"]] == ["snapshots"]
    told = life.told()
    kinds = {message["attributes"]["kind"] for message in life.world.aws.inbox()}
    assert {"rotation_started", "rotation_deploying", "rotation_deployed"} <= kinds
    assert told.keys() == life.recorded_notices()
    assert {notice_id: len(set(texts)) for notice_id, texts in told.items() if len(set(texts)) > 1} == {}
    assert not {"rotation", "notice"} & life.due().keys()
    assert not [queue for queue in life.world.aws.queue_depths().values() if queue.visible or queue.next_visible_at]
    assert life.runner.failures == []


def test_an_undisturbed_rotation_is_whole_and_makes_no_more_calls_than_the_places_that_are_tried(life):
    rotation_id = life.rotate()

    tell(outside_calls=life.calls_in_danger)
    assert life.calls_in_danger <= ROTATION_CALLS
    assert_the_story_is_whole(life, rotation_id)


@pytest.mark.parametrize(("number", "side"), places(ROTATION_CALLS, SAMPLE))
def test_whoever_is_killed_at_an_outside_call_is_followed_by_one_who_ends_the_rotation(life, number, side):
    life.fate.die_at(number, side)

    rotation_id = life.rotate()

    assert_the_story_is_whole(life, rotation_id)


@pytest.mark.parametrize(("call", "side"), irrevocable())
def test_not_even_death_at_what_cannot_be_taken_back_makes_a_second_key_or_a_second_swap(life, call, side):
    life.fate.sent.clear()
    life.fate.die_of(call, side)

    rotation_id = life.rotate()

    assert len(life.deaths) == 1
    assert_the_story_is_whole(life, rotation_id)
    assert life.fate.sent.count("TrentService.CreateKey") == 1
    assert sum(name.startswith("PATCH") for name in life.fate.sent) == 1


@pytest.mark.parametrize("seed", range(LIVES))
def test_dying_again_and_again_holds_a_rotation_up_but_does_not_break_it(life, seed):
    chance = random.Random(SEED + seed)
    life.meet_fate = lambda: life.fate.die_at(chance.randint(*CALLS_IN_A_LIFE), chance.choice(list(Side)))
    life.meet_fate()

    rotation_id = life.rotate()

    tell(deaths=len(life.deaths))
    assert len(life.deaths) > 2
    assert_the_story_is_whole(life, rotation_id)


def disable_the_key(life):
    """Somebody switches off the key that Atlas uses; gives how many outside calls there have been until then."""
    life.world.aws.client("kms").disable_key(KeyId=life.old_key)
    return len(life.fate.calls)


def assert_the_key_is_back_and_people_know(life):
    described = life.world.aws.client("kms").describe_key(KeyId=life.old_key)["KeyMetadata"]
    assert described["KeyState"] == "Enabled"
    told = [message for message in life.world.aws.inbox() if message["attributes"]["kind"] == "key_rescued"]
    assert {one["topic"] for one in told} == {life.world.resources[name]["arn"] for name in TOPICS}
    assert len({(one["attributes"]["notice_id"], one["subject"], one["body"]) for one in told}) == 1
    assert life.runner.failures == []


def test_an_undisturbed_guard_makes_no_more_calls_than_the_places_that_are_tried(life):
    before = disable_the_key(life)

    life.runner.settle()

    assert 0 < len(life.fate.calls) - before <= GUARD_CALLS
    assert_the_key_is_back_and_people_know(life)


@pytest.mark.parametrize(("number", "side"), places(GUARD_CALLS, GUARD_SAMPLE))
def test_a_guard_that_is_killed_is_followed_by_one_who_brings_the_key_back(life, number, side):
    disable_the_key(life)
    life.fate.die_at(number, side)

    life.through_deaths(lambda: life.runner.run_until(life.world.clock.now() + timedelta(hours=1)))

    assert_the_key_is_back_and_people_know(life)
