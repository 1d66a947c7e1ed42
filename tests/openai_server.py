"""A real HTTP server on loopback that speaks the OpenAI chat-completions protocol from a script.

Each request takes the next item of ``script``; the last one is repeated. Items are made by `reply`, `status`,
`raw` and `slow`, or are functions from the request body to an item.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    drop: bool = False
    drip: float = 0.0
    """Seconds before each byte of the body (with ``drip_head`` of the headers, too)."""
    drip_head: bool = False
    cut_after: int | None = None
    """Bytes of the body after which the connection is closed."""


Item = Answer | Callable[[dict[str, Any]], Answer]


def reply(
    content: str | None = "", calls: Sequence[tuple[str, str]] = (), finish: str = "stop", **message: Any
) -> Answer:
    """A completion; ``calls`` are (name, arguments text)."""
    full: dict[str, Any] = {"role": "assistant", "content": content, **message}
    if calls:
        full["tool_calls"] = [
            {"id": f"srv_{n}", "type": "function", "function": {"name": name, "arguments": arguments}}
            for n, (name, arguments) in enumerate(calls)
        ]
    body = {
        "id": "cmpl-1",
        "object": "chat.completion",
        "created": 0,
        "model": "scripted",
        "choices": [{"index": 0, "message": full, "finish_reason": finish}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13},
    }
    return raw(json.dumps(body))


def raw(text: str, content_type: str = "application/json") -> Answer:
    return Answer(200, text.encode(), {"Content-Type": content_type})


def failing(code: int, body: Any) -> Answer:
    """A status with a body of any JSON shape, or with plain text."""
    text = body if isinstance(body, str) else json.dumps(body)
    return Answer(
        code, text.encode(), {"Content-Type": "text/plain" if isinstance(body, str) else "application/json"}
    )


def choice(message: Any, **fields: Any) -> Answer:
    """A completion with this message, and more fields of the choice; fields that begin with ``body_`` go beside it."""
    outer = {name[5:]: value for name, value in fields.items() if name.startswith("body_")}
    inner = {name: value for name, value in fields.items() if not name.startswith("body_")}
    return raw(
        json.dumps({"choices": [{"index": 0, "message": message, "finish_reason": "stop", **inner}], **outer})
    )


def streamed(*chunks: Any, done: bool = True) -> Answer:
    """Server-sent events; each chunk is a dict, or the delta of the first choice as (delta, finish reason)."""
    events = [
        chunk
        if isinstance(chunk, dict)
        else {
            "id": "s-1",
            "model": "streamed",
            "choices": [{"index": 0, "delta": chunk[0], "finish_reason": chunk[1]}],
        }
        for chunk in chunks
    ]
    text = "".join(f"data: {json.dumps(event)}\n\n" for event in events) + (
        "data: [DONE]\n\n" if done else ""
    )
    return Answer(200, text.encode(), {"Content-Type": "text/event-stream"})


def status(code: int, message: str = "no", **headers: str) -> Answer:
    body = json.dumps({"error": {"message": message, "type": "test"}}).encode()
    return Answer(
        code,
        body,
        {"Content-Type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}},
    )


def slow(seconds: float, answer: Answer) -> Answer:
    return Answer(answer.status, answer.body, answer.headers, delay=seconds)


def hang_up() -> Answer:
    """Close the connection without an answer."""
    return Answer(0, b"", drop=True)


class OpenAIServer:
    """What the server got; ``requests`` are (path, headers, body) in order."""

    def __init__(self, script: list[Item]) -> None:
        self.script = script
        self.requests: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.lock = threading.Lock()
        self.url = ""

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [body for _, _, body in self.requests]

    def take(self, path: str, headers: dict[str, str], body: dict[str, Any]) -> Answer:
        with self.lock:
            item = self.script[min(len(self.requests), len(self.script) - 1)]
            self.requests.append((path, headers, body))
        return item(body) if callable(item) else item


@contextmanager
def serve(*script: Item) -> Iterator[OpenAIServer]:
    """Serve a script on a free port of loopback."""
    server = OpenAIServer(list(script))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer = server.take(self.path, {k.lower(): v for k, v in self.headers.items()}, body)
            time.sleep(answer.delay)
            if answer.drop:
                self.close_connection = True
                return
            try:
                if answer.drip_head:
                    self._drip(b"HTTP/1.1 200 OK\r\n" + b"X-Padding: x\r\n" * 10_000, answer.drip)
                self.send_response(answer.status)
                for key, value in answer.headers.items():
                    self.send_header(key, value)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                if answer.drip:
                    self._drip(answer.body, answer.drip)
                elif answer.cut_after is not None:
                    self.wfile.write(answer.body[: answer.cut_after])
                    self.close_connection = True
                else:
                    self.wfile.write(answer.body)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True  # the client gave up waiting, as a timeout test wants

        def _drip(self, data: bytes, pause: float) -> None:
            for position in range(len(data)):
                self.wfile.write(data[position : position + 1])
                self.wfile.flush()
                time.sleep(pause)

        def log_message(self, *args: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    server.url = f"http://127.0.0.1:{http.server_port}/v1"
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
