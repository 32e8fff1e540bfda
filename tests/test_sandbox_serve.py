"""`python -m sandbox serve` as others use it: what it announces, how it stops, and a life on somebody else's Atlas."""

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from sandbox.atlas import AtlasWorld, PretendAtlas
from sandbox.clock import VirtualClock
from sandbox.kms_errors import KmsError

ROOT = Path(__file__).resolve().parent.parent
ORGANIZATION, REGION, ACCOUNT = "7e1f00000000000000000007", "us-east-1", "123456789012"
STEP = timedelta(minutes=10)


@contextmanager
def started(*options):
    """A sandbox in a process of its own; gives its announcement, and the process."""
    command = [sys.executable, "-m", "sandbox", "serve", *options]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as running:
        try:
            yield json.loads(running.stdout.readline()), running
        finally:
            running.terminate()


@pytest.fixture(scope="module")
def foreign():
    """A sandbox on an Atlas in this process, in which one project has a key of the sandbox's AWS."""
    clock = VirtualClock(datetime.fromisoformat("2027-01-04T06:00:00Z"))
    place = SimpleNamespace(clock=clock, aws=None)
    atlas = AtlasWorld(clock.now, lambda *call, **more: ask_kms(place, *call, **more), organization=ORGANIZATION)
    # An Atlas that takes any client id and secret need not know which of them a sandbox makes up.
    atlas.reader = atlas.owner = type(atlas.owner)(client_id="keyturn", client_secret="any")
    with PretendAtlas(atlas) as server, started("--atlas-url", server.address) as (place.announced, _):
        place.atlas, place.address = atlas, server.address
        place.aws = Aws(place.announced)
        role = place.aws.make_role()
        place.key = place.aws.make_key(role)
        place.project_id = atlas.add_project("payments", key=place.key, role_arn=role)
        atlas.add_cluster(place.project_id, "ledger")
        pass_time(place, timedelta(days=1))
        yield place


class Aws:
    """A sandbox's AWS, as its account's administrator reaches it."""

    def __init__(self, announced):
        self.announced = announced

    def client(self, service, given=None):
        admin = self.announced["admin"]
        given = given or {
            "AccessKeyId": admin["access_key_id"],
            "SecretAccessKey": admin["secret_access_key"],
            "SessionToken": None,
        }
        return boto3.client(
            service,
            region_name=REGION,
            endpoint_url=self.announced["aws"],
            aws_access_key_id=given["AccessKeyId"],
            aws_secret_access_key=given["SecretAccessKey"],
            aws_session_token=given["SessionToken"],
        )

    def make_role(self):
        trust = allow(f"arn:aws:iam::{ACCOUNT}:root", "sts:AssumeRole")
        made = self.client("iam").create_role(RoleName="atlas", AssumeRolePolicyDocument=json.dumps(trust))
        return made["Role"]["Arn"]

    def make_key(self, role):
        owner = allow(f"arn:aws:iam::{ACCOUNT}:root", "kms:*", Resource="*")
        user = allow(role, "kms:DescribeKey", "kms:Encrypt", "kms:Decrypt", Resource="*")
        document = owner | {"Statement": owner["Statement"] + user["Statement"]}
        return self.client("kms").create_key(Policy=json.dumps(document))["KeyMetadata"]["Arn"]


def allow(principal, *actions, **more):
    statement = {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": list(actions), **more}
    return {"Version": "2012-10-17", "Statement": [statement]}


def ask_kms(place, operation, body, *, principal_arn, region):
    """KMS over the wire, as the role that Atlas assumes."""
    name = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in operation).lstrip("_")
    sts = place.aws.client("sts")
    given = sts.assume_role(RoleArn=principal_arn, RoleSessionName="atlas")["Credentials"]
    try:
        return getattr(place.aws.client("kms", given), name)(**body)
    except ClientError as refused:
        problem = refused.response["Error"]
        raise KmsError(problem["Code"], problem["Message"]) from refused


def pass_time(place, duration, step=None):
    """Turn both clocks, the sandbox's and that of its foreign Atlas, side by side."""
    end, step = place.clock.now() + duration, step or duration
    while place.clock.now() < end:
        post(place.announced["api"] + "/sandbox/clock", {"advance_seconds": step.total_seconds()})
        then = place.clock.now() + step
        while (at := place.atlas.next_event_at()) is not None and at <= then:
            place.clock.advance_to(max(at, place.clock.now()))
            place.atlas.run_due()
        place.clock.advance_to(then)


