"""Answers that went wrong by chance: one place of a good one is gone or of another type, or its bytes are not whole."""

import json
from copy import deepcopy

from hypothesis import strategies as st

STRANGE = (
    None,
    True,
    0,
    -1,
    10**30,
    1.5e308,
    "",
    "\x00\r\nforged",
    "2027-02-30T25:61:00Z",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "2027-03-01",
    [],
    {},
    [None],
    [[]],
    [{}],
    {"": None},
    ["x" * 10_000],
)
"""Values of every type that stand where another was expected."""

NO_JSON = (b"", b"null", b"[]", b"{}", b"\xff", b"{", b'{"results": [NaN]}', b'{"a":' + b"[" * 3_000, b"<html>")


def places(node, path=()):
    """Every place in a document: the keys and numbers that lead to it."""
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for step, child in inner:
        yield (*path, step)
        yield from places(child, (*path, step))


def at(document, path):
    """The part of a document to which a path leads."""
    for step in path:
        document = document[step]
    return document


def without(document, path):
    """A copy in which a place is gone."""
    copy = deepcopy(document)
    del at(copy, path[:-1])[path[-1]]
    return copy


def with_other(document, path, value):
    """A copy in which something else stands in a place."""
    copy = deepcopy(document)
    at(copy, path[:-1])[path[-1]] = value
    return copy


@st.composite
def documents(draw, good):
    """A good document in which one field is gone, or has another value; the rows of a list stay."""
    path = draw(st.sampled_from(list(places(good))))
    if isinstance(path[-1], str) and draw(st.booleans()):
        return without(good, path)
    return with_other(good, path, draw(st.sampled_from(STRANGE)))


@st.composite
def bodies(draw, good, *, wrongs=2):
    """The bytes of an answer: of a document that went wrong, cut off, with a wrong byte in it, or no JSON at all."""
    document = good
    for _ in range(draw(st.integers(1, wrongs))):
        document = draw(documents(document)) if list(places(document)) else document
    whole = json.dumps(document).encode()
    ways = (
        st.just(whole),
        st.integers(0, len(whole) - 1).map(lambda size: whole[:size]),
        st.tuples(st.integers(0, len(whole)), st.binary(min_size=1, max_size=3)).map(
            lambda put: whole[: put[0]] + put[1] + whole[put[0] :]
        ),
        st.sampled_from(NO_JSON),
        st.binary(max_size=40),
    )
    return draw(st.one_of(*ways))
