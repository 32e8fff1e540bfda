"""What every account's keys promise, held against the fake and against KMS's adapter before the strict KMS alike."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import SimpleNamespace
from typing import ClassVar

import boto3
import pytest
from botocore.config import Config
from botocore.stub import Stubber
from fake_keys import FakeKeys

from chalicelib.adapters.kms import KmsKeys, tag_value
from chalicelib.domain.arn import KeyArn
from chalicelib.domain.observed import ON_DEMAND_LIMIT, KeyRotations, KeyStatus, KeyUse, NewKey
from chalicelib.usecases.ports import NotFound, PermanentError, TemporaryError

ACCOUNT, REGION = "123456789012", "us-east-1"
MISSING = KeyArn(account=ACCOUNT, region=REGION, key_id="99999999-2222-4333-8444-555555555555")
POLICY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
                "Action": "kms:*",
                "Resource": "*",
            }
        ],
    }
)


@pytest.fixture(params=["fake", "kms"])
def keys(request, clock):
    if request.param == "fake":
        return FakeKeys(clock.now, account=ACCOUNT, region=REGION)
    return KmsKeys(request.getfixturevalue("kms"), account=ACCOUNT, region=REGION)


@pytest.fixture
def real(kms):
    return KmsKeys(kms, account=ACCOUNT, region=REGION)


@pytest.fixture
def rotation_id(request):
    """Unique per test, because all tests of this module share one KMS."""
    return "".join(c if c.isalnum() else "-" for c in request.node.name)


@pytest.fixture
def new(rotation_id):
    return NewKey(
        project_id="5f1b2c3d4e5f60718293a4b5",
        project_name="Billing",
        rotation_id=rotation_id,
        alias=f"alias/keyturn/{rotation_id}",
        policy=POLICY,
        tags={"cost-centre": "42"},
    )


@pytest.fixture
def arn(keys, new):
    return keys.create(new)


def later(clock, **step):
    clock.advance_to(clock.now() + timedelta(**step))


def refusal(call, *given, **named):
    with pytest.raises(PermanentError) as refused:
        call(*given, **named)
    return refused.value.code


# ---- made, and found again ----


def test_a_new_key_is_an_enabled_symmetric_key_of_this_account_and_region(keys, arn, clock):
    shown = keys.describe(arn)

    assert (arn.account, arn.region) == (ACCOUNT, REGION)
    assert (shown.arn, shown.status) == (arn, KeyStatus.ENABLED)
    assert (shown.spec, shown.usage, shown.origin) == ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", "AWS_KMS")
    assert (shown.multi_region, shown.created_at, shown.deletion_date) == (False, clock.now(), None)


def test_a_new_key_has_the_policy_it_was_given(keys, arn):
    assert json.loads(keys.policy(arn)) == json.loads(POLICY)


def test_a_policy_that_would_lock_the_account_out_makes_no_key(keys, new, rotation_id):
    assert refusal(keys.create, replace(new, policy='{"Statement": []}')) == "MalformedPolicyDocumentException"
    assert keys.find_by_rotation(rotation_id) is None


def test_a_key_whose_name_was_never_written_is_found_by_its_rotation(keys, arn, rotation_id):
    assert keys.find_by_rotation(rotation_id) == arn
    assert keys.find_by_rotation(rotation_id + "-other") is None


def test_a_key_on_its_way_to_deletion_is_not_lost_from_sight(keys, arn, rotation_id):
    keys.schedule_deletion(arn, days=7)

    assert keys.find_by_rotation(rotation_id) == arn
    assert keys.describe(arn).status is KeyStatus.PENDING_DELETION


def test_a_disabled_key_of_ours_is_found_so_that_no_second_one_is_made(keys, arn, rotation_id):
    keys.disable(arn)

    assert keys.find_by_rotation(rotation_id) == arn


def test_an_alias_is_written_once_and_again_for_the_same_key(keys, arn, new):
    keys.name(arn, new.alias)
    keys.name(arn, new.alias)

    assert keys.find_by_alias(new.alias) == arn


def test_an_alias_is_never_taken_from_another_key(keys, arn, new):
    keys.name(arn, new.alias)
    other = keys.create(new)

    assert refusal(keys.name, other, new.alias) == "AlreadyExistsException"
    assert keys.find_by_alias(new.alias) == arn


def test_an_alias_that_nobody_wrote_is_none(keys):
    assert keys.find_by_alias("alias/keyturn/nobody") is None


@pytest.mark.parametrize("alias", ["alias/with space", "no-alias"])
def test_an_alias_that_kms_does_not_take_is_refused(keys, arn, alias):
    assert refusal(keys.name, arn, alias) == "ValidationException"


# ---- unknown keys ----


def test_a_key_that_kms_does_not_know_is_gone(keys):
    assert keys.describe(MISSING).status is KeyStatus.GONE


@pytest.mark.parametrize(
    "call",
    ["policy", "rotations", "last_used", "rotate_on_demand", "enable", "disable", "cancel_deletion"],
)
def test_nothing_can_be_done_with_a_key_that_kms_does_not_know(keys, call):
    with pytest.raises(NotFound):
        getattr(keys, call)(MISSING)


def test_no_deletion_is_scheduled_for_a_key_that_kms_does_not_know(keys):
    with pytest.raises(NotFound):
        keys.schedule_deletion(MISSING, days=30)


def test_a_key_that_is_to_be_named_or_set_to_rotate_may_not_be_seen_yet(keys):
    with pytest.raises(TemporaryError):
        keys.name(MISSING, "alias/keyturn/too-early")
    with pytest.raises(TemporaryError):
        keys.rotate_automatically(MISSING)


# ---- rotation by KMS itself ----


def test_a_key_rotates_by_itself_once_it_was_told_to_and_telling_again_is_fine(keys, arn):
    before = keys.rotations(arn)
    keys.rotate_automatically(arn)
    keys.rotate_automatically(arn)

    assert (before.automatic, keys.rotations(arn).automatic) == (False, True)
    assert keys.rotations(arn).dates == ()


@pytest.mark.parametrize("call", ["rotate_automatically", "rotate_on_demand"])
def test_a_disabled_key_cannot_be_rotated(keys, arn, call):
    keys.disable(arn)

    assert refusal(getattr(keys, call), arn) == "DisabledException"


def test_a_key_that_nobody_rotates_shows_no_period_no_date_and_no_rotation(keys, arn):
    assert keys.rotations(arn) == KeyRotations(automatic=False)


@pytest.mark.parametrize("days", [90, 365, 2560])
def test_the_period_and_the_next_date_of_automatic_rotation_are_shown(keys, arn, clock, days):
    keys.rotate_automatically(arn, period_days=days)

    shown = keys.rotations(arn)

    assert (shown.automatic, shown.period_days) == (True, days)
    assert shown.next_at == clock.now() + timedelta(days=days)


def test_telling_again_with_the_same_period_moves_no_date_and_another_period_does(keys, arn, clock):
    keys.rotate_automatically(arn, period_days=200)
    first = keys.rotations(arn).next_at
    later(clock, days=10)
    keys.rotate_automatically(arn, period_days=200)
    same = keys.rotations(arn).next_at
    keys.rotate_automatically(arn, period_days=100)

    assert same == first
    assert keys.rotations(arn).next_at == clock.now() + timedelta(days=100)


@pytest.mark.parametrize("days", [0, 89, 2561])
def test_a_period_that_kms_does_not_know_is_refused(keys, arn, days):
    with pytest.raises(PermanentError):
        keys.rotate_automatically(arn, period_days=days)

    assert not keys.rotations(arn).automatic


def test_automatic_rotations_happen_on_their_days_and_are_none_on_demand(keys, arn, clock):
    begun = clock.now()
    keys.rotate_automatically(arn, period_days=90)
    later(clock, days=200)

    shown = keys.rotations(arn)

    assert shown.dates == (begun + timedelta(days=90), begun + timedelta(days=180))
    assert (shown.next_at, shown.on_demand) == (begun + timedelta(days=270), 0)


def test_a_disabled_key_rotates_once_it_is_enabled_again(keys, arn, clock):
    keys.rotate_automatically(arn, period_days=90)
    keys.disable(arn)
    later(clock, days=300)
    meanwhile = keys.rotations(arn).dates
    keys.enable(arn)

    shown = keys.rotations(arn)

    assert (meanwhile, shown.dates) == ((), (clock.now(),))
    assert shown.next_at == clock.now() + timedelta(days=90)


def test_a_rotation_on_demand_runs_for_a_while_and_then_has_a_date(keys, arn, clock):
    begun = clock.now()
    keys.rotate_on_demand(arn)
    running = keys.rotations(arn)
    later(clock, days=1)
    done = keys.rotations(arn)

    assert (running.dates, running.on_demand, running.on_demand_running_since) == ((), 0, begun)
    assert (len(done.dates), done.on_demand, done.on_demand_running_since) == (1, 1, None)
    assert begun < done.dates[0] <= clock.now()


def test_a_rotation_on_demand_moves_no_automatic_one(keys, arn, clock):
    keys.rotate_automatically(arn, period_days=90)
    before = keys.rotations(arn).next_at
    keys.rotate_on_demand(arn)
    later(clock, days=1)

    assert (keys.rotations(arn).next_at, keys.rotations(arn).on_demand) == (before, 1)


def test_a_rotation_that_runs_lets_no_other_begin_but_may_later(keys, arn, clock):
    keys.rotate_on_demand(arn)

    with pytest.raises(TemporaryError) as refused:
        keys.rotate_on_demand(arn)
    later(clock, days=1)
    keys.rotate_on_demand(arn)

    assert (refused.value.code, refused.value.call) == ("ConflictException", "kms:RotateKeyOnDemand")


def test_no_rotation_on_demand_begins_minutes_before_an_automatic_one(keys, arn, clock):
    keys.rotate_automatically(arn, period_days=90)
    later(clock, days=89, hours=23, minutes=45)

    with pytest.raises(TemporaryError) as refused:
        keys.rotate_on_demand(arn)

    assert refused.value.code == "ConflictException"


def test_a_key_is_rotated_on_demand_twenty_five_times_in_its_life(keys, arn, clock):
    for _ in range(ON_DEMAND_LIMIT):
        keys.rotate_on_demand(arn)
        later(clock, days=1)

    assert refusal(keys.rotate_on_demand, arn) == "LimitExceededException"
    assert keys.rotations(arn).on_demand == ON_DEMAND_LIMIT == 25


KINDS = {
    "replica": ({"multi_region": True, "replica": True}, None),
    "custom store": (
        {"origin": "AWS_CLOUDHSM", "custom_store": True},
        {"Origin": "AWS_CLOUDHSM", "CustomKeyStoreId": "cks-1"},
    ),
    "external store": (
        {"origin": "EXTERNAL_KEY_STORE", "custom_store": True},
        {"Origin": "EXTERNAL_KEY_STORE", "CustomKeyStoreId": "cks-2", "XksKeyId": "x1"},
    ),
    "imported": (
        {"origin": "EXTERNAL", "status": KeyStatus.PENDING_IMPORT},
        {"Origin": "EXTERNAL"},
    ),
    "HMAC": (
        {"spec": "HMAC_256", "usage": "GENERATE_VERIFY_MAC"},
        {"KeySpec": "HMAC_256", "KeyUsage": "GENERATE_VERIFY_MAC"},
    ),
    "RSA": (
        {"spec": "RSA_2048", "usage": "ENCRYPT_DECRYPT"},
        {"KeySpec": "RSA_2048", "KeyUsage": "ENCRYPT_DECRYPT"},
    ),
}


def of_kind(aws, keys, kind):
    described, asked = KINDS[kind]
    if isinstance(keys, FakeKeys):
        return keys.add(**described)
    kms = aws.client("kms")
    if asked is None:
        primary = aws.client("kms", region="eu-west-1").create_key(MultiRegion=True)["KeyMetadata"]["KeyId"]
        aws.client("kms", region="eu-west-1").replicate_key(KeyId=primary, ReplicaRegion=REGION)
        return KeyArn(account=ACCOUNT, region=REGION, key_id=primary)
    return KeyArn(account=ACCOUNT, region=REGION, key_id=kms.create_key(**asked)["KeyMetadata"]["KeyId"])


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_is_described_as_the_kind_that_it_is(aws, keys, kind):
    shown = keys.describe(of_kind(aws, keys, kind))

    expected = KINDS[kind][0]
    assert {name: getattr(shown, name) for name in expected} == expected
    assert (shown.replica, shown.custom_store) == (kind == "replica", kind.endswith("store"))


def test_an_ordinary_key_is_no_replica_in_no_store_and_nobody_elses(keys, arn):
    shown = keys.describe(arn)

    assert (shown.replica, shown.custom_store, shown.aws_managed) == (False, False, False)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("call", ["rotate_on_demand", "rotate_automatically"])
def test_keys_of_kinds_that_kms_does_not_rotate_are_refused_with_its_code(aws, keys, kind, call):
    arn = of_kind(aws, keys, kind)

    code = "KMSInvalidStateException" if kind == "imported" else "UnsupportedOperationException"
    assert refusal(getattr(keys, call), arn) == code


# ---- the last use that KMS recorded ----


def test_a_key_that_nobody_used_says_since_when_that_is_known(keys, arn, clock):
    assert keys.last_used(arn) == KeyUse(at=None, operation=None, tracked_since=clock.now())


def test_the_last_use_of_a_key_is_dated_and_named(keys, arn, clock, kms):
    begun = clock.now()
    later(clock, days=3)
    if isinstance(keys, FakeKeys):
        keys.use(arn, "Encrypt")
    else:
        kms.encrypt(KeyId=str(arn), Plaintext=b"x")

    assert keys.last_used(arn) == KeyUse(at=clock.now(), operation="Encrypt", tracked_since=begun)


# ---- quarantine and deletion ----


def test_a_key_is_disabled_and_enabled_and_doing_it_again_is_fine(keys, arn):
    keys.disable(arn)
    keys.disable(arn)
    disabled = keys.describe(arn).status
    keys.enable(arn)
    keys.enable(arn)

    assert (disabled, keys.describe(arn).status) == (KeyStatus.DISABLED, KeyStatus.ENABLED)


@pytest.mark.parametrize("days", [7, 30])
def test_a_deletion_is_scheduled_for_the_day_asked(keys, arn, clock, days):
    date = keys.schedule_deletion(arn, days=days)

    assert date == clock.now() + timedelta(days=days)
    assert (keys.describe(arn).status, keys.describe(arn).deletion_date) == (KeyStatus.PENDING_DELETION, date)


@pytest.mark.parametrize("days", [0, 6, 31])
def test_a_deletion_too_soon_or_too_late_is_refused(keys, arn, days):
    with pytest.raises(PermanentError):
        keys.schedule_deletion(arn, days=days)

    assert keys.describe(arn).status is KeyStatus.ENABLED


def test_scheduling_a_deletion_again_gives_the_date_it_has(keys, arn, clock):
    first = keys.schedule_deletion(arn, days=7)
    later(clock, days=1)

    assert keys.schedule_deletion(arn, days=30) == first


@pytest.mark.parametrize("call", ["enable", "disable", "rotate_automatically", "rotate_on_demand"])
def test_a_key_pending_deletion_takes_no_change(keys, arn, call):
    keys.schedule_deletion(arn, days=7)

    assert refusal(getattr(keys, call), arn) == "KMSInvalidStateException"


def test_a_key_pending_deletion_takes_no_name(keys, arn, new):
    keys.schedule_deletion(arn, days=7)

    assert refusal(keys.name, arn, new.alias) == "KMSInvalidStateException"


def test_a_deletion_called_off_leaves_the_key_disabled_and_calling_it_off_again_is_fine(keys, arn):
    keys.schedule_deletion(arn, days=7)
    keys.cancel_deletion(arn)
    keys.cancel_deletion(arn)

    assert (keys.describe(arn).status, keys.describe(arn).deletion_date) == (KeyStatus.DISABLED, None)


def test_calling_off_a_deletion_that_nobody_scheduled_leaves_the_key_as_it_is(keys, arn):
    keys.cancel_deletion(arn)

    assert keys.describe(arn).status is KeyStatus.ENABLED


def test_a_key_whose_day_has_come_is_gone_with_its_alias(keys, arn, new, clock):
    keys.name(arn, new.alias)
    keys.schedule_deletion(arn, days=7)
    later(clock, days=7)

    assert keys.describe(arn).status is KeyStatus.GONE
    assert keys.find_by_alias(new.alias) is None
    with pytest.raises(NotFound):
        keys.cancel_deletion(arn)


# ---- the adapter alone: kinds of keys, tags, pages, powers, errors ----


def test_rotations_by_kms_are_dated_oldest_first(real, new, kms, clock):
    arn = real.create(new)
    dates = []
    for _ in range(3):
        kms.rotate_key_on_demand(KeyId=str(arn))
        later(clock, minutes=2)
        dates.append(clock.now())
        later(clock, days=1)

    assert real.rotations(arn).dates == tuple(dates)


def test_rotations_beyond_the_first_page_are_counted(aws):
    client, stubber = stubbed(aws)
    first, second = (datetime(2026, month, 1, tzinfo=UTC) for month in (1, 2))
    named = {"KeyId": str(MISSING)}
    stubber.add_response("get_key_rotation_status", {"KeyRotationEnabled": False}, named)
    older = {"RotationDate": first, "RotationType": "ON_DEMAND"}
    newer = {"RotationDate": second, "RotationType": "AUTOMATIC"}
    stubber.add_response("list_key_rotations", {"Rotations": [newer], "Truncated": True, "NextMarker": "m"}, named)
    stubber.add_response("list_key_rotations", {"Rotations": [older], "Truncated": False}, {**named, "Marker": "m"})

    with stubber:
        shown = KmsKeys(client, ACCOUNT, REGION).rotations(MISSING)

    assert (shown.dates, shown.on_demand) == ((first, second), 1)


def test_a_key_of_an_aws_service_is_described_as_such(aws):
    client, stubber = stubbed(aws)
    shown = {"KeyId": MISSING.key_id, "Arn": str(MISSING), "KeyState": "Enabled", "KeyManager": "AWS"}
    stubber.add_response("describe_key", {"KeyMetadata": shown})

    with stubber:
        assert KmsKeys(client, ACCOUNT, REGION).describe(MISSING).aws_managed


def test_an_sdk_that_cannot_ask_for_the_last_use_says_so():
    client = SimpleNamespace(meta=SimpleNamespace(events=SimpleNamespace(register_first=lambda *_, **__: None)))

    assert refusal(KmsKeys(client, ACCOUNT, REGION).last_used, MISSING) == "not_available"


@pytest.mark.parametrize(
    "answer", [{}, {"TrackingStartDate": datetime(2026, 1, 1, tzinfo=UTC), "KeyLastUsage": {"Operation": "Encrypt"}}]
)
def test_a_last_use_without_its_dates_is_an_error_and_not_no_use(aws, answer):
    client, stubber = stubbed(aws)
    stubber.add_response("get_key_last_usage", answer)

    with stubber, pytest.raises(TemporaryError, match="without"):
        KmsKeys(client, ACCOUNT, REGION).last_used(MISSING)


def test_keys_of_a_kind_that_kms_cannot_rotate_never_rotate(real, kms):
    made = kms.create_key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")["KeyMetadata"]
    arn = KeyArn(account=ACCOUNT, region=REGION, key_id=made["KeyId"])

    shown = real.rotations(arn)

    assert (shown.automatic, shown.dates) == (False, ())
    assert refusal(real.rotate_automatically, arn) == "UnsupportedOperationException"


def test_a_new_key_says_whose_it_is_in_its_tags(real, new, kms, rotation_id):
    arn = real.create(replace(new, project_name='R&D "north" (2)'))
    tags = {tag["TagKey"]: tag["TagValue"] for tag in kms.list_resource_tags(KeyId=str(arn))["Tags"]}

    assert tags == {
        "cost-centre": "42",
        "keyturn:owner": "keyturn",
        "keyturn:project": new.project_id,
        "keyturn:project-name": "R_D _north_ _2_",
        "keyturn:rotation": rotation_id,
    }


def test_no_tag_of_the_caller_can_hide_whose_key_it_is(real, new, rotation_id):
    arn = real.create(replace(new, tags={"keyturn:owner": "somebody", "keyturn:rotation": "another"}))

    assert real.find_by_rotation(rotation_id) == arn


def test_a_tag_value_keeps_letters_of_any_language_and_at_most_256_characters():
    assert tag_value("Zürich 東京: a/b=c+d-e@f") == "Zürich 東京: a/b=c+d-e@f"
    assert tag_value("a,b;c\n'é'") == "a_b_c__é_"
    assert len(tag_value("x" * 300)) == 256


def test_a_key_is_found_beyond_the_first_page_of_a_list(aws, clock, new):
    client, stubber = stubbed(aws)
    listed = [KeyArn(account=ACCOUNT, region=REGION, key_id=f"{n:08d}-2222-4333-8444-555555555555") for n in (1, 2)]
    tags = [{"TagKey": "keyturn:owner", "TagValue": "keyturn"}, {"TagKey": "keyturn:rotation", "TagValue": "r1"}]
    shown = {"KeyId": listed[1].key_id, "Arn": str(listed[1]), "KeyState": "Enabled"}
    stubber.add_response("list_keys", {**page_of(listed[0]), "Truncated": True, "NextMarker": "m"}, {"Limit": 1000})
    stubber.add_response("list_keys", page_of(listed[1]), {"Limit": 1000, "Marker": "m"})
    stubber.add_response("list_resource_tags", {"Tags": []}, {"KeyId": str(listed[0])})
    stubber.add_response("list_resource_tags", {"Tags": tags}, {"KeyId": str(listed[1])})
    stubber.add_response("describe_key", {"KeyMetadata": shown})

    with stubber:
        assert KmsKeys(client, ACCOUNT, REGION).find_by_rotation("r1") == listed[1]


def test_a_list_that_breaks_off_is_an_error_and_not_an_absence(aws):
    client, stubber = stubbed(aws)
    stubber.add_response("list_keys", {"Keys": [], "Truncated": True})

    with stubber, pytest.raises(TemporaryError, match="NextMarker"):
        KmsKeys(client, ACCOUNT, REGION).find_by_rotation("r1")


def test_a_key_that_is_listed_but_has_no_tags_yet_is_not_taken_for_somebody_elses(aws):
    client, stubber = stubbed(aws)
    stubber.add_response("list_keys", page_of(MISSING))
    stubber.add_client_error("list_resource_tags", "NotFoundException")

    with stubber, pytest.raises(TemporaryError):
        KmsKeys(client, ACCOUNT, REGION).find_by_rotation("r1")


def test_a_key_whose_own_policy_shuts_us_out_is_none_of_ours(aws):
    client, stubber = stubbed(aws)
    text = "User: u is not authorized: no resource-based policy allows the kms:ListResourceTags action"
    stubber.add_response("list_keys", page_of(MISSING))
    stubber.add_client_error("list_resource_tags", "AccessDeniedException", text)

    with stubber:
        assert KmsKeys(client, ACCOUNT, REGION).find_by_rotation("r1") is None


def test_tags_that_our_role_may_not_read_are_an_error_and_not_an_absence(aws, real, new):
    real.create(new)
    person = aws.create_user("reader", document("kms:ListKeys"))

    with pytest.raises(PermanentError, match="kms:ListResourceTags"):
        KmsKeys(aws.client("kms", person), ACCOUNT, REGION).find_by_rotation("r1")


def test_a_refusal_names_account_region_action_and_what_to_allow(aws, real, new):
    arn = real.create(new)
    person = aws.create_user("nobody", document("kms:ListKeys"))

    with pytest.raises(PermanentError) as refused:
        KmsKeys(aws.client("kms", person), ACCOUNT, REGION).describe(arn)

    for word in (ACCOUNT, REGION, "kms:DescribeKey", str(arn), "allow"):
        assert word in refused.value.message


def test_a_state_that_keyturn_does_not_know_is_unknown(aws):
    client, stubber = stubbed(aws)
    stubber.add_response("describe_key", {"KeyMetadata": {"KeyId": "x", "Arn": str(MISSING), "KeyState": "Melting"}})

    with stubber:
        assert KmsKeys(client, ACCOUNT, REGION).describe(MISSING).status is KeyStatus.UNKNOWN


def test_an_answer_without_its_content_is_an_error(aws):
    client, stubber = stubbed(aws)
    stubber.add_response("describe_key", {})

    with stubber, pytest.raises(TemporaryError, match="without Arn"):
        KmsKeys(client, ACCOUNT, REGION).describe(MISSING)


def test_a_key_that_waits_for_its_replicas_has_no_date_and_says_so(real, kms):
    made = kms.create_key(MultiRegion=True)["KeyMetadata"]
    kms.replicate_key(KeyId=made["KeyId"], ReplicaRegion="eu-west-1")
    arn = KeyArn(account=ACCOUNT, region=REGION, key_id=made["KeyId"])

    assert refusal(real.schedule_deletion, arn, days=30) == "no_deletion_date"


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        ("ThrottlingException", 400, TemporaryError),
        ("KMSInternalException", 500, TemporaryError),
        ("DependencyTimeoutException", 503, TemporaryError),
        ("ExpiredTokenException", 400, TemporaryError),
        ("SomethingNew", 502, TemporaryError),
        ("AccessDeniedException", 400, PermanentError),
        ("InvalidArnException", 400, PermanentError),
        ("ValidationException", 400, PermanentError),
        ("NotFoundException", 400, NotFound),
    ],
)
def test_an_error_of_kms_becomes_one_of_ours(aws, code, status, expected):
    client, stubber = stubbed(aws)
    stubber.add_client_error("get_key_policy", code, "said so", http_status_code=status)

    with stubber, pytest.raises(expected) as seen:
        KmsKeys(client, ACCOUNT, REGION).policy(MISSING)

    assert (type(seen.value), seen.value.code, seen.value.call) == (expected, code, "kms:GetKeyPolicy")


class Failing(BaseHTTPRequestHandler):
    """Answers everything with an error of KMS' own, unless told another, and counts."""

    asked: ClassVar[list[str]] = []
    status = 500
    body = b"{}"

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        Failing.asked.append(self.headers["X-Amz-Target"].partition(".")[2])
        self.send_response(Failing.status)
        self.send_header("Content-Length", str(len(Failing.body)))
        self.end_headers()
        self.wfile.write(Failing.body)

    def log_message(self, *_):
        pass


