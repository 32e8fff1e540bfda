"""Atlas' calls to KMS, made as the project's principal, and what Atlas makes of KMS' refusals."""

from enum import StrEnum
from secrets import token_bytes
from typing import Protocol

from sandbox.atlas.model import Cmk

Answer = dict[str, object]


class Kms(Protocol):
    """KMS as somebody calls it; blobs are bytes; a refusal is an exception with a `code`."""

    def __call__(self, operation: str, body: Answer, *, principal_arn: str, region: str) -> Answer:
        """Do one operation."""
        ...


class Trouble(StrEnum):
    """Why a key cannot be used."""

    NOT_FOUND = "KMS knows no such key"
    DISABLED = "the key is not enabled"
    PENDING_DELETION = "the key is pending deletion"
    PENDING_IMPORT = "the key's material is not imported"
    NO_PERMISSION = "the principal may not use the key"
    NO_ROLE = "the role cannot be assumed"
    BROKEN = "KMS gave other bytes than went in"


class KeyTrouble(Exception):
    """A key that cannot be used; `trouble` says why."""

    def __init__(self, trouble: Trouble, cmk: Cmk) -> None:
        super().__init__(f"{cmk.arn} as {cmk.principal}: {trouble.value}")
        self.trouble = trouble


_REFUSALS = {
    "NotFoundException": Trouble.NOT_FOUND,
    "DisabledException": Trouble.DISABLED,
    "KMSInvalidStateException": Trouble.PENDING_DELETION,
    "KeyUnavailableException": Trouble.DISABLED,
    "NoSuchEntity": Trouble.NO_ROLE,
    "InvalidClientTokenId": Trouble.NO_ROLE,
    "UnrecognizedClientException": Trouble.NO_ROLE,
}

_STATES = {
    "Disabled": Trouble.DISABLED,
    "PendingDeletion": Trouble.PENDING_DELETION,
    "PendingReplicaDeletion": Trouble.PENDING_DELETION,
    "PendingImport": Trouble.PENDING_IMPORT,
}


class Keys:
    """The customers' keys, as Atlas reaches them."""

    def __init__(self, kms: Kms) -> None:
        self._kms = kms

    def probe(self, cmk: Cmk) -> None:
        """Describe the key, encrypt and decrypt with it; raises KeyTrouble unless all of it works."""
        self.wrap_checked(cmk, token_bytes(16))

    def wrap_checked(self, cmk: Cmk, plaintext: bytes) -> bytes:
        """Probe the key with `plaintext` itself, and give the ciphertext that decrypts to it."""
        metadata = self._call("DescribeKey", cmk).get("KeyMetadata")
        state = metadata.get("KeyState") if isinstance(metadata, dict) else None
        if state != "Enabled":
            raise KeyTrouble(_STATES.get(str(state), Trouble.DISABLED), cmk)
        blob = self.wrap(cmk, plaintext)
        if self.unwrap(cmk, blob) != plaintext:
            raise KeyTrouble(Trouble.BROKEN, cmk)
        return blob

    def wrap(self, cmk: Cmk, plaintext: bytes) -> bytes:
        """Encrypt a key under the CMK."""
        return _bytes(self._call("Encrypt", cmk, Plaintext=plaintext)["CiphertextBlob"])

    def unwrap(self, cmk: Cmk, blob: bytes) -> bytes:
        """Decrypt a key with the CMK."""
        return _bytes(self._call("Decrypt", cmk, CiphertextBlob=blob)["Plaintext"])

    def _call(self, operation: str, cmk: Cmk, **more: object) -> Answer:
        body: Answer = {"KeyId": str(cmk.arn), **more}
        try:
            return self._kms(operation, body, principal_arn=cmk.principal, region=cmk.arn.region)
        except Exception as refused:
            # Any KMS may stand behind this call, each with its own class of error; the code is what they share.
            code = getattr(refused, "code", None)
            if not isinstance(code, str):
                raise
            raise KeyTrouble(_REFUSALS.get(code, Trouble.NO_PERMISSION), cmk) from refused


def _bytes(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError(f"KMS gives keys as bytes, not as {type(value).__name__}")
    return value
