"""One session with one Atlas as one service account: authorized calls, retried where that can do no harm."""

import logging
from collections.abc import Callable
from datetime import datetime

from chalicelib.adapters.atlas_calls import Call
from chalicelib.adapters.atlas_errors import refusal
from chalicelib.adapters.atlas_secrecy import blank
from chalicelib.adapters.atlas_token import AtlasTokens, ServiceAccount, Token
from chalicelib.adapters.atlas_waits import Patience
from chalicelib.adapters.atlas_wire import Answer, AtlasWire

_log = logging.getLogger(__name__)
_UNAUTHORIZED = 401
_SUCCESSES = range(200, 300)


class AtlasHttp:
    """A session, safe to share between threads and to keep in a warm Lambda.

    `credentials` is asked again and again, so that a changed secret is taken up; `seconds_left` says what
    remains of the invocation; `random` gives chance between 0 and 1. A base URL that is neither https nor
    loopback raises ValueError. `known_secrets` gives what must not be repeated, beside what this session sends;
    `on_token` is told of every access token, so that others keep it out of sight too.
    """

    def __init__(  # noqa: PLR0913 - all that a session stands on
        self,
        *,
        base_url: str,
        credentials: Callable[[], ServiceAccount],
        now: Callable[[], datetime],
        sleep: Callable[[float], None],
        random: Callable[[], float],
        seconds_left: Callable[[], float],
        known_secrets: Callable[[], tuple[str, ...]] = tuple,
        on_token: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self._wire = AtlasWire(base_url, seconds_left)
        self._tokens = AtlasTokens(self._wire, credentials, now, on_token)
        self._patience = Patience(sleep=sleep, random=random, budget=self._wire.budget)
        self._warned: set[str] = set()
        self._known_secrets = known_secrets

    @property
    def latest_date(self) -> datetime | None:
        """The Date header of the latest answer, None before the first."""
        return self._wire.latest_date

    def read(self, call: Call) -> bytes:
        """Give the body of a GET, asked again after temporary failures while time lasts."""
        return self._patience.insist(lambda: self._authorized(call)).body

    def change(self, call: Call) -> None:
        """Send a change once: after a lost answer its effect is unknown, and only reading can tell."""
        self._patience.insist(self._tokens.current)
        self._authorized(call)

    def _authorized(self, call: Call) -> Answer:
        """Make one call; a token from the cache that Atlas refuses is fetched anew once."""
        token, older = self._tokens.current()
        answer = self._send(call, token)
        if answer.status == _UNAUTHORIZED and older:
            newer = self._tokens.renew(token)
            answer = self._send(call, newer) if newer is not None else answer
        if answer.status not in _SUCCESSES:
            raise refusal(call, answer, self._secrets())
        self._warn_of_sunset(call, answer)
        return answer

    def _send(self, call: Call, token: Token) -> Answer:
        headers = {"Accept": call.operation.media_type, "Authorization": f"Bearer {token.text}"}
        if call.body is not None:
            headers["Content-Type"] = call.operation.media_type
        return self._wire.send(call.operation.method, call.target, headers=headers, body=call.body)

    def _secrets(self) -> tuple[str, ...]:
        """Every secret that this session has sent, and those that it was told of."""
        return (*self._tokens.secrets(), *self._known_secrets())

    def _warn_of_sunset(self, call: Call, answer: Answer) -> None:
        operation = call.operation
        leaving = "Deprecation" in answer.headers or "Sunset" in answer.headers
        if not leaving or operation.name in self._warned:
            return
        self._warned.add(operation.name)
        _log.warning(
            "Atlas is going to drop version %s of %s (deprecated: %s, gone after: %s); update Keyturn before that",
            operation.version,
            operation.name,
            *(blank(answer.headers.get(name, "not said"), self._secrets(), "…") for name in ("Deprecation", "Sunset")),
        )
