"""What people read of a rotation: what happened, to which keys, and what to do."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.arn import KeyArn
from chalicelib.domain.evidence import Unread
from chalicelib.domain.exposure import Readable, expose
from chalicelib.domain.records import Policy, Problem, Project, Rotation
from chalicelib.domain.vocabulary import NoticeKind, RotationState, Strategy
from chalicelib.domain.wording_rotation import rotation_news, still_readable

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
OLD = KeyArn(account="111122223333", region="eu-west-1", key_id="11111111-1111-1111-1111-111111111111")
NEW = replace(OLD, key_id="22222222-2222-2222-2222-222222222222")
PROJECT = Project(
    project_id="p1",
    name="Shop",
    organization="o1",
    seen_at=NOW,
    key=OLD,
    policy=Policy(recipients=("team@example.com",)),
)
ROTATION = Rotation(
    rotation_id="r1",
    project_id="p1",
    state=RotationState.DEPLOYING,
    strategy=Strategy.NEW_CMK,
    requested_by="anna",
    requested_at=NOW,
    fingerprint="f",
    old_key=OLD,
    new_key=NEW,
    reason="yearly",
    cancel_requested_by="bert",
    waiting_for=("the IAM role to be authorized", "more"),
    error=Problem(code="x", detail="the policy was refused"),
)
GOING_BACK = replace(ROTATION, state=RotationState.RETURNING, rollback_requested_by="cleo")
KINDS = [kind for kind in NoticeKind if kind.startswith("rotation_")]
FOUND = Readable(cluster="main", snapshot_id="s1", created_at=NOW, expires_at=NOW + timedelta(days=9), key_shown=True)


def news(kind: NoticeKind, rotation: Rotation = ROTATION) -> str:
    return rotation_news(kind, PROJECT, rotation, NOW).text


@given(st.one_of(st.text(), st.just("ü" * 300), st.just("Café ☕ €")))
def test_every_subject_is_ascii_and_short_enough_for_an_email(name):
    project, exposure = replace(PROJECT, name=name), expose(OLD, [FOUND], (), NOW)
    notices = [rotation_news(kind, project, ROTATION, NOW) for kind in KINDS]

    for notice in (*notices, still_readable(project, ROTATION, exposure, NOW)):
        assert notice.subject.isascii()
        assert notice.subject.startswith("Keyturn: ")
        assert len(notice.subject) <= 100


def test_no_two_kinds_of_news_share_an_id_and_the_same_news_has_the_same():
    ids = [rotation_news(kind, PROJECT, ROTATION, NOW + later).notice_id for kind in KINDS for later in _MOMENTS]

    assert len(set(ids)) == len(KINDS)


_MOMENTS = (timedelta(0), timedelta(days=1))


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (NoticeKind.ROTATION_STARTED, ("has been requested", "anna", "yearly", "What to do")),
        (NoticeKind.ROTATION_DEPLOYING, ("is being deployed", f"do not disable or delete {OLD}", f"New key: {NEW}")),
        (NoticeKind.ROTATION_DEPLOYED, ("is done", str(NEW), f"Keep the old key {OLD}")),
        (NoticeKind.ROTATION_CANCELLED, ("was cancelled", "bert", f"keeps its key {OLD}")),
        (NoticeKind.ROTATION_BLOCKED, ("waits for a person", "the IAM role to be authorized; more", "mend this")),
        (NoticeKind.ROTATION_FAILED, ("failed", "the policy was refused", "What to do")),
        (NoticeKind.ROTATION_ROLLED_BACK, ("was rolled back", f"uses its key {OLD} again", f"Keep {NEW} too")),
    ],
)
def test_news_of_a_rotation_say_what_happened_and_what_to_do(kind, words):
    notice = rotation_news(kind, PROJECT, ROTATION, NOW)

    assert [word for word in words if word not in notice.text] == []
    assert notice.text.startswith("Key rotation of Shop")
    assert (notice.kind, notice.key_id, notice.recipients) == (kind, NEW.key_id, ("team@example.com",))
    assert notice.detail == {"rotation_id": "r1", "state": "deploying", "old_key": str(OLD), "new_key": str(NEW)}


def test_every_kind_of_news_has_words():
    assert [kind for kind in KINDS if not news(kind)] == []


def test_news_before_a_new_key_exists_are_about_the_old_one():
    notice = rotation_news(NoticeKind.ROTATION_FAILED, PROJECT, replace(ROTATION, new_key=None, error=None), NOW)

    assert (notice.key_id, notice.detail["new_key"]) == (OLD.key_id, "")
    assert "Why: unknown" in notice.text
    assert "is not used" not in notice.text


def test_a_rotation_requested_without_a_reason_says_so():
    assert "Reason: none given" in news(NoticeKind.ROTATION_STARTED, replace(ROTATION, reason=""))


@pytest.mark.parametrize("kind", [NoticeKind.ROTATION_FAILED, NoticeKind.ROTATION_CANCELLED])
def test_a_rotation_that_gives_up_says_what_becomes_of_the_key_it_was_for(kind):
    ours, yours = (replace(ROTATION, created_by_us=made) for made in (True, False))

    assert f"made for it, {NEW}, is not used: it is taken back within a day" in news(kind, ours)
    assert f"Your key {NEW} is not used and stays as it is" in news(kind, yours)
    assert "is not used" not in news(kind, replace(ours, swapped_at=NOW))


def test_a_deployed_rotation_names_the_paused_clusters():
    paused = news(NoticeKind.ROTATION_DEPLOYED, replace(ROTATION, paused_clusters=("attic", "zoo")))

    assert "still on the old key: attic, zoo." in paused
    assert "aused" not in news(NoticeKind.ROTATION_DEPLOYED)


@pytest.mark.parametrize("strategy", [Strategy.KMS_ON_DEMAND, Strategy.KMS_AUTOMATIC])
def test_a_renewal_is_told_with_the_evidence_of_kms(strategy):
    renewed = replace(ROTATION, strategy=strategy, new_key=None, evidence=("first proof", "second proof"))

    text = news(NoticeKind.ROTATION_DEPLOYED, renewed)

    assert f"KMS renewed the material of {OLD}; the settings stay as they were.\nfirst proof\nsecond proof" in text
    assert "KMS shows nothing more." in news(NoticeKind.ROTATION_DEPLOYED, replace(renewed, evidence=()))


def test_the_way_back_names_the_key_of_before_and_warns_of_the_one_it_leaves():
    text = news(NoticeKind.ROTATION_DEPLOYING, GOING_BACK)

    assert f"do not disable or delete {NEW}" in text
    assert f"The way back; key of before: {OLD}" in text


def test_the_way_back_is_told_apart_from_the_way_there_and_names_who_asked():
    ids = {rotation_news(NoticeKind.ROTATION_DEPLOYING, PROJECT, r, NOW).notice_id for r in (ROTATION, GOING_BACK)}

    assert len(ids) == 2
    assert "Asked for by: cleo" in news(NoticeKind.ROTATION_ROLLED_BACK, GOING_BACK)


def test_a_rotation_that_waits_for_something_else_is_told_again():
    other = replace(ROTATION, waiting_for=("the key to be enabled",))
    ids = {rotation_news(NoticeKind.ROTATION_BLOCKED, PROJECT, r, NOW).notice_id for r in (ROTATION, other)}

    assert len(ids) == 2


def test_after_an_emergency_people_are_told_what_stays_readable_and_where_the_list_is():
    exposure = expose(OLD, [FOUND, replace(FOUND, cluster="attic")], (), NOW)

    notice = still_readable(PROJECT, ROTATION, exposure, NOW)

    assert "Shop: 2 snapshots stay readable with the old key" in notice.subject
    assert f"Whoever has {OLD} can still read 2 snapshots of attic, main, the last until 2027-03-10." in notice.text
    assert "GET /v1/projects/p1/rotations/r1" in notice.text
    assert (notice.kind, notice.escalate, notice.key_id) == (NoticeKind.STILL_READABLE, True, OLD.key_id)
    assert notice.detail == {"rotation_id": "r1", "document": exposure.proof.digest}


def test_what_could_not_be_read_after_an_emergency_is_told_along():
    unread = (Unread(call="snapshots of main", cause="503"),)

    text = still_readable(PROJECT, ROTATION, expose(OLD, [], unread, NOW), NOW).text

    assert "0 snapshots of no cluster.\nNot read: snapshots of main (503)\n" in text


def test_no_last_day_is_told_when_a_snapshot_never_expires():
    exposure = expose(OLD, [FOUND, replace(FOUND, expires_at=None)], (), NOW)

    assert "until" not in still_readable(PROJECT, ROTATION, exposure, NOW).text
