"""Cryptographic operations: encrypt, decrypt, re-encrypt, data keys, and when a key was last used."""

import os
from collections.abc import Mapping

from sandbox.kms_calls import Answer, Call, Needs, Operation
from sandbox.kms_errors import (
    KmsError,
    bad_ciphertext,
    ciphertext_out_of_sight,
    incorrect_key,
    invalid,
    unsupported,
)
from sandbox.kms_keys import SYMMETRIC, Key, Material, Usage
from sandbox.kms_names import key_named, key_or_alias_named, locate
from sandbox.kms_sealing import identity_in, open_sealed, seal

_DATA_KEY_BYTES = {"AES_256": 32, "AES_128": 16}
_HASH_BYTES = {"RSAES_OAEP_SHA_1": 20, "RSAES_OAEP_SHA_256": 32}


def encrypt(call: Call) -> Answer:
    """Encrypt up to 4096 bytes."""
    plaintext = bytes(call.given("Plaintext", b""))
    _check_algorithm(call.key, call.given("EncryptionAlgorithm", SYMMETRIC), len(plaintext))
    call.stop_a_dry_run()
    blob = seal(call.key.family.current, plaintext, call.given("EncryptionContext", {}))
    _mark(call, call.key)
    return {"CiphertextBlob": blob, "KeyId": call.key.name, "EncryptionAlgorithm": SYMMETRIC}


def decrypt(call: Call) -> Answer:
    """Decrypt what any generation of the key encrypted."""
    _check_algorithm(call.key, call.given("EncryptionAlgorithm", SYMMETRIC), 0)
    plaintext, material = _open(call, call.key, call.given("EncryptionContext", {}))
    call.stop_a_dry_run()
    _mark(call, call.key)
    return {
        "KeyId": call.key.name,
        "Plaintext": plaintext,
        "EncryptionAlgorithm": SYMMETRIC,
        "KeyMaterialId": material.material_id,
    }


def re_encrypt(call: Call) -> Answer:
    """ReEncrypt: the plaintext is not shown; both keys are asked, each for its half."""
    source = call.let_in(_sealing_key(call, "SourceKeyId"), needs=Needs.USABLE, action="ReEncryptFrom")
    target = locate(call, call.given("DestinationKeyId", ""), aliases=True)
    call.let_in(target, needs=Needs.USABLE, action="ReEncryptTo")
    for key, name in ((source, "SourceEncryptionAlgorithm"), (target, "DestinationEncryptionAlgorithm")):
        _check_algorithm(key, call.given(name, SYMMETRIC), 0)
    plaintext, old = _open(call, source, call.given("SourceEncryptionContext", {}))
    call.stop_a_dry_run()
    blob = seal(target.family.current, plaintext, call.given("DestinationEncryptionContext", {}))
    _mark(call, source)
    _mark(call, target)
    return _re_encrypted(blob, source, old, target)


def _re_encrypted(blob: bytes, source: Key, old: Material, target: Key) -> Answer:
    return {
        "CiphertextBlob": blob,
        "SourceKeyId": source.name,
        "KeyId": target.name,
        "SourceEncryptionAlgorithm": SYMMETRIC,
        "DestinationEncryptionAlgorithm": SYMMETRIC,
        "SourceKeyMaterialId": old.material_id,
        "DestinationKeyMaterialId": target.family.current.material_id,
    }


def generate_data_key(call: Call) -> Answer:
    """GenerateDataKey: random bytes, plain and encrypted."""
    plaintext, answer = _new_data_key(call)
    return answer | {"Plaintext": plaintext}


def generate_data_key_without_plaintext(call: Call) -> Answer:
    """GenerateDataKeyWithoutPlaintext: only the encrypted bytes."""
    return _new_data_key(call)[1]


def _new_data_key(call: Call) -> tuple[bytes, Answer]:
    spec, count = call.given("KeySpec", ""), call.given("NumberOfBytes", 0)
    if bool(spec) == bool(count):
        raise invalid("Please specify either number of bytes or key spec.")
    _check_algorithm(call.key, SYMMETRIC, 0)
    call.stop_a_dry_run()
    plaintext = os.urandom(count or _DATA_KEY_BYTES[spec])
    material = call.key.family.current
    blob = seal(material, plaintext, call.given("EncryptionContext", {}))
    _mark(call, call.key)
    answer: Answer = {"CiphertextBlob": blob, "KeyId": call.key.name, "KeyMaterialId": material.material_id}
    return plaintext, answer


