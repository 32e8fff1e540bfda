"""Cloud Custodian from its own virtual environment, run as people run it, against a moto server on loopback.

Its policies are the best that its own means allow: a tag remembers what was said, `mark-for-op` gives days of grace.
moto has one clock, the machine's: that days go by is said by thresholds that fall by so many days.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / ".venv-custodian" / "bin" / "custodian"
REGION = "us-east-1"
PROJECT_TAG, RETIRED_TAG = "atlas-project", "retired-at"
_STARTS_WITHIN = 30.0
Policy = dict[str, Any]


def is_there() -> bool:
    """Whether Custodian could be installed here."""
    return PROGRAM.exists()


def version() -> str:
    """Which Custodian it is."""
    done = subprocess.run([str(PROGRAM), "version"], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@dataclass(frozen=True, kw_only=True)
class Custodian:
    """A moto server, and a place for Custodian's output."""

    address: str
    folder: Path

    def client(self, service: str) -> Any:  # noqa: ANN401 - boto3 ships no types
        """A client of AWS there."""
        keys = {"aws_access_key_id": "bench", "aws_secret_access_key": "bench"}
        return boto3.client(service, region_name=REGION, endpoint_url=self.address, **keys)

    def add_key(self, project: str, alias: str | None = None, **tags: str) -> str:
        """A customer key of an Atlas project; gives its id."""
        kms, named = (
            self.client("kms"),
            {PROJECT_TAG: project, **{name.replace("_", "-"): v for name, v in tags.items()}},
        )
        listed = [{"TagKey": name, "TagValue": value} for name, value in named.items()]
        key = str(kms.create_key(Tags=listed)["KeyMetadata"]["KeyId"])
        if alias is not None:
            kms.create_alias(AliasName=alias, TargetKeyId=key)
        return key

    def run(self, *policies: Policy) -> float:
        """One run of the program with some policies; gives its seconds."""
        page = self.folder / "policies.json"
        page.write_text(json.dumps({"policies": list(policies)}), encoding="utf-8")
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            "AWS_ENDPOINT_URL": self.address,
            "AWS_ACCESS_KEY_ID": "bench",
            "AWS_SECRET_ACCESS_KEY": "bench",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        command = [str(PROGRAM), "run", "--cache-period", "0", "-s", str(self.folder / "out"), str(page)]
        begun = time.perf_counter()
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        return time.perf_counter() - begun

    def matched(self, name: str) -> int:
        """How many keys a policy of the last run matched."""
        return len(json.loads((self.folder / "out" / name / "resources.json").read_text(encoding="utf-8")))

    def add_queue(self, name: str) -> str:
        """A queue for notices; gives its address."""
        return str(self.client("sqs").create_queue(QueueName=name)["QueueUrl"])

    def notices(self, queue: str) -> int:
        """How many messages lie in a queue."""
        found = self.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])
        return int(found["Attributes"]["ApproximateNumberOfMessages"])

    def state(self, key: str) -> str:
        """The state of a key."""
        return str(self.client("kms").describe_key(KeyId=key)["KeyMetadata"]["KeyState"])


def reminder(name: str, queue: str, *, older_than: int, once: bool) -> Policy:
    """A notice for each key that is so old; `once` by a tag that remembers it."""
    filters: list[Any] = [
        {f"tag:{PROJECT_TAG}": "present"},
        {"type": "value", "key": "CreationDate", "value_type": "age", "op": "ge", "value": older_than},
    ]
    transport = {"type": "sqs", "queue": queue, "region": REGION}
    actions: list[Any] = [{"type": "notify", "to": ["owner@example.com"], "subject": name, "transport": transport}]
    if once:
        filters.append({f"tag:{name}": "absent"})
        actions.append({"type": "tag", "tags": {name: "told"}})
    return {"name": name, "resource": "aws.kms-key", "filters": filters, "actions": actions}


def clean_up_by_age(older_than: int) -> Policy:
    """The policy that is written most: keys that are old go."""
    filters: list[Any] = [
        {f"tag:{PROJECT_TAG}": "present"},
        {"type": "value", "key": "CreationDate", "value_type": "age", "op": "ge", "value": older_than},
    ]
    return _policy("clean-up-by-age", filters, {"type": "schedule-deletion", "days": 30})


def careful_clean_up(retention: int, grace: int) -> tuple[Policy, Policy]:
    """Keys without an alias whose tag says that they were retired longer ago than snapshots are kept: mark, then go.

    The grace is over at once by `skew`, since moto's clock cannot be turned.
    """
    retired = {"type": "value", "key": f"tag:{RETIRED_TAG}", "value_type": "age", "op": "ge", "value": retention}
    filters: list[Any] = [{f"tag:{PROJECT_TAG}": "present"}, {"AliasNames": "empty"}, retired]
    mark = {"type": "mark-for-op", "tag": "clean-up", "op": "schedule-deletion", "days": grace}
    due = {"type": "marked-for-op", "tag": "clean-up", "op": "schedule-deletion", "skew": grace}
    go = {"type": "schedule-deletion", "days": 30}
    return (
        _policy("mark", [*filters, {"tag:clean-up": "absent"}], mark),
        _policy("clean-up", [*filters, due], go),
    )


def _policy(name: str, filters: Sequence[Any], action: dict[str, Any]) -> Policy:
    return {"name": name, "resource": "aws.kms-key", "filters": list(filters), "actions": [action]}


@contextmanager
def custodian() -> Iterator[Custodian]:
    """A moto server in a process of its own and a folder for Custodian; both gone at the end."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    address = f"http://127.0.0.1:{port}"
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server,
    ):
        try:
            _wait_for(port)
            yield Custodian(address=address, folder=Path(folder))
        finally:
            server.terminate()


def _wait_for(port: int) -> None:
    given_up = time.monotonic() + _STARTS_WITHIN
    while time.monotonic() < given_up:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("the moto server does not answer")
