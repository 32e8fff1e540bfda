"""The webhook's door as API Gateway calls it, on a world in memory; the function that judges runs in this process."""

import io
import json
from base64 import b64encode
from contextlib import contextmanager
from hmac import digest
from uuid import uuid4

from fake_atlas import ORGANIZATION, PROJECT
from simple_world import START, World, a_world

import app as hall
from chalicelib import wiring
from chalicelib.usecases.hear import hear_asked
from sandbox.lambda_shapes import Context

PATH = "/v1/webhooks/atlas"
OURS, OURS_BEFORE = "webhook-secret-of-ours", "webhook-secret-that-is-being-replaced"
OTHER_ORGANIZATION, THEIRS = "d" * 24, "webhook-secret-of-another-organization"
SILENT_ORGANIZATION = "e" * 24
"""An organization without any webhook secret."""
ACCOUNT = {"client_id": "c", "client_secret": "client-secret"}
SECRETS = {
    "keyturn/ours": {"organization": ORGANIZATION, "webhook_secrets": [OURS, OURS_BEFORE]},
    "keyturn/theirs": {"organization": OTHER_ORGANIZATION, "webhook_secrets": [THEIRS]},
    "keyturn/silent": {"organization": SILENT_ORGANIZATION},
}
ENVIRONMENT = {
    "ATLAS_SECRETS": ",".join(SECRETS),
    "HEAR_FUNCTION": "hear",
    "TABLE_NAME": "t",
    "ROTATIONS_QUEUE_URL": "q",
    "SWEEPS_QUEUE_URL": "q",
    "ALERTS_TOPIC_ARN": "a",
    "ESCALATIONS_TOPIC_ARN": "a",
    "AWS_DEFAULT_REGION": "us-east-1",
}


class SecretsManager:
    """Gives the secrets of three organizations."""

    def get_secret_value(self, SecretId, **_asked):  # noqa: N803 - boto3's own names
        held = {"reader": ACCOUNT, "owner": ACCOUNT} | SECRETS[SecretId]
        return {"SecretString": json.dumps(held)}


class Lambda:
    """Runs `hear` in this process, and answers as Lambda does, also when it raises."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.asked = 0
        self.raised: list[Exception] = []

    def invoke(self, *, FunctionName, Payload):  # noqa: N803 - boto3's own names
        assert FunctionName == "hear"
        self.asked += 1
        try:
            answer, failed = hear_asked(self._world.outside, json.loads(Payload)), {}
        except Exception as problem:  # noqa: BLE001 - whatever it raises, Lambda answers
            self.raised.append(problem)
            answer, failed = {"errorMessage": str(problem)}, {"FunctionError": "Unhandled"}
        return {"Payload": io.BytesIO(json.dumps(answer).encode()), **failed}


class Silence:
    """A client of AWS that nobody should ask here."""


class Door:
    """The real door and the real judge of signatures; what they lead to is in memory."""

    def __init__(self) -> None:
        self.world = a_world()
        self.function = Lambda(self.world)
        clients = {name: Silence() for name in ("dynamodb", "sns", "sqs", "events")}
        wiring.furnish(
            now=self.world.time, clients={**clients, "lambda": self.function, "secretsmanager": SecretsManager()}
        )
        signed_by = wiring.outside().signed_by
        self.world.outside = type(self.world.outside)(**{**vars(self.world.outside), "signed_by": signed_by})

    @property
    def effects(self) -> tuple[int, int]:
        """How often Atlas was asked, and how often anything was written."""
        return len(self.world.atlas.calls), len(self.world.tracker.commits)

    def call(self, body, headers, *, in_base64=False):
        """One call as API Gateway hands it over; gives its status and its verdict, if there is one."""
        event = {
            "resource": PATH,
            "path": PATH,
            "httpMethod": "POST",
            "headers": headers,
            "multiValueHeaders": {name: [value] for name, value in headers.items()},
            "queryStringParameters": None,
            "multiValueQueryStringParameters": None,
            "pathParameters": None,
            "stageVariables": None,
            "requestContext": {"resourcePath": PATH, "httpMethod": "POST", "requestId": str(uuid4()), "identity": {}},
            "body": body,
            "isBase64Encoded": in_base64,
        }
        given = hall.app(event, Context(function_name="api", timeout_seconds=29))
        return given["statusCode"], json.loads(given["body"]).get("verdict")


@contextmanager
def open_door(monkeypatch):
    """A door in an environment of its own."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    try:
        yield Door()
    finally:
        wiring.furnish()


def alert(number=1, **changes):
    """What Atlas says of an alert that was raised just now, as it writes it."""
    said = {
        "id": f"{number:024x}",
        "groupId": PROJECT,
        "eventTypeName": "AWS_ENCRYPTION_KEY_INVALID",
        "status": "OPEN",
        "updated": START.isoformat(),
        "humanReadable": "Schlüssel ungültig",
    }
    return json.dumps(said | changes, ensure_ascii=False).encode()


def sign(body, secret=OURS, algorithm="sha1"):
    """What Atlas writes into the header."""
    return b64encode(digest(secret.encode(), body, algorithm)).decode()
