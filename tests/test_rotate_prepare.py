"""How a rotation begins: the checks before anything is changed, and the one key that it makes or is brought."""

from dataclasses import replace

import pytest
from fake_atlas import PROJECT, ROLE_ARN, a_cluster, a_key, a_role, some_settings
from simple_world import (
    BUSY,
    DAY,
    FORBIDDEN,
    MINUTE,
    REGION,
    START,
    Killed,
    a_policy_for,
    a_rotation,
    a_world,
    in_state,
    old_key,
    raising,
)

from chalicelib.domain.key_policy import ATLAS_ACTIONS
from chalicelib.domain.observed import Encryption, KeyStatus, PrivateEndpoint
from chalicelib.domain.records import Key, Policy
from chalicelib.domain.vocabulary import KeyState, NoticeKind, RotationState
from chalicelib.usecases.ports import PermanentError

GRANTS = a_policy_for(Condition={"StringEquals": {"aws:SourceVpce": "vpce-1"}})
ABROAD = "444455556666"
THEIR_ROLE = f"arn:aws:iam::{ABROAD}:role/keys"


@pytest.fixture
def world():
    return a_world()


def test_the_preflight_shows_all_its_checks_and_changes_nothing(world):
    rotation = a_rotation(world)

    passed = rotation.go()

    assert len(passed.checks) == 18
    assert all(check.passed for check in passed.checks)
    assert (world.created(), world.swaps()) == (0, 0)


def test_a_failed_preflight_ends_the_rotation_with_every_fault_in_one_sentence(world):
    world.keys.change(old_key(world), status=KeyStatus.DISABLED)
    world.in_atlas.settings = some_settings(old_key(world), valid=False)

    failed = a_rotation(world).go()

    assert failed.state is RotationState.FAILED
    assert failed.error.code == "settings_valid"
    assert "the current key is Disabled" in failed.error.detail
    assert (world.created(), world.swaps(), world.project.open_rotation) == (0, 0, None)
    assert NoticeKind.ROTATION_FAILED in world.told()


def test_a_current_key_that_may_not_be_described_only_warns(world):
    world.keys.fail("describe", FORBIDDEN)

    passed = a_rotation(world).go()

    unsure = [check.name for check in passed.checks if check.passed is None]
    assert (passed.state, unsure) == (RotationState.PREPARING, ["current_key_enabled"])


def test_a_brought_key_that_grants_what_atlas_needs_is_used_and_none_is_made(world):
    wanted = world.keys.add(policy=GRANTS)
    rotation = a_rotation(world, key=wanted.key_id)

    done = rotation.go_until("deployed")

    assert (done.new_key, done.created_by_us, world.created()) == (wanted, False, 0)
    assert not world.tracker.key(wanted).created_by_us


def test_a_brought_key_whose_policy_does_not_grant_stops_the_rotation(world):
    wanted = world.keys.add(policy='{"Statement": []}')

    failed = a_rotation(world, key=str(wanted)).go()

    assert (failed.state, failed.error.code) == (RotationState.FAILED, "wanted_key_grants")


def test_a_brought_key_that_kms_does_not_know_stops_the_rotation(world):
    failed = a_rotation(world, key=a_key(77).key_id).go()

    assert (failed.state, failed.error.code) == (RotationState.FAILED, "wanted_key_usable")


def test_a_brought_key_whose_name_went_bad_in_the_row_stops_the_rotation(world):
    rotation = a_rotation(world)
    world.change(rotation.now, wanted_key="no key at all")

    failed = rotation.go()

    assert (failed.state, failed.error.code) == (RotationState.FAILED, "wanted_key_usable")


def test_a_brought_key_on_its_way_to_deletion_is_refused(world):
    wanted = world.keys.add(policy=GRANTS)
    world.put(Key(arn=wanted, state=KeyState.PENDING_DELETION, projects=(), first_seen_at=START))

    failed = a_rotation(world, key=str(wanted)).go(2)

    assert (failed.state, failed.error.code) == (RotationState.FAILED, "key_in_deletion")
    assert world.swaps() == 0


