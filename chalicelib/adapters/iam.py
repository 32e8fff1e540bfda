"""IAM of one account: what a role's or user's own policies say about a key, by AWS' own simulator."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, ParamValidationError
from botocore.parsers import ResponseParserError

from chalicelib.domain.arn import KeyArn
from chalicelib.domain.observed import Grant
from chalicelib.usecases.ports import NotFound, OutsideError, PermanentError, TemporaryError

_CALL = "iam:SimulatePrincipalPolicy"
_MAY_PASS = {"ExpiredToken", "RequestExpired", "Throttling", "ThrottlingException"}
_WILL_NOT_PASS = {"PolicyEvaluation", "PolicyEvaluationException"}
"""Sent with the status 500, though it speaks of a policy that cannot be judged, now or later."""
_FORBIDDEN = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}
_SERVER_FAILED = 500

Part = TypeVar("Part")


class IamRoles:
    """The IAM roles and users of one AWS account, seen through SimulatePrincipalPolicy."""

    def __init__(self, client: Any, account: str) -> None:  # noqa: ANN401 - boto3 ships no types
        self._client = client
        self.account = account

    def allows(self, role_arn: str, actions: tuple[str, ...], key: KeyArn) -> dict[str, Grant]:
        """What a role's or user's own policies, within its boundary, say about each action on the key.

        The key's policy is not asked. A refusal that rests on a condition which the simulator knew nothing
        about (an address, a tag) says nothing: PermanentError with the code `depends_on_context`.
        """
        self._check_account(role_arn)
        found = {
            _part(result, "EvalActionName", str).lower(): result for result in self._simulate(role_arn, actions, key)
        }
        missing = [action for action in actions if action.lower() not in found]
        if missing:
            text = f"{_CALL} for {role_arn} said nothing about {', '.join(missing)}"
            raise TemporaryError(text, call=_CALL, code="unreadable")
        return {action: _grant(found[action.lower()], role_arn, key) for action in actions}

    def _check_account(self, role_arn: str) -> None:
        if role_arn.split(":")[4:5] != [self.account]:
            text = f"{role_arn} is not of account {self.account}: its policies can be read in its own account only"
            raise PermanentError(text, call=_CALL, code="another_account")

    def _simulate(self, role_arn: str, actions: tuple[str, ...], key: KeyArn) -> list[dict[str, Any]]:
        request: dict[str, Any] = {
            "PolicySourceArn": role_arn,
            "ActionNames": list(actions),
            "ResourceArns": [str(key)],
        }
        found: list[dict[str, Any]] = []
        while True:
            with self._speaking(role_arn):
                answer = self._client.simulate_principal_policy(**request)
            found += _part(answer, "EvaluationResults", list)
            if not answer.get("IsTruncated"):
                return found
            request["Marker"] = _part(answer, "Marker", str)

    @contextmanager
    def _speaking(self, role_arn: str) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            raise self._ours(error, role_arn) from error
        except (NoCredentialsError, ParamValidationError) as error:
            raise PermanentError(f"{_CALL} for {role_arn} cannot be asked: {error}", call=_CALL) from error
        except (BotoCoreError, ResponseParserError) as error:
            raise TemporaryError(f"{_CALL} for {role_arn} got no answer: {error}", call=_CALL) from error

    def _ours(self, error: ClientError, role_arn: str) -> OutsideError:
        code = error.response.get("Error", {}).get("Code", "")
        said = error.response.get("Error", {}).get("Message", "")
        where = f"{_CALL} for {role_arn} in account {self.account}"
        if code == "NoSuchEntity":
            return NotFound(f"{where}: not found: {said}", call=_CALL, code=code)
        if code in _FORBIDDEN:
            text = f"{where} is not allowed: allow Keyturn's role {_CALL} on it ({said})"
            return PermanentError(text, call=_CALL, code=code)
        if code in _MAY_PASS or (code not in _WILL_NOT_PASS and _failed_inside(error)):
            return TemporaryError(f"{where} may work later: {code}: {said}", call=_CALL, code=code)
        return PermanentError(f"{where} was refused: {code}: {said}", call=_CALL, code=code)


def _grant(result: dict[str, Any], role_arn: str, key: KeyArn) -> Grant:
    """The decision for our key: since 2026 the top of a result speaks of the kind of resource, not of ours."""
    action, special = result["EvalActionName"], result.get("ResourceSpecificResults") or []
    ours = next((one for one in special if one.get("EvalResourceName") == str(key)), None)
    if special and ours is None:
        text = f"{_CALL} for {role_arn} spoke of other resources than {key}"
        raise TemporaryError(text, call=_CALL, code="unreadable")
    shown = result if ours is None else {**ours, "EvalDecision": ours.get("EvalResourceDecision")}
    grant = _own_decision(shown)
    missing = shown.get("MissingContextValues") or []
    if grant is not Grant.ALLOWED and missing:
        text = f"whether {role_arn} may {action} on {key} depends on {', '.join(missing)}, which is not known here"
        raise PermanentError(text, call=_CALL, code="depends_on_context")
    return grant


def _own_decision(shown: dict[str, Any]) -> Grant:
    """For a key of another account AWS judges its unseen policy too; what counts here is all but that."""
    details = shown.get("EvalDecisionDetails") or {}
    own = [_read(word) for name, word in details.items() if "resource" not in name.lower()]
    if not own:
        return _read(shown.get("EvalDecision"))
    return next((word for word in (Grant.EXPLICIT_DENY, Grant.IMPLICIT_DENY) if word in own), Grant.ALLOWED)


def _read(word: str | None) -> Grant:
    try:
        return Grant(word or "")
    except ValueError as error:
        text = f"{_CALL} gave a decision that Keyturn does not know: {word}"
        raise PermanentError(text, call=_CALL, code="unreadable") from error


def _part(answer: dict[str, Any], name: str, kind: type[Part]) -> Part:
    value = answer.get(name)
    if not isinstance(value, kind):
        raise TemporaryError(f"{_CALL} answered without {name}", call=_CALL, code="unreadable")
    return value


def _failed_inside(error: ClientError) -> bool:
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return isinstance(status, int) and status >= _SERVER_FAILED
