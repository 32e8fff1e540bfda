"""What is checked before a rotation: every check runs and shows, one that fails stops it."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.arn import KeyArn
from chalicelib.domain.key_policy import ATLAS_ACTIONS, compose_policy
from chalicelib.domain.observed import (
    Cluster,
    Encryption,
    Grant,
    KeyDescription,
    KeyRotations,
    KeyStatus,
    PrivateEndpoint,
    Settings,
)
from chalicelib.domain.preflight import CHECKS, PreflightFacts, problem_of, run_checks
from chalicelib.domain.records import Check, Clause, Rotation
from chalicelib.domain.regions import REGIONS
from chalicelib.domain.vocabulary import RotationState, Strategy

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
OLD = KeyArn(account="111122223333", region="eu-west-1", key_id="11111111-1111-1111-1111-111111111111")
WANTED = replace(OLD, key_id="22222222-2222-2222-2222-222222222222")
ROLE = "arn:aws:iam::111122223333:role/atlas"
USER = "arn:aws:iam::111122223333:user/atlas"
ABROAD = "444455556666"
ROTATION = Rotation(
    rotation_id="r1",
    project_id="p1",
    state=RotationState.REQUESTED,
    strategy=Strategy.NEW_CMK,
    requested_by="anna",
    requested_at=NOW,
    fingerprint="f",
    old_key=OLD,
)
MAIN = Cluster(
    name="main",
    cluster_id="c1",
    kind="REPLICASET",
    state="IDLE",
    paused=False,
    encryption=Encryption.AWS,
    backups=True,
    point_in_time=False,
    tier="M10",
)
FLEX = replace(MAIN, name="flex", tier="FLEX")
SETTINGS = Settings(enabled=True, key=str(OLD), valid=True)
ALL_ALLOWED = dict.fromkeys(ATLAS_ACTIONS, Grant.ALLOWED)
NOT_MENTIONED = dict.fromkeys(ATLAS_ACTIONS, Grant.IMPLICIT_DENY)
DENIED = ALL_ALLOWED | {"kms:Decrypt": Grant.EXPLICIT_DENY}
GOOD = PreflightFacts(
    rotation=ROTATION,
    settings=SETTINGS,
    clusters=(MAIN,),
    principal=ROLE,
    current=KeyDescription(arn=OLD, status=KeyStatus.ENABLED),
    current_policy=compose_policy(OLD.account, "aws", ROLE),
    old_grants=ALL_ALLOWED,
    made_in=OLD.account,
)
DESCRIBED = KeyDescription(arn=WANTED, status=KeyStatus.ENABLED)


def bringing(wanted: KeyArn, *, text: str | None = None, described: KeyDescription = DESCRIBED, **changes):
    """The facts of a rotation to a key of the operator's own."""
    facts = replace(
        GOOD,
        rotation=replace(ROTATION, wanted_key=text or str(wanted)),
        wanted=replace(described, arn=wanted),
        wanted_policy=compose_policy(wanted.account, "aws", changes.get("principal", ROLE)),
        wanted_grants=ALL_ALLOWED,
        made_in=None,
    )
    return replace(facts, **changes)


