"""The tracker's table on moto, and a meter before it that counts the units which each request would cost.

Units as DynamoDB's documentation counts them: a write takes one for each KB begun of the whole item, two in a
transaction; an index is written beside the table wherever what it holds has changed, and a changed index key takes two
writes there; a strongly consistent read takes one for each 4 KB begun.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import boto3
from dynamodb_local import REGION, shipped_table
from moto import mock_aws

Item = dict[str, dict[str, Any]]
Place = tuple[str, str]
WRITE_BYTES, READ_BYTES = 1024, 4096
_IN_A_TRANSACTION = 2


@dataclass(kw_only=True)
class Metered:
    """What was written and read since the meter began."""

    items: int = 0
    written_bytes: int = 0
    write_units: int = 0
    read_units: int = 0


def size_of(item: Item) -> int:
    """The bytes that DynamoDB counts for an item: names and values."""
    return sum(len(name.encode()) + _value_size(value) for name, value in item.items())


def units(size: int, per_unit: int = WRITE_BYTES) -> int:
    """Units for so many bytes, at least one."""
    return max(1, -(-size // per_unit))


def _value_size(value: dict[str, Any]) -> int:
    ((kind, content),) = value.items()
    if kind == "N":
        return len(content) // 2 + 2
    return len(content if kind == "B" else content.encode())


@dataclass(kw_only=True)
class MeteredTable:
    """A boto3 client of DynamoDB whose every answered request is metered."""

    client: Any
    name: str
    metered: Metered = field(default_factory=Metered)
    calls: int = 0
    _items: dict[Place, Item] = field(default_factory=dict)

    def __getattr__(self, operation: str) -> Any:  # noqa: ANN401 - whatever boto3 has
        part = getattr(self.client, operation)
        return part if operation == "meta" else self._metering(part)

    def _metering(self, call: Any) -> Any:  # noqa: ANN401 - the same
        def metered(**asked: Any) -> Any:  # noqa: ANN401 - the same
            self.calls += 1
            answer = call(**asked)
            for write in asked.get("TransactItems", ()):
                self._meter_write(write["Put"]["Item"])
            self.metered.read_units += _read_units(answer)
            return answer

        return metered

    def _meter_write(self, item: Item) -> None:
        place, size = (item["pk"]["S"], item["sk"]["S"]), size_of(item)
        before = self._items.get(place, {})
        self.metered.items += 1
        self.metered.written_bytes += size
        self.metered.write_units += _IN_A_TRANSACTION * units(size) + sum(_index_units(before, item))
        self._items[place] = item


@contextmanager
def metered_table() -> Iterator[MeteredTable]:
    """An empty table as the stack makes it, with a meter before it."""
    with mock_aws():
        client = boto3.client("dynamodb", region_name=REGION, aws_access_key_id="bench", aws_secret_access_key="bench")
        yield MeteredTable(client=client, name=shipped_table(client)["name"])


def _read_units(answer: dict[str, Any]) -> int:
    """A query reads its items together, other calls read each by itself, and what is not there costs one."""
    if "Items" in answer:
        return units(sum(map(size_of, answer["Items"])), READ_BYTES)
    found = [item for items in answer.get("Responses", {}).values() for item in items]
    found += [answer["Item"]] if "Item" in answer else []
    return sum(units(size_of(item), READ_BYTES) for item in found)


def _index_units(before: Item, item: Item) -> Iterator[int]:
    """What the indexes `listing` (all attributes), `due` and `history` (keys alone) cost beside the table."""
    if "kind" in item and before != item:
        yield units(size_of(item))
    if before.get("due_at") != item.get("due_at"):
        yield ("due_at" in before) + ("due_at" in item)
    if before.get("happened_at") != item.get("happened_at"):
        yield ("happened_at" in before) + ("happened_at" in item)
    if before.get("happened_at") != item.get("happened_at"):
        yield ("happened_at" in before) + ("happened_at" in item)
