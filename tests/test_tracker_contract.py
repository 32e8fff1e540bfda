"""What every tracker promises, held against the fake and against DynamoDB's adapter alike.

The adapter speaks to moto, and in `make prove` to DynamoDB Local where that can be fetched.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from botocore.stub import Stubber
from dynamodb_local import client_at, dynamodb_local, shipped_table, why_not
from fake_tracker import FakeTracker
from figures import FULL_SIZE, tell

from chalicelib.adapters.tracker import DynamoTracker, notice_from_stream
from chalicelib.domain.arn import KeyArn
from chalicelib.domain.chain import GENESIS, Head, Trail, faults_of, shape_of
from chalicelib.domain.records import (
    AuditEntry,
    Change,
    Check,
    ClusterTally,
    Deletion,
    Desk,
    Fleet,
    Key,
    Notice,
    Policy,
    Project,
    Proof,
    Reason,
    Rotation,
    Told,
    Uncovered,
    Watch,
)
from chalicelib.domain.vocabulary import DeletionState, KeyState, NoticeKind, RotationState, Strategy
from chalicelib.usecases.ports import Conflict, Due, PermanentError, TemporaryError

NOW = datetime(2027, 3, 1, 9, 30, tzinfo=UTC)
ARN = KeyArn(account="123456789012", region="eu-west-1", key_id="11111111-2222-4333-8444-555555555555")
REPLICATED = "mrk-" + "ab" * 16


@dataclass(frozen=True, kw_only=True)
class Store:
    """A table of DynamoDB's, by whomever, with the tracker in front of it and the stream behind it."""

    client: Any
    table: str
    streams: Any
    stream: str

    @property
    def tracker(self):
        return DynamoTracker(self.client, self.table)

    def items(self):
        pages = self.client.get_paginator("scan").paginate(TableName=self.table)
        return {(i["pk"]["S"], i["sk"]["S"]): i for page in pages for i in page["Items"]}

    def listen(self):
        """Everything that the stream tells from now on, as often as it is asked."""
        shards = self.streams.describe_stream(StreamArn=self.stream)["StreamDescription"]["Shards"]
        place = {"StreamArn": self.stream, "ShardIteratorType": "LATEST"}
        starts = [self.streams.get_shard_iterator(ShardId=s["ShardId"], **place)["ShardIterator"] for s in shards]
        return lambda: [r for start in starts for r in self.streams.get_records(ShardIterator=start)["Records"]]

    def empty(self):
        for pk, sk in self.items():
            self.client.delete_item(TableName=self.table, Key={"pk": {"S": pk}, "sk": {"S": sk}})


@pytest.fixture
def on_moto(aws, dynamodb, table, stack):
    arn = stack["TrackerTable"]["stream_arn"]
    store = Store(client=dynamodb, table=table, streams=aws.client("dynamodbstreams"), stream=arn)
    yield store
    store.empty()


WHY_NOT = why_not()
ON_DYNAMODB_LOCAL = pytest.param("on_dynamodb_local", marks=[pytest.mark.skip(WHY_NOT)] if WHY_NOT else [])


@pytest.fixture(scope="module")
def local_store():
    with dynamodb_local() as address:
        client = client_at(address)
        made = shipped_table(client)
        streams = client_at(address, "dynamodbstreams")
        yield Store(client=client, table=made["name"], streams=streams, stream=made["stream_arn"])


@pytest.fixture
def on_dynamodb_local(local_store):
    yield local_store
    local_store.empty()