IN_OUR_NETWORK = {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}
CONDITIONAL = compose_policy(
    OLD.account, "aws", ROLE, [Clause(allows=True, actions=ATLAS_ACTIONS, condition=IN_OUR_NETWORK)]
)
BY_ITS_ALIAS = compose_policy(
    OLD.account,
    "aws",
    ROLE,
    [Clause(allows=True, actions=ATLAS_ACTIONS, condition={"StringEquals": {"kms:RequestAlias": "alias/old"}})],
)
DENIED_ELSEWHERE = compose_policy(
    OLD.account,
    "aws",
    ROLE,
    [
        Clause(allows=True, actions=ATLAS_ACTIONS),
        Clause(allows=False, actions=("kms:Decrypt",), condition={"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}),
    ],
)
BROUGHT = bringing(WANTED, text=WANTED.key_id)
WANTED_ABROAD = replace(WANTED, account=ABROAD)
MADE_ABROAD = replace(GOOD, made_in=ABROAD, wanted_grants=ALL_ALLOWED)
MULTI = replace(DESCRIBED, multi_region=True)
THERE = replace(WANTED, region="eu-central-1", key_id="mrk-" + "a" * 32)
MOVED = bringing(THERE, described=MULTI)
LEGACY = replace(
    GOOD,
    rotation=replace(ROTATION, credentials_secret="atlas/user"),
    settings=replace(SETTINGS, legacy_access_key=True),
    principal=USER,
)
CREDENTIALS_ALONE = replace(
    bringing(OLD, principal=USER), rotation=replace(LEGACY.rotation, wanted_key=str(OLD)), settings=LEGACY.settings
)
PRIVATE = replace(
    GOOD,
    settings=replace(SETTINGS, private_networking=True),
    endpoints=(PrivateEndpoint(region="eu-west-1", status="ACTIVE"),),
)
ON_DEMAND = replace(
    GOOD,
    rotation=replace(ROTATION, strategy=Strategy.KMS_ON_DEMAND),
    current_rotations=KeyRotations(automatic=False, on_demand=24),
)
AUTOMATIC = replace(GOOD, rotation=replace(ROTATION, strategy=Strategy.KMS_AUTOMATIC, period_days=365))


def with_settings(facts: PreflightFacts = GOOD, **changes) -> PreflightFacts:
    return replace(facts, settings=replace(facts.settings, **changes))


def with_wanted(**changes) -> PreflightFacts:
    return replace(BROUGHT, wanted=replace(DESCRIBED, **changes))


def with_current(facts: PreflightFacts, **changes) -> PreflightFacts:
    return replace(facts, current=replace(facts.current, **changes))


def results(facts: PreflightFacts) -> dict[str, Check]:
    return {check.name: check for check in run_checks(facts)}


def without_success(facts: PreflightFacts) -> dict[str, bool | None]:
    return {name: check.passed for name, check in results(facts).items() if check.passed is not True}


PASSING = {
    "a key that will be made": GOOD,
    "a key by its id": BROUGHT,
    "a key by its ARN": bringing(WANTED),
    "a key of another account by its ARN": bringing(WANTED_ABROAD),
    "a key that will be made in another account": MADE_ABROAD,
    "an old key of another account": replace(
        GOOD,
        rotation=replace(ROTATION, old_key=replace(OLD, account=ABROAD)),
    ),
    "an old key with conditions": replace(GOOD, current_policy=CONDITIONAL),
    "a multi-Region key in another region": MOVED,
    "a twin of the old key in another region": bringing(replace(OLD, region="eu-central-1"), described=MULTI),
    "no clusters": replace(GOOD, clusters=()),
    "a flex cluster beside another": replace(GOOD, clusters=(FLEX, MAIN)),
    "IAM policies that leave it to the key's policy": replace(
        BROUGHT, old_grants=NOT_MENTIONED, wanted_grants=NOT_MENTIONED
    ),
    "private networking": PRIVATE,
    "an IAM user": LEGACY,
    "an IAM user's credentials alone": CREDENTIALS_ALONE,
    "on demand for the last time": ON_DEMAND,
    "automatically": AUTOMATIC,
    "automatically though no grant may be read": replace(AUTOMATIC, old_grants=None, principal=None),
}
FAILING = [
    ("encryption_enabled", "not so: encryption", with_settings(enabled=False)),
    ("settings_valid", "restore it first", with_settings(valid=False)),
    ("settings_valid", "restore it first", with_settings(valid=None)),
    ("settings_valid", "restore it first", with_settings(ON_DEMAND, valid=False)),
    ("current_key_expected", f"name else, not {OLD}", with_settings(key="else")),
    ("current_key_expected", "name None", with_settings(key=None)),
    ("current_key_expected", "the settings name", with_settings(key=OLD.key_id, region="us-east-1")),
    ("tier_has_the_feature", "flex", replace(GOOD, clusters=(FLEX,))),
    (
        "providers_known",
        "provider of main is unknown",
        replace(GOOD, clusters=(replace(MAIN, encryption=Encryption.UNKNOWN),)),
    ),
    ("principal_known", "name in `credentials_secret`", replace(LEGACY, rotation=ROTATION)),
    ("credentials_allowed", "AWS_KMS_CREDENTIALS_AUTH_DEPRECATED", replace(GOOD, rotation=LEGACY.rotation)),
    ("current_key_enabled", "is PendingDeletion", with_current(GOOD, status=KeyStatus.PENDING_DELETION)),
    ("current_key_enabled", "is Disabled", with_current(AUTOMATIC, status=KeyStatus.DISABLED)),
    ("wanted_key_usable", "not found", replace(BROUGHT, wanted=None)),
    ("wanted_key_usable", "not found", with_wanted(status=KeyStatus.GONE)),
    ("wanted_key_usable", "is Disabled", with_wanted(status=KeyStatus.DISABLED)),
    ("wanted_key_usable", "is PendingImport", with_wanted(status=KeyStatus.PENDING_IMPORT)),
    ("wanted_key_usable", "is PendingDeletion", with_wanted(status=KeyStatus.PENDING_DELETION)),
    ("wanted_key_usable", "is Unknown", with_wanted(status=KeyStatus.UNKNOWN)),
    ("wanted_key_usable", "spec is RSA_4096", with_wanted(spec="RSA_4096")),
    ("wanted_key_usable", "usage is SIGN_VERIFY", with_wanted(usage="SIGN_VERIFY")),
    ("wanted_key_usable", "managed by AWS", with_wanted(aws_managed=True)),
    ("wanted_key_is_another", "current key", bringing(OLD)),
    ("wanted_key_named_fully", "full ARN", bringing(WANTED_ABROAD, text=WANTED.key_id)),
    ("wanted_key_grants", "kms:Decrypt", replace(BROUGHT, wanted_policy='{"Statement": []}')),
    ("wanted_key_grants", "not JSON", replace(BROUGHT, wanted_policy="{")),
    (
        "conditions_carried_over",
        "on kms:RequestAlias speaks of the key itself): bring a key of your own with a policy of yours",
        replace(GOOD, current_policy=BY_ITS_ALIAS),
    ),
    ("region_supported", "no keys of the region mars-1", bringing(replace(THERE, region="mars-1"), described=MULTI)),
    ("region_kept", "only a multi-Region key", bringing(replace(WANTED, region="us-east-1"))),
    ("region_kept", "only a multi-Region key", replace(GOOD, rotation=replace(ROTATION, region="us-east-1"))),
    ("private_endpoint_active", "no private endpoint is ACTIVE in eu-west-1", replace(PRIVATE, endpoints=())),
    (
        "private_endpoint_active",
        "create it in Atlas first",
        replace(PRIVATE, endpoints=(PrivateEndpoint(region="eu-west-1", status="PENDING_ACCEPTANCE"),)),
    ),
    (
        "private_endpoint_active",
        "in eu-central-1",
        replace(MOVED, settings=PRIVATE.settings, endpoints=PRIVATE.endpoints),
    ),
    ("role_may_use_the_wanted_key", "deny kms:Decrypt", replace(BROUGHT, wanted_grants=DENIED)),
    ("role_may_use_the_wanted_key", "do not allow", bringing(WANTED_ABROAD, wanted_grants=NOT_MENTIONED)),
    ("role_may_use_the_wanted_key", "do not allow", bringing(WANTED_ABROAD, wanted_grants={})),
    (
        "role_may_use_the_wanted_key",
        f"do not allow kms:DescribeKey, kms:Encrypt, kms:Decrypt on arn:aws:kms:eu-west-1:{ABROAD}:key/*",
        replace(MADE_ABROAD, wanted_grants=NOT_MENTIONED),
    ),
    ("role_may_use_the_wanted_key", "deny kms:Decrypt on arn", replace(MADE_ABROAD, wanted_grants=DENIED)),
    ("role_may_use_the_old_key", f"deny kms:Decrypt on {OLD}", replace(GOOD, old_grants=DENIED)),
    (
        "role_may_use_the_old_key",
        "of another account",
        replace(PASSING["an old key of another account"], old_grants=NOT_MENTIONED),
    ),
    ("kms_can_renew", "imported", with_current(ON_DEMAND, origin="EXTERNAL")),
    ("kms_can_renew", "replica", with_current(AUTOMATIC, replica=True)),
    ("kms_can_renew", "used up", replace(ON_DEMAND, current_rotations=KeyRotations(automatic=False, on_demand=25))),
]
UNVERIFIABLE = [
    ("current_key_enabled", replace(GOOD, current=None)),
    ("wanted_key_grants", replace(BROUGHT, wanted_policy=None)),
    ("wanted_key_grants", replace(BROUGHT, wanted_policy=DENIED_ELSEWHERE)),
    ("conditions_carried_over", replace(GOOD, current_policy=None)),
    ("conditions_carried_over", replace(GOOD, current_policy="{")),
    ("private_endpoint_active", replace(PRIVATE, endpoints=None)),
    ("role_may_use_the_wanted_key", replace(BROUGHT, wanted_grants=None)),
    ("role_may_use_the_wanted_key", replace(MADE_ABROAD, wanted_grants=None)),
    ("role_may_use_the_wanted_key", replace(GOOD, made_in=None)),
    ("role_may_use_the_old_key", replace(GOOD, old_grants=None)),
    ("kms_can_renew", replace(ON_DEMAND, current_rotations=None)),
]


@pytest.mark.parametrize("facts", PASSING.values(), ids=PASSING)
def test_a_project_in_order_passes_every_check_of_its_strategy(facts):
    checks = run_checks(facts)

    assert {check.name: check.text for check in checks if check.passed is not True} == {}
    assert [check.name for check in checks] == [check.__name__ for check in CHECKS[facts.rotation.strategy]]
    assert problem_of(checks) is None


@pytest.mark.parametrize(("name", "words", "facts"), FAILING)
def test_each_fault_fails_its_own_check_only_and_stops_the_rotation(name, words, facts):
    checks = run_checks(facts)

    assert without_success(facts) == {name: False}
    assert words in results(facts)[name].text
    assert problem_of(checks).code == name
    assert words in problem_of(checks).detail


@pytest.mark.parametrize(("name", "facts"), UNVERIFIABLE)
def test_what_could_not_be_read_is_shown_as_not_verifiable_and_only_warns(name, facts):
    checks = run_checks(facts)

    assert without_success(facts) == {name: None}
    assert problem_of(checks) is None


@pytest.mark.parametrize("facts", [ON_DEMAND, AUTOMATIC])
def test_a_current_key_that_may_not_be_read_can_neither_be_found_enabled_nor_renewable(facts):
    unread = replace(facts, current=None)

    assert without_success(unread) == {"current_key_enabled": None, "kms_can_renew": None}


def test_every_check_has_a_row_here():
    names = {check.__name__ for checks in CHECKS.values() for check in checks}

    assert {name for name, _, _ in FAILING} == names
    assert {check.name for facts in PASSING.values() for check in run_checks(facts)} == names


@pytest.mark.parametrize(
    "facts", [replace(BROUGHT, principal=None), replace(LEGACY, principal=None), replace(GOOD, principal=None)]
)
def test_nothing_about_a_principal_that_is_not_known_is_taken_for_granted(facts):
    open_questions = {"role_may_use_the_old_key": None, "role_may_use_the_wanted_key": None}
    open_questions |= {"wanted_key_grants" if facts.wanted is not None else "conditions_carried_over": None}

    assert without_success(facts) == {"principal_known": False} | open_questions


def test_a_principal_that_is_no_arn_belongs_to_no_account():
    facts = bringing(WANTED, text=WANTED.key_id, principal="atlas", wanted_grants=NOT_MENTIONED)

    failed = without_success(facts)

    assert failed == {"wanted_key_named_fully": False, "role_may_use_the_wanted_key": False}


def test_every_fault_is_told_in_one_sentence_under_the_code_of_the_first():
    facts = replace(BROUGHT, principal=None, wanted=replace(DESCRIBED, spec="RSA_4096", usage="SIGN_VERIFY"))

    problem = problem_of(run_checks(facts))

    assert problem.code == "principal_known"
    assert "authorize it; its spec is RSA_4096" in problem.detail
    assert "SIGN_VERIFY" in problem.detail


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (GOOD, "Atlas assumes a role"),
        (LEGACY, "an IAM user's credentials go along"),
        (CREDENTIALS_ALONE, "its user's credentials change"),
        (LEGACY, f"the IAM user {USER}"),
        (GOOD, f"the role {ROLE}"),
        (MOVED, "is used from eu-central-1"),
        (GOOD, "no conditions to repeat"),
        (PASSING["an old key with conditions"], "repeats the conditions"),
        (BROUGHT, "the wanted key has a policy of its own"),
        (ON_DEMAND, "1 of 25 on-demand rotations are left"),
        (MADE_ABROAD, f"nothing in the IAM policies of {ROLE} stands against arn:aws:kms:eu-west-1:{ABROAD}:key/*"),
    ],
)
def test_checks_that_pass_say_what_they_found(facts, words):
    assert [check.name for check in run_checks(facts) if words in check.text] != []


