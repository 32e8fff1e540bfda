"""Bench of the command `keyturn`: how long it takes to start, and to show a fleet of 5,000 projects.

Beside the start: `import boto3`, which every tool of AWS' pays. Beside the fleet: the same pages asked one after the
other over one connection by a program that does nothing with them. The server is a process of its own on loopback.
"""

import http.client
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]

from gauges.figures import AT_MOST, goal, head, interpreter, row, spread  # noqa: E402 - after the line above

PROJECTS, SECONDS, ROUNDS = 5_000, 0.06, 5
PAGE = 100
MOST_START, MOST_STATUS = 1.5, 3.0
_SERVER = ROOT / "bench" / "peers" / "quick_keyturn.py"
_NOBODY = {"AWS_ACCESS_KEY_ID": "AKIABENCH", "AWS_SECRET_ACCESS_KEY": "bench", "AWS_REGION": "us-east-1"}


@contextmanager
def serving() -> Iterator[int]:
    """The port of a server that answers the fleet."""
    command = [sys.executable, str(_SERVER), str(SECONDS), str(PROJECTS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield int(server.stdout.readline())
        finally:
            server.terminate()


def run(*words: str) -> tuple[float, str]:
    """Seconds that a Python took, and what it said."""
    begun = time.perf_counter()
    environment = {**os.environ, **_NOBODY}
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    return time.perf_counter() - begun, done.stdout


def count(port: int) -> int:
    """What the server was asked since it was last looked at."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/count")
    asked = int(json.load(connection.getresponse())["asked"])
    connection.close()
    return asked


def floor(port: int) -> float:
    """Seconds to ask for every page, one after the other, and read it to the end."""
    begun = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    for page in range(PROJECTS // PAGE):
        connection.request("GET", f"/v1/projects?cursor={page}")
        assert connection.getresponse().read()
    connection.close()
    return time.perf_counter() - begun


def status(port: int) -> float:
    """Seconds of `keyturn status`; that it has seen every project is asserted."""
    count(port)
    took, said = run("-m", "cli", "status", "--endpoint", f"http://127.0.0.1:{port}")
    assert said.startswith(f"{PROJECTS:,} projects: "), said[:200]
    asked = count(port)
    assert asked == PROJECTS // PAGE + 1, f"{asked} calls"
    return took


def main() -> None:
    """Rounds of all four, interleaved."""
    print(f"The command: start, and status of {PROJECTS:,} projects, {SECONDS * 1000:.0f} ms a call; {interpreter()}")
    took: dict[str, list[float]] = {name: [] for name in ("import boto3", "keyturn --help", "pages", "keyturn status")}
    with serving() as port:
        for _ in range(ROUNDS):
            took["import boto3"].append(run("-c", "import boto3")[0])
            took["keyturn --help"].append(run("-m", "cli", "--help")[0])
            took["pages"].append(floor(port))
            took["keyturn status"].append(status(port))
    median = {name: statistics.median(seconds) for name, seconds in took.items()}
    print(head("", "seconds", "spread"))
    for name, seconds in took.items():
        print(row(name, f"{median[name]:.2f}", spread(seconds, digits=2)))
    start, fleet = median["keyturn --help"] / median["import boto3"], median["keyturn status"] / median["pages"]
    print(goal("start / import boto3", start, AT_MOST, MOST_START))
    print(goal("status / its pages one after the other", fleet, AT_MOST, MOST_STATUS))


if __name__ == "__main__":
    main()
