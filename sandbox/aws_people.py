"""IAM and STS as moto remembers them: who an access key belongs to, and what that principal may do."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from moto.iam.models import AccessKey, IAMBackend, iam_backends
from moto.sts.models import AssumedRole, STSBackend

from sandbox.aws_time import replaced
from sandbox.kms_callers import Caller
from sandbox.kms_policies import Request, Say, identity_policies_say, key_policy_says, read_policy

Owner = Any  # moto's users, roles and groups, which carry policies alike

_ROLE = re.compile(r"arn:aws:iam::(\d{12}):role/.+")
_PRINCIPAL = re.compile(r"arn:aws:iam::(\d{12}):(role|user)/.+")
_EVERYTHING = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
    }
)


@dataclass(frozen=True, kw_only=True)
class User:
    """An IAM user with its access key."""

    arn: str
    access_key_id: str
    secret_access_key: str


class Expired(Exception):
    """The session behind an access key is over on the virtual clock."""


class People:
    """Users, roles and sessions of every account, read from moto's backends at each question."""

    def __init__(self, now: Callable[[], datetime], account: str) -> None:
        self._now = now
        self._account = account
        self._sessions: dict[str, AssumedRole] = {}
        self.changes = 0
        """How many calls to IAM there were: while it stays, nobody may do more or less than before."""

    @contextmanager
    def remembered(self) -> Iterator[None]:
        """Remember every session that moto's STS opens until the block ends."""
        assume = STSBackend.assume_role

        def assume_role(backend: STSBackend, **named: Any) -> AssumedRole:  # noqa: ANN401 - moto's
            session = assume(backend, **named)
            self._sessions[session.access_key_id] = session
            return session

        with replaced(STSBackend, "assume_role", assume_role):
            yield

    def create_user(self, name: str, policy: dict[str, object]) -> User:
        """Make a user with one inline policy and an access key."""
        backend = _iam(self._account)
        user = backend.create_user("us-east-1", name)
        backend.put_user_policy(name, "given", json.dumps(policy))
        key = backend.create_access_key(name)
        return User(arn=user.arn, access_key_id=key.access_key_id, secret_access_key=key.secret_access_key)

    def create_role(self, name: str, trust: dict[str, object], policy: dict[str, object] | None, account: str) -> str:
        """Make a role with an inline policy, None for no policy, and give its ARN."""
        backend = _iam(account)
        role = backend.create_role(name, json.dumps(trust), "/", None, "", [], "3600")
        if policy is not None:
            backend.put_role_policy(name, "given", json.dumps(policy))
        return str(role.arn)

    def secret_of(self, access_key_id: str) -> str | None:
        """The secret of an active access key; None when nobody has that key."""
        key = _key(access_key_id)
        return None if key is None else key.secret_access_key

    def caller_of(self, access_key_id: str) -> Caller | None:
        """The principal behind an active access key; raises Expired for a session that is over."""
        session = self._sessions.get(access_key_id)
        if session is not None:
            if session.expiration.replace(tzinfo=UTC) <= self._now():
                raise Expired
            return Caller(session.arn, session.account_id)
        key = _key(access_key_id)
        if key is None or key.user_name is None:
            return None
        account = _account_of(access_key_id)
        return Caller(_iam(account).get_user(key.user_name).arn, account)

    def policies_of(self, caller: Caller) -> tuple[str, ...]:
        """Inline and attached policies of a user (its groups' too) or role; nothing for unknown ones."""
        backend = _iam(caller.account)
        if caller.role_name is not None:
            owners = [role for role in backend.roles.values() if role.name == caller.role_name]
        else:
            owners = _user_and_groups(backend, caller.arn)
        return tuple(document for owner in owners for document in _documents(owner))

    def principal(self, arn: str) -> Caller | None:
        """The role or user that has this ARN, None when there is none."""
        named = _PRINCIPAL.fullmatch(arn)
        if named is None:
            return None
        account, kind = named.groups()
        backend = _iam(account)
        # A copy: another thread may make somebody meanwhile.
        owners: list[Owner] = list((backend.roles if kind == "role" else backend.users).values())
        return Caller(arn, account) if any(owner.arn == arn for owner in owners) else None

    def exists(self, arn: str) -> bool | None:
        """Whether a role or user has this ARN; None for other ARNs, and for accounts in which nobody lives."""
        named = _PRINCIPAL.fullmatch(arn)
        if named is None or not _is_kept(named[1]):
            return None
        return self.principal(arn) is not None

    def boundary_of(self, caller: Caller) -> str | None:
        """The document of a role's permissions boundary, None without one; moto keeps none for users."""
        backend = _iam(caller.account)
        roles = [role for role in backend.roles.values() if role.name == caller.role_name]
        bounds = [role.permissions_boundary_arn for role in roles if role.permissions_boundary_arn]
        return next((_default_version(backend.managed_policies[arn]) for arn in bounds), None)

    def refusal_to_assume(self, caller: Caller, role_arn: str, external_id: str) -> str | None:
        """Why a role may not be assumed by this caller; None when it may.

        A member account of an organization has a role by which its administrators come in. Here every
        role that another account lacks is such a role: it is made when an administrator first asks.
        """
        named = _ROLE.fullmatch(role_arn)
        if named is None:
            return f"{role_arn} is not the ARN of a role"
        account = named[1]
        by_identity = self._may_assume(caller, role_arn)
        role = _role(role_arn)
        if role is None and account != self._account and by_identity:
            self._open_account(role_arn, account)
            return None
        if role is not None and self._trusts(role, caller, external_id, by_identity=by_identity):
            return None
        return f"User: {caller.arn} is not authorized to perform: sts:AssumeRole on resource: {role_arn}"

    def trusts(self, role_arn: str, caller: Caller, external_id: str) -> bool:
        """Whether a role exists and its trust policy lets in this caller, whose own account lets it assume all."""
        role = _role(role_arn)
        return role is not None and self._trusts(role, caller, external_id, by_identity=True)

    def _may_assume(self, caller: Caller, role_arn: str) -> bool:
        request = Request(caller=caller, action="sts:AssumeRole", resource=role_arn, context={})
        return identity_policies_say(self.policies_of(caller), request) is Say.ALLOW

    def _trusts(self, role: Owner, caller: Caller, external_id: str, *, by_identity: bool) -> bool:
        context = {"sts:externalid": external_id} if external_id else {}
        request = Request(caller=caller, action="sts:AssumeRole", resource="", context=context)
        said = key_policy_says(_trust_of(role), request)
        at_home = said is Say.ALLOW and role.arn.split(":")[4] == caller.account
        return at_home or (said in {Say.ALLOW, Say.DELEGATE} and by_identity)

    def _open_account(self, role_arn: str, account: str) -> None:
        trust: dict[str, object] = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"AWS": f"arn:aws:iam::{self._account}:root"},
                    "Action": "sts:AssumeRole",
                }
            ],
        }
        self.create_role(role_arn.rsplit("/", 1)[-1], trust, json.loads(_EVERYTHING), account)