@pytest.fixture(params=["on_moto", ON_DYNAMODB_LOCAL])
def store(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def stored(store):
    return store.tracker


@pytest.fixture(params=["fake", "on_moto", ON_DYNAMODB_LOCAL])
def tracker(request):
    return FakeTracker() if request.param == "fake" else request.getfixturevalue(request.param).tracker


def project(name="p1", **more):
    return Project(project_id=name, name=f"Project {name}", organization="o1", seen_at=NOW, **more)


def rotation(name="r1", project_id="p1", **more):
    facts = {"state": RotationState.REQUESTED, "strategy": Strategy.NEW_CMK, "requested_by": "arn:ann"} | more
    facts = {"requested_at": NOW} | facts
    return Rotation(rotation_id=name, project_id=project_id, fingerprint="f", old_key=ARN, **facts)


def key(arn=ARN, projects=("p1",), **more):
    return Key(arn=arn, state=KeyState.RETIRING, projects=projects, first_seen_at=NOW, **more)


def deletion(name="d1", **more):
    facts = {"state": DeletionState.REQUESTED, "digest": "abc", "requested_by": "arn:ann"} | more
    return Deletion(deletion_id=name, arn=ARN, requested_at=NOW, expires_at=NOW + timedelta(days=7), **facts)


def notice(name="n1", **more):
    facts = {"kind": NoticeKind.REMINDER, "subject": "Rotate the key", "text": "It is due."} | more
    return Notice(notice_id=name, created_at=NOW, **facts)


def audit(what="rotation requested", **more):
    return AuditEntry(**{"at": NOW, "who": "arn:ann", "what": what, "subject": "p1"} | more)


def save(tracker, *records, notices=(), audit=()):
    tracker.commit(Change(records=records, notices=notices, audit=audit))


def arn(number, region="eu-west-1"):
    return KeyArn(account="123456789012", region=region, key_id=f"{number:08d}-2222-4333-8444-555555555555")


def walk(read, limit):
    items, cursor = [], None
    while True:
        page = read(cursor, limit)
        items += page.items
        if page.next is None:
            return items
        cursor = page.next


# ---- what was saved is read back ----


def test_a_project_comes_back_as_it_was_saved_with_its_next_version(tracker):
    rich = project(
        policy=Policy(ladder=(-30, 0), recipients=("a@example.org",), kms_role_arn="arn:aws:iam::1:role/keyturn-x"),
        not_covered=(Uncovered(name="c1", reason="encryption is off"),),
        key=ARN,
        key_since=NOW + timedelta(microseconds=7),
        valid=True,
        drift=("key",),
    )

    save(tracker, rich)

    assert tracker.project("p1") == replace(rich, version=1)


def test_every_kind_of_record_comes_back_as_it_was_saved(tracker):
    step = rotation(checks=(Check(name="tier", passed=None, text="not verified"),), new_key=ARN)
    kept = key(
        reasons=(Reason(kind="snapshots", text="3 snapshots", cluster="c1", until=NOW),),
        clusters=(ClusterTally(project_id="p1", cluster="c1", cluster_id="x", snapshots=3, last_expiry=NOW),),
    )
    proof = Proof(digest="abc", at=NOW, arn=ARN, document='{"a": "ü"}')
    told = notice(detail={"link": "x"}, recipients=("a@example.org",), rung=0)

    save(tracker, step, kept, proof, deletion(), notices=(told,))

    assert tracker.rotation("p1", "r1") == replace(step, version=1)
    assert tracker.key(ARN) == replace(kept, version=1)
    assert tracker.proof(ARN, "abc") == replace(proof, version=1)
    assert tracker.deletion("d1") == replace(deletion(), version=1)
    assert tracker.notice("n1") == replace(told, version=1)


def test_what_was_never_saved_is_none(tracker):
    save(tracker, project(), key())

    assert tracker.project("p2") is None
    assert tracker.rotation("p1", "r1") is None
    assert tracker.key(arn(7)) is None
    assert tracker.key(replace(ARN, region="us-east-1")) is None
    assert tracker.deletion("d1") is None
    assert tracker.proof(ARN, "abc") is None
    assert tracker.notice("n1") is None


# ---- all or nothing, and one writer ----


def test_a_record_read_before_another_wrote_is_refused(tracker):
    save(tracker, project())
    read = tracker.project("p1")
    save(tracker, replace(read, name="first"))

    with pytest.raises(Conflict):
        save(tracker, replace(read, name="second"))

    assert tracker.project("p1").name == "first"
    assert tracker.project("p1").version == 2


def test_a_record_cannot_be_made_twice(tracker):
    save(tracker, project())

    with pytest.raises(Conflict):
        save(tracker, project(open_rotation="r1"))


def test_a_record_that_is_gone_cannot_be_changed(tracker):
    with pytest.raises(Conflict):
        save(tracker, project(version=3))


def test_of_a_change_with_one_stale_record_nothing_is_saved(tracker):
    save(tracker, project())

    with pytest.raises(Conflict):
        save(tracker, rotation(), key(), project(name="p1"), notices=(notice(),), audit=(audit(),))

    assert tracker.rotation("p1", "r1") is None
    assert tracker.key(ARN) is None
    assert tracker.keys_of("p1") == ()
    assert tracker.notice("n1") is None


def test_a_notice_that_exists_refuses_the_whole_change(tracker):
    save(tracker, project(), notices=(notice(),))
    read = tracker.project("p1")

    with pytest.raises(Conflict):
        save(tracker, replace(read, name="later"), notices=(notice(text="again"),))

    assert tracker.project("p1").name == "Project p1"
    assert tracker.notice("n1").text == "It is due."


def test_the_same_thing_done_twice_at_the_same_moment_stands_twice_in_the_trail(tracker):
    save(tracker, project(), audit=(audit(), audit()))
    save(tracker, rotation(), audit=(audit(),))

    assert tracker.trail("p1").entries == (audit(),) * 3
    assert [link.number for link in tracker.trail("p1").links] == [1, 2, 3]


def test_a_trail_that_has_grown_since_it_was_read_refuses_the_change(tracker):
    once = Change(records=(), audit=(audit(),), trails_read=(("p1", tracker.trail("p1").length),))
    tracker.commit(once)

    with pytest.raises(Conflict):
        tracker.commit(once)

    assert tracker.trail("p1").length == 1


def test_eight_writers_at_once_have_one_winner(tracker):
    save(tracker, project())
    read = tracker.project("p1")

    def write(number):
        try:
            save(tracker, replace(read, name=f"writer {number}"), notices=(notice(name=f"n{number}"),))
        except Conflict:
            return None
        return number

    with ThreadPoolExecutor(8) as threads:
        winners = [number for number in threads.map(write, range(8)) if number is not None]

    assert len(winners) == 1
    assert tracker.project("p1").name == f"writer {winners[0]}"
    assert [n for n in range(8) if tracker.notice(f"n{n}") is not None] == winners


def test_eight_writers_of_the_very_same_content_have_one_winner_too(tracker):
    save(tracker, rotation())
    claimed = replace(tracker.rotation("p1", "r1"), lease_until=NOW + timedelta(minutes=3))

    def write(_):
        try:
            save(tracker, claimed)
        except Conflict:
            return 0
        return 1

    with ThreadPoolExecutor(8) as threads:
        winners = sum(threads.map(write, range(8)))

    assert winners == 1


def test_a_change_larger_than_one_transaction_is_refused_in_plain_words(tracker):
    crowd = tuple(f"p{n:03d}" for n in range(100))

    with pytest.raises(PermanentError, match="too large") as refused:
        save(tracker, key(projects=crowd))

    assert refused.value.code == "too_large"
    assert tracker.key(ARN) is None


def test_a_change_as_large_as_one_transaction_is_saved(tracker):
    crowd = tuple(f"p{n:03d}" for n in range(99))

    save(tracker, key(projects=crowd))

    assert len(tracker.keys_of("p098")) == 1


def test_a_change_that_writes_one_record_twice_is_refused(tracker):
    with pytest.raises(PermanentError):
        save(tracker, project(), project(open_rotation="r1"))


def test_a_change_of_nothing_is_refused(tracker):
    with pytest.raises(PermanentError):
        save(tracker)


# ---- notices ----


def test_a_notice_is_updated_by_the_one_who_read_it_last(tracker):
    save(tracker, project(), notices=(notice(),))
    read = tracker.notice("n1")

    claimed = tracker.update_notice(replace(read, claimed_until=NOW + timedelta(minutes=5), attempts=1))

    assert claimed == replace(read, claimed_until=NOW + timedelta(minutes=5), attempts=1, version=2)
    assert tracker.notice("n1") == claimed
    with pytest.raises(Conflict):
        tracker.update_notice(replace(read, attempts=9))


# ---- keys ----


def test_keys_are_found_by_project_by_bare_id_and_by_page(tracker):
    here, there = (KeyArn(account="123456789012", region=r, key_id=REPLICATED) for r in ("eu-west-1", "us-east-1"))
    save(tracker, key(here, ("p1", "p2")), key(there, ("p2",)), key(arn(1), ("p1",)))
    save(tracker, Proof(digest="abc", at=NOW, arn=here, document="{}"))

    assert {k.arn for k in tracker.keys_named(REPLICATED)} == {here, there}
    assert {k.arn for k in tracker.keys_of("p1")} == {here, arn(1)}
    assert {k.arn for k in tracker.keys_of("p2")} == {here, there}
    assert tracker.keys_of("p3") == ()
    assert {k.arn for k in walk(tracker.keys, 2)} == {here, there, arn(1)}


def test_a_project_that_came_to_a_key_later_finds_it_and_the_first_one_still_does(tracker):
    save(tracker, key())
    save(tracker, replace(tracker.key(ARN), projects=("p1", "p2"), state=KeyState.CURRENT))

    found = tracker.keys_of("p1") + tracker.keys_of("p2")

    assert [k.state for k in found] == [KeyState.CURRENT, KeyState.CURRENT]


# ---- pages ----


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 6, 100])
def test_pages_give_every_project_once_and_end(tracker, limit):
    save(tracker, *[project(f"p{n}") for n in range(5)], rotation(), deletion(), key())

    assert [p.project_id for p in walk(tracker.projects, limit)] == ["p0", "p1", "p2", "p3", "p4"]


