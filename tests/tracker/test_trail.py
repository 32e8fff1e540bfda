"""The audit trail is a chain for each subject, read by subject or as one list of the whole fleet, and never forks."""

from base64 import urlsafe_b64encode
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest
from figures import FULL_SIZE, tell
from tracked import NOW, arn, audit, key, project, rotation, save, walk

from chalicelib.adapters.tracker import DynamoTracker
from chalicelib.domain.chain import GENESIS, Head, Trail, faults_of, shape_of
from chalicelib.usecases.ports import Conflict, PermanentError, TemporaryError

# ---- one subject, one chain ----


def whole(trail):
    return list(faults_of(shape_of(trail))) == []


def test_the_trail_of_a_subject_is_in_the_order_of_its_writing_and_holds_nothing_of_others(tracker):
    first, clock_behind = audit("first"), replace(audit("second"), at=NOW - timedelta(days=1))
    save(tracker, audit=(first,))
    save(tracker, audit=(clock_behind, replace(first, subject="p2")))

    assert tracker.trail("p1").entries == (first, clock_behind)
    assert tracker.trail("nobody") == Trail(subject="nobody")


def test_every_entry_follows_the_one_before_it_and_the_head_says_where_the_chain_ends(tracker):
    save(tracker, audit=(audit("first"), replace(audit("other"), subject="p2"), audit("second")))
    save(tracker, audit=(audit("third"),))

    trail = tracker.trail("p1")

    assert [link.previous for link in trail.links] == [GENESIS, trail.links[0].hash, trail.links[1].hash]
    assert trail.head == Head(number=3, hash=trail.links[2].hash)
    assert tracker.trail("p2").head.number == 1
    assert all(whole(tracker.trail(subject)) for subject in ("p1", "p2"))


def test_a_refused_change_leaves_the_chain_as_it_was(tracker):
    save(tracker, project(), audit=(audit(),))
    before = tracker.trail("p1")

    with pytest.raises(Conflict):
        save(tracker, project(), audit=(audit("lost"),))

    assert tracker.trail("p1") == before


def test_each_entry_names_the_request_that_caused_it(open_tracker):
    served = iter(["request 1", "request 2", ""])
    tracker = open_tracker(lambda: next(served))
    for change in ((audit("a"), audit("b")), (audit("c"),), (audit("d"),)):
        save(tracker, audit=change)

    assert [link.request_id for link in tracker.trail("p1").links] == ["request 1", "request 1", "request 2", ""]
    assert whole(tracker.trail("p1"))


def test_writers_at_once_never_fork_a_chain(tracker):
    """Whoever loses gets a Conflict (or is told by DynamoDB to come again), and comes again."""
    rounds = 25 if FULL_SIZE else 5

    def write(writer):
        lost, names = 0, [f"{writer} {number}" for number in range(rounds)]
        while names:
            try:
                save(tracker, audit=(audit(names[0]),))
                names.pop(0)
            except TemporaryError:
                lost += 1
        return lost

    with ThreadPoolExecutor(4) as threads:
        lost = sum(threads.map(write, range(4)))

    trail = tracker.trail("p1")
    tell(tracker=type(tracker).__name__, entries=trail.length, races_lost=lost)
    assert sorted(entry.what for entry in trail.entries) == sorted(f"{w} {n}" for w in range(4) for n in range(rounds))
    assert whole(trail)


class Calls:
    """A client of DynamoDB whose calls are counted, and before one of which something else may happen."""

    def __init__(self, client, before=None):
        self.client, self.before, self.made = client, dict(before or {}), []

    def __getattr__(self, name):
        def call(**asked):
            self.before.pop(name, lambda: None)()
            self.made.append(name)
            return getattr(self.client, name)(**asked)

        return call


def test_whoever_reads_the_same_head_as_another_writer_loses(store):
    rival = DynamoTracker(store.client, store.table)
    late = Calls(store.client, {"transact_write_items": lambda: save(rival, audit=(audit("rival"),))})

    with pytest.raises(Conflict, match="AUDIT#p1"):
        save(DynamoTracker(late, store.table), audit=(audit("late"),))

    assert [entry.what for entry in rival.trail("p1").entries] == ["rival"]
    assert whole(rival.trail("p1"))


def test_heads_are_read_in_one_call_and_only_for_changes_that_leave_a_trail(store):
    calls = Calls(store.client)
    tracker = DynamoTracker(calls, store.table)
    save(tracker, project())
    save(tracker, rotation(), audit=tuple(replace(audit(), subject=f"p{n}") for n in range(5)))

    assert calls.made == ["transact_write_items", "batch_get_item", "transact_write_items"]


def test_a_writer_remembers_where_its_chains_end_and_is_put_right_when_others_wrote_since(store):
    calls = Calls(store.client)
    tracker, rival = DynamoTracker(calls, store.table), DynamoTracker(store.client, store.table)
    for name in ("first", "second"):
        save(tracker, audit=(audit(name),))
    save(rival, audit=(audit("rival"),))
    save(tracker, audit=(audit("third"),))

    assert calls.made == ["batch_get_item", *["transact_write_items"] * 3, "batch_get_item", "transact_write_items"]
    assert [entry.what for entry in rival.trail("p1").entries] == ["first", "second", "rival", "third"]
    assert whole(rival.trail("p1"))


