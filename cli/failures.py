"""What can go wrong between an operator and Keyturn, as one paragraph and an exit code."""

from collections.abc import Mapping
from typing import Any

REFUSED, USAGE, NO_WAY_IN, INTERRUPTED = 1, 2, 3, 130
"""The exit codes: refused or failed; called wrongly; unreachable or not let in; ctrl-C."""

_FAILED = 500
"""From this status of HTTP on it is no refusal."""

_NO_ROLE = ":missing-role"
"""How the type of the problem ends that somebody has who may not even ask."""

_NO_SIGN_OF_KEYTURN = "this is no answer of Keyturn's: check --endpoint, it ends with the stage of API Gateway (/live)"
_GATEWAY = (
    ("Missing Authentication Token", _NO_SIGN_OF_KEYTURN),
    ("Signature expired", "this machine's clock is wrong: mend it, `keyturn doctor` says by how much"),
    ("Signature not yet current", "this machine's clock is wrong: mend it, `keyturn doctor` says by how much"),
    ("token included in the request is expired", "log in again, with SSO: aws sso login"),
    ("security token included in the request is invalid", "these credentials are not AWS': try another --profile"),
    ("not authorized to perform", "ask for a policy that allows execute-api:Invoke on this API"),
    ("signature we calculated does not match", "the secret does not belong to this access key: try another --profile"),
    ("Credential should be scoped", "the API lies in another region: give it with --region"),
)
"""What API Gateway says when it lets somebody not in, and what helps."""


class Failure(Exception):
    """Something that ends the command: what happened and what to do, in words; `document` is what the API said."""

    exit_code = REFUSED

    def __init__(self, text: str, *, document: Mapping[str, Any] | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.document = document


class Refused(Failure):
    """Keyturn said no, or could not do it."""


class Misused(Failure):
    """The command was called with something that can never be right."""

    exit_code = USAGE


class NoWayIn(Failure):
    """Keyturn cannot be reached, or lets this caller not in."""

    exit_code = NO_WAY_IN


class Unsure(NoWayIn):
    """The way ended before an answer came: what was asked for may have been done."""


def refusal(problem: Mapping[str, Any]) -> Failure:
    """A problem (RFC 9457) as a Failure with every reason."""
    detail = str(problem.get("detail") or problem.get("title"))
    reasons = [_reason(reason) for reason in problem.get("reasons") or ()]
    failed = problem.get("status", 0) >= _FAILED
    lines = [f"Keyturn {'failed' if failed else 'says no'}: {detail}"]
    lines += [f"  - {reason}" for reason in reasons if reason not in detail]
    if problem.get("rotation_id"):
        lines.append(f"The open rotation is {problem['rotation_id']}.")
    if failed and problem.get("request_id"):
        lines.append(f"Its logs know more about request {problem['request_id']}.")
    kind = NoWayIn if str(problem.get("type")).endswith(_NO_ROLE) else Refused
    return kind("\n".join(lines), document=problem)


def _reason(reason: Mapping[str, Any]) -> str:
    cluster, text = reason.get("cluster"), str(reason.get("text") or reason.get("kind"))
    return text if not cluster or str(cluster) in text else f"{cluster}: {text}"


def kept_out(status: int, said: str) -> NoWayIn:
    """What API Gateway itself answered, before anything of Keyturn's was asked."""
    advice = next((help_ for sign, help_ in _GATEWAY if sign in said), None)
    text = f"The call was not let in ({status}): {said or 'no reason was given'}"
    return NoWayIn(f"{text}\n{advice[0].upper()}{advice[1:]}." if advice else text)


def no_keyturn(status: int) -> NoWayIn:
    """An answer that nobody of ours writes."""
    return NoWayIn(f"Something answered with {status}, but {_NO_SIGN_OF_KEYTURN}.")
