"""The change of settings under every outcome that it can have: the tracker says in the end what Atlas shows.

First on the fake, with every outcome, delay and lag, and a death at each call that follows; then over HTTP, with the
error bodies of Atlas and the adapter that reads them. `KEYTURN_SEED` draws other cases.
"""

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import product
from random import Random

import pytest
from atlas_stand_in import CLIENT_ID, SECRET, Asked, Reply, StandIn
from fake_atlas import ORGANIZATION, PROJECT, ROLE_ID, FakeAtlas
from figures import FULL_SIZE, tell
from journeys import BACK, NEW, History, Journey, back_from, begin, live_on, what_is_wrong
from mortal_ports import Fate
from simple_world import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    World,
    a_rotation,
    a_world,
    found,
    in_state,
    let_time_pass,
)

from chalicelib.adapters.atlas import AtlasKeySwapper, AtlasReader
from chalicelib.adapters.atlas_http import AtlasHttp
from chalicelib.adapters.atlas_token import Credentials
from chalicelib.domain.arn import atlas_region, aws_region, parse_key_arn
from chalicelib.domain.observed import KeyStatus
from chalicelib.domain.policies import NO_WISHES
from chalicelib.domain.swap import INCONSISTENT_FOR, NOT_YET, SETTLES_WITHIN
from chalicelib.domain.vocabulary import NoticeKind, RotationState
from chalicelib.usecases.discover import discover_project
from chalicelib.usecases.ports import PermanentError, TemporaryError

SEED = int(os.environ.get("KEYTURN_SEED", "20270301"))
PATCH = f"PATCH /groups/{PROJECT}/encryptionAtRest"
NONE = timedelta(0)
LOST = TemporaryError(f"{PATCH}: the connection broke", call=PATCH)
FIVE_HUNDRED = TemporaryError(f"{PATCH}: HTTP 500", call=PATCH, code="UNEXPECTED_ERROR")
FAILED = frozenset({RotationState.FAILED})
TOLD_OF_FAILURE = frozenset({NoticeKind.ROTATION_STARTED, NoticeKind.ROTATION_FAILED})


