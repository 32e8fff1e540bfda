"""How records lie in the table of DynamoDB, and what its errors become."""

from base64 import urlsafe_b64decode
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import msgspec
import pytest
from botocore.stub import Stubber
from figures import FULL_SIZE, tell
from tracked import ARN, NOW, audit, deletion, key, noise, notice, project, rotation, save, walk

from chalicelib.adapters.tracker import DynamoTracker, notice_from_stream
from chalicelib.domain.records import Proof, Reason
from chalicelib.domain.vocabulary import KeyState
from chalicelib.usecases.ports import Conflict, Due, PermanentError, TemporaryError


def test_the_trail_lies_beside_the_records_in_order(stored, store):
    save(stored, project(), audit=(audit(why="because"), audit(what="another")))

    rows = sorted(sk for pk, sk in store.items() if pk == "AUDIT#p1")

    assert rows == ["ENTRY#0000000001", "ENTRY#0000000002", "HEAD"]


def test_only_projects_and_keys_are_listed_and_only_due_records_are_in_the_time_index(stored, store):
    save(stored, project(), rotation(next_look_at=NOW), key(), deletion(), notices=(notice(),), audit=(audit(),))

    lying = store.items().items()

    assert {i["kind"]["S"] for _, i in lying if "kind" in i} == {"PROJECT", "KEY"}
    assert {i["due_kind"]["S"]: i["due_at"]["S"] for _, i in lying if "due_kind" in i} == {
        "rotation": "2027-03-01T09:30:00.000000Z",
        "notice": "2027-03-01T09:30:00.000000Z",
    }


def test_fields_of_a_newer_version_are_passed_over_and_missing_ones_take_their_default(stored, store):
    save(stored, project(drift=("key",)))
    item = store.items()["PROJECT#p1", "PROJECT"]
    body = msgspec.json.decode(item["body"]["S"])
    del body["drift"]
    store.client.put_item(
        TableName=store.table, Item=item | {"body": {"S": msgspec.json.encode(body | {"new": 1}).decode()}}
    )

    assert stored.project("p1").drift == ()


def test_a_row_that_was_taken_out_by_hand_is_missed_by_no_history(stored, store):
    save(stored, rotation("r1"), rotation("r2"), audit=(audit(), audit(what="second")))
    for pk, sk in (("PROJECT#p1", "ROTATION#r1"), ("AUDIT#p1", "ENTRY#0000000002")):
        store.client.delete_item(TableName=store.table, Key={"pk": {"S": pk}, "sk": {"S": sk}})

    assert [one.rotation_id for one in stored.rotations("p1", None, 9).items] == ["r2"]
    assert [link.number for link in stored.activity(None, 9).items] == [1]


def test_a_damaged_record_is_an_error_and_not_an_absence(stored, store):
    save(stored, project())
    item = store.items()["PROJECT#p1", "PROJECT"]
    store.client.put_item(TableName=store.table, Item=item | {"body": {"S": '{"project_id": 7}'}})

    with pytest.raises(PermanentError, match="PROJECT#p1"):
        stored.project("p1")
    with pytest.raises(PermanentError, match="PROJECT#p1"):
        stored.projects(None, 10)


def proof(document):
    return Proof(digest="abc", at=NOW, arn=ARN, document=document)


def test_a_record_lies_as_text_that_people_can_read_unless_it_is_large(stored, store):
    save(stored, project(), proof('{"projects": []}'), key(reasons=(Reason(kind="snapshots", text="x" * 70_000),)))

    kinds = {sk.partition("#")[0]: {*item["body"]} for (_, sk), item in store.items().items() if "version" in item}

    assert kinds == {"PROJECT": {"S"}, "PROOF": {"S"}, "KEY": {"B"}}


def test_a_large_record_that_was_stored_as_text_is_read_as_well(stored, store):
    large = replace(proof("x" * 300_000), version=1)
    save(stored, proof("{}"))
    ((_, item),) = store.items().items()
    store.client.put_item(TableName=store.table, Item=item | {"body": {"S": msgspec.json.encode(large).decode()}})

    assert stored.proof(ARN, "abc") == large


