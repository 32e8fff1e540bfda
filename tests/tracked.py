"""What trackers are given to keep, and the tables that they keep it in."""

from base64 import b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from chalicelib.adapters.tracker import DynamoTracker
from chalicelib.domain.arn import KeyArn
from chalicelib.domain.records import (
    AuditEntry,
    Change,
    Deletion,
    Key,
    Notice,
    Project,
    Rotation,
)
from chalicelib.domain.vocabulary import DeletionState, KeyState, NoticeKind, RotationState, Strategy

NOW = datetime(2027, 3, 1, 9, 30, tzinfo=UTC)
ARN = KeyArn(account="123456789012", region="eu-west-1", key_id="11111111-2222-4333-8444-555555555555")
REPLICATED = "mrk-" + "ab" * 16


@dataclass(frozen=True, kw_only=True)
class Store:
    """A table of DynamoDB's, by whomever, with the tracker in front of it and the stream behind it."""

    client: Any
    table: str
    streams: Any
    stream: str

    @property
    def tracker(self):
        return DynamoTracker(self.client, self.table)

    def items(self):
        pages = self.client.get_paginator("scan").paginate(TableName=self.table)
        return {(i["pk"]["S"], i["sk"]["S"]): i for page in pages for i in page["Items"]}

    def listen(self):
        """Everything that the stream tells from now on, as often as it is asked."""
        shards = self.streams.describe_stream(StreamArn=self.stream)["StreamDescription"]["Shards"]
        place = {"StreamArn": self.stream, "ShardIteratorType": "LATEST"}
        starts = [self.streams.get_shard_iterator(ShardId=s["ShardId"], **place)["ShardIterator"] for s in shards]
        return lambda: [r for start in starts for r in self.streams.get_records(ShardIterator=start)["Records"]]

    def empty(self):
        for pk, sk in self.items():
            self.client.delete_item(TableName=self.table, Key={"pk": {"S": pk}, "sk": {"S": sk}})


def project(name="p1", **more):
    return Project(project_id=name, name=f"Project {name}", organization="o1", seen_at=NOW, **more)


def rotation(name="r1", project_id="p1", **more):
    facts = {"state": RotationState.REQUESTED, "strategy": Strategy.NEW_CMK, "requested_by": "arn:ann"} | more
    facts = {"requested_at": NOW} | facts
    return Rotation(rotation_id=name, project_id=project_id, fingerprint="f", old_key=ARN, **facts)


def key(arn=ARN, projects=("p1",), **more):
    return Key(arn=arn, state=KeyState.RETIRING, projects=projects, first_seen_at=NOW, **more)


def deletion(name="d1", **more):
    facts = {"state": DeletionState.REQUESTED, "digest": "abc", "requested_by": "arn:ann"} | more
    return Deletion(deletion_id=name, arn=ARN, requested_at=NOW, expires_at=NOW + timedelta(days=7), **facts)


def notice(name="n1", **more):
    facts = {"kind": NoticeKind.REMINDER, "subject": "Rotate the key", "text": "It is due."} | more
    return Notice(notice_id=name, created_at=NOW, **facts)


def audit(what="rotation requested", **more):
    return AuditEntry(**{"at": NOW, "who": "arn:ann", "what": what, "subject": "p1"} | more)


def noise(length):
    """Text that becomes hardly shorter than three quarters, however it is compressed."""
    return b64encode(Random(length).randbytes(length * 3 // 4)).decode()


def save(tracker, *records, notices=(), audit=()):
    tracker.commit(Change(records=records, notices=notices, audit=audit))


def arn(number, region="eu-west-1"):
    return KeyArn(account="123456789012", region=region, key_id=f"{number:08d}-2222-4333-8444-555555555555")


def walk(read, limit):
    items, cursor = [], None
    while True:
        page = read(cursor, limit)
        items += page.items
        if page.next is None:
            return items
        cursor = page.next
