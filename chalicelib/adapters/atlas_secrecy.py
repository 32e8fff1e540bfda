"""Finds a secret in what others say, however they wrote it: Atlas, or a proxy before it, may repeat what it got."""

from base64 import b64encode
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import quote, quote_plus

SHORTEST = 6
"""Characters: a shorter text would be found everywhere, and is no secret worth the name."""

_FOR_URLS = str.maketrans("+/", "-_")


@lru_cache(maxsize=512)
def ways_to_write(secret: str) -> tuple[str, ...]:
    """A secret as it is, for URLs, in hex, and in base64 as it stands within something longer; longest first."""
    raw = secret.encode("utf-8", "surrogatepass")
    in_base64 = [_within_base64(raw, before) for before in range(3)]
    for_urls = [text.translate(_FOR_URLS) for text in in_base64]
    # JSON's and Python's backslashes: no secret of Atlas or AWS has anything that they escape
    plain = [secret, quote(secret, safe="", errors="replace"), quote_plus(secret, errors="replace")]
    every = {*plain, raw.hex(), raw.hex().upper(), *in_base64, *for_urls}
    return tuple(sorted((text for text in every if len(text) >= SHORTEST), key=len, reverse=True))


def _within_base64(raw: bytes, before: int) -> str:
    """The letters that stand for these bytes alone, when so many others come before them and any after."""
    text = b64encode(b"\0" * before + raw).decode().rstrip("=")
    return text[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6]


def is_in(text: str, secrets: Iterable[str]) -> bool:
    """Whether a text repeats any of the secrets."""
    return any(way in text for secret in secrets for way in ways_to_write(secret))


def blank(text: str, secrets: Iterable[str], mark: str) -> str:
    """The text, with a mark wherever one of the secrets stands."""
    for secret in secrets:
        for way in ways_to_write(secret):
            text = text.replace(way, mark)
    return text
