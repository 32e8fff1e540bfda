"""What leaves: the same promises of the fake and of the adapter, then what SNS, SQS and EventBridge are given."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from botocore.stub import ANY, Stubber
from fake_messages import FakeMessages
from jsonschema import Draft202012Validator

from chalicelib.adapters.messages import Addresses, AwsMessages, DeadLetters
from chalicelib.adapters.messages_shapes import detail, message, subject
from chalicelib.domain.arn import KeyArn
from chalicelib.domain.records import Notice
from chalicelib.domain.vocabulary import Channel, NoticeKind
from chalicelib.usecases.ports import PermanentError, TemporaryError

ROOT = Path(__file__).parent.parent
NOW = datetime(2027, 3, 1, 9, 30, tzinfo=UTC)
ARN = KeyArn(account="123456789012", region="eu-west-1", key_id="11111111-2222-4333-8444-555555555555")


def notice(**more):
    facts = {"kind": NoticeKind.REMINDER, "subject": "Rotate the key", "text": "It is due."} | more
    return Notice(notice_id="n1", created_at=NOW, **facts)


def publish(messages, told):
    for channel in told.channels:
        messages.publish(told, channel)


@pytest.fixture
def addresses(stack):
    return Addresses(
        alerts_topic=stack["AlertsTopic"]["arn"],
        escalations_topic=stack["EscalationsTopic"]["arn"],
        rotations_queue=stack["RotationsQueue"]["url"],
        sweeps_queue=stack["SweepsQueue"]["url"],
        event_bus=stack["EventBus"]["name"],
    )


@pytest.fixture
def real(aws, addresses):
    return AwsMessages(aws.client("sns"), aws.client("sqs"), aws.client("events"), addresses)


class Remembered:
    """The fake, seen the way the real world is."""

    def __init__(self):
        self.messages = FakeMessages()

    def published_ids(self):
        return [n.notice_id for n in self.messages.published]

    def rotation_wakes(self):
        return [(project, rotation) for project, rotation, _ in self.messages.rotation_wakes]

    def hidden_rotation_wakes(self):
        return sum(delay > 0 for *_, delay in self.messages.rotation_wakes)

    def sweep_wakes(self):
        return [str(arn) for arn in self.messages.sweep_wakes]


class Delivered:
    """The pretend AWS, seen from the receiving end since this test began."""

    def __init__(self, messages, aws, addresses):
        self.messages, self._aws, self._to = messages, aws, addresses
        self._seen_before = len(aws.inbox())
        self._sqs = aws.client("sqs")

    def published_ids(self):
        alerts = [m for m in self._aws.inbox()[self._seen_before :] if m["topic"] == self._to.alerts_topic]
        return [m["attributes"]["notice_id"] for m in alerts]

    def rotation_wakes(self):
        return [(b["project_id"], b["rotation_id"]) for b in self._bodies(self._to.rotations_queue)]

    def hidden_rotation_wakes(self):
        name = "ApproximateNumberOfMessagesDelayed"
        url = self._to.rotations_queue
        return int(self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"][name])

    def sweep_wakes(self):
        return [b["key"] for b in self._bodies(self._to.sweeps_queue)]

    def _bodies(self, url):
        answer = self._sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)
        return [json.loads(m["Body"]) for m in answer.get("Messages", [])]


@pytest.fixture(params=["fake", "aws"])
def post(request):
    if request.param == "fake":
        return Remembered()
    aws, addresses = request.getfixturevalue("aws"), request.getfixturevalue("addresses")
    clock = request.getfixturevalue("clock")
    clock.advance_to(clock.now() + timedelta(minutes=2))  # a queue is purged once a minute
    for url in (addresses.rotations_queue, addresses.sweeps_queue):
        aws.client("sqs").purge_queue(QueueUrl=url)
    return Delivered(request.getfixturevalue("real"), aws, addresses)


# ---- the contract ----


def test_a_notice_is_published_once_under_its_id(post):
    publish(post.messages, notice())

    assert post.published_ids() == ["n1"]


def test_a_notice_published_again_carries_the_same_id(post):
    publish(post.messages, notice())
    publish(post.messages, notice())

    assert post.published_ids() == ["n1", "n1"]


def test_a_rotation_is_woken_by_its_names_alone(post):
    post.messages.wake_rotation("p1", "r1")

    assert post.rotation_wakes() == [("p1", "r1")]


@pytest.mark.parametrize("delay", [1, 900, 901, 86_400])
def test_a_wake_up_for_later_is_hidden_until_then_however_far_it_lies(post, delay):
    post.messages.wake_rotation("p1", "r1", delay_seconds=delay)

    assert post.hidden_rotation_wakes() == 1


def test_a_wake_up_for_a_time_gone_by_is_due_at_once(post):
    post.messages.wake_rotation("p1", "r1", delay_seconds=-5)

    assert (post.hidden_rotation_wakes(), post.rotation_wakes()) == (0, [("p1", "r1")])


def test_a_sweep_is_woken_by_its_key_alone(post):
    post.messages.wake_sweep(ARN)

    assert post.sweep_wakes() == [str(ARN)]


# ---- the adapter alone ----


def last_of(aws, topic):
    return [m for m in aws.inbox() if m["topic"] == topic][-1]


def test_an_escalated_notice_goes_to_both_topics_and_any_other_to_one(real, aws, addresses):
    before = len(aws.inbox())
    publish(real, notice(escalate=True))
    publish(real, notice())

    topics = [m["topic"] for m in aws.inbox()[before:]]

    assert topics == [addresses.alerts_topic, addresses.escalations_topic, addresses.alerts_topic]


def test_filters_see_kind_project_key_rung_and_recipients(real, aws, addresses):
    publish(real, notice(project_id="p1", key_id=ARN.key_id, rung=0, recipients=("a@example.org", "b@example.org")))

    assert last_of(aws, addresses.alerts_topic)["attributes"] == {
        "kind": "reminder",
        "notice_id": "n1",
        "project_id": "p1",
        "key_id": ARN.key_id,
        "rung": "0",
        "recipients": '["a@example.org", "b@example.org"]',
    }


def test_a_notice_about_nothing_in_particular_still_carries_its_kind_and_id(real, aws, addresses):
    publish(real, notice())

    assert last_of(aws, addresses.alerts_topic)["attributes"] == {"kind": "reminder", "notice_id": "n1"}


def test_people_get_the_text_as_it_is_and_a_subject_that_mail_can_carry(real, aws, addresses):
    publish(real, notice(subject="Schlüssel fällig —\n“Zürich”", text="Grüße aus 東京"))

    told = last_of(aws, addresses.alerts_topic)

    assert (told["subject"], told["body"]) == ('Schlussel fallig - "Zurich"', "Grüße aus 東京")


def test_machines_get_every_fact_on_the_bus(real, aws):
    publish(real, notice(project_id="p1", rung=-7, detail={"due_at": "2027-03-08", "notice_id": "forged"}))

    event = aws.bus_events()[-1]

    assert (event["bus"], event["source"], event["detail-type"]) == ("keyturn-news", "keyturn", "reminder")
    assert event["detail"] == {
        "schema_version": "1",
        "notice_id": "n1",
        "kind": "reminder",
        "subject": "Rotate the key",
        "text": "It is due.",
        "created_at": "2027-03-01T09:30:00Z",
        "project_id": "p1",
        "key_id": None,
        "rung": -7,
        "recipients": [],
        "due_at": "2027-03-08",
    }


def test_chat_gets_a_custom_notification_and_everybody_else_the_text(real, aws, addresses):
    told = notice(
        project_id="p1", text="The key is due.\nKey: k1\n\nWhat to do: rotate it, “today”.", detail={"key": str(ARN)}
    )
    sns, stubber = stubbed(aws, "sns")
    expected = {
        "TopicArn": addresses.alerts_topic,
        "Subject": "Rotate the key",
        "MessageStructure": "json",
        "Message": ANY,
        "MessageAttributes": ANY,
    }
    sent = []
    sns.meta.events.register("before-parameter-build.sns.Publish", lambda params, **_: sent.append(params["Message"]))
    stubber.add_response("publish", {"MessageId": "m1"}, expected)

    with stubber:
        AwsMessages(sns, aws.client("sqs"), aws.client("events"), addresses).publish(told, Channel.ALERTS)

    shapes = json.loads(sent[0])
    assert shapes["default"] == told.text
    assert json.loads(shapes["https"]) == {
        "version": "1.0",
        "source": "custom",
        "id": "n1",
        "content": {
            "textType": "client-markdown",
            "title": "Rotate the key",
            "description": "The key is due.\nKey: k1",
            "nextSteps": ["rotate it, “today”."],
            "keywords": ["reminder"],
        },
        "metadata": {
            "threadId": "p1",
            "summary": "Rotate the key",
            "eventType": "reminder",
            "relatedResources": [str(ARN)],
            "additionalContext": {"notice_id": "n1"},
        },
    }


@pytest.mark.parametrize("character", ["x", "ü", "東", "\N{PILE OF POO}", '"', "\n"])
def test_the_longest_text_fits_into_one_message_and_one_event(character):
    told = notice(text=character * 300_000)

    assert len(message(told).encode()) < 256 * 1024
    assert len(json.dumps(detail(told), ensure_ascii=False).encode()) < 256 * 1024
    assert "cut here" in detail(told)["text"]


@pytest.mark.parametrize("kind", list(NoticeKind))
def test_every_event_is_as_the_published_schema_says(kind):
    told = notice(kind=kind, project_id="p1", rung=0, recipients=("team",), detail={"proof": "d" * 64})
    schema = json.loads((ROOT / "docs" / "event.schema.json").read_text())

    Draft202012Validator(schema).validate(detail(told))


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("plain", "plain"),
        ("", "Keyturn"),
        ("two\r\nlines\tand  gaps", "two lines and gaps"),
        ("café → it\N{RIGHT SINGLE QUOTATION MARK}s “done”…", 'cafe -> it\'s "done"...'),
        ("鍵", "?"),
        ("x" * 99, "x" * 99),
        ("x" * 100, "x" * 96 + "..."),
        ("¨ two dots", "two dots"),
    ],
)
def test_a_subject_is_one_line_of_printable_ascii(written, sent):
    assert subject(written) == sent


def stubbed(aws, service):
    client = aws.client(service)
    return client, Stubber(client)


def test_an_event_that_the_bus_did_not_take_is_a_temporary_error(aws, addresses):
    events, stubber = stubbed(aws, "events")
    stubber.add_response("put_events", {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "ThrottlingException"}]})

    with stubber, pytest.raises(TemporaryError, match="ThrottlingException"):
        publish(AwsMessages(aws.client("sns"), aws.client("sqs"), events, addresses), notice())


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        ("Throttled", 429, TemporaryError),
        ("Throttling", 400, TemporaryError),
        ("InternalError", 500, TemporaryError),
        ("AuthorizationError", 403, PermanentError),
        ("NotFound", 404, PermanentError),
        ("InvalidParameter", 400, PermanentError),
    ],
)
def test_an_error_of_sns_becomes_one_of_ours(aws, addresses, code, status, expected):
    sns, stubber = stubbed(aws, "sns")
    stubber.add_client_error("publish", code, "said so", http_status_code=status)

    with stubber, pytest.raises(expected) as seen:
        publish(AwsMessages(sns, aws.client("sqs"), aws.client("events"), addresses), notice())

    assert (type(seen.value), seen.value.code, seen.value.call) == (expected, code, "sns:Publish")


def test_a_queue_that_is_gone_is_a_permanent_error(aws, addresses):
    lost = replace(addresses, sweeps_queue=addresses.sweeps_queue + "-gone")

    with pytest.raises(PermanentError, match="sqs:SendMessage"):
        AwsMessages(aws.client("sns"), aws.client("sqs"), aws.client("events"), lost).wake_sweep(ARN)


def test_what_lies_in_the_dead_letter_queues_is_counted_and_left_there(aws, stack):
    urls = tuple(stack[name]["url"] for name in ("SweepsDeadLetters", "AsyncDeadLetters"))
    sqs = aws.client("sqs")
    sqs.purge_queue(QueueUrl=urls[0])
    for _ in range(2):
        sqs.send_message(QueueUrl=urls[0], MessageBody="{}")
    letters = DeadLetters(sqs, urls)

    twice = [letters.count() for _ in range(2)]

    full, empty = (url.rpartition("/")[2] for url in urls)
    assert twice == [{full: 2, empty: 0}] * 2


def test_a_dead_letter_queue_that_may_not_be_seen_is_an_error_of_ours(aws):
    letters = DeadLetters(aws.client("sqs"), (f"{aws.address}/123456789012/nobodys",))

    with pytest.raises(PermanentError) as problem:
        letters.count()

    assert problem.value.call == "sqs:GetQueueAttributes"