def test_a_large_record_that_is_damaged_is_an_error_and_not_an_absence(stored, store):
    save(stored, proof("x" * 300_000))
    ((_, item),) = store.items().items()
    store.client.put_item(TableName=store.table, Item=item | {"body": {"B": item["body"]["B"][:-9]}})

    with pytest.raises(PermanentError, match="PROOF#"):
        stored.proof(ARN, "abc")


def test_a_link_whose_key_is_missing_is_an_error_and_not_an_absence(stored, store):
    save(stored, key())
    place = {"pk": {"S": f"KEY#{ARN.key_id}"}, "sk": {"S": f"KEY#{ARN.account}#{ARN.region}"}}
    store.client.delete_item(TableName=store.table, Key=place)

    with pytest.raises(PermanentError, match=ARN.key_id):
        stored.keys_of("p1")


def test_a_process_that_did_not_read_the_key_itself_links_whoever_joins(store):
    save(store.tracker, key(projects=("p1",)))
    read = store.tracker.key(ARN)

    save(store.tracker, replace(read, projects=("p1", "p2")))

    assert store.tracker.keys_of("p2") == (store.tracker.key(ARN),)


def test_a_process_whose_memory_of_a_key_is_old_links_whoever_joins(store):
    old = store.tracker
    save(old, key(projects=("p1",)))
    save(store.tracker, replace(store.tracker.key(ARN), projects=("p1", "p2")))

    save(old, replace(store.tracker.key(ARN), projects=("p1", "p2", "p3")))

    assert [len(old.keys_of(name)) for name in ("p1", "p2", "p3")] == [1, 1, 1]


def test_a_key_that_was_read_is_changed_without_another_read_and_writes_no_link_again(stored, store):
    save(stored, key(projects=("p1", "p2")))
    read, asked = stored.key(ARN), []
    store.client.meta.events.register("before-call.dynamodb", lambda model, **_: asked.append(model.name), "reads")
    heard = store.listen()

    save(stored, replace(read, state=KeyState.RETIRING))
    save(stored, replace(read, state=KeyState.CURRENT, version=2))

    store.client.meta.events.unregister("before-call.dynamodb", unique_id="reads")
    assert asked[-2:] == ["TransactWriteItems"] * 2
    assert {event["dynamodb"]["Keys"]["pk"]["S"] for event in heard()} == {f"KEY#{ARN.key_id}"}


def test_a_cursor_tells_nothing_but_names(stored):
    save(stored, project("p1"), project("p2"))
    cursor = stored.projects(None, 1).next

    shown = msgspec.json.decode(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))

    assert shown == {"pk": "PROJECT#p1", "sk": "PROJECT", "kind": "PROJECT"}


def test_the_stream_tells_each_record_once_in_order_and_a_notice_is_read_from_it(stored, store):
    heard = store.listen()
    save(stored, project(), rotation(), key(), notices=(notice(),), audit=(audit(),))
    sent = stored.update_notice(replace(stored.notice("n1"), sent_at=NOW))

    events = [(event["eventName"], event["dynamodb"]["NewImage"]) for event in heard()]

    assert sorted(name for name, _ in events) == ["INSERT"] * 7 + ["MODIFY"]
    notices = [read for _, image in events if (read := notice_from_stream(image)) is not None]
    assert notices == [replace(notice(), version=1), sent]


def test_a_change_that_was_refused_leaves_nothing_in_the_stream(stored, store):
    save(stored, project())
    heard = store.listen()

    with pytest.raises(Conflict):
        save(stored, rotation(), project(), notices=(notice(),))

    assert heard() == []


def test_a_call_whose_answer_was_lost_is_repeated_by_the_client_and_still_writes_once(stored, store):
    sent = []

    def lose_the_first_answer(request_dict, **_):
        sent.append(request_dict)
        return 0 if len(sent) == 1 else None  # a number has botocore send the very same request once more

    event = "needs-retry.dynamodb.TransactWriteItems"
    store.client.meta.events.register_first(event, lose_the_first_answer)

    save(stored, project(), notices=(notice(),), audit=(audit(),))

    store.client.meta.events.unregister(event, lose_the_first_answer)
    assert [len(sent), sent[0]["body"]] == [2, sent[1]["body"]]
    assert stored.project("p1").version == 1


