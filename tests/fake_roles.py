"""IAM of one account in memory: what each role's or user's own policies say about keys."""

from chalicelib.domain.arn import KeyArn
from chalicelib.domain.observed import Grant
from chalicelib.usecases.ports import NotFound, OutsideError, PermanentError

_CALL = "iam:SimulatePrincipalPolicy"


class FakeRoles:
    """Principals are there once something is said about them; `fail` makes the next question raise."""

    def __init__(self, account: str = "123456789012") -> None:
        self.account = account
        self.asked: list[tuple[str, tuple[str, ...], KeyArn]] = []
        self._said: dict[str, dict[tuple[str, KeyArn | None], Grant]] = {}
        self._failures: list[OutsideError] = []

    def add(self, role_arn: str) -> None:
        """Let a role or user be there whose policies say nothing."""
        self._said.setdefault(role_arn, {})

    def allow(self, role_arn: str, *actions: str, key: KeyArn | None = None) -> None:
        """Let a principal's policies allow actions on a key, or on every key for None."""
        self._say(role_arn, actions, key, Grant.ALLOWED)

    def deny(self, role_arn: str, *actions: str, key: KeyArn | None = None) -> None:
        """Let a principal's policies deny actions on a key, or on every key for None."""
        self._say(role_arn, actions, key, Grant.EXPLICIT_DENY)

    def remove(self, role_arn: str) -> None:
        """Let a principal be gone."""
        del self._said[role_arn]

    def fail(self, error: OutsideError) -> None:
        """Let the next question raise; several wait their turn."""
        self._failures.append(error)

    def allows(self, role_arn: str, actions: tuple[str, ...], key: KeyArn) -> dict[str, Grant]:
        self.asked.append((role_arn, actions, key))
        if self._failures:
            raise self._failures.pop(0)
        if role_arn.split(":")[4:5] != [self.account]:
            raise PermanentError(f"{role_arn} is not of account {self.account}", call=_CALL, code="another_account")
        if role_arn not in self._said:
            raise NotFound(f"{role_arn} was not found", call=_CALL, code="NoSuchEntity")
        return {action: self._grant(role_arn, action, key) for action in actions}

    def _say(self, role_arn: str, actions: tuple[str, ...], key: KeyArn | None, grant: Grant) -> None:
        self.add(role_arn)
        for action in actions:
            self._said[role_arn][action, key] = grant

    def _grant(self, role_arn: str, action: str, key: KeyArn) -> Grant:
        said = [self._said[role_arn].get((action, on)) for on in (key, None)]
        return next((grant for grant in (Grant.EXPLICIT_DENY, Grant.ALLOWED) if grant in said), Grant.IMPLICIT_DENY)