def test_a_key_that_comes_back_into_use_is_not_judged_by_its_earlier_life(world):
    wanted = world.keys.add(policy=GRANTS)
    earlier = Key(arn=wanted, state=KeyState.RETIRING, projects=(PROJECT,), first_seen_at=START - 400 * DAY)
    long_ago = START - 100 * DAY
    world.put(replace(earlier, deployed_at=long_ago, clean_since=long_ago, safe_since=long_ago, attested_at=long_ago))

    done = a_rotation(world, key=str(wanted)).go_until("deployed")

    back = world.tracker.key(done.new_key)
    assert (back.deployed_at, back.clean_since, back.safe_since, back.attested_at) == (None, None, None, None)
    assert back.first_seen_at == START - 400 * DAY


def test_the_new_key_has_an_alias_rotates_yearly_and_carries_the_old_condition(world):
    world.keys.set_policy(old_key(world), GRANTS)
    rotation = in_state(world, "swapping")

    new = rotation.now.new_key

    assert world.keys.aliases[f"alias/keyturn/{PROJECT}/2-{rotation.rotation_id}"] == new
    assert world.keys.rotations(new).automatic
    assert "vpce-1" in world.keys.policy(new)
    assert world.tracker.key(new).alias == rotation.now.alias


@pytest.mark.parametrize("policy", ["not json", '{"Statement": []}'])
def test_an_old_policy_without_a_readable_condition_carries_nothing_over(world, policy):
    world.keys.set_policy(old_key(world), policy)

    rotation = in_state(world, "swapping")

    assert "Condition" not in world.keys.policy(rotation.now.new_key)


def test_an_old_policy_that_may_not_be_read_carries_nothing_over_and_that_is_shown(world):
    world.keys.fail("policy", FORBIDDEN)

    rotation = in_state(world, "swapping")

    assert "Condition" not in world.keys.policy(rotation.now.new_key)
    assert [check.name for check in rotation.now.checks if check.passed is None] == ["conditions_carried_over"]


def test_an_old_policy_that_no_new_one_can_repeat_ends_the_rotation_before_a_key_is_made(world):
    world.keys.set_policy(old_key(world), a_policy_for(Condition={"StringEquals": {"kms:RequestAlias": "alias/old"}}))

    failed = a_rotation(world).go()

    assert (failed.state, failed.error.code) == (RotationState.FAILED, "conditions_carried_over")
    assert "bring a key of your own with a policy of yours" in failed.error.detail
    assert (world.created(), world.swaps()) == (0, 0)


def test_a_key_made_just_before_a_crash_is_adopted_by_its_tag(world):
    rotation = in_state(world, "preparing")
    world.keys.fail("name", BUSY)

    rotation.go_until("swapping")

    assert world.created() == 1
    assert world.keys.tags(rotation.now.new_key)["keyturn:rotation"] == rotation.rotation_id


def test_a_key_named_just_before_a_crash_is_adopted_by_its_alias(world):
    rotation = in_state(world, "preparing")
    world.keys.fail("rotate_automatically", BUSY)

    rotation.go_until("swapping")

    assert world.created() == 1
    assert world.keys.calls.count("find_by_rotation") == 0


def test_a_crash_between_the_making_of_a_key_and_its_record_makes_no_second_key(world):
    rotation = in_state(world, "preparing")
    commit = world.tracker.commit

    def crash(change):
        if world.created():
            raise KeyboardInterrupt
        commit(change)

    world.tracker.commit = crash
    with pytest.raises(KeyboardInterrupt):
        rotation.go()
    world.tracker.commit = commit

    swapping = rotation.go()

    assert (swapping.state, world.created(), len(world.keys.arns)) == (RotationState.SWAPPING, 1, 2)
    assert world.tracker.key(swapping.new_key).state is KeyState.UNUSED


def test_a_project_whose_role_was_withdrawn_gets_no_key(world):
    world.in_atlas.roles = []

    failed = a_rotation(world).go()

    assert (failed.state, failed.error.code, world.created()) == (RotationState.FAILED, "principal_known", 0)


def test_the_role_that_encryption_uses_is_taken_where_the_settings_name_none(world):
    world.in_atlas.settings = some_settings(old_key(world), role_id=None)

    done = a_rotation(world).go_until("deployed")

    assert ROLE_ARN in world.keys.policy(done.new_key)


def test_two_roles_in_use_and_none_named_stop_the_rotation(world):
    world.in_atlas.settings = some_settings(old_key(world), role_id=None)
    world.in_atlas.roles.append(a_role(role_id="other"))

    failed = a_rotation(world).go()

    assert (failed.state, failed.error.code) == (RotationState.FAILED, "principal_known")