def test_a_token_that_stood_for_another_change_is_refused(store):
    def write(name):
        put = {"TableName": store.table, "Item": {"pk": {"S": name}, "sk": {"S": name}}}
        store.client.transact_write_items(TransactItems=[{"Put": put}], ClientRequestToken="one token")

    write("first")
    write("first")

    with pytest.raises(store.client.exceptions.IdempotentParameterMismatchException):
        write("second")


def test_the_time_index_and_the_listing_are_read_across_pages_of_a_megabyte(stored):
    weight = noise(400_000)
    heavy = [project(f"p{n}", drift=(weight,), next_reminder_at=NOW + timedelta(seconds=n)) for n in range(8)]
    for one in heavy:
        save(stored, one)

    listed = walk(stored.projects, 100)

    assert [p.project_id for p in listed] == [f"p{n}" for n in range(8)]
    assert list(stored.due(Due.REMINDER, NOW + timedelta(hours=1))) == [(f"p{n}",) for n in range(8)]


def test_keys_of_a_name_are_read_across_pages_of_a_megabyte(stored):
    regions = ["eu-west-1", "eu-west-2", "eu-west-3", "us-east-1", "us-east-2"]
    weight = (Reason(kind="snapshots", text=noise(400_000)),)
    for region in regions:
        save(stored, key(replace(ARN, region=region), reasons=weight))

    assert [k.arn.region for k in stored.keys_named(ARN.key_id)] == regions
    assert [k.arn.region for k in stored.keys_of("p1")] == regions


def test_a_record_larger_than_an_item_may_be_is_refused_for_good_and_nothing_is_saved(stored):
    with pytest.raises(PermanentError):
        save(stored, rotation(), project(drift=(noise(600_000),)))

    assert stored.rotation("p1", "r1") is None


def test_in_every_round_of_eight_claims_of_one_rotation_there_is_one_winner(store, request):
    rounds = 200 if FULL_SIZE else 10
    stored = store.tracker

    def claim(read):
        try:
            save(stored, replace(read, lease_until=NOW + timedelta(minutes=3)), audit=(audit(what=f"{uuid4()}"),))
        except TemporaryError:  # a Conflict, or one that DynamoDB would have us repeat: neither has won
            return 0
        return 1

    winners = []
    with ThreadPoolExecutor(8) as threads:
        for number in range(rounds):
            save(stored, rotation(f"r{number}"))
            read = stored.rotation("p1", f"r{number}")
            winners.append(sum(threads.map(claim, [read] * 8)))

    tell(table=request.node.callspec.id, rounds=rounds, claims=8 * rounds, winners=sum(winners))
    assert winners == [1] * rounds


def test_eight_writers_of_different_records_all_win(stored):
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda n: save(stored, project(f"p{n}"), rotation(f"r{n}", f"p{n}")), range(8)))

    assert len(walk(stored.projects, 3)) == 8


def test_eight_threads_that_each_add_to_one_record_until_it_is_saved_lose_nothing(stored):
    save(stored, project())

    def add(number):
        while True:
            read = stored.project("p1")
            try:
                save(stored, replace(read, drift=(*read.drift, f"{number}")))
            except (Conflict, TemporaryError):
                continue
            return

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(add, range(8)))

    assert sorted(stored.project("p1").drift) == [f"{n}" for n in range(8)]
    assert stored.project("p1").version == 9


def stubbed(aws):
    client = aws.client("dynamodb")
    return client, Stubber(client)


def found(name):
    place = {"pk": {"S": f"PROJECT#{name}"}, "sk": {"S": "PROJECT"}, "kind": {"S": "PROJECT"}}
    return place | {"body": {"S": msgspec.json.encode(project(name)).decode()}}


def ends_at(name):
    return {"LastEvaluatedKey": {part: found(name)[part] for part in ("pk", "sk", "kind")}}


