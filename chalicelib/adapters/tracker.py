"""The tracker in DynamoDB: one table, conditional writes, one transaction a step.

Every record is its JSON in `body`, compressed where it is large, with the attributes that conditions and indexes need
beside it. The index `due` finds work by time, the index `listing` pages through the fleet, and the index `history` has
what happened in the order of time; all may lag, so nobody decides from them.
"""

import base64
import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import uuid4

import msgspec
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, ParamValidationError
from botocore.parsers import ResponseParserError

from chalicelib.domain.arn import KeyArn
from chalicelib.domain.chain import Head, Link, Trail, extend, outgrown
from chalicelib.domain.records import (
    WATCH,
    AuditEntry,
    Change,
    Deletion,
    Desk,
    Fleet,
    Key,
    Notice,
    Project,
    Proof,
    Record,
    Rotation,
    Watch,
)
from chalicelib.usecases.ports import Conflict, Due, OutsideError, Page, PermanentError, TemporaryError

Item = dict[str, Any]
Kept = TypeVar("Kept", bound=Record | Notice)

Content = TypeVar("Content")

MOST_WRITES = 100
"""What DynamoDB takes in one transaction."""

LARGEST_TEXT = 64 * 1024
"""Bytes of a record that lies as text, which people can read in the table; DynamoDB takes 400 kB for an item."""

_LOST_A_RACE = {"ConditionalCheckFailed", "TransactionConflict"}
_OVERLOADED = {"ThrottlingError", "ProvisionedThroughputExceeded"}
_SERVER_FAILED = 500
_MAY_PASS = {
    "ExpiredTokenException",
    "InternalServerError",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ServiceUnavailable",
    "ThrottlingException",
    "TransactionInProgressException",
}

_MOST_AT_ONCE = 100
"""How many records BatchGetItem takes."""

_CHAIN, _ENTRY, _HEAD = "AUDIT#", "ENTRY#", "HEAD"
"""A subject's chain, its entries and its head: that comes last, and what is older than chains (a time) comes first."""
_ENTRIES = "ENTRY"
"""The history that every entry of every chain is in."""
_LOOKS_AT_A_TRAIL = 3
_MOST_REMEMBERED = 1000