def test_the_last_page_says_that_it_is_the_last_even_when_it_is_full(tracker):
    save(tracker, project("p1"), project("p2"))

    page = tracker.projects(None, 2)

    assert (len(page.items), page.next) == (2, None)


def test_an_empty_list_is_one_empty_page(tracker):
    page = tracker.projects(None, 10)

    assert (page.items, page.next) == ((), None)


def test_rotations_are_a_projects_own_and_the_latest_request_comes_first(tracker):
    asked = {"r2": 1, "r0": 2, "r1": 3}
    mine = [rotation(name, requested_at=NOW + timedelta(minutes=minute)) for name, minute in asked.items()]
    save(tracker, key(), project(), *mine, rotation("r9", project_id="p2"))
    save(tracker, replace(tracker.rotation("p1", "r2"), state=RotationState.FAILED))

    found = walk(lambda cursor, limit: tracker.rotations("p1", cursor, limit), 2)

    assert [r.rotation_id for r in found] == ["r1", "r0", "r2"]
    assert found[2].state is RotationState.FAILED


def test_rotations_of_one_moment_are_all_shown_once(tracker):
    save(tracker, *[rotation(f"r{n}") for n in range(5)])

    found = walk(lambda cursor, limit: tracker.rotations("p1", cursor, limit), 2)

    assert sorted(r.rotation_id for r in found) == [f"r{n}" for n in range(5)]


