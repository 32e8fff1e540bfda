"""One call of the API, as the operations see it."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar
from urllib.parse import urlencode

from sandbox.atlas.answers import LINKS_HOST, Body
from sandbox.atlas.model import Project
from sandbox.atlas.rates import Rate
from sandbox.atlas.refusals import bad_request
from sandbox.atlas.world import AtlasWorld

MOST_ITEMS = 500
DEFAULT_ITEMS = 100
Item = TypeVar("Item")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A call that was let in: its place, its ids, its query and its body."""

    world: AtlasWorld
    path: str
    ids: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    query_lists: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """What `query` shows one value of, with all its values."""
    raw: bytes = b""
    account: str = ""
    """The client id of who asks."""
    rates: Mapping[str, Rate] = field(default_factory=dict)

    @property
    def project(self) -> Project:
        """The project in the path; GROUP_NOT_FOUND when there is none."""
        return self.world.ground.project(self.ids["groupId"])

    def every(self, name: str) -> frozenset[str]:
        """Every value that the query gives a parameter, separated by commas or repeated."""
        return frozenset(one for text in self.query_lists.get(name, ()) for one in text.split(",") if one)

    def moment(self, name: str) -> datetime | None:
        """The moment that the query names; refused when it is none, None when the query is silent."""
        text = self.query.get(name)
        if text is None:
            return None
        try:
            moment = datetime.fromisoformat(text)
        except ValueError as strange:
            raise bad_request("INVALID_QUERY_PARAMETER", f"{name} is not a moment.", name) from strange
        return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)

    def flag(self, name: str) -> bool:
        """Whether a flag of the query is set."""
        return self.query.get(name) == "true"

    def body(self) -> dict[str, object]:
        """The body, a JSON object; refused otherwise."""
        try:
            body = json.loads(self.raw)
        except ValueError as broken:
            raise bad_request("INVALID_JSON", "The body is not JSON.") from broken
        if not isinstance(body, dict):
            raise bad_request("INVALID_JSON", "The body is not a JSON object.")
        return body

    def page(self, items: Sequence[Item], show: Callable[[Item], Body], *, counted: bool = True) -> Body:
        """The page of a list that was asked for, with links to itself and the next one.

        `counted` is what `includeCount` is when it is not given.
        """
        size = self._number("itemsPerPage", DEFAULT_ITEMS, most=MOST_ITEMS)
        number = self._number("pageNum", 1)
        chosen = items[(number - 1) * size : number * size]
        counts = self.query.get("includeCount", "true" if counted else "false") == "true"
        links = [self._link("self", number, size)]
        if number * size < len(items):
            links.append(self._link("next", number + 1, size))
        body: Body = {"links": links, "results": [show(item) for item in chosen]}
        return body | {"totalCount": len(items) if counts else 0}

    def _link(self, rel: str, number: int, size: int) -> Body:
        others = {name: value for name, value in self.query.items() if name not in {"pageNum", "itemsPerPage"}}
        query = urlencode({**others, "itemsPerPage": size, "pageNum": number})
        return {"href": f"{LINKS_HOST}{self.path}?{query}", "rel": rel}

    def _number(self, name: str, default: int, *, most: int | None = None) -> int:
        text = self.query.get(name, str(default))
        if not text.isdecimal() or int(text) < 1 or (most is not None and int(text) > most):
            raise bad_request("INVALID_QUERY_PARAMETER", f"{name} cannot be {text}.", name)
        return int(text)
