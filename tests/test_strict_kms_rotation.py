"""The strict KMS rotates key material when AWS would, and replicas share it; old ciphertexts stay readable."""

from datetime import timedelta

import pytest
from strict_kms_world import (
    FOREIGNER,
    REGION,
    START,
    STRANGER,
    World,
)


@pytest.fixture
def world():
    return World()


# ---- rotation ----


def test_old_ciphertexts_still_decrypt_after_every_kind_of_rotation(world):
    key = world.new_key()
    blobs = [world.do("Encrypt", KeyId=key, Plaintext=b"0")["CiphertextBlob"]]
    world.do("EnableKeyRotation", KeyId=key, RotationPeriodInDays=90)
    for number in (b"1", b"2"):
        world.days_pass(90)
        blobs.append(world.do("Encrypt", KeyId=key, Plaintext=number)["CiphertextBlob"])
    world.do("RotateKeyOnDemand", KeyId=key)
    world.days_pass(1)
    blobs.append(world.do("Encrypt", KeyId=key, Plaintext=b"3")["CiphertextBlob"])

    opened = [world.do("Decrypt", CiphertextBlob=blob) for blob in blobs]

    assert [one["Plaintext"] for one in opened] == [b"0", b"1", b"2", b"3"]
    assert len({one["KeyMaterialId"] for one in opened}) == 4


def test_rotation_happens_on_its_dates_even_when_nobody_looks(world):
    key = world.new_key()
    world.do("EnableKeyRotation", KeyId=key)
    world.days_pass(365 * 2 + 1)

    listed = world.do("ListKeyRotations", KeyId=key)["Rotations"]

    assert [one["RotationDate"] for one in listed] == [START + timedelta(days=365 * n) for n in (1, 2)]
    assert {one["RotationType"] for one in listed} == {"AUTOMATIC"}
    status = world.do("GetKeyRotationStatus", KeyId=key)
    assert status["NextRotationDate"] == START + timedelta(days=365 * 3)
    assert status["RotationPeriodInDays"] == 365


def test_rotation_that_is_off_does_not_happen(world):
    key = world.new_key()
    world.do("EnableKeyRotation", KeyId=key, RotationPeriodInDays=90)
    world.do("DisableKeyRotation", KeyId=key)
    world.days_pass(1000)

    assert world.do("ListKeyRotations", KeyId=key)["Rotations"] == []
    assert world.do("GetKeyRotationStatus", KeyId=key) == {"KeyId": key, "KeyRotationEnabled": False}


@pytest.mark.parametrize("days", [89, 2561])
def test_a_period_outside_90_to_2560_days_is_refused(world, days):
    key = world.new_key()

    code, _ = world.refusal("EnableKeyRotation", KeyId=key, RotationPeriodInDays=days)

    assert code == "ValidationException"


def test_a_disabled_key_rotates_once_it_is_enabled_again(world):
    key = world.new_key()
    world.do("EnableKeyRotation", KeyId=key, RotationPeriodInDays=90)
    world.do("DisableKey", KeyId=key)
    world.days_pass(300)
    before = world.do("ListKeyRotations", KeyId=key)["Rotations"]

    world.do("EnableKey", KeyId=key)

    assert before == []
    listed = world.do("ListKeyRotations", KeyId=key)["Rotations"]
    assert [one["RotationDate"] for one in listed] == [START + timedelta(days=300)]
    next_one = world.do("GetKeyRotationStatus", KeyId=key)["NextRotationDate"]
    assert next_one == START + timedelta(days=390)


def test_on_demand_rotations_end_at_twenty_five(world):
    key = world.new_key()
    for _ in range(25):
        assert world.do("RotateKeyOnDemand", KeyId=key) == {"KeyId": key}
        world.days_pass(1)

    code, message = world.refusal("RotateKeyOnDemand", KeyId=key)

    assert code == "LimitExceededException"
    assert message.startswith("The on-demand rotations limit has been reached for the given keyId.")
    listed = world.do("ListKeyRotations", KeyId=key)["Rotations"]
    assert [one["RotationType"] for one in listed] == ["ON_DEMAND"] * 25


