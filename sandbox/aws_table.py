"""moto's DynamoDB, set right where it would mislead or slow down a story told over virtual years.

- A cancelled transaction in moto swaps the table for a deep copy, stream included: shard iterators go on
  reading the old one, with records of writes that never happened. Here it is undone item by item.
- A write that changes nothing makes no stream record, as in AWS.
- The same ClientRequestToken within ten minutes does not write twice, with other content it is refused.
- A query sorts the whole table in moto; here it looks only at the items that its hash key names. The same
  buckets say at once what is due next.
"""

import copy
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from weakref import WeakKeyDictionary

from moto.dynamodb.exceptions import MockValidationException
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.table import StreamShard, Table

from sandbox.aws_time import replaced

Item = Any  # moto's own class, or None for an item that is not there
Buckets = dict[str, dict[Item, dict[Item, Item]]]
"""Per index and hash value the items in it, by their own keys."""

_TOKEN_LIFE = timedelta(minutes=10)
_INDEX_NAME = 6
"""Where moto's `Table.query` takes the name of the index, counted after the hash key."""


@dataclass(kw_only=True)
class _Touched:
    table: Table
    hash_key: Item
    range_key: Item
    before: Item


class Tables:
    """The corrections, and the buckets they keep; made anew for each pretend AWS."""

    def __init__(self) -> None:
        self._buckets: WeakKeyDictionary[Table, Buckets] = WeakKeyDictionary()

    @contextmanager
    def corrected(self) -> Iterator[None]:
        """Correct moto's DynamoDB until the block ends; calls must come one at a time."""
        with ExitStack() as stack:
            stack.enter_context(replaced(StreamShard, "add", self._adding(StreamShard.add)))
            stack.enter_context(replaced(Table, "query", self._querying(Table.query)))
            transact = self._transacting(DynamoDBBackend.transact_write_items)
            stack.enter_context(replaced(DynamoDBBackend, "transact_write_items", transact))
            yield

    def earliest(self, table: Table, index: str) -> dict[str, str]:
        """The smallest range value per hash value of an index; what has no range value is not in it."""
        schema = next(one.schema for one in table.all_indexes() if one.name == index)
        range_name = next(key["AttributeName"] for key in schema if key["KeyType"] == "RANGE")
        return {
            str(hash_value.value): min(str(item.attrs[range_name].value) for item in items.values())
            for hash_value, items in self._buckets.get(table, {}).get(index, {}).items()
            if items
        }

    def _adding(self, add: Callable[..., None]) -> Callable[..., None]:
        def add_unless_equal(shard: StreamShard, old: Item, new: Item) -> None:
            self._reindex(shard.table, old, new)
            if old is None or new is None or old.attrs != new.attrs:
                add(shard, old, new)

        return add_unless_equal

    def _reindex(self, table: Table, old: Item, new: Item) -> None:
        buckets = self._buckets.setdefault(table, {})
        for index in table.all_indexes():
            named = buckets.setdefault(index.name, {})
            hash_name = next(key["AttributeName"] for key in index.schema if key["KeyType"] == "HASH")
            if _is_in(index, old):
                named[old.attrs[hash_name]].pop((old.hash_key, old.range_key), None)
            if _is_in(index, new):
                named.setdefault(new.attrs[hash_name], {})[new.hash_key, new.range_key] = new

    def _querying(self, query: Callable[..., object]) -> Callable[..., object]:
        def query_few(table: Table, hash_key: Item, *given: object, **named: Any) -> object:  # noqa: ANN401 - moto's
            few = self._candidates(table, hash_key, given, named)
            if few is None:
                return query(table, hash_key, *given, **named)
            with _showing_only(table, few):
                return query(table, hash_key, *given, **named)

        return query_few

    def _candidates(
        self, table: Table, hash_key: Item, given: tuple[object, ...], named: Mapping[str, Any]
    ) -> list[Item] | None:
        index = named.get("index_name", given[_INDEX_NAME] if len(given) > _INDEX_NAME else None)
        if index is None:
            found = table.items.get(hash_key, {})
            return list(found.values()) if table.range_key_attr else [found]
        conditions = named.get("hash_key_conditions") or ()
        if table.stream_shard is None or len(conditions) > 1:
            return None
        value = conditions[0][1] if conditions else hash_key
        return list(self._buckets.get(table, {}).get(str(index), {}).get(value, {}).values())

    def _transacting(self, transact: Callable[..., None]) -> Callable[..., None]:
        def transact_or_undo(backend: DynamoDBBackend, items: list[dict[str, Any]]) -> None:
            touched = _touched_by(backend, items)
            lengths = {one.table: _stream_length(one.table) for one in touched}
            done = False
            try:
                with _tables_copied_as_themselves():
                    transact(backend, items)
                done = True
            finally:
                if not done:
                    self._undo(touched, lengths)

        return transact_or_undo

    def _undo(self, touched: Iterable[_Touched], lengths: Mapping[Table, int]) -> None:
        for one in touched:
            now = one.table.get_item(one.hash_key, one.range_key)
            self._reindex(one.table, now, one.before)
            _put_back(one)
        for table, length in lengths.items():
            if table.stream_shard is not None:
                del table.stream_shard.items[length:]


