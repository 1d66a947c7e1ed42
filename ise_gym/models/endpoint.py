"""One client a process for each OpenAI-compatible endpoint: agents and users of all episodes share its connections.

A client of its own for each of 64 episodes costs tens of milliseconds apiece (a TLS context), and as many pools.
"""

from __future__ import annotations

import threading
from typing import Any

_clients: dict[tuple[Any, ...], Any] = {}
_lock = threading.Lock()


def shared_client(base_url: str | None, api_key: str, timeout: float, max_retries: int) -> Any:
    """Return an ``openai.OpenAI`` client; equal arguments give the same one, which is never closed.

    Args:
        base_url: up to ``/v1``; None is OpenAI's own.
        api_key: sent as bearer token.
        timeout: seconds of one request, each retry anew.
        max_retries: after connection failures, timeouts, 408, 409, 429 and 5xx.
    """
    import openai

    key = (base_url, api_key, timeout, max_retries)
    with _lock:
        if key not in _clients:
            _clients[key] = openai.OpenAI(
                base_url=base_url, api_key=api_key, timeout=timeout, max_retries=max_retries
            )
        return _clients[key]