class DynamoTracker:
    """Keyturn's memory in one DynamoDB table."""

    def __init__(
        self,
        client: Any,  # noqa: ANN401 - boto3 ships no types
        table_name: str,
        request_id: Callable[[], str] = str,
    ) -> None:
        self._client = client
        self._table = table_name
        self._request_id = request_id
        """Names the call that causes what is written now, for the audit trail; empty when none does."""
        self._heads: dict[str, Head] = {}
        """Where chains ended when this process last saw them: a guess that saves a read, and that a write checks."""
        self._linked: dict[KeyArn, tuple[int, frozenset[str]]] = {}
        """The version of each key when this process last saw it, and the projects that it had and so is linked to."""

    def project(self, project_id: str) -> Project | None:
        """One project."""
        return self._get(f"PROJECT#{project_id}", "PROJECT", Project)

    def projects(self, cursor: str | None, limit: int) -> Page[Project]:
        """The fleet, page by page."""
        return self._listing("PROJECT", cursor, limit, Project)

    def fleet(self) -> Fleet:
        """What holds for every project."""
        return self._get("FLEET", "FLEET", Fleet) or Fleet()

    def desk(self, group: str) -> Desk | None:
        """Where one group's digests are written."""
        return self._get(f"DESK#{group}", "DESK", Desk)

    def rotation(self, project_id: str, rotation_id: str) -> Rotation | None:
        """One rotation; the head of its project's chain comes along, for the step that will be written behind it."""
        place, head = (f"PROJECT#{project_id}", f"ROTATION#{rotation_id}"), (_chain_of(project_id), _HEAD)
        found = {(item["pk"]["S"], item["sk"]["S"]): item for item in self._get_items([place, head])}
        if head in found:
            self._remember({project_id: _decoded(found[head], Head)})
        return _decoded(found[place], Rotation) if place in found else None

    def rotations(self, project_id: str, cursor: str | None, limit: int) -> Page[Rotation]:
        """A project's rotations, page by page, the latest request first."""
        return self._history(_rotations_of(project_id), cursor, limit, Rotation)

    def key(self, arn: KeyArn) -> Key | None:
        """One key."""
        found = self._get(*_place_of(arn), Key)
        self._remember_links(() if found is None else (found,))
        return found

    def keys_named(self, key_id: str) -> tuple[Key, ...]:
        """Every key with this bare id."""
        found = tuple(
            _decoded(item, Key)
            for item in self._query_all(
                KeyConditionExpression="pk = :pk AND begins_with(sk, :sk)",
                ExpressionAttributeValues={":pk": {"S": f"KEY#{key_id}"}, ":sk": {"S": "KEY#"}},
                ConsistentRead=True,
            )
        )
        self._remember_links(found)
        return found

    def keys(self, cursor: str | None, limit: int) -> Page[Key]:
        """All keys, page by page."""
        page = self._listing("KEY", cursor, limit, Key)
        self._remember_links(page.items)
        return page

    def keys_of(self, project_id: str) -> tuple[Key, ...]:
        """Every key that the project uses or ever used; a link without its key is damage, not an empty answer."""
        links = self._query_all(
            KeyConditionExpression="pk = :pk AND begins_with(sk, :sk)",
            ExpressionAttributeValues={":pk": {"S": f"PROJECT#{project_id}"}, ":sk": {"S": "KEY#"}},
            ConsistentRead=True,
        )
        arns = [_decoded(link, KeyArn) for link in links]
        items = self._get_items([_place_of(arn) for arn in arns])
        found = {key.arn: key for key in (_decoded(item, Key) for item in items)}
        lost = [arn for arn in arns if arn not in found]
        if lost:
            text = f"the tracker links project {project_id} to {lost[0]}, but has no such key: restore the table"
            raise PermanentError(text, call="batch_get_item", code="damaged")
        self._remember_links(found.values())
        return tuple(found[arn] for arn in arns)

    def deletion(self, deletion_id: str) -> Deletion | None:
        """One request to delete a key."""
        return self._get(f"DELETION#{deletion_id}", "DELETION", Deletion)

    def proof(self, arn: KeyArn, digest: str) -> Proof | None:
        """A stored verdict document."""
        return self._get(f"KEY#{arn.key_id}", f"PROOF#{arn.account}#{arn.region}#{digest}", Proof)

    def notice(self, notice_id: str) -> Notice | None:
        """One notice."""
        return self._get(f"NOTICE#{notice_id}", "NOTICE", Notice)

    def watch(self) -> Watch | None:
        """What was last found out about Keyturn itself."""
        return self._get(f"WATCH#{WATCH}", "WATCH", Watch)

    def trail(self, subject: str) -> Trail:
        """The audit trail about one subject, oldest entry first.

        A query reads item by item, and may meet a commit that is half visible: what looks torn is read again.
        """
        for _ in range(_LOOKS_AT_A_TRAIL):
            found = self._trail(subject)
            if not found.torn:
                break
        return found

    def _trail(self, subject: str) -> Trail:
        items = list(
            self._query_all(
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues={":pk": {"S": _chain_of(subject)}},
                ConsistentRead=True,
            )
        )
        heads = [_decoded(item, Head) for item in items if item["sk"]["S"] == _HEAD]
        chained = [item for item in items if item["sk"]["S"].startswith(_ENTRY)]
        loose = [item for item in items if item["sk"]["S"] != _HEAD and item not in chained]
        return Trail(
            subject=subject,
            unchained=tuple(_decoded(item, AuditEntry) for item in loose),
            links=tuple(_decoded(item, Link) for item in chained),
            head=heads[0] if heads else None,
        )

    def activity(self, cursor: str | None, limit: int) -> Page[Link]:
        """The audit trail of the whole fleet, page by page, newest entry first."""
        return self._history(_ENTRIES, cursor, limit, Link)

    def due(self, kind: Due, now: datetime) -> Iterator[tuple[str, ...]]:
        """The names of everything due, longest overdue first."""
        for item in self._query_all(
            IndexName="due",
            KeyConditionExpression="due_kind = :kind AND due_at <= :now",
            ExpressionAttributeValues={":kind": {"S": kind}, ":now": {"S": instant(now)}},
        ):
            yield _name(item["pk"]["S"], item["sk"]["S"], self._client.meta.partition)

    def commit(self, change: Change) -> None:
        """Save all of a change or nothing, in one transaction."""
        joining = tuple(self._links_to_come(change))
        remembered = self._remembered(change)
        if remembered:
            with suppress(Conflict):
                self._save(change, joining, remembered)
                return
        self._save(change, joining, self._read_heads(change))

    def _links_to_come(self, change: Change) -> Iterator[Item]:
        """A link for each project that its key did not have before: for all of them a transaction is too small."""
        for key in change.records:
            if isinstance(key, Key):
                joining = set(key.projects) - self._linked_before(key)
                yield from (_link(project_id, key.arn) for project_id in sorted(joining))

    def _linked_before(self, key: Key) -> frozenset[str]:
        """The projects that the key had at the version it was read at: each was saved together with its link."""
        if key.version == 0:
            return frozenset()
        version, projects = self._linked.get(key.arn, (0, frozenset[str]()))
        if version == key.version:
            return projects
        stored = self.key(key.arn)
        if stored is None or stored.version != key.version:
            raise Conflict(f"somebody else wrote first: key {key.arn}", call="get_item")
        return frozenset(stored.projects)

    def _remember_links(self, keys: Iterable[Key]) -> None:
        if len(self._linked) > _MOST_REMEMBERED:
            self._linked.clear()
        self._linked |= {key.arn: (key.version, frozenset(key.projects)) for key in keys}

    def _save(self, change: Change, joining: tuple[Item, ...], heads: dict[str, Head]) -> None:
        """Save a change, its entries behind these heads, and the heads moved: no two writers can follow one head."""
        lost = outgrown(heads, change.trails_read)
        if lost:
            raise Conflict(f"somebody else wrote first: the trail of {', '.join(lost)}", call="batch_get_item")
        links = extend(heads, change.audit, self._request_id())
        ends = {link.entry.subject: Head(number=link.number, hash=link.hash) for link in links}
        moved = [_head_item(subject, end, heads.get(subject)) for subject, end in ends.items()]
        written = [*_items(change), *joining, *map(_link_item, links), *moved]
        self._transact([self._put(item) for item in written])
        self._remember(ends)
        self._remember_links(_next_version(record) for record in change.records if isinstance(record, Key))

    def _remembered(self, change: Change) -> dict[str, Head]:
        """The heads as this process saw them last; none where it does not know all, or they must be the latest."""
        subjects = {entry.subject for entry in change.audit}
        if change.trails_read or not subjects <= self._heads.keys():
            return {}
        return {subject: self._heads[subject] for subject in subjects}

    def _remember(self, heads: dict[str, Head]) -> None:
        if len(self._heads) > _MOST_REMEMBERED:
            self._heads.clear()
        self._heads |= heads

    def _read_heads(self, change: Change) -> dict[str, Head]:
        subjects = dict.fromkeys(entry.subject for entry in change.audit)
        return {
            item["pk"]["S"].removeprefix(_CHAIN): _decoded(item, Head)
            for item in self._get_items([(_chain_of(subject), _HEAD) for subject in subjects])
        }

    def update_notice(self, notice: Notice) -> Notice:
        """Save how far the sending of a notice has come."""
        self._transact([self._put(_notice_item(notice))])
        return _next_version(notice)

    def _transact(self, puts: list[Item]) -> None:
        """Write all or nothing.

        The token belongs to this one call: botocore's own repetitions of it write once, and its lost answer does not
        come back as somebody else's write. A token made from the content would let two writers of the same content
        both believe that they won.
        """
        _check_size(puts)
        _check_written_once(puts)
        self._call(
            "transact_write_items", TransactItems=[{"Put": put} for put in puts], ClientRequestToken=str(uuid4())
        )

    def _get(self, pk: str, sk: str, kind: type[Kept]) -> Kept | None:
        answer = self._call(
            "get_item", TableName=self._table, Key={"pk": {"S": pk}, "sk": {"S": sk}}, ConsistentRead=True
        )
        return _decoded(answer["Item"], kind) if "Item" in answer else None

    def _get_items(self, places: list[tuple[str, str]]) -> Iterator[Item]:
        """Items by their places, a hundred a call as DynamoDB has it; what is not there is left out."""
        wanted = [{"pk": {"S": pk}, "sk": {"S": sk}} for pk, sk in places]
        while wanted:
            asked, rest = wanted[:_MOST_AT_ONCE], wanted[_MOST_AT_ONCE:]
            request = {self._table: {"Keys": asked, "ConsistentRead": True}}
            answer = self._call("batch_get_item", RequestItems=request)
            yield from answer["Responses"].get(self._table, [])
            put_off = answer.get("UnprocessedKeys", {}).get(self._table, {}).get("Keys", [])
            if len(put_off) == len(asked):
                text = "DynamoDB put off every record that was asked for: ask again in a while"
                raise TemporaryError(text, call="batch_get_item", code="unprocessed")
            wanted = put_off + rest

    def _listing(self, kind: str, cursor: str | None, limit: int, record: type[Kept]) -> Page[Kept]:
        answer = self._query(
            IndexName="listing",
            KeyConditionExpression="kind = :kind",
            ExpressionAttributeValues={":kind": {"S": kind}},
            Limit=limit + 1,
            **_start(cursor, kind=kind),
        )
        return _page(answer, limit, ("pk", "sk", "kind"), record)

    def _history(self, of: str, cursor: str | None, limit: int, kind: type[Content]) -> Page[Content]:
        """What happened, the newest first: the index holds places alone, and what lies there is read strongly.

        Where nothing lies any more, as the index lags behind a row that was taken out by hand, nothing is shown.
        """
        answer = self._query(
            IndexName="history",
            KeyConditionExpression="history = :history",
            ExpressionAttributeValues={":history": {"S": of}},
            ScanIndexForward=False,
            Limit=limit + 1,
            **_start(cursor, "happened_at", history=of),
        )
        shown, cut = _cut(answer, limit, ("pk", "sk", "history", "happened_at"))
        places = [(item["pk"]["S"], item["sk"]["S"]) for item in shown]
        found = {(item["pk"]["S"], item["sk"]["S"]): item for item in self._get_items(places)}
        return Page(items=tuple(_decoded(found[place], kind) for place in places if place in found), next=cut)

    def _query(self, **arguments: Any) -> Item:  # noqa: ANN401 - DynamoDB's own request
        return self._call("query", TableName=self._table, **arguments)

    def _query_all(self, **arguments: Any) -> Iterator[Item]:  # noqa: ANN401 - DynamoDB's own request
        start: Item = {}
        while True:
            answer = self._query(**arguments, **start)
            yield from answer["Items"]
            if "LastEvaluatedKey" not in answer:
                return
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    def _put(self, item: Item) -> Item:
        """A Put that goes through only if the item still has the version it was read at."""
        item = dict(item)
        read_at, follows = item.pop("read_at", None), item.pop("follows", None)
        put: Item = {"TableName": self._table, "Item": item}
        if read_at == 0:
            put["ConditionExpression"] = "attribute_not_exists(pk)"
        elif follows is not None:
            put["ConditionExpression"] = "body = :follows"
            put["ExpressionAttributeValues"] = {":follows": follows}
        elif read_at is not None:
            put["ConditionExpression"] = "version = :read_at"
            put["ExpressionAttributeValues"] = {":read_at": {"N": str(read_at)}}
        return put

    def _call(self, operation: str, **arguments: Any) -> Item:  # noqa: ANN401 - DynamoDB's own request
        try:
            answer: Item = getattr(self._client, operation)(**arguments)
        except ClientError as error:
            raise _ours(error, operation, _names_of(arguments)) from error
        except (NoCredentialsError, ParamValidationError) as error:
            raise PermanentError(f"DynamoDB {operation} cannot be asked: {error}", call=operation) from error
        except (BotoCoreError, ResponseParserError) as error:
            raise TemporaryError(f"DynamoDB {operation} got no answer: {error}", call=operation) from error
        return answer


