"""May this caller do this? Key policy, grants and the caller's IAM policies, weighed as AWS weighs them.

A new key policy may name only roles and users that exist, as far as the sandbox can know: those of an account in which
it keeps nobody are taken to exist, and so are whole accounts, sessions and federated users.
"""

from collections.abc import Iterable, Mapping

from sandbox.kms_callers import Caller, Identities
from sandbox.kms_calls import Call
from sandbox.kms_conditions import Context
from sandbox.kms_errors import denied, malformed_policy, out_of_sight
from sandbox.kms_keys import Grant, Key
from sandbox.kms_policies import (
    INVALID_PRINCIPALS,
    MalformedPolicy,
    Request,
    Say,
    Statement,
    identity_policies_say,
    key_policy_says,
    read_policy,
)

_ONLY_AT_HOME = "because no resource-based policy allows the {action} action"
_NOT_BY_THEMSELVES = "because no identity-based policy allows the {action} action"
_NOT_WITHIN = "because no permissions boundary allows the {action} action"


class PolicyGate:
    """The gate that reads policies; `identities` knows the callers' own."""

    def __init__(self, identities: Identities) -> None:
        self._identities = identities

    def check_key(self, call: Call, action: str, key: Key) -> None:
        """Let the caller act on a key, or raise AccessDeniedException with AWS' reason."""
        request = Request(caller=call.caller, action=action, resource=key.name, context=_context_of(call, key))
        by_key = key_policy_says(read_policy(key.policy, names_principals=True), request)
        by_identity = self._identity_says(request)
        _refuse_what_is_denied(request, by_key, by_identity)
        if not _allowed(call.caller, key, by_key, by_identity) and not _granted(call, action, key):
            raise _refusal(request, key, by_key)
        self._check_boundary(request, key.name)

    def check_account(self, call: Call, action: str, resource: str) -> None:
        """Let the caller act in its account, or raise AccessDeniedException."""
        context = _caller_context(call.caller) | _parameter_context(call.body)
        request = Request(caller=call.caller, action=action, resource=resource, context=context)
        said = self._identity_says(request)
        _refuse_what_is_denied(request, Say.NOTHING, said)
        if said is not Say.ALLOW:
            shown = "" if resource == "*" else resource
            raise denied(call.caller.arn, action, shown, _NOT_BY_THEMSELVES.format(action=action))
        self._check_boundary(request, "" if resource == "*" else resource)

    def check_not_locked_out(self, call: Call, key: Key, policy: str) -> None:
        """Refuse a malformed policy, one that names nobody, and one after which the caller could not put another."""
        try:
            statements = read_policy(policy, names_principals=True)
            self._check_principals(statements)
        except MalformedPolicy as error:
            raise malformed_policy(str(error)) from error
        if call.given("BypassPolicyLockoutSafetyCheck", default=False):
            return
        request = Request(
            caller=call.caller,
            action="kms:PutKeyPolicy",
            resource=key.name,
            context=_caller_context(call.caller) | _key_context(call, key),
        )
        said = key_policy_says(statements, request)
        if not _allowed(call.caller, key, said, self._identity_says(request)):
            raise malformed_policy("The new key policy will not allow you to update the key policy in the future.")

    def _check_principals(self, statements: Iterable[Statement]) -> None:
        for statement in statements:
            named = (*(statement.principals or ()), *(statement.not_principals or ()))
            if any(self._identities.exists(principal) is False for principal in named):
                raise MalformedPolicy(INVALID_PRINCIPALS)

    def _check_boundary(self, request: Request, shown: str) -> None:
        """A boundary limits even what a key policy gives to a role; one session named by itself is not met here."""
        boundary = self._identities.boundary_of(request.caller)
        if boundary is None:
            return
        said = identity_policies_say((boundary,), request)
        if said is Say.DENY:
            why = "with an explicit deny in a permissions boundary"
            raise denied(request.caller.arn, request.action, shown, why)
        if said is not Say.ALLOW:
            raise denied(request.caller.arn, request.action, shown, _NOT_WITHIN.format(action=request.action))

    def _identity_says(self, request: Request) -> Say:
        if request.caller.is_root:
            return Say.ALLOW
        return identity_policies_say(self._identities.policies_of(request.caller), request)


def _refuse_what_is_denied(request: Request, by_key: Say, by_identity: Say) -> None:
    for said, kind in ((by_key, "a resource-based"), (by_identity, "an identity-based")):
        if said is Say.DENY:
            why = f"with an explicit deny in {kind} policy"
            raise denied(request.caller.arn, request.action, request.resource, why)