def _is_in(index: Any, item: Item) -> bool:  # noqa: ANN401 - moto's two kinds of index
    return item is not None and all(key["AttributeName"] in item.attrs for key in index.schema)


def _touched_by(backend: DynamoDBBackend, items: Iterable[dict[str, Any]]) -> list[_Touched]:
    touched = []
    for item in items:
        operation = next(iter(item.values()))
        table = backend.tables.get(operation.get("TableName", ""))
        key = operation.get("Key", operation.get("Item"))
        if table is None or key is None:
            continue
        try:
            hash_key, range_key = backend.get_keys_value(table, key)
        except MockValidationException:
            continue  # moto says the same in a moment, and then nothing of this item was written
        before = copy.deepcopy(table.get_item(hash_key, range_key))
        touched.append(_Touched(table=table, hash_key=hash_key, range_key=range_key, before=before))
    return touched


def _stream_length(table: Table) -> int:
    return 0 if table.stream_shard is None else len(table.stream_shard.items)


def _put_back(one: _Touched) -> None:
    alone = one.table.range_key_attr is None
    bucket: dict[Item, Item] = one.table.items if alone else one.table.items[one.hash_key]
    key = one.hash_key if alone else one.range_key
    if one.before is None:
        bucket.pop(key, None)
    else:
        bucket[key] = one.before


@contextmanager
def _showing_only(table: Table, few: list[Item]) -> Iterator[None]:
    vars(table)["all_items"] = lambda: few
    try:
        yield
    finally:
        del vars(table)["all_items"]


@contextmanager
def _tables_copied_as_themselves() -> Iterator[None]:
    setattr(Table, "__deepcopy__", lambda table, _memo: table)  # noqa: B010 - mypy knows no such attribute
    try:
        yield
    finally:
        delattr(Table, "__deepcopy__")


@dataclass(kw_only=True)
class Tokens:
    """The ClientRequestTokens of transactions seen lately: what each stood for, and when."""

    now: Callable[[], datetime]
    _seen: dict[tuple[str, str], tuple[str, datetime]] = field(default_factory=dict)

    def seen_before(self, account: str, request: Mapping[str, object]) -> bool | None:
        """Whether this very transaction was done already; None when the token stood for another one."""
        token = request.get("ClientRequestToken")
        if not isinstance(token, str):
            return False
        content = json.dumps(request.get("TransactItems"), sort_keys=True)
        before = self._seen.get((account, token))
        if before is None or self.now() - before[1] >= _TOKEN_LIFE:
            return False
        return True if before[0] == content else None

    def remember(self, account: str, request: Mapping[str, object]) -> None:
        """Keep the token of a transaction that succeeded."""
        token = request.get("ClientRequestToken")
        if isinstance(token, str):
            content = json.dumps(request.get("TransactItems"), sort_keys=True)
            self._forget_old()
            self._seen[account, token] = (content, self.now())

    def _forget_old(self) -> None:
        edge = self.now() - _TOKEN_LIFE
        while self._seen and next(iter(self._seen.values()))[1] <= edge:
            del self._seen[next(iter(self._seen))]
