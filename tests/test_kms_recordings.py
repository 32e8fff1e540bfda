"""The strict KMS held against answers that were recorded from AWS KMS itself.

Each recording has a scenario that leads to the same answers, or a written reason why it has none. The
recorded answers use <> for what varies and the account 111111111111.
"""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from sandbox.clock import VirtualClock
from sandbox.strict_kms import Caller, KmsError, StrictKms

RECORDINGS = Path(__file__).parents[1].parent / "shared" / "aws" / "kms-recordings.json"
ACCOUNT, REGION, SECOND_REGION = "111111111111", "us-east-1", "eu-central-1"
MISSING = "11111111-2222-3333-4444-555555555555"
NEWER_THAN_SOME_RECORDINGS = {"KeyMaterialId", "SourceKeyMaterialId", "DestinationKeyMaterialId"}
"""Members of answers that the service model gained after the older recordings were made."""

pytestmark = pytest.mark.skipif(
    not RECORDINGS.exists(), reason="the recorded answers of AWS KMS are not beside this checkout"
)


class Kms:
    def __init__(self):
        root = Caller(f"arn:aws:iam::{ACCOUNT}:root", ACCOUNT)
        self._clock = VirtualClock(datetime(2026, 1, 1, tzinfo=UTC))
        kms = StrictKms(self._clock)
        self._call = lambda operation, region, body: kms.call(operation, body, caller=root, region=region)

    def do(self, operation, region=REGION, **body):
        return self._call(operation, region, body)

    def new(self, region=REGION, **body):
        return self.do("CreateKey", region, **body)["KeyMetadata"]

    def wait(self):
        """Until a rotation on demand is done; the recordings were made after such a wait."""
        self._clock.advance_to(self._clock.now() + timedelta(hours=1))

    def told(self, operation, region=REGION, **body):
        """What boto3 would show: the answer or the error, with the status."""
        try:
            answer, status = self.do(operation, region, **body), 200
        except KmsError as error:
            # boto3 lifts the text of an error only where the service model describes the error.
            lifted = error.message and error.code != "ValidationException"
            said = {"message": error.message} if lifted else {}
            answer, status = {"Error": {"Code": error.code, "Message": error.message}, **said}, error.status
        return {**answer, "ResponseMetadata": {"HTTPHeaders": {}, "HTTPStatusCode": status}}


def tags(**named):
    return [{"TagKey": name, "TagValue": value} for name, value in named.items()]


def create_key(kms):
    return {"describe-key": kms.new(Description="test key 123")}


def create_key_with_reserved_tag(prefix):
    return lambda kms: {
        "invalid-tag-key": kms.told("CreateKey", Tags=[{"TagKey": f"{prefix}key1", "TagValue": "value1"}])
    }


def create_key_with_tag_and_untag(kms):
    key = kms.new(Tags=tags(tag1="value1", tag2="value2"))["KeyId"]
    return tagged_then_untagged(kms, key)


def tag_existing_key_and_untag(kms):
    key = kms.new()["KeyId"]
    kms.do("TagResource", KeyId=key, Tags=tags(tag1="value1", tag2="value2"))
    return tagged_then_untagged(kms, key)


def tagged_then_untagged(kms, key):
    before = kms.do("ListResourceTags", KeyId=key)["Tags"]
    kms.do("UntagResource", KeyId=key, TagKeys=["tag1", "tag2"])
    after = kms.do("ListResourceTags", KeyId=key)["Tags"]
    return {"list-resource-tags": before, "list-resource-tags-after-all-untagged": after}


def tag_existing_key_with_reserved_tag(kms):
    key = kms.new()["KeyId"]
    refused = kms.told("TagResource", KeyId=key, Tags=[{"TagKey": "aws:key1", "TagValue": "value1"}])
    return {"invalid-tag-key": refused}


