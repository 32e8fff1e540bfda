"""Checks the chains of an audit trail, by the format that docs/audit.md states and by nothing of Keyturn's own code."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cli.shapes import Shape

GENESIS = "0" * 64
"""What the first entry of every chain names as the hash before it."""

_PLACE = ("number", "previous", "hash")


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What was found: about which subject, at which number (None for the whole), and what."""

    subject: str
    number: int | None
    what: str


def digest_of(value: Any) -> str:  # noqa: ANN401 - whatever JSON has
    """SHA-256 of a value written as RFC 8785 has it."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def hash_of(entry: Shape) -> str:
    """The hash that an entry must carry: of everything in it but the hash."""
    return digest_of({name: value for name, value in entry.items() if name != "hash"})


def split(entries: list[Shape]) -> tuple[list[Shape], list[Shape]]:
    """The entries from before the chain began, and the chain's."""
    begin = 0
    while begin < len(entries) and all(entries[begin].get(name) is None for name in _PLACE):
        begin += 1
    return entries[:begin], entries[begin:]


def faults_in(chain: Shape) -> Iterator[Fault]:
    """Everything wrong with one chain."""
    subject, head = chain["subject"], chain["head"]
    last, last_hash = 0, GENESIS
    for entry in split(chain["entries"])[1]:
        number = _number(entry)
        if entry.get("hash") != hash_of(entry):
            yield Fault(subject=subject, number=number, what="was changed: it does not have the hash that it carries")
        if entry.get("subject") != subject:
            yield Fault(subject=subject, number=number, what="is about another subject")
        if number is None:
            yield Fault(subject=subject, number=None, what=f"an entry behind entry {last} carries no number")
        else:
            yield from _out_of_place(subject, entry, number, last, last_hash)
            last = number
        last_hash = str(entry.get("hash"))
    yield from _open_end(subject, head, last, last_hash)


def _out_of_place(subject: str, entry: Shape, number: int, last: int, last_hash: str) -> Iterator[Fault]:
    if number <= last:
        yield Fault(subject=subject, number=number, what=f"stands behind entry {last}")
    elif number > last + 1:
        yield _gap(subject, last + 1, number - 1)
    elif entry.get("previous") != last_hash:
        yield Fault(subject=subject, number=number, what="does not follow the entry before it")


def _open_end(subject: str, head: Shape | None, last: int, last_hash: str) -> Iterator[Fault]:
    if head is None and not last:
        return
    ends_at = _number(head or {})
    if head is None or ends_at is None:
        yield Fault(subject=subject, number=None, what="the chain has no head: nothing says where it ends")
    elif ends_at > last:
        yield _gap(subject, last + 1, ends_at)
    elif ends_at < last:
        yield Fault(subject=subject, number=last, what=f"stands behind the chain's head, which says {ends_at}")
    elif head.get("hash") != last_hash:
        yield Fault(subject=subject, number=last, what="does not have the hash that the chain's head says")


def _gap(subject: str, first: int, last: int) -> Fault:
    return Fault(subject=subject, number=first, what="is missing" + (f", up to {last}" if last > first else ""))


def _number(shape: Shape) -> int | None:
    number = shape.get("number")
    return number if type(number) is int else None
