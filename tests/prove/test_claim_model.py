"""The claim protocol as a model, searched to its last state by spin, with what happens when a part of it is missing."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from figures import FULL_SIZE, tell

MODEL = Path(__file__).resolve().parents[2] / "proofs" / "claim.pml"
WAKES, COMPILED = (5, "-O2") if FULL_SIZE else (3, "-O0")
MISSING = [tool for tool in ("spin", "gcc") if shutil.which(tool) is None]
DEEPEST = 100_000

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"the model needs {' and '.join(MISSING)} (Debian has both)")


@dataclass(frozen=True, kw_only=True)
class Search:
    """What spin's verifier found; `steps` leads to the broken promise, None where there is none."""

    report: str
    errors: int
    states: int
    complete: bool
    broken: str | None
    steps: int | None


def search(folder, *flags):
    defines = [f"-D{flag}" for flag in (f"WAKES={WAKES}", *flags)]
    run(["spin", "-a", *defines, str(MODEL)], folder)
    run(["gcc", "-w", COMPILED, "-DSAFETY", "-o", "pan", "pan.c"], folder)
    report = run(["./pan", f"-m{DEEPEST}"], folder)
    found = re.search(r"pan:1: assertion violated (.+?) \(at depth (\d+)\)", report)
    too_deep = "max search depth too small" in report
    return Search(
        report=report,
        errors=int(re.search(r"errors: (\d+)", report)[1]),
        states=int(re.search(r"(\d+) states, stored", report)[1]),
        complete=not too_deep and "Search not completed" not in report,
        broken=found[1] if found else None,
        steps=int(found[2]) if found else None,
    )


def run(command, folder):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def test_under_a_lease_there_is_never_a_second_key_and_never_an_orphan(tmp_path):
    found = search(tmp_path)

    tell(claim_model="as built", states=found.states, wake_ups=2 * WAKES, errors=found.errors)
    assert (found.errors, found.complete) == (0, True), found.report
    assert found.states > 100_000
    for process in ("Worker", "Janitor"):
        assert re.search(rf"unreached in proctype {process}\n\t\(0 of ", found.report), found.report


@pytest.mark.parametrize("flag", ["NO_LEASE", "LOOK_UP_WITHOUT_LEASE", "REST_TOO_SHORT", "LEASE_TOO_SHORT"])
def test_without_one_part_of_the_protocol_a_second_key_is_made(tmp_path, flag):
    found = search(tmp_path, flag)

    tell(claim_model=flag, states=found.states, second_key_after_steps=found.steps)
    assert (found.errors, found.broken) == (1, "(created<=1)"), found.report
