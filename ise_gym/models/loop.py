"""One event loop a process for all talk with models, in a thread of its own.

A request that runs as a task can be cut at any moment: while a name is looked up, while headers drip in, while the body
does. Timeouts of HTTP clients are per read, so a server that sends a byte every half second is never late for them.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")
_lock = threading.Lock()
_running: tuple[int, asyncio.AbstractEventLoop] | None = None
_clients: dict[tuple[Any, ...], Any] = {}


def run(task: Coroutine[object, object, _T]) -> _T:
    """Run a coroutine on the loop and return what it gives; interrupting the caller cancels it.

    Raises:
        RuntimeError: called on the loop itself, which would wait for itself.
    """
    future = asyncio.run_coroutine_threadsafe(task, _loop())
    try:
        return future.result()
    finally:
        future.cancel()


def shared_client(base_url: str | None, api_key: str) -> Any:
    """Return an ``openai.AsyncOpenAI`` of this process; equal arguments give the same one, which is never closed.

    A client of its own for each of 64 episodes costs tens of milliseconds apiece (a TLS context), and as many pools.
    """
    import openai

    _loop()  # a process that was forked must not use its parent's connections
    key = (base_url, api_key)
    with _lock:
        if key not in _clients:
            _clients[key] = openai.AsyncOpenAI(base_url=base_url, api_key=api_key, max_retries=0)
        return _clients[key]


def _loop() -> asyncio.AbstractEventLoop:
    global _running
    with _lock:
        if _running is None or _running[0] != os.getpid():
            loop = asyncio.new_event_loop()
            threading.Thread(target=loop.run_forever, name="models", daemon=True).start()
            _running = (os.getpid(), loop)
            _clients.clear()
        return _running[1]
