"""Ciphertexts: AES-256-GCM under one generation of a key's material, which the blob names.

A blob is a version byte, the identity of the material (32 bytes), a nonce (12 bytes) and the sealed text.
"""

import json
import os
from collections.abc import Mapping

from cryptography.exceptions import InvalidTag

from sandbox.kms_errors import bad_ciphertext
from sandbox.kms_keys import Family, Material

_VERSION = b"\x01"
_IDENTITY_END = 1 + 32
_NONCE_END = _IDENTITY_END + 12


def seal(material: Material, plaintext: bytes, context: Mapping[str, str]) -> bytes:
    """Encrypt; only the same context opens it again."""
    nonce = os.urandom(_NONCE_END - _IDENTITY_END)
    head = _VERSION + material.identity
    return head + nonce + material.cipher.encrypt(nonce, plaintext, head + _canonical(context))


def identity_in(blob: bytes) -> bytes:
    """The identity of the material that a blob was sealed with; raises InvalidCiphertextException."""
    if len(blob) <= _NONCE_END or not blob.startswith(_VERSION):
        raise bad_ciphertext()
    return blob[1:_IDENTITY_END]


def open_sealed(family: Family, blob: bytes, context: Mapping[str, str]) -> tuple[bytes, Material]:
    """Decrypt with whichever generation sealed it, and say which that was."""
    identity = identity_in(blob)
    material = next((one for one in reversed(family.generations) if one.identity == identity), None)
    if material is None:
        raise bad_ciphertext()
    nonce, sealed = blob[_IDENTITY_END:_NONCE_END], blob[_NONCE_END:]
    try:
        plaintext = material.cipher.decrypt(nonce, sealed, blob[:_IDENTITY_END] + _canonical(context))
    except InvalidTag as error:
        raise bad_ciphertext() from error
    return plaintext, material


def _canonical(context: Mapping[str, str]) -> bytes:
    return json.dumps(context, sort_keys=True).encode() if context else b""
