"""Asks another function of the stack, and waits for what it says: the one way for the door to see Atlas and KMS."""

import json
from typing import Any

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.domain.records import Check
from chalicelib.usecases.ports import PermanentError, TemporaryError

CALL = "lambda:Invoke"


class _Preview(msgspec.Struct):
    checks: tuple[Check, ...]


class Functions:
    """The functions that may be asked; `preview` is the name or ARN of the one that looks ahead."""

    def __init__(self, client: Any, preview: str) -> None:  # noqa: ANN401 - boto3 ships no types
        self._client = client
        self._preview = preview

    def preview(self, project_id: str, request: dict[str, Any]) -> tuple[Check, ...]:
        """The checks of a rotation that nobody has opened; raises TemporaryError when none come."""
        said = self._ask(self._preview, {"project_id": project_id, "request": request})
        try:
            return msgspec.convert(said, _Preview).checks
        except msgspec.ValidationError as error:
            raise TemporaryError(f"{self._preview} gave no checks", call=CALL, code="unreadable_answer") from error

    def _ask(self, function: str, message: dict[str, Any]) -> Any:  # noqa: ANN401 - whatever JSON it says
        try:
            answer = self._client.invoke(FunctionName=function, Payload=json.dumps(message).encode())
            said = json.loads(answer["Payload"].read())
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            kind = TemporaryError if code in _MAY_PASS else PermanentError
            raise kind(f"{CALL} of {function} was refused: {error}", call=CALL, code=code) from error
        except (BotoCoreError, ValueError) as error:
            raise TemporaryError(f"{CALL} of {function} got no answer: {error}", call=CALL) from error
        if "FunctionError" in answer:
            text = said.get("errorMessage", "") if isinstance(said, dict) else ""
            raise TemporaryError(f"{function} failed: {text}", call=CALL, code="function_failed")
        return said


_MAY_PASS = {
    "EC2ThrottledException",
    "ResourceNotReadyException",
    "ServiceException",
    "TooManyRequestsException",
}
