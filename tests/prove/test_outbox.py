"""The outbox: whatever becomes of the stream and of SNS, as many messages leave as facts were written, under their ids.

The stream is the fast path: it loses records, doubles them and changes their order. The relay is the sure one. Poison
are notices that can never be sent, or not even be read: each blocks itself alone.
"""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest
from fake_messages import FakeMessages
from figures import FULL_SIZE, tell
from simple_world import HOUR, MINUTE, START, Killed, World

from chalicelib.domain.records import Change, Notice
from chalicelib.domain.vocabulary import Channel, NoticeKind
from chalicelib.usecases.announce import announce_written
from chalicelib.usecases.ports import OutsideError, PermanentError, TemporaryError
from chalicelib.usecases.publish import CLAIM
from chalicelib.usecases.relay import send_all_due

SEED = 20270401
FACTS = 10_000 if FULL_SIZE else 1_000
POISON = 20
STEP = 5 * MINUTE
"""How often the relay runs."""

THROTTLED = TemporaryError("sns:Publish failed: Throttled", call="sns:Publish", code="Throttled")
REFUSED = PermanentError("sns:Publish failed: InvalidParameter", call="sns:Publish", code="InvalidParameter")
DAMAGED = PermanentError("the tracker's item cannot be read", call="decode", code="damaged")
LONGEST = HOUR + CLAIM + 2 * STEP
"""How long a notice may wait once the last fault is over: the longest back-off, a claim that died, and the relay."""


class Postman(FakeMessages):
    """Messages that are throttled at times, refuse poison, and let the process die after a message has left."""

    def __init__(self, luck: Random, poison: set[str]) -> None:
        super().__init__()
        self.luck, self.poison = luck, poison
        self.throttles = self.dies = 0.0
        self.deaths = self.refused = self.noted = 0

    def publish(self, notice: Notice, channel: Channel) -> None:
        if notice.notice_id in self.poison:
            raise REFUSED
        if self.luck.random() < self.throttles:
            self.refused += 1
            raise THROTTLED
        super().publish(notice, channel)
        if self.luck.random() < self.dies:
            self.deaths += 1
            raise Killed


def fact(number: int, at) -> Notice:
    kind = NoticeKind.REMINDER if number % 3 else NoticeKind.DRIFT
    return Notice(notice_id=f"n{number:05d}", kind=kind, subject="s", text="t", created_at=at, escalate=number % 5 == 0)


class Unreadable:
    """A tracker some of whose notices are damaged."""

    def __init__(self, tracker, damaged: set[str]) -> None:
        self._tracker, self._damaged = tracker, damaged

    def notice(self, notice_id: str) -> Notice | None:
        if notice_id in self._damaged:
            raise DAMAGED
        return self._tracker.notice(notice_id)

    def __getattr__(self, name):
        return getattr(self._tracker, name)


def live(luck: Random):
    """Write the facts, let stream and relay run under faults, then in peace; gives all that was noted."""
    names = [fact(number, START).notice_id for number in range(FACTS)]
    poison = set(luck.sample(names, POISON))
    refused, damaged = set(sorted(poison)[::2]), set(sorted(poison)[1::2])
    world = World()
    postman = Postman(luck, refused)
    outside = replace(world.outside, messages=postman, tracker=Unreadable(world.tracker, damaged))
    written, sent = {}, {}
    stream: list[str] = []
    number = 0
    while number < FACTS:
        postman.throttles, postman.dies = luck.choice(((0.0, 0.001), (0.2, 0.01), (0.95, 0.0)))
        for _ in range(luck.randrange(1, 60)):
            if number == FACTS:
                break
            notice = fact(number, world.now)
            world.tracker.commit(Change(records=(), notices=(notice,)))
            written[notice.notice_id] = world.now
            stream += [notice.notice_id] * luck.choice((0, 1, 1, 1, 2))
            number += 1
        luck.shuffle(stream)
        taken, stream = stream[: luck.randrange(len(stream) + 1)], stream[luck.randrange(len(stream) + 1) :]
        for name in taken:
            survive(lambda name=name: announce_written(outside, name))
        survive(lambda: send_all_due(outside))
        note(postman, written, sent, world.now)
        world.wait(STEP)
    postman.throttles = postman.dies = 0.0
    peace = world.now
    while world.now < peace + LONGEST:
        survive(lambda: send_all_due(outside))
        note(postman, written, sent, world.now)
        world.wait(STEP)
    return postman, poison, written, sent, peace


def survive(call) -> None:
    try:
        call()
    except (Killed, OutsideError):
        return
    except ExceptionGroup as troubles:
        _, others = troubles.split(OutsideError)
        if others is not None:
            raise others from None


def note(postman, written, sent, now) -> None:
    for name, channel in postman.sent[postman.noted :]:
        sent.setdefault((name, channel), now - written[name])
    postman.noted = len(postman.sent)


@pytest.fixture(scope="module")
def lived():
    return live(Random(SEED))


def test_as_many_messages_leave_as_facts_were_written_and_poison_blocks_itself_alone(lived):
    postman, poison, written, _, _ = lived
    owed = {
        (name, channel) for name in written if name not in poison for channel in fact(int(name[1:]), START).channels
    }
    copies = Counter(postman.sent)
    doubled = sum(count - 1 for count in copies.values())

    tell(
        facts=len(written),
        poison=len(poison),
        messages=len(copies),
        throttled=postman.refused,
        deaths=postman.deaths,
        copies_by_a_death=doubled,
        seed=SEED,
    )
    assert copies.keys() == owed
    assert doubled <= postman.deaths * len(Channel)
    assert postman.deaths > 0
    assert postman.refused > 0


def test_the_longest_delay_is_bounded(lived):
    _, _, written, sent, peace = lived
    after = [max(timedelta(0), written[name] + delay - peace) for (name, _), delay in sent.items()]

    tell(longest_delay=max(sent.values()), longest_after_the_last_fault=max(after), bound=LONGEST, seed=SEED)
    assert max(after) < LONGEST