def test_the_head_of_a_projects_chain_comes_along_with_its_rotation(store):
    save(DynamoTracker(store.client, store.table), rotation(), audit=(audit("first"),))
    calls = Calls(store.client)
    tracker = DynamoTracker(calls, store.table)

    save(tracker, tracker.rotation("p1", "r1"), audit=(audit("second"),))

    assert calls.made == ["batch_get_item", "transact_write_items"]
    assert (tracker.trail("p1").length, whole(tracker.trail("p1"))) == (2, True)


def test_a_head_that_was_set_back_is_not_followed_from_memory(store):
    tracker, rival = DynamoTracker(store.client, store.table), DynamoTracker(store.client, store.table)
    save(tracker, audit=(audit("first"),))
    store.empty()
    save(rival, audit=(audit("restored"),))
    save(tracker, audit=(audit("second"),))

    assert [entry.what for entry in tracker.trail("p1").entries] == ["restored", "second"]
    assert whole(tracker.trail("p1"))


def test_a_trail_that_is_read_while_it_grows_is_read_again(store):
    tracker = DynamoTracker(store.client, store.table)
    save(tracker, audit=(audit("first"),))
    key = {"pk": {"S": "AUDIT#p1"}, "sk": {"S": "HEAD"}}
    head = store.client.get_item(TableName=store.table, Key=key)["Item"]
    store.client.delete_item(TableName=store.table, Key=key)
    put_back = {"TableName": store.table, "Item": head}

    class HalfVisible(Calls):
        def __getattr__(self, name):
            call = super().__getattr__(name)

            def then_whole(**asked):
                answer = call(**asked)
                store.client.put_item(**put_back)
                return answer

            return then_whole

    calls = HalfVisible(store.client)

    assert whole(DynamoTracker(calls, store.table).trail("p1"))
    assert calls.made == ["query", "query"]


def test_a_trail_that_stays_torn_is_given_as_it_is(store):
    tracker = DynamoTracker(store.client, store.table)
    save(tracker, audit=(audit("first"), audit("second")))
    store.client.delete_item(TableName=store.table, Key={"pk": {"S": "AUDIT#p1"}, "sk": {"S": "ENTRY#0000000002"}})

    assert [(f.number, f.what) for f in faults_of(shape_of(tracker.trail("p1")))] == [(2, "is missing")]


def test_entries_from_before_there_were_chains_are_read_and_stand_before_the_chain(stored, store):
    old = audit("long ago")
    name = f"2026-01-01T00:00:00.000000Z#0#{'a' * 16}"
    item = {"pk": {"S": "AUDIT#p1"}, "sk": {"S": name}, "body": {"S": msgspec.json.encode(old).decode()}}
    store.client.put_item(TableName=store.table, Item=item)
    save(stored, audit=(audit("new"),))

    trail = stored.trail("p1")

    assert (trail.unchained, trail.length) == ((old,), 1)
    assert [entry.what for entry in trail.entries] == ["long ago", "new"]
    assert whole(trail)


# ---- what happened in the whole fleet ----


def test_activity_is_everybodys_trail_and_the_newest_entry_comes_first(tracker):
    save(tracker, audit=(audit(what="first"), audit(what="last", at=NOW + timedelta(hours=2))))
    save(tracker, audit=(audit(what="between", subject="p2", at=NOW + timedelta(hours=1)),))

    found = walk(tracker.activity, 2)

    assert [(link.entry.what, link.entry.subject, link.number) for link in found] == [
        ("last", "p1", 2),
        ("between", "p2", 1),
        ("first", "p1", 1),
    ]


def test_before_anything_happened_activity_is_one_empty_page(tracker):
    assert (tracker.activity(None, 10).items, tracker.activity(None, 10).next) == ((), None)


def test_a_cursor_that_is_no_cursor_is_refused(tracker):
    for cursor in ("", "nonsense", "ü", urlsafe_b64encode(b"[1]").decode(), urlsafe_b64encode(b'{"pk":1}').decode()):
        with pytest.raises(PermanentError) as refused:
            tracker.projects(cursor, 10)

        assert refused.value.code == "bad_cursor"


def test_a_cursor_of_another_list_is_refused(tracker):
    save(tracker, project("p1"), project("p2"), rotation("r1"), rotation("r2"), key(arn(1)), key(arn(2)))
    save(tracker, audit=(audit(), audit()))
    of_activity = tracker.activity(None, 1).next
    of_projects = tracker.projects(None, 1).next
    of_rotations = tracker.rotations("p1", None, 1).next

    for read in (
        lambda: tracker.keys(of_projects, 1),
        lambda: tracker.projects(of_rotations, 1),
        lambda: tracker.rotations("p1", of_projects, 1),
        lambda: tracker.rotations("p2", of_rotations, 1),
        lambda: tracker.rotations("p1", of_activity, 1),
        lambda: tracker.activity(of_rotations, 1),
    ):
        with pytest.raises(PermanentError) as refused:
            read()

        assert refused.value.code == "bad_cursor"