def _trust_of(role: Owner) -> Any:  # noqa: ANN401 - statements, with the resource that trust policies leave out
    document = json.loads(role.assume_role_policy_document)
    statements = document.get("Statement", [])
    for statement in statements if isinstance(statements, list) else [statements]:
        statement["Resource"] = "*"
    return read_policy(json.dumps(document), names_principals=True)


def _role(arn: str) -> Owner | None:
    named = _ROLE.fullmatch(arn)
    if named is None:
        return None
    # A copy: another thread may make a role meanwhile.
    roles = list(_iam(named[1]).roles.values())
    return next((role for role in roles if role.arn == arn), None)


def _iam(account: str) -> IAMBackend:
    return iam_backends[account]["aws"]


def _is_kept(account: str) -> bool:
    backend = _iam(account)
    return bool(backend.roles or backend.users)


def _account_of(access_key_id: str) -> str:
    found = (account for account in list(iam_backends) if access_key_id in _iam(account).access_keys)
    return next(found, "")


def _key(access_key_id: str) -> AccessKey | None:
    account = _account_of(access_key_id)
    key = _iam(account).access_keys[access_key_id] if account else None
    return key if key is not None and key.status == "Active" else None


def _user_and_groups(backend: IAMBackend, arn: str) -> list[Owner]:
    user = next((one for one in backend.users.values() if one.arn == arn), None)
    return [] if user is None else [user, *backend.get_groups_for_user(user.name)]


def _documents(owner: Owner) -> Iterator[str]:
    yield from owner.policies.values()
    for policy in owner.managed_policies.values():
        yield _default_version(policy)


def _default_version(policy: Any) -> str:  # noqa: ANN401 - moto's
    document: str = next(version.document for version in policy.versions if version.is_default)
    return document
