"""What is checked before a rotation: every check runs and shows, one that fails stops it."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from chalicelib.domain.arn import KeyArn
from chalicelib.domain.key_policy import compose_policy
from chalicelib.domain.observed import Cluster, Encryption, KeyDescription, KeyStatus, Settings
from chalicelib.domain.preflight import CHECKS, PreflightFacts, problem_of, run_checks
from chalicelib.domain.records import Check, Rotation, RotationState, Strategy

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
OLD = KeyArn(account="111122223333", region="eu-west-1", key_id="11111111-1111-1111-1111-111111111111")
WANTED = replace(OLD, key_id="22222222-2222-2222-2222-222222222222")
ROLE = "arn:aws:iam::111122223333:role/atlas"
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
GOOD = PreflightFacts(
    rotation=ROTATION,
    settings=SETTINGS,
    clusters=(MAIN,),
    principal=ROLE,
    current=KeyDescription(arn=OLD, status=KeyStatus.ENABLED),
)
DESCRIBED = KeyDescription(arn=WANTED, status=KeyStatus.ENABLED)
BROUGHT = replace(
    GOOD,
    rotation=replace(ROTATION, wanted_key=WANTED.key_id),
    wanted=DESCRIBED,
    wanted_policy=compose_policy("111122223333", "aws", ROLE, None),
)


def results(facts: PreflightFacts) -> dict[str, Check]:
    return {check.name: check for check in run_checks(facts)}


def without_success(facts: PreflightFacts) -> dict[str, bool | None]:
    return {name: check.passed for name, check in results(facts).items() if check.passed is not True}


@pytest.mark.parametrize("facts", [GOOD, BROUGHT, replace(GOOD, clusters=()), replace(GOOD, clusters=(FLEX, MAIN))])
def test_a_project_in_order_passes_every_check(facts):
    checks = run_checks(facts)

    assert [check.passed for check in checks] == [True] * len(CHECKS)
    assert [check.name for check in checks] == [check.__name__ for check in CHECKS]
    assert problem_of(checks) is None


@pytest.mark.parametrize(
    ("facts", "name", "words"),
    [
        (replace(GOOD, settings=replace(SETTINGS, enabled=False)), "encryption_enabled", "not so: encryption"),
        (replace(GOOD, settings=replace(SETTINGS, valid=False)), "settings_valid", "restore it first"),
        (replace(GOOD, settings=replace(SETTINGS, valid=None)), "settings_valid", "restore it first"),
        (replace(GOOD, settings=replace(SETTINGS, key="else")), "current_key_expected", f"name else, not {OLD}"),
        (replace(GOOD, settings=replace(SETTINGS, key=None)), "current_key_expected", "name None"),
        (replace(GOOD, clusters=(FLEX,)), "tier_has_the_feature", "flex"),
        (
            replace(GOOD, clusters=(replace(MAIN, encryption=Encryption.UNKNOWN),)),
            "providers_known",
            "provider of main is unknown",
        ),
        (replace(GOOD, principal=None), "role_authorized", "authorize it"),
        (
            replace(GOOD, current=KeyDescription(arn=OLD, status=KeyStatus.PENDING_DELETION)),
            "current_key_enabled",
            "the current key is PendingDeletion",
        ),
        (replace(BROUGHT, wanted=None), "wanted_key_usable", "not found"),
        (replace(BROUGHT, wanted=replace(DESCRIBED, status=KeyStatus.GONE)), "wanted_key_usable", "not found"),
        (replace(BROUGHT, wanted=replace(DESCRIBED, status=KeyStatus.DISABLED)), "wanted_key_usable", "is Disabled"),
        (replace(BROUGHT, wanted=replace(DESCRIBED, spec="RSA_4096")), "wanted_key_usable", "spec is RSA_4096"),
        (replace(BROUGHT, wanted=replace(DESCRIBED, usage="SIGN_VERIFY")), "wanted_key_usable", "usage is SIGN_VERIFY"),
        (
            replace(BROUGHT, wanted=replace(DESCRIBED, arn=replace(WANTED, region="us-east-1"))),
            "wanted_key_usable",
            "another region",
        ),
        (replace(BROUGHT, wanted_policy='{"Statement": []}'), "wanted_key_grants", "kms:Decrypt"),
        (replace(BROUGHT, wanted_policy="{"), "wanted_key_grants", "not JSON"),
    ],
)
def test_each_fault_fails_its_own_check_only_and_stops_the_rotation(facts, name, words):
    checks = run_checks(facts)

    assert without_success(facts) == {name: False}
    assert words in results(facts)[name].text
    assert problem_of(checks).code == name
    assert words in problem_of(checks).detail


@pytest.mark.parametrize(
    ("facts", "name"),
    [
        (replace(GOOD, current=None), "current_key_enabled"),
        (replace(BROUGHT, wanted_policy=None), "wanted_key_grants"),
    ],
)
def test_what_could_not_be_read_is_shown_as_not_verifiable_and_only_warns(facts, name):
    checks = run_checks(facts)

    assert without_success(facts) == {name: None}
    assert problem_of(checks) is None


def test_a_policy_cannot_be_verified_for_a_principal_that_is_not_known():
    assert without_success(replace(BROUGHT, principal=None)) == {"role_authorized": False, "wanted_key_grants": None}


def test_every_fault_is_told_in_one_sentence_under_the_code_of_the_first():
    facts = replace(BROUGHT, principal=None, wanted=replace(DESCRIBED, spec="RSA_4096", usage="SIGN_VERIFY"))

    problem = problem_of(run_checks(facts))

    assert problem.code == "role_authorized"
    assert "authorize it; its spec is RSA_4096" in problem.detail
    assert "SIGN_VERIFY" in problem.detail
