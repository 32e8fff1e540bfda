"""The strict KMS: it refuses what AWS refuses, in AWS' order and words, and keeps its promises over time.

It is a KMS of its own, not a filter before moto's: keys are real (AES-256-GCM, one material per
generation), and what a key's state, policy or age forbids does not work. Blobs are bytes and times are
aware datetimes here; the HTTP door translates. Operations that it does not know are refused.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from threading import RLock

from sandbox import kms_create, kms_cryptography, kms_grants, kms_import, kms_labels, kms_lives, kms_rotation
from sandbox.clock import VirtualClock
from sandbox.kms_callers import Caller, Identities, NoIdentities
from sandbox.kms_calls import Answer, Call, Operation
from sandbox.kms_errors import KmsError, denied, unsupported
from sandbox.kms_gate import PolicyGate
from sandbox.kms_keys import Vault
from sandbox.kms_shapes import validate
from sandbox.kms_trail import RECORDED, event_of

__all__ = ["Caller", "KmsError", "StrictKms"]

_OPERATIONS: Mapping[str, Operation] = {
    **kms_create.OPERATIONS,
    **kms_labels.OPERATIONS,
    **kms_lives.OPERATIONS,
    **kms_rotation.OPERATIONS,
    **kms_import.OPERATIONS,
    **kms_cryptography.OPERATIONS,
    **kms_grants.OPERATIONS,
}


_CHANGE_NOTHING = ("Decrypt", "Describe", "Encrypt", "Generate", "Get", "List", "ReEncrypt", "Sign", "Verify")


class StrictKms:
    """KMS in every account and Region, on a virtual clock; safe to share between threads.

    For `consistency_delay` after its creation only its creator's DescribeKey sees a key; a rotation on demand
    runs for `rotation_takes` (in AWS it may be hours). `on_api_call` is told, in the caller's thread and
    after the effect, of management calls that CloudTrail would record.
    """

    def __init__(
        self,
        clock: VirtualClock,
        *,
        identities: Identities | None = None,
        consistency_delay: timedelta = timedelta(0),
        rotation_takes: timedelta = timedelta(minutes=2),
        on_api_call: Callable[[Answer], None] | None = None,
    ) -> None:
        self._clock = clock
        self._gate = PolicyGate(identities or NoIdentities())
        self._vault = Vault()
        self._lock = RLock()
        self.consistency_delay = consistency_delay
        self.rotation_takes = rotation_takes
        self.on_api_call = on_api_call
        self.changes = 0
        """How many calls have changed anything: while it stays, keys work as they did."""

    def call(self, operation: str, body: Mapping[str, object], *, caller: Caller, region: str) -> Answer:
        """Do one operation as `caller`; raises KmsError with AWS' code and text."""
        known = _OPERATIONS.get(operation)
        if known is None:
            raise unsupported(f"{operation} is not in the sandbox.")
        with self._lock:
            call = self._new_call(operation, body, caller, region)
            answer = _answer(call, known)
            self.changes += not operation.startswith(_CHANGE_NOTHING)
            event = event_of(call, answer) if operation in RECORDED else None
        if event is not None and self.on_api_call is not None:
            self.on_api_call(event)
        return answer

    def _new_call(self, operation: str, body: Mapping[str, object], caller: Caller, region: str) -> Call:
        now = self._clock.now()
        self._vault.settle(now)
        return Call(
            operation=operation,
            body=body,
            caller=caller,
            region=region,
            now=now,
            vault=self._vault,
            gate=self._gate,
            consistency_delay=self.consistency_delay,
            rotation_takes=self.rotation_takes,
        )


def _answer(call: Call, operation: Operation) -> Answer:
    validate(call.operation, call.body)
    if operation.find is not None:
        key = operation.find(call)
        if key.arn.account != call.caller.account and not operation.abroad:
            action = f"kms:{call.operation}"
            why = f"because no resource-based policy allows the {action} action"
            raise denied(call.caller.arn, action, key.name, why)
        call.let_in(key, needs=operation.needs)
    return operation.run(call)
