"""Looks for planted secrets in whatever left the functions, in every way in which a secret may be written."""

import json
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote, quote_plus

SHORTEST = 8
"""Characters: a shorter part of a secret would be found everywhere."""


@dataclass(frozen=True, order=True)
class Found:
    """A canary in a sink: which secret, written how."""

    secret: str
    form: str
    sink: str


def forms(secret: str) -> dict[str, str]:
    """Every way of writing a secret that is looked for, by its name; base64 as it stands within something longer."""
    raw = secret.encode()
    written = {
        "plain": secret,
        "JSON": json.dumps(secret)[1:-1],
        "URL": quote(secret, safe=""),
        "form": quote_plus(secret),
        "hex": raw.hex(),
        "HEX": raw.hex().upper(),
        **{f"base64 after {before}": _within(raw, before) for before in range(3)},
    }
    web = {name: text.translate(str.maketrans("+/", "-_")) for name, text in written.items() if "base64" in name}
    written |= {f"{name}, for URLs": text for name, text in web.items()}
    return {name: text for name, text in written.items() if len(text) >= SHORTEST}


def _within(raw: bytes, before: int) -> str:
    """The letters that stand in base64 for these bytes alone, when so many others come before and any after them."""
    text = b64encode(b"\0" * before + raw).decode().rstrip("=")
    first = -(-before * 8 // 6)
    whole = (before + len(raw)) * 8 // 6
    return text[first:whole]


class Searcher:
    """Knows the planted secrets, each by a name."""

    def __init__(self) -> None:
        self._patterns: dict[str, tuple[str, str]] = {}

    def plant(self, name: str, secret: str) -> None:
        """Look for this secret from now on."""
        self._patterns |= {text: (name, form) for form, text in forms(secret).items()}

    @property
    def patterns(self) -> int:
        """How many texts are looked for."""
        return len(self._patterns)

    def found(self, sink: str, text: str) -> Iterator[Found]:
        """Every canary in a text."""
        for pattern, (name, form) in self._patterns.items():
            if pattern in text:
                yield Found(name, form, sink)