def _allowed(caller: Caller, key: Key, by_key: Say, by_identity: Say) -> bool:
    at_home = caller.account == key.arn.account
    if by_key is Say.ALLOW and at_home:
        return True
    return by_key in {Say.ALLOW, Say.DELEGATE} and by_identity is Say.ALLOW


def _refusal(request: Request, key: Key, by_key: Say) -> Exception:
    caller = request.caller
    if caller.account != key.arn.account and by_key is Say.NOTHING:
        return out_of_sight(caller.arn, request.action, request.resource)
    why = _ONLY_AT_HOME if by_key is Say.NOTHING else _NOT_BY_THEMSELVES
    return denied(caller.arn, request.action, request.resource, why.format(action=request.action))


def _granted(call: Call, action: str, key: Key) -> bool:
    operation = action.removeprefix("kms:")
    return any(
        operation in grant.operations
        and call.caller.is_named_by(grant.grantee)
        and _within(grant, call.given("EncryptionContext", {}))
        for grant in key.grants.values()
    )


def _within(grant: Grant, context: Mapping[str, str]) -> bool:
    exact = grant.constraints.get("EncryptionContextEquals")
    part = grant.constraints.get("EncryptionContextSubset", {})
    return (exact is None or exact == context) and part.items() <= context.items()


def _context_of(call: Call, key: Key) -> Context:
    return _caller_context(call.caller) | _key_context(call, key) | _parameter_context(call.body)


def _caller_context(caller: Caller) -> dict[str, str | tuple[str, ...]]:
    behind = f"arn:aws:iam::{caller.account}:role/{caller.role_name}" if caller.role_name else caller.arn
    context: dict[str, str | tuple[str, ...]] = {
        "kms:calleraccount": caller.account,
        "aws:principalaccount": caller.account,
        "aws:principalarn": behind,
    }
    if caller.source_ip is not None:
        context["aws:sourceip"] = caller.source_ip
    return context


def _key_context(call: Call, key: Key) -> dict[str, str | tuple[str, ...]]:
    names = call.vault.aliases.get((key.arn.account, key.arn.region), {}).values()
    context: dict[str, str | tuple[str, ...]] = {
        "kms:keyspec": key.spec,
        "kms:keyusage": key.usage,
        "kms:keyorigin": key.origin,
        "kms:multiregion": str(key.multi_region).lower(),
        "kms:resourcealiases": tuple(alias.name for alias in names if alias.key_id == key.arn.key_id),
    }
    context.update({f"aws:resourcetag/{name.lower()}": value for name, value in key.tags.items()})
    return context


_PARAMETERS = {
    "PendingWindowInDays": "kms:schedulekeydeletionpendingwindowindays",
    "BypassPolicyLockoutSafetyCheck": "kms:bypasspolicylockoutsafetycheck",
    "RotationPeriodInDays": "kms:rotationperiodindays",
    "GranteePrincipal": "kms:granteeprincipal",
    "EncryptionAlgorithm": "kms:encryptionalgorithm",
    "ReplicaRegion": "kms:replicaregion",
}


def _parameter_context(body: Mapping[str, object]) -> dict[str, str | tuple[str, ...]]:
    context: dict[str, str | tuple[str, ...]] = {
        key: str(body[name]).lower() if isinstance(body[name], bool) else str(body[name])
        for name, key in _PARAMETERS.items()
        if body.get(name) is not None
    }
    written = body.get("KeyId")
    if isinstance(written, str) and "alias/" in written:
        context["kms:requestalias"] = "alias/" + written.rsplit("alias/", 1)[1]
    return context | _encryption_context(body) | _tag_context(body)


def _encryption_context(body: Mapping[str, object]) -> dict[str, str | tuple[str, ...]]:
    given = body.get("EncryptionContext")
    if not isinstance(given, dict) or not given:
        return {}
    context: dict[str, str | tuple[str, ...]] = {"kms:encryptioncontextkeys": tuple(given)}
    context.update({f"kms:encryptioncontext:{name.lower()}": str(value) for name, value in given.items()})
    return context


def _tag_context(body: Mapping[str, object]) -> dict[str, str | tuple[str, ...]]:
    tags = body.get("Tags")
    if not isinstance(tags, list) or not tags:
        return {}
    context: dict[str, str | tuple[str, ...]] = {"aws:tagkeys": tuple(tag["TagKey"] for tag in tags)}
    context.update({f"aws:requesttag/{tag['TagKey'].lower()}": tag["TagValue"] for tag in tags})
    return context
