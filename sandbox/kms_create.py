"""Operations that make keys and show them: create, replicate, describe, list, policies."""

from uuid import uuid4

from chalicelib.domain.arn import KeyArn
from sandbox.kms_calls import Answer, Call, Needs, Operation
from sandbox.kms_errors import KmsError, invalid, unsupported
from sandbox.kms_keys import SYMMETRIC, Family, Key, Origin, State
from sandbox.kms_labels import checked_tags, tags_as_list
from sandbox.kms_names import is_visible, key_named, key_or_alias_named
from sandbox.kms_pages import page
from sandbox.kms_policies import default_key_policy
from sandbox.kms_stores import STORES, shown_store, store_asked

_USAGES = {
    SYMMETRIC: ("ENCRYPT_DECRYPT",),
    "RSA": ("ENCRYPT_DECRYPT", "SIGN_VERIFY"),
    "HMAC": ("GENERATE_VERIFY_MAC",),
    "ECC": ("SIGN_VERIFY", "KEY_AGREEMENT"),
}
_RSA_ALGORITHMS = ["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"]


def create_key(call: Call) -> Answer:
    """CreateKey: the policy is checked for lock-out, tags are atomic with the creation."""
    call.gate.check_account(call, "kms:CreateKey", "*")
    tags = checked_tags(call.given("Tags", []))
    if tags:
        # "At a minimum, the permission must cover all KMS keys in the account and Region" (AWS' guide on KMS' tags).
        every_key = f"arn:aws:kms:{call.region}:{call.caller.account}:key/*"
        call.gate.check_account(call, "kms:TagResource", every_key)
    key = _new_key(call)
    call.gate.check_not_locked_out(call, key, key.policy)
    key.tags.update(tags)
    if key.spec == SYMMETRIC and key.origin != "EXTERNAL":
        key.family.rotate(Origin.FIRST, call.now)
    call.vault.add(key)
    call.touched.append(key)
    return {"KeyMetadata": metadata(key)}


def _new_key(call: Call) -> Key:
    origin = call.given("Origin", "AWS_KMS")
    if origin not in {"AWS_KMS", "EXTERNAL", *STORES}:
        raise unsupported(f"Keys of origin {origin} are not in the sandbox.")
    spec = call.given("KeySpec", call.given("CustomerMasterKeySpec", SYMMETRIC))
    multi_region = call.given("MultiRegion", default=False)
    key_id = f"mrk-{uuid4().hex}" if multi_region else str(uuid4())
    return Key(
        arn=KeyArn(account=call.caller.account, region=call.region, key_id=key_id),
        family=Family(primary_region=call.region),
        created_by=call.caller,
        created_at=call.now,
        visible_from=call.now + call.consistency_delay,
        policy=call.given("Policy", default_key_policy(call.caller.account)),
        description=call.given("Description", ""),
        usage=_checked_usage(spec, call.given("KeyUsage", "")),
        spec=spec,
        origin=origin,
        multi_region=multi_region,
        state=State.PENDING_IMPORT if origin == "EXTERNAL" else State.ENABLED,
        store=store_asked(call, origin, spec),
    )


def _checked_usage(spec: str, usage: str) -> str:
    fitting = next((usages for kind, usages in _USAGES.items() if spec.startswith(kind)), None)
    if fitting is None:
        raise unsupported(f"Keys of spec {spec} are not in the sandbox.")
    wanted = usage or ("ENCRYPT_DECRYPT" if spec == SYMMETRIC else "")
    if not wanted:
        raise invalid("You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.")
    if wanted not in fitting:
        raise invalid(f"KeyUsage {wanted} is not compatible with KeySpec {spec}")
    return wanted


def metadata(key: Key) -> Answer:
    """The `KeyMetadata` of a key, complete as AWS gives it."""
    answer: Answer = {
        "AWSAccountId": key.arn.account,
        "KeyId": key.arn.key_id,
        "Arn": key.name,
        "CreationDate": key.created_at,
        "Enabled": key.state is State.ENABLED,
        "Description": key.description,
        "KeyUsage": key.usage,
        "KeyState": key.state.value,
        "Origin": key.origin,
        "KeyManager": "CUSTOMER",
        "CustomerMasterKeySpec": key.spec,
        "KeySpec": key.spec,
        "MultiRegion": key.multi_region,
    }
    return answer | _algorithms(key) | _dates(key) | _regions(key) | shown_store(key.store)


def _algorithms(key: Key) -> Answer:
    answer: Answer = {}
    if key.usage == "ENCRYPT_DECRYPT":
        answer["EncryptionAlgorithms"] = [SYMMETRIC] if key.spec == SYMMETRIC else _RSA_ALGORITHMS
    if key.family.generations and key.store is None:
        answer["CurrentKeyMaterialId"] = key.family.current.material_id
    if key.family.generations and key.origin == "EXTERNAL":
        answer["ExpirationModel"] = "KEY_MATERIAL_DOES_NOT_EXPIRE"
    return answer


