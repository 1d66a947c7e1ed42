"""Worker processes on this machine, one pipe each.

A pipe a worker, and no shared queue: a worker killed at any moment can then harm nobody else's messages. The
driver sees its death as a closed pipe and gets back the items that it had.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic

from ise_gym.errors import UserError
from ise_gym.rollout import worker
from ise_gym.rollout.work import A, Crew, I, Lost

MAX_BAD_STARTS = 3
"""Workers that die before they are ready, one after the other, until the pool gives up."""


@dataclass
class _Worker(Generic[I]):
    process: BaseProcess
    pipe: Connection
    ready: bool = False
    items: dict[I, None] = field(default_factory=dict)
    played: float = 0.0  # seconds, since it last ended an item, up to `since`
    since: float | None = None  # when it began to play; None while it does not
    stuck_s: float = 0.0

    def plays(self, playing: bool) -> None:
        """Note that it plays from now on, or that it does not."""
        self.played = self.played_for()
        self.since = time.monotonic() if playing else None

    def ended(self) -> None:
        """Note that it ended an item."""
        self.played = 0.0
        self.since = None if self.since is None else time.monotonic()

    def played_for(self) -> float:
        """Return for how many seconds it has played since it last ended an item."""
        return self.played + (0.0 if self.since is None else time.monotonic() - self.since)


class ProcessPool(Generic[I, A]):
    """A `Pool` of processes.

    Args:
        crew: how they are made.
        workers: how many processes.
    """

    def __init__(self, crew: Crew[I, A], workers: int) -> None:
        self._crew = crew
        self._context: Any = multiprocessing.get_context("forkserver" if crew.preload else "spawn")
        if crew.preload:
            self._context.set_forkserver_preload(list(crew.preload))
        self._bad_starts = 0
        self.about: Mapping[str, Any] = {}
        self._workers: list[_Worker[I]] = []
        for _ in range(workers):
            self._workers.append(self._start())

    def pids(self) -> list[int]:
        """Process ids of the live workers."""
        return [w.process.pid for w in self._workers if w.process.pid is not None]

    def room(self) -> int:
        """How many more items can be handed out now."""
        return sum(self._room(w) for w in self._workers)

    def submit(self, item: I) -> None:
        """Hand an item to the worker with the most room."""
        chosen = max(self._workers, key=self._room)
        chosen.items[item] = None
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # dead: `events` gives the item back
            chosen.pipe.send(item)

    def events(self, timeout: float) -> list[A | Lost[I]]:
        """Wait up to ``timeout`` seconds for results and deaths; dead and stuck workers are replaced."""
        self._kill_stuck()
        readable = wait([w.pipe for w in self._workers], timeout)
        return [event for w in list(self._workers) if w.pipe in readable for event in self._read(w)]

    def close(self, *, now: bool) -> None:
        """End the workers; those that don't end by themselves within 30 s are killed."""
        for w in self._workers:
            if now:
                w.process.kill()
            else:
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    w.pipe.send(None)
        for w in self._workers:
            w.process.join(None if now else 30)
            if w.process.is_alive():  # stuck in a call that never returns; nothing of it is awaited any more
                w.process.kill()
                w.process.join()
            w.pipe.close()
        self._workers.clear()

    def _room(self, w: _Worker[I]) -> int:
        return self._crew.capacity - len(w.items) if w.ready else 0

    def _read(self, w: _Worker[I]) -> Iterator[A | Lost[I]]:
        try:
            kind, *rest = w.pipe.recv()
        except (EOFError, OSError):
            yield from self._buried(w)
            return
        if kind == "ready":
            w.ready, self._bad_starts, self.about = True, 0, rest[0]
        elif kind == "result":
            attempt: A = rest[0]
            w.items.pop(attempt.item, None)
            w.ended()
            yield attempt
        elif kind == "playing":
            w.plays(rest[0])
        else:
            is_user_error, text = rest
            raise UserError(text) if is_user_error else RuntimeError(f"a worker failed:\n{text}")

    def _buried(self, w: _Worker[I]) -> Iterator[Lost[I]]:
        w.process.join()
        w.pipe.close()
        code = w.process.exitcode or 0
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        if not w.ready:
            self._bad_starts += 1
            if self._bad_starts >= MAX_BAD_STARTS:
                where = f"; see {self._crew.log}" if self._crew.log else ""
                raise RuntimeError(
                    f"{MAX_BAD_STARTS} workers in a row died while starting (the last: {how}){where}"
                )
        self._workers.remove(w)
        if w.items:
            given, slots = (
                tuple(w.items),
                self._crew.slots,
            )  # items are begun in the order in which they are given
            yield Lost(given[:slots], how, code, w.stuck_s, given[slots:])
        self._workers.append(self._start())

    def _kill_stuck(self) -> None:
        """Kill workers that hang, in a call that never returns; `_read` then finds them dead."""
        for w in self._workers:
            limit = self._crew.patience_with(tuple(w.items))
            if limit and not w.stuck_s and w.played_for() > limit:
                w.stuck_s = limit
                w.process.kill()

    def _start(self) -> _Worker[I]:
        ours, theirs = self._context.Pipe()
        # a process that others are forked from has the environment of its own start
        environ = dict(os.environ) if self._crew.preload else None
        process = self._context.Process(
            target=worker.main,
            args=(theirs, self._crew.make_player, self._crew.slots, environ),
            name="ise-worker",
            daemon=False,
        )
        with _interrupts_ignored():
            process.start()
        theirs.close()
        return _Worker(process, ours)


@contextlib.contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Let a child start with SIGINT ignored, so that a Ctrl-C during its imports doesn't kill it."""
    try:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    except ValueError:  # not the main thread, which alone may set handlers: then nobody sends Ctrl-C either
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
