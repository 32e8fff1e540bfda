"""The audit trail as chains: every entry carries the hash of the one before it, and a head says where a chain ends.

There is a chain for each subject. Its entries are numbered from 1, and the first follows `GENESIS`. docs/audit.md
states the format for those who check it with a program of their own.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from chalicelib.domain.canonical import digest_of
from chalicelib.domain.records import AuditEntry

GENESIS = "0" * 64
"""What the first entry of every chain names as the hash before it."""

Row = Mapping[str, Any]
"""An entry as it is hashed and exported: plain data."""


@dataclass(frozen=True, kw_only=True)
class Link:
    """An entry in its place: `request_id` names the call that caused it, empty where there was none."""

    number: int
    entry: AuditEntry
    request_id: str
    previous: str
    hash: str


@dataclass(frozen=True, kw_only=True)
class Head:
    """Where a chain ends: the number of its last entry, and that one's hash."""

    number: int
    hash: str


@dataclass(frozen=True, kw_only=True)
class Trail:
    """All that is kept about one subject; `unchained` are the entries from before there were chains."""

    subject: str
    unchained: tuple[AuditEntry, ...] = ()
    links: tuple[Link, ...] = ()
    head: Head | None = None

    @property
    def entries(self) -> tuple[AuditEntry, ...]:
        """Every entry in the order of its writing."""
        return (*self.unchained, *(link.entry for link in self.links))

    @property
    def length(self) -> int:
        """How many entries the chain has; those from before it do not count."""
        return len(self.links)

    @property
    def torn(self) -> bool:
        """Whether it ends elsewhere than its head says: it was read while it grew, or somebody meddled with it."""
        if self.head is None:
            return bool(self.links)
        return not self.links or (self.links[-1].number, self.links[-1].hash) != (self.head.number, self.head.hash)


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What is wrong with a chain, at which number; `number` is None for the chain as a whole."""

    subject: str
    number: int | None
    what: str


def extend(heads: Mapping[str, Head], entries: Iterable[AuditEntry], request_id: str) -> tuple[Link, ...]:
    """Put entries behind the heads of their subjects, in their order; a subject without a head begins its chain."""
    ends, links = dict(heads), []
    for entry in entries:
        end = ends.get(entry.subject, Head(number=0, hash=GENESIS))
        link = _link(entry, end, request_id)
        ends[entry.subject] = Head(number=link.number, hash=link.hash)
        links.append(link)
    return tuple(links)


def outgrown(heads: Mapping[str, Head], trails_read: Iterable[tuple[str, int]]) -> list[str]:
    """The subjects whose trail is no longer as long as it was when it was read."""
    return [subject for subject, length in trails_read if (heads[subject].number if subject in heads else 0) != length]


def _link(entry: AuditEntry, end: Head, request_id: str) -> Link:
    fresh = Link(number=end.number + 1, entry=entry, request_id=request_id, previous=end.hash, hash="")
    return replace(fresh, hash=hash_of(row_of(fresh)))


def row_of(link: Link) -> dict[str, Any]:
    """A link as it is hashed (without its `hash`) and exported."""
    place = {"number": link.number, "request_id": link.request_id, "previous": link.previous, "hash": link.hash}
    return _row(link.entry) | place


def hash_of(row: Row) -> str:
    """The hash of an entry: over its one writing, with everything in it but the hash itself."""
    return digest_of({name: value for name, value in row.items() if name != "hash"})


def shape_of(trail: Trail) -> dict[str, Any]:
    """A trail as it is exported."""
    loose = [
        _row(entry) | {"number": None, "request_id": "", "previous": None, "hash": None} for entry in trail.unchained
    ]
    return {
        "subject": trail.subject,
        "head": asdict(trail.head) if trail.head is not None else None,
        "entries": [*loose, *(row_of(link) for link in trail.links)],
    }


def _row(entry: AuditEntry) -> dict[str, Any]:
    return asdict(entry) | {"at": _instant(entry.at)}


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def count_unchained(rows: Sequence[Row]) -> int:
    """How many entries stand before the chain begins, from a time that knew none."""
    return next((number for number, row in enumerate(rows) if not _is_loose(row)), len(rows))


def faults_of(shape: Row) -> Iterator[Fault]:
    """Everything that is wrong with an exported chain: nothing for one that is whole."""
    subject, rows = str(shape["subject"]), shape["entries"]
    end = Head(number=0, hash=GENESIS)
    for row in rows[count_unchained(rows) :]:
        yield from _wrong(subject, row, end)
        number = _whole(row)
        end = Head(number=end.number if number is None else number, hash=str(row.get("hash")))
    yield from _wrong_end(subject, end, shape["head"])


def _wrong(subject: str, row: Row, end: Head) -> Iterator[Fault]:
    number, wanted = _whole(row), end.number + 1
    if row.get("hash") != hash_of(row):
        yield Fault(subject=subject, number=number, what="was changed: it does not have the hash that it carries")
    if row.get("subject") != subject:
        yield Fault(subject=subject, number=number, what="is about another subject")
    if number is None:
        yield Fault(subject=subject, number=None, what=f"an entry behind entry {end.number} carries no number")
    elif number > wanted:
        yield _missing(subject, wanted, number - 1)
    elif number < wanted:
        yield Fault(subject=subject, number=number, what=f"stands behind entry {end.number}")
    elif row.get("previous") != end.hash:
        yield Fault(subject=subject, number=number, what="does not follow the entry before it")


def _wrong_end(subject: str, end: Head, head: Row | None) -> Iterator[Fault]:
    told = _whole(head) if head is not None else None
    if told is None:
        if end.number or head is not None:
            yield Fault(subject=subject, number=None, what="the chain has no head: nothing says where it ends")
    elif told > end.number:
        yield _missing(subject, end.number + 1, told)
    elif told < end.number:
        yield Fault(subject=subject, number=end.number, what=f"stands behind the chain's head, which says {told}")
    elif head is not None and head.get("hash") != end.hash:
        yield Fault(subject=subject, number=end.number, what="does not have the hash that the chain's head says")


def _missing(subject: str, first: int, last: int) -> Fault:
    return Fault(subject=subject, number=first, what="is missing" if first == last else f"is missing, up to {last}")


def _whole(row: Row) -> int | None:
    number = row.get("number")
    return number if isinstance(number, int) and not isinstance(number, bool) else None


def _is_loose(row: Row) -> bool:
    return all(row.get(name) is None for name in ("number", "previous", "hash"))
