"""DynamoDB Local, AWS's own jar, as a process of its own: DynamoDB's answers where moto is kinder than DynamoDB.

`make dynamodb-local` fetches it; its licence forbids to ship it. It has no point-in-time recovery and deletes
nothing when a TTL is over. It can be told a port but no address, so it listens on every interface while it runs,
with nothing in it but what a test wrote.
"""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from botocore.config import Config
from botocore.session import Session, get_session
from figures import FULL_SIZE

from package.template import read
from sandbox.aws_provision import Made, Template

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / "build" / "dynamodb-local"
JAR = HOME / "DynamoDBLocal.jar"
ACCOUNT, REGION = "000000000000", "us-east-1"
MISSING_HERE = "PointInTimeRecoverySpecification"
_STARTS, _STARTS_WITHIN, _STOPS_WITHIN = 3, 60, 10


def why_not() -> str | None:
    """Why DynamoDB Local cannot run here; None when it can."""
    if not FULL_SIZE:
        return "DynamoDB Local is asked by `make prove`"
    if not JAR.is_file():
        return "DynamoDB Local is not in build/: `make dynamodb-local` fetches it"
    return None if shutil.which("java") else "DynamoDB Local needs java, which is not on this machine"


@contextmanager
def dynamodb_local() -> Iterator[str]:
    """The address of a DynamoDB in memory, gone at the end together with what it held."""
    process, address = _started()
    try:
        yield address
    finally:
        process.terminate()
        try:
            process.wait(_STOPS_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def client_at(address: str, service: str = "dynamodb"):
    """A client of `dynamodb` or `dynamodbstreams` there, as patient as Lambda's own."""
    session: Session = get_session()
    return session.create_client(
        service,
        region_name=REGION,
        endpoint_url=address,
        aws_access_key_id="local",
        aws_secret_access_key="local",
        config=Config(max_pool_connections=16),
    )


def shipped_table(client) -> Made:
    """The tracker's table as the template that ships makes it, but for what DynamoDB Local does not have."""
    resource = read(ROOT / ".chalice" / "resources.yaml")["Resources"]["TrackerTable"]
    known = {name: value for name, value in resource["Properties"].items() if name != MISSING_HERE}
    resources = {"TrackerTable": {"Type": resource["Type"], "Properties": known}}
    return Template(resources=resources, client=lambda _: client, account=ACCOUNT, region=REGION).make("TrackerTable")


def _started() -> tuple[subprocess.Popen[bytes], str]:
    """Start on a free port; somebody else may take it before the server does, so it is tried more than once."""
    for _ in range(_STARTS):
        port = _free_port()
        process = subprocess.Popen(_command(port), cwd=HOME, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if _answers(process, port):
            return process, f"http://127.0.0.1:{port}"
        process.kill()
        process.wait()
    raise RuntimeError(f"DynamoDB Local did not answer, started {_STARTS} times: run {' '.join(_command(0))}")


def _command(port: int) -> list[str]:
    libraries = f"-Djava.library.path={HOME / 'DynamoDBLocal_lib'}"
    return ["java", "-Xmx512m", libraries, "-jar", str(JAR), "-inMemory", "-disableTelemetry", "-port", str(port)]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    given_up = time.monotonic() + _STARTS_WITHIN
    while process.poll() is None and time.monotonic() < given_up:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return process.poll() is None
    return False
