"""The proof behind a verdict: what was read, what was counted, and the digest that people approve."""

import hashlib
import json
from dataclasses import asdict
from datetime import datetime
from typing import Any

from chalicelib.domain.evidence import Evidence
from chalicelib.domain.records import Proof, Reason


def document(seen: Evidence, reasons: tuple[Reason, ...]) -> Proof:
    """Write the verdict document of one sweep; its SHA-256 names it."""
    text = json.dumps(
        {
            "key": str(seen.key.arn),
            "at": _text(seen.gathered_at),
            "atlas_date": _text(seen.atlas_date),
            "reasons": [asdict(reason) for reason in reasons],
            "projects": [asdict(project) for project in seen.projects],
            "clean_since": _text(seen.key.clean_since),
            "attestation": {
                "by": seen.key.attested_by,
                "at": _text(seen.key.attested_at),
                "says": seen.key.attestation,
            },
            "last_use_known_to_kms": asdict(seen.used) if seen.used is not None else None,
        },
        sort_keys=True,
        separators=(",", ":"),
        default=_text,
    )
    return Proof(digest=hashlib.sha256(text.encode()).hexdigest(), at=seen.gathered_at, arn=seen.key.arn, document=text)


def _text(value: Any) -> str | None:  # noqa: ANN401 - json hands over whatever it does not know
    return value.isoformat() if isinstance(value, datetime) else None if value is None else str(value)