def generate_random(call: Call) -> Answer:
    """GenerateRandom: bytes that belong to no key."""
    call.gate.check_account(call, "kms:GenerateRandom", "*")
    return {"Plaintext": os.urandom(call.given("NumberOfBytes", 1))}


def last_usage(call: Call) -> Answer:
    """GetKeyLastUsage: successful cryptographic operations only, tracked since the key was made."""
    key = call.key
    answer: Answer = {
        "KeyId": key.name,
        "KeyCreationDate": key.created_at,
        "TrackingStartDate": key.created_at,
    }
    if key.last_usage is None:
        return answer
    used = {
        "Operation": key.last_usage.operation,
        "Timestamp": key.last_usage.at,
        "CloudTrailEventId": key.last_usage.event_id,
        "KmsRequestId": key.last_usage.request_id,
    }
    return answer | {"KeyLastUsage": used}


def _key_of_ciphertext(call: Call) -> Key:
    return _sealing_key(call, "KeyId")


def _sealing_key(call: Call, parameter: str) -> Key:
    if call.given("CiphertextBlob", b"") == b"":
        raise invalid("CiphertextBlob is missing")
    named = call.given(parameter, "")
    if named:
        return locate(call, named, aliases=True)
    identity = identity_in(bytes(call.given("CiphertextBlob", b"")))
    family = call.vault.family_of(identity)
    if family is None and not call.vault.was_destroyed(identity):
        raise bad_ciphertext()
    key = None if family is None else family.members.get(call.region)
    if key is None:
        raise ciphertext_out_of_sight(call.caller.arn, f"kms:{call.operation}")
    return key


def _open(call: Call, key: Key, context: Mapping[str, str]) -> tuple[bytes, Material]:
    blob = bytes(call.given("CiphertextBlob", b""))
    identity = identity_in(blob)
    family = call.vault.family_of(identity)
    if family is not key.family and (family is not None or call.vault.was_destroyed(identity)):
        raise incorrect_key()
    return open_sealed(key.family, blob, context)


def _check_algorithm(key: Key, algorithm: str, size: int) -> None:
    if key.usage != "ENCRYPT_DECRYPT":
        text = f"{key.name} key usage is {key.usage} which is not valid for this operation."
        raise KmsError("InvalidKeyUsageException", text)
    if (key.spec == SYMMETRIC) != (algorithm == SYMMETRIC):
        text = f"Algorithm {algorithm} is not compatible with key spec {key.spec}."
        raise KmsError("InvalidKeyUsageException", text)
    if key.spec != SYMMETRIC:
        _check_rsa_size(key.spec, algorithm, size)
        raise unsupported("Asymmetric cryptography is not in the sandbox.")


def _check_rsa_size(spec: str, algorithm: str, size: int) -> None:
    # OAEP leaves the modulus less two hashes and two bytes (RFC 8017, section 7.1.1).
    most = int(spec.removeprefix("RSA_")) // 8 - 2 * _HASH_BYTES[algorithm] - 2
    if size > most:
        raise invalid(f"Algorithm {algorithm} and key spec {spec} cannot encrypt data larger than {most} bytes.")


def _mark(call: Call, key: Key) -> None:
    key.last_usage = Usage(operation=call.operation, at=call.now, event_id=call.event_id, request_id=call.request_id)


OPERATIONS = {
    "Encrypt": Operation(run=encrypt, find=key_or_alias_named, needs=Needs.USABLE, abroad=True),
    "Decrypt": Operation(run=decrypt, find=_key_of_ciphertext, needs=Needs.USABLE, abroad=True),
    "ReEncrypt": Operation(run=re_encrypt, find=None),
    "GenerateDataKey": Operation(run=generate_data_key, find=key_or_alias_named, needs=Needs.USABLE, abroad=True),
    "GenerateDataKeyWithoutPlaintext": Operation(
        run=generate_data_key_without_plaintext, find=key_or_alias_named, needs=Needs.USABLE, abroad=True
    ),
    "GenerateRandom": Operation(run=generate_random, find=None),
    "GetKeyLastUsage": Operation(run=last_usage, find=key_named),
}
