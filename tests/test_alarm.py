"""A key that Atlas finds invalid is told at the first look that shows it, once."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from chalicelib.domain.alarm import INVALID_TEXT, KEY_INVALID, probe
from chalicelib.domain.observed import Settings
from chalicelib.domain.records import Project
from chalicelib.domain.vocabulary import NoticeKind

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
PROJECT = Project(project_id="p1", name="Shop", organization="o1", seen_at=NOW, valid=True, drift=("grant_removed",))
INVALID = Settings(enabled=True, valid=False)


def test_an_invalid_key_is_told_with_what_to_do_and_noted_beside_other_drift():
    alarm = probe(PROJECT, INVALID, NOW)

    assert alarm.project == replace(PROJECT, valid=False, drift=("grant_removed", KEY_INVALID))
    assert (alarm.notice.kind, alarm.notice.detail) == (NoticeKind.DRIFT, {"drift": KEY_INVALID})
    assert INVALID_TEXT in alarm.notice.text


def test_the_alarm_is_raised_once_while_it_lasts():
    told = probe(PROJECT, INVALID, NOW).project

    assert probe(told, INVALID, NOW) is None


@pytest.mark.parametrize(
    "settings",
    [None, replace(INVALID, valid=True), replace(INVALID, valid=None), replace(INVALID, enabled=False)],
)
def test_settings_that_show_no_invalid_key_raise_no_alarm(settings):
    assert probe(PROJECT, settings, NOW) is None
