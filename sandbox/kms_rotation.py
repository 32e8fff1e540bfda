"""Operations on a key's own rotation: by the calendar, on demand, and the list of what happened."""

from datetime import datetime, timedelta

from sandbox.kms_calls import Answer, Call, Needs, Operation
from sandbox.kms_errors import KmsError, unsupported, wrong_state
from sandbox.kms_keys import Key, Material, Origin, State
from sandbox.kms_names import key_named
from sandbox.kms_pages import page

_USUAL_PERIOD = 365
_MOST_ON_DEMAND = 25
"""Per key and for life; AWS does not raise it."""


def enable_rotation(call: Call) -> Answer:
    """EnableKeyRotation: the first rotation comes one period from now."""
    family = _rotating(call.key).family
    period = call.given("RotationPeriodInDays", family.period_days or _USUAL_PERIOD)
    if period != family.period_days:
        family.period_days = period
        family.next_rotation = call.now + timedelta(days=period)
    return {}


def disable_rotation(call: Call) -> Answer:
    """DisableKeyRotation."""
    family = _rotating(call.key).family
    family.period_days = family.next_rotation = None
    return {}


def rotation_status(call: Call) -> Answer:
    """GetKeyRotationStatus: a key pending deletion counts as not rotating."""
    key = call.key
    answer: Answer = {"KeyId": key.name, "KeyRotationEnabled": False}
    if not key.rotates:
        return answer
    family = key.family
    if family.period_days is None or key.state.pending_deletion:
        return answer
    rotating: Answer = {
        "KeyRotationEnabled": True,
        "RotationPeriodInDays": family.period_days,
        "NextRotationDate": family.next_rotation,
    }
    return answer | rotating


def rotate_on_demand(call: Call) -> Answer:
    """RotateKeyOnDemand: done at once here, within hours in AWS."""
    key = call.key
    if key.origin == "EXTERNAL":
        raise wrong_state(key.name, "pending import")
    family = _rotating(key).family
    done = sum(material.origin is Origin.ON_DEMAND for material in family.generations)
    if done >= _MOST_ON_DEMAND:
        text = (
            "The on-demand rotations limit has been reached for the given keyId. "
            "No more on-demand rotations can be performed for this key."
        )
        raise KmsError("LimitExceededException", text)
    call.vault.rotate(family, Origin.ON_DEMAND, call.now)
    return {"KeyId": key.name}


def list_rotations(call: Call) -> Answer:
    """ListKeyRotations: completed rotations, oldest first; with ALL_KEY_MATERIAL also the first material."""
    key = call.key
    if not key.rotates:
        raise unsupported()
    everything = call.given("IncludeKeyMaterial", "ROTATIONS_ONLY") == "ALL_KEY_MATERIAL"
    shown = [
        _shown(key, material, current=material is key.family.current)
        for material in key.family.generations
        if everything or material.origin is not Origin.FIRST
    ]
    return page(call, "Rotations", shown, limit=100)


def _shown(key: Key, material: Material, *, current: bool) -> Answer:
    answer: Answer = {
        "KeyId": key.name,
        "KeyMaterialId": material.material_id,
        "KeyMaterialState": "CURRENT" if current else "NON_CURRENT",
    }
    if material.origin is Origin.FIRST:
        return answer
    rotated: dict[str, datetime | str] = {
        "RotationDate": material.created_at,
        "RotationType": material.origin.value,
    }
    return answer | rotated


def _rotating(key: Key) -> Key:
    if not key.rotates or key.is_replica:
        raise unsupported()
    if key.state is State.PENDING_IMPORT:
        raise wrong_state(key.name, "pending import")
    return key


OPERATIONS = {
    "EnableKeyRotation": Operation(run=enable_rotation, find=key_named, needs=Needs.USABLE),
    "DisableKeyRotation": Operation(run=disable_rotation, find=key_named, needs=Needs.USABLE),
    "GetKeyRotationStatus": Operation(run=rotation_status, find=key_named, abroad=True),
    "RotateKeyOnDemand": Operation(run=rotate_on_demand, find=key_named, needs=Needs.USABLE),
    "ListKeyRotations": Operation(run=list_rotations, find=key_named),
}
