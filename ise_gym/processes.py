"""Pools of processes that leave Ctrl-C to whoever started them.

A terminal sends SIGINT to a whole group of processes. Of a plain pool each process then prints a traceback of its own,
from wherever it was: in an import, while it waited. Here one that has just begun is gone; one that works is
interrupted, so that it cleans up, and its result is the `KeyboardInterrupt`; one that waits takes up no more work.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from functools import partial
from types import FrameType
from typing import Literal, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_doing: Literal["beginning", "working", "waiting"] = "beginning"
_interrupted = False


class Pool(ProcessPoolExecutor):
    """Spawned processes: threads of the parent, such as a server's, must not be forked.

    Args:
        workers: how many processes.
        begin: called once in each, with ``given``; opens nothing that would have to be closed.
    """

    def __init__(self, workers: int, begin: Callable[..., None] | None = None, *given: object) -> None:
        context = multiprocessing.get_context("spawn")
        super().__init__(workers, mp_context=context, initializer=_begin, initargs=(begin, given))

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Have a call made by one of the processes, which may be started for it.

        A signal that is blocked here stays so in a child until it has begun: none is cut off in its imports.
        """
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            call: Callable[P, T] = partial(_work, fn)
            return super().submit(call, *args, **kwargs)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(begin: Callable[..., None] | None, given: tuple[object, ...]) -> None:
    global _doing
    signal.signal(signal.SIGINT, _hear)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    if begin is not None:
        begin(*given)
    _doing = "waiting"


def _hear(number: int, frame: FrameType | None) -> None:
    global _interrupted
    _interrupted = True
    if _doing == "beginning":
        os._exit(128 + number)  # the pool would log whatever is raised here
    if _doing == "working":
        raise KeyboardInterrupt


def _work(fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    global _doing
    if _interrupted:
        raise KeyboardInterrupt
    _doing = "working"
    try:
        return fn(*args, **kwargs)
    finally:
        _doing = "waiting"
