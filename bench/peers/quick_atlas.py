"""An Atlas that costs next to nothing: a process of its own, answers rendered once, the same delay before each.

`python quick_atlas.py SECONDS` prints its port. It answers as many connections as come, counts what it was asked and
what it said, and gives both at `/counts`, which sets them to zero.
"""

import asyncio
import http.client
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from typing import cast
from urllib.parse import parse_qs, urlsplit

BENCH = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(BENCH)] if str(BENCH) not in sys.path else []

from peers import quick_pages as pages  # noqa: E402 - found by the line above
from peers.estate import Estate  # noqa: E402 - the same

TOKEN = json.dumps({"access_token": "quick", "expires_in": 3600, "token_type": "Bearer"}).encode()
DEFAULT_PAGE = 100


@dataclass(frozen=True, kw_only=True)
class Counted:
    """What the server was asked since it was last looked at, by kind, and the bytes of all bodies it sent."""

    calls: dict[str, int]
    sent: int

    @property
    def asked(self) -> int:
        """Calls but for the token, which a warm Lambda shares among sweeps."""
        return sum(count for kind, count in self.calls.items() if kind != "token")


@dataclass(frozen=True, kw_only=True)
class QuickAtlas:
    """A running server."""

    port: int

    @property
    def address(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def counts(self) -> Counted:
        """What it counted, which begins anew."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("GET", "/counts")
        said = json.load(connection.getresponse())
        connection.close()
        return Counted(calls={kind: count for kind, count in said.items() if kind != "bytes"}, sent=said["bytes"])


@contextmanager
def quick_atlas(*, latency: float = 0.0) -> Iterator[QuickAtlas]:
    """A server in a process of its own that waits so many seconds before each answer; stopped at the end."""
    command = [sys.executable, __file__, str(latency)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        try:
            if running.stdout is None:
                raise RuntimeError("the quick Atlas says nothing")
            yield QuickAtlas(port=int(running.stdout.readline()))
        finally:
            running.terminate()


def answer(target: str) -> tuple[str, bytes]:
    """What kind of call this is, and the body that answers it; ValueError for calls that it does not know."""
    split = urlsplit(target)
    if split.path == "/api/oauth/token":
        return "token", TOKEN
    asked = {name: values[-1] for name, values in parse_qs(split.query).items()}
    page = int(asked.get("itemsPerPage", DEFAULT_PAGE)), int(asked.get("pageNum", 1))
    _, _, _, _, _, project_id, *rest = split.path.split("/")
    estate = Estate.named(project_id)
    match rest:
        case ["encryptionAtRest"]:
            return "settings", pages.settings()
        case ["clusters"]:
            deleted_too = asked.get("includeDeletedWithRetainedBackups") == "true"
            return "clusters", pages.clusters(estate, *page, deleted_too=deleted_too)
        case ["clusters", cluster, "backup", *what]:
            return "/".join(what), _of_backups(estate, cluster, what, page)
    raise ValueError(target)


def _of_backups(estate: Estate, cluster: str, what: list[str], page: tuple[int, int]) -> bytes:
    """What one cluster shows; each has its snapshots in one of the two lists."""
    sharded = cluster.startswith("sharded")
    match what:
        case ["snapshots", "shardedClusters"] if sharded:
            return pages.snapshots(estate, max(1, estate.snapshots), 1)
        case ["snapshots"] if not sharded:
            return pages.snapshots(estate, *page)
        case ["schedule"]:
            return pages.schedule(cluster)
    return pages.EMPTY


class _Connection(asyncio.Protocol):
    """One kept connection; requests on it come one after another."""

    def __init__(self, latency: float, counted: Counter[str]) -> None:
        self._latency, self._counted = latency, counted
        self._pending = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        self._pending += data
        head, end, rest = self._pending.partition(b"\r\n\r\n")
        if not end or len(rest) < _length(head):
            return
        self._pending = b""
        target = head.split(b" ", 2)[1].decode()
        body = self._tell() if target == "/counts" else self._answer(target)
        lines = f"Date: {formatdate(usegmt=True)}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        whole = f"HTTP/1.1 200 OK\r\n{lines}\r\n\r\n".encode() + body
        asyncio.get_running_loop().call_later(self._latency, self._transport.write, whole)

    def _answer(self, target: str) -> bytes:
        kind, body = answer(target)
        self._counted.update({kind: 1, "bytes": len(body)})
        return body

    def _tell(self) -> bytes:
        told = json.dumps({"bytes": 0, **self._counted}).encode()
        self._counted.clear()
        return told


def _length(head: bytes) -> int:
    lines = head.lower().split(b"\r\n")
    return next((int(line.partition(b":")[2]) for line in lines if line.startswith(b"content-length:")), 0)


async def serve(latency: float) -> None:
    """Answer until the process is ended."""
    counted: Counter[str] = Counter()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(latency, counted), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1])))
