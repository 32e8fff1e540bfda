"""An API that answers what a test tells it, and remembers what it was asked; and `keyturn` called in this process."""

import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

from typer.testing import CliRunner
from werkzeug.wrappers import Request, Response

from chalicelib.domain.arn import KeyArn
from chalicelib.domain.records import Deletion, Key, Project, Rotation
from chalicelib.domain.vocabulary import DeletionState, KeyState, RotationState, Strategy
from chalicelib.usecases import show
from cli.__main__ import app
from cli.desk import Surroundings
from sandbox.web import serving

NOW = datetime(2027, 3, 1, 9, 30, tzinfo=UTC)
PROJECT = "64b0c0c0c0c0c0c0c0c0c0c0"
OLD = KeyArn(account="123456789012", region="us-east-1", key_id="11111111-2222-3333-4444-555555555555")
NEW = KeyArn(account="123456789012", region="us-east-1", key_id="99999999-2222-3333-4444-555555555555")
SECRET = "do/not+print/me0123456789"
DIGEST = "a" * 64
CUT_OFF = 0
"""For a status: the connection ends without an answer."""


@dataclass
class FakeApi:
    """Gives for each call the next of its answers, the last one again and again."""

    answers: dict = field(default_factory=dict)
    asked: list = field(default_factory=list)

    def on(self, call, *shapes, status=200, media_type="application/json", headers=None):
        """Answer a call, as `GET /v1/keys`, with these shapes one after the other."""
        bodies = [shape if isinstance(shape, bytes) else json.dumps(shape).encode() for shape in shapes]
        given = [(body, status, media_type, headers or {}) for body in bodies]
        self.answers[call] = [*self.answers.get(call, []), *given]

    def refuse(self, call, status, detail, **more):
        """Answer a call with a problem."""
        problem = {"type": "urn:keyturn:problem:conflict", "title": "No", "status": status, "detail": detail, **more}
        self.on(call, problem, status=status, media_type="application/problem+json")
        return problem

    def __call__(self, environ, start_response):
        request = Request(environ)
        call = f"{request.method} {request.path}"
        body = json.loads(request.get_data() or b"null")
        self.asked.append(
            SimpleNamespace(
                call=call,
                target=environ["REQUEST_URI"],
                query=dict(request.args),
                body=body,
                headers=dict(request.headers),
            )
        )
        waiting = self.answers.get(call) or [
            (b'{"message": "Missing Authentication Token"}', 403, "application/json", {})
        ]
        text, status, media_type, headers = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        if status == CUT_OFF:
            raise ConnectionError
        return Response(text, status, headers, content_type=media_type)(environ, start_response)

    @property
    def calls(self):
        return [asked.call for asked in self.asked]


@contextmanager
def open_api():
    """Serve a fake API on loopback; `keyturn(…)` on it calls the command in this process."""
    api = FakeApi()
    with serving(api, 0) as address:

        def keyturn(*words, **surroundings):
            return call(address, *words, **surroundings)

        yield SimpleNamespace(api=api, address=address, keyturn=keyturn)


def call(address, *words, now=NOW, sleep=None, **environment):
    """Call `keyturn` with Ada's credentials; gives exit_code, stdout and stderr."""
    named = {
        "KEYTURN_ENDPOINT": address,
        "AWS_ACCESS_KEY_ID": "AKIAADA",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_SESSION_TOKEN": None,
        "AWS_PROFILE": None,
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
        "COLUMNS": "160",
    }
    around = Surroundings(now=lambda: now, sleep=sleep or (lambda _seconds: None))
    result = CliRunner().invoke(app, list(words), env=named | environment, obj=around, prog_name="keyturn")
    assert SECRET not in result.stdout + result.stderr
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def in_days(days):
    """A moment so many days from now."""
    return NOW + timedelta(days=days)


def project(**wishes):
    """A project as the API shows it, made from a record."""
    defaults = {
        "project_id": PROJECT,
        "name": "payments",
        "organization": "o",
        "seen_at": NOW,
        "key": OLD,
        "key_since": NOW,
        "valid": True,
        "covered": ("ledger",),
    }
    banner = wishes.pop("banner", None)
    return show.project_shape(Project(**{**defaults, **wishes}), None) | {"banner": banner}


def key(**wishes):
    """A key as the API shows it, made from a record."""
    defaults = {"arn": OLD, "state": KeyState.RETIRING, "projects": (PROJECT,), "first_seen_at": NOW, "swept_at": NOW}
    return show.key_shape(Key(**{**defaults, **wishes}))


def rotation(state=RotationState.REQUESTED, **wishes):
    """A rotation as the API shows it, made from a record."""
    defaults = {
        "rotation_id": "r1",
        "project_id": PROJECT,
        "strategy": Strategy.NEW_CMK,
        "old_key": OLD,
        "requested_by": "arn:aws:iam::123456789012:user/ada",
        "requested_at": NOW,
        "fingerprint": "f",
    }
    shape = show.rotation_shape(Rotation(state=state, **{**defaults, **wishes}))
    return json.loads(json.dumps(shape)) | {"still_readable": None}


def deletion(state=DeletionState.REQUESTED, **wishes):
    """A deletion as the API shows it, made from a record."""
    defaults = {
        "deletion_id": "d1",
        "arn": OLD,
        "digest": DIGEST,
        "requested_by": "arn:aws:iam::123456789012:user/ada",
        "requested_at": NOW,
        "expires_at": in_days(7),
        "quarantine_days": 7,
    }
    return show.deletion_shape(Deletion(state=state, **{**defaults, **wishes}))


def page(*items, cursor=None, **more):
    """A list as the API gives it."""
    return {"items": list(items), "next": cursor, **more}
