"""The files of the page, read once: what is not among them cannot be asked for."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from cli.console.exchange import Reply

STATIC = Path(__file__).parent / "static"
_KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_FRONT = "index.html"


@cache
def files() -> Mapping[str, Reply]:
    """Every file of the page by its name; the page itself has the empty name too."""
    read = {path.name: _read(path) for path in sorted(STATIC.iterdir()) if path.suffix in _KINDS}
    return read | {"": read[_FRONT]}


def _read(path: Path) -> Reply:
    return Reply(status=200, body=path.read_bytes(), media_type=f"{_KINDS[path.suffix]}; charset=utf-8")
