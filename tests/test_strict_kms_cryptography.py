"""What the strict KMS seals is opened by the same key, context and region alone; imported material keeps its rules."""

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key
from strict_kms_world import START, STRANGER, World, allow, document


@pytest.fixture
def world():
    return World()


# ---- cryptography ----


def test_the_encryption_context_must_be_the_same(world):
    key = world.new_key()
    context = {"project": "p1", "cluster": "c1"}
    blob = world.do("Encrypt", KeyId=key, Plaintext=b"x", EncryptionContext=context)["CiphertextBlob"]

    turned = dict(reversed(context.items()))

    assert world.do("Decrypt", CiphertextBlob=blob, EncryptionContext=turned)["Plaintext"] == b"x"
    assert world.refusal("Decrypt", CiphertextBlob=blob) == ("InvalidCiphertextException", "")
    assert world.refusal("Decrypt", CiphertextBlob=blob, EncryptionContext={"project": "p2"})[1] == ""


def test_another_key_is_said_to_be_the_wrong_one(world):
    key, other = world.new_key(), world.new_key()
    blob = world.do("Encrypt", KeyId=key, Plaintext=b"x")["CiphertextBlob"]

    assert world.refusal("Decrypt", CiphertextBlob=blob, KeyId=other) == (
        "IncorrectKeyException",
        "The key ID in the request does not identify a CMK that can perform this operation.",
    )


@pytest.mark.parametrize("place", [0, 5, 40, -1])
def test_a_tampered_ciphertext_is_refused(world, place):
    key = world.new_key()
    blob = bytearray(world.do("Encrypt", KeyId=key, Plaintext=b"x")["CiphertextBlob"])
    blob[place] ^= 1

    assert world.refusal("Decrypt", CiphertextBlob=bytes(blob), KeyId=key)[0] == "InvalidCiphertextException"
    assert world.refusal("Decrypt", CiphertextBlob=bytes(blob))[0] == "InvalidCiphertextException"


