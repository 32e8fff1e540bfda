"""The daily look: what is adopted, what is told as drift, and what does not hold up the rest."""

import json
from dataclasses import replace

import pytest
from fake_atlas import PROJECT, ROLE_ARN, FakeAtlas, a_cluster, an_event, some_settings
from simple_world import (
    ACCOUNT,
    DAY,
    FORBIDDEN,
    HOUR,
    START,
    World,
    a_policy_for,
    a_world,
    found,
    in_state,
    old_key,
    raising,
)

from chalicelib.domain.key_policy import ATLAS_ACTIONS
from chalicelib.domain.observed import Encryption, KeyStatus, Settings
from chalicelib.domain.policies import NO_WISHES
from chalicelib.domain.records import Change
from chalicelib.domain.rumours import EVENTS
from chalicelib.domain.vocabulary import KeyState, NoticeKind, Strategy
from chalicelib.usecases.discover import discover_all, discover_project
from chalicelib.usecases.ports import Conflict, PermanentError, TemporaryError

BUSY = TemporaryError("GET settings: 503", call="GET settings", code="503")
OTHER = "d0123456789abcdef0123456"


@pytest.fixture
def world():
    """A tracked project that was looked at once already."""
    world = a_world()
    look(world)
    world.wait(DAY)
    return world


def look(world):
    return discover_project(world.outside, found(), NO_WISHES)


def overtaken(world):
    """From now on somebody else is always first to write."""

    def commit(change: Change) -> None:
        raise Conflict("somebody else wrote first", call="commit")

    world.tracker.commit = commit


def test_a_new_project_is_adopted_with_its_key_and_its_cycle():
    world = World()
    key = world.keys.add(created_at=START - 30 * DAY)
    world.atlas.add(settings=some_settings(key))

    looked = discover_all(world.outside)

    assert looked == 1
    assert (world.project.key, world.project.key_since) == (key, START - 30 * DAY)
    assert (world.project.role_arn, world.project.covered) == (ROLE_ARN, ("main",))
    assert world.tracker.key(key).state is KeyState.CURRENT
    assert world.project.next_reminder_at == START + 30 * DAY
    assert world.told() == []


def test_a_key_written_as_a_bare_id_is_looked_for_in_our_account():
    world = World()
    key = world.keys.add()
    world.atlas.add(settings=replace(some_settings(key), key=key.key_id))

    look(world)

    assert world.project.key == key


@pytest.mark.parametrize("region", ["us-gov-west-1", "cn-north-1"])
def test_a_key_written_as_an_arn_and_then_as_a_bare_id_was_not_changed_by_hand(region):
    world = World()
    key = world.add_place(region).add()
    world.atlas.add(settings=some_settings(key))
    look(world)
    world.in_atlas.settings = replace(some_settings(key), key=key.key_id)

    look(world)

    assert (world.project.key, world.told()) == (key, [])


def test_a_quiet_day_writes_nothing(world):
    before = len(world.tracker.commits)

    look(world)

    assert len(world.tracker.commits) == before


def test_a_project_without_encryption_is_kept_with_the_reason_it_is_not_covered():
    world = World()
    world.atlas.add(settings=Settings(enabled=False))

    look(world)

    assert "not enabled" in world.project.not_covered_because
    assert (world.project.key, world.project.due, world.keys.calls) == (None, None, [])


def test_kms_that_will_not_answer_leaves_the_project_worth_reminding():
    world = World()
    key = world.keys.add(created_at=START - 30 * DAY)
    world.atlas.add(settings=some_settings(key))
    world.keys.fail("describe", PermanentError("denied", call="DescribeKey"))
    world.keys.fail("rotations", PermanentError("denied", call="ListKeyRotations"))

    look(world)

    assert (world.project.key_since, world.project.due) == (START, START + 60 * DAY)


