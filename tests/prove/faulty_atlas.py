"""An Atlas whose every answer to a sweep is good, but for one: the calls of a sweep, and how an answer can go wrong."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace

from atlas_stand_in import API, TOKEN, TOKEN_PATH, Asked, Reply, StandIn
from fake_atlas import PROJECT, ROLE_ID, a_key

CURRENT = a_key(2)
GROUP = f"{API}/groups/{PROJECT}"
Body = dict[str, object]


@dataclass(frozen=True, kw_only=True)
class Place:
    """One call of a sweep: its path, and what else tells it from its like."""

    path: str
    retained: bool = False
    page: int = 1

    def __str__(self) -> str:
        also = " with deleted" if self.retained else ""
        return f"{self.path.removeprefix(GROUP) or '/'}{also}{f' page {self.page}' if self.page > 1 else ''}"

    def is_asked(self, asked: Asked, *, any_page: bool) -> bool:
        retained = "includeDeletedWithRetainedBackups" in asked.query
        same = asked.path == self.path and retained == self.retained
        return same and (any_page or int(asked.query.get("pageNum", "1")) == self.page)


def _backup(cluster: str, tail: str, **more: int) -> Place:
    return Place(path=f"{GROUP}/clusters/{cluster}/backup/{tail}", **more)


_LISTS = ("snapshots", "snapshots/shardedClusters", "restoreJobs", "exports")
PLACES = (
    Place(path=TOKEN_PATH),
    Place(path=f"{GROUP}/encryptionAtRest"),
    Place(path=f"{GROUP}/clusters", retained=True),
    Place(path=f"{GROUP}/clusters"),
    _backup("main", "snapshots", page=2),
    *(_backup(cluster, tail) for cluster in ("main", "big", "gone") for tail in _LISTS),
    *(_backup(cluster, "schedule") for cluster in ("main", "big")),
)
"""Every call that a sweep of this world makes."""


def _cluster(name: str, kind: str = "REPLICASET") -> Body:
    return {
        "id": name.encode().hex().rjust(24, "0"),
        "name": name,
        "clusterType": kind,
        "stateName": "IDLE",
        "paused": False,
        "encryptionAtRestProvider": "AWS",
        "backupEnabled": True,
        "pitEnabled": True,
        "replicationSpecs": [{"regionConfigs": [{"providerName": "AWS", "electableSpecs": {"instanceSize": "M10"}}]}],
    }


def _snapshot(number: int) -> Body:
    return {
        "id": f"{number:024x}",
        "status": "completed",
        "snapshotType": "scheduled",
        "masterKeyUUID": CURRENT.key_id,
        "createdAt": "2027-02-27T12:00:00Z",
        "expiresAt": "2027-03-06T12:00:00Z",
    }


def _page(*rows: Body, total: int | None = None, goes_on: bool = False) -> Body:
    links = [{"rel": rel, "href": "http://localhost:8080/elsewhere"} for rel in ("self", *["next"] * goes_on)]
    return {"links": links, "results": list(rows), "totalCount": len(rows) if total is None else total}


def _good(asked: Asked) -> Body:
    """What Atlas answers when all is well: nothing in it needs the old key."""
    if asked.path == TOKEN_PATH:
        return {"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer"}
    tail = asked.path.removeprefix(GROUP)
    if tail == "/encryptionAtRest":
        aws = {"enabled": True, "customerMasterKeyID": str(CURRENT), "roleId": ROLE_ID, "valid": True}
        return {"awsKms": {**aws, "region": "EU_WEST_1"}}
    if tail == "/clusters":
        gone = [_cluster("gone")] if "includeDeletedWithRetainedBackups" in asked.query else []
        return _page(_cluster("main"), _cluster("big", "SHARDED"), *gone)
    _, _, name, _, *kind = tail.split("/")
    return _of_cluster(name, "/".join(kind), int(asked.query.get("pageNum", "1")))


def _of_cluster(name: str, kind: str, page: int) -> Body:
    match name, kind:
        case "main", "snapshots":
            return _page(_snapshot(min(page, 2)), total=2, goes_on=page == 1)
        case _, "snapshots" | "snapshots/shardedClusters":
            return _page(_snapshot(9), _snapshot(10))
        case _, "restoreJobs":
            return _page({"id": "a" * 24, "deliveryType": "automated", "finishedAt": "2027-02-01T12:00:00Z"})
        case _, "exports":
            return _page({"id": "b" * 24, "state": "Successful"})
        case _:
            return {"clusterId": _cluster(name)["id"], "restoreWindowDays": 7, "copySettings": []}


Spoil = Callable[[Body], Reply | None]
"""What becomes of a good answer; None where this cannot go wrong with it."""


def _status(status: int, code: str = "SOME_CODE", **headers: str) -> Spoil:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = {"error": status, "errorCode": code, "detail": "it went wrong"}
    return lambda _: Reply(status=status, body=body, headers=named)


def _body(body: object, **headers: str) -> Spoil:
    return lambda _: Reply(body=body, headers={name.replace("_", "-"): value for name, value in headers.items()})


def _cut(part: Callable[[int], int]) -> Spoil:
    return lambda good: Reply(body=good, cut=part(len(json.dumps(good))))


def _changed(**parts: Body) -> Spoil:
    """Put other values into the one part that each kind of answer cannot do without."""

    def spoil(good: Body) -> Reply:
        name = next(name for name in ("results", "awsKms", "clusterId", "access_token") if name in good)
        body = {**good, name: parts[name]} if name in parts else {k: v for k, v in good.items() if k != name}
        return Reply(body=body)

    return spoil


def _rows(change: Callable[[Body], Body]) -> Spoil:
    def spoil(good: Body) -> Reply | None:
        rows = good.get("results")
        if not isinstance(rows, list) or change(rows[-1]) == rows[-1]:
            return None
        return Reply(body={**good, "results": [*rows[:-1], change(rows[-1])]})

    return spoil


def _dates(text: str) -> Callable[[Body], Body]:
    return lambda row: {name: text if name in {"createdAt", "expiresAt", "finishedAt"} else row[name] for name in row}


def _wrong_total(good: Body) -> Reply | None:
    total = good.get("totalCount")
    return Reply(body={**good, "totalCount": total + 1}) if isinstance(total, int) else None


def _endless(good: Body) -> Reply | None:
    return Reply(body={**good, "links": [{"rel": "next"}]}) if "results" in good else None


def _not_utf8(good: Body) -> Reply:
    return Reply(body=json.dumps(good).encode().replace(b": ", b": \xff", 1))


_HTML = b"<html><body>Please sign in.</body></html>"
KINDS: dict[str, Spoil] = {
    **{f"status {status}": _status(status) for status in (400, 401, 403, 404, 406, 408, 409, 410)},
    **{f"status {status}": _status(status) for status in (500, 502, 503, 504)},
    "429 with Retry-After": _status(429, "RATE_LIMITED", Retry_After="7"),
    "429 with a Retry-After that nobody can wait for": _status(429, "RATE_LIMITED", Retry_After="86400"),
    "429 without Retry-After": _status(429, "RATE_LIMITED"),
    "access list": _status(403, "IP_ADDRESS_NOT_ON_ACCESS_LIST"),
    "redirect": lambda _: Reply(status=302, body=_HTML, headers={"Location": "http://127.0.0.1:9/"}),
    "no content": lambda _: Reply(status=204, body=b""),
    "an error page of a proxy": lambda _: Reply(status=502, body=_HTML),
    "connection dropped before any answer": lambda _: Reply(drop=True),
    "connection dropped after the headers": _cut(lambda size: size),
    "truncated in the middle": _cut(lambda size: size // 2),
    "truncated by one byte": _cut(lambda size: 1),
    "said to be packed and is not": lambda good: Reply(body=good, headers={"Content-Encoding": "gzip"}),
    "empty body": _body(b""),
    "html with status 200": _body(_HTML, Content_Type="text/html"),
    "cut off and yet whole for HTTP": lambda good: Reply(body=json.dumps(good).encode()[:-2]),
    "no UTF-8": _not_utf8,
    "a list and no object": _body([]),
    "null": _body(b"null"),
    "nested too deep": _body(b'{"note": ' + b"[" * 20_000),
    "refused, nested too deep": lambda _: Reply(status=403, body=b'{"note": ' + b"[" * 20_000),
    "an error with status 200": _body({"error": 500, "errorCode": "UNEXPECTED_ERROR", "detail": "it went wrong"}),
    "an empty object": _body({}),
    "the decisive part missing": _changed(),
    "the decisive part null": _changed(results=None, awsKms=None, clusterId=None, access_token=None),
    "the decisive part of another type": _changed(results={}, awsKms="on", clusterId=5, access_token=["x"]),
    "ids missing": _rows(lambda row: {name: row[name] for name in row if name != "id"}),
    "ids of another type": _rows(lambda row: {**row, "id": 5}),
    "dates that are none": _rows(_dates("some day")),
    "dates of no time zone": _rows(_dates("2027-03-01T12:00:00")),
    "total larger than the list": _wrong_total,
    "next link on every page": _endless,
}
ON_EVERY_PAGE = frozenset({"next link on every page"})


class FaultyAtlas(StandIn):
    """The server: set `place`, `kind` and `lasting`, then sweep. It counts how often the place was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.place: Place | None = None
        self.kind = ""
        self.lasting = True
        self.times = 0

    def order(self, place: Place | None, kind: str = "", *, lasting: bool = True) -> None:
        """Let one call go wrong from now on: every time, or the first time only."""
        self.asked.clear()
        self.place, self.kind, self.lasting, self.times = place, kind, lasting, 0

    def answer(self, asked: Asked) -> Reply:
        self.asked.append(asked)
        good = _good(asked)
        if self.place is None or not self.place.is_asked(asked, any_page=self.kind in ON_EVERY_PAGE):
            return Reply(body=good)
        self.times += 1
        spoilt = KINDS[self.kind](good) if self.lasting or self.times == 1 else None
        return Reply(body=good) if spoilt is None else replace(spoilt)


def good_answer(place: Place) -> Body:
    """What Atlas answers to one call of the sweep when all is well."""
    query = {"pageNum": str(place.page)} | ({"includeDeletedWithRetainedBackups": "true"} if place.retained else {})
    return _good(Asked(method="GET", path=place.path, query=query, headers={}, body=b""))


def spoils(place: Place, kind: str) -> bool:
    """Whether a kind of fault can go wrong with the answer of a call at all."""
    return KINDS[kind](good_answer(place)) is not None
