"""How a fault spoils an answer that was good."""

from collections.abc import Callable, Mapping

import msgspec
from werkzeug.wrappers import Response

from sandbox.atlas.answers import LINKS_HOST
from sandbox.atlas.faults import Fault

Garbler = Callable[[dict[str, object], Fault], None]
_DATES = ("createdAt", "expiresAt", "created", "finishedAt")


def spoil(response: Response, fault: Fault) -> None:
    """Change an answer as the fault says; faults of another kind change nothing."""
    if fault.kind == "not_json":
        response.set_data("<html><body>Something else answered.</body></html>")
        response.content_type = "text/html"
    elif fault.kind in _GARBLERS:
        body = msgspec.json.decode(response.get_data())
        if isinstance(body, dict):
            _GARBLERS[fault.kind](body, fault)
            response.set_data(msgspec.json.encode(body))


def _no_results(body: dict[str, object], _fault: Fault) -> None:
    body.pop("results", None)


def _null_results(body: dict[str, object], _fault: Fault) -> None:
    body["results"] = None


def _wrong_total(body: dict[str, object], fault: Fault) -> None:
    total = body.get("totalCount")
    body["totalCount"] = (total if isinstance(total, int) else 0) + fault.amount


def _goes_on(body: dict[str, object], _fault: Fault) -> None:
    links = body.get("links")
    body["links"] = [*(links if isinstance(links, list) else []), {"href": f"{LINKS_HOST}/more", "rel": "next"}]


def _bad_dates(body: dict[str, object], _fault: Fault) -> None:
    for row in _rows(body):
        row.update({name: "some day" for name in _DATES if name in row})


def _unknown_keys(body: dict[str, object], _fault: Fault) -> None:
    for row in _rows(body):
        if "masterKeyUUID" in row:
            row["masterKeyUUID"] = "alias/somebody-elses"


def _no_keys(body: dict[str, object], _fault: Fault) -> None:
    for row in _rows(body):
        row.pop("masterKeyUUID", None)


def _no_ids(body: dict[str, object], _fault: Fault) -> None:
    for row in _rows(body):
        row.pop("id", None)


def _rows(body: dict[str, object]) -> list[dict[str, object]]:
    results = body.get("results")
    return [row for row in results if isinstance(row, dict)] if isinstance(results, list) else [body]


_GARBLERS: Mapping[str, Garbler] = {
    "no_results": _no_results,
    "null_results": _null_results,
    "wrong_total": _wrong_total,
    "goes_on": _goes_on,
    "bad_dates": _bad_dates,
    "unknown_keys": _unknown_keys,
    "no_keys": _no_keys,
    "no_ids": _no_ids,
}
