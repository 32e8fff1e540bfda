"""From what a caller wrote to the key meant: bare ids, ARNs, aliases, each with AWS' own refusal."""

import re

from chalicelib.domain.arn import KeyArn
from sandbox.kms_callers import Caller
from sandbox.kms_calls import Call
from sandbox.kms_errors import KmsError, no_such_key, out_of_sight
from sandbox.kms_keys import Key

_ARN = re.compile(r"arn:aws:kms:([a-z0-9-]+):(\d{12}):(key|alias)/(.+)")
_KEY_ID = re.compile(r"(mrk-[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})")


def key_named(call: Call) -> Key:
    """The key that `KeyId` names, by id or key ARN only."""
    return locate(call, call.given("KeyId", ""), aliases=False)


def key_or_alias_named(call: Call) -> Key:
    """The key that `KeyId` names, by id, key ARN, alias or alias ARN."""
    return locate(call, call.given("KeyId", ""), aliases=True)


def locate(call: Call, written: str, *, aliases: bool) -> Key:
    """Find the key meant by a text; raises NotFoundException and its kin."""
    if written.startswith("alias/") and aliases:
        return _by_alias(call, call.caller.account, written)
    if not written.startswith("arn:"):
        return _by_id(call, call.caller.account, written)
    parts = _ARN.fullmatch(written)
    if parts is None:
        raise KmsError("InvalidArnException", f"{written} is not a valid ARN")
    region, account, kind, name = parts.groups()
    if region != call.region:
        raise KmsError("NotFoundException", f"Invalid arn {region}")
    if kind == "key":
        return _by_id(call, account, name)
    if not aliases:
        raise KmsError("InvalidArnException", f"{written} is not a valid key ARN")
    return _by_alias(call, account, f"alias/{name}")


def _by_id(call: Call, account: str, key_id: str) -> Key:
    if _KEY_ID.fullmatch(key_id) is None:
        raise KmsError("NotFoundException", f"Invalid keyId '{key_id}'")
    key = call.vault.keys.get((account, call.region), {}).get(key_id)
    if key is not None and _visible(call, key):
        return key
    arn = KeyArn(account=account, region=call.region, key_id=key_id)
    if account != call.caller.account:
        raise out_of_sight(call.caller.arn, f"kms:{call.operation}", str(arn))
    raise no_such_key(arn)


def _by_alias(call: Call, account: str, name: str) -> Key:
    alias = call.vault.aliases.get((account, call.region), {}).get(name)
    if alias is not None:
        return _by_id(call, account, alias.key_id)
    arn = f"arn:aws:kms:{call.region}:{account}:{name}"
    if account != call.caller.account:
        raise out_of_sight(call.caller.arn, f"kms:{call.operation}", arn)
    raise KmsError("NotFoundException", f"Alias {arn} is not found.")


def _visible(call: Call, key: Key) -> bool:
    if key.visible_from <= call.now:
        return True
    return call.operation == "DescribeKey" and _person(call.caller) == _person(key.created_by)


def _person(caller: Caller) -> tuple[str, str]:
    return (caller.account, caller.role_name or caller.arn)


def is_visible(call: Call, key: Key) -> bool:
    """Whether a list shows the key already: a new one takes its time to be seen everywhere."""
    return key.visible_from <= call.now
