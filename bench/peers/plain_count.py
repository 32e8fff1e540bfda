"""The floor of reading snapshots: a raw socket, json.loads, and the same rules; nothing is checked on the way.

Two of them: one applies the rules to the dictionaries as they come, and reads no time but as text; the other makes
the values that our rules take, as who has nothing but the standard library would, and calls those rules.
"""

import json
import socket
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from typing import Any

from peers.estate import NOW_USED, RETIRING, Estate

from chalicelib.domain.arn import parse_key_id
from chalicelib.domain.evidence import Tally, tally
from chalicelib.domain.observed import Snapshot

_STANDING = {"queued": "unfinished", "inProgress": "unfinished", "failed": "failed"}
Row = dict[str, Any]
_name_of = lru_cache(parse_key_id)


class PlainCount:
    """One kept connection to a server."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def on_dictionaries(self, estate: Estate) -> Tally:
        """The rules written out for dictionaries, one pass."""
        by_key, others, ours = Counter[str](), Counter[str](), _Ours()
        for row in self._rows(estate):
            text = row.get("masterKeyUUID")
            named = _name_of(text) if text is not None else None
            by_key[named or ""] += 1
            if named == RETIRING:
                ours.add(row)
            elif named != NOW_USED:
                others[_STANDING.get(row["status"], "unidentified")] += 1
        return ours.tally(read=by_key.total(), by_key=tuple(sorted(by_key.items())), **others)

    def on_values(self, estate: Estate) -> Tally:
        """Our own rules, on values made one by one."""
        known = frozenset({RETIRING, NOW_USED})
        return tally(Tally(), map(_value, self._rows(estate)), key_id=RETIRING, known=known, encrypted=True)

    def _rows(self, estate: Estate) -> Iterator[Row]:
        """Every snapshot of one cluster, a page of 500 after the other, the list read once."""
        for number in range(1, -(-estate.snapshots // 500) + 1):
            yield from json.loads(self._ask(estate, number))["results"]

    def _ask(self, estate: Estate, number: int) -> bytearray:
        path = f"/api/atlas/v2/groups/{estate.project_id}/clusters/living-0/backup/snapshots"
        self._socket.sendall(
            f"GET {path}?itemsPerPage=500&pageNum={number} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        )
        head, _, start = self._head().partition(b"\r\n\r\n")
        length = int(head.rpartition(b"Content-Length: ")[2])
        body = bytearray(length)
        body[: len(start)] = start
        view, got = memoryview(body), len(start)
        while got < length:
            got += self._socket.recv_into(view[got:])
        return body

    def _head(self) -> bytes:
        read = b""
        while b"\r\n\r\n" not in read:
            read += self._socket.recv(4096)
        return read


class _Ours:
    """The key's own snapshots, counted as dictionaries; the latest time is the largest text."""

    def __init__(self) -> None:
        self._count = self._without_expiry = self._on_demand = 0
        self._last_expiry = self._newest = ""

    def add(self, row: Row) -> None:
        self._count += 1
        self._on_demand += _on_demand(row)
        expiry, made = row.get("expiresAt"), row.get("createdAt")
        if expiry is None:
            self._without_expiry += 1
        elif expiry > self._last_expiry:
            self._last_expiry = expiry
        if made is not None and made > self._newest:
            self._newest = made

    def tally(self, **others: Any) -> Tally:  # noqa: ANN401 - the other figures of a tally
        return Tally(
            of_this_key=self._count,
            without_expiry=self._without_expiry,
            on_demand=self._on_demand,
            last_expiry=_time(self._last_expiry),
            newest=_time(self._newest),
            **others,
        )


def _on_demand(row: Row) -> bool:
    return row.get("snapshotType") == "onDemand" or row.get("frequencyType") == "ondemand"


def _value(row: Row) -> Snapshot:
    return Snapshot(
        snapshot_id=row["id"],
        status=row["status"],
        key=row.get("masterKeyUUID"),
        created_at=_time(row.get("createdAt")),
        expires_at=_time(row.get("expiresAt")),
        on_demand=_on_demand(row),
        copied=bool(row.get("copyRegions")),
    )


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
