"""Judges what auditors found: `python -m package.audit AUDIT` complains of what exceptions.json does not explain.

An exception that explains nothing any more is a complaint, too. What the auditors cannot know: their lists of actions
and checks are as old as their release, and they see neither KMS' key policies nor an organization's.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Finding = dict[str, Any]
Exception_ = dict[str, Any]

EXCEPTIONS = Path(__file__).parent / "exceptions.json"


def of_checkov(report: dict[str, Any]) -> list[Finding]:
    """Checkov's failed checks; raises ValueError for a report on nothing, which would pass anything."""
    summary = report["summary"]
    if summary["parsing_errors"] or not summary["resource_count"]:
        raise ValueError("checkov could not read the template")
    return [
        {"issue": one["check_id"], "where": one["resource"].rpartition(".")[0], "about": one["check_name"]}
        for one in report["results"]["failed_checks"]
    ]


def of_bandit(report: dict[str, Any]) -> list[Finding]:
    """Bandit's findings; raises ValueError where it left a file out, or looked at none."""
    if report["errors"] or not report["metrics"]["_totals"]["loc"]:
        raise ValueError(f"bandit could not read everything: {report['errors']}")
    return [
        {"issue": one["test_id"], "where": one["filename"].removeprefix("./"), "about": one["issue_text"]}
        for one in report["results"]
    ]


def of_secrets(report: dict[str, Any]) -> list[Finding]:
    """What detect-secrets found; raises ValueError where a folder held nothing to look at."""
    if not report["files"] or not all(report["files"]):
        raise ValueError("detect-secrets was given nothing to look at")
    return list(report["findings"])


def explains(exception: Exception_, finding: Finding) -> bool:
    """Whether an exception is about a finding."""
    return (
        exception["issue"] == finding["issue"]
        and finding["where"] in exception["where"]
        and exception.get("about", "") in finding["about"]
    )


def complaints(findings: list[Finding], exceptions: list[Exception_]) -> Iterator[str]:
    """Findings that nothing explains, and explanations of nothing."""
    for finding in findings:
        if not any(explains(exception, finding) for exception in exceptions):
            yield f"{finding['where']}: {finding['issue']} {finding['about']}"
    for exception in exceptions:
        for where in exception["where"]:
            here = {**exception, "where": [where]}
            if not any(explains(here, finding) for finding in findings):
                yield f"the exception {exception['issue']} for {where} explains nothing any more"


def main(folder: Path) -> int:
    """Print what is wrong and how much was looked at, and give the exit status."""
    exceptions = json.loads(EXCEPTIONS.read_text(encoding="utf-8"))
    found = {
        "parliament": json.loads((folder / "parliament.json").read_text()),
        "checkov": of_checkov(json.loads((folder / "checkov.json").read_text())),
        "bandit": of_bandit(json.loads((folder / "bandit.json").read_text())),
        "secrets": of_secrets(json.loads((folder / "secrets.json").read_text())),
    }
    wrong = [f"{tool}: {text}" for tool in found for text in complaints(found[tool], exceptions[tool])]
    for text in wrong:
        sys.stdout.write(f"{text}\n")
    counts = ", ".join(f"{len(findings)} findings of {tool}" for tool, findings in found.items())
    sys.stdout.write(f"{counts}; {len(wrong)} of them, or of their exceptions, unexplained\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