def test_a_rotation_by_kms_itself_moves_the_due_date(world):
    world.keys.rotate_now(old_key(world))

    look(world)

    assert world.project.rotated_by_kms_at == world.now
    assert world.project.next_reminder_at == world.now + 60 * DAY


def test_a_key_that_kms_was_just_set_to_rotate_by_itself_is_not_due_again_the_next_day(world):
    done = in_state(world, "deployed", strategy=Strategy.KMS_AUTOMATIC).now
    world.wait(DAY)

    look(world)

    assert world.project.rotated_by_kms_at == done.deployed_at
    assert world.project.due == done.deployed_at + 60 * DAY


def test_a_key_changed_by_hand_is_adopted_told_and_its_predecessor_swept(world):
    by_hand = world.keys.add()
    world.in_atlas.settings = some_settings(by_hand)

    look(world)

    old = world.tracker.key(old_key(world))
    assert (world.project.key, world.project.key_since, world.project.generation) == (by_hand, world.now, 2)
    assert (old.state, old.replaced_at, old.due) == (KeyState.RETIRING, world.now, world.now)
    assert world.told() == [NoticeKind.DRIFT]
    assert world.tracker.audit[-1].what == "key seen in the settings"


def test_while_a_rotation_is_open_the_key_is_left_to_it(world):
    world.change(world.project, open_rotation="open")
    world.in_atlas.settings = some_settings(world.keys.add())

    look(world)

    assert world.project.key == old_key(world)
    assert world.told() == []


def test_a_drift_that_lasts_is_told_once_and_again_after_it_was_mended(world):
    told = []
    for status in (KeyStatus.DISABLED, KeyStatus.DISABLED, KeyStatus.ENABLED, KeyStatus.DISABLED):
        world.keys.change(old_key(world), status=status)
        look(world)
        world.wait(DAY)
        told.append(len(world.told()))

    assert told == [1, 1, 1, 2]


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        (Settings(enabled=False), "encryption_disabled"),
        (Settings(enabled=False, other_provider=Encryption.AZURE), "provider_changed"),
    ],
)
def test_encryption_that_was_switched_off_is_told(world, settings, code):
    world.in_atlas.settings = settings

    look(world)

    assert world.project.drift == (code,)
    assert world.tracker.notices[0].detail["drift"] == code


def test_a_permission_taken_out_of_the_key_policy_is_told_once_and_again_after_it_was_mended(world):
    told = []
    for actions in (["kms:DescribeKey"], ["kms:DescribeKey"], ATLAS_ACTIONS, ["kms:DescribeKey"]):
        world.keys.set_policy(old_key(world), a_policy_for(Action=list(actions)))
        look(world)
        world.wait(DAY)
        told.append(len(world.told()))

    assert told == [1, 1, 1, 2]
    assert world.project.drift == ("grant_removed",)
    assert "kms:Encrypt, kms:Decrypt" in world.told(NoticeKind.DRIFT)[0]


