"""Operations that bring somebody's own key material: parameters to wrap it with, and the import itself.

Not here: material that expires, replicas of imported keys, and wrapping other than by RSA-OAEP.
"""

import hashlib
import os
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sandbox.kms_calls import Answer, Call, Needs, Operation
from sandbox.kms_errors import KmsError, bad_ciphertext, unsupported, wrong_state
from sandbox.kms_keys import SYMMETRIC, Key, Material, Origin, State
from sandbox.kms_names import key_named

_HASHES: dict[str, hashes.HashAlgorithm] = {
    "RSAES_OAEP_SHA_1": hashes.SHA1(),  # noqa: S303 - one of the wrappings that KMS offers
    "RSAES_OAEP_SHA_256": hashes.SHA256(),
}
_VALID = timedelta(hours=24)
_BYTES = 32


@dataclass(frozen=True, kw_only=True)
class _Wrapping:
    key_name: str
    private: rsa.RSAPrivateKey
    algorithm: str
    valid_to: datetime


def parameters_for_import(call: Call) -> Answer:
    """GetParametersForImport: a public key to wrap the material with, for a day, and the token that belongs to it."""
    _check_kind(call.key)
    algorithm, spec = call.given("WrappingAlgorithm", ""), call.given("WrappingKeySpec", "")
    if algorithm not in _HASHES or not spec.startswith("RSA_"):
        raise unsupported(f"Wrapping by {algorithm} with {spec} is not in the sandbox.")
    private = rsa.generate_private_key(public_exponent=65537, key_size=int(spec.removeprefix("RSA_")))
    wrapping = _Wrapping(key_name=call.key.name, private=private, algorithm=algorithm, valid_to=call.now + _VALID)
    token = os.urandom(64)
    call.vault.import_tokens[token] = wrapping
    return {
        "KeyId": call.key.name,
        "ImportToken": token,
        "PublicKey": private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "ParametersValidTo": wrapping.valid_to,
    }


def import_key_material(call: Call) -> Answer:
    """ImportKeyMaterial: the first makes the key usable, new material then waits for a rotation on demand."""
    key = call.key
    _check_kind(key)
    if call.given("ExpirationModel", "KEY_MATERIAL_EXPIRES") != "KEY_MATERIAL_DOES_NOT_EXPIRE":
        raise unsupported("Key material that expires is not in the sandbox.")
    material = _unwrapped(call)
    if not key.family.generations:
        call.vault.put(key.family, material)
        key.state = State.ENABLED
    elif call.given("ImportType", "EXISTING_KEY_MATERIAL") == "NEW_KEY_MATERIAL":
        _lay_ready(key, material)
    elif all(material.identity != known.identity for known in key.family.generations):
        text = "The key material is not the same as that imported before."
        raise KmsError("IncorrectKeyMaterialException", text)
    return {"KeyId": key.name, "KeyMaterialId": material.material_id}


def _check_kind(key: Key) -> None:
    if key.origin != "EXTERNAL":
        raise unsupported(f"{key.name} origin is {key.origin} which is not valid for this operation.")
    if key.spec != SYMMETRIC or key.multi_region:
        raise unsupported("Material is imported into single-Region symmetric keys only in the sandbox.")


def _lay_ready(key: Key, material: Material) -> None:
    if key.family.pending is not None:
        raise wrong_state(key.name, "pending rotation")
    key.family.pending = material


def _unwrapped(call: Call) -> Material:
    wrapping = call.vault.import_tokens.get(bytes(call.given("ImportToken", b"")))
    if not isinstance(wrapping, _Wrapping) or wrapping.key_name != call.key.name:
        raise KmsError("InvalidImportTokenException", "")
    if wrapping.valid_to <= call.now:
        raise KmsError("ExpiredImportTokenException", "")
    hashing = _HASHES[wrapping.algorithm]
    oaep = padding.OAEP(mgf=padding.MGF1(algorithm=hashing), algorithm=hashing, label=None)
    try:
        secret = wrapping.private.decrypt(bytes(call.given("EncryptedKeyMaterial", b"")), oaep)
    except ValueError as error:
        raise bad_ciphertext() from error
    if len(secret) != _BYTES:
        raise KmsError("IncorrectKeyMaterialException", f"Key material has {len(secret)} bytes instead of {_BYTES}.")
    identity = hashlib.sha256(call.key.name.encode() + secret).digest()
    return Material(origin=Origin.FIRST, created_at=call.now, identity=identity, cipher=AESGCM(secret))


OPERATIONS = {
    "GetParametersForImport": Operation(run=parameters_for_import, find=key_named, needs=Needs.KEPT),
    "ImportKeyMaterial": Operation(run=import_key_material, find=key_named, needs=Needs.KEPT),
}
