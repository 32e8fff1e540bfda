"""Ends the wait for an answer when the time is up, also for one that comes byte by byte.

A time limit of urllib3 or of a socket is one on each silence: whoever sends a byte now and then is waited for without
end. So before each wait for more, headers included, the socket gets what is left of the time.
"""

import io
from collections.abc import Callable
from http.client import HTTPResponse
from socket import socket
from typing import Any

import urllib3

SecondsLeft = Callable[[], float]


class _Arriving(io.RawIOBase):
    """What arrives at a socket, as long as there is time."""

    def __init__(self, raw: io.RawIOBase, arriving_at: socket, longest_wait: SecondsLeft) -> None:
        self._raw = raw
        self._socket = arriving_at
        self._longest_wait = longest_wait

    def readable(self) -> bool:
        """Whether it can be read, which is all that it can."""
        return True

    def readinto(self, buffer: Any) -> int | None:  # noqa: ANN401 - Python 3.11 has no name for what takes bytes
        """Wait for some bytes, no longer than there is time."""
        wait = self._longest_wait()
        if wait <= 0:
            raise TimeoutError("timed out")
        self._socket.settimeout(wait)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        """Give the socket back, which its connection keeps or closes."""
        self._raw.close()
        super().close()


def hold_answers_to(pool: urllib3.HTTPConnectionPool, longest_wait: SecondsLeft) -> None:
    """Let each answer over these connections wait for more only as long as `longest_wait` then says."""

    def answer(arriving_at: socket, debug_level: int = 0, method: str | None = None) -> HTTPResponse:
        response = HTTPResponse(arriving_at, debug_level, method)
        response.fp = io.BufferedReader(_Arriving(response.fp.detach(), arriving_at, longest_wait))
        return response

    own = {"response_class": staticmethod(answer)}
    pool.ConnectionCls = type(pool.ConnectionCls.__name__, (pool.ConnectionCls,), own)
