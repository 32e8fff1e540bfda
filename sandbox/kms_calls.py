"""One call to the strict KMS: what it carries, and the rules that every operation is held to."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from random import getrandbits
from typing import Protocol, TypeVar
from uuid import UUID

from sandbox.kms_callers import Caller
from sandbox.kms_errors import KmsError, disabled, wrong_state
from sandbox.kms_keys import Key, Place, State, Vault

Answer = dict[str, object]
Value = TypeVar("Value")


def _new_id() -> str:
    """A UUID without asking the system for chance, which costs more than the call."""
    return str(UUID(int=getrandbits(128), version=4))


class Needs(StrEnum):
    """Which states of the key an operation can do with."""

    NOTHING = "any state"
    KEPT = "not pending deletion"
    USABLE = "enabled"


class Gate(Protocol):
    """Decides whether the caller may; raises the refusal otherwise."""

    def check_key(self, call: "Call", action: str, key: Key) -> None:
        """An action on a key: key policy, grants, then the caller's own policies."""
        ...

    def check_account(self, call: "Call", action: str, resource: str) -> None:
        """An action on the caller's account: the caller's own policies."""
        ...

    def check_not_locked_out(self, call: "Call", key: Key, policy: str) -> None:
        """A new key policy: well-formed, and the caller may replace it again."""
        ...


@dataclass(kw_only=True)
class Call:
    """One request with everything an operation needs to answer it."""

    operation: str
    body: Mapping[str, object]
    caller: Caller
    region: str
    now: datetime
    vault: Vault
    gate: Gate
    consistency_delay: timedelta
    rotation_takes: timedelta
    request_id: str = field(default_factory=_new_id)
    event_id: str = field(default_factory=_new_id)
    touched: list[Key] = field(default_factory=list)
    """The keys that the call was let in to."""

    @property
    def place(self) -> Place:
        """Where bare names live: the caller's account and the Region called."""
        return (self.caller.account, self.region)

    @property
    def key(self) -> Key:
        """The key that the call is about, once it was let in."""
        return self.touched[0]

    def given(self, name: str, default: Value) -> Value:
        """A parameter of a type that the service model has checked, or the default where none was given."""
        value = self.body.get(name)
        return default if value is None else value  # type: ignore[return-value] # checked by kms_shapes

    def let_in(self, key: Key, *, needs: Needs, action: str | None = None) -> Key:
        """Refuse, as AWS does in this order, those who may not and keys in the wrong state."""
        self.gate.check_key(self, f"kms:{action or self.operation}", key)
        check_state(key, needs)
        self.touched.append(key)
        return key

    def stop_a_dry_run(self) -> None:
        """Stop here where the caller only wanted to know whether it would work."""
        if self.given("DryRun", default=False):
            text = "The request would have succeeded, but the DryRun option is set."
            raise KmsError("DryRunOperationException", text)


@dataclass(frozen=True, kw_only=True)
class Operation:
    """How one operation of KMS behaves at the door, and what it then does.

    `find` gives the key it is about, None for operations about no single key or about several; `abroad`
    says whether it works on keys of other accounts.
    """

    run: Callable[[Call], Answer]
    find: Callable[[Call], Key] | None
    needs: Needs = Needs.NOTHING
    abroad: bool = False


def check_state(key: Key, needs: Needs) -> None:
    """Refuse an operation that the key's state does not allow."""
    if needs is Needs.NOTHING:
        return
    if key.state.pending_deletion:
        raise wrong_state(key.name, "pending deletion")
    if needs is Needs.USABLE and key.state is State.DISABLED:
        raise disabled(key.name)
    if needs is Needs.USABLE and key.state is State.PENDING_IMPORT:
        raise wrong_state(key.name, "pending import")
