"""The README's curl lines are run as printed, against a sandbox on a free port."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


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
