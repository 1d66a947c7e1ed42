"""Who gets in: a browser that was given the token, at an address that is this machine's, from a page of our own.

A page of another origin can make a browser send requests here. So the address must name this machine (DNS rebinding),
every request must hold the token as a cookie that other sites' requests do not carry, and what writes must come from
here.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = ("127.0.0.1", "localhost", "::1")
LARGEST_BODY = 64_000
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    b"content-security-policy": POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
}


class Door:
    """Middleware around the application.

    Args:
        app: what is behind it.
        token: lets in; the first request brings it in its address, later ones as a cookie.
        hosts: names by which this machine is addressed; empty: any (then the token alone decides).
    """

    def __init__(self, app: ASGIApp, token: str, hosts: Collection[str] = LOOPBACK) -> None:
        self._app, self._token, self._hosts = app, token, frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or say why not."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = [(k, v) for k, v in message.get("headers", []) if k.lower() not in _HEADERS]
                message["headers"] = [*kept, *_HEADERS.items()]
                if not any(k.lower() == b"cache-control" for k, _ in kept):
                    message["headers"].append((b"cache-control", b"no-store"))
            await send(message)

        refused = self._refusal(Request(scope))
        await (refused or self._app)(scope, receive, guarded)

    def _refusal(self, request: Request) -> Response | None:
        host = request.headers.get("host", "")
        name, _, port = host.rpartition(":") if not host.endswith("]") and ":" in host else (host, "", "")
        if self._hosts and name.strip("[]").lower() not in self._hosts:
            return PlainTextResponse("This address is not the viewer's.", 421)
        cookie = f"ise_view_{port or 'http'}"
        given = request.query_params.get("token")
        if given is not None and request.method == "GET":
            if not self._fits(given):
                return PlainTextResponse("The token in this address is not the one of this viewer.", 403)
            rest = urlencode(
                [p for p in parse_qsl(request.url.query, keep_blank_values=True) if p[0] != "token"]
            )
            answer = RedirectResponse(request.url.path + (f"?{rest}" if rest else ""), 303)
            answer.set_cookie(cookie, self._token, httponly=True, samesite="strict", path="/")
            return answer
        if not self._fits(request.cookies.get(cookie, "")):
            return PlainTextResponse("Open the address that `ise view` printed: it holds the token.", 403)
        if request.method in ("GET", "HEAD"):
            return None
        if request.method != "POST":
            return PlainTextResponse("Only GET and POST.", 405)
        if request.headers.get("origin") != f"{request.url.scheme}://{host}" or not request.headers.get(
            "hx-request"
        ):
            return PlainTextResponse("Labels are written from the viewer's own pages only.", 403)
        size = request.headers.get("content-length", "")
        if not size.isdigit() or int(size) > LARGEST_BODY:
            return PlainTextResponse("Too much at once.", 413)
        return None

    def _fits(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self._token.encode())
