"""SimulatePrincipalPolicy, which moto lacks: the sandbox's own judgement of policies in AWS' answer.

Judged are the principal's inline, attached and groups' policies within its permissions boundary, by the context
of the request alone. Not here: policies given in the request, service control policies, matched statements.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs
from uuid import uuid4
from xml.etree.ElementTree import Element, SubElement, tostring

from chalicelib.domain.arn import parse_key_arn
from sandbox.aws_people import Expired, People
from sandbox.kms_callers import Caller
from sandbox.kms_conditions import Context
from sandbox.kms_policies import Request, Say, identity_policies_say, read_policy

_ASKED = b"Action=SimulatePrincipalPolicy&"
_ACTION = "iam:SimulatePrincipalPolicy"
_ACCESS_KEY = re.compile(r"Credential=([A-Z0-9]+)/")
_NAMESPACE = "https://iam.amazonaws.com/doc/2010-05-08/"
_KEYS = "arn:${Partition}:kms:${Region}:${Account}:key/${KeyId}"
"""What the top of a result names: the kind of resource; the resource itself stands under the specific results."""
_NOWHERE = {"aws:sourceip": "0.0.0.0"}
"""An address that no policy means: a condition on the caller's address does not hold in a simulation."""
_MOST_RESULTS = 100
_DECISIONS = {Say.ALLOW: "allowed", Say.DENY: "explicitDeny"}
_NO, _UNSAID = "explicitDeny", "implicitDeny"


class _Refusal(Exception):
    def __init__(self, code: str, message: str, *, status: int = 403) -> None:
        super().__init__(code)
        self.code = code
        self.message = message
        self.status = status


@dataclass(frozen=True, kw_only=True)
class _Judge:
    """One principal with everything that decides about it."""

    principal: Caller
    documents: tuple[str, ...]
    boundary: str | None
    context: Context

    def result(self, action: str, resources: Iterable[str]) -> dict[str, Any]:
        """One `EvaluationResult`."""
        special = [self._on_resource(action, resource) for resource in resources]
        words = {one["EvalResourceDecision"] for one in special}
        decision = next((word for word in (_NO, _UNSAID) if word in words), "allowed")
        return {
            "EvalActionName": action,
            "EvalResourceName": _KEYS if action.startswith("kms:") else "*",
            "EvalDecision": decision,
            "MatchedStatements": [],
            "MissingContextValues": [],
            "ResourceSpecificResults": special,
        }

    def _on_resource(self, action: str, resource: str) -> dict[str, Any]:
        request = Request(caller=self.principal, action=action, resource=resource, context={**self.context, **_NOWHERE})
        by_identity = _word(identity_policies_say(self.documents, request))
        shown: dict[str, Any] = {
            "EvalResourceName": resource,
            "MatchedStatements": [],
            "MissingContextValues": sorted(set(self._missing(request))),
        }
        words = {"IAM Policy": by_identity}
        if self.boundary is not None:
            words["Permissions Boundary Policy"] = _word(identity_policies_say((self.boundary,), request))
            within = words["Permissions Boundary Policy"] == "allowed"
            shown["PermissionsBoundaryDecisionDetail"] = {"AllowedByPermissionsBoundary": str(within).lower()}
        if _account_of(resource) not in {None, self.principal.account}:
            words["Resource Policy"] = _UNSAID
            shown["EvalDecisionDetails"] = tuple(
                ("entry", {"key": name, "value": word}) for name, word in words.items()
            )
        decision = next((word for word in (_NO, _UNSAID) if word in words.values()), "allowed")
        return shown | {"EvalResourceDecision": decision}

    def _missing(self, request: Request) -> Iterator[str]:
        known = {name.lower() for name in self.context}
        for document in (*self.documents, *((self.boundary,) if self.boundary else ())):
            for statement in read_policy(document, names_principals=False):
                if replace(statement, conditions={}).covers(request):
                    keys = (key for wanted in statement.conditions.values() for key in wanted)
                    yield from (key for key in keys if key.lower() not in known)


def is_asked(body: bytes) -> bool:
    """Whether a request is a simulation."""
    return _ASKED in body + b"&"


