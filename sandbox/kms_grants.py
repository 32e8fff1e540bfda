"""Grants: create, list, revoke, retire."""

from uuid import uuid4

from sandbox.kms_calls import Answer, Call, Needs, Operation
from sandbox.kms_errors import KmsError, denied, invalid
from sandbox.kms_keys import Grant, Key
from sandbox.kms_names import key_named
from sandbox.kms_pages import page


def create_grant(call: Call) -> Answer:
    """CreateGrant: works at once here; AWS takes up to minutes without the token."""
    grantee = call.given("GranteePrincipal", "")
    if not grantee:
        raise invalid("GranteePrincipal is missing; service principals are not in the sandbox.")
    call.stop_a_dry_run()
    grant = Grant(
        grant_id=uuid4().hex * 2,
        token=uuid4().hex,
        grantee=grantee,
        issuer=call.caller.arn,
        operations=tuple(call.given("Operations", [])),
        created_at=call.now,
        retiring=call.body.get("RetiringPrincipal"),  # type: ignore[arg-type] # checked by kms_shapes
        name=call.body.get("Name"),  # type: ignore[arg-type] # checked by kms_shapes
        constraints=call.given("Constraints", {}),
    )
    call.key.grants[grant.grant_id] = grant
    return {"GrantId": grant.grant_id, "GrantToken": grant.token}


def list_grants(call: Call) -> Answer:
    """ListGrants, all of the key's or of one grantee."""
    grantee, grant_id = call.given("GranteePrincipal", ""), call.given("GrantId", "")
    shown = [
        _shown(call.key, grant)
        for grant in call.key.grants.values()
        if grantee in {"", grant.grantee} and grant_id in {"", grant.grant_id}
    ]
    return page(call, "Grants", shown, limit=50)


def revoke_grant(call: Call) -> Answer:
    """RevokeGrant: the key's side takes the permission back."""
    _check_exists(call)
    call.stop_a_dry_run()
    del call.key.grants[call.given("GrantId", "")]
    return {}


def retire_grant(call: Call) -> Answer:
    """RetireGrant: the retiring principal or the grantee gives it up."""
    token, grant_id = call.given("GrantToken", ""), call.given("GrantId", "")
    for keys in call.vault.keys.values():
        for key in keys.values():
            for grant in list(key.grants.values()):
                if token == grant.token or (grant_id == grant.grant_id and _is(key, call.given("KeyId", ""))):
                    return _retire(call, key, grant)
    raise KmsError("NotFoundException", "The grant does not exist")


def _retire(call: Call, key: Key, grant: Grant) -> Answer:
    may = grant.retiring or ""
    if not (call.caller.is_named_by(may) or (call.caller.is_root and call.caller.account == key.arn.account)):
        raise denied(call.caller.arn, "kms:RetireGrant", key.name, "because the grant names no such principal")
    call.stop_a_dry_run()
    del key.grants[grant.grant_id]
    return {}


def _is(key: Key, written: str) -> bool:
    return written == key.name


def _check_exists(call: Call) -> None:
    if call.given("GrantId", "") not in call.key.grants:
        raise KmsError("NotFoundException", f"Grant ID {call.given('GrantId', '')} not found")


def _shown(key: Key, grant: Grant) -> Answer:
    answer: Answer = {
        "KeyId": key.name,
        "GrantId": grant.grant_id,
        "Name": grant.name or "",
        "CreationDate": grant.created_at,
        "GranteePrincipal": grant.grantee,
        "IssuingAccount": f"arn:aws:iam::{key.arn.account}:root",
        "Operations": list(grant.operations),
    }
    if grant.retiring:
        answer["RetiringPrincipal"] = grant.retiring
    if grant.constraints:
        answer["Constraints"] = grant.constraints
    return answer


OPERATIONS = {
    "CreateGrant": Operation(run=create_grant, find=key_named, needs=Needs.USABLE, abroad=True),
    "ListGrants": Operation(run=list_grants, find=key_named, abroad=True),
    "RevokeGrant": Operation(run=revoke_grant, find=key_named, abroad=True),
    "RetireGrant": Operation(run=retire_grant, find=None),
}
