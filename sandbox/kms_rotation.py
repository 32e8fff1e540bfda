"""Operations on a key's own rotation: by the calendar, on demand, and the list of what happened."""

from datetime import datetime, timedelta

from sandbox.kms_calls import Answer, Call, Needs, Operation
from sandbox.kms_errors import KmsError, unsupported
from sandbox.kms_keys import Key, Material, Origin
from sandbox.kms_names import key_named
from sandbox.kms_pages import page

_USUAL_PERIOD = 365
_MOST_ON_DEMAND = 25
"""Per key and for life; AWS does not raise it."""
_TOO_NEAR = timedelta(minutes=20)
"""How long before an automatic rotation none is started on demand (ConflictException in the service model)."""


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
    family = key.family
    if family.on_demand_since is not None:
        answer["OnDemandRotationStartDate"] = family.on_demand_since
    if family.period_days is None or key.state.pending_deletion:
        return answer
    rotating: Answer = {
        "KeyRotationEnabled": True,
        "RotationPeriodInDays": family.period_days,
        "NextRotationDate": family.next_rotation,
    }
    return answer | rotating


def rotate_on_demand(call: Call) -> Answer:
    """RotateKeyOnDemand: begins now and is done after a while; it does not move the automatic rotations."""
    family = _rotating_on_demand(call.key).family
    near = family.next_rotation is not None and family.next_rotation - call.now <= _TOO_NEAR
    if family.on_demand_since is not None or near:
        text = "A rotation of this key is in progress or scheduled to begin within the next 20 minutes."
        raise KmsError("ConflictException", text)
    done = sum(material.origin is Origin.ON_DEMAND for material in family.generations)
    if done >= _MOST_ON_DEMAND:
        text = (
            "The on-demand rotations limit has been reached for the given keyId. "
            "No more on-demand rotations can be performed for this key."
        )
        raise KmsError("LimitExceededException", text)
    family.on_demand_since, family.on_demand_until = call.now, call.now + call.rotation_takes
    return {"KeyId": call.key.name}


def list_rotations(call: Call) -> Answer:
    """ListKeyRotations: completed rotations, oldest first; with ALL_KEY_MATERIAL also the first material."""
    key = call.key
    if not key.rotates and key.origin != "EXTERNAL":
        raise unsupported()
    everything = call.given("IncludeKeyMaterial", "ROTATIONS_ONLY") == "ALL_KEY_MATERIAL"
    shown = [
        _shown(key, material, state="CURRENT" if material is key.family.current else "NON_CURRENT")
        for material in key.family.generations
        if everything or material.origin is not Origin.FIRST
    ]
    if everything and key.family.pending is not None:
        shown.append(_shown(key, key.family.pending, state="PENDING_ROTATION"))
    return page(call, "Rotations", shown, limit=100)


def _shown(key: Key, material: Material, *, state: str) -> Answer:
    answer: Answer = {"KeyId": key.name, "KeyMaterialId": material.material_id, "KeyMaterialState": state}
    if key.origin == "EXTERNAL":
        answer |= {"ImportState": "IMPORTED", "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}
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
    return key


def _rotating_on_demand(key: Key) -> Key:
    if key.origin != "EXTERNAL":
        return _rotating(key)
    if key.family.pending is None:
        text = f"No available key material pending rotation for the key: {key.name}."
        raise KmsError("KMSInvalidStateException", text)
    return key


OPERATIONS = {
    "EnableKeyRotation": Operation(run=enable_rotation, find=key_named, needs=Needs.USABLE),
    "DisableKeyRotation": Operation(run=disable_rotation, find=key_named, needs=Needs.USABLE),
    "GetKeyRotationStatus": Operation(run=rotation_status, find=key_named, abroad=True),
    "RotateKeyOnDemand": Operation(run=rotate_on_demand, find=key_named, needs=Needs.USABLE),
    "ListKeyRotations": Operation(run=list_rotations, find=key_named),
}
