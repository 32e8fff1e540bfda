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

_UNFINISHED = {"queued", "inProgress"}
Row = dict[str, Any]
name_of = lru_cache(parse_key_id)


class PlainCount:
    """One kept connection to a server."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def on_dictionaries(self, estate: Estate) -> Tally:
        """The rules written out for dictionaries, one pass."""
        count: Counter[str] = Counter()
        by_key: Counter[str] = Counter()
        last_expiry = newest = ""
        for row in self._rows(estate):
            text = row.get("masterKeyUUID")
            named = name_of(text) if text is not None else None
            by_key[named or ""] += 1
            if named == RETIRING:
                expires_at, created_at = row.get("expiresAt"), row.get("createdAt")
                if expires_at is None:
                    count["without_expiry"] += 1
                elif expires_at > last_expiry:
                    last_expiry = expires_at
                if created_at is not None and created_at > newest:
                    newest = created_at
                if _on_demand(row):
                    count["on_demand"] += 1
            elif named != NOW_USED:
                status = row["status"]
                count["unfinished" if status in _UNFINISHED else status if status == "failed" else "unidentified"] += 1
        times = {"last_expiry": _time(last_expiry), "newest": _time(newest)}
        sums = {"read": by_key.total(), "of_this_key": by_key[RETIRING]}
        return Tally(**sums, **count, **times, by_key=tuple(sorted(by_key.items())))

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
    )


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
