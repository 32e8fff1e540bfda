"""Who is let in: the page that this console served, in a browser on this machine, and nobody else."""

from dataclasses import dataclass
from hmac import compare_digest
from http import HTTPStatus

from cli.console.exchange import Call, TurnedAway

METHODS = ("GET", "POST", "PATCH", "DELETE")
_OURSELVES = {"same-origin", "none"}
"""What a browser says of a request of our own page, and of an address that somebody typed."""


@dataclass(frozen=True, kw_only=True)
class Gate:
    """Knows the console's one address: `authority`, as `127.0.0.1:8500`, and the token that its path begins with."""

    authority: str
    token: str

    @property
    def address(self) -> str:
        """Where the page is."""
        return f"http://{self.authority}/{self.token}/"

    def admit(self, call: Call) -> str:
        """The path behind the token; raises TurnedAway.

        A name that was bent to this machine (DNS rebinding) shows in Host, another page in Origin, and a program that
        guesses does not know the token.
        """
        if call.headers.get("host") != self.authority:
            raise TurnedAway(HTTPStatus.MISDIRECTED_REQUEST, f"The console answers as {self.authority} alone.")
        if call.method not in METHODS:
            raise TurnedAway(HTTPStatus.METHOD_NOT_ALLOWED, f"The console takes {', '.join(METHODS)}.")
        self._look_at_origin(call)
        return self._behind_token(call.target)

    def _look_at_origin(self, call: Call) -> None:
        origin = call.headers.get("origin")
        if origin is None and call.method != "GET":
            raise TurnedAway(HTTPStatus.FORBIDDEN, "A change without an Origin is not of the console's page.")
        if origin is not None and origin != f"http://{self.authority}":
            raise TurnedAway(HTTPStatus.FORBIDDEN, "Another page may not ask here.")
        if call.headers.get("sec-fetch-site", "none") not in _OURSELVES:
            raise TurnedAway(HTTPStatus.FORBIDDEN, "Another page may not ask here.")

    def _behind_token(self, target: str) -> str:
        if not target.startswith("/") or "\\" in target:
            raise TurnedAway(HTTPStatus.BAD_REQUEST, "That is no path of the console's.")
        token, slash, rest = target[1:].partition("/")
        if not compare_digest(token.encode(), self.token.encode()) or not slash:
            raise TurnedAway(HTTPStatus.NOT_FOUND, "Open the address that `keyturn console` printed.")
        return rest