def test_a_rotation_that_comes_while_pages_are_read_moves_none_of_them(tracker):
    save(tracker, *[rotation(f"r{n}", requested_at=NOW + timedelta(minutes=n)) for n in range(4)])
    first = tracker.rotations("p1", None, 2)
    save(tracker, rotation("r4", requested_at=NOW + timedelta(minutes=4)))

    rest = tracker.rotations("p1", first.next, 9)

    assert [r.rotation_id for r in (*first.items, *rest.items)] == ["r3", "r2", "r1", "r0"]


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


# ---- the fleet and its desks ----


def test_before_anybody_changed_it_the_fleet_has_a_policy_already(tracker):
    assert tracker.fleet() == Fleet()


def test_the_fleets_policy_and_a_desk_come_back_as_they_were_saved(tracker):
    fleet = Fleet(policy=Policy(ladder=(-3, 0), digest=True))
    desk = Desk(group="g1", told_at=NOW, unmarked=(Told(project_id="p1", cycle_start=NOW, rung=-3),))
    save(tracker, fleet, desk)

    assert (tracker.fleet(), tracker.desk("g1")) == (replace(fleet, version=1), replace(desk, version=1))
    assert tracker.desk("g2") is None


def test_of_two_who_change_the_fleets_policy_one_is_refused(tracker):
    save(tracker, Fleet())

    with pytest.raises(Conflict):
        save(tracker, Fleet())


# ---- what is due ----


