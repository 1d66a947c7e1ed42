"""Gets one page over HTTP and follows its redirects: the program behind `web_fetch`.

Two places run it. Hosts of the scenario are served by this process, so a request to one of them is handed to its
front end directly: starting an interpreter in the box for it would cost more CPU than all else about a fetch. What the
agent serves in its box, and what can't be reached at all, is asked from inside, by this very file run as a program; it
needs the standard library only.
"""

from __future__ import annotations

import http.client
import json
import os
import sys
from urllib.parse import urljoin, urlsplit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Connect = Callable[[str, int], tuple[http.client.HTTPConnection, bool] | None]

HOPS = 6
"""Requests that one fetch may make: the page's own and its redirects."""

_LOCAL = ("localhost", "0.0.0.0", "::1", "::")
_MOVED = (301, 302, 303, 307, 308)


class Elsewhere(Exception):
    """The page is where no connection can be made from here: go on from there, with so many requests left."""

    def __init__(self, url: str, hops: int) -> None:
        super().__init__(url)
        self.url, self.hops = url, hops


def get_page(url: str, limit: int, connect: Connect, hops: int = HOPS) -> tuple[dict[str, Any], bytes]:
    """Get a page.

    Args:
        url: absolute, ``http``.
        limit: most bytes of the body.
        connect: (host, port) → a connection, and whether it is to a proxy; None: it can't be made from here.
        hops: requests that may be made.

    Returns:
        ``{"error": …}``, or status, type, content encoding, the address after redirects, whether the body was cut, and
        Retry-After; then the body.

    Raises:
        Elsewhere: ``connect`` said None.
    """
    body = b""
    try:
        for made in range(hops):
            there = urlsplit(url)
            if (line_to := connect(there.hostname or "", there.port or 80)) is None:
                raise Elsewhere(url, hops - made)
            line, proxied = line_to
            path = (there.path or "/") + ("?" + there.query if there.query else "")
            path = "http://" + there.netloc + path if proxied else path
            line.request("GET", path, headers={"Host": there.netloc, "Accept": "text/html, */*"})
            reply = line.getresponse()
            if reply.status not in _MOVED or not reply.headers.get("Location"):
                break
            url = urljoin(url, reply.headers["Location"])
            if not url.startswith("http://"):
                raise OSError("redirected to " + url + ", which is not http")
        else:
            raise OSError("redirected too often")
        body = reply.read(limit + 1)
        if len(body) < min(limit, int(reply.headers.get("Content-Length") or 0)):
            raise OSError(f"the connection broke after {len(body)} bytes")
    except (OSError, http.client.HTTPException, ValueError) as error:
        return {"error": str(error) or type(error).__name__}, b""
    said = {
        "status": reply.status,
        "type": reply.headers.get("Content-Type", ""),
        "encoding": reply.headers.get("Content-Encoding", ""),
        "url": url,
        "cut": len(body) > limit,
        "retry": reply.headers.get("Retry-After", ""),
    }
    return said, body[:limit]


def is_local(host: str) -> bool:
    """Whether a host is the box itself, which is asked without the proxy."""
    return host in _LOCAL or host.startswith("127.")


def _from_inside(host: str, port: int) -> tuple[http.client.HTTPConnection, bool]:
    proxy = urlsplit(os.environ.get("http_proxy", ""))
    if proxy.hostname and not is_local(host):
        return http.client.HTTPConnection(proxy.hostname, proxy.port, timeout=30), True
    return http.client.HTTPConnection(host, port, timeout=30), False


def main(url: str, limit: str, hops: str, dump: str) -> None:
    """Get a page in the box: what is said of it goes to standard output, its body into a file."""
    said, body = get_page(url, int(limit), _from_inside, int(hops))
    if "error" not in said:
        with open(dump, "wb") as file:
            file.write(body)
    print(json.dumps(said))


if __name__ == "__main__":
    main(*sys.argv[1:])
