"""STS: who calls, and the sessions of roles in other accounts."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, ParamValidationError
from botocore.parsers import ResponseParserError

from chalicelib.usecases.ports import OutsideError, PermanentError, TemporaryError

_IDENTITY, _ASSUME = "sts:GetCallerIdentity", "sts:AssumeRole"
_REFUSED = "sts_refused"
_SERVER_FAILED = 500
_MAY_PASS = {
    "ExpiredToken",
    "ExpiredTokenException",
    "InternalFailure",
    "RequestExpired",
    "RequestLimitExceeded",
    "ServiceUnavailable",
    "Throttling",
    "ThrottlingException",
}


class Sts:
    """STS as one client's credentials are known to it."""

    def __init__(self, client: Any) -> None:  # noqa: ANN401 - boto3 ships no types
        self._client = client

    def account(self) -> str:
        """The account that the client's credentials belong to."""
        with _speaking(_IDENTITY, "our own account", code=_REFUSED):
            return str(self._client.get_caller_identity()["Account"])

    def caller(self, whose: str) -> str:
        """The ARN of the user or role whose credentials the client holds; `whose` says where they come from."""
        with _speaking(_IDENTITY, whose, advice="see that its access key is whole and active"):
            return str(self._client.get_caller_identity()["Arn"])

    def session(self, role_arn: str) -> dict[str, Any]:
        """Credentials of a role for one hour, in the words of STS."""
        with _speaking(_ASSUME, role_arn, code=_REFUSED):
            answer = self._client.assume_role(RoleArn=role_arn, RoleSessionName="keyturn")
            given: dict[str, Any] = answer["Credentials"]
            return given


@contextmanager
def _speaking(call: str, about: str, *, code: str | None = None, advice: str = "") -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        raise _ours(error, call, about, code, advice) from error
    except (NoCredentialsError, ParamValidationError) as error:
        raise PermanentError(f"{call} for {about} cannot be asked: {error}", call=call) from error
    except (BotoCoreError, ResponseParserError) as error:
        raise TemporaryError(f"{call} for {about} got no answer: {error}", call=call) from error


def _ours(error: ClientError, call: str, about: str, code: str | None, advice: str) -> OutsideError:
    said = error.response.get("Error", {})
    word = str(said.get("Code", ""))
    if word in _MAY_PASS or _failed_inside(error):
        return TemporaryError(f"{call} for {about} may work later ({word})", call=call, code=word)
    text = f"{call} for {about} was refused ({word}): {advice or said.get('Message', '')}"
    return PermanentError(text, call=call, code=code or word)


def _failed_inside(error: ClientError) -> bool:
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return isinstance(status, int) and status >= _SERVER_FAILED
