"""The threat model names tests: each must exist, in the file that is named before it, and every row has one."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "explanation" / "threat-model.md").read_text(encoding="utf-8")
TABLE = PAGE.partition("## What is tried, and by which test")[2].partition("\n## ")[0]
ROWS = [line for line in TABLE.splitlines() if line.startswith("| ") and "tried by" not in line]


def named(row):
    """The tests of a row, each with its file."""
    file = None
    for found in re.finditer(r"(tests/[\w/]+\.py)|`(test_\w+)`", row):
        file = found[1] or file
        if found[2]:
            yield file, found[2]


def test_every_row_names_a_test_and_every_named_test_exists():
    assert len(ROWS) >= 15
    for row in ROWS:
        tests = list(named(row))
        assert tests, row
        for file, name in tests:
            assert f"\ndef {name}(" in (ROOT / file).read_text(encoding="utf-8"), f"{file}: {name}"


def test_what_is_not_covered_is_listed():
    listed = PAGE.partition("## What is not covered")[2]

    assert len(re.findall(r"^- \*\*", listed, re.MULTILINE)) >= 10