def test_a_dry_run_does_everything_but_the_work(world):
    key = world.new_key()
    blob = world.do("Encrypt", KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    used = world.do("GetKeyLastUsage", KeyId=key)["KeyLastUsage"]

    refusals = {
        world.refusal("Encrypt", KeyId=key, Plaintext=b"x", DryRun=True),
        world.refusal("Decrypt", CiphertextBlob=blob, DryRun=True),
        world.refusal("GenerateDataKey", KeyId=key, KeySpec="AES_256", DryRun=True),
    }

    assert refusals == {("DryRunOperationException", "The request would have succeeded, but the DryRun option is set.")}
    assert world.do("GetKeyLastUsage", KeyId=key)["KeyLastUsage"] == used


def test_a_dry_run_tells_what_would_go_wrong(world):
    key = world.new_key()
    denied = world.refusal("Encrypt", STRANGER, KeyId=key, Plaintext=b"x", DryRun=True)[0]
    world.do("DisableKey", KeyId=key)

    off = world.refusal("Encrypt", KeyId=key, Plaintext=b"x", DryRun=True)[0]

    assert (denied, off) == ("AccessDeniedException", "DisabledException")


def test_data_keys_come_plain_and_sealed(world):
    key = world.new_key()

    pair = world.do("GenerateDataKey", KeyId=key, KeySpec="AES_256")
    sealed = world.do("GenerateDataKeyWithoutPlaintext", KeyId=key, NumberOfBytes=64)

    assert world.do("Decrypt", CiphertextBlob=pair["CiphertextBlob"])["Plaintext"] == pair["Plaintext"]
    assert len(world.do("Decrypt", CiphertextBlob=sealed["CiphertextBlob"])["Plaintext"]) == 64
    assert world.refusal("GenerateDataKey", KeyId=key)[0] == "ValidationException"


def test_re_encryption_moves_a_ciphertext_to_another_key(world):
    old, new = world.new_key(), world.new_key()
    blob = world.do("Encrypt", KeyId=old, Plaintext=b"x")["CiphertextBlob"]

    moved = world.do("ReEncrypt", CiphertextBlob=blob, DestinationKeyId=new)

    assert (moved["SourceKeyId"], moved["KeyId"]) == (old, new)
    assert world.do("Decrypt", CiphertextBlob=moved["CiphertextBlob"], KeyId=new)["Plaintext"] == b"x"


def test_re_encryption_asks_both_keys(world):
    old, new = world.new_key(), world.new_key()
    blob = world.do("Encrypt", KeyId=old, Plaintext=b"x")["CiphertextBlob"]
    world.iam.policies[STRANGER.arn] = (document(allow("kms:ReEncryptFrom", old)),)

    _, message = world.refusal("ReEncrypt", STRANGER, CiphertextBlob=blob, DestinationKeyId=new)

    assert "kms:ReEncryptTo" in message


def test_the_last_use_is_the_last_successful_cryptographic_one(world):
    key = world.new_key()
    assert "KeyLastUsage" not in world.do("GetKeyLastUsage", KeyId=key)
    world.days_pass(1)
    world.do("Encrypt", KeyId=key, Plaintext=b"x")
    world.days_pass(1)
    world.do("DisableKey", KeyId=key)
    world.refusal("Encrypt", KeyId=key, Plaintext=b"x")

    answer = world.do("GetKeyLastUsage", KeyId=key)

    assert answer["KeyLastUsage"]["Operation"] == "Encrypt"
    assert answer["KeyLastUsage"]["Timestamp"] == START + timedelta(days=1)
    assert answer["KeyCreationDate"] == START


def test_keys_of_other_kinds_exist_but_do_not_encrypt(world):
    signing = world.new_key(KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")

    assert world.refusal("Encrypt", KeyId=signing, Plaintext=b"x")[0] == "InvalidKeyUsageException"
    assert world.refusal("CreateKey", KeySpec="RSA_2048")[0] == "ValidationException"
    assert world.refusal("CreateKey", KeyUsage="SIGN_VERIFY")[0] == "ValidationException"


def test_a_key_without_material_waits_for_its_import(world):
    key = world.new_key(Origin="EXTERNAL")

    assert world.refusal("Encrypt", KeyId=key, Plaintext=b"x") == (
        "KMSInvalidStateException",
        f"{key} is pending import.",
    )
    assert world.refusal("EnableKey", KeyId=key)[0] == "KMSInvalidStateException"


# ---- imported material ----


OAEP = padding.OAEP(mgf=padding.MGF1(algorithm=SHA256()), algorithm=SHA256(), label=None)


def parameters(world, key):
    wrapped_by = {"WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"}
    given = world.do("GetParametersForImport", KeyId=key, **wrapped_by)
    return load_der_public_key(given["PublicKey"]), given["ImportToken"]


def ready_to_import(world, key, secret, **more):
    public, token = parameters(world, key)
    body = {"ImportToken": token, "EncryptedKeyMaterial": public.encrypt(secret, OAEP)}
    return {"KeyId": key, "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE", **body, **more}


def imported_key(world, secret=b"a" * 32):
    key = world.new_key(Origin="EXTERNAL")
    world.do("ImportKeyMaterial", **ready_to_import(world, key, secret))
    return key


def test_a_key_works_once_its_material_was_imported(world):
    key = imported_key(world)
    blob = world.do("Encrypt", KeyId=key, Plaintext=b"x")["CiphertextBlob"]

    shown = world.do("DescribeKey", KeyId=key)["KeyMetadata"]

    assert (shown["KeyState"], shown["Origin"]) == ("Enabled", "EXTERNAL")
    assert shown["ExpirationModel"] == "KEY_MATERIAL_DOES_NOT_EXPIRE"
    assert world.do("Decrypt", CiphertextBlob=blob)["Plaintext"] == b"x"


def test_imported_material_rotates_on_demand_only_and_only_to_new_material(world):
    key = imported_key(world)
    blob = world.do("Encrypt", KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    without = world.refusal("RotateKeyOnDemand", KeyId=key)
    new = ready_to_import(world, key, b"b" * 32, ImportType="NEW_KEY_MATERIAL")
    told = world.do("ImportKeyMaterial", **new)
    waiting = world.do("ListKeyRotations", KeyId=key, IncludeKeyMaterial="ALL_KEY_MATERIAL")["Rotations"]

    world.do("RotateKeyOnDemand", KeyId=key)
    world.days_pass(1)

    assert without[0] == "KMSInvalidStateException"
    assert world.refusal("EnableKeyRotation", KeyId=key)[0] == "UnsupportedOperationException"
    assert [one["KeyMaterialState"] for one in waiting] == ["CURRENT", "PENDING_ROTATION"]
    (done,) = world.do("ListKeyRotations", KeyId=key)["Rotations"]
    assert (done["RotationType"], done["KeyMaterialId"]) == ("ON_DEMAND", told["KeyMaterialId"])
    assert world.do("Decrypt", CiphertextBlob=blob)["Plaintext"] == b"x"


def test_the_same_material_may_be_imported_again_and_other_is_not_taken_for_it(world):
    key = imported_key(world, b"a" * 32)

    world.do("ImportKeyMaterial", **ready_to_import(world, key, b"a" * 32))

    other = ready_to_import(world, key, b"b" * 32)
    assert world.refusal("ImportKeyMaterial", **other)[0] == "IncorrectKeyMaterialException"


def test_one_new_material_waits_at_a_time(world):
    key = imported_key(world)
    world.do("ImportKeyMaterial", **ready_to_import(world, key, b"b" * 32, ImportType="NEW_KEY_MATERIAL"))

    third = ready_to_import(world, key, b"c" * 32, ImportType="NEW_KEY_MATERIAL")

    assert world.refusal("ImportKeyMaterial", **third)[0] == "KMSInvalidStateException"


@pytest.mark.parametrize(
    ("secret", "change", "code"),
    [
        (b"short", {}, "IncorrectKeyMaterialException"),
        (b"a" * 32, {"ImportToken": b"other"}, "InvalidImportTokenException"),
        (b"a" * 32, {"EncryptedKeyMaterial": b"not wrapped"}, "InvalidCiphertextException"),
        (b"a" * 32, {"ExpirationModel": "KEY_MATERIAL_EXPIRES"}, "UnsupportedOperationException"),
    ],
)
def test_material_that_does_not_fit_is_refused(world, secret, change, code):
    key = world.new_key(Origin="EXTERNAL")
    body = ready_to_import(world, key, secret) | change

    assert world.refusal("ImportKeyMaterial", **body)[0] == code
    assert world.state(key) == "PendingImport"


def test_an_import_token_lasts_a_day(world):
    key = world.new_key(Origin="EXTERNAL")
    body = ready_to_import(world, key, b"a" * 32)
    world.days_pass(1)

    assert world.refusal("ImportKeyMaterial", **body)[0] == "ExpiredImportTokenException"