# moto names no place to go on from at the very end of a list and has no pages of 1 MB; DynamoDB does and has.
@pytest.mark.parametrize(
    ("answer", "shown", "goes_on"),
    [
        ({"Items": [found("p1"), found("p2"), found("p3")], **ends_at("p3")}, ["p1", "p2"], True),
        ({"Items": [found("p1"), found("p2")]}, ["p1", "p2"], False),
        ({"Items": [found("p1")], **ends_at("p1")}, ["p1"], True),
        ({"Items": [], **ends_at("p0")}, [], True),
    ],
)
def test_a_page_goes_on_only_where_there_is_or_may_be_more(aws, answer, shown, goes_on):
    client, stubber = stubbed(aws)
    asked = {
        "TableName": "t",
        "IndexName": "listing",
        "KeyConditionExpression": "kind = :kind",
        "ExpressionAttributeValues": {":kind": {"S": "PROJECT"}},
        "Limit": 3,
    }
    stubber.add_response("query", answer, asked)

    with stubber:
        page = DynamoTracker(client, "t").projects(None, 2)

    assert ([p.project_id for p in page.items], page.next is not None) == (shown, goes_on)


def test_what_is_due_is_read_to_its_last_page(aws):
    client, stubber = stubbed(aws)
    stubber.add_response("query", {"Items": [found("p1")], **ends_at("p1")})
    stubber.add_response("query", {"Items": [], **ends_at("p1")})
    stubber.add_response("query", {"Items": [found("p2")]})

    with stubber:
        assert list(DynamoTracker(client, "t").due(Due.REMINDER, NOW)) == [("p1",), ("p2",)]


REFUSALS = [
    ("get_item", "ThrottlingException", 400, TemporaryError),
    ("get_item", "ProvisionedThroughputExceededException", 400, TemporaryError),
    ("get_item", "InternalServerError", 500, TemporaryError),
    ("get_item", "SomethingNew", 503, TemporaryError),
    ("get_item", "ExpiredTokenException", 400, TemporaryError),
    ("get_item", "AccessDeniedException", 400, PermanentError),
    ("get_item", "ResourceNotFoundException", 400, PermanentError),
    ("transact_write_items", "TransactionInProgressException", 400, TemporaryError),
    ("transact_write_items", "ValidationException", 400, PermanentError),
]


@pytest.mark.parametrize(("operation", "code", "status", "expected"), REFUSALS)
def test_an_error_of_dynamodb_becomes_one_of_ours(aws, operation, code, status, expected):
    client, stubber = stubbed(aws)
    with stubber:
        stubber.add_client_error(operation, code, "said so", http_status_code=status)
        tracker = DynamoTracker(client, "t")

        with pytest.raises(expected) as seen:
            tracker.project("p1") if operation == "get_item" else save(tracker, project())

    assert (type(seen.value), seen.value.code, seen.value.call) == (expected, code, operation)


@pytest.mark.parametrize(
    ("reasons", "expected"),
    [
        (["None", "ConditionalCheckFailed"], Conflict),
        (["TransactionConflict", "None"], Conflict),
        (["ThrottlingError", "None"], TemporaryError),
        (["ProvisionedThroughputExceeded", "None"], TemporaryError),
        (["ValidationError", "None"], PermanentError),
    ],
)
def test_a_cancelled_transaction_is_judged_by_its_reasons(aws, reasons, expected):
    client, stubber = stubbed(aws)
    with stubber:
        stubber.add_client_error(
            "transact_write_items",
            "TransactionCanceledException",
            modeled_fields={"CancellationReasons": [{"Code": reason} for reason in reasons]},
        )
        tracker = DynamoTracker(client, "t")

        with pytest.raises(expected) as seen:
            save(tracker, project(), rotation())

    assert type(seen.value) is expected


def test_an_address_where_nobody_answers_is_a_temporary_error(aws):
    from botocore.config import Config
    from botocore.session import get_session

    client = get_session().create_client(
        "dynamodb",
        region_name="us-east-1",
        endpoint_url="http://127.0.0.1:9",
        aws_access_key_id="a",
        aws_secret_access_key="b",
        config=Config(retries={"total_max_attempts": 1}),
    )

    with pytest.raises(TemporaryError, match="no answer"):
        DynamoTracker(client, "t").project("p1")
