"""Asks another function of the stack, and waits for what it says: the one way for the door to see Atlas and KMS."""

import json
from typing import Any, Protocol, TypeVar

import msgspec
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, ParamValidationError
from botocore.parsers import ResponseParserError

from chalicelib.domain.records import Check
from chalicelib.usecases.ports import PermanentError, TemporaryError

CALL = "lambda:Invoke"


class _Preview(msgspec.Struct):
    checks: tuple[Check, ...]


class _Hearing(msgspec.Struct):
    verdict: str


class _Threshold(msgspec.Struct):
    project_id: str
    before_days: int
    after_days: int
    changed: bool
    note: str


class _No(msgspec.Struct):
    no: str
    text: str


class _Adjustment(msgspec.Struct):
    threshold: _Threshold | None = None
    refused: _No | None = None


Shape = TypeVar("Shape", bound=msgspec.Struct)


class Names(Protocol):
    """Settings by name."""

    def __getitem__(self, name: str) -> str:
        """One setting."""
        ...


class Functions:
    """The functions that may be asked; `names` gives the name or ARN of each by its setting, when it is needed."""

    def __init__(self, client: Any, names: Names) -> None:  # noqa: ANN401 - boto3 ships no types
        self._client = client
        self._names = names

    def preview(self, project_id: str, request: dict[str, Any]) -> tuple[Check, ...]:
        """The checks of a rotation that nobody has opened; raises TemporaryError when none come."""
        function = self._names["PREVIEW_FUNCTION"]
        said = self._ask(function, {"project_id": project_id, "request": request})
        return _read(function, said, _Preview).checks

    def hear(self, message: dict[str, str]) -> str:
        """The verdict on a webhook call; raises TemporaryError when none comes."""
        function = self._names["HEAR_FUNCTION"]
        return _read(function, self._ask(function, message), _Hearing).verdict

    def adjust(self, project_id: str, who: str) -> dict[str, Any]:
        """`threshold`, what became of it, or `refused`, with `no` and `text`; raises TemporaryError when none comes."""
        function = self._names["ADJUST_FUNCTION"]
        said = _read(function, self._ask(function, {"project_id": project_id, "who": who}), _Adjustment)
        return dict(msgspec.to_builtins(said))

    def _ask(self, function: str, message: dict[str, Any]) -> Any:  # noqa: ANN401 - whatever JSON it says
        try:
            answer = self._client.invoke(FunctionName=function, Payload=json.dumps(message).encode())
            said = json.loads(answer["Payload"].read())
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            kind = TemporaryError if code in _MAY_PASS else PermanentError
            raise kind(f"{CALL} of {function} was refused: {error}", call=CALL, code=code) from error
        except (NoCredentialsError, ParamValidationError) as error:
            raise PermanentError(f"{CALL} of {function} cannot be asked: {error}", call=CALL) from error
        except (BotoCoreError, ResponseParserError, ValueError) as error:
            raise TemporaryError(f"{CALL} of {function} got no answer: {error}", call=CALL) from error
        if "FunctionError" in answer:
            text = said.get("errorMessage", "") if isinstance(said, dict) else ""
            raise TemporaryError(f"{function} failed: {text}", call=CALL, code="function_failed")
        return said


def _read(function: str, said: Any, kind: type[Shape]) -> Shape:  # noqa: ANN401 - whatever JSON it said
    try:
        return msgspec.convert(said, kind)
    except msgspec.ValidationError as error:
        text = f"{function} answered something else than was asked for"
        raise TemporaryError(text, call=CALL, code="unreadable_answer") from error


_MAY_PASS = {
    "EC2ThrottledException",
    "ResourceNotReadyException",
    "ServiceException",
    "TooManyRequestsException",
}
