"""The chain of the audit trail: what is hashed, and how every kind of tampering shows."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256

import pytest

from chalicelib.domain.canonical import canonical
from chalicelib.domain.chain import (
    GENESIS,
    Head,
    Trail,
    count_unchained,
    extend,
    faults_of,
    hash_of,
    outgrown,
    row_of,
    shape_of,
)
from chalicelib.domain.records import AuditEntry

NOW = datetime(2027, 3, 1, 9, 30, tzinfo=UTC)
ENTRY = AuditEntry(at=NOW, who="arn:ann", what="policy changed", subject="p1", why="audit", before="90", after="60")


def chain(length=4, subject="p1"):
    entries = [replace(ENTRY, subject=subject, after=str(number)) for number in range(length)]
    links = extend({}, entries, "request")
    head = Head(number=links[-1].number, hash=links[-1].hash) if links else None
    return shape_of(Trail(subject=subject, links=links, head=head))


def found(shape):
    return [(fault.number, fault.what) for fault in faults_of(shape)]


def seal(row):
    return row | {"hash": hash_of(row)}


def test_the_hash_is_that_of_the_sorted_json_without_the_hash():
    (link,) = extend({}, [replace(ENTRY, why="für Ada")], "q1")

    written = (
        '{"after":"60","at":"2027-03-01T09:30:00.000000Z","before":"90","number":1,"previous":"' + "0" * 64 + '",'
        '"request_id":"q1","subject":"p1","what":"policy changed","who":"arn:ann","why":"für Ada"}'
    )
    assert link.hash == sha256(written.encode()).hexdigest()


def test_the_same_moment_in_another_zone_has_the_same_hash():
    elsewhere = replace(ENTRY, at=NOW.astimezone(timezone(timedelta(hours=5))))

    assert extend({}, [ENTRY], "")[0].hash == extend({}, [elsewhere], "")[0].hash


def test_a_text_that_json_escapes_is_written_as_the_standard_has_it():
    assert canonical({"b": ['"\\\n\x01\x7f/é\N{PILE OF POO}', 1, None, True], "a": {}}) == (
        '{"a":{},"b":["\\"\\\\\\n\\u0001\x7f/é\N{PILE OF POO}",1,null,true]}'.encode()
    )


def test_each_subject_has_a_chain_of_its_own_and_goes_on_from_its_head():
    head = Head(number=7, hash="a" * 64)

    links = extend({"p1": head}, [ENTRY, replace(ENTRY, subject="p2"), ENTRY], "q")

    assert [(link.entry.subject, link.number) for link in links] == [("p1", 8), ("p2", 1), ("p1", 9)]
    assert [link.previous for link in links] == ["a" * 64, GENESIS, links[0].hash]


def test_a_trail_is_outgrown_when_it_is_no_longer_as_long_as_it_was():
    heads = {"p1": Head(number=2, hash="x")}

    assert outgrown(heads, [("p1", 2), ("p2", 0)]) == []
    assert outgrown(heads, [("p1", 1), ("p2", 1)]) == ["p1", "p2"]


@pytest.mark.parametrize("length", [0, 1, 4])
def test_a_whole_chain_has_no_fault(length):
    assert found(chain(length)) == []


def without(shape, *places):
    shape["entries"] = [row for place, row in enumerate(shape["entries"]) if place not in places]


def change_last(shape):
    shape["entries"][-1] = seal(shape["entries"][-1] | {"who": "mallory"})


def exchange(shape):
    rows = shape["entries"]
    rows[1], rows[2] = rows[2], rows[1]


def insert(shape):
    forged = shape["entries"][0] | {"number": 2, "previous": shape["entries"][0]["hash"]}
    shape["entries"].insert(1, seal(forged))


CHANGED = "was changed: it does not have the hash that it carries"
NO_NUMBER = [(None, "an entry behind entry 1 carries no number"), (2, "is missing")]
TAMPERINGS = [
    (lambda s: s["entries"][1].update(who="mallory"), [(2, CHANGED)]),
    (lambda s: s["entries"][1].pop("why"), [(2, CHANGED)]),
    (lambda s: s["entries"][1].update(note="added"), [(2, CHANGED)]),
    (lambda s: s["entries"][1].update(at="2027-03-01T09:30:00Z"), [(2, CHANGED)]),
    (
        lambda s: s["entries"].__setitem__(1, seal(s["entries"][1] | {"who": "mallory"})),
        [(3, "does not follow the entry before it")],
    ),
    (change_last, [(4, "does not have the hash that the chain's head says")]),
    (lambda s: without(s, 0), [(1, "is missing")]),
    (lambda s: without(s, 1, 2), [(2, "is missing, up to 3")]),
    (lambda s: without(s, 3), [(4, "is missing")]),
    (lambda s: without(s, 2, 3), [(3, "is missing, up to 4")]),
    (lambda s: without(s, 0, 1, 2, 3), [(1, "is missing, up to 4")]),
    (exchange, [(2, "is missing"), (2, "stands behind entry 3"), (3, "is missing")]),
    (insert, [(2, "stands behind entry 2")]),
    (lambda s: s["entries"].append(s["entries"][-1]), [(4, "stands behind entry 4")]),
    (lambda s: s.update(head=None), [(None, "the chain has no head: nothing says where it ends")]),
    (lambda s: s["head"].update(number=3), [(4, "stands behind the chain's head, which says 3")]),
    (lambda s: s["head"].update(hash="0" * 64), [(4, "does not have the hash that the chain's head says")]),
    (lambda s: s["head"].update(number=None), [(None, "the chain has no head: nothing says where it ends")]),
    (lambda s: s.update(subject="p2"), [(number, "is about another subject") for number in (1, 2, 3, 4)]),
    (
        lambda s: s["entries"][1].update(number=None, previous=None, hash=None),
        [(None, CHANGED), *NO_NUMBER],
    ),
    (lambda s: s["entries"][0].update(number=None, previous=None, hash=None), [(1, "is missing")]),
    (lambda s: s["entries"][1].update(number=True), [(None, CHANGED), *NO_NUMBER]),
]


@pytest.mark.parametrize("number", range(len(TAMPERINGS)))
def test_every_kind_of_tampering_is_named(number):
    tamper, said = TAMPERINGS[number]
    shape = chain()
    tamper(shape)

    assert found(shape) == said


def test_entries_from_before_the_chain_are_counted_and_no_fault():
    links = extend({}, [ENTRY], "")
    trail = Trail(subject="p1", unchained=(ENTRY, ENTRY), links=links, head=Head(number=1, hash=links[0].hash))

    shape = shape_of(trail)

    assert (count_unchained(shape["entries"]), found(shape), trail.torn) == (2, [], False)
    assert trail.entries == (ENTRY,) * 3


def test_what_stands_in_the_table_is_what_is_exported():
    (link,) = extend({}, [ENTRY], "q")

    assert json.loads(canonical(row_of(link))) == row_of(link)


@pytest.mark.parametrize(
    "spoil",
    [lambda t: replace(t, head=None), lambda t: replace(t, links=()), lambda t: replace(t, links=t.links[:1])],
)
def test_a_trail_that_does_not_end_where_its_head_says_is_torn(spoil):
    links = extend({}, [ENTRY, ENTRY], "")
    trail = Trail(subject="p1", links=links, head=Head(number=2, hash=links[1].hash))

    assert not trail.torn
    assert spoil(trail).torn
    assert not Trail(subject="p1").torn