def _place_of(arn: KeyArn) -> tuple[str, str]:
    return f"KEY#{arn.key_id}", f"KEY#{arn.account}#{arn.region}"


def instant(moment: datetime) -> str:
    """A time as text that sorts like time: UTC, microseconds, `Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def notice_from_stream(image: Item) -> Notice | None:
    """The notice in a stream record's new image, None when it is something else."""
    if image.get("sk", {}).get("S") != "NOTICE" or "body" not in image:
        return None
    return _decoded(image, Notice)


def _items(change: Change) -> Iterator[Item]:
    yield from map(_record_item, change.records)
    yield from map(_notice_item, change.notices)


def _record_item(record: Record) -> Item:  # noqa: PLR0911 - a line a kind of record
    match record:
        case Project():
            due = Due.DIGEST if record.in_digest else Due.REMINDER
            return _item(f"PROJECT#{record.project_id}", "PROJECT", record, due, listed=True)
        case Rotation():
            item = _item(f"PROJECT#{record.project_id}", f"ROTATION#{record.rotation_id}", record, Due.ROTATION)
            return item | _happened(_rotations_of(record.project_id), record.requested_at, record.rotation_id)
        case Key():
            return _item(*_place_of(record.arn), record, Due.SWEEP, listed=True)
        case Deletion():
            return _item(f"DELETION#{record.deletion_id}", "DELETION", record, Due.DELETION)
        case Proof():
            place = f"PROOF#{record.arn.account}#{record.arn.region}#{record.digest}"
            return _item(f"KEY#{record.arn.key_id}", place, record, None)
        case Watch():
            return _item(f"WATCH#{record.name}", "WATCH", record, None)
        case Fleet():
            return _item("FLEET", "FLEET", record, None)
        case Desk():
            return _item(f"DESK#{record.group}", "DESK", record, Due.UNMARKED)


