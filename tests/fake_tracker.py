"""A tracker in memory with the promises of the real one: versions, conflicts, all or nothing, pages, due times."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from bisect import insort
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from itertools import takewhile
from threading import Lock
from typing import Any

import msgspec

from chalicelib.domain.arn import KeyArn
from chalicelib.domain.chain import Head, Link, Trail, extend, outgrown
from chalicelib.domain.records import (
    WATCH,
    AuditEntry,
    Change,
    Deletion,
    Desk,
    Fleet,
    Key,
    Notice,
    Project,
    Proof,
    Record,
    Rotation,
    Watch,
)
from chalicelib.usecases.ports import Conflict, Due, OutsideError, Page, PermanentError

MOST_WRITES = 100
_DUE = {
    Desk: Due.UNMARKED,
    Rotation: Due.ROTATION,
    Key: Due.SWEEP,
    Deletion: Due.DELETION,
    Notice: Due.NOTICE,
}
Place = tuple[str, ...]


class FakeTracker:
    """Look at `notices` and `audit`; make the next call fail with `fail_next`; read no record by another way."""

    def __init__(self, request_id: Callable[[], str] = str) -> None:
        self._kept: dict[Place, Any] = {}
        self._waiting: dict[Due, list[tuple[datetime, tuple[str, ...]]]] = {kind: [] for kind in Due}
        self._links: list[Link] = []
        self._heads: dict[str, Head] = {}
        self._request_id = request_id
        self._failures: list[OutsideError] = []
        self._lock = Lock()
        self.commits: list[Change] = []

    @property
    def notices(self) -> list[Notice]:
        """Every notice as it stands now, in the order of their first writing."""
        return [record for record in self._kept.values() if isinstance(record, Notice)]

    @property
    def audit(self) -> list[AuditEntry]:
        """The whole trail, in the order of its writing."""
        return [link.entry for link in self._links]

    def fail_next(self, error: OutsideError) -> None:
        """Let the next call, whichever it is, raise this; several wait their turn."""
        self._failures.append(error)

    def lose(self, record: Record) -> None:
        """Let a record be gone, as a hand or an older table that was restored would have it."""
        self._no_longer_due(self._kept.pop(_place(record)))

    def project(self, project_id: str) -> Project | None:
        return self._get("Project", project_id)

    def projects(self, cursor: str | None, limit: int) -> Page[Project]:
        return self._page(("Project",), cursor, limit)

    def fleet(self) -> Fleet:
        return self._get("Fleet") or Fleet()

    def desk(self, group: str) -> Desk | None:
        return self._get("Desk", group)

    def rotation(self, project_id: str, rotation_id: str) -> Rotation | None:
        return self._get("Rotation", project_id, rotation_id)

    def rotations(self, project_id: str, cursor: str | None, limit: int) -> Page[Rotation]:
        mine = list(self._all(("Rotation", project_id)))
        return self._backward(
            ("Rotation", project_id), mine, lambda one: (one.requested_at, one.rotation_id), cursor, limit
        )

    def key(self, arn: KeyArn) -> Key | None:
        return self._get("Key", *_arn_place(arn))

    def keys_named(self, key_id: str) -> tuple[Key, ...]:
        return self._all(("Key", key_id))

    def keys(self, cursor: str | None, limit: int) -> Page[Key]:
        return self._page(("Key",), cursor, limit)

    def keys_of(self, project_id: str) -> tuple[Key, ...]:
        linked = self._all(("Link", project_id))
        return tuple(self._kept[("Key", *_arn_place(arn))] for arn in linked)

    def deletion(self, deletion_id: str) -> Deletion | None:
        return self._get("Deletion", deletion_id)

    def proof(self, arn: KeyArn, digest: str) -> Proof | None:
        return self._get("Proof", *_arn_place(arn), digest)

    def notice(self, notice_id: str) -> Notice | None:
        return self._get("Notice", notice_id)

    def watch(self) -> Watch | None:
        return self._get("Watch", WATCH)

    def trail(self, subject: str) -> Trail:
        self._maybe_fail()
        with self._lock:
            links = tuple(link for link in self._links if link.entry.subject == subject)
            return Trail(subject=subject, links=links, head=self._heads.get(subject))

    def activity(self, cursor: str | None, limit: int) -> Page[Link]:
        self._maybe_fail()
        return self._backward(("Entry",), self._links, _moment_of, cursor, limit)

    def due(self, kind: Due, now: datetime) -> Iterator[tuple[str, ...]]:
        self._maybe_fail()
        with self._lock:
            waiting = list(takewhile(lambda one: one[0] <= now, self._waiting[kind]))
        yield from (name for _, name in waiting)

    def commit(self, change: Change) -> None:
        self._maybe_fail()
        records = [*change.records, *change.notices]
        places = [_place(record) for record in records]
        keys = [record for record in records if isinstance(record, Key)]
        with self._lock:
            links: dict[Place, KeyArn] = {
                place: key.arn
                for key in keys
                for name in key.projects
                if (place := ("Link", name, str(key.arn))) not in self._kept
            }
            trail = extend(self._heads, change.audit, self._request_id())
            heads = {link.entry.subject: Head(number=link.number, hash=link.hash) for link in trail}
            _check_size(places, len(links) + len(trail) + len(heads))
            self._check_versions(records)
            if outgrown(self._heads, change.trails_read):
                raise _conflict("the trail")
            for record in records:
                self._keep(_next_version(record))
            self._kept |= links
            self._links += trail
            self._heads |= heads
            self.commits.append(change)

    def update_notice(self, notice: Notice) -> Notice:
        self._maybe_fail()
        with self._lock:
            self._check_versions([notice])
            self._keep(_next_version(notice))
        return _next_version(notice)

    def _keep(self, record: Any) -> None:
        place = _place(record)
        if place in self._kept:
            self._no_longer_due(self._kept[place])
        self._kept[place] = record
        if record.due is not None:
            insort(self._waiting[_due_kind(record)], (record.due, _spoken_name(record)))

    def _no_longer_due(self, record: Any) -> None:
        if record.due is not None:
            self._waiting[_due_kind(record)].remove((record.due, _spoken_name(record)))

    def _check_versions(self, records: list[Record | Notice]) -> None:
        for record in records:
            kept = self._kept.get(_place(record))
            if record.version != (0 if kept is None else kept.version):
                raise _conflict(" ".join(_place(record)))

    def _maybe_fail(self) -> None:
        if self._failures:
            raise self._failures.pop(0)

    def _get(self, *place: str) -> Any:
        self._maybe_fail()
        return self._kept.get(place)

    def _all(self, start: Place) -> tuple[Any, ...]:
        self._maybe_fail()
        kept = dict(self._kept)
        return tuple(kept[place] for place in sorted(kept) if place[: len(start)] == start)

    def _backward(
        self, start: Place, items: list[Any], moment: Callable[[Any], Any], cursor: str | None, limit: int
    ) -> Page[Any]:
        """The newest first; a cursor names the last one that was shown."""
        ordered = sorted(items, key=moment, reverse=True)
        places = [(*start, *map(str, moment(one))) for one in ordered]
        first = 0 if cursor is None else places.index(_read_cursor(cursor, start)) + 1
        end = first + limit
        return Page(items=tuple(ordered[first:end]), next=_cursor(places[end - 1]) if len(ordered) > end else None)

    def _page(self, start: Place, cursor: str | None, limit: int) -> Page[Any]:
        after = None if cursor is None else _read_cursor(cursor, start)
        items = [record for record in self._all(start) if after is None or _place(record) > after]
        shown = tuple(items[:limit])
        return Page(items=shown, next=_cursor(_place(shown[-1])) if len(items) > limit else None)


def _due_kind(record: Any) -> Due:
    if isinstance(record, Project):
        return Due.DIGEST if record.in_digest else Due.REMINDER
    return _DUE[type(record)]


def _place(record: Record | Notice) -> Place:
    match record:
        case Key():
            return ("Key", *_arn_place(record.arn))
        case Proof():
            return ("Proof", *_arn_place(record.arn), record.digest)
        case _:
            return (type(record).__name__, *_spoken_name(record))


def _spoken_name(record: Record | Notice) -> tuple[str, ...]:  # noqa: PLR0911 - a line a kind of record
    match record:
        case Project():
            return (record.project_id,)
        case Rotation():
            return (record.project_id, record.rotation_id)
        case Key() | Proof():
            return (str(record.arn),)
        case Deletion():
            return (record.deletion_id,)
        case Notice():
            return (record.notice_id,)
        case Desk():
            return (record.group,)
        case Watch():
            return (record.name,)
        case Fleet():
            return ()


def _moment_of(link: Link) -> tuple[datetime, str, int]:
    return (link.entry.at, link.entry.subject, link.number)


def _arn_place(arn: KeyArn) -> Place:
    return (arn.key_id, arn.account, arn.region)


def _next_version(record: Any) -> Any:
    return replace(record, version=record.version + 1)


def _check_size(places: list[Place], beside: int) -> None:
    size = len(places) + beside
    if size == 0:
        raise PermanentError("a change of nothing is no change", call="commit")
    if size > MOST_WRITES:
        raise PermanentError(f"a change of {size} writes is too large", call="commit", code="too_large")
    if len(set(places)) < len(places):
        raise PermanentError("a change writes one record twice", call="commit", code="ValidationException")


def _conflict(what: str) -> Conflict:
    return Conflict(f"somebody else wrote first: {what}", call="commit", code="TransactionCanceledException")


def _cursor(place: Place) -> str:
    return urlsafe_b64encode(msgspec.json.encode(place)).decode()


def _read_cursor(cursor: str, start: Place) -> Place:
    try:
        place = msgspec.json.decode(urlsafe_b64decode(cursor), type=Place)
    except (ValueError, msgspec.MsgspecError) as error:
        raise _bad_cursor() from error
    if place[: len(start)] != start:
        raise _bad_cursor()
    return place


def _bad_cursor() -> PermanentError:
    return PermanentError("this cursor was not given out by this list", call="query", code="bad_cursor")
