"""Reads whole lists of Atlas, or fails: a list that may miss an item is an error, never a shorter list.

Atlas numbers its pages, so items shift between pages while a list is read. A list of several pages is
therefore read until two readings in a row show the same items. That is enough: an item is only missed when
one that was shown before it disappears meanwhile, and that one is missing in the next reading. Between
readings only a digest of the ids is kept, and the pages of a reading are kept packed.
"""

import hashlib
import zlib
from array import array
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property
from itertools import count
from typing import Generic, TypeVar

import msgspec

from chalicelib.adapters.atlas_answers import read_answer
from chalicelib.adapters.atlas_calls import ITEMS_PER_PAGE, Call
from chalicelib.adapters.atlas_http import AtlasHttp
from chalicelib.adapters.atlas_shapes import Page
from chalicelib.usecases.ports import PermanentError, TemporaryError

READINGS = 4
"""How often a list is read before it counts as too restless to read."""

Row = TypeVar("Row", bound=msgspec.Struct)


class Rows(Generic[Row]):
    """How the rows of one kind of list are read, packed and told apart."""

    def __init__(self, row: type[Row], id_of: Callable[[Row], str]) -> None:
        page = Page[row]  # type: ignore[valid-type]  # the type of the rows is only known here
        self.id_of = id_of
        self.decoder: msgspec.json.Decoder[Page[Row]] = msgspec.json.Decoder(page)
        self._unpacked = msgspec.msgpack.Decoder(list[row])  # type: ignore[valid-type]  # the same

    def pack(self, rows: list[Row]) -> bytes:
        """Make rows small, in a tenth of the time that reading them took."""
        return zlib.compress(msgspec.msgpack.encode(rows), level=1)

    def unpack(self, packed: bytes) -> list[Row]:
        """Give rows back as they were."""
        return self._unpacked.decode(zlib.decompress(packed))


class _Reading(Generic[Row]):
    """One reading of a list from its first page to its last; unless `kept`, of many pages only the last stays."""

    def __init__(self, rows: Rows[Row], *, kept: bool) -> None:
        self._rows = rows
        self._kept = kept
        self._packed: deque[bytes] = deque()
        self._last: list[Row] = []
        self._ids: set[int] = set()
        self._claimed = 0
        self._stuck = False
        self.pages = 0

    def add(self, page: Page[Row]) -> bool:
        """Take a page; False when nothing follows it, or nothing that could be believed."""
        if self._kept and self.pages:
            self._packed.append(self._rows.pack(self._last))
        before = len(self._ids)
        self._last = page.results
        self._ids.update(map(hash, map(self._rows.id_of, page.results)))
        self._claimed = max(self._claimed, page.total_count or 0)
        self.pages += 1
        self._stuck = page.goes_on and len(self._ids) == before
        return page.goes_on and not self._stuck

    @property
    def lack(self) -> str:
        """What speaks against this reading by itself; empty when nothing does."""
        if self._stuck:
            return f"page {self.pages} shows nothing new and yet the list goes on"
        missing = len(self._ids) < self._claimed
        return f"Atlas counts {self._claimed} items and showed {len(self._ids)}" if missing else ""

    @cached_property
    def digest(self) -> bytes | None:
        """The same for the same set of items in any order, within this process; None when it stopped short."""
        if self._stuck:
            return None
        return hashlib.blake2b(array("q", sorted(self._ids)), digest_size=32).digest()

    def results(self) -> Iterator[list[Row]]:
        """The rows, page by page, once."""
        self._ids.clear()
        while self._packed:
            yield self._rows.unpack(self._packed.popleft())
        yield self._last


def read_pages(http: AtlasHttp, call: Call, rows: Rows[Row]) -> Iterator[list[Row]]:
    """Give the rows of a paged list, page by page, from a reading that was found complete."""
    earlier: bytes | None = None
    lack = ""
    for _ in range(READINGS):
        reading = _read_once(http, call, rows, kept=earlier is not None)
        lack = reading.lack
        if not lack and (reading.pages == 1 or reading.digest == earlier):
            yield from reading.results()
            return
        earlier = reading.digest
        del reading  # before the next one grows
    raise _incomplete(call, lack) if lack else _unstable(call)


def read_single_page(http: AtlasHttp, call: Call, rows: Rows[Row]) -> list[Row]:
    """Give the rows of a list that has no paging; one that goes on cannot be read and is an error."""
    page = read_answer(rows.decoder, call, http.read(call))
    if page.goes_on:
        message = f"{call}: the list goes on, but Atlas offers no way to read on: not complete"
        raise PermanentError(message, call=str(call), code="incomplete_list")
    reading = _Reading(rows, kept=False)
    reading.add(page)
    if reading.lack:
        raise _incomplete(call, reading.lack)
    return page.results


def _read_once(http: AtlasHttp, call: Call, rows: Rows[Row], *, kept: bool) -> _Reading[Row]:
    reading = _Reading(rows, kept=kept)
    for number in count(1):
        page = read_answer(rows.decoder, call, http.read(replace(call, page=number)))
        if not reading.add(page):
            break
    if page.links is None and len(page.results) >= ITEMS_PER_PAGE:
        raise _incomplete(call, "Atlas does not say whether the list goes on after a full page")
    return reading


def _incomplete(call: Call, why: str) -> TemporaryError:
    message = f"{call}: {why}: the list is not complete, it is read again later"
    return TemporaryError(message, call=str(call), code="incomplete_list")


def _unstable(call: Call) -> TemporaryError:
    message = f"{call}: {READINGS} readings in a row showed different items: the list is read again later"
    return TemporaryError(message, call=str(call), code="unstable_list")
