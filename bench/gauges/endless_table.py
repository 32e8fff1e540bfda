"""A table of any number of projects, answering the tracker's requests as DynamoDB would; it counts what it reads.

Records are made when they are asked for, so that a million of them take no memory; the index of what is due is sorted
by time as DynamoDB sorts it, and a query reads the range that it names and nothing else.
"""

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

Item = dict[str, Any]


@dataclass(kw_only=True)
class EndlessTable:
    """A stand-in for a boto3 client: `due` are the times in the index, in order, `record` makes an item."""

    kind: str
    due: list[str]
    record: Callable[[int], Item]
    found: int = 0
    """Items that queries of the index have read."""
    read: int = 0
    """Records that were read by their names."""
    heads: int = 0
    """Heads of audit chains that were asked for before something is written; none is there yet."""
    written: int = 0
    meta: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(partition="aws"))

    def query(self, **asked: Any) -> Item:  # noqa: ANN401 - DynamoDB's own request
        """What the index `due` holds up to a time, of one kind; no other query is known here."""
        assert asked["IndexName"] == "due", asked
        values = asked["ExpressionAttributeValues"]
        if values[":kind"]["S"] != self.kind:
            return {"Items": []}
        until = bisect_right(self.due, values[":now"]["S"])
        self.found += until
        return {"Items": [_keys(number) for number in range(until)]}

    def get_item(self, **asked: Any) -> Item:  # noqa: ANN401 - the same
        """One record by its name."""
        self.read += 1
        return {"Item": self.record(int(asked["Key"]["pk"]["S"].removeprefix("PROJECT#")))}

    def batch_get_item(self, **asked: Any) -> Item:  # noqa: ANN401 - the same
        """The heads of chains that have not begun."""
        self.heads += sum(len(wanted["Keys"]) for wanted in asked["RequestItems"].values())
        return {"Responses": {table: [] for table in asked["RequestItems"]}}

    def transact_write_items(self, **asked: Any) -> Item:  # noqa: ANN401 - the same
        """Take what is written, and count it."""
        self.written += len(asked["TransactItems"])
        return {}


def _keys(number: int) -> Item:
    return {"pk": {"S": f"PROJECT#{number:024d}"}, "sk": {"S": "PROJECT"}}
