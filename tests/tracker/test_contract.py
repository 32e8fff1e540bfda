"""What every tracker promises of what is kept, listed and due, and of two who write at once."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256
from uuid import UUID, uuid5

import pytest
from tracked import ARN, NOW, REPLICATED, arn, audit, deletion, key, notice, project, rotation, save, walk

from chalicelib.domain.arn import KeyArn
from chalicelib.domain.records import (
    Change,
    Check,
    ClusterTally,
    Desk,
    Fleet,
    Policy,
    Proof,
    Reason,
    Told,
    Uncovered,
    Watch,
)
from chalicelib.domain.vocabulary import KeyState, RotationState
from chalicelib.usecases.ports import Conflict, Due, PermanentError

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


def a_look_at(number):
    """What a proof says of one cluster, as much of it different from cluster to cluster as in truth."""
    ident = uuid5(UUID(int=0), str(number)).hex[:24]
    read = {"of_this_key": 0, "read": number * 37 % 400, "last_expiry": None, "unidentified": 0, "without_expiry": 0}
    look = {"cluster_id": ident, "name": f"orders-{number}", "state": "IDLE", "paused": False, "kind": "REPLICASET"}
    look |= {"encryption": "AWS", "backups": True, "point_in_time": True, "regions": ["eu-west-1"], "tier": "M30"}
    at = f"2027-03-01T09:{number % 60:02}:{number * 7 % 60:02}.{number * 9973 % 10**6:06}+00:00"
    return {"cluster": look, "seen_on_new_key_at": at, "schedule": {"restore_window_days": 7}, "tally": read}


def test_a_proof_about_thousands_of_clusters_comes_back_as_it_was_saved(tracker):
    text = json.dumps({"projects": [{"clusters": [a_look_at(number) for number in range(3_500)]}]})
    proof = Proof(digest=sha256(text.encode()).hexdigest(), at=NOW, arn=ARN, document=text)

    save(tracker, proof)

    assert len(text) > 1_500_000
    assert tracker.proof(ARN, proof.digest) == replace(proof, version=1)


def test_a_key_of_thousands_of_clusters_comes_back_as_it_was_saved_wherever_it_is_read(tracker):
    one = ClusterTally(project_id="p1", cluster="orders", cluster_id="", snapshots=0, last_expiry=NOW)
    clusters = (replace(one, cluster_id=f"{n * 7919:024x}", snapshots=n) for n in range(4_000))
    kept = key(clusters=tuple(clusters))

    save(tracker, kept)
    save(tracker, replace(kept, version=1))

    assert tracker.key(ARN) == replace(kept, version=2)
    assert tracker.keys_of("p1") == tracker.keys_named(ARN.key_id) == tracker.keys(None, 9).items == (tracker.key(ARN),)


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


def crowd(number):
    return tuple(f"p{n:03d}" for n in range(number))


@pytest.fixture
def crowded(tracker):
    """A tracker with a key of three hundred projects, more than one transaction could link."""
    save(tracker, key(projects=crowd(90)))
    for number in (180, 270, 300):
        save(tracker, replace(tracker.key(ARN), projects=crowd(number)))
    return tracker


def test_a_key_of_three_hundred_projects_can_be_changed_and_is_found_by_each(crowded):
    save(crowded, replace(crowded.key(ARN), state=KeyState.RETIRING), project(), audit=(audit(),))

    assert crowded.key(ARN).state is KeyState.RETIRING
    assert [crowded.keys_of(name) for name in crowd(300)] == [(crowded.key(ARN),)] * 300


@pytest.mark.parametrize(
    "read",
    [
        lambda tracker: tracker.key(ARN),
        lambda tracker: tracker.keys_named(ARN.key_id)[0],
        lambda tracker: tracker.keys_of("p000")[0],
        lambda tracker: tracker.keys(None, 9).items[0],
    ],
    ids=["key", "keys_named", "keys_of", "keys"],
)
def test_a_project_that_joins_three_hundred_others_finds_its_key_however_that_was_read(crowded, read):
    save(crowded, replace(read(crowded), projects=crowd(301)))

    assert crowded.keys_of("p300") == (crowded.key(ARN),)


def test_a_key_of_three_hundred_projects_read_before_another_wrote_is_refused_as_any_record_is(crowded):
    read = crowded.key(ARN)
    save(crowded, replace(read, state=KeyState.RETIRING))

    with pytest.raises(Conflict):
        save(crowded, replace(read, projects=crowd(301)))

    assert crowded.keys_of("p300") == ()


def test_a_project_whose_joining_was_refused_finds_the_key_once_it_has_joined(tracker):
    save(tracker, key(), project("p2"))
    joined = replace(tracker.key(ARN), projects=("p1", "p2"))
    with pytest.raises(Conflict):
        save(tracker, joined, project("p2"))

    save(tracker, joined)

    assert tracker.keys_of("p2") == (tracker.key(ARN),)


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
