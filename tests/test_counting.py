"""Numbers with their nouns and verbs."""

import re
from pathlib import Path

import pytest

from chalicelib.domain.counting import agreeing, counted

ROOT = Path(__file__).resolve().parent.parent
PLURAL = re.compile(
    r"\}(?:</?\w+>)? (?:days|snapshots|clusters|keys|projects|rotations|checks|restores|exports|downloads|minutes)\b"
)
SEVERAL = re.compile(r"\bjoin\(|\blisted\(")
"""A list of numbers before a noun is several of them."""


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0 days are"), (1, "1 day is"), (2, "2 days are"), (5000, "5000 days are")]
)
def test_one_is_singular_and_everything_else_is_plural(number, said):
    assert f"{counted(number, 'day')} {agreeing(number, 'is', 'are')}" == said


@pytest.mark.parametrize("room", ["chalicelib", "cli"])
def test_no_text_puts_a_plural_behind_a_number_by_itself(room):
    found = [
        f"{path.name}: {line.strip()}"
        for suffix in ("py", "js")
        for path in sorted((ROOT / room).rglob(f"*.{suffix}"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if PLURAL.search(line) and not SEVERAL.search(line)
    ]

    assert found == []
