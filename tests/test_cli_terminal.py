"""`keyturn` as a program of its own: on a real pseudo-terminal, in a pipe, and as it is installed."""

import hashlib
import json
import os
import pty
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from fake_api import NEW, NOW, PROJECT, SECRET, open_api, page, project, rotation

from chalicelib import settings
from chalicelib.domain.vocabulary import GuardMode, Mode, Strategy
from chalicelib.domain.vocabulary import RotationState as State
from cli import VERSION, arguments
from cli.drawing.rotations import TERMINAL
from cli.front import ORDER, app

ROOT = Path(__file__).parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture
def desk():
    with open_api() as opened:
        yield opened


def environment(address, **more):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "COLUMNS", "NO_COLOR"))}
    named = {"KEYTURN_ENDPOINT": address, "AWS_ACCESS_KEY_ID": "AKIAADA", "AWS_SECRET_ACCESS_KEY": SECRET}
    return kept | named | {"AWS_DEFAULT_REGION": "us-east-1", "TERM": "xterm-256color"} | more


def on_a_terminal(address, *words):
    """Run it on a pseudo-terminal; gives its exit code and everything it wrote there."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "cli", *words]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs, env=environment(address)
    ) as run:
        os.close(theirs)
        written = b"".join(iter(lambda: _read(ours), b""))
    os.close(ours)
    return run.returncode, written.decode()


def _read(terminal):
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""


def in_a_pipe(address, *words, **more):
    command = [sys.executable, "-m", "cli", *words]
    return subprocess.run(command, cwd=ROOT, env=environment(address, **more), capture_output=True, check=False)


def test_on_a_terminal_a_rotation_is_watched_in_a_living_picture(desk):
    desk.api.on(f"POST /v1/projects/{PROJECT}/rotations", rotation(), status=202)
    under_way = rotation(State.DEPLOYING, new_key=NEW, swapped_at=NOW, waiting_for=("cluster ledger to become IDLE",))
    over = rotation(State.DEPLOYED, new_key=NEW, swapped_at=NOW, deployed_at=NOW)
    desk.api.on(f"GET /v1/projects/{PROJECT}/rotations/r1", under_way, under_way, under_way, over)

    code, written = on_a_terminal(desk.address, "rotate", PROJECT, "--watch", "--every", "0.1")

    assert code == 0
    assert "waiting for cluster ledger to become IDLE" in written
    assert "\x1b[?25l" in written, "the cursor is hidden while the picture lives"
    assert written.index("\x1b[?25h") < written.rindex("deployed"), "and comes back before the end is told"


def test_a_terminal_gets_colours_and_a_pipe_gets_none(desk):
    desk.api.on("GET /v1/projects", page(project()))
    desk.api.on("GET /v1/keys", page())

    _, written = on_a_terminal(desk.address, "status")
    piped = in_a_pipe(desk.address, "status")

    assert "\x1b[32mfine" in written
    assert b"\x1b" not in piped.stdout


def test_an_error_on_a_terminal_is_a_sentence_and_no_traceback(desk):
    desk.api.refuse("GET /v1/projects", 409, "not now")

    code, written = on_a_terminal(desk.address, "projects")

    assert code == 1
    assert "Keyturn says no: not now" in written
    assert "Traceback" not in written


def test_what_nobody_foresaw_is_a_sentence_too(desk):
    desk.api.on("GET /v1/projects", page({"name": "a project of another version"}))

    told = in_a_pipe(desk.address, "projects")

    assert told.returncode == 1
    assert told.stderr == b"This should not happen (KeyError: 'due_at'). KEYTURN_TRACEBACK=1 shows where.\n"


def test_a_terminal_without_unicode_is_no_reason_to_fail(desk):
    desk.api.on("GET /v1/projects", page(project(name="zahlungen ü")))

    told = in_a_pipe(desk.address, "projects", PYTHONIOENCODING="ascii")

    assert told.returncode == 0
    assert b"zahlungen ?" in told.stdout


@pytest.fixture
def single_sign_on(desk, tmp_path):
    """The environment of somebody who is logged in with SSO until a moment: `single_sign_on(until)`."""
    start = "https://company.awsapps.example/start"

    def log_in(until):
        token = {"startUrl": start, "region": "us-east-1", "accessToken": SECRET, "expiresAt": until}
        cache = tmp_path / ".aws" / "sso" / "cache"
        cache.mkdir(parents=True)
        (cache / f"{hashlib.sha1(start.encode()).hexdigest()}.json").write_text(json.dumps(token))
        (tmp_path / ".aws" / "config").write_text(
            f"[profile company]\nsso_start_url = {start}\nsso_region = us-east-1\nregion = us-east-1\n"
            "sso_account_id = 123456789012\nsso_role_name = operations\n"
        )
        return {"HOME": str(tmp_path), "AWS_PROFILE": "company", "AWS_ENDPOINT_URL_SSO": desk.address}

    given = {
        "accessKeyId": "ASIASSO",
        "secretAccessKey": SECRET,
        "sessionToken": "session",
        "expiration": 4102444800000,
    }
    desk.api.on("GET /federation/credentials", {"roleCredentials": given})
    return log_in


def without_keys(**more):
    return {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", **more}


def test_who_is_logged_in_with_sso_needs_nothing_else(desk, single_sign_on):
    desk.api.on("GET /v1/health", {"status": "ok", "version": "1"})

    told = in_a_pipe(desk.address, "health", **without_keys(**single_sign_on("2099-01-01T00:00:00Z")))

    assert told.returncode == 0, told.stderr
    assert "Credential=ASIASSO/" in desk.api.asked[-1].headers["Authorization"]
    assert desk.api.asked[-1].headers["X-Amz-Security-Token"] == "session"


def test_who_was_logged_in_with_sso_is_told_to_log_in_again(desk, single_sign_on):
    told = in_a_pipe(desk.address, "health", **without_keys(**single_sign_on("2020-01-01T00:00:00Z")))

    assert told.returncode == 3
    assert b"With SSO, log in again: aws sso login" in told.stderr
    assert SECRET.encode() not in told.stderr


def test_completion_knows_the_commands():
    complete = {"_KEYTURN_COMPLETE": "complete_bash", "COMP_WORDS": "keyturn rot", "COMP_CWORD": "1"}

    told = in_a_pipe("", **complete)

    assert told.stdout.decode().split() == ["rotate", "rotations", "rotation"]


def test_the_version_is_the_same_everywhere():
    assert VERSION == settings.VERSION == PYPROJECT["project"]["version"]


def test_every_folder_of_the_command_is_installed():
    folders = {".".join(file.relative_to(ROOT).parent.parts) for file in (ROOT / "cli").rglob("*.py")}

    assert folders == set(PYPROJECT["tool"]["setuptools"]["packages"])


def test_every_command_has_its_place_in_the_help_and_an_example():
    assert sorted(ORDER) == sorted(str(command.name) for command in app.registered_commands)
    assert all(f"keyturn {command.name}" in command.epilog for command in app.registered_commands)


@pytest.mark.parametrize(
    ("typed", "known"),
    [(arguments.Strategy, Strategy), (arguments.Mode, Mode), (arguments.GuardMode, GuardMode)],
)
def test_what_may_be_chosen_is_what_the_api_takes(typed, known):
    assert [one.value for one in typed] == [one.value for one in known]


def test_a_watch_ends_where_the_rotation_does():
    assert {state.value for state in State if state.terminal} == TERMINAL
