"""A chat-completions server whose answers are made by a function: judges and users without a model."""

from __future__ import annotations

import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from types import TracebackType
from typing import Any

Answer = str | int | tuple[int, dict[str, Any]] | dict[str, Any]
"""Words, an HTTP status with a body or without, or a whole message."""


class ModelServer:
    """Serves while the context is open.

    Args:
        answer: makes the n-th answer, n = 1, 2, …; may sleep.

    Attributes:
        requests: the bodies so far. ``most``: how many were being answered at the same time at most.
    """

    def __init__(self, answer: Callable[[int], Answer]) -> None:
        self.requests: list[dict[str, Any]] = []
        self.most = 0
        self._now = 0
        lock, outer = Lock(), self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with lock:
                    outer.requests.append(body)
                    number = len(outer.requests)
                    outer._now += 1
                    outer.most = max(outer.most, outer._now)
                found = answer(number)
                with lock:
                    outer._now -= 1
                usage = {"prompt_tokens": 10, "completion_tokens": 3}
                message = found if isinstance(found, dict) else {"role": "assistant", "content": found}
                said = {"choices": [{"message": message}], "usage": usage}
                status, data = 200, json.dumps(said).encode()
                if isinstance(found, tuple):
                    status, data = found[0], json.dumps(found[1]).encode()
                elif isinstance(found, int):
                    status, data = found, b""
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args: Any) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def url(self) -> str:
        """Base URL."""
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> ModelServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