def test_keys_are_made_in_the_account_of_the_projects_role():
    world = a_world(policy=Policy(kms_role_arn="arn:aws:iam::111122223333:role/keys"))

    in_state(world, "swapping")

    assert set(world.asked_keys) == {(REGION, "arn:aws:iam::111122223333:role/keys")}


def test_a_fleet_of_shared_clusters_has_no_key_to_rotate(world):
    world.in_atlas.clusters = [(a_cluster(tier="M0", encryption=Encryption.NONE), False)]

    failed = a_rotation(world).go()

    assert failed.error.code == "tier_has_the_feature"


def test_a_key_that_kms_lists_late_is_waited_for_and_not_made_again(world):
    rotation = in_state(world, "preparing")
    find = world.keys.find_by_rotation
    world.keys.find_by_rotation = lambda _: None
    world.keys.fail("name", Killed())
    with pytest.raises(Killed):
        rotation.go()

    waiting = rotation.go()
    world.keys.find_by_rotation = find
    rotation.go_until("swapping")

    assert waiting.waiting_for == ("KMS to list the key that may have been created",)
    assert (world.created(), len(world.keys.arns)) == (1, 2)


def test_a_key_that_a_hand_sends_away_before_it_was_recorded_is_not_used_and_not_lost_from_sight(world):
    rotation = in_state(world, "preparing")
    world.keys.fail("name", Killed())
    with pytest.raises(Killed):
        rotation.go()
    made = world.keys.arns[-1]
    world.keys.schedule_deletion(made, days=7)

    rotation.go_until("failed")

    failed = rotation.now
    assert (failed.error.code, failed.new_key) == ("key_in_deletion", made)
    assert (world.created(), world.tracker.key(made).state) == (1, KeyState.UNUSED)


@pytest.mark.parametrize("call", ["name", "rotate_automatically"])
def test_a_key_that_may_not_be_named_or_set_to_rotate_is_recorded_to_be_taken_back(world, call):
    rotation = in_state(world, "preparing")
    world.keys.fail(call, FORBIDDEN)

    failed = rotation.go()

    made = world.keys.arns[-1]
    assert (failed.state, failed.error.code, failed.new_key) == (RotationState.FAILED, "403", made)
    assert (world.tracker.key(made).state, world.tracker.key(made).due) == (KeyState.UNUSED, world.now)


def test_a_creation_that_never_came_to_be_is_tried_again_after_five_minutes(world):
    rotation = in_state(world, "preparing")
    world.keys.fail("create", Killed())
    with pytest.raises(Killed):
        rotation.go()
    died = world.now

    rotation.go_until("swapping")

    assert (world.created(), len(world.keys.arns), world.now - died >= 5 * MINUTE) == (2, 2, True)


def test_a_current_key_that_atlas_finds_invalid_is_alarmed_about_by_the_preflight(world):
    world.in_atlas.settings = some_settings(old_key(world), valid=False)

    failed = a_rotation(world).go()

    assert (failed.error.code, world.project.drift) == ("settings_valid", ("key_invalid",))
    assert world.told() == ["rotation_started", "rotation_failed", "drift"]


def test_a_brought_key_of_another_account_is_asked_for_there_the_old_one_at_home():
    world = a_world(policy=Policy(kms_role_arn=THEIR_ROLE))
    theirs = world.add_place(REGION, account=ABROAD, role=THEIR_ROLE)
    wanted = theirs.add(policy=GRANTS)
    world.roles.allow(ROLE_ARN, *ATLAS_ACTIONS, key=wanted)

    done = a_rotation(world, key=str(wanted)).go_until("deployed")

    assert (done.new_key, world.in_atlas.settings.key) == (wanted, str(wanted))
    assert set(world.asked_keys) == {(REGION, THEIR_ROLE), (REGION, None)}


def test_a_brought_key_of_another_account_that_the_roles_own_policies_leave_out_is_refused():
    world = a_world(policy=Policy(kms_role_arn=THEIR_ROLE))
    theirs = world.add_place(REGION, account=ABROAD, role=THEIR_ROLE)
    wanted = theirs.add(policy=GRANTS)

    failed = a_rotation(world, key=str(wanted)).go()

    assert (failed.error.code, world.swaps()) == ("role_may_use_the_wanted_key", 0)


