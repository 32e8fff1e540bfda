"""Whether a project may have a rotation now, and the records that begin it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from chalicelib.domain.arn import KeyArn
from chalicelib.domain.opening import (
    RotationRequest,
    intended,
    open_rotation,
    recognise,
    refusals,
    request_checks,
    rotation_id,
)
from chalicelib.domain.records import Policy, Project
from chalicelib.domain.refusals import No, Refusal
from chalicelib.domain.vocabulary import NoticeKind, RotationState, Strategy

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
KEY = KeyArn(account="111122223333", region="eu-west-1", key_id="11111111-1111-1111-1111-111111111111")
OWN = "22222222-2222-2222-2222-222222222222"
PROJECT = Project(project_id="p1", name="Shop", organization="o1", seen_at=NOW, key=KEY, key_since=NOW, version=3)
REQUEST = RotationRequest(requested_by="anna", idempotency_key="k1", reason="yearly")
UNKNOWN_KEY = replace(PROJECT, key=None)
THERE = replace(KEY, region="eu-central-1")
ON_DEMAND_POLICY = replace(PROJECT, policy=Policy(strategy=Strategy.KMS_ON_DEMAND))
AUTOMATIC_POLICY = replace(PROJECT, policy=Policy(strategy=Strategy.KMS_AUTOMATIC, automatic_period_days=200))


def test_an_opened_rotation_starts_from_the_projects_key_and_is_looked_at_at_once():
    rotation, change = open_rotation(PROJECT, REQUEST, NOW)

    assert (rotation.state, rotation.old_key, rotation.new_key) == (RotationState.REQUESTED, KEY, None)
    assert (rotation.requested_by, rotation.reason, rotation.due) == ("anna", "yearly", NOW)
    assert change.records == (replace(PROJECT, open_rotation=rotation.rotation_id), rotation)


def test_an_opened_rotation_is_told_and_written_into_the_trail():
    rotation, change = open_rotation(PROJECT, REQUEST, NOW)

    (notice,), (entry,) = change.notices, change.audit
    assert notice.kind is NoticeKind.ROTATION_STARTED
    assert (entry.who, entry.subject, entry.why, entry.after) == ("anna", "p1", "yearly", rotation.rotation_id)


@pytest.mark.parametrize("text", [OWN, OWN.upper(), str(replace(KEY, key_id=OWN))])
def test_a_brought_key_is_kept_as_it_was_written(text):
    rotation, _ = open_rotation(PROJECT, replace(REQUEST, key=text), NOW)

    assert rotation.wanted_key == text


def test_one_rotation_at_a_time():
    with pytest.raises(Refusal) as refused:
        open_rotation(replace(PROJECT, open_rotation="r0"), REQUEST, NOW)

    assert refused.value.no is No.CONFLICT
    assert refused.value.details == {"rotation_id": "r0"}
    assert [reason.kind for reason in refused.value.reasons] == ["rotation"]


@pytest.mark.parametrize(
    ("project", "changes", "kind", "words"),
    [
        (replace(PROJECT, not_covered_because="it is all flex"), {}, "covered", "it is all flex"),
        (UNKNOWN_KEY, {}, "covered", "not known yet"),
        (PROJECT, {"strategy": Strategy.KMS_ON_DEMAND, "region": "us-east-1"}, "strategy", "leave out region"),
        (ON_DEMAND_POLICY, {"credentials_secret": "s"}, "strategy", "leave out credentials_secret"),
        (PROJECT, {"strategy": Strategy.KMS_AUTOMATIC, "emergency": True}, "strategy", "an emergency needs new-cmk"),
        (ON_DEMAND_POLICY, {"emergency": True}, "strategy", "readable with the same key"),
        (PROJECT, {"period_days": 90}, "strategy", "belongs to the strategy kms-automatic"),
        (ON_DEMAND_POLICY, {"period_days": 90}, "strategy", "belongs to the strategy kms-automatic"),
        (PROJECT, {"key": "alias/atlas"}, "wanted_key", "alias"),
        (PROJECT, {"key": "arn:aws:kms:eu-west-1:111122223333:alias/atlas"}, "wanted_key", "alias"),
        (PROJECT, {"key": "gibberish"}, "wanted_key", "neither a key id nor"),
        (PROJECT, {"key": KEY.key_id.upper()}, "wanted_key", "current key"),
        (PROJECT, {"key": str(KEY)}, "wanted_key", "current key"),
        (PROJECT, {"key": str(THERE), "region": "us-east-1"}, "wanted_key", "lives in eu-central-1, not in us-east-1"),
    ],
)
def test_a_rotation_that_may_not_be_is_refused_with_its_reason(project, changes, kind, words):
    with pytest.raises(Refusal, match=words) as refused:
        open_rotation(project, replace(REQUEST, **changes), NOW)

    assert refused.value.no is No.CONFLICT
    assert [(reason.kind, reason.project_id) for reason in refused.value.reasons] == [(kind, "p1")]


def test_every_reason_is_given_at_once():
    request = replace(REQUEST, key=OWN, strategy=Strategy.KMS_AUTOMATIC)

    assert [reason.kind for reason in refusals(UNKNOWN_KEY, request)] == ["covered", "strategy", "wanted_key"]


def test_a_request_overrides_the_strategy_of_the_policy():
    project = replace(PROJECT, policy=Policy(strategy=Strategy.KMS_AUTOMATIC))

    assert refusals(project, replace(REQUEST, strategy=Strategy.NEW_CMK)) == ()


@pytest.mark.parametrize(
    "changes",
    [
        {"key": str(THERE)},
        {"key": str(THERE), "region": "eu-central-1"},
        {"key": KEY.key_id, "region": "eu-central-1"},
        {"key": str(KEY), "credentials_secret": "atlas/user"},
        {"region": "us-east-1"},
        {"emergency": True},
        {"strategy": Strategy.KMS_ON_DEMAND},
        {"strategy": Strategy.KMS_AUTOMATIC, "period_days": 90},
    ],
)
def test_what_only_atlas_or_kms_can_answer_is_left_to_the_preflight(changes):
    assert refusals(PROJECT, replace(REQUEST, **changes)) == ()


def test_a_rotation_remembers_everything_that_was_asked_for_and_where_the_old_cycle_began():
    asked = replace(REQUEST, key=str(THERE), region="eu-central-1", credentials_secret="atlas/user", emergency=True)

    rotation, _ = open_rotation(PROJECT, asked, NOW + DAY)

    assert (rotation.wanted_key, rotation.region) == (str(THERE), "eu-central-1")
    assert (rotation.credentials_secret, rotation.emergency) == ("atlas/user", True)
    assert (rotation.old_key_since, rotation.fingerprint) == (NOW, asked.fingerprint())


@pytest.mark.parametrize(
    ("project", "changes", "strategy", "period"),
    [
        (PROJECT, {}, Strategy.NEW_CMK, None),
        (ON_DEMAND_POLICY, {}, Strategy.KMS_ON_DEMAND, None),
        (AUTOMATIC_POLICY, {}, Strategy.KMS_AUTOMATIC, 200),
        (AUTOMATIC_POLICY, {"period_days": 90}, Strategy.KMS_AUTOMATIC, 90),
        (PROJECT, {"strategy": Strategy.KMS_AUTOMATIC}, Strategy.KMS_AUTOMATIC, 365),
    ],
)
def test_the_strategy_and_its_period_are_those_of_the_request_else_of_the_policy(project, changes, strategy, period):
    rotation, _ = open_rotation(project, replace(REQUEST, **changes), NOW)

    assert (rotation.strategy, rotation.period_days) == (strategy, period)


def test_a_rotation_can_be_looked_at_before_anybody_opens_it():
    assert intended(PROJECT, REQUEST, NOW) == open_rotation(PROJECT, REQUEST, NOW)[0]


def test_nothing_can_be_intended_for_a_project_whose_key_is_not_known():
    with pytest.raises(Refusal, match="present key of Shop is not known") as refused:
        intended(UNKNOWN_KEY, REQUEST, NOW)

    assert refused.value.no is No.CONFLICT


def test_checks_that_pass_are_shown_too():
    checks = request_checks(PROJECT, replace(REQUEST, key=OWN))

    assert [(check.name, check.passed) for check in checks] == [
        ("covered", True),
        ("nothing_open", True),
        ("strategy", True),
        ("wanted_key", True),
    ]


@pytest.mark.parametrize(
    ("project", "changes", "words"),
    [
        (PROJECT, {}, "a new key will be created"),
        (PROJECT, {"key": OWN}, OWN),
        (ON_DEMAND_POLICY, {}, "the key stays"),
        (PROJECT, {"strategy": Strategy.KMS_AUTOMATIC}, "the key stays"),
        (AUTOMATIC_POLICY, {"strategy": Strategy.NEW_CMK}, "a new key will be created"),
    ],
)
def test_the_checks_say_which_key_the_project_will_have(project, changes, words):
    said = {check.name: check.text for check in request_checks(project, replace(REQUEST, **changes))}

    assert said["wanted_key"] == words


def test_the_same_idempotency_key_always_names_the_same_rotation_of_its_project():
    assert rotation_id("p1", "k1") == rotation_id("p1", "k1")
    assert len({rotation_id("p1", "k1"), rotation_id("p1", "k2"), rotation_id("p2", "k1")}) == 3


def test_a_repeated_request_is_answered_with_the_rotation_it_made_whoever_repeats_it():
    rotation, _ = open_rotation(PROJECT, REQUEST, NOW)

    assert recognise(rotation, replace(REQUEST, requested_by="bert")) is rotation


@pytest.mark.parametrize(
    "changes",
    [
        {"key": OWN},
        {"region": "us-east-1"},
        {"credentials_secret": "s"},
        {"strategy": Strategy.NEW_CMK},
        {"period_days": 90},
        {"reason": "other"},
        {"emergency": True},
    ],
)
def test_the_idempotency_key_of_another_request_is_a_contradiction(changes):
    rotation, _ = open_rotation(PROJECT, REQUEST, NOW)

    with pytest.raises(Refusal) as refused:
        recognise(rotation, replace(REQUEST, **changes))

    assert refused.value.no is No.CONTRADICTION
    assert refused.value.details == {"rotation_id": rotation.rotation_id}