def test_a_rotation_on_demand_runs_until_its_material_is_there(world):
    key = world.new_key()
    old = world.do("DescribeKey", KeyId=key)["KeyMetadata"]["CurrentKeyMaterialId"]
    world.do("RotateKeyOnDemand", KeyId=key)

    status = world.do("GetKeyRotationStatus", KeyId=key)
    running = world.do("DescribeKey", KeyId=key)["KeyMetadata"]["CurrentKeyMaterialId"]
    listed = world.do("ListKeyRotations", KeyId=key)["Rotations"]
    world.clock.advance_to(START + timedelta(minutes=2))

    assert status == {"KeyId": key, "KeyRotationEnabled": False, "OnDemandRotationStartDate": START}
    assert (running, listed) == (old, [])
    assert "OnDemandRotationStartDate" not in world.do("GetKeyRotationStatus", KeyId=key)
    (done,) = world.do("ListKeyRotations", KeyId=key)["Rotations"]
    assert (done["RotationDate"], done["RotationType"]) == (START + timedelta(minutes=2), "ON_DEMAND")
    assert done["KeyMaterialId"] == world.do("DescribeKey", KeyId=key)["KeyMetadata"]["CurrentKeyMaterialId"] != old


def test_a_rotation_is_not_started_while_one_runs_or_an_automatic_one_is_near(world):
    key = world.new_key()
    world.do("EnableKeyRotation", KeyId=key, RotationPeriodInDays=90)
    world.do("RotateKeyOnDemand", KeyId=key)
    while_one_runs, _ = world.refusal("RotateKeyOnDemand", KeyId=key)
    world.clock.advance_to(START + timedelta(days=90) - timedelta(minutes=20))

    assert while_one_runs == "ConflictException"
    assert world.refusal("RotateKeyOnDemand", KeyId=key)[0] == "ConflictException"


def test_rotations_of_both_kinds_are_listed_in_the_order_in_which_they_happened(world):
    key = world.new_key()
    world.do("EnableKeyRotation", KeyId=key, RotationPeriodInDays=90)
    world.days_pass(89)
    world.do("RotateKeyOnDemand", KeyId=key)
    world.days_pass(200)

    kinds = [one["RotationType"] for one in world.do("ListKeyRotations", KeyId=key)["Rotations"]]

    assert kinds == ["ON_DEMAND", "AUTOMATIC", "AUTOMATIC", "AUTOMATIC"]
    next_one = world.do("GetKeyRotationStatus", KeyId=key)["NextRotationDate"]
    assert next_one == START + timedelta(days=360)


def test_a_rotation_on_demand_waits_while_its_key_is_disabled(world):
    key = world.new_key()
    world.do("RotateKeyOnDemand", KeyId=key)
    world.do("DisableKey", KeyId=key)
    world.days_pass(5)
    while_disabled = world.do("ListKeyRotations", KeyId=key)["Rotations"]

    world.do("EnableKey", KeyId=key)

    assert while_disabled == []
    (done,) = world.do("ListKeyRotations", KeyId=key)["Rotations"]
    assert done["RotationDate"] == START + timedelta(days=5)


def test_rotations_come_in_pages(world):
    key = world.new_key()
    for _ in range(3):
        world.do("RotateKeyOnDemand", KeyId=key)
        world.days_pass(1)

    first = world.do("ListKeyRotations", KeyId=key, Limit=2)
    second = world.do("ListKeyRotations", KeyId=key, Limit=2, Marker=first["NextMarker"])

    assert (len(first["Rotations"]), first["Truncated"]) == (2, True)
    assert (len(second["Rotations"]), second["Truncated"]) == (1, False)


def test_only_those_whom_a_policy_lets_rotate_a_key(world):
    key = world.new_key()

    assert world.refusal("RotateKeyOnDemand", STRANGER, KeyId=key)[0] == "AccessDeniedException"
    assert world.refusal("RotateKeyOnDemand", FOREIGNER, KeyId=key)[0] == "AccessDeniedException"


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        (
            {"Origin": "AWS_CLOUDHSM", "CustomKeyStoreId": "cks-1"},
            {"CustomKeyStoreId": "cks-1", "CloudHsmClusterId": "cluster-sandbox"},
        ),
        (
            {"Origin": "EXTERNAL_KEY_STORE", "CustomKeyStoreId": "cks-2", "XksKeyId": "x1"},
            {"CustomKeyStoreId": "cks-2", "XksKeyConfiguration": {"Id": "x1"}},
        ),
    ],
)
def test_a_key_in_a_custom_store_encrypts_but_is_not_rotated(world, asked, shown):
    key = world.new_key(**asked)
    blob = world.do("Encrypt", KeyId=key, Plaintext=b"x")["CiphertextBlob"]

    described = world.do("DescribeKey", KeyId=key)["KeyMetadata"]

    assert described["Origin"] == asked["Origin"]
    assert shown.items() <= described.items()
    assert "CurrentKeyMaterialId" not in described
    assert world.do("Decrypt", KeyId=key, CiphertextBlob=blob)["Plaintext"] == b"x"
    for operation in ("EnableKeyRotation", "RotateKeyOnDemand"):
        assert world.refusal(operation, KeyId=key)[0] == "UnsupportedOperationException"


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"Origin": "AWS_CLOUDHSM"}, "ValidationException"),
        ({"CustomKeyStoreId": "cks-1"}, "ValidationException"),
        ({"Origin": "EXTERNAL_KEY_STORE", "CustomKeyStoreId": "cks-2"}, "ValidationException"),
        ({"Origin": "AWS_CLOUDHSM", "CustomKeyStoreId": "cks-1", "XksKeyId": "x1"}, "ValidationException"),
        (
            {"Origin": "AWS_CLOUDHSM", "CustomKeyStoreId": "cks-1", "MultiRegion": True},
            "UnsupportedOperationException",
        ),
    ],
)
def test_a_custom_store_takes_single_region_keys_of_its_own_origin_only(world, asked, code):
    assert world.refusal("CreateKey", **asked)[0] == code


