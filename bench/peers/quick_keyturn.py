"""An API of Keyturn's that costs next to nothing: pages of a fleet rendered once, the same delay before each answer.

`python quick_keyturn.py SECONDS PROJECTS` prints its port; it counts what it was asked and gives the count at `/count`.
"""

import json
import sys
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

from chalicelib.domain.arn import KeyArn  # noqa: E402 - after the line above
from chalicelib.domain.records import Project  # noqa: E402 - the same
from chalicelib.usecases.show import project_shape  # noqa: E402 - the same

PAGE = 100
NOW = datetime.now(tz=UTC)


def _project(number: int) -> dict[str, object]:
    arn = KeyArn(account="111122223333", region="eu-west-1", key_id=f"11111111-2222-3333-4444-{number:012d}")
    since = NOW - timedelta(days=number % 120)
    name = f"{number:024x}"
    return project_shape(
        Project(project_id=name, name=f"team-{number}", organization="o", seen_at=NOW, key=arn, key_since=since), None
    )


def pages(projects: int) -> list[bytes]:
    """The whole list, as the API gives it."""
    starts = range(0, projects, PAGE)
    return [
        json.dumps(
            {
                "items": [_project(number) for number in range(start, min(start + PAGE, projects))],
                "next": str(index + 1) if start + PAGE < projects else None,
            }
        ).encode()
        for index, start in enumerate(starts)
    ]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    rendered: list[bytes]
    seconds: float
    asked = 0

    def do_GET(self) -> None:
        """Answer one page, or whatever else `keyturn status` asks."""
        url = urlsplit(self.path)
        if url.path == "/count":
            self._answer(json.dumps({"asked": type(self).asked}).encode())
            type(self).asked = 0
            return
        type(self).asked += 1
        time.sleep(self.seconds)
        if url.path == "/v1/projects":
            self._answer(self.rendered[int(parse_qs(url.query).get("cursor", ["0"])[0])])
        else:
            self._answer(json.dumps({"items": [], "next": None, "retiring": None}).encode())

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def main() -> None:
    """Serve until the process is ended."""
    _Handler.seconds, _Handler.rendered = float(sys.argv[1]), pages(int(sys.argv[2]))
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        print(server.server_port, flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
