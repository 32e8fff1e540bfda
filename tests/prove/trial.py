"""A trial: a fleet in the true world under weather, with the schedules and queues that really wake Keyturn."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from heapq import heappop, heappush
from itertools import count

from fake_atlas import ORGANIZATION, ROLE_ARN, USER_ARN
from fake_messages import FakeMessages
from fake_roles import FakeRoles
from fake_tracker import FakeTracker
from prove.oracle import BrokenPromise, Oracle
from prove.true_world import TrueAtlas, true_keys
from prove.turmoil import Exposed, Weather
from simple_world import ACCOUNT, ANNA, DAY, HOUR, MINUTE, SECOND, START, Killed

from chalicelib.domain.opening import RotationRequest
from chalicelib.domain.records import Rotation
from chalicelib.usecases.discover import discover_all
from chalicelib.usecases.patrol import patrol_keys
from chalicelib.usecases.ports import Outside, OutsideError
from chalicelib.usecases.remind import remind_all
from chalicelib.usecases.request_rotation import request_rotation
from chalicelib.usecases.retire import advance_deletions
from chalicelib.usecases.rotate import advance_woken
from chalicelib.usecases.sweep import sweep_woken
from chalicelib.usecases.track import wake_what_is_due

REDELIVERED_AFTER = 720 * SECOND
RECEIVED_AT_MOST = 5
SCHEDULES: dict[str, tuple[timedelta, Callable[[Outside], object]]] = {
    "discover": (DAY, discover_all),
    "remind": (HOUR, remind_all),
    "track": (HOUR, wake_what_is_due),
    "retire": (HOUR, advance_deletions),
    "patrol": (DAY, patrol_keys),
}
QUEUES: dict[str, Callable[[Outside, dict[str, str]], object]] = {"rotate": advance_woken, "sweep": sweep_woken}


@dataclass(order=True, kw_only=True)
class Message:
    """A message in a queue, visible from a moment on."""

    at: datetime
    number: int
    queue: str = field(compare=False)
    body: dict[str, str] = field(compare=False)
    received: int = field(default=0, compare=False)


class Post(FakeMessages):
    """Messages that arrive; `copies` says for each how often and how much later than it was asked for."""

    def __init__(self, trial: "Trial") -> None:
        super().__init__()
        self._trial = trial
        self.copies: Callable[[], list[timedelta]] = lambda: [timedelta(0)]

    def wake_rotation(self, project_id: str, rotation_id: str, *, delay_seconds: int = 0) -> None:
        delay = timedelta(seconds=max(0, min(delay_seconds, 900)))
        self._put("rotate", {"project_id": project_id, "rotation_id": rotation_id}, delay)

    def wake_sweep(self, arn) -> None:
        self._put("sweep", {"key": str(arn)}, timedelta(0))

    def _put(self, queue: str, body: dict[str, str], delay: timedelta) -> None:
        for late in self.copies():
            self._trial.post(queue, body, delay + late)


class Trial:
    """The fleet, its oracle, and the time; every invocation is followed by a look at all the promises."""

    def __init__(self, projects: int = 1) -> None:
        self.now = START
        self.weather = Weather()
        self.tracker = FakeTracker()
        self.post_office = Post(self)
        self.keys = true_keys(self.time)
        self.atlas = TrueAtlas(self.keys, self.time)
        self.roles = FakeRoles(ACCOUNT)
        self.roles.add(ROLE_ARN)
        self.roles.add(USER_ARN)
        self.oracle = Oracle(tracker=self.tracker, atlas=self.atlas, keys=self.keys)
        self.outside = self._outside()
        self.projects = [f"{number:024x}" for number in range(1, projects + 1)]
        self.first_keys = {p: self.atlas.begin(p, name=f"project-{p[-2:]}") for p in self.projects}
        self.broken: list[BaseException] = []
        self._queue: list[Message] = []
        self._numbers = count()
        self._next = {name: self.now + every for name, (every, _) in SCHEDULES.items()}
        self.invoke(lambda: discover_all(self.outside))

    def time(self) -> datetime:
        return self.now

    def _outside(self) -> Outside:
        def exposed(port, name):
            oracle = self.oracle
            return Exposed(port, name, self.weather, reaches=oracle.reaches, answered=oracle.answered)

        tracker, post = exposed(self.tracker, "tracker"), exposed(self.post_office, "messages")
        atlas, owner = exposed(self.atlas, "atlas"), exposed(self.atlas, "owner")
        keys, roles = exposed(self.keys, "keys"), exposed(self.roles, "roles")
        return Outside(
            now=self.time,
            tracker=tracker,
            messages=post,
            organizations=lambda: (ORGANIZATION,),
            atlas=lambda _: atlas,
            atlas_owner=lambda _: owner,
            keys=lambda _region, _role: keys,
            roles=lambda _: roles,
            legacy_user=lambda secret: exposed(self.atlas, "sts").legacy_user(secret),
        )

    def post(self, queue: str, body: dict[str, str], delay: timedelta) -> None:
        """Put a message into a queue."""
        heappush(self._queue, Message(at=self.now + delay, number=next(self._numbers), queue=queue, body=body))

    def invoke(self, work: Callable[[], object]) -> bool:
        """One invocation: outside errors and death fail it, anything else is a fault of ours. Whether it went well."""
        self.oracle.begin()
        well = True
        try:
            work()
        except (OutsideError, Killed):
            well = False
        except ExceptionGroup as group:
            _, others = group.split((OutsideError, Killed))
            if others is not None:
                raise BrokenPromise(f"an invocation failed of itself: {others.exceptions}") from others
            well = False
        self.oracle.look()
        return well

    def overtake(self, work: Callable[[], object]) -> None:
        """Another invocation, in the middle of one that goes on afterwards."""
        seen, self.oracle.shown = self.oracle.shown, {}
        self.invoke(work)
        self.oracle.shown = seen

    def run(self, time: timedelta) -> None:
        """Let time pass: schedules fire, messages arrive, failed ones come again."""
        end = self.now + time
        while (at := min(*self._next.values(), *(m.at for m in self._queue[:1]))) <= end:
            self.now = max(self.now, at)
            if self._queue and self._queue[0].at <= at:
                self._receive(heappop(self._queue))
            else:
                self._fire(min(self._next, key=self._next.__getitem__))
        self.now = max(self.now, end)
        self.oracle.look()

    def _fire(self, name: str) -> None:
        every, work = SCHEDULES[name]
        self._next[name] += every
        self.invoke(lambda: work(self.outside))

    def _receive(self, message: Message) -> None:
        well = self.invoke(lambda: QUEUES[message.queue](self.outside, message.body))
        if not well and message.received + 1 < RECEIVED_AT_MOST:
            again = replace(message, at=self.now + REDELIVERED_AFTER, received=message.received + 1)
            heappush(self._queue, again)

    def discover(self) -> bool:
        """The daily look, now."""
        return self.invoke(lambda: discover_all(self.outside))

    def ask(self, project_id: str, **asked) -> Rotation | None:
        """A person's request, made again with the same idempotency key until it is answered."""
        request = RotationRequest(**({"requested_by": ANNA, "idempotency_key": f"{next(self._numbers)}"} | asked))
        answers: list[Rotation] = []
        for _ in range(3):
            if self.invoke(lambda: answers.append(request_rotation(self.outside, project_id, request))):
                return answers[0]
            self.now += MINUTE
        return None

    def rotation(self, rotation: Rotation) -> Rotation:
        """A rotation as it stands now."""
        return self.tracker._kept[("Rotation", rotation.project_id, rotation.rotation_id)]

    def rotations(self, project_id: str) -> list[Rotation]:
        """A project's rotations, the oldest first."""
        found = [r for r in self.oracle.kept(Rotation) if r.project_id == project_id]
        return sorted(found, key=lambda rotation: rotation.requested_at)

    def run_until(self, done: Callable[[], bool], *, within: timedelta, step: timedelta = 5 * MINUTE) -> timedelta:
        """Let time pass until something is so; how long it took, at most a step more than `within`."""
        began = self.now
        while not done() and self.now - began <= within:
            self.run(step)
        return self.now - began
