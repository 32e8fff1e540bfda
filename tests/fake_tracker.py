"""A tracker in memory with the promises of the real one: versions, conflicts, all or nothing, pages, due times."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from itertools import count
from threading import Lock
from typing import Any

import msgspec

from chalicelib.domain.arn import KeyArn
from chalicelib.domain.records import (
    WATCH,
    AuditEntry,
    Change,
    Deletion,
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
    Project: Due.REMINDER,
    Rotation: Due.ROTATION,
    Key: Due.SWEEP,
    Deletion: Due.DELETION,
    Notice: Due.NOTICE,
}
Place = tuple[str, ...]


class FakeTracker:
    """Look at `notices` and `audit`; make the next call fail with `fail_next`; read no record by another way."""

    def __init__(self) -> None:
        self._kept: dict[Place, Any] = {}
        self._trail: dict[Place, AuditEntry] = {}
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
        return list(self._trail.values())

    def fail_next(self, error: OutsideError) -> None:
        """Let the next call, whichever it is, raise this; several wait their turn."""
        self._failures.append(error)

    def project(self, project_id: str) -> Project | None:
        return self._get("Project", project_id)

    def projects(self, cursor: str | None, limit: int) -> Page[Project]:
        return self._page(("Project",), cursor, limit)

    def rotation(self, project_id: str, rotation_id: str) -> Rotation | None:
        return self._get("Rotation", project_id, rotation_id)

    def rotations(self, project_id: str, cursor: str | None, limit: int) -> Page[Rotation]:
        return self._page(("Rotation", project_id), cursor, limit)

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

    def trail(self, subject: str) -> Iterator[AuditEntry]:
        self._maybe_fail()
        for place in sorted(place for place in self._trail if place[0] == subject):
            yield self._trail[place]

    def due(self, kind: Due, now: datetime) -> Iterator[tuple[str, ...]]:
        self._maybe_fail()
        waiting = [
            (record.due, _spoken_name(record))
            for record in list(self._kept.values())
            if _DUE.get(type(record)) is kind and record.due is not None and record.due <= now
        ]
        yield from (name for _, name in sorted(waiting))

    def commit(self, change: Change) -> None:
        self._maybe_fail()
        records = [*change.records, *change.notices]
        places = [_place(record) for record in records]
        keys = [record for record in records if isinstance(record, Key)]
        links: dict[Place, KeyArn] = {("Link", name, str(key.arn)): key.arn for key in keys for name in key.projects}
        trail = {_audit_place(entry, number): entry for number, entry in zip(count(), change.audit)}
        with self._lock:
            _check_size(places, links, trail)
            self._check_versions(records)
            if self._trail.keys() & trail.keys():
                raise _conflict("an audit entry")
            self._kept |= {_place(record): _next_version(record) for record in records} | links
            self._trail |= trail
            self.commits.append(change)

    def update_notice(self, notice: Notice) -> Notice:
        self._maybe_fail()
        with self._lock:
            self._check_versions([notice])
            self._kept[_place(notice)] = _next_version(notice)
        return _next_version(notice)

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

    def _page(self, start: Place, cursor: str | None, limit: int) -> Page[Any]:
        after = None if cursor is None else _read_cursor(cursor, start)
        items = [record for record in self._all(start) if after is None or _place(record) > after]
        shown = tuple(items[:limit])
        return Page(items=shown, next=_cursor(_place(shown[-1])) if len(items) > limit else None)


def _place(record: Record | Notice) -> Place:
    match record:
        case Key():
            return ("Key", *_arn_place(record.arn))
        case Proof():
            return ("Proof", *_arn_place(record.arn), record.digest)
        case _:
            return (type(record).__name__, *_spoken_name(record))


def _spoken_name(record: Record | Notice) -> tuple[str, ...]:
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
        case Watch():
            return (record.name,)


def _arn_place(arn: KeyArn) -> Place:
    return (arn.key_id, arn.account, arn.region)


def _audit_place(entry: AuditEntry, number: int) -> Place:
    return (entry.subject, entry.at.isoformat(), str(number), repr(entry))


def _next_version(record: Any) -> Any:
    return replace(record, version=record.version + 1)


def _check_size(places: list[Place], links: dict[Place, KeyArn], trail: dict[Place, AuditEntry]) -> None:
    size = len(places) + len(links) + len(trail)
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
