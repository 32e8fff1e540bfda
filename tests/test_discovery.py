"""What a fresh look at a project means: what is recorded, what drifted, what is told."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from chalicelib.domain.alarm import KEY_INVALID, probe
from chalicelib.domain.arn import KeyArn
from chalicelib.domain.coverage import Coverage
from chalicelib.domain.discovery import Seen, changes, locate
from chalicelib.domain.key_policy import ATLAS_ACTIONS
from chalicelib.domain.observed import AtlasProject, Encryption, KeyDescription, KeyRotations, KeyStatus, Settings
from chalicelib.domain.records import Key, Policy, Project, Uncovered
from chalicelib.domain.vocabulary import KeyState

DAY = timedelta(days=1)
NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
KEY = KeyArn(account="111122223333", region="eu-west-1", key_id="11111111-1111-1111-1111-111111111111")
OTHER = replace(KEY, key_id="22222222-2222-2222-2222-222222222222")
COVERED = Coverage(not_covered_because=None, covered=("main",), not_covered=(Uncovered(name="flex", reason="tier"),))
SEEN = Seen(
    found=AtlasProject(project_id="p1", name="Shop", organization="o1"),
    settings=Settings(enabled=True, key=str(KEY), valid=True),
    coverage=COVERED,
    key=KEY,
    described=KeyDescription(arn=KEY, status=KeyStatus.ENABLED, created_at=NOW - 50 * DAY),
    rotated=KeyRotations(automatic=False),
    role_id="role",
    role_arn="arn:aws:iam::111122223333:role/atlas",
    threshold_days=90,
    missing=(),
    named=frozenset(),
)
SWITCHED = replace(SEEN, key=OTHER, described=replace(SEEN.described, arn=OTHER, created_at=NOW - 2 * DAY))
KNOWN = changes(None, SEEN, old_key=None, new_key=None, now=NOW - DAY).project
OLD_RECORD = Key(arn=KEY, state=KeyState.CURRENT, projects=("p1",), first_seen_at=NOW - 50 * DAY)


def look(seen: Seen, known: Project | None = KNOWN, *, old_key=None, new_key=None):
    return changes(known, seen, old_key=old_key, new_key=new_key, now=NOW)


def with_settings(**changed) -> Seen:
    return replace(SEEN, settings=replace(SEEN.settings, **changed))


def codes(news) -> list[str]:
    return [code for code, _ in news.drift]


def test_a_key_is_located_in_the_settings_however_they_spell_it():
    settings = Settings(enabled=True, key=KEY.key_id.upper())

    assert locate(settings, account="111122223333", region="eu-west-1") == KEY


@pytest.mark.parametrize(
    "settings",
    [
        Settings(enabled=False, key=str(KEY)),
        Settings(enabled=True, key=None),
        Settings(enabled=True, key="gibberish"),
    ],
)
def test_no_key_is_located_where_encryption_is_off_or_no_key_is_named(settings):
    assert locate(settings, account="111122223333", region="eu-west-1") is None


def test_a_project_seen_first_is_recorded_with_its_key_without_calling_it_drift():
    news = look(SEEN, None)

    assert news.drift == ()
    assert (news.project.key, news.project.generation) == (KEY, 1)
    assert (news.project.covered, news.project.not_covered) == (COVERED.covered, COVERED.not_covered)
    assert [(key.arn, key.state, key.projects) for key in news.keys] == [(KEY, KeyState.CURRENT, ("p1",))]
    assert [(entry.before, entry.after) for entry in news.audit] == [("", str(KEY))]


def test_a_project_that_was_moved_is_recorded_in_its_new_organization_with_where_it_came_from():
    news = look(replace(SEEN, found=replace(SEEN.found, organization="o2")))

    assert news.project == replace(KNOWN, organization="o2")
    assert [(entry.what, entry.before, entry.after) for entry in news.audit] == [
        ("moved to another organization", "o1", "o2")
    ]
    assert (news.keys, news.drift) == ((), ())


def test_a_project_that_was_moved_and_given_another_key_has_both_in_its_trail():
    news = look(replace(SWITCHED, found=replace(SEEN.found, organization="o2")), old_key=OLD_RECORD)

    assert [entry.after for entry in news.audit] == ["o2", str(OTHER)]


@pytest.mark.parametrize(
    ("described", "since"),
    [
        (SEEN.described, NOW - 50 * DAY),
        (replace(SEEN.described, created_at=None), NOW),
        (None, NOW),
    ],
)
def test_the_first_cycle_begins_with_the_creation_of_the_key_where_kms_says_it(described, since):
    news = look(replace(SEEN, described=described), None)

    assert news.project.key_since == since
    assert news.project.next_reminder_at == since + (90 - 30) * DAY


def test_a_key_known_from_another_project_keeps_that_project():
    shared = replace(OLD_RECORD, projects=("p9",), state=KeyState.RETIRING, replaced_at=NOW - DAY, safe_since=NOW)

    (key,) = look(SEEN, None, new_key=shared).keys

    assert key.projects == ("p1", "p9")
    assert (key.state, key.replaced_at, key.safe_since, key.due) == (KeyState.CURRENT, None, None, None)


def test_a_project_without_a_key_is_recorded_without_a_due_date():
    uncovered = Coverage(not_covered_because="not enabled", covered=(), not_covered=())
    nothing = replace(SEEN, settings=Settings(enabled=False), coverage=uncovered, key=None, described=None)

    news = look(nothing, None)

    assert (news.project.key, news.project.due, news.keys, news.drift) == (None, None, (), ())


def test_a_quiet_day_changes_nothing():
    news = look(SEEN)

    assert news.project == KNOWN
    assert (news.keys, news.drift, news.audit) == ((), (), ())


def test_a_key_switched_in_atlas_is_adopted_and_its_cycle_begins_today():
    wishes = {"policy": Policy(ladder=(0,)), "policy_own": ("ladder",)}
    known = replace(KNOWN, last_rung=7, quiet_until=NOW + DAY, acknowledged_by="anna", **wishes)

    news = look(SWITCHED, known, old_key=OLD_RECORD)

    project = news.project
    assert (project.key, project.key_since, project.generation) == (OTHER, NOW, 2)
    assert (project.last_rung, project.quiet_until, project.acknowledged_by) == (None, None, None)
    assert project.due == NOW + 90 * DAY


@pytest.mark.parametrize("dates", [(), (NOW - 9 * DAY, NOW - 5 * DAY)])
def test_a_key_switched_in_atlas_has_only_the_dates_at_which_kms_renewed_itself(dates):
    known = replace(KNOWN, rotated_by_kms_at=NOW - 3 * DAY)
    switched = replace(SWITCHED, rotated=KeyRotations(automatic=True, dates=dates))

    assert look(switched, known, old_key=OLD_RECORD).project.rotated_by_kms_at == max(dates, default=None)


def test_the_key_it_was_switched_from_is_tracked_like_any_other_that_was_replaced():
    news = look(SWITCHED, old_key=OLD_RECORD)

    new, old = news.keys
    assert (new.arn, new.state) == (OTHER, KeyState.CURRENT)
    assert (old.arn, old.state, old.replaced_at, old.due) == (KEY, KeyState.RETIRING, NOW, NOW)


def test_a_switched_key_is_told_once_and_is_no_lasting_drift():
    news = look(SWITCHED, old_key=OLD_RECORD)
    again = look(SWITCHED, news.project, old_key=OLD_RECORD)

    assert codes(news) == ["key_changed_by_hand"]
    assert str(KEY) in news.drift[0][1]
    assert (news.project.drift, codes(again)) == ((), [])


def test_while_a_rotation_is_open_the_key_is_left_to_it():
    news = look(SWITCHED, replace(KNOWN, open_rotation="r1"), old_key=OLD_RECORD)

    assert (news.project.key, news.keys, news.drift, news.audit) == (KEY, (), (), ())


@pytest.mark.parametrize(
    ("seen", "code"),
    [
        (with_settings(enabled=False), "encryption_disabled"),
        (with_settings(enabled=False, other_provider=Encryption.AZURE), "provider_changed"),
        (with_settings(valid=False), "key_invalid"),
        (replace(SEEN, described=replace(SEEN.described, status=KeyStatus.DISABLED)), "key_not_enabled"),
        (replace(SEEN, described=replace(SEEN.described, status=KeyStatus.GONE)), "key_not_enabled"),
        (replace(SEEN, missing=("kms:Decrypt",)), "grant_removed"),
    ],
)
def test_drift_is_told_once_while_it_lasts_and_again_when_it_comes_back(seen, code):
    first = look(seen)
    second = look(seen, first.project)
    mended = look(SEEN, second.project)
    back = look(seen, mended.project)

    assert [codes(news) for news in (first, second, mended, back)] == [[code], [], [], [code]]
    assert first.project.drift == (code,)
    assert mended.project.drift == ()


def test_a_grant_that_was_taken_away_is_told_with_what_is_missing_from_whom():
    ((_, text),) = look(replace(SEEN, missing=("kms:Encrypt", "kms:Decrypt"))).drift

    assert f"does not give {SEEN.role_arn} kms:Encrypt, kms:Decrypt any more" in text
    assert str(KEY) in text


LEFT_TO_IAM = replace(SEEN, missing=ATLAS_ACTIONS, left_to_iam=ATLAS_ACTIONS)
WITH_ANOTHER_ROLE = replace(LEFT_TO_IAM, role_arn="arn:aws:iam::111122223333:role/another")
INVALID = replace(SEEN.settings, valid=False)


@pytest.mark.parametrize(
    ("known", "seen"),
    [
        (None, LEFT_TO_IAM),
        (None, replace(SEEN, missing=ATLAS_ACTIONS)),
        (replace(KNOWN, granted_by=None), LEFT_TO_IAM),
        (replace(KNOWN, granted_by=OTHER), LEFT_TO_IAM),
        (KNOWN, WITH_ANOTHER_ROLE),
        (KNOWN, replace(SEEN, missing=None)),
        (KNOWN, replace(LEFT_TO_IAM, key=OTHER)),
    ],
)
def test_what_was_never_seen_given_was_not_removed_while_atlas_finds_the_key_valid(known, seen):
    first = look(seen, known)
    second = look(seen, first.project)

    assert "grant_removed" not in [*codes(first), *codes(second)]


@pytest.mark.parametrize("known", [None, KNOWN, replace(KNOWN, granted_by=None)])
def test_a_grant_that_is_missing_while_atlas_finds_the_key_invalid_is_told_whoever_saw_it_before(known):
    news = look(replace(SEEN, missing=("kms:Decrypt",), settings=INVALID), known)

    assert codes(news) == ["key_invalid", "grant_removed"]
    assert ("any more" in news.drift[1][1]) == (known == KNOWN)


@pytest.mark.parametrize(("known", "told"), [(KNOWN, True), (replace(KNOWN, granted_by=None), False)])
def test_a_grant_that_iam_may_give_instead_is_missed_only_where_the_key_policy_gave_it_before(known, told):
    news = look(replace(LEFT_TO_IAM, settings=INVALID), known)

    assert ("grant_removed" in codes(news)) == told


@pytest.mark.parametrize(
    ("known", "seen", "granted_by"),
    [
        (None, SEEN, KEY),
        (None, LEFT_TO_IAM, None),
        (KNOWN, LEFT_TO_IAM, KEY),
        (KNOWN, replace(SEEN, missing=None), KEY),
        (KNOWN, WITH_ANOTHER_ROLE, None),
        (KNOWN, SWITCHED, OTHER),
        (KNOWN, replace(SWITCHED, missing=None), None),
    ],
)
def test_the_key_that_was_seen_to_let_atlas_in_is_remembered_as_long_as_key_and_role_stay(known, seen, granted_by):
    assert look(seen, known).project.granted_by == granted_by


def test_an_invalid_key_that_the_alarm_has_told_of_already_is_not_told_again():
    alarmed = probe(KNOWN, with_settings(valid=False).settings, NOW).project

    news = look(with_settings(valid=False), alarmed)

    assert (news.drift, news.project.drift) == ((), (KEY_INVALID,))


def test_what_drifted_while_a_rotation_is_open_is_told_too():
    assert codes(look(with_settings(valid=False), replace(KNOWN, open_rotation="r1"))) == [KEY_INVALID]


def test_a_key_whose_twin_in_another_region_took_over_is_adopted():
    twin = replace(SEEN, key=replace(KEY, region="eu-central-1"))

    assert codes(look(twin, old_key=OLD_RECORD)) == ["key_changed_by_hand"]


@pytest.mark.parametrize(
    "seen", [with_settings(enabled=False), with_settings(enabled=False, other_provider=Encryption.GCP)]
)
def test_a_project_that_never_had_a_key_cannot_lose_it(seen):
    without = replace(seen, key=None, described=None)

    assert codes(look(without, None)) == []
    assert codes(look(without, replace(KNOWN, key=None))) == []


def test_drift_never_overwrites_the_key_that_is_known():
    news = look(replace(with_settings(enabled=False, key=None), key=None, described=None))

    assert news.project.key == KEY
    assert news.keys == ()


def test_material_that_kms_rotated_begins_a_new_cycle():
    known = replace(KNOWN, last_rung=-7, quiet_until=NOW + DAY, acknowledged_by="anna")
    rotated = replace(SEEN, rotated=KeyRotations(automatic=True, dates=(NOW - 9 * DAY, NOW - DAY)))

    project = look(rotated, known).project

    assert (project.rotated_by_kms_at, project.last_rung) == (NOW - DAY, None)
    assert (project.quiet_until, project.acknowledged_by) == (None, None)
    assert project.due == NOW - DAY + 60 * DAY


@pytest.mark.parametrize("dates", [(), (NOW - 9 * DAY,)])
def test_a_rotation_that_kms_does_not_list_yet_is_not_forgotten(dates):
    known = replace(KNOWN, rotated_by_kms_at=NOW - 3 * DAY)
    seen = replace(SEEN, rotated=KeyRotations(automatic=True, dates=dates))

    assert look(seen, known).project.rotated_by_kms_at == NOW - 3 * DAY


def test_rotations_that_may_not_be_read_leave_the_last_known_date():
    known = replace(KNOWN, rotated_by_kms_at=NOW - 3 * DAY)

    assert look(replace(SEEN, rotated=None), known).project.rotated_by_kms_at == NOW - 3 * DAY


def test_a_due_date_moved_ahead_by_the_alert_in_atlas_brings_the_whole_ladder_back():
    spoken = replace(KNOWN, key_since=NOW - 91 * DAY, last_rung=1)

    project = look(replace(SEEN, threshold_days=180), spoken).project

    assert project.last_rung is None
    assert project.due == NOW - 91 * DAY + 150 * DAY


def test_a_project_that_is_not_covered_for_a_while_forgets_no_reminder():
    spoken = replace(KNOWN, key_since=NOW - 91 * DAY, last_rung=1)
    uncovered = replace(SEEN, coverage=Coverage(not_covered_because="all flex", covered=(), not_covered=()))

    away = look(uncovered, spoken).project
    back = look(SEEN, away).project

    assert (away.last_rung, away.due) == (1, None)
    assert (back.last_rung, back.due) == (1, NOW - 91 * DAY + 97 * DAY)