def test_keys_that_kms_cannot_rotate_say_so(world):
    key = world.new_key(KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")

    codes = {
        world.refusal(operation, KeyId=key)[0]
        for operation in ("EnableKeyRotation", "RotateKeyOnDemand", "ListKeyRotations")
    }

    assert codes == {"UnsupportedOperationException"}


# ---- multi-Region keys ----


def test_a_replica_decrypts_in_its_region_what_the_primary_encrypted(world):
    key = world.new_key(MultiRegion=True)
    replica = world.do("ReplicateKey", KeyId=key, ReplicaRegion="eu-west-1")["ReplicaKeyMetadata"]["Arn"]
    blob = world.do("Encrypt", KeyId=key, Plaintext=b"x")["CiphertextBlob"]

    answer = world.do("Decrypt", region="eu-west-1", CiphertextBlob=blob, KeyId=replica)

    assert (answer["Plaintext"], answer["KeyId"]) == (b"x", replica)
    assert replica == key.replace(REGION, "eu-west-1")


def test_a_single_region_ciphertext_means_nothing_elsewhere(world):
    blob = world.do("Encrypt", KeyId=world.new_key(), Plaintext=b"x")["CiphertextBlob"]

    assert world.refusal("Decrypt", region="eu-west-1", CiphertextBlob=blob)[0] == "AccessDeniedException"


def test_a_primary_waits_for_its_replicas_before_its_days_are_counted(world):
    key = world.new_key(MultiRegion=True)
    replica = world.do("ReplicateKey", KeyId=key, ReplicaRegion="eu-west-1")["ReplicaKeyMetadata"]["Arn"]

    waiting = world.do("ScheduleKeyDeletion", KeyId=key, PendingWindowInDays=7)
    world.days_pass(100)
    world.do("ScheduleKeyDeletion", region="eu-west-1", KeyId=replica, PendingWindowInDays=7)
    world.days_pass(7)

    assert waiting["KeyState"] == "PendingReplicaDeletion"
    assert "DeletionDate" not in waiting
    described = world.do("DescribeKey", KeyId=key)["KeyMetadata"]
    assert described["KeyState"] == "PendingDeletion"
    assert described["DeletionDate"] == START + timedelta(days=114)
    world.days_pass(7)
    assert world.refusal("DescribeKey", KeyId=key)[0] == "NotFoundException"


def test_only_the_primary_is_rotated_and_replicated(world):
    key = world.new_key(MultiRegion=True)
    replica = world.do("ReplicateKey", KeyId=key, ReplicaRegion="eu-west-1")["ReplicaKeyMetadata"]["Arn"]

    for operation in ("EnableKeyRotation", "RotateKeyOnDemand"):
        assert world.refusal(operation, region="eu-west-1", KeyId=replica)[0] == "UnsupportedOperationException"
    assert world.refusal("ReplicateKey", KeyId=key, ReplicaRegion="eu-west-1")[0] == "AlreadyExistsException"


def test_a_rotation_of_the_primary_is_one_of_its_replicas(world):
    key = world.new_key(MultiRegion=True)
    replica = world.do("ReplicateKey", KeyId=key, ReplicaRegion="eu-west-1")["ReplicaKeyMetadata"]["Arn"]
    old = world.do("Encrypt", region="eu-west-1", KeyId=replica, Plaintext=b"x")["CiphertextBlob"]
    world.do("RotateKeyOnDemand", KeyId=key)
    world.days_pass(1)

    shown = [
        world.do("DescribeKey", region=region, KeyId=name)["KeyMetadata"]["CurrentKeyMaterialId"]
        for region, name in ((REGION, key), ("eu-west-1", replica))
    ]

    assert shown[0] == shown[1]
    assert world.do("Decrypt", region="eu-west-1", KeyId=replica, CiphertextBlob=old)["Plaintext"] == b"x"
