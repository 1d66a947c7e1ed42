"""The scripted agents behind an endpoint of the chat-completions API, for harnesses that bring their own client."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, Protocol

from ise_gym.messages import Message, ToolSchema

Fault = Literal["drip", "cut", "words", "broken", "full", "down"]
"""drip: a byte now and then, and never an end. cut: what is said to the user ends in the middle, and says so. words: the
first call stands in the words, where no parser read it. broken: the first call's arguments are no JSON. full: the
conversation is too long for the model. down: status 500."""
FULL = {
    "error": {
        "code": 400,
        "message": "the request exceeds the available context size",
        "type": "exceed_context_size_error",
    }
}


class Acting(Protocol):
    """Who answers: `scripted.Many`, or another that knows its episodes by their first words."""

    def act(self, messages: Sequence[Message], tools: Sequence[ToolSchema]) -> Any: ...


def serve(agents: Acting, faults: Mapping[str, Fault] | None = None) -> tuple[str, ThreadingHTTPServer]:
    """Return the base URL of a running endpoint, and the server.

    Args:
        agents: who answers. ``faults``: what goes wrong in the episode that a request opens.
    """
    closing = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            first = next(m["content"] for m in asked["messages"] if m["role"] == "user")
            fault = next((f for text, f in (faults or {}).items() if text[1:] in first), None)
            if fault == "drip":
                self.drip()
            elif fault == "full":
                self.answer(400, FULL)
            elif fault == "down":
                self.answer(500, {"error": {"message": "no"}})
            else:
                self.say(asked, fault)

        def say(self, asked: Any, fault: Fault | None) -> None:
            messages = asked["messages"]
            said: dict[str, Any] = dict(agents.act(messages, asked.get("tools") or ()))
            for number, call in enumerate(said.get("tool_calls", ())):
                call["id"] = call["id"] or f"call_{len(messages)}_{number}"
            reason = "tool_calls" if said.get("tool_calls") else "stop"
            if said.get("tool_calls") and len(messages) == 2 and fault in ("words", "broken"):
                function = said["tool_calls"][0]["function"]
                if fault == "words":
                    call = {"name": function["name"], "arguments": json.loads(function["arguments"])}
                    said, reason = (
                        {"role": "assistant", "content": f"```json\n{json.dumps(call)}\n```"},
                        "stop",
                    )
                else:
                    function["arguments"] = function["arguments"][:-3]
            if fault == "cut" and not said.get("tool_calls"):
                said, reason = {"role": "assistant", "content": said["content"][:-2]}, "length"
            self.answer(
                200,
                {
                    "id": "chatcmpl-1",
                    "object": "chat.completion",
                    "created": 1,
                    "model": asked["model"],
                    "choices": [{"index": 0, "message": said, "finish_reason": reason}],
                    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
                },
            )

        def answer(self, status: int, value: Any) -> None:
            body = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def drip(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", "1000000")
            self.end_headers()
            while not closing.wait(0.2):
                try:
                    self.wfile.write(b" ")
                    self.wfile.flush()
                except OSError:  # the client had enough
                    self.close_connection = True
                    return

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def shutdown(self) -> None:
            closing.set()
            super().shutdown()

    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}/v1", server
