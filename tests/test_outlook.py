"""What is not wrong yet is told once, with what to do: an old access key, Atlas' alert late or blind, a long wait."""

from dataclasses import replace

import pytest
from fake_atlas import ACCESS_KEY_ID, PROJECT, legacy_settings, some_settings
from simple_world import DAY, START, a_rotation, a_world, found, old_key

from chalicelib.domain.observed import Settings
from chalicelib.domain.outlook import outlook
from chalicelib.domain.policies import NO_WISHES
from chalicelib.domain.records import Policy
from chalicelib.domain.vocabulary import Mode, NoticeKind
from chalicelib.usecases.discover import discover_all
from chalicelib.usecases.looking import discover_project

YEARLY = Policy(rotation_period_days=365)
QUARTERLY = Policy(rotation_period_days=90)


def codes(project, now):
    return [code for code, _ in outlook(project, now, renews_itself=True)]


@pytest.fixture
def project():
    return a_world(policy=QUARTERLY, atlas_threshold_days=90).project


@pytest.mark.parametrize(("days", "said"), [(90, []), (180, []), (181, ["atlas_alert_late"]), (None, [])])
def test_an_alert_that_comes_more_than_a_period_late_is_told(project, days, said):
    assert codes(replace(project, atlas_threshold_days=days), START) == said


def test_a_period_that_follows_atlas_is_never_late(project):
    followed = replace(project, policy=Policy(), atlas_threshold_days=900)

    assert codes(followed, START) == []


@pytest.mark.parametrize(
    ("renewed_after", "now", "said"),
    [
        (None, 100, []),
        (80, 89, []),
        (80, 90, ["atlas_alert_blind"]),
        (80, 80 + 364, ["atlas_alert_blind"]),
        (80, 80 + 366, []),
    ],
)
def test_an_alert_that_does_not_see_what_kms_renewed_is_told_while_nothing_is_due(project, renewed_after, now, said):
    renewed = None if renewed_after is None else START + renewed_after * DAY
    by_kms = replace(project, policy=YEARLY, rotated_by_kms_at=renewed)

    assert codes(by_kms, START + now * DAY) == said


def test_what_was_renewed_on_demand_is_acknowledged_in_atlas_and_needs_no_warning(project):
    on_demand = replace(project, policy=YEARLY, rotated_by_kms_at=START + 80 * DAY)

    assert list(outlook(on_demand, START + 90 * DAY, renews_itself=False)) == []


def test_a_project_without_a_key_has_no_outlook(project):
    assert codes(replace(project, key=None, atlas_threshold_days=900), START) == []


def test_an_access_key_that_was_seen_for_ninety_days_is_told_once():
    world = a_world()
    world.in_atlas.settings = legacy_settings(old_key(world))
    for _ in range(95):
        discover_project(world.outside, found(), NO_WISHES)
        world.wait(DAY)

    (text,) = world.told(NoticeKind.DRIFT)
    assert ACCESS_KEY_ID in text
    assert "at least since 2027-03-01" in text
    assert "access_key_old" in world.project.drift


def test_another_access_key_begins_anew_and_a_role_ends_it():
    world = a_world()
    world.in_atlas.settings = legacy_settings(old_key(world))
    discover_project(world.outside, found(), NO_WISHES)
    world.wait(91 * DAY)
    world.in_atlas.settings = legacy_settings(old_key(world), access_key_id="AKIA9999999999999999")
    discover_project(world.outside, found(), NO_WISHES)
    second = world.project
    world.in_atlas.settings = some_settings(old_key(world))
    discover_project(world.outside, found(), NO_WISHES)

    assert (second.access_key_id, second.access_key_seen_at) == ("AKIA9999999999999999", world.now)
    assert (world.project.access_key_id, world.project.access_key_seen_at) == (None, None)
    assert world.told(NoticeKind.DRIFT) == []


def test_what_lasts_is_told_again_only_after_it_was_mended():
    world = a_world(policy=QUARTERLY)
    world.in_atlas.threshold = 400
    discover_project(world.outside, found(), NO_WISHES)
    discover_project(world.outside, found(), NO_WISHES)
    once = len(world.told(NoticeKind.DRIFT))
    world.in_atlas.threshold = 90
    discover_project(world.outside, found(), NO_WISHES)
    mended = world.project.drift
    world.wait(DAY)
    world.in_atlas.threshold = 400
    discover_project(world.outside, found(), NO_WISHES)

    assert (once, mended, len(world.told(NoticeKind.DRIFT))) == (1, (), 2)


@pytest.mark.parametrize("mode", Mode)
def test_a_project_that_begins_to_encrypt_is_welcomed_once(mode):
    world = a_world()
    world.in_atlas.settings = Settings(enabled=False)
    world.change(world.project, key=None, key_since=None, policy=Policy(mode=mode), policy_own=("mode",))
    discover_project(world.outside, found(), NO_WISHES)
    before = world.told()
    world.in_atlas.settings = some_settings(world.keys.add())
    for _ in range(3):
        discover_project(world.outside, found(), NO_WISHES)
        world.wait(DAY)

    (text,) = world.told(NoticeKind.ENCRYPTION_ENABLED)
    assert before == []
    assert world.told() == [NoticeKind.ENCRYPTION_ENABLED]
    assert ("starts by itself" in text) is (mode is Mode.ROTATE)
    assert f"due on {START + 90 * DAY:%Y-%m-%d}" in text


def test_projects_that_encrypted_before_keyturn_came_are_not_welcomed_one_by_one():
    world = a_world()
    world.atlas.add("f" * 24, settings=some_settings(world.keys.add()))

    discover_all(world.outside)

    assert world.told(NoticeKind.ENCRYPTION_ENABLED) == []


def test_a_rotation_that_waits_is_told_once_for_each_day_with_what_it_waits_for():
    world = a_world()
    rotation = a_rotation(world)
    world.in_atlas.clusters[0] = (replace(world.in_atlas.clusters[0][0], state="UPDATING"), False)
    rotation.go_until("deploying")
    rotation.go(3)
    told = []
    for _ in range(4):
        discover_all(world.outside)
        discover_all(world.outside)
        told.append(len(world.told(NoticeKind.ROTATION_BLOCKED)))
        world.wait(DAY)

    assert told == [0, 1, 2, 3]
    text = world.told(NoticeKind.ROTATION_BLOCKED)[0]
    assert rotation.now.waiting_for
    assert all(one in text for one in rotation.now.waiting_for)
    assert rotation.rotation_id in text


def test_a_rotation_that_ended_waits_for_nothing():
    world = a_world()
    a_rotation(world).go_until("deployed")
    world.wait(3 * DAY)

    discover_all(world.outside)

    assert world.told(NoticeKind.ROTATION_BLOCKED) == []


def test_a_key_that_kms_renews_by_itself_makes_atlas_nag_and_that_is_told():
    world = a_world(policy=YEARLY)
    world.keys.rotate_automatically(old_key(world))
    world.wait(80 * DAY)
    world.keys.rotate_now(old_key(world))
    world.wait(20 * DAY)

    discover_project(world.outside, found(), NO_WISHES)

    (text,) = world.told(NoticeKind.DRIFT)
    assert "which Atlas does not see" in text
    assert PROJECT in text