@pytest.mark.parametrize(
    ("facts", "region"),
    [
        (GOOD, "eu-west-1"),
        (replace(GOOD, rotation=replace(ROTATION, region="us-east-1")), "us-east-1"),
        (MOVED, "eu-central-1"),
    ],
)
def test_the_next_key_lives_where_it_is_or_is_wanted(facts, region):
    assert facts.next_region == region


def test_the_regions_of_atlas_are_spelt_as_aws_spells_them():
    assert {"eu-west-1", "us-gov-west-1", "cn-north-1"} <= REGIONS
    assert all(region == region.lower() and "_" not in region for region in REGIONS)


READ = (
    "current",
    "current_rotations",
    "current_policy",
    "principal",
    "wanted",
    "wanted_policy",
    "wanted_grants",
    "old_grants",
    "made_in",
    "endpoints",
)
EVERYTHING = [*PASSING.values(), *(facts for _, _, facts in FAILING)]


@given(st.sampled_from(EVERYTHING), st.sets(st.sampled_from(READ)))
def test_what_could_not_be_read_never_makes_a_failing_check_pass_in_a_rotation_that_goes_on(facts, unread):
    checks = run_checks(replace(facts, **dict.fromkeys(unread)))

    if problem_of(checks) is None:
        passed = {check.name for check in checks if check.passed}
        assert not passed & {name for name, check in results(facts).items() if check.passed is False}
