"""The ways that a rotation can go, how time goes on for it, and what must be true in the end, whatever happened."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from fake_atlas import ACCESS_KEY_ID, CREDENTIALS, PROJECT, USER_ARN
from mortal_ports import Fate, mortal_outside
from simple_world import (
    DAY,
    HOUR,
    Rotating,
    World,
    a_legacy_world,
    a_policy_for,
    a_rotation,
    a_world,
    in_state,
    old_key,
)

from chalicelib.domain.arn import KeyArn, parse_key_arn
from chalicelib.domain.observed import KeyStatus
from chalicelib.domain.refusals import Refusal
from chalicelib.domain.vocabulary import KeyState, NoticeKind, RotationState, Strategy
from chalicelib.usecases.ports import Conflict, Due, Outside
from chalicelib.usecases.relay import send_all_due
from chalicelib.usecases.retire import advance_deletion
from chalicelib.usecases.rotate import advance_rotation
from chalicelib.usecases.sweep import sweep_woken

AT_LAST = 30 * HOUR
"""By when a rotation must have ended, however it was disturbed."""

NEW = {NoticeKind.ROTATION_STARTED, NoticeKind.ROTATION_DEPLOYING, NoticeKind.ROTATION_DEPLOYED}
RENEWED = {NoticeKind.ROTATION_STARTED, NoticeKind.ROTATION_DEPLOYED}
BACK = {NoticeKind.ROTATION_STARTED, NoticeKind.ROTATION_DEPLOYING, NoticeKind.ROTATION_ROLLED_BACK}
GIVEN_UP = {NoticeKind.ROTATION_STARTED, NoticeKind.ROTATION_CANCELLED}


@dataclass(frozen=True, kw_only=True)
class Journey:
    """A way for a rotation to go: how it begins, where it may end, and what people are told then.

    `made` is how many keys it makes (None: one, or none where it was given up before), `swaps` how many changes of
    settings take effect; `upset` is what a person does at the moment of a death.
    """

    begin: Callable[[], Rotating]
    ends: frozenset[str] = frozenset({RotationState.DEPLOYED})
    told: frozenset[str] = frozenset(NEW)
    made: int | None = 1
    swaps: int | None = 1
    renewed: int = 0
    upset: Callable[[Rotating], object] | None = None
    name: str = ""

    def __str__(self) -> str:
        return self.name or self.begin.__name__


@dataclass(kw_only=True)
class History:
    """One rotation on its way, what may befall it, and how often each of its wake-ups is delivered."""

    journey: Journey
    rotation: Rotating
    fate: Fate = field(default_factory=Fate)
    janitor: Fate = field(default_factory=Fate)
    """What may befall those who sweep keys and take them back."""
    redeliveries: int = 0

    @property
    def world(self) -> World:
        return self.rotation.world

    def wake(self) -> None:
        """One delivery of a wake-up; the process may die of it."""
        rotation_id = self.rotation.rotation_id
        died = self.fate.live(lambda: advance_rotation(self._mortal, PROJECT, rotation_id))
        if died and self.journey.upset is not None:
            with suppress(Refusal, Conflict):
                self.journey.upset(self.rotation)

    def __post_init__(self) -> None:
        self._mortal: Outside = mortal_outside(self.world, self.fate)
        self._swept: Outside = mortal_outside(self.world, self.janitor)

    def sweep(self, arn: str) -> None:
        """Have a key swept; the process may die of it."""
        self.janitor.live(lambda: sweep_woken(self._swept, {"key": arn}))

    def retire(self, deletion_id: str) -> None:
        """Have the next step of a deletion taken; the process may die of it."""
        self.janitor.live(lambda: advance_deletion(self._swept, deletion_id))


def begin(journey: Journey, fate: Fate | None = None, *, redeliveries: int = 0, listed_after: timedelta | None = None):
    """A rotation at the beginning of its journey; KMS lists new keys so late."""
    rotation = journey.begin()
    rotation.world.keys.listed_after = listed_after or timedelta(0)
    return History(journey=journey, rotation=rotation, fate=fate or Fate(), redeliveries=redeliveries)


def live_on(history: History) -> None:
    """Let time go on by the time index alone, until the rotation has ended and nothing of it is left to tidy up."""
    world, began = history.world, history.world.now
    for _ in range(400):
        moment = min(_moments(history), default=None)
        if moment is None or moment > began + AT_LAST or _is_at_rest(history):
            return
        world.now = max(world.now, moment)
        world.atlas.settle(world.now)
        do_what_is_due(history)
    raise AssertionError(f"it is never at rest: {history.rotation.now}")


def do_what_is_due(history: History) -> None:
    """One look at the time index, with everything that it finds done."""
    world, tracker = history.world, history.world.tracker
    for _ in tuple(tracker.due(Due.ROTATION, world.now)):
        for _ in range(1 + history.redeliveries):
            history.wake()
    for (arn,) in tuple(tracker.due(Due.SWEEP, world.now)):
        history.sweep(arn)
    for (deletion_id,) in tuple(tracker.due(Due.DELETION, world.now)):
        history.retire(deletion_id)
    send_all_due(world.outside)


def _moments(history: History) -> Iterator[datetime]:
    now, tracker = history.rotation.now, history.world.tracker
    if now.due is not None:
        yield max(now.due, now.lease_until or now.due)
    for key in tracker.keys_of(PROJECT):
        deletion = tracker.deletion(key.deletion_id) if key.deletion_id is not None else None
        yield from (one.due for one in (key, deletion) if one is not None and one.due is not None)
    yield from (notice.due for notice in tracker.notices if notice.due is not None)


def _is_at_rest(history: History) -> bool:
    now, all_told = history.rotation.now, all(one.due is None for one in history.world.tracker.notices)
    return now.state.terminal and now.due is None and all_told and not orphans(history)


def made_by_us(history: History) -> list[KeyArn]:
    """The keys that carry the rotation's id."""
    keys, rotation_id = history.world.keys, history.rotation.rotation_id
    return [arn for arn in keys.arns if keys.tags(arn).get("keyturn:rotation") == rotation_id]


