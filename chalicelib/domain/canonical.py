"""One way to write a value down, and the digest of what is written: anybody can compute it again.

The writing is the JSON Canonicalization Scheme (RFC 8785) for what we have: texts, whole numbers, truth values, null,
lists, and objects with ASCII names. Keys are sorted, nothing is put between the tokens, and the text is UTF-8.
"""

import hashlib
import json
from typing import Any


def canonical(value: Any) -> bytes:  # noqa: ANN401 - whatever JSON has
    """A value in its one writing."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "surrogatepass")


def digest_of(value: Any) -> str:  # noqa: ANN401 - the same
    """SHA-256 of a value's one writing, in hexadecimal."""
    return hashlib.sha256(canonical(value)).hexdigest()
