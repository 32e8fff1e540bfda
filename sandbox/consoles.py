"""A console for every operator: the shipped command in a process of its own, with that operator's keys."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sandbox.aws import User

_ROOT = Path(__file__).resolve().parent.parent
_GRACE = 5.0
"""Seconds that a console has to end before it is killed."""


@contextmanager
def open_consoles(api: str, region: str, operators: Sequence[User]) -> Iterator[list[str]]:
    """Serve a console per operator; gives their addresses in the operators' order, and ends them by their pids."""
    with ExitStack() as stack:
        running = [stack.enter_context(_console(api, region, operator)) for operator in operators]
        yield [_address_of(console) for console in running]


@contextmanager
def _console(api: str, region: str, operator: User) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "cli", "console", "--json", "--endpoint", api]
    environment = _environment(region, operator)
    with subprocess.Popen(  # noqa: S603 - our own command
        command, cwd=_ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    ) as running:
        try:
            yield running
        finally:
            running.terminate()
            try:
                running.wait(_GRACE)
            except subprocess.TimeoutExpired:
                running.kill()


def _environment(region: str, operator: User) -> dict[str, str]:
    """This machine's, with nothing of its AWS configuration and the operator's keys instead."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "KEYTURN_"))}
    return kept | {
        "AWS_ACCESS_KEY_ID": operator.access_key_id,
        "AWS_SECRET_ACCESS_KEY": operator.secret_access_key,
        "AWS_REGION": region,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1",
    }


def _address_of(console: "subprocess.Popen[str]") -> str:
    """What a console says it is at; raises RuntimeError when it ended instead."""
    assert console.stdout is not None  # noqa: S101 - it is a pipe
    said = console.stdout.readline()
    if not said:
        raise RuntimeError("a console of the sandbox did not start; its reason stands above")
    return str(json.loads(said)["url"])
