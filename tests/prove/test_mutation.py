"""The tests of the verdict and of the gate, tested: of the mutants that mutmut makes of those modules few may live.

mutmut changes comparisons, conditions, numbers, texts, arguments and results, one at a time, and runs the tests of the
module on each. It lives in a virtual environment of its own (`.venv-mutation`), away from what the project runs on.
"""

import json
import random
import shutil
import subprocess
from pathlib import Path

import pytest
from figures import FULL_SIZE, tell

HOUSE = Path(__file__).parents[2]
MUTMUT = HOUSE / ".venv-mutation" / "bin" / "mutmut"
MODULES = ("retention", "approval", "retirement")
TESTS = ("test_retention", "test_verdict_details", "test_approval", "test_deletion_details")
SEED = 20_270_301
SAMPLE = 600
AT_LEAST = 0.95
LIVES, NEVER_RAN = 0, (33, 34)
"""mutmut's exit codes of a mutant that no test noticed, and of those that were not tried."""

pytestmark = [
    pytest.mark.skipif(not FULL_SIZE, reason="the mutation score is measured by `make prove`"),
    pytest.mark.skipif(not MUTMUT.exists(), reason="mutmut is not installed in .venv-mutation"),
]


@pytest.fixture
def workshop(tmp_path):
    """A copy of what mutmut needs: it writes its mutants beside the sources."""
    shutil.copytree(HOUSE / "chalicelib", tmp_path / "chalicelib", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "tests").mkdir()
    for name in TESTS:
        shutil.copy(HOUSE / "tests" / f"{name}.py", tmp_path / "tests")
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --import-mode=importlib\npythonpath = . tests\n")
    settings = {
        "source_paths": ["chalicelib"],
        "only_mutate": [f"chalicelib/domain/{name}.py" for name in MODULES],
        "pytest_add_cli_args_test_selection": [f"tests/{name}.py" for name in TESTS],
        "also_copy": ["tests", "pytest.ini"],
    }
    lines = (f"{name}=" + "\n    ".join(values) for name, values in settings.items())
    (tmp_path / "setup.cfg").write_text("[mutmut]\n" + "\n".join(lines) + "\n")
    return tmp_path


def mutmut(workshop, *arguments):
    """Run mutmut in the workshop; gives all that it said."""
    done = subprocess.run([MUTMUT, *arguments], cwd=workshop, capture_output=True, text=True, timeout=900, check=False)
    return done.stdout + done.stderr


def outcomes(workshop):
    """The exit code of the tests for each mutant; None where they did not run."""
    metas = [workshop / "mutants" / "chalicelib" / "domain" / f"{name}.py.meta" for name in MODULES]
    return {name: code for meta in metas for name, code in json.loads(meta.read_text())["exit_code_by_key"].items()}


def test_nearly_every_mutant_of_the_verdict_and_the_gate_is_noticed_by_their_tests(workshop):
    said = mutmut(workshop, "run", "--max-children", "2", "chalicelib.domain.retention.x_is_safe__mutmut_1")
    every = sorted(outcomes(workshop))
    chosen = random.Random(SEED).sample(every, min(SAMPLE, len(every)))

    said += mutmut(workshop, "run", "--max-children", "2", *chosen)
    found = {name: code for name, code in outcomes(workshop).items() if name in set(chosen)}
    tried = {name: code for name, code in found.items() if code is not None and code not in NEVER_RAN}
    living = sorted(name for name, code in tried.items() if code == LIVES)

    score = 1 - len(living) / max(1, len(tried))
    tell(mutants=len(every), tried=len(tried), living=len(living), mutation_score=f"{score:.1%}", seed=SEED)
    tell(living=", ".join(name.rpartition(".")[2] for name in living) or "none")
    assert len(tried) >= 0.9 * len(chosen), said[-3000:]
    assert score >= AT_LEAST, living
