"""Where Keyturn's API is: its address, and the region that signatures are for."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from cli.failures import Misused

_GATEWAY = re.compile(r"\.execute-api\.([a-z0-9-]+)\.(?:amazonaws\.com|vpce\.amazonaws\.com|amazonaws\.com\.cn)$")
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


@dataclass(frozen=True, kw_only=True)
class Place:
    """An address without a slash at its end, and the region it names itself, if it does."""

    address: str
    region: str | None

    @property
    def is_loopback(self) -> bool:
        """Whether it is on this machine."""
        return urlsplit(self.address).hostname in _LOOPBACK


def find_place(endpoint: str | None) -> Place:
    """Read an endpoint; raises Misused for none, or for one over which nobody should talk."""
    if not endpoint:
        raise Misused(
            "Where is Keyturn? Give --endpoint or set KEYTURN_ENDPOINT: the stack's output EndpointURL, or the"
            " sandbox's address."
        )
    try:
        parts = urlsplit(endpoint)
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise Misused(f"The endpoint is no address: {error}.") from error
    if parts.username or parts.password or parts.query or parts.fragment or not host:
        raise Misused("The endpoint is an address with a stage and nothing more, as https://…amazonaws.com/live.")
    if parts.scheme != "https" and not (parts.scheme == "http" and host in _LOOPBACK):
        raise Misused("The endpoint begins with https://; http:// is for a sandbox on this machine alone.")
    found = _GATEWAY.search(host)
    return Place(address=endpoint.rstrip("/"), region=found[1] if found else None)
