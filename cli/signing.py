"""Signs requests with the operator's own AWS credentials: profiles, SSO and roles, as the AWS CLI finds them."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session

from cli.failures import NoWayIn

_SERVICE = "execute-api"
_OTHERWISE = "us-east-1"


@dataclass(frozen=True)
class Signer:
    """Credentials of the normal chain, looked for when the first request needs them."""

    profile: str | None
    region: str | None
    """The region asked for, or named by the endpoint; None: as the profile says."""

    def sign(self, request: AWSRequest) -> None:
        """Put a Signature Version 4 on a request; raises NoWayIn where there are no credentials."""
        try:
            SigV4Auth(self._credentials, _SERVICE, self.signing_region).add_auth(request)
        except (BotoCoreError, ClientError) as error:
            raise self._no_credentials(error) from error

    @property
    def source(self) -> str:
        """Which link of the chain gave the credentials, in botocore's word; raises NoWayIn where there are none."""
        return str(self._credentials.method)

    def blank(self, text: bytes) -> bytes:
        """A text without these credentials, should whoever answered have repeated them."""
        try:
            held = self._credentials.get_frozen_credentials()
        except (NoWayIn, BotoCoreError, ClientError):
            return text
        for secret in (held.secret_key, held.token, held.access_key):
            text = text.replace(secret.encode(), b"[blanked]") if secret else text
        return text

    @cached_property
    def signing_region(self) -> str:
        """The region that the signature is for."""
        return self.region or self._session.get_config_variable("region") or _OTHERWISE

    @cached_property
    def _session(self) -> Session:
        return Session(profile=self.profile)

    @cached_property
    def _credentials(self) -> Any:  # noqa: ANN401 - botocore carries no types
        try:
            found = self._session.get_credentials()
        except (BotoCoreError, ClientError) as error:
            raise self._no_credentials(error) from error
        if found is None:
            raise NoWayIn(
                "No AWS credentials were found. Name a profile with --profile or AWS_PROFILE, or log in (with SSO:"
                " aws sso login)."
            )
        return found

    def _no_credentials(self, error: Exception) -> NoWayIn:
        named = f" --profile {self.profile}" if self.profile else ""
        return NoWayIn(f"The AWS credentials could not be had: {error}\nWith SSO, log in again: aws sso login{named}")
