"""Media types: every operation speaks one version, and a version may be on its way out."""

from datetime import datetime, timedelta

from werkzeug.datastructures import Headers
from werkzeug.http import http_date

from sandbox.atlas.operation import Operation
from sandbox.atlas.refusals import Refusal

_VERSIONED = "application/vnd.atlas."
_NOTICE = timedelta(days=365)


def check_versions(operation: Operation, headers: Headers, sunset: datetime | None, now: datetime) -> dict[str, str]:
    """Refuse what this operation does not speak; give the headers that warn of a version's end."""
    _check_accept(operation, headers.get("Accept", ""))
    if operation.method in {"PATCH", "PUT", "POST"}:
        _check_content(operation, headers.get("Content-Type", ""))
    if sunset is None:
        return {}
    if sunset <= now:
        raise Refusal(410, "VERSION_GONE", f"{operation.media_type} is gone.", (operation.version,))
    return {"Deprecation": http_date(sunset - _NOTICE), "Sunset": http_date(sunset)}


def _check_accept(operation: Operation, accept: str) -> None:
    if operation.media_type in accept:
        return
    text = f"This resource speaks {operation.media_type} only."
    raise Refusal(406 if _VERSIONED in accept else 400, "INVALID_VERSION_DATE", text, (accept,))


def _check_content(operation: Operation, content_type: str) -> None:
    if content_type.partition(";")[0].strip() != operation.media_type:
        text = f"The body has to be {operation.media_type}."
        raise Refusal(415, "UNSUPPORTED_MEDIA_TYPE", text, (content_type,))
