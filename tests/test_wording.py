"""What people read: which project or key, since when, and what to do."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.arn import KeyArn
from chalicelib.domain.records import Key, Policy, Project, Reason
from chalicelib.domain.vocabulary import KeyState, NoticeKind
from chalicelib.domain.wording import (
    atlas_unreachable,
    day,
    drift,
    key_is_needed_again,
    key_is_safe,
    notice_id,
    reminder,
)

DAY = timedelta(days=1)
NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
OLD = KeyArn(account="111122223333", region="eu-west-1", key_id="11111111-1111-1111-1111-111111111111")
PROJECT = Project(
    project_id="p1",
    name="Shop",
    organization="o1",
    seen_at=NOW,
    key=OLD,
    key_since=NOW - 90 * DAY,
    policy=Policy(recipients=("team@example.com",)),
)
KEY = Key(
    arn=OLD,
    state=KeyState.RETIRING,
    projects=("p1",),
    first_seen_at=NOW - DAY,
    swept_at=NOW,
    proof_digest="d" * 64,
    reasons=(Reason(kind="snapshots", text="3 snapshots of main need it"),),
)


def all_notices(name: str):
    project = replace(PROJECT, name=name)
    yield reminder(project, (-1, 0), NOW)
    yield drift(project, "key_changed_by_hand", "its key was changed.", NOW)
    yield atlas_unreachable(project, "503", NOW)
    yield key_is_safe(KEY)
    yield key_is_needed_again(KEY)


@given(st.one_of(st.text(), st.just("ü" * 300), st.just("Café ☕ €")))
def test_every_subject_is_ascii_and_short_enough_for_an_email(name):
    for notice in all_notices(name):
        assert notice.subject.isascii()
        assert notice.subject.startswith("Keyturn: ")
        assert len(notice.subject) <= 100


def test_no_two_different_notices_share_an_id():
    ids = [notice.notice_id for notice in all_notices("Shop")]

    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[0-9a-f]{32}", found) for found in ids)


def test_the_same_parts_give_the_same_id_and_other_parts_another():
    assert notice_id("a", 1) == notice_id("a", "1")
    assert notice_id("a", "b") != notice_id("ab")


def test_a_day_that_is_not_known_is_said_to_be_so():
    assert day(NOW) == "2027-03-01"
    assert day(None) == "an unknown day"


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (NOW - 30 * DAY, "due in 30 days"),
        (NOW - 30 * DAY + timedelta(hours=1), "due in 30 days"),
        (NOW - timedelta(hours=1), "due in 1 day"),
        (NOW, "due today"),
        (NOW + timedelta(hours=23), "due today"),
        (NOW + 7 * DAY, "overdue by 7 days"),
    ],
)
def test_a_reminder_says_when_the_rotation_is_due(now, words):
    notice = reminder(PROJECT, (0,), now)

    assert notice.subject == f"Keyturn: key rotation of Shop is {words}"
    assert words in notice.text


def test_a_reminder_says_which_key_since_when_and_what_to_do():
    notice = reminder(PROJECT, (-30, -14, -7), NOW)

    assert f"Key: {OLD}\nIn use since: 2026-12-01" in notice.text
    assert "on 2027-03-01, every 90 days" in notice.text
    assert "could not be sent: 2." in notice.text
    assert "POST /v1/projects/p1/rotations" in notice.text
    assert (notice.rung, notice.key_id, notice.recipients) == (-7, OLD.key_id, ("team@example.com",))


def test_a_reminder_that_missed_nothing_says_nothing_of_it():
    notice = reminder(replace(PROJECT, key=None), (0,), NOW)

    assert "could not be sent" not in notice.text
    assert notice.key_id is None


def test_a_rung_is_spoken_once_a_cycle_and_anew_when_the_due_date_moved():
    first, repeated = (reminder(PROJECT, (0,), moment).notice_id for moment in (NOW, NOW + DAY))
    moved = reminder(replace(PROJECT, policy=Policy(rotation_period_days=80)), (0,), NOW).notice_id
    next_cycle = reminder(replace(PROJECT, key_since=NOW), (0,), NOW).notice_id

    assert first == repeated
    assert len({first, moved, next_cycle}) == 3


@pytest.mark.parametrize(("project", "key_id"), [(PROJECT, OLD.key_id), (replace(PROJECT, key=None), None)])
def test_drift_is_told_with_its_code_and_that_nothing_was_changed(project, key_id):
    notice = drift(project, "key_changed_by_hand", "its key was changed.", NOW)

    assert notice.subject == "Keyturn: Shop: key changed by hand"
    assert "Shop (p1): its key was changed.\nKeyturn has changed nothing." in notice.text
    assert (notice.detail, notice.key_id) == ({"drift": "key_changed_by_hand"}, key_id)


def test_a_project_that_could_not_be_read_is_told_with_the_cause():
    notice = atlas_unreachable(PROJECT, "clusters: 503", NOW)

    assert notice.kind is NoticeKind.ATLAS_UNREACHABLE
    assert "could not be read: clusters: 503" in notice.text


def test_a_safe_key_is_told_with_its_proof_and_what_to_do():
    notice = key_is_safe(KEY)

    assert f"Proof: {KEY.proof_digest}" in notice.text
    assert f"POST /v1/keys/{OLD.key_id}/deletion; another person approves" in notice.text
    assert (notice.created_at, notice.project_id) == (NOW, "p1")


def test_a_key_that_is_needed_again_is_told_with_every_reason():
    notice = key_is_needed_again(replace(KEY, proof_digest=None, projects=("p1", "p2"), swept_at=None))

    assert "- 3 snapshots of main need it" in notice.text
    assert "do not delete it" in notice.text
    assert (notice.detail["proof"], notice.project_id, notice.created_at) == ("", None, KEY.first_seen_at)


@pytest.mark.parametrize(("days", "escalates"), [(-1, False), (0, False), (6, False), (7, True), (14, True)])
def test_a_reminder_goes_to_the_escalations_too_from_a_week_overdue_on(days, escalates):
    due = NOW

    assert reminder(PROJECT, (days,), due + timedelta(days=days)).escalate == escalates


def test_the_policy_says_from_when_on_a_reminder_escalates():
    hurried = replace(PROJECT, policy=replace(PROJECT.policy, escalate_after_days=0))

    assert reminder(hurried, (0,), NOW).escalate
