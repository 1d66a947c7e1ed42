"""The HTTP front of a box: one port that is proxy for every host name of the scenario.

Clients find it through ``http_proxy``, which curl, wget, git, pip and Python all follow, so that no resolver and no
hosts file is needed. It connects to nothing: what is not a host of the scenario is answered with 502.
"""

from __future__ import annotations

from collections.abc import Callable
from email.message import Message
from http.client import responses
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qsl, urlsplit

from ise_gym.services.site import Request, Response

MOST_BODY = 8 << 20
_PATIENCE_S = 30.0


class Front(BaseHTTPRequestHandler):
    """Reads one request from a connection of the box, answers it and hangs up."""

    timeout = _PATIENCE_S
    answer: Callable[[Request], Response]
    """Set by `front_for`."""

    def handle_one_request(self) -> None:
        """Read a request; anything that is not HTTP gets a 400 from the base class."""
        self.close_connection = True
        self.raw_requestline = self.rfile.readline(65537)
        if len(self.raw_requestline) > 65536:
            self.requestline = self.request_version = self.command = ""
            self.send_error(414)
        elif self.raw_requestline and self.parse_request():
            self._serve()

    def _serve(self) -> None:
        self.close_connection = True
        if self.command == "CONNECT":
            self._send(Response(501, b"This network speaks http only: use http:// instead of https://.\n"))
            return
        try:
            address = urlsplit(self.path)
            host = address.hostname or urlsplit("//" + self.headers.get("Host", "")).hostname or ""
            size = int(self.headers.get("Content-Length", 0))
        except ValueError:
            self._send(Response(400, b"This request can't be read.\n"))
            return
        if not 0 <= size <= MOST_BODY:
            self._send(Response(413, b"The body is too large.\n"))
            return
        body = self.rfile.read(size) if size else b""
        path = address.path or "/"
        target = f"{path}?{address.query}" if address.query else path
        query = dict(parse_qsl(address.query, keep_blank_values=True))
        headers = _lower(self.headers)
        self._send(type(self).answer(Request(self.command, host, path, query, headers, body, target)))

    def _send(self, response: Response) -> None:
        body = response.body
        lines = [
            f"HTTP/1.1 {response.status} {responses.get(response.status, 'Unknown')}",
            f"Content-Type: {response.content_type}",
            f"Content-Length: {len(body)}",
            "Connection: close",
            *(f"{name}: {value}" for name, value in response.headers.items()),
        ]
        self.wfile.write("\r\n".join([*lines, "", ""]).encode("latin-1", "replace"))
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) // 2] if response.cut else body)

    def version_string(self) -> str:
        """Name no version: answers are the same everywhere."""
        return "web"

    def date_time_string(self, timestamp: float | None = None) -> str:
        """Name no clock in the base class's error answers."""
        return "Wed, 01 Jan 2025 00:00:00 GMT"

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet: the state counts what was asked."""


def _lower(headers: Message) -> dict[str, str]:
    return {name.lower(): str(value) for name, value in headers.items()}


def front_for(answer: Callable[[Request], Response]) -> type[Front]:
    """Return the handler class whose requests go to ``answer``."""
    return type("BoundFront", (Front,), {"answer": staticmethod(answer)})
