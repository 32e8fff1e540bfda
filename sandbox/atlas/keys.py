"""Atlas' calls to KMS, made as the project's principal, and what Atlas makes of KMS' refusals."""

from dataclasses import replace
from enum import StrEnum
from hashlib import sha256
from secrets import token_bytes
from typing import Protocol

from sandbox.atlas.cmk import AccessKey, Cmk
from sandbox.atlas.snapshot import Sealed

Answer = dict[str, object]


class Kms(Protocol):
    """KMS as somebody calls it; blobs are bytes; a refusal is an exception with a `code`."""

    def __call__(self, operation: str, body: Answer, *, principal_arn: str, region: str) -> Answer:
        """Do one operation."""
        ...


class Users(Protocol):
    """KMS and STS as IAM users call them, signed with their credentials; refusals have a `code` here too."""

    def arn_of(self, access: AccessKey) -> str:
        """The user's ARN."""
        ...

    def call(self, operation: str, body: Answer, *, access: AccessKey, region: str) -> Answer:
        """Do one operation of KMS."""
        ...


class Trust(Protocol):
    """What IAM and STS say when Atlas asks for a session of a role."""

    def __call__(self, role_arn: str, *, external_id: str) -> bool:
        """Whether the role exists and lets Atlas assume it with this external id."""
        ...


def trusted_by_all(role_arn: str, *, external_id: str) -> bool:  # noqa: ARG001 - the protocol's
    """An AWS in which Atlas may assume every role that anybody names."""
    return True


class NoUsers:
    """An AWS in which nobody has credentials."""

    def arn_of(self, access: AccessKey) -> str:
        """Refuse."""
        raise BadCredentials(access)

    def call(self, operation: str, body: Answer, *, access: AccessKey, region: str) -> Answer:  # noqa: ARG002 - the protocol's
        """Refuse."""
        raise BadCredentials(access)


class BadCredentials(Exception):
    """Credentials that belong to nobody, or whose secret is another."""

    code = "InvalidClientTokenId"

    def __init__(self, access: AccessKey) -> None:
        super().__init__(f"{access.access_key_id} is nobody's")


class Trouble(StrEnum):
    """Why a key cannot be used."""

    NOT_FOUND = "KMS knows no such key"
    DISABLED = "the key is not enabled"
    PENDING_DELETION = "the key is pending deletion"
    PENDING_IMPORT = "the key's material is not imported"
    NO_PERMISSION = "the principal may not use the key"
    NO_ROLE = "the role cannot be assumed"
    BAD_CREDENTIALS = "the credentials are not valid"
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
    "InvalidClientTokenId": Trouble.BAD_CREDENTIALS,
    "UnrecognizedClientException": Trouble.BAD_CREDENTIALS,
    "SignatureDoesNotMatch": Trouble.BAD_CREDENTIALS,
    "InvalidSignatureException": Trouble.BAD_CREDENTIALS,
    "IncompleteSignature": Trouble.BAD_CREDENTIALS,
}

_STATES = {
    "Disabled": Trouble.DISABLED,
    "PendingDeletion": Trouble.PENDING_DELETION,
    "PendingReplicaDeletion": Trouble.PENDING_DELETION,
    "PendingImport": Trouble.PENDING_IMPORT,
}


_TRIAL = bytes(16)


class Keys:
    """The customers' keys, as Atlas reaches them."""

    def __init__(self, kms: Kms, users: Users, trust: Trust) -> None:
        self._kms = kms
        self._trust = trust
        self.users = users

    def probe(self, cmk: Cmk) -> None:
        """Describe the key, encrypt and decrypt with it; raises KeyTrouble unless all of it works."""
        metadata = self._call("DescribeKey", cmk).get("KeyMetadata")
        state = metadata.get("KeyState") if isinstance(metadata, dict) else None
        if state != "Enabled":
            raise KeyTrouble(_STATES.get(str(state), Trouble.DISABLED), cmk)
        plaintext = token_bytes(16)
        if self.unwrap(cmk, self.wrap(cmk, plaintext)) != plaintext:
            raise KeyTrouble(Trouble.BROKEN, cmk)

    def try_once(self, cmk: Cmk) -> None:
        """Only encrypt with the key: what can be done often. Raises KeyTrouble."""
        self.wrap(cmk, _TRIAL)

    def wrap(self, cmk: Cmk, plaintext: bytes) -> bytes:
        """Encrypt a key under the CMK."""
        return _bytes(self._call("Encrypt", cmk, Plaintext=plaintext)["CiphertextBlob"])

    def unwrap(self, cmk: Cmk, blob: bytes) -> bytes:
        """Decrypt a key with the CMK."""
        return _bytes(self._call("Decrypt", cmk, CiphertextBlob=blob)["Plaintext"])

    def seal(self, cmk: Cmk) -> Sealed:
        """Make a data key and have it encrypted; raises KeyTrouble."""
        data_key = token_bytes(32)
        return Sealed(cmk=cmk, blob=self.wrap(cmk, data_key), digest=sha256(data_key).hexdigest())

    def unseal(self, sealed: Sealed, present: Cmk | None) -> None:
        """Have a data key decrypted, as the principal of `present` where there is one; raises KeyTrouble."""
        cmk = sealed.cmk if present is None else _as_in(sealed.cmk, present)
        if sha256(self.unwrap(cmk, sealed.blob)).hexdigest() != sealed.digest:
            raise KeyTrouble(Trouble.BROKEN, sealed.cmk)

    def _call(self, operation: str, cmk: Cmk, **more: object) -> Answer:
        body: Answer = {"KeyId": str(cmk.arn), **more}
        if cmk.access is None and not self._trust(cmk.principal, external_id=cmk.external_id):
            raise KeyTrouble(Trouble.NO_ROLE, cmk)
        try:
            if cmk.access is not None:
                return self.users.call(operation, body, access=cmk.access, region=cmk.arn.region)
            return self._kms(operation, body, principal_arn=cmk.principal, region=cmk.arn.region)
        except Exception as refused:
            # Any KMS may stand behind this call, each with its own class of error; the code is what they share.
            code = getattr(refused, "code", None)
            if not isinstance(code, str):
                raise
            raise KeyTrouble(_REFUSALS.get(code, Trouble.NO_PERMISSION), cmk) from refused


def _as_in(cmk: Cmk, present: Cmk) -> Cmk:
    return replace(cmk, principal=present.principal, access=present.access, external_id=present.external_id)


def _bytes(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError(f"KMS gives keys as bytes, not as {type(value).__name__}")
    return value
