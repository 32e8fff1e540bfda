"""Operations on the life of a key: enable, disable, schedule its deletion, call that off."""

from datetime import timedelta

from sandbox.kms_calls import Answer, Call, Needs, Operation
from sandbox.kms_errors import invalid, wrong_state
from sandbox.kms_keys import State
from sandbox.kms_names import key_named

_SHORTEST, _LONGEST, _USUAL = 7, 30, 30


def enable(call: Call) -> Answer:
    """EnableKey: a rotation that fell due meanwhile happens now."""
    key = call.key
    if key.state is State.PENDING_IMPORT:
        raise wrong_state(key.name, "pending import")
    key.state = State.ENABLED
    if key.family.primary is key:
        call.vault.catch_up(key.family, call.now)
    return {}


def disable(call: Call) -> Answer:
    """DisableKey: everything the key encrypted becomes unreadable until it is enabled again."""
    if call.key.state is State.PENDING_IMPORT:
        raise wrong_state(call.key.name, "pending import")
    call.key.state = State.DISABLED
    return {}


def schedule_deletion(call: Call) -> Answer:
    """ScheduleKeyDeletion: a primary with replicas waits for those before its days are counted."""
    key, days = call.key, call.given("PendingWindowInDays", _USUAL)
    if not _SHORTEST <= days <= _LONGEST:
        raise invalid(f"PendingWindowInDays must be between {_SHORTEST} and {_LONGEST} (inclusive)")
    key.window_days = days
    answer: Answer = {"KeyId": key.name, "PendingWindowInDays": days}
    if key.family.primary is key and len(key.family.members) > 1:
        key.state = State.PENDING_REPLICA_DELETION
    else:
        key.state = State.PENDING_DELETION
        answer["DeletionDate"] = key.deletion_date = call.now + timedelta(days=days)
    return answer | {"KeyState": key.state.value}


def cancel_deletion(call: Call) -> Answer:
    """CancelKeyDeletion: leaves the key disabled."""
    key = call.key
    if not key.state.pending_deletion:
        raise wrong_state(key.name, "not pending deletion")
    key.state = State.DISABLED
    key.deletion_date = key.window_days = None
    return {"KeyId": key.name}


OPERATIONS = {
    "EnableKey": Operation(run=enable, find=key_named, needs=Needs.KEPT),
    "DisableKey": Operation(run=disable, find=key_named, needs=Needs.KEPT),
    "ScheduleKeyDeletion": Operation(run=schedule_deletion, find=key_named, needs=Needs.KEPT),
    "CancelKeyDeletion": Operation(run=cancel_deletion, find=key_named),
}
