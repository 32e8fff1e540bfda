"""How Atlas' keys look, for detect-secrets: it finds a plugin and a filter by this file's path, in its own environment.

Of a pair of API keys (the older way in) the private one is a UUID, as KMS keys, requests and much else are: only where
it stands, by a name or behind its public key, tells it. A service account's id and secret say themselves what they are.
"""

import re
from typing import ClassVar

from detect_secrets.plugins.base import RegexBasedDetector

_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_NAME = r"(?:private|atlas|mongodb|mcli|programmatic)[\w.-]*?key|api[_-]?key|api[_-]?secret"


class AtlasKeyDetector(RegexBasedDetector):  # type: ignore[misc]  # detect-secrets has no types
    """Finds keys of MongoDB Atlas."""

    secret_type: ClassVar[str] = "MongoDB Atlas Key"  # noqa: S105 - a kind of secret
    denylist: ClassVar[list[re.Pattern[str]]] = [
        re.compile(rf"(?i)(?:{_NAME})[\"']?\s*(?:[:=]|\s)+\s*[\"']?({_UUID})\b"),
        re.compile(rf"\b[a-z]{{8}}:({_UUID})\b"),
        re.compile(r"\b(mdb_sa_sk_[A-Za-z0-9_+/=-]{20,})"),
        re.compile(r"\b(mdb_sa_id_[0-9a-f]{24})\b"),
    ]


def is_made_up(secret: str) -> bool:
    """Whether a text counts up, repeats itself, or calls itself an example: nobody is given such a secret."""
    return re.search(r"(.)\1{7}|01234567|EXAMPLE", secret) is not None
