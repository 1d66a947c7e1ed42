"""HTTP connections to a scenario's hosts without a socket, for what this process asks on behalf of the box.

Request and answer are the very bytes that would go through the box's proxy, read and written by the same front end, so
that nothing can tell the two ways apart but the time they take.
"""

from __future__ import annotations

import io
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any

from ise_gym.services.http import front_for

if TYPE_CHECKING:
    from ise_gym.services.host import ServiceHost


class DirectConnection(HTTPConnection):
    """A connection for one request to the proxy of a `ServiceHost`."""

    def __init__(self, host: ServiceHost) -> None:
        super().__init__("127.0.0.1")
        self._host = host

    def connect(self) -> None:
        """Put the front end where the socket would be."""
        self.sock = _Line(self._host)


class _Line:
    """The client's end: collects the request, and has it answered when the answer is read."""

    def __init__(self, host: ServiceHost) -> None:
        self._host = host
        self._sent = bytearray()

    def sendall(self, data: bytes) -> None:
        """Take a part of the request."""
        self._sent += data

    def makefile(self, mode: str) -> io.BytesIO:
        """Have the request answered; return the answer."""
        end = _End(bytes(self._sent))
        front_for(self._host.answer)(end, ("127.0.0.1", 0), None)  # type: ignore[arg-type]
        return io.BytesIO(bytes(end.answer))

    def close(self) -> None:
        """Nothing is held."""


class _End:
    """The server's end: what `socketserver.StreamRequestHandler` asks of a socket."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self.answer = bytearray()

    def makefile(self, mode: str, size: int) -> io.BufferedReader[Any]:
        """Return the request."""
        return io.BufferedReader(io.BytesIO(self._request))

    def sendall(self, data: bytes) -> None:
        """Take a part of the answer."""
        self.answer += data

    def settimeout(self, seconds: float) -> None:
        """Nothing is waited for."""