def untag_key_partially(kms):
    key = kms.new(Tags=tags(tag1="value1", tag2="value2", tag3="value3"))["KeyId"]
    before = kms.do("ListResourceTags", KeyId=key)["Tags"]
    kms.do("UntagResource", KeyId=key, TagKeys=["tag2"])
    after = kms.do("ListResourceTags", KeyId=key)["Tags"]
    return {"list-resource-tags": before, "list-resource-tags-after-partially-untagged": after}


def update_and_add_tags(kms):
    key = kms.new(Tags=tags(tag1="value1", tag2="value2", tag3="value3"))["KeyId"]
    before = kms.do("ListResourceTags", KeyId=key)["Tags"]
    kms.do("TagResource", KeyId=key, Tags=tags(tag2="updated_value2", tag4="value4", tag5="value5"))
    after = kms.do("ListResourceTags", KeyId=key)["Tags"]
    return {"list-resource-tags": before, "list-resource-tags-after-tags-updated": after}


def key_with_long_tag_value(kms):
    refused = kms.told("CreateKey", Tags=[{"TagKey": "tag1", "TagValue": "v" * 257}])
    return {"too-long-tag-value": refused}


def create_multi_region_key(kms):
    return {"create_multi_region_key": kms.new(MultiRegion=True, Description="test multi region key")}


def non_multi_region_key(kms):
    key = kms.new(MultiRegion=False, Description="test non multi region key")
    return {"non_multi_region_keys_should_not_have_multi_region_properties": key}


def describe_with_alias_arn(kms):
    key = kms.new(Description="test - description")
    kms.do("CreateAlias", AliasName="alias/test", TargetKeyId=key["KeyId"])
    alias = f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/test"
    return {"created-key": key, "describe-key": kms.told("DescribeKey", KeyId=alias)}


def too_long_for_rsa(spec, algorithm):
    def scenario(kms):
        key = kms.new(KeySpec=spec, KeyUsage="ENCRYPT_DECRYPT")["KeyId"]
        refused = kms.told("Encrypt", KeyId=key, Plaintext=b"x" * 500, EncryptionAlgorithm=algorithm)
        return {"generate-random-exc": refused}

    return scenario


def context_of_data_key(operation):
    def scenario(kms):
        key = kms.new()["KeyId"]
        context = {"context-key": "context-value"}
        blob = kms.do(operation, KeyId=key, KeySpec="AES_256", EncryptionContext=context)["CiphertextBlob"]
        refused = kms.told("Decrypt", KeyId=key, CiphertextBlob=blob)
        return {"decrypt-without-encryption-context": refused}

    return scenario


def generate_data_key(operation, name):
    def scenario(kms):
        key = kms.new()["KeyId"]
        return {name: kms.told(operation, KeyId=key, KeySpec="AES_256")}

    return scenario


def key_in_different_region(kms):
    key = kms.new(SECOND_REGION, Description="test key 123")
    here = [kms.told("DescribeKey", KeyId=name) for name in (key["KeyId"], key["Arn"])]
    there = [kms.told("DescribeKey", SECOND_REGION, KeyId=name) for name in (key["KeyId"], key["Arn"])]
    return {
        "describe-key-diff-region-with-id": here[0],
        "describe-key-diff-region-with-arn": here[1],
        "describe-key-same-specific-region-with-id": there[0],
        "describe-key-same-specific-region-with-arn": there[1],
    }


def invalid_uuid(kms):
    return {
        "describe-key-with-invalid-uuid": kms.told("DescribeKey", KeyId="fake-key-id"),
        "describe-key-with-invalid-uuid-2": kms.told("DescribeKey", KeyId="134f2428cec14b25a1ae9048164dba47"),
        "describe-key-with-invalid-uuid-mrk": kms.told("DescribeKey", KeyId="mrk-fake-key-id"),
    }


