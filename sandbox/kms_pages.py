"""Lists in pages, as KMS gives them: `Limit`, `Marker`, `NextMarker`, `Truncated`."""

from collections.abc import Sequence

from sandbox.kms_calls import Answer, Call
from sandbox.kms_errors import KmsError


def page(call: Call, name: str, items: Sequence[object], *, limit: int) -> Answer:
    """One page of `items` under `name`; the marker is the place where the next page starts."""
    start = _start(call.given("Marker", "0"), len(items))
    end = start + call.given("Limit", limit)
    answer: Answer = {name: list(items[start:end]), "Truncated": end < len(items)}
    if end < len(items):
        answer["NextMarker"] = str(end)
    return answer


def _start(marker: str, size: int) -> int:
    if not marker.isdecimal() or int(marker) > size:
        raise KmsError("InvalidMarkerException", "The marker is not one that KMS gave.")
    return int(marker)