@pytest.fixture
def failing():
    Failing.asked, Failing.status, Failing.body = [], 500, b"{}"
    server = ThreadingHTTPServer(("127.0.0.1", 0), Failing)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield boto3.session.Session().client(
        "kms",
        region_name=REGION,
        endpoint_url=f"http://127.0.0.1:{server.server_port}",
        aws_access_key_id="a",
        aws_secret_access_key="b",
        config=Config(retries={"mode": "standard", "total_max_attempts": 2}),
    )
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_creation_whose_answer_was_lost_is_never_sent_again(failing, new):
    with pytest.raises(TemporaryError) as lost:
        KmsKeys(failing, ACCOUNT, REGION).create(new)

    assert (Failing.asked, lost.value.code) == (["CreateKey"], "answer_lost")


def test_a_rotation_on_demand_whose_answer_was_lost_is_never_sent_again(failing):
    with pytest.raises(TemporaryError) as lost:
        KmsKeys(failing, ACCOUNT, REGION).rotate_on_demand(MISSING)

    assert (Failing.asked, lost.value.code) == (["RotateKeyOnDemand"], "answer_lost")
    assert lost.value.call == "kms:RotateKeyOnDemand"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("LimitExceededException", PermanentError),
        ("UnsupportedOperationException", PermanentError),
        ("ConflictException", TemporaryError),
        ("ThrottlingException", TemporaryError),
    ],
)
def test_a_refusal_to_rotate_keeps_its_code_and_is_asked_for_once(failing, code, expected):
    Failing.status, Failing.body = 400, json.dumps({"__type": code, "message": "said so"}).encode()

    with pytest.raises(expected) as refused:
        KmsKeys(failing, ACCOUNT, REGION).rotate_on_demand(MISSING)

    assert (type(refused.value), refused.value.code) == (expected, code)
    assert Failing.asked == ["RotateKeyOnDemand"]


def test_other_calls_are_repeated_as_the_client_is_told(failing):
    with pytest.raises(TemporaryError):
        KmsKeys(failing, ACCOUNT, REGION).describe(MISSING)

    assert Failing.asked == ["DescribeKey", "DescribeKey"]


def stubbed(aws):
    client = aws.client("kms")
    return client, Stubber(client)


def page_of(arn):
    return {"Keys": [{"KeyId": arn.key_id, "KeyArn": str(arn)}], "Truncated": False}


def document(action):
    statement = {"Effect": "Allow", "Action": action, "Resource": "*"}
    return {"Version": "2012-10-17", "Statement": [statement]}