def test_what_is_due_is_named_longest_overdue_first(tracker):
    times = {
        "p1": NOW - timedelta(hours=1),
        "p2": NOW - timedelta(days=40),
        "p3": NOW,
        "p4": NOW + timedelta(seconds=1),
    }
    save(tracker, *[project(name, next_reminder_at=at) for name, at in times.items()], project("p5"))

    assert list(tracker.due(Due.REMINDER, NOW)) == [("p2",), ("p1",), ("p3",)]


def test_every_kind_of_work_is_found_under_its_own_name(tracker):
    save(
        tracker,
        project(next_reminder_at=NOW),
        rotation(next_look_at=NOW),
        key(next_sweep_at=NOW),
        deletion(next_look_at=NOW),
        project("p2", next_reminder_at=NOW, in_digest=True),
        Desk(group="g1", told_at=NOW, unmarked=(Told(project_id="p2", cycle_start=NOW, rung=-7),)),
        notices=(notice(),),
    )

    assert {kind: list(tracker.due(kind, NOW)) for kind in Due} == {
        Due.REMINDER: [("p1",)],
        Due.DIGEST: [("p2",)],
        Due.UNMARKED: [("g1",)],
        Due.ROTATION: [("p1", "r1")],
        Due.SWEEP: [(str(ARN),)],
        Due.DELETION: [("d1",)],
        Due.NOTICE: [("n1",)],
    }


def test_what_has_ended_or_was_sent_is_due_no_more(tracker):
    save(tracker, rotation(next_look_at=NOW), project(next_reminder_at=NOW), notices=(notice(),))
    save(tracker, replace(tracker.rotation("p1", "r1"), state=RotationState.DEPLOYED))
    save(tracker, replace(tracker.project("p1"), next_reminder_at=None))
    tracker.update_notice(replace(tracker.notice("n1"), sent_at=NOW))

    assert [list(tracker.due(kind, NOW)) for kind in (Due.ROTATION, Due.REMINDER, Due.NOTICE)] == [[], [], []]


def test_a_claimed_notice_is_due_again_when_the_claim_ends(tracker):
    save(tracker, project(), notices=(notice(),))
    tracker.update_notice(replace(tracker.notice("n1"), claimed_until=NOW + timedelta(minutes=5)))

    assert list(tracker.due(Due.NOTICE, NOW)) == []
    assert list(tracker.due(Due.NOTICE, NOW + timedelta(minutes=5))) == [("n1",)]


def test_times_in_other_zones_fall_due_at_the_same_moment(tracker):
    save(tracker, project(next_reminder_at=datetime.fromisoformat("2027-03-01T11:30:00+02:00")))

    assert list(tracker.due(Due.REMINDER, NOW)) == [("p1",)]
    assert list(tracker.due(Due.REMINDER, NOW - timedelta(microseconds=1))) == []


# ---- DynamoDB alone: how it lies in the table, and what its errors become ----


def test_the_trail_lies_beside_the_records_in_order(stored, store):
    save(stored, project(), audit=(audit(why="because"), audit(what="another")))

    rows = sorted(sk for pk, sk in store.items() if pk == "AUDIT#p1")

    assert rows == ["ENTRY#0000000001", "ENTRY#0000000002", "HEAD"]


def test_only_projects_and_keys_are_listed_and_only_due_records_are_in_the_time_index(stored, store):
    save(stored, project(), rotation(next_look_at=NOW), key(), deletion(), notices=(notice(),), audit=(audit(),))

    lying = store.items().items()

    assert {i["kind"]["S"] for _, i in lying if "kind" in i} == {"PROJECT", "KEY"}
    assert {i["due_kind"]["S"]: i["due_at"]["S"] for _, i in lying if "due_kind" in i} == {
        "rotation": "2027-03-01T09:30:00.000000Z",
        "notice": "2027-03-01T09:30:00.000000Z",
    }


def test_fields_of_a_newer_version_are_passed_over_and_missing_ones_take_their_default(stored, store):
    save(stored, project(drift=("key",)))
    item = store.items()["PROJECT#p1", "PROJECT"]
    body = msgspec.json.decode(item["body"]["S"])
    del body["drift"]
    store.client.put_item(
        TableName=store.table, Item=item | {"body": {"S": msgspec.json.encode(body | {"new": 1}).decode()}}
    )

    assert stored.project("p1").drift == ()


