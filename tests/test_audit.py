"""What becomes of the auditors' findings: explained one by one, or a complaint."""

import json

import pytest

from package.audit import EXCEPTIONS, complaints, of_checkov

FOUND = {"issue": "UNKNOWN_ACTION", "where": "sweep", "about": "Unknown action kms:GetKeyLastUsage"}
KNOWN = {"issue": "UNKNOWN_ACTION", "where": ["sweep"], "about": "kms:GetKeyLastUsage", "why": "it is new"}


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


def test_every_exception_says_why():
    listed = json.loads(EXCEPTIONS.read_text(encoding="utf-8"))

    assert set(listed) == {"parliament", "checkov"}
    assert all(len(one["why"]) > 20 for exceptions in listed.values() for one in exceptions)