def orphans(history: History) -> list[str]:
    """The keys made for the rotation that nobody uses, that no snapshot may need, and that are not taken back."""
    world = history.world
    found = []
    for arn in made_by_us(history):
        record, status = world.tracker.key(arn), world.keys.describe(arn).status
        used = record is not None and record.state in {KeyState.CURRENT, KeyState.DEPLOYING, KeyState.RETIRING}
        if not used and status is not KeyStatus.PENDING_DELETION:
            found.append(f"{arn} is {status} and {record.state if record is not None else 'unknown'}")
    return found


def what_is_wrong(history: History) -> list[str]:
    """Every promise that the history broke; empty when it was survived."""
    facts = {**_promises_of_the_end(history), **_promises_of_the_way(history), **_promises_to_people(history)}
    return [text for text, kept in facts.items() if not kept]


def _promises_of_the_end(history: History) -> dict[str, bool]:
    now, world, journey = history.rotation.now, history.world, history.journey
    shown = parse_key_arn(world.in_atlas.settings.key or "")
    moved = now.state == RotationState.DEPLOYED and now.strategy is Strategy.NEW_CMK
    wanted = now.new_key if moved else now.old_key
    credentials = now.credentials_secret is None or world.in_atlas.settings.access_key_id == ACCESS_KEY_ID
    ended = now.ended_at is not None and now.due is None
    return {
        f"it is {now.state}, waits for {now.waiting_for}, error {now.error}": now.state in journey.ends and ended,
        f"the settings name {shown}": shown == wanted and credentials,
        f"the project is said to use {world.project.key}": world.project.key == shown,
        "the project is still taken": world.project.open_rotation is None,
        f"orphans {orphans(history)}": not orphans(history),
        "an orphan for more than a day": ended and world.now <= now.ended_at + DAY,
    }


