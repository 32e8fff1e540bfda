"""The fleet's policy: it holds for every project that wishes nothing else, from the next daily look on."""

import pytest
from fake_atlas import PROJECT
from hypothesis import given
from hypothesis import strategies as st
from simple_world import ANNA, DAY, START, a_world

from chalicelib.domain.policies import FIELDS, FLEET, NO_WISHES, steer, take_up_defaults
from chalicelib.domain.records import Policy, Project
from chalicelib.domain.refusals import No, Refusal
from chalicelib.domain.reminders import due_at
from chalicelib.domain.vocabulary import Mode
from chalicelib.usecases.collect_evidence import collect_evidence
from chalicelib.usecases.discover import discover_all
from chalicelib.usecases.steer import change_defaults, change_policy

ALONE = Project(project_id="p1", name="Shop", organization="o1", seen_at=START)


def test_a_project_that_wishes_nothing_follows_the_fleet_from_its_next_look_on():
    world = a_world()

    change_defaults(world.outside, {"rotation_period_days": 30, "mode": Mode.ROTATE}, who=ANNA)
    before = world.project.policy
    discover_all(world.outside)

    assert (before, world.project.policy) == (NO_WISHES, Policy(rotation_period_days=30, mode=Mode.ROTATE))
    assert due_at(world.project) == START + 30 * DAY
    assert world.project.due == START + 16 * DAY


def test_what_a_project_wishes_itself_stays_as_it_is():
    world = a_world()
    change_policy(world.outside, PROJECT, {"rotation_period_days": 60}, who=ANNA)

    change_defaults(world.outside, {"rotation_period_days": 30, "quarantine_days": 20}, who=ANNA)
    discover_all(world.outside)

    policy = world.project.policy
    assert (policy.rotation_period_days, policy.quarantine_days) == (60, 20)


def test_a_project_changed_after_the_fleet_takes_up_both_at_once():
    world = a_world()
    change_defaults(world.outside, {"quarantine_days": 20}, who=ANNA)

    changed = change_policy(world.outside, PROJECT, {"rotation_period_days": 60}, who=ANNA)

    assert (changed.policy.quarantine_days, changed.policy_own) == (20, ("rotation_period_days",))


@pytest.mark.parametrize(
    "role",
    [
        "arn:aws:iam::444455556666:role/keys",
        "arn:aws:iam::444455556666:role/team/keyturn-kms",
        "arn:aws:iam::444455556666:role/keyturn-team/kms",
        "arn:aws:iam::444455556666:role/keyturn-kms\n",
        "arn:aws:iam::444455556666:user/keyturn-kms",
        "keyturn-kms",
        "",
    ],
)
def test_a_role_that_no_function_may_assume_is_refused_with_the_rule(role):
    world = a_world()
    wish = {"kms_role_arn": role}

    for change in (
        lambda: change_policy(world.outside, PROJECT, wish, who=ANNA),
        lambda: change_defaults(world.outside, wish, who=ANNA),
    ):
        with pytest.raises(Refusal, match=r"`kms_role_arn` .* name begins with keyturn-") as refused:
            change()
        assert refused.value.no is No.INVALID
    assert (world.project.policy.kms_role_arn, world.tracker.fleet().policy.kms_role_arn) == (None, None)


@pytest.mark.parametrize(
    "role", ["arn:aws:iam::444455556666:role/keyturn-kms", "arn:aws-cn:iam::444455556666:role/keyturn-of+us", None]
)
def test_a_role_that_the_functions_may_assume_is_taken(role):
    world = a_world()

    assert change_policy(world.outside, PROJECT, {"kms_role_arn": role}, who=ANNA).policy.kms_role_arn == role


@pytest.mark.parametrize(
    ("changed", "inherited"),
    [({}, ()), ({"quarantine_days": 20}, ()), ({}, ("ladder",)), ({"quarantine_days": 20}, ("ladder", "mode"))],
)
def test_a_project_whose_policy_stays_as_it_is_is_not_written(changed, inherited):
    world = a_world()
    change_policy(world.outside, PROJECT, {"quarantine_days": 20}, who=ANNA)
    change_defaults(world.outside, {"digest": True}, who=ANNA)
    before, written = world.project, len(world.tracker.commits)

    answer = change_policy(world.outside, PROJECT, changed, who=ANNA, inherited=inherited)

    assert (answer, world.project, len(world.tracker.commits)) == (before, before, written)


@pytest.mark.parametrize("changed", [{}, {"quarantine_days": 7}, {"ladder": NO_WISHES.ladder, "mode": Mode.REMIND}])
def test_a_policy_of_the_fleet_that_stays_as_it_is_is_not_written(changed):
    world = a_world()
    written = len(world.tracker.commits)

    fleet = change_defaults(world.outside, changed, who=ANNA)

    assert (fleet, len(world.tracker.commits)) == (world.tracker.fleet(), written)
    assert fleet.version == 0


