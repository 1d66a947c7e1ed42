"""An endpoint that repeats whatever credential it is sent, as some servers do, in answers and in errors."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Endpoint:
    """What it got: ``bodies`` and ``keys`` in order. ``status`` is what it answers with next."""

    def __init__(self) -> None:
        self.status = 200
        self.url = ""
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str] = []

    def answer(self, key: str, body: dict[str, Any]) -> dict[str, Any]:
        if self.status != 200:
            return {"error": {"message": f"Incorrect API key provided: {key}", "type": "invalid"}}
        schema = (body.get("response_format") or {}).get("json_schema", {}).get("name")
        words = json.dumps({"move": "give_up", "say": "Please write the note."}) if schema else "It is done."
        message = {"role": "assistant", "content": words}
        return {"choices": [{"message": message, "finish_reason": "stop"}], "usage": {"prompt_tokens": 9}}


@contextmanager
def serve() -> Iterator[Endpoint]:
    """Serve on a free port of loopback."""
    endpoint = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            key = self.headers.get("Authorization", "").removeprefix("Bearer ")
            endpoint.bodies.append(body)
            endpoint.keys.append(key)
            data = json.dumps(endpoint.answer(key, body)).encode()
            self.send_response(endpoint.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    endpoint.url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield endpoint
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
