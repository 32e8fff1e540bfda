"""Fetches and keeps the access token of one Atlas service account (OAuth 2 client credentials).

Atlas gives a service account 50 tokens a minute and address, so one token serves for nearly all its life.
"""

import base64
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock
from typing import Protocol
from urllib.parse import quote_plus

import msgspec

from chalicelib.adapters.atlas_errors import is_temporary, read_error, retry_after
from chalicelib.adapters.atlas_wire import Answer, AtlasWire
from chalicelib.usecases.ports import OutsideError, PermanentError, TemporaryError

TOKEN_CALL = "POST /api/oauth/token"  # noqa: S105 - the name of a call, not a secret
MARGIN = timedelta(minutes=5)
"""How long before its end a token is no longer used."""

RENEWED_AT_MOST_EVERY = timedelta(minutes=1)
"""So that many refused calls in a row do not use up the tokens that Atlas gives in a minute."""

_REMEMBERED = 8
"""How many of the latest tokens are known again, should Atlas repeat one."""

_LONGEST_LIFE = 24 * 60 * 60
"""In seconds; Atlas says an hour."""

_OK = 200
_FORM = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
_PLAIN = re.compile(r"[A-Za-z0-9._~+/=-]+")


class ServiceAccount(Protocol):
    """A service account of Atlas, whoever keeps it."""

    @property
    def client_id(self) -> str:
        """Its public name."""
        ...

    @property
    def client_secret(self) -> str:
        """Its secret."""
        ...


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """A service account of Atlas; its printed form does not show the secret."""

    client_id: str
    client_secret: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Token:
    """An access token, and until when we use it; its printed form does not show the token."""

    text: str = field(repr=False)
    use_until: datetime
    account: tuple[str, str] = field(repr=False)
    """Client id and secret that it was fetched with."""


class _TokenAnswer(msgspec.Struct):
    access_token: str
    expires_in: int


class AtlasTokens:
    """The token of one service account, shared by all threads of a warm Lambda."""

    def __init__(
        self,
        wire: AtlasWire,
        credentials: Callable[[], ServiceAccount],
        now: Callable[[], datetime],
        on_token: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self._wire = wire
        self._on_token = on_token
        self._credentials = credentials
        self._now = now
        self._lock = Lock()
        self._token: Token | None = None
        self._renewed_at: datetime | None = None
        self._sent: deque[str] = deque(maxlen=_REMEMBERED)

    def secrets(self) -> tuple[str, ...]:
        """The client secret, and the latest tokens: what must not be repeated by whoever is told what Atlas said."""
        with self._lock:
            kept = self._token
            return (*self._sent, *((kept.account[1],) if kept is not None else ()))

    def current(self) -> tuple[Token, bool]:
        """Give a token, and whether it is an older one: one that Atlas may have withdrawn meanwhile."""
        account = self._account()
        with self._lock:
            kept = self._token
            if kept is not None and kept.account == account and self._now() < kept.use_until:
                return kept, True
            return self._keep(self._fetch(account)), False

    def renew(self, refused: Token) -> Token | None:
        """Give another token than the refused one; None when it was renewed for that reason just now."""
        account = self._account()
        with self._lock:
            if self._token is not None and self._token != refused:
                return self._token
            now = self._now()
            if self._renewed_at is not None and now < self._renewed_at + RENEWED_AT_MOST_EVERY:
                return None
            self._renewed_at = now
            self._token = None
            return self._keep(self._fetch(account))

    def _account(self) -> tuple[str, str]:
        account = self._credentials()
        return account.client_id, account.client_secret

    def _keep(self, token: Token) -> Token:
        self._token = token
        self._sent.append(token.text)
        self._on_token(token.text)
        return token

    def _fetch(self, account: tuple[str, str]) -> Token:
        answer = self._wire.send(
            "POST",
            "/api/oauth/token",
            headers={**_FORM, "Authorization": _basic(*account)},
            body=b"grant_type=client_credentials",
        )
        if answer.status != _OK:
            raise _refused(answer, account)
        granted = _read(answer)
        life = timedelta(seconds=max(0, min(granted.expires_in, _LONGEST_LIFE)))
        return Token(
            text=granted.access_token,
            use_until=self._now() + life - min(MARGIN, life / 2),
            account=account,
        )


def _basic(client_id: str, client_secret: str) -> str:
    pair = f"{quote_plus(client_id)}:{quote_plus(client_secret)}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def _read(answer: Answer) -> _TokenAnswer:
    """Read the answer; what it says is kept out of every error, for it may hold the token."""
    try:
        granted = msgspec.json.decode(answer.body, type=_TokenAnswer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        granted = None
    if granted is None or not _PLAIN.fullmatch(granted.access_token):
        message = f"{TOKEN_CALL}: Atlas answered, but with no access token that can be used"
        raise TemporaryError(message, call=TOKEN_CALL, code="unreadable_answer")
    return granted


def _refused(answer: Answer, account: tuple[str, str]) -> OutsideError:
    code, _ = read_error(answer, account)
    reason = f"HTTP {answer.status} {code}".rstrip()
    if is_temporary(answer.status, code):
        message = f"{TOKEN_CALL}: {reason}: no access token for now, ask again later"
        wait = retry_after(answer)
        return TemporaryError(message, call=TOKEN_CALL, code=code or f"HTTP_{answer.status}", retry_after=wait)
    message = (
        f"{TOKEN_CALL}: {reason}: Atlas refuses the service account's client id or secret; it may have expired or"
        " been replaced: put the new one into the organization's secret in Secrets Manager"
    )
    return PermanentError(message, call=TOKEN_CALL, code=code or f"HTTP_{answer.status}")
