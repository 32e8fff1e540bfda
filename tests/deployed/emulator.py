"""ministack in a process of its own: AWS on loopback that checks signatures and policies, and runs the functions.

Where it is not AWS, for what is tested here: its KMS (a strict one stands beside it), no mail, no
StartMessageMoveTask, Lambda runs on this machine's processor and Python, and CloudTrail tells of no KMS call.
"""

import hashlib
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager, suppress
from pathlib import Path

import boto3
from botocore.config import Config

ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAM = ROOT / ".venv-emulator" / "bin" / "ministack"
REGION, ACCOUNT = "us-east-1", "000000000000"
ADMINISTRATOR = {"aws_access_key_id": "administrator", "aws_secret_access_key": "of-the-emulator"}
_READY_WITHIN, _STOPS_WITHIN = 60.0, 10.0


class Emulator:
    """A running emulator."""

    def __init__(self, address):
        self.address = address

    def client(self, service, **credentials):
        """A client of it, as the account's root unless credentials are given."""
        return boto3.client(
            service,
            endpoint_url=self.address,
            region_name=REGION,
            config=Config(retries={"total_max_attempts": 1}, read_timeout=120),
            **(credentials or ADMINISTRATOR),
        )

    def make_user(self, name, *statements):
        """An IAM user with one policy; gives its access key."""
        iam = self.client("iam")
        iam.create_user(UserName=name)
        if statements:
            iam.put_user_policy(UserName=name, PolicyName="given", PolicyDocument=policy(*statements))
        return iam.create_access_key(UserName=name)["AccessKey"]


def policy(*statements):
    import json

    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def session_key(function):
    """The access key that the emulator gives to a function's workers: it makes it from the function and its role."""
    digest = hashlib.sha256(f"{function['FunctionArn']}:{function['Role']}".encode()).hexdigest()
    return f"ASIA{digest[:16].upper()}"


@contextmanager
def running(folder, **variables):
    """Start an emulator, with nothing of this machine's environment in it, and stop it with all its workers."""
    port = _free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "LAMBDA_EXECUTOR": "local",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "AUTH": "true",
        "AWS_ACCESS_KEY_ID": ADMINISTRATOR["aws_access_key_id"],
        "AWS_SECRET_ACCESS_KEY": ADMINISTRATOR["aws_secret_access_key"],
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "PYTHONDONTWRITEBYTECODE": "1",
        **variables,
    }
    with (folder / "emulator.log").open("wb") as log:
        process = subprocess.Popen(
            [PROGRAM], env=environment, cwd=folder, stdout=log, stderr=log, start_new_session=True
        )
        try:
            _wait_until_ready(process, port, folder)
            yield Emulator(f"http://127.0.0.1:{port}")
        finally:
            _stop(process)


def _wait_until_ready(process, port, folder):
    until = time.monotonic() + _READY_WITHIN
    while time.monotonic() < until and process.poll() is None:
        with suppress(OSError, urllib.error.URLError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/_ministack/ready", timeout=1)
            return
        time.sleep(0.1)
    raise RuntimeError(f"the emulator did not start: {(folder / 'emulator.log').read_text()[-2000:]}")


def _stop(process):
    """End the emulator and its workers: they are all of the process group that it was started in."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOPS_WITHIN)
    process.wait()


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
