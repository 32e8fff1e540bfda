"""The README's commands: the curl lines are run as printed, the others are held against what would read them."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import boto3
import pytest

from sandbox.__main__ import _parser
from sandbox.template import read_template

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
ARGUMENTS = re.compile(r'ARGS="([^"]*)"')


@pytest.fixture
def sandbox():
    command = [sys.executable, "-m", "sandbox", "serve"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as running:
        try:
            yield json.loads(running.stdout.readline())
        finally:
            running.terminate()


@pytest.mark.skipif(shutil.which("curl") is None, reason="the lines need curl, which is not on this machine")
def test_the_curl_lines_take_a_rotation_to_its_end(sandbox, tmp_path):
    (lines,) = [block for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) if "--aws-sigv4" in block]
    (tmp_path / "sandbox.json").write_text(json.dumps(sandbox), encoding="utf-8")
    script = lines.replace("http://127.0.0.1:8400", sandbox["api"])

    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    answers = [json.loads(line) for line in ran.stdout.splitlines()]
    assert ran.returncode == 0, ran.stderr
    assert [rotation["state"] for rotation in answers[3]["items"]] == ["deployed"]
    assert any(message["attributes"]["kind"] == "rotation_deployed" for message in answers[5])


def runs_the_sandbox():
    """Per make target that starts the sandbox the command behind it and all options that are printed for it."""
    for target, help_text, command in re.findall(
        r"^([a-z-]+):.*?## (.*)\n\t\.venv/bin/python -m sandbox ([a-z]+) \$\(ARGS\)$", MAKEFILE, re.MULTILINE
    ):
        lines = [line for line in README.splitlines() if re.search(rf"make (--silent )?{target}\b", line)]
        for options in ("", *ARGUMENTS.findall("\n".join([help_text, *lines]))):
            yield target, [command, *shlex.split(options)]


def test_every_printed_way_to_start_the_sandbox_is_one_that_it_understands():
    started = list(runs_the_sandbox())

    read = {target: _parser().parse_args(words).command for target, words in started}

    assert read == {"demo": "demo", "sandbox": "serve"}
    assert ("sandbox", ["serve", "--port", "8400"]) in started


@pytest.mark.parametrize("line", sorted(set(re.findall(r"python3? -m sandbox[^`\n#$]*", README + MAKEFILE))))
def test_every_printed_call_of_the_sandbox_is_one_that_it_understands(line):
    words = shlex.split(line)[3:]

    assert _parser().parse_args(words).command == words[0]


def test_make_help_shows_every_target():
    (targets,) = re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)

    asked = ["make", "--no-print-directory", "help"]
    shown = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert {line.split()[0] for line in shown.splitlines()} == set(targets.split())


def aws_lines():
    """The README's calls of the AWS CLI, each as its words, lines that go on joined."""
    joined = README.replace("\\\n", " ")
    return [shlex.split(line) for line in re.findall(r"^ *(aws cloudformation .*)$", joined, re.MULTILINE)]


def options_of(words):
    """Per option of a command line the words that belong to it."""
    options = {}
    for word in words:
        if word.startswith("--"):
            options[word] = []
        elif options:
            options[list(options)[-1]].append(word)
    return options


@pytest.fixture
def deploying():
    package, deploy = aws_lines()
    return options_of(package), options_of(deploy)


def test_what_the_readme_packages_is_what_make_package_writes_and_what_it_deploys_is_that(deploying):
    package, deploy = deploying
    (source,) = package["--template-file"]

    written = (ROOT / "package" / "build.sh").read_text(encoding="utf-8")

    assert Path(source).name in written
    assert source.startswith("build/package/")
    assert package["--output-template-file"] == deploy["--template-file"]


def test_the_readme_deploys_with_the_templates_own_parameters_and_leaves_none_out(deploying):
    given = dict(pair.split("=", 1) for pair in deploying[1]["--parameter-overrides"])
    parameters = read_template()["Parameters"]

    assert given.keys() <= parameters.keys()
    assert {name for name, shape in parameters.items() if "Default" not in shape} <= given.keys()
    for name, value in given.items():
        assert re.fullmatch(parameters[name].get("AllowedPattern", ".*"), value)


def test_the_readme_names_parameters_that_the_template_knows_and_values_that_it_allows():
    parameters = read_template()["Parameters"]

    named = re.findall(r"`([A-Z][A-Za-z]+)=(\w+)`", README)

    assert ("ApiGatewayLogRole", "create") in named
    for name, value in named:
        assert value in parameters[name].get("AllowedValues", [value])


def test_the_readme_deploys_with_capabilities_that_cloudformation_knows(deploying):
    client = boto3.client("cloudformation", region_name="us-east-1")
    known = client.meta.service_model.shape_for("Capability").enum

    assert set(deploying[1]["--capabilities"]) <= set(known)
    assert "CAPABILITY_AUTO_EXPAND" in deploying[1]["--capabilities"]  # the template is a SAM template
