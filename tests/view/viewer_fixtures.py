"""The viewer over a real server, and a browser that is let in."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

TOKEN = "let-me-in"


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    import uvicorn

    from ise_gym.view.app.server import make_app
    from ise_gym.view.library import Library

    servers: list[tuple[Any, threading.Thread]] = []

    def start(*stores: Path, **options: Any) -> str:
        app = make_app(Library(list(stores)), TOKEN, by="tester", **options)
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        servers.append((server, thread))
        deadline = time.monotonic() + 20
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.02)
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield start
    for server, thread in servers:
        server.should_exit = True
        thread.join(timeout=20)


@pytest.fixture
def visit(browser: Any, serve: Callable[..., str]) -> Callable[..., Any]:
    from pages import js, ready

    def go(*stores: Path, episodes: int, **options: Any) -> Any:
        address = serve(*stores, **options)
        browser.get("about:blank")
        browser.get_log("browser")
        browser.get(f"{address}/?token={TOKEN}")
        deadline = time.monotonic() + 20
        while f"{episodes}" != js(browser, "document.querySelector('.found-count b').textContent"):
            assert time.monotonic() < deadline, "the index never filled"
            time.sleep(0.2)
            browser.get(f"{address}/")
        ready(browser)
        browser.address = address
        return browser

    return go
