"""Bench P4: how long a function takes from nothing to ready, with the zip that is deployed, beside `import boto3`.

`make package` must have unpacked the zip and laid the runtime's own packages beside it. Each figure is of a process of
its own, without the site's packages and with an empty environment, as Lambda starts one. Ready is: app.py is imported.
What the first invocation adds (the verb, and a client of the table) is shown too. Bytecode is cached, as it is in the
rounds of one function after its first.
"""

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]

from gauges.figures import AT_MOST, goal, head, interpreter, row, slope, spread  # noqa: E402 - after the line above

BUILD = ROOT / "build"
ROUNDS = 7
MOST_START, MOST_ROUTE, MOST_MEGABYTES, MOST_SLOPE = 1.35, 0.5, 2.5, 0.1
_ENVIRONMENT = {
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "AKIABENCH",
    "AWS_SECRET_ACCESS_KEY": "bench",
    **dict.fromkeys(
        (
            *("TABLE_NAME", "ALERTS_TOPIC_ARN", "ESCALATIONS_TOPIC_ARN", "ROTATIONS_QUEUE_URL", "SWEEPS_QUEUE_URL"),
            *("EVENT_BUS_NAME", "ATLAS_SECRETS", "PREVIEW_FUNCTION", "HEAR_FUNCTION"),
        ),
        "bench",
    ),
}
_PROGRAM = """
import sys, time
sys.path[:0] = sys.argv[1:3]
begun = time.process_time()
{steps}
print(time.process_time() - begun)
"""
_HEALTH = {
    "resource": "/v1/health",
    "path": "/v1/health",
    "httpMethod": "GET",
    "headers": {},
    "multiValueHeaders": {},
    "multiValueQueryStringParameters": None,
    "pathParameters": None,
    "stageVariables": None,
    "body": None,
    "isBase64Encoded": False,
    "requestContext": {"httpMethod": "GET", "resourcePath": "/v1/health", "requestId": "r", "identity": {}},
}
_FIRST = {
    "discover": "discover",
    "remind": "remind",
    "digest": "digest",
    "rotate": "rotate",
    "track": "track",
    "sweep": "sweep",
    "retire": "retire",
    "guard": "guard",
    "patrol": "patrol",
    "watch": "watch",
    "preview": "preview",
    "hear": "hear",
    "adjust": "adjust",
    "announce": "announce",
    "relay": "relay",
}
"""Per function the verb that its first invocation imports; the API's is measured by a route."""
MORE = (1, 10, 40)
_MORE_HANDLERS = """import app
def handle(*_):
    return {{}}
for number in range({count}):
    app.app.schedule("rate(1 day)", name=f"more{{number}}")(handle)
    app.app.route(f"/more/{{number}}")(handle)"""


def python() -> str:
    """The interpreter that packaged: Lambda's runtime where the machine has it."""
    return str(ROOT / ".venv-package" / "bin" / "python")


def measure(steps: str) -> float:
    """Seconds of the processor that some steps take in a process of their own."""
    program = _PROGRAM.format(steps=steps)
    places = (str(BUILD / "unpacked"), str(BUILD / "runtime"))
    done = subprocess.run(
        [python(), "-I", "-S", "-c", program, *places], env=_ENVIRONMENT, capture_output=True, text=True, check=True
    )
    return float(done.stdout.splitlines()[-1])


def programs() -> Iterator[tuple[str, str]]:
    """What is measured, by name."""
    yield "import boto3", "import boto3"
    yield "app ready", "import app"
    context = (
        "type('C', (), dict(function_name='f', memory_limit_in_mb=1, invoked_function_arn='a', aws_request_id='r'))"
    )
    route = f"import app\nanswer = app.app({_HEALTH!r}, {context}())\nassert answer['statusCode'] == 200, answer"
    yield "GET /v1/health answered", route
    for function, verb in _FIRST.items():
        steps = (
            f"import app\nfrom chalicelib import wiring\nwiring.outside().tracker\nimport chalicelib.usecases.{verb}"
        )
        yield f"{function} before its first call", f"{steps}\nwiring.client('dynamodb')"
    for count in MORE:
        yield more(count), _MORE_HANDLERS.format(count=count)


def more(count: int) -> str:
    """The name of the app with so many more schedules and routes than it has."""
    return f"app ready, with {count} more schedules and routes"


def check_functions() -> None:
    """Every function that is deployed is measured."""
    stage = json.loads((ROOT / ".chalice" / "config.json").read_text(encoding="utf-8"))["stages"]["live"]
    assert {"api_handler", *_FIRST} == set(stage["lambda_functions"]), stage["lambda_functions"].keys()


def main() -> None:
    """Interleaved rounds; every process is asserted to have done its steps by ending well."""
    if not (BUILD / "unpacked" / "app.py").exists():
        sys.exit("there is no unpacked package: run `make package` first")
    interpreter_of_zip = json.loads(
        subprocess.run(
            [python(), "-c", "import json, platform; print(json.dumps(platform.python_version()))"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    )
    print(f"P4: cold start from the real zip; the zip's Python {interpreter_of_zip}, the bench's {interpreter()}")
    check_functions()
    named = dict(programs())
    for steps in named.values():
        measure(steps)
    took: dict[str, list[float]] = {name: [] for name in named}
    for _ in range(ROUNDS):
        for name, steps in named.items():
            took[name].append(measure(steps) * 1000)
    boto3 = statistics.median(took["import boto3"])
    print(head("", "ms of the processor", "spread", "/ import boto3"))
    for name, times in took.items():
        print(row(name, f"{statistics.median(times):.0f}", spread(times), f"{statistics.median(times) / boto3:.2f}"))
    print(goal("app ready / import boto3", statistics.median(took["app ready"]) / boto3, AT_MOST, MOST_START))
    route = statistics.median(took["GET /v1/health answered"]) / boto3
    print(goal("a route that needs no AWS client / import boto3", route, AT_MOST, MOST_ROUTE))
    growth = slope({count: statistics.median(took[more(count)]) for count in MORE})
    print(goal("slope of the start against schedules and routes", growth, AT_MOST, MOST_SLOPE, digits=3))
    megabytes = (BUILD / "package" / "deployment.zip").stat().st_size / 1e6
    print(goal("megabytes of the zip", megabytes, AT_MOST, MOST_MEGABYTES))


if __name__ == "__main__":
    main()