def refused(code: str) -> PermanentError:
    return PermanentError(f"{PATCH}: HTTP 400 {code}", call=PATCH, code=code)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What becomes of a change of settings: what is answered, `before` it has an effect or after, and when it shows.

    The first so many `times` it comes out like this, later as it should; `stops` says that the rotation fails of it.
    """

    name: str
    answer: Exception | None = None
    before: bool = False
    times: int = 10**6
    takes_effect_after: timedelta = NONE
    shows_after: timedelta = NONE
    stops: bool = False

    def strike(self, world: World) -> None:
        """Let the changes of settings in this world come out so."""
        world.atlas.effect_after, world.atlas.shown_after = self.takes_effect_after, self.shows_after
        if self.answer is None:
            return
        left = iter(range(self.times))

        def answer(*_):
            if next(left, None) is not None:
                raise self.answer.with_traceback(None)  # else it would keep every history that it ever went through

        if self.before:
            world.atlas.before_swap = answer
        else:
            world.atlas.after_swap = answer


DELAYS = (SECOND, 14 * SECOND, 16 * SECOND, 59 * SECOND, 3 * MINUTE, 5 * MINUTE, 9 * MINUTE, 10 * MINUTE)
LAGS = (SECOND, 20 * SECOND, 2 * MINUTE, 10 * MINUTE, 15 * MINUTE)
ANSWERS = {"yes": None, "lost": LOST, "500": FIVE_HUNDRED}
OUTCOMES = (
    Outcome(name="as it should"),
    *(Outcome(name=f"error before, {times} times", answer=LOST, before=True, times=times) for times in (1, 2, 3)),
    Outcome(name="effect and lost answer", answer=LOST),
    Outcome(name="effect and 500", answer=FIVE_HUNDRED),
    Outcome(name="effect and 409", answer=refused("CANNOT_CHANGE_ENCRYPTION_AT_REST_PROVIDER")),
    Outcome(name="409", answer=refused("CANNOT_CHANGE_ENCRYPTION_AT_REST_PROVIDER"), before=True, stops=True),
    Outcome(name="400", answer=refused("NO_PERMISSION_TO_ENCRYPT_DECRYPT"), before=True, stops=True),
    *(
        Outcome(name=f"effect {delay} late, answer {said}", takes_effect_after=delay, answer=answer)
        for delay, (said, answer) in product(DELAYS, ANSWERS.items())
    ),
    *(
        Outcome(name=f"shown {lag} late, answer {said}", shows_after=lag, answer=answer)
        for lag, (said, answer) in product(LAGS, ANSWERS.items())
    ),
    *(
        Outcome(name=f"effect {delay} late, shown {lag} after that", takes_effect_after=delay, shows_after=lag)
        for delay, lag in ((5 * MINUTE, 10 * MINUTE), (10 * MINUTE, 5 * MINUTE))
    ),
)


def there(outcome: Outcome) -> Journey:
    ends = FAILED if outcome.stops else frozenset({RotationState.DEPLOYED})
    told = TOLD_OF_FAILURE if outcome.stops else frozenset(NEW)
    return Journey(begin=lambda: a_rotation(a_world()), ends=ends, told=told, swaps=None)


def and_back(outcome: Outcome) -> Journey:
    """The way back; where it is refused the new key stays, deployed."""
    ends = frozenset({RotationState.DEPLOYED if outcome.stops else RotationState.ROLLED_BACK})
    told = frozenset({*NEW, NoticeKind.ROTATION_BLOCKED} if outcome.stops else BACK)
    return Journey(begin=back_from("deployed"), ends=ends, told=told, swaps=None)


def some(cases: Iterable, most: int, about: str) -> list:
    """All cases at full size, else some of them, drawn by the seed."""
    everything = list(cases)
    return everything if FULL_SIZE or len(everything) <= most else Random(f"{SEED} {about}").sample(everything, most)


def live_through(outcome: Outcome, way: Callable[[Outcome], Journey], fate: Fate, latency: timedelta) -> History:
    """Go a way on which the change of settings comes out so, and every call takes its time."""
    history = begin(way(outcome), fate)
    outcome.strike(history.world)
    fate.baton = lambda: history.world.wait(latency)
    live_on(history)
    return history


LATENCIES = (NONE, SECOND, 7 * SECOND)


def deaths_to_die(deadly: Iterable, outcome: Outcome, way, latency: timedelta) -> list:
    """Some deaths, drawn by the seed: most where calls take a second."""
    everything, most = list(deadly), (25 if latency == SECOND else 8) if FULL_SIZE else 2
    return Random(f"{SEED} {outcome.name} {way.__name__} {latency}").sample(everything, min(most, len(everything)))


@pytest.mark.parametrize("way", [there, and_back])
@pytest.mark.parametrize("outcome", OUTCOMES, ids=lambda outcome: outcome.name)
def test_the_settings_are_changed_once_whatever_becomes_of_the_change(way, outcome):
    broken, deaths, histories, sent = {}, 0, 0, 0
    for latency in some(LATENCIES, 1, f"{outcome.name} {way.__name__}"):
        unharmed = Fate()
        live_through(outcome, way, unharmed, latency)
        deadly = product(range(1, unharmed.calls + 1), (False, True))
        for case in [None, *deaths_to_die(deadly, outcome, way, latency)]:
            fate = Fate() if case is None else Fate(dies_at=case[0], after=case[1])
            history = live_through(outcome, way, fate, latency)
            histories, deaths, sent = histories + 1, deaths + fate.deaths, max(sent, history.world.swaps())
            wrong = what_is_wrong(history)
            if wrong:
                broken[str(latency), case] = wrong

    tell(
        patch=outcome.name,
        way=way.__name__.replace("_", " "),
        histories=histories,
        deaths=deaths,
        survived=f"{histories - len(broken):,}/{histories:,}",
        most_sent=sent,
        seed=str(SEED),
    )
    assert broken == {}


def test_a_hand_that_changes_the_key_while_the_new_one_is_made_is_not_overwritten():
    history = begin(there(OUTCOMES[0]))
    world, theirs = history.world, history.world.keys.add()

    def while_it_is_made():
        world.wait(15 * SECOND)
        world.in_atlas.settings = replace(world.in_atlas.settings, key=str(theirs))

    history.fate.dies_of, history.fate.after, history.fate.instead = "create", True, while_it_is_made
    live_on(history)

    assert (world.in_atlas.settings.key, world.swaps()) == (str(theirs), 0)
    assert history.rotation.now.error.code == "key_changed_by_hand"


@pytest.mark.parametrize("outcome", [o for o in OUTCOMES if not o.stops and not o.before], ids=lambda o: o.name)
def test_a_way_back_that_is_asked_for_before_the_change_shows_waits_for_it(outcome):
    history = begin(replace(and_back(outcome), begin=lambda: in_state(a_world(), "swapping")))
    outcome.strike(history.world)
    history.wake()
    if history.rotation.now.state == RotationState.SWAPPING:
        history.rotation.roll_back()
    live_on(history)
    if history.rotation.now.state == RotationState.DEPLOYED:
        history.rotation.roll_back()

    live_on(history)

    assert what_is_wrong(history) == []


@pytest.mark.parametrize("code", sorted(NOT_YET))
def test_what_iam_has_not_caught_up_with_can_still_be_given_up(code):
    ends, told = frozenset({RotationState.CANCELLED}), frozenset({NoticeKind.ROTATION_CANCELLED})
    history = begin(Journey(begin=lambda: in_state(a_world(), "swapping"), ends=ends, told=told))
    Outcome(name=code, answer=refused(code), before=True).strike(history.world)
    history.wake()
    history.rotation.cancel()

    live_on(history)

    assert what_is_wrong(history) == []


def test_a_change_that_takes_effect_after_the_rotation_gave_up_costs_nobody_the_key():
    rotation = in_state(a_world(), "swapping")
    world, new, theirs = rotation.world, rotation.now.new_key, rotation.world.keys.add()
    world.atlas.effect_after = 9 * MINUTE
    rotation.wake()
    world.in_atlas.settings = replace(world.in_atlas.settings, key=str(theirs))
    rotation.go_until("failed")

    let_time_pass(world, HOUR)
    discover_project(world.outside, found(), NO_WISHES)
    let_time_pass(world, 2 * DAY)

    assert (world.in_atlas.settings.key, world.project.key) == (str(new), new)
    assert world.keys.describe(new).status is KeyStatus.ENABLED


# --- over HTTP ---

STOPS = (
    (400, "AWS_KMS_CREDENTIALS_AUTH_DEPRECATED"),
    (400, "NO_PERMISSION_TO_ENCRYPT_DECRYPT"),
    (400, "AWS_KMS_CUSTOMER_MASTER_KEY_NOT_ENABLED"),
    (400, "AWS_KMS_CUSTOMER_MASTER_KEY_PENDING_DELETION"),
    (400, "AWS_KMS_CUSTOMER_MASTER_KEY_PENDING_IMPORT"),
    (400, "AWS_KMS_REGION_NOT_SUPPORTED"),
    (400, "INVALID_REGION"),
    (404, "AWS_CUSTOMER_MASTER_KEY_NOT_FOUND"),
    (400, "ENCRYPTION_AT_REST_SETTINGS_INVALID"),
    (400, "ENCRYPTION_AT_REST_NOT_ENABLED"),
    (400, "ENCRYPTION_AT_REST_PROVIDER_NOT_SUPPORTED"),
    (400, "MISSING_ENCRYPTION_AT_REST_PROVIDER"),
    (400, "INVALID_ENCRYPTION_AT_REST_PROVIDER"),
    (400, "CANNOT_USE_ENCRYPTION_AT_REST_TENANT"),
    (409, "CANNOT_DISABLE_ENCRYPTION_AT_REST"),
    (409, "CANNOT_CHANGE_ENCRYPTION_AT_REST_PROVIDER"),
    (409, "CANNOT_ROTATE_KEY_ENCRYPTION_DISABLED"),
    (400, "CANNOT_DISABLE_ENCRYPTION_AT_REST_WITH_BACKUP_COMPLIANCE_POLICY"),
    (404, "GROUP_NOT_FOUND"),
    (401, "NOT_IN_GROUP"),
    (401, "USER_UNAUTHORIZED"),
    (401, "USER_CANNOT_ACCESS_GROUP"),
    (403, "IP_ADDRESS_NOT_ON_WHITELIST"),
    (403, "ORG_REQUIRES_WHITELIST"),
    (403, "RESOURCE_REQUIRES_WHITELIST"),
    (410, "VERSION_GONE"),
    (406, "INVALID_VERSION_DATE"),
    (400, "A_CODE_THAT_NOBODY_KNOWS"),
)
PASSES = (
    (405, "WRITES_NOT_ALLOWED_DURING_APP_UPGRADES"),
    (429, "RATE_LIMITED"),
    (429, "RATE_LIMITED_TOKEN_BUCKET"),
    (500, "UNEXPECTED_ERROR"),
    (502, ""),
    (503, ""),
    (504, ""),
)


def error_body(status: int, code: str) -> Reply:
    """As Atlas writes it: the code in the body and in a header; a gateway before it writes neither."""
    if not code:
        return Reply(status=status, body=b"<html>bad gateway</html>")
    body = {"detail": f"{code}, said in words.", "error": status, "errorCode": code, "parameters": [PROJECT]}
    return Reply(status=status, body={**body, "reason": "as HTTP has it"}, headers={"X-Error-Code": code})


@dataclass(kw_only=True)
class AtlasOverHttp:
    """The settings of a fake Atlas, read and changed by the real adapter over HTTP; the rest is asked of the fake."""

    world: World
    server: StandIn
    refuses: Callable[[int], Reply | None] = lambda _: None
    """What the n-th change of settings, counted from one, is answered instead of being done."""
    sent_at: list = field(default_factory=list)
    organization: str = ORGANIZATION

    def __post_init__(self) -> None:
        session = AtlasHttp(
            base_url=self.server.url,
            credentials=lambda: Credentials(client_id=CLIENT_ID, client_secret=SECRET),
            now=self.world.time,
            sleep=lambda seconds: self.world.wait(timedelta(seconds=seconds)),
            random=lambda: 0.0,
            seconds_left=lambda: 60.0,
        )
        self._reader, self.swap_key = AtlasReader(session, ORGANIZATION), AtlasKeySwapper(session).swap_key
        self.settings = self._reader.settings
        path = f"/groups/{PROJECT}/encryptionAtRest"
        self.server.on(path, self._show)
        self.server.on(path, self._change, method="PATCH")
        self.world.outside = replace(self.world.outside, atlas=lambda _: self, atlas_owner=lambda _: self)

    def __getattr__(self, name: str):
        return getattr(self.world.atlas, name)

    def _show(self, _: Asked) -> Reply:
        shown = self.world.atlas.settings(PROJECT)
        key = parse_key_arn(shown.key)
        block = {"enabled": shown.enabled, "customerMasterKeyID": shown.key, "region": atlas_region(key.region)}
        return Reply(body={"awsKms": {**block, "roleId": shown.role_id, "valid": shown.valid}})

    def _change(self, asked: Asked) -> Reply:
        self.sent_at.append(self.world.now)
        instead = self.refuses(len(self.sent_at))
        if instead is not None:
            return instead
        block = json.loads(asked.body)["awsKms"]
        key = parse_key_arn(block["customerMasterKeyID"])
        assert (block["enabled"], aws_region(block["region"]), block["roleId"]) == (True, key.region, ROLE_ID)
        fake: FakeAtlas = self.world.atlas
        fake.swap_key(PROJECT, key, settings=self.world.in_atlas.settings, role_id=block["roleId"])
        return self._show(asked)


@pytest.fixture(scope="module")
def server():
    with StandIn() as stand_in:
        yield stand_in


def over_http(server: StandIn, journey: Journey, refuses, fate: Fate | None = None) -> tuple[History, AtlasOverHttp]:
    rotation = journey.begin()
    atlas = AtlasOverHttp(world=rotation.world, server=server, refuses=refuses)
    return History(journey=journey, rotation=rotation, fate=fate or Fate()), atlas


ARRIVES = there(Outcome(name="as it should"))
STAYS = there(Outcome(name="refused", stops=True))


@pytest.mark.parametrize("code", sorted(NOT_YET))
def test_what_iam_has_not_caught_up_with_is_asked_again_for_three_minutes_and_then_stops(server, code):
    history, atlas = over_http(server, STAYS, lambda _: error_body(400, code))

    live_on(history)

    asked_for = atlas.sent_at[-1] - atlas.sent_at[0]
    tell(patch_over_http=code, asked=len(atlas.sent_at), for_seconds=int(asked_for.total_seconds()), then="stopped")
    assert what_is_wrong(history) == []
    assert history.rotation.now.error.code == code
    assert len(atlas.sent_at) > 5
    assert INCONSISTENT_FOR - 20 * SECOND <= asked_for <= INCONSISTENT_FOR + 20 * SECOND


@pytest.mark.parametrize("code", sorted(NOT_YET))
@pytest.mark.parametrize("times", [1, 3, 8])
def test_what_iam_catches_up_with_in_time_goes_on(server, code, times):
    history, atlas = over_http(server, ARRIVES, lambda number: error_body(400, code) if number <= times else None)

    live_on(history)

    assert what_is_wrong(history) == []
    assert len(atlas.sent_at) == times + 1


@pytest.mark.parametrize("dies", [False, True], ids=["alive", "dies of the answer"])
@pytest.mark.parametrize(("status", "code"), STOPS)
def test_every_other_refusal_stops_at_once_with_the_old_key_in_place(server, status, code, dies):
    fate = Fate(dies_of="swap_key" if dies else None, after=True)
    history, atlas = over_http(server, STAYS, lambda _: error_body(status, code), fate)

    live_on(history)

    assert what_is_wrong(history) == []
    assert history.rotation.now.error.code == code
    with_a_fresh_token_too = 2 if status == 401 else 1
    assert (len(atlas.sent_at), fate.deaths) == ((1 + dies) * with_a_fresh_token_too, int(dies))


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize(("status", "code"), PASSES)
def test_what_passes_by_itself_is_waited_for_without_haste(server, status, code, times):
    history, atlas = over_http(server, ARRIVES, lambda number: error_body(status, code) if number <= times else None)

    live_on(history)

    pauses = [later - sooner for sooner, later in zip(atlas.sent_at, atlas.sent_at[1:], strict=False)]
    assert what_is_wrong(history) == []
    assert len(pauses) == times
    assert all(SETTLES_WITHIN <= pause < HOUR for pause in pauses)


@pytest.mark.parametrize("code", ["CANNOT_ASSUME_ROLE", "NO_PERMISSION_TO_ENCRYPT_DECRYPT", "UNEXPECTED_ERROR"])
def test_an_answer_that_says_no_to_what_was_done_is_not_believed(server, code):
    history, atlas = over_http(server, ARRIVES, lambda _: None)
    done = atlas._change
    status = 500 if code == "UNEXPECTED_ERROR" else 400

    def lie(asked):
        done(asked)
        return error_body(status, code)

    server.on(f"/groups/{PROJECT}/encryptionAtRest", lie, method="PATCH")

    live_on(history)

    assert what_is_wrong(history) == []
    assert len(atlas.sent_at) == 1


@pytest.mark.parametrize("cut", [Reply(drop=True), Reply(status=200, body={}, cut=1)], ids=["dropped", "cut"])
def test_an_answer_that_breaks_off_after_the_effect_is_looked_for(server, cut):
    history, atlas = over_http(server, ARRIVES, lambda _: None)
    done = atlas._change

    def break_off(asked):
        done(asked)
        return cut

    server.on(f"/groups/{PROJECT}/encryptionAtRest", break_off, method="PATCH")

    live_on(history)

    assert what_is_wrong(history) == []
    assert len(atlas.sent_at) == 1