def post(url, body):
    with urllib.request.urlopen(url, data=json.dumps(body).encode(), timeout=60) as answer:
        return json.load(answer)


def get(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


def ask(announced, method, target, body=None, **headers):
    """Call the API as its first operator."""
    who = announced["operators"][0]
    named = {"Content-Type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}}
    request = AWSRequest(method, announced["api"] + target, headers=named, data=body and json.dumps(body))
    SigV4Auth(Credentials(who["access_key_id"], who["secret_access_key"]), "execute-api", REGION).add_auth(request)
    connection = HTTPConnection(urlsplit(announced["api"]).netloc, timeout=30)
    connection.request(method, target, body=request.body, headers=dict(request.headers.items()))
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return answer


def test_the_announcement_names_everything_that_others_need_and_stops_when_told():
    with started() as (announced, running):
        clock = get(announced["api"] + "/sandbox/clock")
        projects = ask(announced, "GET", "/v1/projects")["items"]
        consoles = [knock(address) for address in announced["consoles"]]
        running.send_signal(signal.SIGTERM)
        status = running.wait(10)
        left = [knock(address) for address in announced["consoles"]]

    names = "api aws atlas console consoles table alerts_topic event_bus admin operators"
    assert announced.keys() == set(names.split())
    assert announced["console"] == announced["consoles"][0]
    assert len(set(announced["consoles"])) == 2
    assert (consoles, left) == ([200, 200], [None, None])
    assert len({operator["arn"] for operator in announced["operators"]}) == 2
    assert clock["now"].endswith("Z")
    assert [project["name"] for project in projects] == ["payments", "playground"]
    assert status == 0


def test_a_scenario_is_served_as_the_command_line_says():
    with started("--scenario", "due-today") as (announced, _):
        now = get(announced["api"] + "/sandbox/clock")["now"]
        projects = ask(announced, "GET", "/v1/projects")["items"]

    (payments,) = [project for project in projects if project["name"] == "payments"]
    assert payments["due_at"] == now


def knock(address):
    """The status that a page is served with; None where nobody answers."""
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            return answer.status
    except urllib.error.URLError:
        return None


def test_a_sandbox_stops_soon_when_told_even_while_its_clock_is_turned_by_years():
    with started() as (announced, running):
        begin = get(announced["api"] + "/sandbox/clock")["now"]
        turning = Thread(target=turn_by_years, args=(announced["api"],))
        turning.start()
        moved = any(get(announced["api"] + "/sandbox/clock")["now"] != begin for _ in range(5000))
        running.terminate()
        status = running.wait(10)
    turning.join()

    assert (moved, status) == (True, 0)


def turn_by_years(api):
    with suppress(urllib.error.URLError):  # 503, or no answer at all: the sandbox has been stopped
        post(api + "/sandbox/clock", {"advance_seconds": 10 * 365 * 86400})


def test_a_sandbox_on_a_foreign_atlas_names_that_atlas_and_its_organization_in_its_secret(foreign):
    secrets = foreign.aws.client("secretsmanager")
    (name,) = [secret["Name"] for secret in secrets.list_secrets()["SecretList"]]

    held = json.loads(secrets.get_secret_value(SecretId=name)["SecretString"])

    assert foreign.announced["atlas"] == foreign.address
    assert (name, held["organization"]) == (f"keyturn/{ORGANIZATION}", ORGANIZATION)
    assert held.keys() == {"organization", "reader", "owner", "webhook_secrets"}


def test_what_is_in_a_foreign_atlas_is_discovered(foreign):
    (project,) = ask(foreign.announced, "GET", "/v1/projects")["items"]

    assert (project["project_id"], project["key"]) == (foreign.project_id, foreign.key)
    assert project["organization"] == ORGANIZATION


def test_a_rotation_on_a_foreign_atlas_runs_to_its_end(foreign):
    target = f"/v1/projects/{foreign.project_id}/rotations"
    requested = ask(foreign.announced, "POST", target, {"reason": "a visit"}, Idempotency_Key="visit")

    pass_time(foreign, timedelta(hours=4), STEP)

    (rotation,) = ask(foreign.announced, "GET", target)["items"]
    assert (rotation["rotation_id"], rotation["state"]) == (requested["rotation_id"], "deployed")
    assert foreign.atlas.projects[foreign.project_id].key == rotation["new_key"] != foreign.key