def _item(pk: str, sk: str, record: Record | Notice, due: Due | None, *, listed: bool = False) -> Item:
    saved = _next_version(record)
    item: Item = {
        "pk": {"S": pk},
        "sk": {"S": sk},
        "body": _body(saved),
        "version": {"N": str(saved.version)},
        "read_at": record.version,
    }
    if listed:
        item["kind"] = {"S": sk.split("#", 1)[0]}
    if due is not None and record.due is not None:
        item |= {"due_kind": {"S": due}, "due_at": {"S": instant(record.due)}}
    return item


def _body(record: Record | Notice) -> Item:
    """A record's JSON, compressed where it is large; a notice's never is, for streams hand on bytes in another form."""
    written = msgspec.json.encode(record)
    if isinstance(record, Notice) or len(written) <= LARGEST_TEXT:
        return {"S": written.decode()}
    return {"B": zlib.compress(written)}


def _link(project_id: str, arn: KeyArn) -> Item:
    body = msgspec.json.encode(arn).decode()
    return {"pk": {"S": f"PROJECT#{project_id}"}, "sk": {"S": f"KEY#{arn}"}, "body": {"S": body}}


def _notice_item(notice: Notice) -> Item:
    return _item(f"NOTICE#{notice.notice_id}", "NOTICE", notice, Due.NOTICE)