def test_a_wish_for_what_the_fleet_has_too_is_a_wish_of_its_own():
    world = a_world()

    pinned = change_policy(world.outside, PROJECT, {"quarantine_days": 7}, who=ANNA)
    given_back = change_policy(world.outside, PROJECT, {}, who=ANNA, inherited=("quarantine_days",))

    assert (pinned.policy_own, given_back.policy_own) == (("quarantine_days",), ())
    assert [(entry.after, entry.why) for entry in world.tracker.audit] == [
        ("quarantine: 7 days, as before", ""),
        ("quarantine: 7 days, as before", "left to the fleet: quarantine"),
    ]


def test_a_stale_version_is_refused_also_where_nothing_would_change():
    world = a_world()

    with pytest.raises(Refusal) as refused:
        change_policy(world.outside, PROJECT, {}, who=ANNA, if_version=("99",))

    assert refused.value.no is No.STALE


def test_a_ladder_names_each_day_once():
    world = a_world()

    steered = change_policy(world.outside, PROJECT, {"ladder": (-7, 1, 1, -7, 0)}, who=ANNA)
    fleet = change_defaults(world.outside, {"ladder": (1, 1)}, who=ANNA)

    assert (steered.policy.ladder, fleet.policy.ladder) == ((-7, 1, 0), (1,))
    assert world.tracker.audit[-1].after.endswith("to 1 day after")


def test_a_ladder_needs_a_day():
    world = a_world()

    with pytest.raises(Refusal, match="`ladder` needs at least one day") as refused:
        change_policy(world.outside, PROJECT, {"ladder": ()}, who=ANNA)

    assert refused.value.no is No.INVALID


def test_a_wish_can_be_given_back():
    world = a_world()
    change_defaults(world.outside, {"ladder": (-3, 0)}, who=ANNA)
    change_policy(world.outside, PROJECT, {"ladder": (0,), "digest": True}, who=ANNA)

    given_back = change_policy(world.outside, PROJECT, {}, who=ANNA, inherited=("ladder",))

    assert (given_back.policy.ladder, given_back.policy_own) == ((-3, 0), ("digest",))
    assert world.tracker.audit[-1].why == "left to the fleet: reminders"


def test_a_field_cannot_be_set_and_given_back_at_once():
    world = a_world()

    with pytest.raises(Refusal) as refused:
        change_policy(world.outside, PROJECT, {"ladder": (0,)}, who=ANNA, inherited=("ladder",))

    assert (refused.value.no, world.project.policy_own) == (No.INVALID, ())


def test_a_new_project_is_met_with_the_fleets_policy():
    world = a_world()
    change_defaults(world.outside, {"quarantine_days": 20}, who=ANNA)
    world.atlas.add("f" * 24)

    discover_all(world.outside)

    assert world.tracker.project("f" * 24).policy.quarantine_days == 20


def test_who_changed_the_fleets_policy_stands_in_the_trail():
    world = a_world()

    change_defaults(world.outside, {"quarantine_days": 20}, who=ANNA)

    entry = world.tracker.audit[-1]
    assert (entry.subject, entry.who) == (FLEET, ANNA)
    assert entry.after == "quarantine: from 7 days to 20 days"


def test_a_projects_evidence_tells_what_was_wished_of_the_fleet():
    world = a_world()
    change_policy(world.outside, PROJECT, {"ladder": (0,)}, who=ANNA)
    change_defaults(world.outside, {"rotation_period_days": 30}, who=ANNA)

    pack = collect_evidence(world.outside, PROJECT)

    assert [entry["subject"] for entry in pack["policy"]["history"]] == [PROJECT, FLEET]


def test_the_fleets_policy_is_changed_at_the_version_that_was_read():
    world = a_world()
    changed = change_defaults(world.outside, {"quarantine_days": 20}, who=ANNA, if_version=("0",))

    with pytest.raises(Refusal) as refused:
        change_defaults(world.outside, {"quarantine_days": 9}, who=ANNA, if_version=("0",))

    assert (refused.value.no, changed.version, world.tracker.fleet().policy.quarantine_days) == (No.STALE, 1, 20)


def test_a_look_under_the_same_policy_writes_nothing():
    world = a_world()
    discover_all(world.outside)
    before = len(world.tracker.commits)

    discover_all(world.outside)

    assert len(world.tracker.commits) == before


WISHES = {"quarantine_days": st.integers(1, 30), "ladder": st.just((0,)) | st.just((-5, 5)), "digest": st.booleans()}
SOME = st.fixed_dictionaries({}, optional=WISHES)


@given(SOME, SOME, SOME, st.sets(st.sampled_from(sorted(WISHES))))
def test_what_holds_is_the_projects_own_wish_or_else_the_fleets(first, second, fleet, given_back):
    given_back -= second.keys()
    defaults = Policy(**fleet)

    project = steer(ALONE, NO_WISHES, first, (), START)
    project = take_up_defaults(steer(project, NO_WISHES, second, given_back, START), defaults, START)

    own = {name: wish for name, wish in (first | second).items() if name not in given_back}
    assert project.policy == Policy(**(fleet | own))
    assert set(project.policy_own) == own.keys() <= set(FIELDS)
