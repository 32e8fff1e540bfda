"""The sandbox's API Gateway: who gets in, who does not, and the two rooms beside it."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection
from threading import Event, Thread, Timer
from types import SimpleNamespace
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from sandbox.aws import User
from sandbox.cast import stage
from sandbox.door import Api, open_door
from sandbox.runner import NeverIdle

PLACE = ("execute-api", "us-east-1")
MISSING = {"message": "Missing Authentication Token"}


@pytest.fixture(scope="module")
def set_up():
    """A world with one project that Keyturn has discovered, and its door."""
    with stage() as built:
        project_id = built.add_project("payments")
        runner, _ = built.install()
        runner.run_until(built.world.clock.now())
        with open_door(built.world, runner) as address:
            yield SimpleNamespace(world=built.world, atlas=built.atlas, project_id=project_id, address=address)


def exchange(address, method, target, body=None, headers=None):
    """One request on a connection of its own; gives the status, the media type and the body as JSON."""
    connection = HTTPConnection(urlsplit(address).netloc, timeout=10)
    try:
        return on(connection, method, target, body, headers)
    finally:
        connection.close()


def on(connection, method, target, body=None, headers=None):
    connection.request(method, target, body=body, headers=headers or {})
    answer = connection.getresponse()
    return answer.status, answer.headers["Content-Type"], json.loads(answer.read())


def signed(set_up, method, target, body=None, *, user=None, place=PLACE, **headers):
    """A request as an operator signs it, unless told otherwise."""
    named = {name.replace("_", "-"): value for name, value in headers.items()} | {"Content-Type": "application/json"}
    request = AWSRequest(method, set_up.address + target, headers=named, data=body)
    headers = signed_headers(request, user or set_up.world.operators[0], place)
    return exchange(set_up.address, method, target, body, headers)


def signed_headers(request, user, place):
    SigV4Auth(Credentials(user.access_key_id, user.secret_access_key), *place).add_auth(request)
    return dict(request.headers.items())


def now_of(set_up):
    return datetime.fromisoformat(exchange(set_up.address, "GET", "/sandbox/clock")[2]["now"])


def test_a_signed_call_reaches_the_api(set_up):
    status, media_type, body = signed(set_up, "GET", "/v1/projects")

    assert (status, media_type) == (200, "application/json")
    assert [project["name"] for project in body["items"]] == ["payments"]


def test_an_unsigned_call_is_refused_as_by_api_gateway(set_up):
    assert exchange(set_up.address, "GET", "/v1/projects") == (403, "application/json", MISSING)


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/"),
        ("GET", "/v1"),
        ("GET", "/v1/nothing"),
        ("GET", "/v1/projects/"),
        ("GET", "/v1/projects//rotations"),
        ("PUT", "/v1/projects"),
        ("DELETE", "/sandbox/clock"),
        ("POST", "/sandbox/inbox"),
        ("GET", "/sandbox/other"),
    ],
)
def test_a_route_that_is_not_there_is_refused_as_by_api_gateway_signed_or_not(set_up, method, target):
    assert exchange(set_up.address, method, target) == (403, "application/json", MISSING)
    assert signed(set_up, method, target) == (403, "application/json", MISSING)


@pytest.mark.parametrize("elsewhere", [("execute-api", "eu-west-1"), ("s3", "us-east-1")])
def test_a_signature_for_another_place_is_refused(set_up, elsewhere):
    status, _, body = signed(set_up, "GET", "/v1/projects", place=elsewhere)

    assert status == 403
    assert body["message"].startswith("Credential should be scoped")


def test_a_signature_with_another_secret_is_refused(set_up):
    ada = set_up.world.operators[0]
    forger = replace(ada, secret_access_key="guessed")

    status, _, body = signed(set_up, "GET", "/v1/projects", user=forger)

    assert status == 403
    assert body["message"].startswith("The request signature we calculated does not match")


def test_a_stranger_is_refused(set_up):
    stranger = User(arn="", access_key_id="AKIASTRANGER", secret_access_key="anything")

    status, _, body = signed(set_up, "GET", "/v1/projects", user=stranger)

    assert (status, body) == (403, {"message": "The security token included in the request is invalid."})


def test_the_signer_is_the_one_who_asked(set_up):
    grace = set_up.world.operators[1]
    target = f"/v1/projects/{set_up.project_id}/rotations"

    status, _, answer = signed(set_up, "POST", target, "{}", user=grace, Idempotency_Key="who asks")

    assert (status, answer["requested_by"]) == (202, grace.arn)


def test_the_apis_own_errors_come_through_whole(set_up):
    status, media_type, body = signed(set_up, "GET", f"/v1/projects/{'0' * 24}")

    assert (status, media_type) == (404, "application/problem+json")
    assert body["status"] == 404


def test_a_body_that_is_not_utf8_is_a_bad_request_and_not_a_failure(set_up):
    status, _, body = signed(set_up, "PATCH", f"/v1/projects/{set_up.project_id}/policy", b"\xff\xfe")

    assert (status, body) == (400, {"message": "the body is not UTF-8"})


def test_a_query_is_signed_and_given_on(set_up):
    key = set_up.atlas.projects[set_up.project_id].key
    target = f"/v1/keys/{key.rpartition('/')[2]}?account={set_up.world.aws.account}&region=us-east-1"

    status, _, body = signed(set_up, "GET", target)

    assert (status, body["arn"]) == (200, key)


def test_a_refused_call_with_a_body_does_not_spoil_the_next_one_on_its_connection(set_up):
    connection = HTTPConnection(urlsplit(set_up.address).netloc, timeout=10)
    refused = on(connection, "POST", "/v1/nothing", body=b'{"a": "body"}')

    following = on(connection, "GET", "/sandbox/clock")

    connection.close()
    assert (refused[0], following[0]) == (403, 200)


def test_the_clock_tells_virtual_time(set_up):
    assert now_of(set_up) == set_up.world.clock.now()
    assert exchange(set_up.address, "GET", "/sandbox/clock")[2]["now"].endswith("Z")


@pytest.mark.parametrize("seconds", [0, 1, 90.5, 3600])
def test_turning_the_clock_tells_the_time_afterwards(set_up, seconds):
    before = now_of(set_up)

    status, _, body = exchange(set_up.address, "POST", "/sandbox/clock", json.dumps({"advance_seconds": seconds}))

    assert status == 200
    assert datetime.fromisoformat(body["now"]) == before + timedelta(seconds=seconds) == now_of(set_up)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "not JSON",
        "[]",
        "60",
        "null",
        "{}",
        '{"advance_seconds": null}',
        '{"advance_seconds": "60"}',
        '{"advance_seconds": true}',
        '{"advance_seconds": -1}',
        '{"advance_seconds": NaN}',
        '{"advance_seconds": Infinity}',
        '{"advance_seconds": 1e300}',
        '{"seconds": 60}',
        b"\xff",
    ],
)
def test_a_body_that_says_no_number_of_seconds_is_refused_and_turns_nothing(set_up, body):
    before = now_of(set_up)

    status, media_type, answer = exchange(set_up.address, "POST", "/sandbox/clock", body)

    assert (status, media_type) == (400, "application/json")
    assert "advance_seconds" in answer["message"]
    assert now_of(set_up) == before


class Turning:
    """A runner that takes its time."""

    def __init__(self, problem=None):
        self.begun, self.may_end, self.problem, self.turns = Event(), Event(), problem, 0

    def run_until(self, then):
        self.turns += 1
        self.begun.set()
        self.may_end.wait(10)
        if self.problem is not None:
            raise self.problem


class InBackground:
    """Somebody who turns a clock and waits for the answer."""

    def __init__(self, address, seconds):
        self.answers, self._address, self._body = [], address, json.dumps({"advance_seconds": seconds})
        self.thread = Thread(target=self._turn)
        self.thread.start()

    def _turn(self):
        self.answers.append(exchange(self._address, "POST", "/sandbox/clock", self._body))

    def status(self):
        self.thread.join(10)
        return self.answers[0][0]


def test_the_clock_and_the_inbox_answer_while_the_clock_is_being_turned(set_up):
    slow = Turning()
    with open_door(set_up.world, slow) as address:
        somebody = InBackground(address, seconds=60)
        slow.begun.wait(10)

        meanwhile = [exchange(address, "GET", room)[0] for room in ("/sandbox/clock", "/sandbox/inbox")]

        turned_before = len(somebody.answers)
        slow.may_end.set()
        assert (meanwhile, turned_before, somebody.status()) == ([200, 200], 0, 200)


def test_functions_that_never_come_to_rest_are_an_answer_and_not_a_broken_connection(set_up):
    restless = Turning(NeverIdle("the functions do not come to rest"))
    restless.may_end.set()
    with open_door(set_up.world, restless) as address:
        status, _, body = exchange(address, "POST", "/sandbox/clock", json.dumps({"advance_seconds": 60}))

    assert (status, body) == (500, {"message": "the functions do not come to rest"})


def test_a_clock_that_is_being_turned_stops_when_the_door_is_closed_and_nothing_runs_afterwards(set_up):
    slow = Turning()
    with open_door(set_up.world, slow) as address:
        connection = HTTPConnection(urlsplit(address).netloc, timeout=10)
        headers = signed_headers(AWSRequest("GET", f"{address}/v1/projects"), set_up.world.operators[0], PLACE)
        before = on(connection, "GET", "/v1/projects", headers=headers)
        somebody = InBackground(address, seconds=400 * 86400)
        slow.begun.wait(10)
        Timer(0.05, slow.may_end.set).start()

    after = on(connection, "GET", "/v1/projects", headers=headers)

    connection.close()
    assert (before[0], somebody.status(), slow.turns, after[0]) == (200, 503, 1, 503)


def test_the_inbox_shows_what_was_published_and_when(set_up):
    topic = set_up.world.resources["AlertsTopic"]["arn"]
    attributes = {"kind": {"DataType": "String", "StringValue": "a_test"}}
    sns = set_up.world.aws.client("sns")
    sns.publish(TopicArn=topic, Subject="Hello", Message="a body", MessageAttributes=attributes)

    status, media_type, body = exchange(set_up.address, "GET", "/sandbox/inbox")

    assert (status, media_type) == (200, "application/json")
    written = exchange(set_up.address, "GET", "/sandbox/clock")[2]["now"]
    expected = {"topic": topic, "subject": "Hello", "body": "a body", "attributes": {"kind": "a_test"}}
    assert body[-1] == {"time": written, **expected}


def test_the_api_in_process_knows_its_routes_and_no_others(set_up):
    api = Api(set_up.world)

    assert api.knows("GET", "/v1/projects/abc/rotations/def")
    assert not api.knows("GET", "/v1/projects/abc/rotations/def/ghi")
    assert not api.knows("PATCH", "/v1/projects")
    with pytest.raises(LookupError, match="/v1/nothing"):
        api.ask("GET", "/v1/nothing", caller="anybody")


def test_a_role_session_gets_in_until_it_is_over(set_up):
    aws = set_up.world.aws
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{aws.account}:root"}, "Action": "sts:AssumeRole"}
    role = aws.create_role("operators", {"Version": "2012-10-17", "Statement": [trust]})
    given = aws.client("sts").assume_role(RoleArn=role, RoleSessionName="ada")["Credentials"]
    session = boto3.Session(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"]).get_credentials()
    request = AWSRequest("GET", f"{set_up.address}/v1/projects")
    SigV4Auth(session, *PLACE).add_auth(request)
    headers = dict(request.headers.items())

    answers = [exchange(set_up.address, "GET", "/v1/projects", headers=headers)]
    exchange(set_up.address, "POST", "/sandbox/clock", json.dumps({"advance_seconds": 2 * 3600}))
    answers.append(exchange(set_up.address, "GET", "/v1/projects", headers=headers))

    assert [answer[0] for answer in answers] == [200, 403]
    assert answers[1][2] == {"message": "The security token included in the request is expired"}


def test_every_answer_carries_the_virtual_time_and_says_whose_it_is(set_up):
    told = {}
    for target in ("/sandbox/clock", "/v1/projects", "/v1/nowhere"):
        connection = HTTPConnection(urlsplit(set_up.address).netloc, timeout=10)
        connection.request("GET", target)
        answer = connection.getresponse()
        told[target] = (parsedate_to_datetime(answer.headers["Date"]), answer.headers["Server"])
        connection.close()

    now = set_up.world.clock.now().replace(microsecond=0)
    assert told == dict.fromkeys(told, (now, "keyturn-sandbox"))