def parameters_for_import(kms):
    key = kms.new()["KeyId"]
    refused = kms.told(
        "GetParametersForImport",
        KeyId=key,
        WrappingAlgorithm="RSAES_OAEP_SHA_256",
        WrappingKeySpec="RSA_2048",
    )
    return {"get-import-parameters-error": refused}


def rotation_status_180(kms):
    key = kms.new()["KeyId"]
    kms.do("EnableKeyRotation", KeyId=key, RotationPeriodInDays=180)
    return {"match_response": kms.told("GetKeyRotationStatus", KeyId=key)}


def rotation_changes_material(kms):
    key = kms.new(Description="test-key")["KeyId"]
    before = kms.told("DescribeKey", KeyId=key)
    kms.do("RotateKeyOnDemand", KeyId=key)
    kms.wait()
    after = kms.told("DescribeKey", KeyId=key)
    material = {
        answer["KeyMetadata"]["CurrentKeyMaterialId"] for answer in (before, after)
    }  # the recording numbers them :1 and :2
    assert len(material) == 2
    return {"describe-key-before-rotation": before, "describe-key-after-rotation": after}


def bad_ciphertext_after_rotation(kms):
    key = kms.new()["KeyId"]
    blob = kms.do("Encrypt", KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    kms.do("RotateKeyOnDemand", KeyId=key)
    kms.wait()
    assert kms.do("Decrypt", KeyId=key, CiphertextBlob=blob)["Plaintext"] == b"x"
    return {"bad-ciphertext": kms.told("Decrypt", KeyId=key, CiphertextBlob=b"bad" + blob)}


def re_encrypt(kms):
    old, new = kms.new()["KeyId"], kms.new()["KeyId"]
    blob = kms.do("Encrypt", KeyId=old, Plaintext=b"x")["CiphertextBlob"]
    answer = kms.told("ReEncrypt", SourceKeyId=old, DestinationKeyId=new, CiphertextBlob=blob)
    return {"test_re_encrypt": answer}


def replicate(kms):
    key = kms.new(MultiRegion=True, Description="test replicated key")["KeyId"]
    missing = kms.told("DescribeKey", "ap-southeast-1", KeyId=key)
    made = kms.told("ReplicateKey", KeyId=key, ReplicaRegion="ap-southeast-1")
    made["ReplicaPolicy"] = json.loads(made["ReplicaPolicy"])
    return {
        "describe-key-from-different-region": missing,
        "replicate-key": made,
        "describe-key-from-region": kms.told("DescribeKey", KeyId=key),
        "describe-replicated-key": kms.told("DescribeKey", "ap-southeast-1", KeyId=key),
    }


def replicate_a_replica(kms):
    key = kms.new(MultiRegion=True)["KeyId"]
    kms.do("ReplicateKey", KeyId=key, ReplicaRegion=SECOND_REGION)
    refused = kms.told("ReplicateKey", SECOND_REGION, KeyId=key, ReplicaRegion="us-east-2")
    return {"fail-replicate-non-primary-key": refused}


def rotate_on_demand(kms):
    return {"rotate-on-demand-response": kms.told("RotateKeyOnDemand", KeyId=kms.new()["KeyId"])}


def rotate_without_material(kms):
    key = kms.new(Origin="EXTERNAL", Description="test-key")
    refused = kms.told("RotateKeyOnDemand", KeyId=key["KeyId"])
    return {"create-kms-external-key": key, "rotate-key-on-demand-error-response-RSA_4096": refused}


def rotate_without_new_material(kms):
    key = kms.new(Origin="EXTERNAL")["KeyId"]
    given = kms.do(
        "GetParametersForImport", KeyId=key, WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_2048"
    )
    oaep = padding.OAEP(mgf=padding.MGF1(algorithm=SHA256()), algorithm=SHA256(), label=None)
    kms.do(
        "ImportKeyMaterial",
        KeyId=key,
        ImportToken=given["ImportToken"],
        EncryptedKeyMaterial=load_der_public_key(given["PublicKey"]).encrypt(b"m" * 32, oaep),
        ExpirationModel="KEY_MATERIAL_DOES_NOT_EXPIRE",
    )
    return {"rotate-key-on-demand-invalid-state-error": kms.told("RotateKeyOnDemand", KeyId=key)}


def rotate_disabled(kms):
    key = kms.new()["KeyId"]
    kms.do("DisableKey", KeyId=key)
    return {"error-response": kms.told("RotateKeyOnDemand", KeyId=key)}


def rotate_missing(kms):
    return {"error-response": kms.told("RotateKeyOnDemand", KeyId=MISSING)}


def rotate_asymmetric(kms):
    key = kms.new(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyId"]
    return {"error-response": kms.told("RotateKeyOnDemand", KeyId=key)}


def rotate_and_look(*, automatic):
    def scenario(kms):
        key = kms.new()["KeyId"]
        if automatic:
            kms.do("EnableKeyRotation", KeyId=key)
        done = kms.told("RotateKeyOnDemand", KeyId=key)
        kms.wait()
        status = kms.told("GetKeyRotationStatus", KeyId=key)
        return {"rotate-on-demand-response": done, "rotation-status-response-after-rotation": status}

    return scenario


SCENARIOS = {
    "test_create_key": create_key,
    "test_create_key_with_invalid_tag_key[lowercase_prefix]": create_key_with_reserved_tag("aws:"),
    "test_create_key_with_invalid_tag_key[uppercase_prefix]": create_key_with_reserved_tag("AWS:"),
    "test_create_key_with_tag_and_untag": create_key_with_tag_and_untag,
    "test_create_multi_region_key": create_multi_region_key,
    "test_describe_with_alias_arn": describe_with_alias_arn,
    "test_encrypt_validate_plaintext_size_per_key_type[RSA_2048-RSAES_OAEP_SHA_1]": too_long_for_rsa(
        "RSA_2048", "RSAES_OAEP_SHA_1"
    ),
    "test_encrypt_validate_plaintext_size_per_key_type[RSA_2048-RSAES_OAEP_SHA_256]": too_long_for_rsa(
        "RSA_2048", "RSAES_OAEP_SHA_256"
    ),
    "test_encrypt_validate_plaintext_size_per_key_type[RSA_3072-RSAES_OAEP_SHA_256]": too_long_for_rsa(
        "RSA_3072", "RSAES_OAEP_SHA_256"
    ),
    "test_encrypt_validate_plaintext_size_per_key_type[RSA_4096-RSAES_OAEP_SHA_1]": too_long_for_rsa(
        "RSA_4096", "RSAES_OAEP_SHA_1"
    ),
    "test_encryption_context_generate_data_key": context_of_data_key("GenerateDataKey"),
    "test_encryption_context_generate_data_key_without_plaintext": context_of_data_key(
        "GenerateDataKeyWithoutPlaintext"
    ),
    "test_generate_data_key": generate_data_key("GenerateDataKey", "generate-data-key-result"),
    "test_generate_data_key_without_plaintext": generate_data_key(
        "GenerateDataKeyWithoutPlaintext", "generate-data-key-without-plaintext"
    ),
    "test_get_key_in_different_region": key_in_different_region,
    "test_get_key_invalid_uuid": invalid_uuid,
    "test_get_parameters_for_import_raises_for_non_external_kms_keys": parameters_for_import,
    "test_key_enable_rotation_status[180]": rotation_status_180,
    "test_key_rotation_updates_current_key_material_id_for_aws_symmetric_keys": rotation_changes_material,
    "test_key_rotations_encryption_decryption": bad_ciphertext_after_rotation,
    "test_key_with_long_tag_value_raises_error": key_with_long_tag_value,
    "test_non_multi_region_keys_should_not_have_multi_region_properties": non_multi_region_key,
    "test_re_encrypt[SYMMETRIC_DEFAULT-SYMMETRIC_DEFAULT]": re_encrypt,
    "test_replicate_key": replicate,
    "test_replicate_replica_key_should_fail": replicate_a_replica,
    "test_rotate_key_on_demand_modifies_key_material": rotate_on_demand,
    "test_rotate_key_on_demand_on_external_key_with_no_key_material[RSA_4096]": rotate_without_material,
    "test_rotate_key_on_demand_raises_error_given_key_is_disabled": rotate_disabled,
    "test_rotate_key_on_demand_raises_for_no_pending_key_material": rotate_without_new_material,
    "test_rotate_key_on_demand_raises_error_given_key_that_does_not_exist": rotate_missing,
    "test_rotate_key_on_demand_raises_error_given_non_symmetric_key": rotate_asymmetric,
    "test_rotate_key_on_demand_with_symmetric_key_and_automatic_rotation_disabled": rotate_and_look(automatic=False),
    "test_rotate_key_on_demand_with_symmetric_key_and_automatic_rotation_enabled": rotate_and_look(automatic=True),
    "test_tag_existing_key_and_untag": tag_existing_key_and_untag,
    "test_tag_existing_key_with_invalid_tag_key": tag_existing_key_with_reserved_tag,
    "test_untag_key_partially": untag_key_partially,
    "test_update_and_add_tags_on_tagged_key": update_and_add_tags,
}

NOT_REBUILT = {
    "test_re_encrypt[RSA_2048-RSAES_OAEP_SHA_256]": (
        "asymmetric cryptography is not in the sandbox: Atlas encrypts with symmetric keys only"
    ),
}


def recordings():
    if not RECORDINGS.exists():
        return {}
    return json.loads(RECORDINGS.read_text())["recordings"]


def differences(recorded, told, where=""):
    """Everything in which an answer differs from the recorded one."""
    if isinstance(recorded, dict):
        yield from _differences_in_dict(recorded, told, where)
    elif isinstance(recorded, list):
        if len(recorded) != len(told):
            yield f"{where}: {len(told)} entries instead of {len(recorded)}"
        for number, (one, other) in enumerate(zip(recorded, told, strict=False)):
            yield from differences(one, other, f"{where}[{number}]")
    elif not _same(recorded, told):
        yield f"{where}: {told!r} instead of {recorded!r}"


def _same(recorded, told):
    if recorded == "datetime":
        return isinstance(told, datetime)
    if recorded in {"ciphertext-blob", "plaintext"}:
        return isinstance(told, bytes) and bool(told)
    if isinstance(recorded, str) and isinstance(told, str):
        parts = re.split(r"(<[^>]+>)", recorded)
        pattern = "".join(".+" if part.startswith("<") else re.escape(part) for part in parts)
        return re.fullmatch(pattern, told) is not None
    return recorded == told


def _differences_in_dict(recorded, told, where):
    missing = recorded.keys() - told.keys()
    added = told.keys() - recorded.keys() - NEWER_THAN_SOME_RECORDINGS
    if missing or added:
        yield f"{where}: lacks {sorted(missing)}, adds {sorted(added)}"
    for name in recorded.keys() & told.keys():
        yield from differences(recorded[name], told[name], f"{where}.{name}")


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_the_strict_kms_answers_as_aws_did(name):
    recorded = recordings()[name]["recorded-content"]

    told = SCENARIOS[name](Kms())

    assert list(differences(recorded, told)) == []


def test_every_recording_has_a_scenario_or_a_reason():
    assert recordings().keys() == SCENARIOS.keys() | NOT_REBUILT.keys()
    assert not SCENARIOS.keys() & NOT_REBUILT.keys()


def test_the_comparison_sees_differences():
    recorded = {"KeyId": "<key-id:1>", "At": "datetime", "Tags": [1], "Text": "a <b> c"}

    found = list(differences(recorded, {"KeyId": "x", "At": "soon", "Tags": [], "Text": "a c", "More": 1}))

    assert len(found) == 4
