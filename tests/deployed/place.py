"""Keyturn deployed: the package on the emulator, the strict KMS and the pretend Atlas beside it, people and post.

Time is real, and functions cannot be told another. What takes Keyturn half an hour is made to have begun half an hour
earlier: `pass_time` moves the records' times back and Atlas' and KMS' clock on, by the same length.
"""

import io
import json
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.httpsession import URLLib3Session
from deployed.emulator import ACCOUNT, ADMINISTRATOR, REGION, ROOT, policy, running, session_key

from package.rules import FUNCTION, of_type
from package.template import read, write
from sandbox.atlas import AtlasWorld, PretendAtlas
from sandbox.kms_callers import Caller
from sandbox.kms_door import KmsDoor
from sandbox.strict_kms import StrictKms
from sandbox.web import serving

STAGE, STACK = "trial", "keyturn-trial"
ORGANIZATION = "6e1f00000000000000000003"
SECRET = "keyturn/trial"
ROOT_USER = Caller(f"arn:aws:iam::{ACCOUNT}:root", ACCOUNT)
INVOKES_THE_API = {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": "*"}
_INSTANT = re.compile(r'"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[^"]*)"')


class WorldClock:
    """Real time, with what has been skipped added."""

    def __init__(self):
        self.skipped = timedelta(0)

    def now(self):
        return datetime.now(tz=UTC) + self.skipped


class Identities:
    """Who calls the strict KMS and what IAM allows them, as the emulator's Lambda and IAM know it."""

    def __init__(self, place):
        self._place = place

    def caller_of(self, access_key_id):
        functions = self._place.client("lambda").get_paginator("list_functions").paginate()
        for function in (one for page in functions for one in page["Functions"]):
            if session_key(function) == access_key_id:
                role = function["Role"].rpartition("/")[2]
                return Caller(f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{function['FunctionName']}", ACCOUNT)
        return None

    def policies_of(self, caller):
        if caller.role_name is None:
            return ()
        iam = self._place.client("iam")
        names = iam.list_role_policies(RoleName=caller.role_name)["PolicyNames"]
        documents = (
            iam.get_role_policy(RoleName=caller.role_name, PolicyName=name)["PolicyDocument"] for name in names
        )
        return tuple(json.dumps(document) for document in documents)

    def boundary_of(self, _caller):
        return None

    def exists(self, _arn):
        return None


class Mailbox:
    """A queue that keeps, for all who look, everything that ever came."""

    def __init__(self, place, url):
        self._place = place
        self._url = url
        self._came = []

    def came(self):
        """Every message so far, read."""
        self._came += [json.loads(one["Body"]) for one in self._place.taken(self._url)]
        return list(self._came)

    def with_id(self, notice_id):
        """Every copy of one notice so far."""
        return [one for one in self.came() if one["MessageAttributes"]["notice_id"]["Value"] == notice_id]


class Place:
    """A context manager; while it is open, everything runs, and the stack can be deployed."""

    def __init__(self, folder):
        self.folder = folder
        self.clock = WorldClock()
        self.kms_events = []
        self.unsent = None
        self.printed = ""
        self._stack = ExitStack()
        self._stop = Event()

    def __enter__(self):
        with ExitStack() as stack:
            identities = Identities(self)
            self.kms = StrictKms(
                self.clock,
                identities=identities,
                rotation_takes=timedelta(seconds=2),
                on_api_call=self.kms_events.append,
            )
            kms_address = stack.enter_context(serving(KmsDoor(self.kms, identities.caller_of), 0))
            self.atlas = AtlasWorld(self.clock.now, self._kms_of_atlas, organization=ORGANIZATION)
            self.atlas_server = stack.enter_context(PretendAtlas(self.atlas))
            self.emulator = stack.enter_context(running(self.folder, AWS_ENDPOINT_URL_KMS=kms_address))
            stack.callback(self._stop.set)
            Thread(target=self._let_atlas_live, daemon=True).start()
            self._stack = stack.pop_all()
        self.package = self._lay_package()
        self._keep_secret()
        return self

    def __exit__(self, *_):
        self._stack.close()

    def client(self, service, **credentials):
        return self.emulator.client(service, **credentials)

    # ---- the stack ----

    def run(self, command, *arguments):
        """`python -m package.deploy`, as `make deploy` and `make undeploy` run it; gives its exit status."""
        ran = subprocess.run(
            [ROOT / ".venv-package" / "bin" / "python", "-m", "package.deploy", command, STAGE, *arguments],
            cwd=ROOT,
            env=self.environment(**ADMINISTRATOR),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        self.printed = ran.stdout + ran.stderr
        return ran.returncode

    def deploy(self, *options, **parameters):
        given = [f"{name}={value}" for name, value in parameters.items()]
        named = ["--parameters", *given] if given else []
        return self.run("deploy", "--package", str(self.package), *options, *named)

    def environment(self, **credentials):
        """What a program needs to reach this AWS, and nothing of this machine's."""
        keys = {name.upper(): value for name, value in credentials.items()}
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "AWS_ENDPOINT_URL": self.emulator.address,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "PYTHONDONTWRITEBYTECODE": "1",
            **keys,
        }

    def physical(self, logical_id):
        """The name that CloudFormation gave to a resource."""
        found = self.client("cloudformation").describe_stack_resource(StackName=STACK, LogicalResourceId=logical_id)
        return found["StackResourceDetail"]["PhysicalResourceId"]

    def outputs(self):
        (stack,) = self.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
        return {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}

    @property
    def table(self):
        return self.outputs()["TrackerTableName"]

    @property
    def api(self):
        return f"{self.emulator.address}/_aws/execute-api/{self.outputs()['RestAPIId']}/live"

    # ---- what wakes it, and who asks ----

    def invoke(self, logical_id, event=None, kind="RequestResponse"):
        """Wake a function by Lambda's own API; gives what it answered, and fails where it failed."""
        answer = self.client("lambda").invoke(
            FunctionName=self.physical(logical_id), InvocationType=kind, Payload=json.dumps(event or a_schedule())
        )
        said = answer["Payload"].read()
        assert "FunctionError" not in answer, said
        return json.loads(said) if said else None

    def ask(self, method, path, body=None, *, key=None, **headers):
        """Ask the API, signed with an access key, or not at all; gives status and body."""
        sent = {"Content-Type": "application/json", **headers}
        request = AWSRequest(method, self.api + path, sent, None if body is None else json.dumps(body))
        if key is not None:
            credentials = Credentials(key["AccessKeyId"], key["SecretAccessKey"])
            SigV4Auth(credentials, "execute-api", REGION).add_auth(request)
        answer = URLLib3Session(timeout=60).send(request.prepare())
        return answer.status_code, json.loads(answer.content or b"null")

    def keyturn(self, *words, key):
        """Run the operator's command as somebody; gives its exit status and what it printed."""
        ran = subprocess.run(
            [sys.executable, "-m", "cli", *words, "--endpoint", self.api],
            cwd=ROOT,
            env=self.environment(aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"]),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        self.printed = ran.stdout + ran.stderr
        return ran.returncode, ran.stdout

    def rotation(self, project, key):
        """The project's latest rotation as the API shows it."""
        status, body = self.ask("GET", f"/v1/projects/{project}/rotations", key=key)
        assert status == 200, body
        newest = max(body["items"], key=lambda one: one["requested_at"])
        return self.ask("GET", f"/v1/projects/{project}/rotations/{newest['rotation_id']}", key=key)[1]

    def rotation_in(self, state, project, key, seconds=90):
        """Wait until the project's latest rotation is in a state, and give it; one that failed is told with why."""

        def look():
            shown = self.rotation(project, key)
            assert shown["state"] not in {"failed", "cancelled"} - {state}, shown["error"]
            return shown if shown["state"] == state else None

        return eventually(look, seconds)

    # ---- time ----

    def pass_time(self, **length):
        """Let time pass: for Atlas and KMS event by event, for Keyturn by moving back what it has written down."""
        passed = timedelta(**length)
        with self.atlas.lock:
            until = self.clock.skipped + passed
            while (at := self.atlas.next_event_at()) is not None and at <= datetime.now(tz=UTC) + until:
                self.clock.skipped = max(self.clock.skipped, at - datetime.now(tz=UTC))
                self.atlas.run_due()
            self.clock.skipped = until
        dynamodb = self.client("dynamodb")
        for item in dynamodb.scan(TableName=self.table, ConsistentRead=True)["Items"]:
            if not item["pk"]["S"].startswith(("NOTICE#", "AUDIT#")):
                dynamodb.put_item(TableName=self.table, Item=_earlier(item, passed))

    def _let_atlas_live(self):
        while not self._stop.wait(0.2):
            self.atlas.run_due()

    # ---- things and people ----

    def make_role_of_atlas(self):
        trust = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::299602853325:root"}, "Action": "sts:AssumeRole"}
        made = self.client("iam").create_role(RoleName="atlas", AssumeRolePolicyDocument=policy(trust))
        return made["Role"]["Arn"]

    def make_key(self, role):
        """A customer key that Atlas' role may use, made by the account's administrator; gives its ARN."""
        uses = ["kms:DescribeKey", "kms:Encrypt", "kms:Decrypt"]
        owner = {"Effect": "Allow", "Principal": {"AWS": ROOT_USER.arn}, "Action": "kms:*", "Resource": "*"}
        atlas = {"Effect": "Allow", "Principal": {"AWS": role}, "Action": uses, "Resource": "*"}
        return self.of_kms("CreateKey", Policy=policy(owner, atlas))["KeyMetadata"]["Arn"]

    def of_kms(self, operation, **body):
        """Ask KMS as the account's administrator."""
        return self.kms.call(operation, body, caller=ROOT_USER, region=REGION)

    def make_mailbox(self, topic, name):
        """A queue that is subscribed to a topic."""
        sqs = self.client("sqs")
        url = sqs.create_queue(QueueName=name)["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        lets_in = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": arn}
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy(lets_in)})
        self.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
        return Mailbox(self, url)

    def make_feed(self, bus, name):
        """A queue that every event of a bus is put into."""
        sqs, events = self.client("sqs"), self.client("events")
        url = sqs.create_queue(QueueName=name)["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        lets_in = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": arn}
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy(lets_in)})
        everything = json.dumps({"source": [{"exists": True}]})
        events.put_rule(Name=name, EventBusName=bus, EventPattern=everything)
        events.put_targets(Rule=name, EventBusName=bus, Targets=[{"Id": name, "Arn": arn}])
        return Mailbox(self, url)

    def waiting(self, url):
        """How many messages a queue holds, in sight or not."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        counts = self.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return sum(int(count) for count in counts.values())

    def soon_visible(self, logical_id):
        """Have what was not dealt with come again after a second, not after twelve minutes."""
        url = self.physical(logical_id)
        self.client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "1"})

    def mapping_of(self, logical_id):
        """The event source mapping of a function."""
        name = self.physical(logical_id)
        (found,) = self.client("lambda").list_event_source_mappings(FunctionName=name)["EventSourceMappings"]
        return found["UUID"]

    def change_mapping(self, mapping, **changes):
        self.client("lambda").update_event_source_mapping(UUID=mapping, **changes)

    @contextmanager
    def without(self, logical_id, action):
        """Take a power away from a function's role for a while."""
        role, iam = self.physical(f"{logical_id}Role"), self.client("iam")
        denial = {"Effect": "Deny", "Action": action, "Resource": "*"}
        iam.put_role_policy(RoleName=role, PolicyName="taken-away", PolicyDocument=policy(denial))
        try:
            yield
        finally:
            iam.delete_role_policy(RoleName=role, PolicyName="taken-away")

    def unsend_a_notice(self):
        """Write a notice anew as one that nobody has sent yet; its id is then `unsent`."""
        dynamodb = self.client("dynamodb")
        items = dynamodb.scan(TableName=self.table, ConsistentRead=True)["Items"]
        item = next(one for one in items if one["sk"]["S"] == "NOTICE")
        body = json.loads(item["body"]["S"])
        body["sent_at"] = body["claimed_until"] = None
        due = datetime.now(tz=UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        unsent = {"body": {"S": json.dumps(body)}, "due_kind": {"S": "notice"}, "due_at": {"S": due}}
        dynamodb.put_item(TableName=self.table, Item=item | unsent)
        self.unsent = body["notice_id"]

    def key_left_by_the_first(self, project, key):
        """The key that the project's first rotation left, as the API shows it."""
        items = self.ask("GET", f"/v1/projects/{project}/rotations", key=key)[1]["items"]
        first = min(items, key=lambda one: one["requested_at"])
        return self.ask("GET", f"/v1/keys/{first['old_key'].rpartition('/')[2]}", key=key)[1]

    def try_powers(self, name):
        """Run a function with another's role that tries every dangerous call; gives what was not denied."""
        role = self.physical("ApiHandlerRole" if name == "api_handler" else f"{name.title()}Role")
        arn = self.client("iam").get_role(RoleName=role)["Role"]["Arn"]
        tags = [{"TagKey": "keyturn:owner", "TagValue": "keyturn"}]
        asked = {
            "key": self.of_kms("CreateKey", Tags=tags)["KeyMetadata"]["Arn"],
            "secret": SECRET,
            "topic": self.outputs()["AlertsTopicArn"],
            "table": self.table,
            "notice": f"NOTICE#tried-by-{name}",
        }
        made = self.client("lambda").create_function(
            FunctionName=f"trial-of-{name}",
            Runtime="python3.13",
            Role=arn,
            Handler="trial.attempt",
            Timeout=60,
            Code={"ZipFile": _zipped(Path(__file__).with_name("trial.py"))},
        )
        answer = self.client("lambda").invoke(FunctionName=made["FunctionName"], Payload=json.dumps(asked))
        said = answer["Payload"].read()
        assert "FunctionError" not in answer, said
        self.client("lambda").delete_function(FunctionName=made["FunctionName"])
        return json.loads(said)

    def taken(self, url, seconds=0):
        """Take everything out of a queue, waiting for a first message as long as is said."""
        sqs, found = self.client("sqs"), []
        until = time.monotonic() + seconds
        while True:
            answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"])
            for message in answer.get("Messages", []):
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                found.append(message)
            if not answer.get("Messages") and (found or time.monotonic() > until):
                return found
            time.sleep(0.2)

    def _kms_of_atlas(self, operation, body, *, principal_arn, region):
        return self.kms.call(operation, body, caller=Caller(principal_arn, ACCOUNT), region=region)

    def _keep_secret(self):
        accounts = {"reader": self.atlas.reader, "owner": self.atlas.owner}
        held = {who: {"client_id": one.client_id, "client_secret": one.client_secret} for who, one in accounts.items()}
        text = json.dumps({"organization": ORGANIZATION, **held, "webhook_secrets": ["a-webhook-secret"]})
        self.client("secretsmanager").create_secret(Name=SECRET, SecretString=text)

    def _lay_package(self):
        """What `make package` has built, made fit for this place: see `fitted`."""
        built, folder = ROOT / "build", self.folder / "package"
        folder.mkdir()
        write(fitted(read(built / "package" / "sam.yaml")), folder / "sam.yaml")
        # Unpacked and with this machine's twin beside every compiled module, as the check of the package left it.
        shutil.make_archive(str(folder / "deployment"), "zip", built / "unpacked")
        return folder


def fitted(template):
    """The packaged template with what no test can wait for or reach: loopback for Atlas, relay every minute, no TLS.

    The emulator has no alarms on more than one metric; those are left out.
    """
    template["Parameters"]["AtlasBaseUrl"]["AllowedPattern"] = "http://127.0.0.1:[0-9]+"
    (relay,) = of_type(template, FUNCTION)["Relay"]["Properties"]["Events"].values()
    assert relay["Properties"]["Schedule"] == "rate(5 minutes)"
    relay["Properties"]["Schedule"] = "rate(1 minute)"
    for topic_policy in of_type(template, "AWS::SNS::TopicPolicy").values():
        document = topic_policy["Properties"]["PolicyDocument"]
        document["Statement"] = [one for one in document["Statement"] if one["Sid"] != "TlsOnly"]
    for name, alarm in of_type(template, "AWS::CloudWatch::Alarm").items():
        if "Metrics" in alarm["Properties"]:
            del template["Resources"][name]
    return template


def a_schedule():
    """What EventBridge sends to a function on a schedule."""
    return {
        "version": "0",
        "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa",
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": ACCOUNT,
        "time": "2026-11-24T12:00:00Z",
        "region": REGION,
        "resources": [],
        "detail": {},
    }


def eventually(look, seconds=60.0, pause=0.25):
    """Look until something is seen, and give it."""
    until = time.monotonic() + seconds
    while True:
        seen = look()
        if seen or time.monotonic() > until:
            assert seen, f"not seen within {seconds:g} seconds: {seen}"
            return seen
        time.sleep(pause)


def _zipped(path):
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        archive.write(path, path.name)
    return body.getvalue()


def _earlier(item, by):
    """A record with every time in it earlier."""

    def move(found):
        try:
            return f'"{_moved(found[1], by)}"'
        except ValueError:
            return found[0]

    moved = {**item, "body": {"S": _INSTANT.sub(move, item["body"]["S"])}} if "body" in item else dict(item)
    if "due_at" in item:
        moved["due_at"] = {"S": _moved(item["due_at"]["S"], by)}
    return moved


def _moved(text, by):
    moment = datetime.fromisoformat(text) - by
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


__all__ = ["INVOKES_THE_API", "Path", "Place", "eventually"]