def test_a_row_that_was_taken_out_by_hand_is_missed_by_no_history(stored, store):
    save(stored, rotation("r1"), rotation("r2"), audit=(audit(), audit(what="second")))
    for pk, sk in (("PROJECT#p1", "ROTATION#r1"), ("AUDIT#p1", "ENTRY#0000000002")):
        store.client.delete_item(TableName=store.table, Key={"pk": {"S": pk}, "sk": {"S": sk}})

    assert [one.rotation_id for one in stored.rotations("p1", None, 9).items] == ["r2"]
    assert [link.number for link in stored.activity(None, 9).items] == [1]


def test_a_damaged_record_is_an_error_and_not_an_absence(stored, store):
    save(stored, project())
    item = store.items()["PROJECT#p1", "PROJECT"]
    store.client.put_item(TableName=store.table, Item=item | {"body": {"S": '{"project_id": 7}'}})

    with pytest.raises(PermanentError, match="PROJECT#p1"):
        stored.project("p1")
    with pytest.raises(PermanentError, match="PROJECT#p1"):
        stored.projects(None, 10)


def test_a_link_whose_key_is_missing_is_an_error_and_not_an_absence(stored, store):
    save(stored, key())
    place = {"pk": {"S": f"KEY#{ARN.key_id}"}, "sk": {"S": f"KEY#{ARN.account}#{ARN.region}"}}
    store.client.delete_item(TableName=store.table, Key=place)

    with pytest.raises(PermanentError, match=ARN.key_id):
        stored.keys_of("p1")


def test_a_cursor_tells_nothing_but_names(stored):
    save(stored, project("p1"), project("p2"))
    cursor = stored.projects(None, 1).next

    shown = msgspec.json.decode(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))

    assert shown == {"pk": "PROJECT#p1", "sk": "PROJECT", "kind": "PROJECT"}


def test_the_stream_tells_each_record_once_in_order_and_a_notice_is_read_from_it(stored, store):
    heard = store.listen()
    save(stored, project(), rotation(), key(), notices=(notice(),), audit=(audit(),))
    sent = stored.update_notice(replace(stored.notice("n1"), sent_at=NOW))

    events = [(event["eventName"], event["dynamodb"]["NewImage"]) for event in heard()]

    assert sorted(name for name, _ in events) == ["INSERT"] * 7 + ["MODIFY"]
    notices = [read for _, image in events if (read := notice_from_stream(image)) is not None]
    assert notices == [replace(notice(), version=1), sent]


def test_a_change_that_was_refused_leaves_nothing_in_the_stream(stored, store):
    save(stored, project())
    heard = store.listen()

    with pytest.raises(Conflict):
        save(stored, rotation(), project(), notices=(notice(),))

    assert heard() == []


def test_a_call_whose_answer_was_lost_is_repeated_by_the_client_and_still_writes_once(stored, store):
    sent = []

    def lose_the_first_answer(request_dict, **_):
        sent.append(request_dict)
        return 0 if len(sent) == 1 else None  # a number has botocore send the very same request once more

    event = "needs-retry.dynamodb.TransactWriteItems"
    store.client.meta.events.register_first(event, lose_the_first_answer)

    save(stored, project(), notices=(notice(),), audit=(audit(),))

    store.client.meta.events.unregister(event, lose_the_first_answer)
    assert [len(sent), sent[0]["body"]] == [2, sent[1]["body"]]
    assert stored.project("p1").version == 1


def test_a_token_that_stood_for_another_change_is_refused(store):
    def write(name):
        put = {"TableName": store.table, "Item": {"pk": {"S": name}, "sk": {"S": name}}}
        store.client.transact_write_items(TransactItems=[{"Put": put}], ClientRequestToken="one token")

    write("first")
    write("first")

    with pytest.raises(store.client.exceptions.IdempotentParameterMismatchException):
        write("second")


def test_the_time_index_and_the_listing_are_read_across_pages_of_a_megabyte(stored):
    weight = "x" * 300_000
    heavy = [project(f"p{n}", drift=(weight,), next_reminder_at=NOW + timedelta(seconds=n)) for n in range(8)]
    for one in heavy:
        save(stored, one)

    listed = walk(stored.projects, 100)

    assert [p.project_id for p in listed] == [f"p{n}" for n in range(8)]
    assert list(stored.due(Due.REMINDER, NOW + timedelta(hours=1))) == [(f"p{n}",) for n in range(8)]