def answer(people: People, environ: Mapping[str, Any], body: bytes, start_response: Callable[..., Any]) -> list[bytes]:
    """Answer one request for a simulation, over WSGI."""
    asked = {name: values[0] for name, values in parse_qs(body.decode()).items()}
    try:
        shown = _simulated(people, _caller(people, environ.get("HTTP_AUTHORIZATION", "")), asked)
    except _Refusal as refusal:
        said = {"Type": "Sender", "Code": refusal.code, "Message": refusal.message}
        return _written(start_response, refusal.status, "ErrorResponse", {"Error": said})
    return _written(start_response, 200, "SimulatePrincipalPolicyResponse", {"SimulatePrincipalPolicyResult": shown})


def _simulated(people: People, caller: Caller, asked: Mapping[str, str]) -> dict[str, Any]:
    principal = _principal(people, caller, asked.get("PolicySourceArn", ""))
    judge = _Judge(
        principal=principal,
        documents=people.policies_of(principal),
        boundary=people.boundary_of(principal),
        context=_context(asked),
    )
    actions, resources = _members(asked, "ActionNames"), _members(asked, "ResourceArns") or ["*"]
    start = int(asked.get("Marker", "0"))
    end = start + int(asked.get("MaxItems", _MOST_RESULTS))
    more = {"Marker": str(end)} if end < len(actions) else {}
    results = [judge.result(action, resources) for action in actions[start:end]]
    return {"IsTruncated": str(bool(more)).lower(), "EvaluationResults": results} | more


def _caller(people: People, authorization: str) -> Caller:
    credential = _ACCESS_KEY.search(authorization)
    try:
        caller = people.caller_of(credential[1]) if credential else None
    except Expired as error:
        text = "The security token included in the request is expired"
        raise _Refusal("ExpiredToken", text) from error
    if caller is None:
        text = "The security token included in the request is invalid."
        raise _Refusal("InvalidClientTokenId", text)
    return caller


def _principal(people: People, caller: Caller, arn: str) -> Caller:
    request = Request(caller=caller, action=_ACTION, resource=arn, context={})
    if identity_policies_say(people.policies_of(caller), request) is not Say.ALLOW:
        who = f"User: {caller.arn} is not authorized to perform: {_ACTION} on resource: {arn}"
        why = f"because no identity-based policy allows the {_ACTION} action"
        raise _Refusal("AccessDenied", f"{who} {why}")
    if arn.split(":")[4:5] != [caller.account]:
        raise _Refusal("InvalidInput", f"Invalid Entity Arn: {arn}", status=400)
    principal = people.principal(arn)
    if principal is None:
        kind, _, name = arn.rpartition(":")[2].partition("/")
        text = f"The {kind} with name {name.rpartition('/')[2]} cannot be found."
        raise _Refusal("NoSuchEntity", text, status=404)
    return principal


def _context(asked: Mapping[str, str]) -> dict[str, str | tuple[str, ...]]:
    found: dict[str, str | tuple[str, ...]] = {}
    for number in range(1, len(asked) + 1):
        entry = f"ContextEntries.member.{number}"
        name = asked.get(f"{entry}.ContextKeyName")
        if name is not None:
            found[name.lower()] = tuple(_members(asked, f"{entry}.ContextKeyValues"))
    return found


def _members(asked: Mapping[str, str], name: str) -> list[str]:
    numbered = (asked.get(f"{name}.member.{number}") for number in range(1, len(asked) + 1))
    return [value for value in numbered if value is not None]


def _word(said: Say) -> str:
    return _DECISIONS.get(said, _UNSAID)


def _account_of(resource: str) -> str | None:
    key = parse_key_arn(resource)
    return None if key is None else key.account


def _written(start_response: Callable[..., Any], status: int, name: str, content: Mapping[str, Any]) -> list[bytes]:
    root = Element(name, xmlns=_NAMESPACE)
    _write(root, content)
    _write(root, {"ResponseMetadata": {"RequestId": str(uuid4())}} if status == HTTPStatus.OK else {"RequestId": "0"})
    body = tostring(root)
    headers = [("Content-Type", "text/xml"), ("Content-Length", str(len(body)))]
    start_response(f"{status} {HTTPStatus(status).phrase}", headers)
    return [body]


def _write(parent: Element, value: Any) -> None:  # noqa: ANN401 - nested mappings, lists, pairs and texts
    if isinstance(value, str):
        parent.text = value
        return
    if isinstance(value, Mapping):
        pairs = tuple(value.items())
    else:
        pairs = value if isinstance(value, tuple) else tuple(("member", item) for item in value)
    for name, inner in pairs:
        _write(SubElement(parent, name), inner)