@pytest.fixture
def abroad():
    """A project whose next keys are made in another account than the one that Atlas' role is of."""
    world = a_world(policy=Policy(kms_role_arn=THEIR_ROLE))
    world.add_place(REGION, account=ABROAD, role=THEIR_ROLE)
    return world


def keys_made_abroad(world):
    return world.elsewhere[REGION, THEIR_ROLE].calls.count("create")


def test_no_key_is_made_in_another_account_whose_keys_the_roles_own_policies_leave_out(abroad):
    failed = a_rotation(abroad).go()

    assert failed.error.code == "role_may_use_the_wanted_key"
    assert f"arn:aws:kms:{REGION}:{ABROAD}:key/*" in failed.error.detail
    assert (keys_made_abroad(abroad), abroad.swaps()) == (0, 0)


def test_a_key_is_made_in_another_account_where_the_roles_own_policies_allow_all_its_keys(abroad):
    abroad.roles.allow(ROLE_ARN, *ATLAS_ACTIONS)

    done = a_rotation(abroad).go_until("deployed")

    assert (done.new_key.account, keys_made_abroad(abroad)) == (ABROAD, 1)
    assert all(check.passed for check in done.checks)


def test_one_key_allowed_in_another_account_is_not_the_next_one_too(abroad):
    abroad.roles.allow(ROLE_ARN, *ATLAS_ACTIONS, key=abroad.elsewhere[REGION, THEIR_ROLE].add())

    assert a_rotation(abroad).go().error.code == "role_may_use_the_wanted_key"


def test_a_key_for_another_account_is_made_with_a_warning_where_iam_may_not_be_read(abroad):
    abroad.roles.fail(FORBIDDEN)
    abroad.roles.fail(FORBIDDEN)

    checked = a_rotation(abroad).go()

    assert {c.name for c in checked.checks if c.passed is None} == {
        "role_may_use_the_wanted_key",
        "role_may_use_the_old_key",
    }
    assert checked.state is RotationState.PREPARING


def test_an_account_that_cannot_be_entered_is_named_by_the_checks(abroad):
    closed = PermanentError("sts:AssumeRole was refused", call="sts:AssumeRole", code="sts_refused")
    abroad.outside = replace(abroad.outside, keys=lambda _region, role: raising(closed)() if role else abroad.keys)

    checked = a_rotation(abroad).go()

    unknown = {c.name: c.text for c in checked.checks if c.passed is None}
    assert unknown == {"role_may_use_the_wanted_key": "not verifiable: sts:AssumeRole was refused"}


def test_a_role_that_is_denied_the_old_key_stops_the_rotation(world):
    world.roles.deny(ROLE_ARN, "kms:Decrypt", key=old_key(world))

    failed = a_rotation(world).go()

    assert failed.error.code == "role_may_use_the_old_key"


def test_iam_policies_that_may_not_be_read_only_warn(world):
    world.roles.fail(FORBIDDEN)

    passed = a_rotation(world).go()

    unsure = {check.name: check.text for check in passed.checks if check.passed is None}
    assert passed.state is RotationState.PREPARING
    assert "not verifiable" in unsure["role_may_use_the_old_key"]


def a_twin(world, **described):
    """A key in us-east-1 with the id of the current key."""
    return world.add_place("us-east-1").add(policy=GRANTS, **described)


def test_the_twin_of_a_multi_region_key_takes_over_in_its_region(world):
    twin = a_twin(world, multi_region=True)

    done = a_rotation(world, key=str(twin), region="us-east-1").go_until("deployed")

    assert (world.in_atlas.settings.key, world.in_atlas.settings.region) == (str(twin), "us-east-1")
    assert (world.tracker.key(twin).state, world.tracker.key(done.old_key).state) == (
        KeyState.CURRENT,
        KeyState.RETIRING,
    )
    assert world.project.key == twin


def test_a_key_of_one_region_alone_does_not_take_over_in_another(world):
    single = a_twin(world)

    failed = a_rotation(world, key=str(single), region="us-east-1").go()

    assert (failed.error.code, world.swaps()) == ("region_kept", 0)


@pytest.mark.parametrize(("status", "state"), [("ACTIVE", "preparing"), ("PENDING_ACCEPTANCE", "failed")])
def test_private_networking_needs_an_active_endpoint(world, status, state):
    world.in_atlas.settings = some_settings(old_key(world), private_networking=True)
    world.in_atlas.endpoints = [PrivateEndpoint(region=REGION, status=status)]

    assert a_rotation(world).go().state == state
