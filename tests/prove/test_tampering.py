"""Chains that a meddler has been at: Keyturn and `keyturn verify`, two programs for one format, find the same faults.

Meddlers come in two kinds: those who change what is written, and those who also compute the entry's hash anew.
"""

import json
from collections import Counter
from copy import deepcopy
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta

from figures import FULL_SIZE, tell
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from chalicelib.domain.chain import GENESIS, Head, Trail, extend, faults_of, hash_of, shape_of
from chalicelib.domain.records import AuditEntry
from cli.chains import faults_in
from cli.chains import hash_of as hash_by_the_command

NOW = datetime(2027, 3, 1, 9, 30, tzinfo=UTC)
SUBJECTS = ("p1", "key", "deletion")
FIELDS = ("at", "who", "what", "subject", "why", "before", "after", "request_id", "number", "previous", "hash")
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
entries = st.builds(
    AuditEntry,
    at=st.timedeltas(timedelta(0), timedelta(days=900)).map(lambda since: NOW + since),
    who=texts,
    what=texts,
    subject=st.just(""),
    why=texts,
    before=texts,
    after=texts,
)


@st.composite
def chains(draw):
    """The chains of two or three subjects, written in one go."""
    lengths = draw(st.lists(st.integers(1, 6), min_size=2, max_size=3))
    shapes = []
    for subject, length in zip(SUBJECTS, lengths, strict=False):
        written = [replace(draw(entries), subject=subject) for _ in range(length)]
        links = extend({}, written, draw(texts))
        head = Head(number=length, hash=links[-1].hash)
        shapes.append(shape_of(Trail(subject=subject, links=links, head=head)))
    return json.loads(json.dumps(shapes))


def both(shapes):
    """What both programs find, which must be the same."""
    ours = [asdict(fault) for shape in shapes for fault in faults_of(shape)]
    theirs = [asdict(fault) for shape in shapes for fault in faults_in(shape)]
    assert ours == theirs
    return ours


def remove(draw, shapes):
    chain = draw(st.sampled_from(shapes))
    chain["entries"].pop(draw(st.integers(0, len(chain["entries"]) - 1)))


def cut_off(draw, shapes):
    chain = draw(st.sampled_from(shapes))
    del chain["entries"][draw(st.integers(0, len(chain["entries"]) - 1)) :]


def edit(draw, shapes):
    row, field = draw(st.sampled_from(_rows(shapes))), draw(st.sampled_from(FIELDS))
    row[field] = draw(texts | st.integers(-2, 9) | st.none() | st.booleans())


def edit_and_seal(draw, shapes):
    row = draw(st.sampled_from(_rows(shapes)))
    row[draw(st.sampled_from(FIELDS[:-1]))] = draw(texts)
    row["hash"] = hash_of(row)


def leave_a_field_out(draw, shapes):
    del draw(st.sampled_from(_rows(shapes)))[draw(st.sampled_from(FIELDS))]


def reorder(draw, shapes):
    chain = draw(st.sampled_from(shapes))
    chain["entries"] = draw(st.permutations(chain["entries"]))


def insert(draw, shapes):
    chain = draw(st.sampled_from(shapes))
    place = draw(st.integers(0, len(chain["entries"])))
    previous = chain["entries"][place - 1]["hash"] if place else GENESIS
    forged = deepcopy(draw(st.sampled_from(_rows(shapes))))
    forged |= {"number": place + 1, "previous": previous, "subject": chain["subject"]}
    forged["hash"] = hash_of(forged)
    chain["entries"].insert(place, forged)


def copy_once_more(draw, shapes):
    chain = draw(st.sampled_from(shapes))
    chain["entries"].insert(draw(st.integers(0, len(chain["entries"]))), draw(st.sampled_from(chain["entries"])))


def swap_between_subjects(draw, shapes):
    one, other = shapes[:2]
    here, there = (draw(st.integers(0, len(chain["entries"]) - 1)) for chain in (one, other))
    one["entries"][here], other["entries"][there] = other["entries"][there], one["entries"][here]


def swap_whole_chains(draw, shapes):
    one, other = shapes[:2]
    one["entries"], other["entries"] = other["entries"], one["entries"]
    one["head"], other["head"] = other["head"], one["head"]


def move_the_head(draw, shapes):
    chain = draw(st.sampled_from(shapes))
    place = draw(st.integers(-1, len(chain["entries"]) - 1))
    row = chain["entries"][place]
    chain["head"] = draw(st.sampled_from([None, {"number": row["number"] - 1, "hash": row["hash"]}, {}]))


def strip_the_hashes(draw, shapes):
    """Make the first entries look as if they were older than the chain."""
    chain = draw(st.sampled_from(shapes))
    for row in chain["entries"][: draw(st.integers(1, len(chain["entries"])))]:
        row.update(number=None, previous=None, hash=None)


MEDDLERS = (
    *(remove, cut_off, edit, edit_and_seal, leave_a_field_out, reorder, insert, copy_once_more),
    *(swap_between_subjects, swap_whole_chains, move_the_head, strip_the_hashes),
)


def _rows(shapes):
    return [row for shape in shapes for row in shape["entries"]]


@seed(20270301)
@settings(
    max_examples=5_000 if FULL_SIZE else 80,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(shapes=chains(), data=st.data())
def meddle(found, shapes, data):
    assert both(shapes) == []
    for meddler in MEDDLERS:
        meddled = deepcopy(shapes)
        meddler(data.draw, meddled)
        if meddled == shapes and json.dumps(meddled) == json.dumps(shapes):
            continue
        found["tampered"] += 1
        found[f"found after {meddler.__name__}"] += bool(both(meddled))
        found["found"] += bool(both(meddled))


def test_every_tampering_is_found_by_both_programs():
    found = Counter()

    meddle(found)

    tell(tampered=found["tampered"], found=found["found"], kinds=len(MEDDLERS))
    assert found["found"] == found["tampered"]
    assert all(found[f"found after {meddler.__name__}"] for meddler in MEDDLERS)


@settings(max_examples=100, deadline=None, database=None)
@given(entry=entries)
def test_both_programs_compute_the_same_hash(entry):
    (link,) = extend({}, [entry], "q")
    (row,) = shape_of(Trail(subject="", links=(link,)))["entries"]

    assert hash_by_the_command(json.loads(json.dumps(row))) == link.hash