FENCE = {
    "Effect": "Deny",
    "Principal": "*",
    "Action": "kms:*",
    "Resource": "*",
    "Condition": {"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}},
}
ORDINARY = {
    "left to IAM": a_policy_for(f"arn:aws:iam::{ACCOUNT}:root", Action="kms:*"),
    "denied elsewhere": json.dumps({"Statement": [*json.loads(a_policy_for())["Statement"], FENCE]}),
}


@pytest.mark.parametrize("policy", ORDINARY.values(), ids=ORDINARY)
def test_a_policy_that_was_never_more_generous_is_no_drift_after_a_switch_by_hand_either(world, policy):
    before = old_key(world)
    world.in_atlas.settings = some_settings(world.keys.add(policy))

    for _ in range(2):
        look(world)
        world.wait(DAY)

    assert [notice.detail["drift"] for notice in world.tracker.notices] == ["key_changed_by_hand"]
    assert (world.project.drift, world.tracker.key(before).state) == ((), KeyState.RETIRING)


def test_a_grant_that_is_taken_out_right_after_a_rotation_is_missed_by_the_next_look(world):
    done = in_state(world, "deployed").now
    world.keys.set_policy(done.new_key, ORDINARY["left to IAM"])

    look(world)

    assert world.project.drift == ("grant_removed",)


def test_a_key_policy_that_may_not_be_read_is_not_taken_for_a_grant_removed(world):
    world.keys.fail("policy", PermanentError("denied", call="GetKeyPolicy"))

    look(world)

    assert (world.told(), world.project.drift) == ([], ())


@pytest.mark.parametrize("policy", ["not json", "[]"])
def test_a_key_policy_that_nobody_understands_is_not_taken_for_a_grant_removed(world, policy):
    world.keys.set_policy(old_key(world), policy)

    look(world)

    assert world.told() == []


def test_a_key_switched_by_hand_after_a_rotation_is_adopted_and_both_its_predecessors_tracked(world):
    done = in_state(world, "deployed").now
    third = world.keys.add(policy=a_policy_for())
    world.in_atlas.settings = some_settings(third)

    look(world)

    states = {key.arn: key.state for key in world.tracker.keys_of(PROJECT)}
    assert states == {
        done.old_key: KeyState.RETIRING,
        done.new_key: KeyState.RETIRING,
        third: KeyState.CURRENT,
    }


def test_what_drifted_is_never_put_right_by_us(world):
    world.in_atlas.settings = some_settings(world.keys.add(), valid=False)
    world.keys.change(old_key(world), status=KeyStatus.DISABLED)
    before = world.in_atlas.settings

    look(world)

    assert (world.in_atlas.settings, world.swaps()) == (before, 0)
    assert world.keys.describe(old_key(world)).status is KeyStatus.DISABLED


def test_a_key_that_atlas_finds_invalid_is_told(world):
    world.in_atlas.settings = some_settings(old_key(world), valid=False)

    look(world)

    assert (world.project.valid, world.project.drift) == (False, ("key_invalid",))


def test_a_project_that_cannot_be_read_is_told_once_and_keeps_what_is_known(world):
    world.atlas.fail("settings", BUSY, times=2)

    look(world)
    look(world)

    assert world.told() == [NoticeKind.ATLAS_UNREACHABLE]
    assert world.project.key == old_key(world)
    assert world.project.drift == (BUSY.message,)


def test_a_project_that_can_be_read_again_is_unreachable_no_more(world):
    world.atlas.fail("settings", BUSY)
    look(world)

    look(world)

    assert world.project.drift == ()


def test_a_new_project_that_cannot_be_read_is_left_for_tomorrow():
    world = World()
    world.atlas.add()
    world.atlas.fail("settings", BUSY)

    assert look(world) is None
    assert world.tracker.commits == []


def test_one_project_that_cannot_be_read_delays_no_other(world):
    world.atlas.add(OTHER, name="orders", settings=some_settings(world.keys.add()))
    world.atlas.fail("settings", BUSY, only=PROJECT)

    looked = discover_all(world.outside)

    assert looked == 2
    assert world.tracker.project(OTHER).name == "orders"


def test_an_organization_that_cannot_be_listed_delays_no_other_and_fails_aloud(world):
    broken = FakeAtlas(organization="broken")
    broken.fail("projects", BUSY)
    two_organizations(world, broken)
    world.in_atlas.name = "renamed"

    with pytest.raises(TemporaryError):
        discover_all(world.outside)

    assert world.project.name == "renamed"


def two_organizations(world, first):
    """Another organization is listed before ours."""
    world.organizations = {first.organization: first} | world.organizations
    world.outside = replace(
        world.outside, organizations=lambda: tuple(world.organizations), atlas=world.organizations.__getitem__
    )


def damaged(world, project_id, error):
    """From now on the keys of a project cannot be read."""
    whole = world.tracker.keys_of

    def keys_of(asked):
        if asked == project_id:
            raise error
        return whole(asked)

    world.tracker.keys_of = keys_of


DAMAGED = PermanentError("the tracker links it to a key that is lost: restore the table", call="batch_get_item")


@pytest.mark.parametrize("error", [DAMAGED, TemporaryError("busy", call="query"), KeyError("sk")], ids=repr)
def test_trouble_of_one_project_delays_no_other_and_no_organization_and_fails_aloud(world, error):
    elsewhere = FakeAtlas(organization="elsewhere")
    elsewhere.add(OTHER, settings=some_settings(world.keys.add()))
    two_organizations(world, elsewhere)
    gone = "1" * 24
    world.put(replace(world.project, project_id=gone, organization="elsewhere", version=0))
    world.in_atlas.name = "renamed"
    damaged(world, OTHER, error)

    with pytest.raises(type(error)):
        discover_all(world.outside)

    assert world.project.name == "renamed"
    assert world.tracker.project(gone).drift == ("project_gone",)


@pytest.mark.parametrize(("error", "said"), [(DAMAGED, "restore the table"), (KeyError("sk"), "unexpected KeyError")])
def test_trouble_of_a_project_that_waiting_does_not_mend_is_told_once_a_day(world, error, said):
    damaged(world, PROJECT, error)

    told = []
    for _ in range(2):
        for _ in range(3):  # as Lambda tries again
            with pytest.raises(type(error)):
                discover_all(world.outside)
        told.append(len(world.told()))
        world.wait(DAY)

    notice = world.tracker.notices[0]
    assert told == [1, 2]
    assert (notice.kind, notice.escalate) == (NoticeKind.ATLAS_UNREACHABLE, True)
    assert f"payments ({PROJECT}): " in notice.text
    assert said in notice.text


def test_trouble_of_a_project_that_may_pass_is_not_told(world):
    damaged(world, PROJECT, BUSY)

    with pytest.raises(TemporaryError):
        discover_all(world.outside)

    assert world.told() == []


def test_a_message_about_many_projects_names_fifty_and_counts_the_others(world):
    for number in range(60):
        world.atlas.add(f"{number:024x}", settings=some_settings(old_key(world)))
    world.tracker.keys_of = raising(DAMAGED)

    with pytest.raises(PermanentError):
        discover_all(world.outside)

    (text,) = world.told(NoticeKind.ATLAS_UNREACHABLE)
    assert "failed for 61 projects" in text
    assert text.count("restore the table") == 50
    assert "and 11 more" in text


def test_an_organization_that_is_listed_in_a_way_nobody_expected_delays_no_other(world):
    broken = FakeAtlas(organization="broken")
    broken.projects = raising(ValueError("no such thing"))
    two_organizations(world, broken)
    world.in_atlas.name = "renamed"

    with pytest.raises(ValueError, match="no such thing"):
        discover_all(world.outside)

    assert world.project.name == "renamed"
    assert "unexpected ValueError" in world.told(NoticeKind.ATLAS_UNREACHABLE)[0]


def test_an_organization_that_atlas_refuses_is_told_once_a_day_with_what_mends_it(world):
    world.atlas.fail("projects", FORBIDDEN, times=None)

    told = []
    for _ in range(2):
        for _ in range(3):  # as Lambda tries again
            with pytest.raises(PermanentError):
                discover_all(world.outside)
        told.append(len(world.tracker.notices))
        world.wait(DAY)

    notice = world.tracker.notices[0]
    assert told == [1, 2]
    assert (notice.kind, notice.escalate) == (NoticeKind.ATLAS_UNREACHABLE, True)
    assert FORBIDDEN.message in notice.text


def test_an_organization_that_does_not_answer_for_now_is_tried_again_and_not_told(world):
    world.atlas.fail("projects", BUSY)

    with pytest.raises(TemporaryError):
        discover_all(world.outside)

    assert world.told() == []


def unread_secret(world, problem):
    """The secret of another organization cannot be read."""
    world.outside = replace(world.outside, unread_secrets=lambda: {"keyturn/other": problem})


def test_a_secret_that_cannot_be_read_is_told_once_a_day_and_delays_no_organization(world):
    unread_secret(world, PermanentError("the secret is not JSON", call="GetSecretValue", code="malformed"))
    world.in_atlas.name = "renamed"

    told = []
    for _ in range(2):
        for _ in range(3):  # as Lambda tries again
            with pytest.raises(PermanentError, match="not JSON"):
                discover_all(world.outside)
        told.append(len(world.tracker.notices))
        world.wait(DAY)

    notice = world.tracker.notices[0]
    assert (told, world.project.name) == ([1, 2], "renamed")
    assert (notice.kind, notice.escalate) == (NoticeKind.ATLAS_UNREACHABLE, True)
    assert "keyturn/other" in notice.text
    assert "not JSON" in notice.text


def test_a_secret_that_cannot_be_read_for_now_is_tried_again_and_not_told(world):
    unread_secret(world, BUSY)

    with pytest.raises(TemporaryError):
        discover_all(world.outside)

    assert world.told() == []


def test_a_project_that_is_gone_is_told_once_and_stays_tracked(world):
    del world.atlas.world[PROJECT]

    discover_all(world.outside)
    discover_all(world.outside)

    assert world.told() == [NoticeKind.DRIFT]
    assert (world.project.drift, world.project.due) == (("project_gone",), None)
    assert "is gone" in world.project.not_covered_because


def moved(world):
    """The project is listed by another organization that we know; the one it came from is listed first or last."""
    there = FakeAtlas(organization="elsewhere", now=world.time)
    there.world[PROJECT] = world.atlas.world.pop(PROJECT)
    return there


@pytest.mark.parametrize("listed_first", [True, False])
def test_a_project_that_was_moved_is_followed_and_never_taken_for_gone(world, listed_first):
    there = moved(world)
    if listed_first:
        two_organizations(world, there)
    else:
        world.organizations[there.organization] = there

    for _ in range(3):
        discover_all(world.outside)
        world.wait(DAY)

    assert (world.project.organization, world.project.drift, world.told()) == ("elsewhere", (), [])
    assert world.project.due == START + 60 * DAY
    assert [entry.what for entry in world.tracker.audit].count("moved to another organization") == 1


def test_a_project_that_was_gone_and_shows_up_in_another_organization_is_gone_no_more(world):
    there = moved(world)
    discover_all(world.outside)
    world.organizations[there.organization] = there

    discover_all(world.outside)

    assert (world.project.organization, world.project.drift) == ("elsewhere", ())
    assert world.project.due == START + 60 * DAY


def test_a_moved_project_that_cannot_be_read_yet_is_not_taken_for_gone(world):
    there = moved(world)
    there.fail("settings", BUSY)
    world.organizations[there.organization] = there

    discover_all(world.outside)

    assert world.project.drift == (BUSY.message,)


def test_a_project_of_an_organization_that_was_not_listed_is_not_taken_for_gone(world):
    two_organizations(world, FakeAtlas(organization="elsewhere"))
    world.atlas.world.clear()
    world.atlas.fail("projects", BUSY)

    with pytest.raises(TemporaryError):
        discover_all(world.outside)

    assert world.project.drift == ()


def test_the_projects_of_another_organization_are_not_taken_for_gone(world):
    world.put(replace(world.project, project_id=OTHER, organization="elsewhere", version=0))

    discover_all(world.outside)

    assert world.tracker.project(OTHER).drift == ()


def test_a_fleet_of_several_pages_is_looked_through_to_its_end(world):
    for number in range(150):
        world.put(replace(world.project, project_id=f"{number:024x}", name="old", version=0))

    discover_all(world.outside)

    assert len(world.told()) == 150


@pytest.mark.parametrize("change", ["renamed", "unreadable", "gone"])
def test_a_project_that_somebody_else_writes_is_left_for_tomorrow(world, change):
    overtaken(world)
    before = world.project
    match change:
        case "renamed":
            world.in_atlas.clusters.append((a_cluster("second"), False))
        case "unreadable":
            world.atlas.fail("settings", BUSY)
        case _:
            del world.atlas.world[PROJECT]

    discover_all(world.outside)

    assert world.project == before


def asleep(world, **changes):
    """A second key of the project, swept two days ago and due in three weeks."""
    arn = world.keys.add()
    facts = {
        "state": KeyState.RETIRING,
        "swept_at": world.now - 2 * DAY,
        "next_sweep_at": world.now + 20 * DAY,
        "safe_since": world.now - 2 * DAY,
    }
    world.put(replace(world.tracker.key(old_key(world)), **{**facts, "arn": arn, "version": 0, **changes}))
    return arn


def heard(world):
    return [call for call in world.atlas.calls if call[0] == "events"]


@pytest.mark.parametrize("kind", EVENTS)
def test_an_event_since_its_sweep_has_a_sleeping_key_swept_today(world, kind):
    key = world.tracker.key(asleep(world))
    world.in_atlas.events = [an_event(type=kind, at=world.now - DAY)]

    look(world)

    woken = world.tracker.key(key.arn)
    assert replace(woken, version=key.version) == replace(key, next_sweep_at=world.now)
    assert world.told() == []


@pytest.mark.parametrize("event", [{"at": START - 30 * DAY}, {"type": "HOST_RESTARTED"}], ids=str)
def test_an_event_of_another_kind_or_from_before_its_sweep_lets_a_key_sleep(world, event):
    arn = asleep(world)
    world.in_atlas.events = [an_event(**{"type": EVENTS[0], "at": world.now - HOUR, **event})]

    look(world)

    assert world.tracker.key(arn).due == world.now + 20 * DAY


def test_events_that_cannot_be_read_count_as_one_that_matters(world):
    arn = asleep(world)
    world.atlas.fail("events", BUSY)

    look(world)

    assert world.tracker.key(arn).due == world.now


def test_the_events_of_all_sleeping_keys_are_read_in_one_call_and_for_none_they_are_not_read(world):
    look(world)
    unasked = heard(world)
    for _ in range(3):
        asleep(world)

    look(world)

    assert (unasked, len(heard(world))) == ([], 1)


@pytest.mark.parametrize("changes", [{"deletion_id": "d1", "next_sweep_at": None}, {"next_sweep_at": START}], ids=str)
def test_a_key_whose_sweep_is_due_or_that_is_being_deleted_is_not_listened_for(world, changes):
    asleep(world, **changes)

    look(world)

    assert heard(world) == []


def test_a_sleeping_key_that_somebody_else_writes_stays_as_they_wrote_it(world):
    arn = asleep(world)
    world.atlas.fail("events", BUSY)
    overtaken(world)

    look(world)

    assert world.tracker.key(arn).due == world.now + 20 * DAY


def test_one_key_that_somebody_else_writes_keeps_no_other_asleep(world):
    first, second = sorted((asleep(world), asleep(world)), key=str)
    world.atlas.fail("events", BUSY)
    commit = world.tracker.commit

    def overtaken_once(change):
        if change.records[0].arn == first:
            raise Conflict("somebody else wrote first", call="commit")
        commit(change)

    world.tracker.commit = overtaken_once

    look(world)

    assert [world.tracker.key(arn).due for arn in (first, second)] == [world.now + 20 * DAY, world.now]


def test_a_project_that_cannot_be_read_wakes_nobody_and_is_told(world):
    arn = asleep(world)
    world.atlas.fail("settings", BUSY)

    look(world)

    assert world.tracker.key(arn).due == world.now + 20 * DAY
    assert world.told() == [NoticeKind.ATLAS_UNREACHABLE]
