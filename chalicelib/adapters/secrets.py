"""The Atlas credentials, one Secrets Manager secret per organization, and those of legacy IAM users.

Their values never leave in any text. Powertools Parameters fetches and keeps nothing; the age of a copy is judged by
the clock that is handed in, so that a changed secret is taken up within one hour whatever that clock says.
Keyturn's functions may read secrets whose names begin with `keyturn/` and no others.
"""

import hmac
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock
from typing import Annotated, Any

import msgspec
from aws_lambda_powertools.utilities.parameters import SecretsProvider
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError
from botocore.exceptions import ClientError

from chalicelib.usecases.ports import NotFound, OutsideError, PermanentError, TemporaryError

TAKEN_UP_WITHIN = timedelta(minutes=55)
PREFIX = "keyturn/"
"""What the name of every secret begins with that Keyturn's functions may read."""

_CALL = "secretsmanager:GetSecretValue"
_ACCESS_KEY_ID = ("access_key_id", "AccessKeyId", "accessKeyID")
_SECRET_ACCESS_KEY = ("secret_access_key", "SecretAccessKey", "secretAccessKey")
"""Our own names of the fields, then AWS' and Atlas'."""
_FOR_A_PERSON = {
    "AccessDenied",
    "AccessDeniedException",
    "DecryptionFailure",
    "InvalidParameterException",
    "InvalidRequestException",
    "ValidationException",
}
"""What waiting does not mend: no permission, a KMS key that is out of order, a secret marked for deletion."""

_Text = Annotated[str, msgspec.Meta(min_length=1)]


class _Account(msgspec.Struct):
    client_id: _Text
    client_secret: _Text


class _Secret(msgspec.Struct):
    organization: _Text
    reader: _Account
    owner: _Account
    webhook_secrets: list[_Text] = msgspec.field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Account:
    """An Atlas service account; printing it shows no secret."""

    client_id: str
    client_secret: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class OrganizationSecret:
    """What one organization's secret holds; printing it shows no secret."""

    organization: str
    reader: Account
    owner: Account
    webhook_secrets: tuple[str, ...] = field(default=(), repr=False)

    def has_signed(self, body: bytes, signature: str) -> bool:
        """Whether one of the webhook secrets made this signature (`X-MMS-Signature`: base64 of HMAC-SHA1)."""
        made = [b64encode(hmac.digest(secret.encode(), body, "sha1")) for secret in self.webhook_secrets]
        given = signature.encode("utf-8", "surrogatepass")
        return any([hmac.compare_digest(one, given) for one in made])  # noqa: C419 - all are compared

    def values(self) -> tuple[str, ...]:
        """Every text that must never be seen in a log."""
        return (self.reader.client_secret, self.owner.client_secret, *self.webhook_secrets)


@dataclass(frozen=True, kw_only=True)
class LegacyCredentials:
    """The credentials of an IAM user, for projects that encrypt with one; printing them shows no secret."""

    access_key_id: str
    secret_access_key: str = field(repr=False)


