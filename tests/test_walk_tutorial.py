"""The tutorial, lived: one shell types its commands in order beside a real sandbox, and sees what the page shows."""

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
BETWEEN = "\x1e"
"""What the shell prints after each block."""

LIST_KEYS = "import boto3; print(len(boto3.client('kms').list_keys()['Keys']), 'keys')"
BLOCKS = re.findall(r"^```(sh|text)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
START, *STEPS = [text for kind, text in BLOCKS if kind == "sh"]
SHOWN = {step: text for (_, step), (kind, text) in pairwise(BLOCKS) if kind == "text"}


def comes_in(shown, printed):
    """Whether all lines shown come in this order; `…` stands for anything, alone in its line for any lines."""
    lines = iter(printed.splitlines())
    for line in shown.splitlines():
        if line.strip() != "…" and not any(pattern(line).fullmatch(one) for one in lines):
            pytest.fail(f"{line!r} does not come in its turn in:\n{printed}")
    return True


def pattern(line):
    """A line as shown; columns may be wider or narrower, and what follows may only be blanks."""
    words = [re.escape(word).replace("…", ".*") for word in line.split()]
    return re.compile(r"\s*" + r"\s+".join(words) + r"\s*")


def what_make_runs(line):
    """The command behind a line `make …`, as make itself says it; the virtual environment is there already."""
    make, *words = shlex.split(line)
    asked = [make, "--no-print-directory", "--dry-run", "--old-file=.venv/ready", *words]
    told = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    interpreter, *rest = shlex.split(told.splitlines()[-1])
    assert interpreter == ".venv/bin/python"
    return [sys.executable, *rest]


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A folder that looks like a clone to whoever follows the page; its pip only notes what it should install."""
    folder = tmp_path_factory.mktemp("clone")
    programs = folder / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name, does in {
        "pip": 'printf "%s\\n" "$@" > installed',
        "keyturn": f'PYTHONPATH={shlex.quote(str(ROOT))} exec {shlex.quote(sys.executable)} -m cli "$@"',
    }.items():
        (programs / name).write_text(f"#!/bin/sh\n{does}\n", encoding="utf-8")
        (programs / name).chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def lived(clone):
    """What the sandbox announced, and per block what the shell printed."""
    surroundings = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        what_make_runs(START.strip()), cwd=clone, env=surroundings, stdout=subprocess.PIPE, text=True
    ) as running:
        try:
            announced = running.stdout.readline()
            wide = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
            administer = f"source build/sandbox/admin.env; {shlex.quote(sys.executable)} -c {shlex.quote(LIST_KEYS)}"
            script = f"\nprintf '{BETWEEN}'\n".join([*STEPS, administer])
            typed = subprocess.run(
                ["bash", "-c", script],
                cwd=clone,
                env=wide,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=180,
                check=False,
            )
        finally:
            running.terminate()
    *printed, administered = typed.stdout.split(BETWEEN)
    return SimpleNamespace(announced=announced, printed=dict(zip(STEPS, printed, strict=True)), keys=administered)


def test_the_sandbox_announces_what_the_page_shows(lived):
    assert comes_in(SHOWN[START], lived.announced)
    assert json.loads(lived.announced)["operators"]


@pytest.mark.parametrize("step", STEPS, ids=[step.splitlines()[0][:50] for step in STEPS])
def test_each_step_of_the_tutorial_prints_what_the_page_shows(lived, step):
    assert comes_in(SHOWN.get(step, ""), lived.printed[step])


def test_the_administrators_file_opens_the_pretend_aws(lived):
    assert lived.keys.strip() == "2 keys"


def test_the_files_for_shells_are_for_their_owner_alone(lived, clone):
    files = sorted((clone / "build" / "sandbox").iterdir())

    assert [file.name for file in files] == ["ada.env", "admin.env", "grace.env"]
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}


def test_what_the_page_installs_brings_the_command(lived, clone):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert (clone / "installed").read_text(encoding="utf-8").split()[-1] == ".[cli]"
    assert "cli" in project["optional-dependencies"]
    assert "keyturn" in project["scripts"]


def test_an_excerpt_that_differs_is_noticed():
    assert comes_in("a …\n…\nz", "a   b\nc\nx z\nz\n")
    with pytest.raises(pytest.fail.Exception, match="does not come"):
        comes_in("a\nb", "b\na\n")
