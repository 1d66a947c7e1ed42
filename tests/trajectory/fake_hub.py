"""A Hugging Face hub on loopback: as much of its API as one upload of a dataset needs, keeping what it got."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Hub:
    """``refuse``: answer everything with this status."""

    refuse: int = 0
    url: str = ""
    repos: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    commits: list[str] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        self.asked.append(f"{method} {path}")
        if self.refuse:
            return self.refuse, {"error": "Invalid username or password."}
        if path == "/api/repos/create":
            asked = json.loads(body)  # older clients say "private", newer ones "visibility"
            private = asked.get("private", False) or asked.get("visibility") == "private"
            self.repos.append({**asked, "private": private})
            return 200, {"url": f"{self.url}/datasets/me/rows", "name": "me/rows"}
        if path == "/api/validate-yaml":
            return 200, {"errors": [], "warnings": []}
        if "/preupload/" in path:
            paths = [file["path"] for file in json.loads(body)["files"]]
            return 200, {
                "files": [
                    {"path": p, "uploadMode": "regular", "shouldIgnore": False, "oid": None} for p in paths
                ]
            }
        if "/commit/" in path:
            for line in body.splitlines():
                self._take(json.loads(line))
            return 200, {
                "commitUrl": f"{self.url}/datasets/me/rows/commit/abc",
                "commitOid": "abc",
                "pullRequestUrl": None,
            }
        if method == "GET" and "/tree/" in path:
            return 200, []
        if method == "GET" and "/datasets/me/rows" in path:
            return 200, {"id": "me/rows", "sha": "0" * 40, "siblings": [], "private": True}
        return 404, {"error": f"not made up: {method} {path}"}

    def _take(self, item: dict[str, Any]) -> None:
        value = item["value"]
        if item["key"] == "header":
            self.commits.append(value["summary"])
        elif item["key"] == "file":
            self.files[value["path"]] = base64.b64decode(value["content"])


@contextmanager
def serve_hub(refuse: int = 0) -> Iterator[Hub]:
    hub = Hub(refuse)

    class Handler(BaseHTTPRequestHandler):
        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            hub.tokens.add(self.headers.get("Authorization", ""))
            status, value = hub.answer(self.command, self.path.partition("?")[0], body)
            data = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        do_GET = do_POST = do_HEAD = _any  # noqa: N815 - the names that the server calls

        def log_message(self, *args: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    hub.url = f"http://127.0.0.1:{http.server_port}"
    try:
        yield hub
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