def test_keys_of_a_name_are_read_across_pages_of_a_megabyte(stored):
    regions = ["eu-west-1", "eu-west-2", "eu-west-3", "us-east-1", "us-east-2"]
    weight = (Reason(kind="snapshots", text="x" * 300_000),)
    for region in regions:
        save(stored, key(replace(ARN, region=region), reasons=weight))

    assert [k.arn.region for k in stored.keys_named(ARN.key_id)] == regions
    assert [k.arn.region for k in stored.keys_of("p1")] == regions


def test_a_record_larger_than_an_item_may_be_is_refused_for_good_and_nothing_is_saved(stored):
    with pytest.raises(PermanentError):
        save(stored, rotation(), project(drift=("x" * 410_000,)))

    assert stored.rotation("p1", "r1") is None


def test_in_every_round_of_eight_claims_of_one_rotation_there_is_one_winner(store, request):
    rounds = 200 if FULL_SIZE else 10
    stored = store.tracker

    def claim(read):
        try:
            save(stored, replace(read, lease_until=NOW + timedelta(minutes=3)), audit=(audit(what=f"{uuid4()}"),))
        except TemporaryError:  # a Conflict, or one that DynamoDB would have us repeat: neither has won
            return 0
        return 1

    winners = []
    with ThreadPoolExecutor(8) as threads:
        for number in range(rounds):
            save(stored, rotation(f"r{number}"))
            read = stored.rotation("p1", f"r{number}")
            winners.append(sum(threads.map(claim, [read] * 8)))

    tell(table=request.node.callspec.id, rounds=rounds, claims=8 * rounds, winners=sum(winners))
    assert winners == [1] * rounds


def test_eight_writers_of_different_records_all_win(stored):
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda n: save(stored, project(f"p{n}"), rotation(f"r{n}", f"p{n}")), range(8)))

    assert len(walk(stored.projects, 3)) == 8


def test_eight_threads_that_each_add_to_one_record_until_it_is_saved_lose_nothing(stored):
    save(stored, project())

    def add(number):
        while True:
            read = stored.project("p1")
            try:
                save(stored, replace(read, drift=(*read.drift, f"{number}")))
            except (Conflict, TemporaryError):
                continue
            return

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(add, range(8)))

    assert sorted(stored.project("p1").drift) == [f"{n}" for n in range(8)]
    assert stored.project("p1").version == 9


def stubbed(aws):
    client = aws.client("dynamodb")
    return client, Stubber(client)


def found(name):
    place = {"pk": {"S": f"PROJECT#{name}"}, "sk": {"S": "PROJECT"}, "kind": {"S": "PROJECT"}}
    return place | {"body": {"S": msgspec.json.encode(project(name)).decode()}}


def ends_at(name):
    return {"LastEvaluatedKey": {part: found(name)[part] for part in ("pk", "sk", "kind")}}


# moto names no place to go on from at the very end of a list and has no pages of 1 MB; DynamoDB does and has.
@pytest.mark.parametrize(
    ("answer", "shown", "goes_on"),
    [
        ({"Items": [found("p1"), found("p2"), found("p3")], **ends_at("p3")}, ["p1", "p2"], True),
        ({"Items": [found("p1"), found("p2")]}, ["p1", "p2"], False),
        ({"Items": [found("p1")], **ends_at("p1")}, ["p1"], True),
        ({"Items": [], **ends_at("p0")}, [], True),
    ],
)
def test_a_page_goes_on_only_where_there_is_or_may_be_more(aws, answer, shown, goes_on):
    client, stubber = stubbed(aws)
    asked = {
        "TableName": "t",
        "IndexName": "listing",
        "KeyConditionExpression": "kind = :kind",
        "ExpressionAttributeValues": {":kind": {"S": "PROJECT"}},
        "Limit": 3,
    }
    stubber.add_response("query", answer, asked)

    with stubber:
        page = DynamoTracker(client, "t").projects(None, 2)

    assert ([p.project_id for p in page.items], page.next is not None) == (shown, goes_on)