def _chain_of(subject: str) -> str:
    return f"{_CHAIN}{subject}"


def _link_item(link: Link) -> Item:
    item: Item = {
        "pk": {"S": _chain_of(link.entry.subject)},
        "sk": {"S": f"{_ENTRY}{link.number:010}"},
        "body": {"S": msgspec.json.encode(link).decode()},
        "read_at": 0,
    }
    return item | _happened(_ENTRIES, link.entry.at, f"{link.entry.subject}#{link.number:010}")


def _rotations_of(project_id: str) -> str:
    return f"ROTATION#{project_id}"


def _happened(history: str, at: datetime, name: str) -> Item:
    """The place in a history: by time, and in one moment by name, so that no two share it."""
    return {"history": {"S": history}, "happened_at": {"S": f"{instant(at)}#{name}"}}


def _head_item(subject: str, head: Head, before: Head | None) -> Item:
    """A head that takes the place of the one before it, and of no other; None begins a chain."""
    item: Item = {"pk": {"S": _chain_of(subject)}, "sk": {"S": _HEAD}, "body": {"S": _head_body(head)}}
    return item | ({"read_at": 0} if before is None else {"follows": {"S": _head_body(before)}})


def _head_body(head: Head) -> str:
    return msgspec.json.encode(head).decode()


def _next_version(record: Kept) -> Kept:
    return replace(record, version=record.version + 1)


