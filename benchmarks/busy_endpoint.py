"""A stand-in for a model behind an OpenAI-compatible endpoint: answers after a fixed time, and tells how busy it was.

It works like an agent that looks around a little and then claims to be done, so that episodes have calls and turns.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

CALLS_A_TURN = 3


class BusyEndpoint:
    """Serves on loopback while the ``with`` block lasts.

    Args:
        latency: seconds until each answer.
        seats: how many requests at once make it fully busy.
        port: 0 takes a free one.
        user: answers requests that offer no tools, those of a simulated user.
    """

    def __init__(
        self, latency: float, seats: int, port: int = 0, user: Callable[[dict[str, Any]], bytes] | None = None
    ) -> None:
        self.latency, self.seats, self.port, self.user = latency, seats, port, user
        self.spans: list[tuple[float, float]] = []
        self._lock = threading.Lock()
        self.url = ""

    def busy(self, skip: float = 0.0) -> float:
        """Return the share of seat time in which a request was served.

        Args:
            skip: fraction of the requests left out at the beginning and at the end, where a run fills up and
                drains; what counts is the time between the first and the last of the others.
        """
        with self._lock:
            spans = sorted(self.spans)
        cut = int(len(spans) * skip)
        begun = spans[cut][0]
        ended = spans[len(spans) - 1 - cut][0] if cut else max(end for _, end in spans)
        served = sum(max(0.0, min(end, ended) - max(start, begun)) for start, end in spans)
        return served / (self.seats * (ended - begun))

    def peak(self) -> int:
        """Return the most requests that were served at once."""
        with self._lock:
            ends = sorted([(start, 1) for start, _ in self.spans] + [(end, -1) for _, end in self.spans])
        now = most = 0
        for _, change in ends:
            now += change
            most = max(most, now)
        return most

    def report(self) -> dict[str, Any]:
        return {
            "requests": len(self.spans),
            "latency_s": self.latency,
            "seats": self.seats,
            "peak": self.peak(),
            "busy": round(self.busy(0.2), 3),
            "busy_from_first_to_last": round(self.busy(), 3),
        }

    def __enter__(self) -> BusyEndpoint:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                begun = time.monotonic()
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if outer.user is not None and not body.get("tools"):
                    data = outer.user(body)
                else:
                    data = json.dumps(completion(body["messages"])).encode()
                time.sleep(max(0.0, begun + outer.latency - time.monotonic()))
                with outer._lock:
                    outer.spans.append((begun, time.monotonic()))
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._http.daemon_threads = True
        self._http.request_queue_size = 256
        self._thread = threading.Thread(target=self._http.serve_forever, daemon=True)
        self._thread.start()
        self.port = self._http.server_port
        self.url = f"http://127.0.0.1:{self.port}/v1"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


def completion(messages: list[dict[str, Any]]) -> dict[str, Any]:
    """Answer a conversation: calls at first, then words."""
    since = 0
    for message in reversed(messages):
        if message["role"] == "user":
            break
        since += message["role"] == "assistant"
    said: dict[str, Any] = {"role": "assistant", "content": "I looked into it; all is done."}
    if since < CALLS_A_TURN:
        call = {"name": "exec", "arguments": '{"command": "ls | head -n 5"}'}
        said = {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": f"c{since}", "type": "function", "function": call}],
        }
    return {
        "id": "x",
        "object": "chat.completion",
        "created": 0,
        "model": "stand-in",
        "choices": [{"index": 0, "message": said, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 50 * len(messages), "completion_tokens": 12, "total_tokens": 62},
    }