def test_what_is_due_is_read_to_its_last_page(aws):
    client, stubber = stubbed(aws)
    stubber.add_response("query", {"Items": [found("p1")], **ends_at("p1")})
    stubber.add_response("query", {"Items": [], **ends_at("p1")})
    stubber.add_response("query", {"Items": [found("p2")]})

    with stubber:
        assert list(DynamoTracker(client, "t").due(Due.REMINDER, NOW)) == [("p1",), ("p2",)]


REFUSALS = [
    ("get_item", "ThrottlingException", 400, TemporaryError),
    ("get_item", "ProvisionedThroughputExceededException", 400, TemporaryError),
    ("get_item", "InternalServerError", 500, TemporaryError),
    ("get_item", "SomethingNew", 503, TemporaryError),
    ("get_item", "ExpiredTokenException", 400, TemporaryError),
    ("get_item", "AccessDeniedException", 400, PermanentError),
    ("get_item", "ResourceNotFoundException", 400, PermanentError),
    ("transact_write_items", "TransactionInProgressException", 400, TemporaryError),
    ("transact_write_items", "ValidationException", 400, PermanentError),
]


@pytest.mark.parametrize(("operation", "code", "status", "expected"), REFUSALS)
def test_an_error_of_dynamodb_becomes_one_of_ours(aws, operation, code, status, expected):
    client, stubber = stubbed(aws)
    with stubber:
        stubber.add_client_error(operation, code, "said so", http_status_code=status)
        tracker = DynamoTracker(client, "t")

        with pytest.raises(expected) as seen:
            tracker.project("p1") if operation == "get_item" else save(tracker, project())

    assert (type(seen.value), seen.value.code, seen.value.call) == (expected, code, operation)


@pytest.mark.parametrize(
    ("reasons", "expected"),
    [
        (["None", "ConditionalCheckFailed"], Conflict),
        (["TransactionConflict", "None"], Conflict),
        (["ThrottlingError", "None"], TemporaryError),
        (["ProvisionedThroughputExceeded", "None"], TemporaryError),
        (["ValidationError", "None"], PermanentError),
    ],
)
def test_a_cancelled_transaction_is_judged_by_its_reasons(aws, reasons, expected):
    client, stubber = stubbed(aws)
    with stubber:
        stubber.add_client_error(
            "transact_write_items",
            "TransactionCanceledException",
            modeled_fields={"CancellationReasons": [{"Code": reason} for reason in reasons]},
        )
        tracker = DynamoTracker(client, "t")

        with pytest.raises(expected) as seen:
            save(tracker, project(), rotation())

    assert type(seen.value) is expected


def test_an_address_where_nobody_answers_is_a_temporary_error(aws):
    from botocore.config import Config
    from botocore.session import get_session

    client = get_session().create_client(
        "dynamodb",
        region_name="us-east-1",
        endpoint_url="http://127.0.0.1:9",
        aws_access_key_id="a",
        aws_secret_access_key="b",
        config=Config(retries={"total_max_attempts": 1}),
    )

    with pytest.raises(TemporaryError, match="no answer"):
        DynamoTracker(client, "t").project("p1")


# ---- the chains of the audit trail ----


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


@pytest.mark.parametrize("tracked", ["fake", "on_moto", ON_DYNAMODB_LOCAL])
def test_each_entry_names_the_request_that_caused_it(tracked, request):
    served = iter(["request 1", "request 2", ""])
    if tracked == "fake":
        tracker = FakeTracker(lambda: next(served))
    else:
        store = request.getfixturevalue(tracked)
        tracker = DynamoTracker(store.client, store.table, lambda: next(served))
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


def test_what_was_found_out_about_keyturn_itself_is_one_record_with_a_version(tracker):
    before = tracker.watch()
    tracker.commit(Change(records=(Watch(changed_at=NOW, filled=("q",)),)))
    seen = tracker.watch()
    tracker.commit(Change(records=(replace(seen, filled=()),)))

    assert before is None
    assert (seen.filled, seen.version) == (("q",), 1)
    with pytest.raises(Conflict):
        tracker.commit(Change(records=(seen,)))
    assert tracker.watch() == Watch(changed_at=NOW, version=2)