def _decoded(item: Item, kind: type[Content]) -> Content:
    try:
        body = item["body"]
        return msgspec.json.decode(zlib.decompress(body["B"]) if "B" in body else body["S"], type=kind)
    except (KeyError, zlib.error, msgspec.MsgspecError) as error:
        name = f"{item.get('pk')} {item.get('sk')}"
        text = f"the tracker's item {name} cannot be read as {kind.__name__}: {error}"
        raise PermanentError(text, call="decode", code="damaged") from error


def _name(pk: str, sk: str, partition: str) -> tuple[str, ...]:
    kind, _, rest = pk.partition("#")
    if kind == "KEY":
        _, account, region = sk.split("#")
        return (str(KeyArn(account=account, region=region, key_id=rest, partition=partition)),)
    if sk.startswith("ROTATION#"):
        return (rest, sk.removeprefix("ROTATION#"))
    return (rest,)


def _page(answer: Item, limit: int, names: tuple[str, ...], kind: type[Kept]) -> Page[Kept]:
    """The first `limit` items; one more was asked for, to know whether a next page holds anything."""
    shown, cut = _cut(answer, limit, names)
    return Page(items=tuple(_decoded(item, kind) for item in shown), next=cut)


def _cut(answer: Item, limit: int, names: tuple[str, ...]) -> tuple[list[Item], str | None]:
    items: list[Item] = answer["Items"]
    shown = items[:limit]
    last = answer.get("LastEvaluatedKey") if len(items) <= limit else shown[-1]
    return shown, _cursor(last, names) if last else None


def _cursor(last: Item, names: tuple[str, ...]) -> str:
    text = json.dumps({name: last[name]["S"] for name in names})
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _start(cursor: str | None, *names: str, **fixed: str) -> Item:
    if cursor is None:
        return {}
    padded = cursor + "=" * (-len(cursor) % 4)
    try:
        start = msgspec.json.decode(base64.urlsafe_b64decode(padded), type=dict[str, str])
    except (ValueError, msgspec.MsgspecError) as error:
        raise _bad_cursor() from error
    if start.keys() != {"pk", "sk", *names} | fixed.keys() or not start.items() >= fixed.items():
        raise _bad_cursor()
    return {"ExclusiveStartKey": {name: {"S": value} for name, value in start.items()}}


def _bad_cursor() -> PermanentError:
    return PermanentError("this cursor was not given out by this list", call="query", code="bad_cursor")


def _check_size(puts: list[Item]) -> None:
    if len(puts) > MOST_WRITES:
        text = f"a change of {len(puts)} writes is too large: DynamoDB takes {MOST_WRITES} in one transaction"
        raise PermanentError(text, call="transact_write_items", code="too_large")


def _check_written_once(puts: list[Item]) -> None:
    """DynamoDB Local fails the second write's condition, which would read as a race that somebody else won."""
    names = [_name_of(put["Item"]) for put in puts]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        text = f"a change writes {', '.join(twice)} more than once"
        raise PermanentError(text, call="transact_write_items", code="written_twice")


def _names_of(arguments: Item) -> list[str]:
    return [_name_of(written["Put"]["Item"]) for written in arguments.get("TransactItems", ())]


def _name_of(item: Item) -> str:
    return f"{item['pk']['S']} {item['sk']['S']}"


def _ours(error: ClientError, operation: str, names: list[str]) -> OutsideError:
    said = error.response.get("Error", {})
    code, text = said.get("Code", ""), f"DynamoDB {operation}: {said.get('Code')}: {said.get('Message', '')}"
    reasons = [reason.get("Code") for reason in error.response.get("CancellationReasons", ())]
    lost = [name for name, reason in zip(names, reasons, strict=False) if reason in _LOST_A_RACE]
    if code == "TransactionConflictException" or lost:
        return Conflict(f"somebody else wrote first: {', '.join(lost) or operation}", call=operation, code=code)
    if code in _MAY_PASS or _OVERLOADED.intersection(reasons) or _failed_inside(error):
        return TemporaryError(text, call=operation, code=code)
    if code == "ValidationException" and "starting key" in text.lower():
        return _bad_cursor()
    return PermanentError(text, call=operation, code=code)


def _failed_inside(error: ClientError) -> bool:
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return isinstance(status, int) and status >= _SERVER_FAILED