def _dates(key: Key) -> Answer:
    answer: Answer = {}
    if key.state is State.PENDING_DELETION:
        answer["DeletionDate"] = key.deletion_date
    if key.state is State.PENDING_REPLICA_DELETION:
        answer["PendingDeletionWindowInDays"] = key.window_days
    return answer


def _regions(key: Key) -> Answer:
    if not key.multi_region:
        return {}
    members = [
        {"Arn": str(KeyArn(account=key.arn.account, region=region, key_id=key.arn.key_id)), "Region": region}
        for region in sorted(key.family.members.keys() | {key.arn.region, key.family.primary_region})
    ]
    return {
        "MultiRegionConfiguration": {
            "MultiRegionKeyType": "REPLICA" if key.is_replica else "PRIMARY",
            "PrimaryKey": next(one for one in members if one["Region"] == key.family.primary_region),
            "ReplicaKeys": [one for one in members if one["Region"] != key.family.primary_region],
        }
    }


def replicate_key(call: Call) -> Answer:
    """ReplicateKey: another Region's key with the same material; it is `Creating` in this answer only."""
    primary, region = call.key, call.given("ReplicaRegion", "")
    if not primary.multi_region or primary.is_replica:
        raise unsupported(f"{primary.name} is not a multi-region primary key.")
    if region in primary.family.members:
        raise KmsError("AlreadyExistsException", f"Region {region} already has a related multi-region key.")
    replica = _replica_of(primary, call, region)
    call.gate.check_not_locked_out(call, replica, replica.policy)
    replica.tags.update(checked_tags(call.given("Tags", [])))
    call.vault.add(replica)
    shown = metadata(replica) | {"KeyState": "Creating", "Enabled": False}
    shown.pop("CurrentKeyMaterialId", None)
    answer: Answer = {"ReplicaKeyMetadata": shown, "ReplicaPolicy": replica.policy}
    return answer | ({"ReplicaTags": tags_as_list(replica)} if replica.tags else {})


def _replica_of(primary: Key, call: Call, region: str) -> Key:
    return Key(
        arn=KeyArn(account=primary.arn.account, region=region, key_id=primary.arn.key_id),
        family=primary.family,
        created_by=call.caller,
        created_at=call.now,
        visible_from=call.now + call.consistency_delay,
        policy=call.given("Policy", default_key_policy(primary.arn.account)),
        description=call.given("Description", ""),
        usage=primary.usage,
        spec=primary.spec,
        multi_region=True,
    )


def list_keys(call: Call) -> Answer:
    """ListKeys: every visible key of the caller's account in this Region, in pages."""
    call.gate.check_account(call, "kms:ListKeys", "*")
    keys = [key for key in call.vault.keys.get(call.place, {}).values() if is_visible(call, key)]
    keys.sort(key=lambda key: key.arn.key_id)
    shown = [{"KeyId": key.arn.key_id, "KeyArn": key.name} for key in keys]
    return page(call, "Keys", shown, limit=100)


def get_key_policy(call: Call) -> Answer:
    """GetKeyPolicy: there is one policy and it is called `default`."""
    _check_policy_name(call)
    return {"Policy": call.key.policy, "PolicyName": "default"}


def put_key_policy(call: Call) -> Answer:
    """PutKeyPolicy: refuses malformed documents and those that lock the caller out."""
    _check_policy_name(call)
    policy = call.given("Policy", "")
    call.gate.check_not_locked_out(call, call.key, policy)
    call.key.policy = policy
    return {}


def _check_policy_name(call: Call) -> None:
    if call.given("PolicyName", "default") != "default":
        raise KmsError("NotFoundException", "No such policy exists")


def update_description(call: Call) -> Answer:
    """UpdateKeyDescription."""
    call.key.description = call.given("Description", "")
    return {}


OPERATIONS = {
    "CreateKey": Operation(run=create_key, find=None),
    "ReplicateKey": Operation(run=replicate_key, find=key_named, needs=Needs.USABLE),
    "DescribeKey": Operation(
        run=lambda call: {"KeyMetadata": metadata(call.key)}, find=key_or_alias_named, abroad=True
    ),
    "ListKeys": Operation(run=list_keys, find=None),
    "GetKeyPolicy": Operation(run=get_key_policy, find=key_named),
    "PutKeyPolicy": Operation(run=put_key_policy, find=key_named),
    "ListKeyPolicies": Operation(run=lambda _call: {"PolicyNames": ["default"], "Truncated": False}, find=key_named),
    "UpdateKeyDescription": Operation(run=update_description, find=key_named, needs=Needs.KEPT),
}