def _promises_of_the_way(history: History) -> dict[str, bool]:
    world, journey, now = history.world, history.journey, history.rotation.now
    applied = Counter(key for _, key in world.atlas.applied)
    made, created = len(made_by_us(history)), world.created()
    on_demand = world.keys.calls.count("rotate_on_demand")
    late_words = (*history.fate.late_words, *history.janitor.late_words)
    finished = now.state in {RotationState.DEPLOYED, RotationState.ROLLED_BACK}
    exactly = journey.made is None or not finished or made == journey.made
    return {
        f"{made} keys made, {created} asked for": made <= 1 and created <= 1 and exactly,
        f"changes of settings {applied}": max(applied.values(), default=0) <= 1,
        f"{world.swaps()} changes of settings sent": journey.swaps is None or world.swaps() == journey.swaps,
        f"{on_demand} rotations on demand": on_demand == journey.renewed,
        f"a dead process called {late_words}": not late_words,
    }


def _promises_to_people(history: History) -> dict[str, bool]:
    world, journey = history.world, history.journey
    written = {notice.notice_id for notice in world.tracker.notices}
    published = world.messages.published
    texts = {(notice.notice_id, notice.text) for notice in published}
    kinds = {notice.kind for notice in published}
    return {
        "a notice was never sent": written == {notice.notice_id for notice in published},
        "two texts under one id": len(texts) == len(written),
        f"nobody was told of {journey.told - kinds}": journey.told <= kinds,
    }


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


def back_from(state: str) -> Callable[[], Rotating]:
    def back() -> Rotating:
        rotation = in_state(a_world(), state)
        rotation.roll_back()
        return rotation

    return back


def given_up_when(state: str, **asked) -> Callable[[], Rotating]:
    def given_up() -> Rotating:
        rotation = in_state(a_world(), state, **asked)
        rotation.cancel()
        return rotation

    return given_up


_CANCELLED, _BACK = frozenset({RotationState.CANCELLED}), frozenset({RotationState.ROLLED_BACK})
_EITHER = frozenset({RotationState.CANCELLED, RotationState.DEPLOYED})
_THERE_OR_BACK = frozenset({RotationState.ROLLED_BACK, RotationState.DEPLOYED})
_STARTED = frozenset({NoticeKind.ROTATION_STARTED})

STRAIGHT = (
    Journey(begin=a_new_key),
    Journey(begin=a_brought_key, made=0),
    Journey(begin=an_emergency, told=frozenset({*NEW, NoticeKind.STILL_READABLE})),
    Journey(begin=other_credentials, made=0),
    Journey(begin=on_demand, made=0, swaps=0, renewed=1, told=frozenset(RENEWED)),
    Journey(begin=automatic, made=0, swaps=0, told=frozenset(RENEWED)),
)
TURNED_ROUND = tuple(
    Journey(begin=back_from(state), ends=_BACK, swaps=2, told=frozenset(BACK), name=f"back from {state}")
    for state in ("deploying", "deployed")
)
CANCELLED = tuple(
    Journey(
        begin=given_up_when(state, strategy=strategy),
        ends=_CANCELLED,
        told=frozenset(GIVEN_UP),
        made=None,
        swaps=0,
        name=f"given up when {state}",
    )
    for state, strategy in (
        ("requested", Strategy.NEW_CMK),
        ("preparing", Strategy.NEW_CMK),
        ("swapping", Strategy.NEW_CMK),
        ("renewing", Strategy.KMS_ON_DEMAND),
    )
)
UPSET = (
    Journey(
        begin=a_new_key, ends=_EITHER, told=_STARTED, swaps=None, upset=Rotating.cancel, name="cancelled at a death"
    ),
    Journey(
        begin=a_new_key,
        ends=_THERE_OR_BACK,
        told=_STARTED,
        swaps=None,
        upset=Rotating.roll_back,
        name="rolled back at a death",
    ),
)
JOURNEYS = (*STRAIGHT, *TURNED_ROUND, *CANCELLED, *UPSET)
