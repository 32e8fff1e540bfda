"""Who calls: principals as IAM and STS name them, and what their account lets them do."""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

_SESSION = re.compile(r"arn:(aws[a-z-]*):sts::(\d{12}):assumed-role/([^/]+)/(.+)")
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::(\d{12}):role/(?:.*/)?([^/]+)")
_ACCOUNT = re.compile(r"(?:arn:aws[a-z-]*:iam::)?(\d{12})(?::root)?")


@dataclass(frozen=True)
class Caller:
    """A principal: the ARN of a user, role, role session or account root, and the account it acts in.

    `source_ip` is None where the call does not come over a network that a policy could speak about.
    """

    arn: str
    account: str
    source_ip: str | None = None

    @cached_property
    def role_name(self) -> str | None:
        """The name of the role behind a role or a session of it; None for users and roots."""
        session = _SESSION.fullmatch(self.arn)
        if session is not None:
            return session[3]
        role = _ROLE.fullmatch(self.arn)
        return None if role is None else role[2]

    @cached_property
    def session_name(self) -> str | None:
        """The name of the session, None when this is not one."""
        session = _SESSION.fullmatch(self.arn)
        return None if session is None else session[4]

    @property
    def is_root(self) -> bool:
        """Whether this is the root of its account."""
        return self.arn == f"arn:aws:iam::{self.account}:root"

    def is_named_by(self, principal: str) -> bool:
        """Whether a policy's principal ARN names this caller itself; a role's ARN names all its sessions."""
        if principal == self.arn:
            return True
        role = _ROLE.fullmatch(principal)
        return role is not None and role.groups() == (self.account, self.role_name)


def account_named_by(principal: str) -> str | None:
    """The account that a policy's principal names as a whole (id or root ARN); None when it names less."""
    account = _ACCOUNT.fullmatch(principal)
    return None if account is None else account[1]


class Identities(Protocol):
    """What the strict KMS must know about the people: IAM, as far as it goes."""

    def policies_of(self, caller: Caller) -> tuple[str, ...]:
        """The caller's identity policies, inline and attached, as JSON texts."""
        ...

    def boundary_of(self, caller: Caller) -> str | None:
        """The caller's permissions boundary as JSON text, None without one."""
        ...

    def exists(self, arn: str) -> bool | None:
        """Whether there is a role or user with this ARN; None where that cannot be known."""
        ...


class NoIdentities:
    """An account without IAM: only roots and principals named in key policies can do anything."""

    def policies_of(self, caller: Caller) -> tuple[str, ...]:  # noqa: ARG002 - the protocol asks for it
        """Give nothing, whoever asks."""
        return ()

    def boundary_of(self, caller: Caller) -> None:
        """Bound nobody."""

    def exists(self, arn: str) -> None:
        """Know of nobody, and so refuse nobody."""
