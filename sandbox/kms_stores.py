"""Custom key stores, as far as their keys show them: every store that is named counts as a connected one."""

from sandbox.kms_calls import Answer, Call
from sandbox.kms_errors import invalid, unsupported
from sandbox.kms_keys import SYMMETRIC, CustomStore

_EXTERNAL = "EXTERNAL_KEY_STORE"
STORES = frozenset({"AWS_CLOUDHSM", _EXTERNAL})
"""The origins of keys whose material lives outside of KMS."""


def store_asked(call: Call, origin: str, spec: str) -> CustomStore | None:
    """The store that a new key shall live in, None for KMS itself; only single-Region symmetric keys live in one."""
    named, external_id = call.given("CustomKeyStoreId", ""), call.given("XksKeyId", "")
    if origin not in STORES:
        if named or external_id:
            raise invalid(f"A key of origin {origin} lives in no custom key store.")
        return None
    if not named or bool(external_id) != (origin == _EXTERNAL):
        raise invalid(f"Origin {origin} does not go with the CustomKeyStoreId and XksKeyId given.")
    if spec != SYMMETRIC or call.given("MultiRegion", default=False):
        raise unsupported()
    return CustomStore(store_id=named, external_id=external_id or None)


def shown_store(store: CustomStore | None) -> Answer:
    """What a key's metadata says about its store."""
    if store is None:
        return {}
    if store.external_id is None:
        return {"CustomKeyStoreId": store.store_id, "CloudHsmClusterId": "cluster-sandbox"}
    return {"CustomKeyStoreId": store.store_id, "XksKeyConfiguration": {"Id": store.external_id}}