class Secrets:
    """The organizations' secrets, each kept for less than an hour, and legacy credentials, never kept."""

    def __init__(self, client: Any, now: Callable[[], datetime]) -> None:  # noqa: ANN401 - boto3 ships no types
        self._provider = SecretsProvider(boto3_client=client)
        self._now = now
        self._kept: dict[str, tuple[datetime, OrganizationSecret]] = {}
        self._seen: dict[str, None] = {}
        self._fetching = Lock()
        """Many threads find a copy too old at the same moment: one fetches, the others get what it brought."""

    def get(self, secret_id: str) -> OrganizationSecret:
        """One organization's credentials; a secret that is malformed is a PermanentError naming the field."""
        with self._fetching:
            now = self._now()
            kept = self._kept.get(secret_id)
            if kept is not None and now - kept[0] < TAKEN_UP_WITHIN:
                return kept[1]
            secret = _parse(secret_id, self._fetch(f"the Atlas secret {secret_id}", secret_id))
            self._kept[secret_id] = (now, secret)
            self._seen.update(dict.fromkeys(secret.values()))
            return secret

    def credentials(self, secret_id: str) -> LegacyCredentials:
        """An IAM user's credentials, fetched at this moment; only their secret is remembered, to be blanked in logs.

        The secret, given by its name or ARN, must be named `keyturn/…`: other secrets Keyturn's functions may
        not read. It is JSON with `access_key_id` and `secret_access_key`, or as AWS or Atlas spell these.
        """
        what = f"the credentials secret {secret_id}"
        if not _name(secret_id).startswith(PREFIX):
            text = f"{what} is not read: Keyturn may read its own secrets only: name it {PREFIX}…"
            raise PermanentError(text, call=_CALL, code="not_ours")
        try:
            content = self._fetch(what, secret_id)
        except NotFound as missing:
            text = f"{what} does not exist in Secrets Manager: make it, or correct `credentials_secret`"
            # no NotFound: to whoever swaps a key that would say that the project is gone
            raise PermanentError(text, call=_CALL, code=missing.code) from missing
        found = _parse_credentials(what, content)
        self._seen[found.secret_access_key] = None
        return found

    def current_values(self) -> tuple[str, ...]:
        """Every secret text that was ever handed out here, for the filter that blanks them in logs.

        Also those changed since: somebody may still hold them.
        """
        return tuple(self._seen)

    def _fetch(self, what: str, secret_id: str) -> str | bytes:
        try:
            text = self._provider.get(secret_id, force_fetch=True, max_age=0)
        except GetParameterError as error:
            raise _ours(what, error) from error
        if not isinstance(text, str | bytes):
            raise PermanentError(f"{what} holds no text", call=_CALL)
        return text


def _name(secret_id: str) -> str:
    """Cut a secret's name out of its ARN; a name is a name already."""
    before, mark, name = secret_id.partition(":secret:")
    return name if mark else before


def _ours(what: str, error: GetParameterError) -> OutsideError:
    # Powertools raises without `from`: what it met stands in the context.
    met = error.__context__
    code = str(met.response.get("Error", {}).get("Code", "")) if isinstance(met, ClientError) else ""
    text = f"{what} could not be read from Secrets Manager ({code or 'no answer'})"
    if code == "ResourceNotFoundException":
        return NotFound(f"{text}: make it, or correct ATLAS_SECRETS", call=_CALL, code=code)
    if code in _FOR_A_PERSON:
        return PermanentError(f"{text}: see that Keyturn's role may read it", call=_CALL, code=code)
    return TemporaryError(text, call=_CALL, code=code)


def _parse(secret_id: str, text: str | bytes) -> OrganizationSecret:
    try:
        secret = msgspec.json.decode(text, type=_Secret)
    except msgspec.ValidationError as error:
        # msgspec's message names the field and the expected type, never the value
        raise PermanentError(
            f"the Atlas secret {secret_id} is malformed: {error}", call=_CALL, code="malformed"
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise PermanentError(f"the Atlas secret {secret_id} is not JSON", call=_CALL, code="malformed") from None
    return OrganizationSecret(
        organization=secret.organization,
        reader=Account(client_id=secret.reader.client_id, client_secret=secret.reader.client_secret),
        owner=Account(client_id=secret.owner.client_id, client_secret=secret.owner.client_secret),
        webhook_secrets=tuple(secret.webhook_secrets),
    )


def _parse_credentials(what: str, text: str | bytes) -> LegacyCredentials:
    try:
        content = msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise PermanentError(f"{what} is no JSON object", call=_CALL, code="malformed") from None
    return LegacyCredentials(
        access_key_id=_only_text(what, content, _ACCESS_KEY_ID),
        secret_access_key=_only_text(what, content, _SECRET_ACCESS_KEY),
    )


def _only_text(what: str, content: dict[str, Any], names: tuple[str, ...]) -> str:
    """Give the one value that stands under these names, which must be a text without blanks."""
    match [content[name] for name in names if name in content]:
        case [str() as text] if [text] == text.split():
            return text
        case found:
            wrong = "is missing" if not found else "must stand there once, as a text without blanks"
            raise PermanentError(f"{what} is malformed: `{names[0]}` {wrong}", call=_CALL, code="malformed")
