"""HTTP without ports: an httpx transport that hands requests to ASGI apps in this process.

A mock service as a subprocess costs most of a task's time and can clash with a stale one on its port. Here every
client of a worker process is routed by port number to an app object of the present task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Required, TypedDict

import anyio.to_thread
import httpx


class Message(TypedDict, total=False):
    """One ASGI message of an HTTP request or its answer."""

    type: Required[str]
    body: bytes
    more_body: bool
    status: int
    headers: Sequence[tuple[bytes, bytes]]


Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[dict[str, object], Receive, Send], Awaitable[None]]
LOCAL = ("localhost", "127.0.0.1", "0.0.0.0")
_HOOK = "_init_transport"
"""Where an httpx client makes its transport; there is no public place that reaches clients made by other code."""
_THREADS = "run_sync"
"""What Starlette hands plain functions to."""


class Router:
    """Port → app; requests to other ports go to the network as ever."""

    def __init__(self) -> None:
        self._apps: dict[int, tuple[App, Callable[[], AbstractContextManager[None]]]] = {}
        self._forwarded: dict[int, int] = {}
        self._loop = asyncio.new_event_loop()

    def add(
        self, port: int, app: App, around: Callable[[], AbstractContextManager[None]] = nullcontext
    ) -> None:
        """Serve an app under a port; ``around`` wraps every request (its environment variables).

        Raises:
            ValueError: the port is taken.
        """
        self._require_free(port)
        self._apps[port] = (app, around)

    def forward(self, port: int, real: int) -> None:
        """Send requests to a port on to another one of this machine.

        Raises:
            ValueError: the port is taken.
        """
        self._require_free(port)
        self._forwarded[port] = real

    def remove(self, port: int) -> None:
        """Stop serving a port."""
        if self._apps.pop(port, None) is None:
            del self._forwarded[port]

    def _require_free(self, port: int) -> None:
        if port in self._apps or port in self._forwarded:
            raise ValueError(f"two services of one task use port {port}")

    def app(self, port: int) -> App | None:
        """The app on a port, if there is one."""
        return self._apps[port][0] if port in self._apps else None

    def serves(self, url: httpx.URL) -> bool:
        """Whether a request to this address is answered here."""
        return url.host in LOCAL and url.port in self._apps

    def forwarded(self, url: httpx.URL) -> httpx.URL:
        """The address that a request really goes to."""
        real = self._forwarded.get(url.port or 80) if url.host in LOCAL else None
        return url if real is None else url.copy_with(host="127.0.0.1", port=real)

    def handle(self, request: httpx.Request) -> httpx.Response:
        """Answer a request with the app on its port."""
        app, around = self._apps[request.url.port or 80]
        with around():
            return self._loop.run_until_complete(_call(app, request))

    def close(self) -> None:
        """Free the event loop."""
        self._loop.close()


class RoutedTransport(httpx.BaseTransport):
    """The transport of every client in a worker: the router first, the network else.

    The network's transport is only made when it is needed: it reads all certificates, which takes longer than most
    requests here.
    """

    def __init__(self, router: Router, make_network: Callable[[], httpx.BaseTransport]) -> None:
        self._router, self._make_network = router, make_network
        self._network: httpx.BaseTransport | None = None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        if self._router.serves(request.url):
            return self._router.handle(request)
        request.url = self._router.forwarded(request.url)
        if self._network is None:
            self._network = self._make_network()
        return self._network.handle_request(request)

    def close(self) -> None:
        """Close the connections to the network."""
        if self._network is not None:
            self._network.close()


@contextmanager
def routed_clients(router: Router) -> Iterator[None]:
    """Route every httpx client that is made inside; code that makes its own clients needs no change."""
    original = httpx.Client._init_transport

    def with_router(client: httpx.Client, *args: Any, **kwargs: Any) -> httpx.BaseTransport:
        return RoutedTransport(router, lambda: original(client, *args, **kwargs))

    setattr(httpx.Client, _HOOK, with_router)
    try:
        yield
    finally:
        setattr(httpx.Client, _HOOK, original)


@contextmanager
def inline_endpoints() -> Iterator[None]:
    """Run the endpoints of apps in the calling thread.

    Starlette gives plain functions to a thread, so that others can be served meanwhile. Here there is one request at a
    time, and the thread is most of its cost.
    """
    original = anyio.to_thread.run_sync

    async def run_here(function: Callable[..., object], *args: object, **options: object) -> Any:
        return function(*args)

    setattr(anyio.to_thread, _THREADS, run_here)
    try:
        yield
    finally:
        setattr(anyio.to_thread, _THREADS, original)


async def _call(app: App, request: httpx.Request) -> httpx.Response:
    body = request.read()
    url = request.url
    scope: dict[str, object] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": url.scheme,
        "path": url.path,
        "raw_path": url.raw_path.partition(b"?")[0],
        "query_string": url.query,
        "root_path": "",
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "server": (url.host, url.port),
        "client": ("127.0.0.1", 0),
    }
    unread: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
    answered = asyncio.Event()
    status, headers, parts = 500, [(b"content-type", b"text/plain")], [b"Internal Server Error"]
    started = False

    async def receive() -> Message:
        if unread:
            return unread.pop()
        await answered.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        nonlocal status, headers, started
        if message["type"] == "http.response.start":
            status, headers, started = message["status"], list(message.get("headers", [])), True
            parts.clear()
        elif message["type"] == "http.response.body":
            parts.append(message.get("body", b""))
            if not message.get("more_body"):
                answered.set()

    try:
        await app(scope, receive, send)
    except Exception:
        # A web server logs this and answers 500; Starlette has usually sent that answer already.
        if not started:
            parts[:] = [b"Internal Server Error"]
    return httpx.Response(status, headers=headers, content=b"".join(parts), request=request)
