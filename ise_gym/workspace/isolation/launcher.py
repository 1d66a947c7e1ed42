"""One long-lived thread that starts every sandbox process.

Why: "die with parent" (``PR_SET_PDEATHSIG``) follows the *thread* that forked. A box started from a worker
thread would die when that thread ends; started from here it dies exactly when this process does, by any
signal.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")

_lock = threading.Lock()
_queue: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]]] | None = None


def _serve(jobs: queue.SimpleQueue[tuple[Future[object], Callable[[], object]]]) -> None:
    while True:
        future, job = jobs.get()
        try:
            future.set_result(job())
        except BaseException as error:
            future.set_exception(error)
        # A blocked `get` must not keep the last box (and its descriptors) alive.
        del future, job


def submit(job: Callable[[], T]) -> Future[T]:
    """Run ``job`` on the launcher thread; jobs run one after the other."""
    global _queue
    with _lock:
        if _queue is None:
            _queue = queue.SimpleQueue()
            threading.Thread(target=_serve, args=(_queue,), name="ise-launcher", daemon=True).start()
        future: Future[T] = Future()
        _queue.put((future, job))
        return future


def _forget_after_fork() -> None:
    global _queue, _lock
    _queue = None
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_forget_after_fork)
