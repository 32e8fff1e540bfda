"""What becomes of the auditors' findings: explained one by one, or a complaint."""

import json
import subprocess
from pathlib import Path

import pytest

from package.audit import EXCEPTIONS, complaints, of_bandit, of_checkov, of_secrets

FOUND = {"issue": "UNKNOWN_ACTION", "where": "sweep", "about": "Unknown action kms:GetKeyLastUsage"}
KNOWN = {"issue": "UNKNOWN_ACTION", "where": ["sweep"], "about": "kms:GetKeyLastUsage", "why": "it is new"}


BANDIT = Path(__file__).parent.parent / ".venv-security" / "bin" / "bandit"
WEAK = {
    "B102": "exec(input())",
    "B105": "password = 'not-much-of-one'",
    "B110": "try:\n    x = 1\nexcept Exception:\n    pass",
    "B324": "import hashlib\nhashlib.md5(b'')",
    "B501": "import requests\nrequests.get('https://x', verify=False, timeout=1)",
    "B602": "import subprocess\nsubprocess.run(input(), shell=True)",
}


@pytest.mark.skipif(not BANDIT.exists(), reason="bandit is not here: make .venv-security/ready")
def test_bandit_finds_weak_code_and_nothing_explains_it(tmp_path):
    for issue, code in WEAK.items():
        (tmp_path / f"{issue}.py").write_text(f"{code}\n")
    words = [BANDIT, "--quiet", "--exit-zero", "--recursive", tmp_path, "--format", "json"]
    ran = subprocess.run(words, capture_output=True, text=True, check=True)

    found = of_bandit(json.loads(ran.stdout))

    assert {(one["issue"], Path(one["where"]).stem) for one in found} >= {(issue, issue) for issue in WEAK}
    exceptions = json.loads(EXCEPTIONS.read_text(encoding="utf-8"))["bandit"]
    unexplained = [said for said in complaints(found, exceptions) if "explains nothing" not in said]
    assert len(unexplained) == len(found)


def test_a_finding_that_is_explained_is_no_complaint():
    assert list(complaints([FOUND], [KNOWN])) == []


@pytest.mark.parametrize("changed", [{"issue": "RESOURCE_STAR"}, {"where": "rotate"}, {"about": "kms:Decrypt"}])
def test_a_finding_that_nothing_explains_is_a_complaint(changed):
    said = list(complaints([FOUND, {**FOUND, **changed}], [KNOWN]))

    assert len(said) == 1


def test_an_exception_that_explains_nothing_any_more_is_a_complaint():
    said = list(complaints([FOUND], [{**KNOWN, "where": ["sweep", "retire"]}]))

    assert said == ["the exception UNKNOWN_ACTION for retire explains nothing any more"]


@pytest.mark.parametrize(
    "summary", [{"parsing_errors": 1, "resource_count": 9}, {"parsing_errors": 0, "resource_count": 0}]
)
def test_a_report_on_nothing_passes_nothing(summary):
    with pytest.raises(ValueError, match="could not read"):
        of_checkov({"summary": summary, "results": {"failed_checks": []}})


@pytest.mark.parametrize(
    ("errors", "lines"), [([{"filename": "app.py", "reason": "syntax error"}], 9), ([], 0)], ids=["a file", "all"]
)
def test_a_look_at_code_that_left_something_out_passes_nothing(errors, lines):
    with pytest.raises(ValueError, match="could not read"):
        of_bandit({"errors": errors, "metrics": {"_totals": {"loc": lines}}, "results": []})


@pytest.mark.parametrize("files", [[], [0], [600, 0]])
def test_a_look_for_secrets_in_nothing_passes_nothing(files):
    with pytest.raises(ValueError, match="nothing to look at"):
        of_secrets({"files": files, "findings": []})


def test_every_exception_says_why():
    listed = json.loads(EXCEPTIONS.read_text(encoding="utf-8"))

    assert set(listed) == {"parliament", "checkov", "bandit", "secrets", "dependencies"}
    assert all(len(one["why"]) > 20 for exceptions in listed.values() for one in exceptions)
