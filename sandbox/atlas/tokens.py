"""Access tokens of the service accounts: 3600 seconds on the virtual clock."""

import time
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from datetime import datetime, timedelta
from secrets import compare_digest, token_bytes, token_urlsafe
from urllib.parse import unquote_plus

from sandbox.atlas.model import ServiceAccount
from sandbox.atlas.refusals import Refusal

TOKEN_LIFE = timedelta(hours=1)
MINUTE = 60.0


class Tokens:
    """Grants tokens and knows whose they are; `limit` is per account and real minute, None for none."""

    def __init__(self, accounts: tuple[ServiceAccount, ...]) -> None:
        self.limit: int | None = None
        self._accounts = accounts
        self._tokens: dict[str, tuple[ServiceAccount, datetime]] = {}
        self._granted: list[tuple[str, float]] = []
        self.ever: set[str] = set()
        """Every token that was ever given: whoever looks for leaks looks for these."""
        self.barred: set[str] = set()
        """Client ids of accounts that were taken away: they get no token, and theirs are worth nothing."""

    def grant(self, authorization: str, form: dict[str, str], now: datetime) -> dict[str, object]:
        """Give a token to who proves to be a service account; 401 for others."""
        account = self._account(authorization)
        if account is None:
            raise unauthorized()
        if form.get("grant_type") != "client_credentials":
            raise Refusal(400, "INVALID_GRANT_TYPE", "Only client_credentials are granted.")
        self._check_limit(account)
        token = token_urlsafe(24)
        self.ever.add(token)
        self._tokens[token] = (account, now + TOKEN_LIFE)
        return {"access_token": token, "expires_in": int(TOKEN_LIFE.total_seconds()), "token_type": "Bearer"}

    def holder(self, authorization: str, now: datetime) -> ServiceAccount:
        """The account behind a Bearer token that is still good; 401 without one."""
        scheme, _, token = authorization.partition(" ")
        account, until = self._tokens.get(token, (None, now))
        if scheme != "Bearer" or account is None or until <= now or account.client_id in self.barred:
            raise unauthorized()
        return account

    def revoke_all(self) -> None:
        """Make every token worthless that was granted so far."""
        self._tokens.clear()

    def _account(self, authorization: str) -> ServiceAccount | None:
        scheme, _, encoded = authorization.partition(" ")
        try:
            name, _, secret = b64decode(encoded, validate=True).decode().partition(":")
        except (NotBase64, UnicodeDecodeError):
            return None
        given = (unquote_plus(name), unquote_plus(secret))
        matching = [one for one in self._accounts if one.client_id == given[0]]
        known = scheme == "Basic" and matching and compare_digest(matching[0].client_secret, given[1])
        return matching[0] if known and given[0] not in self.barred else None

    def _check_limit(self, account: ServiceAccount) -> None:
        if self.limit is None:
            return
        since = time.monotonic() - MINUTE
        self._granted = [(name, at) for name, at in self._granted if at > since]
        if sum(name == account.client_id for name, _ in self._granted) >= self.limit:
            about = ("/api/oauth/token", self.limit, 1)
            raise Refusal(429, "RATE_LIMITED", "Too many tokens in a minute.", about, {"Retry-After": "60"})
        self._granted.append((account.client_id, time.monotonic()))


def unauthorized() -> Refusal:
    """Nobody who may come in: answered as a digest challenge, like recorded answers."""
    nonce = b64encode(token_bytes(24)).decode()
    challenge = f'Digest realm="MMS Public API", domain="", nonce="{nonce}", algorithm=MD5, qop="auth", stale=false'
    text = "You are not authorized for this resource."
    return Refusal(401, "UNEXPECTED_ERROR", text, headers={"Www-Authenticate": challenge})
