"""Worker processes on this machine, one pipe each.

A pipe a worker, and no shared queue: a worker killed at any moment can then harm nobody else's messages. The
driver sees its death as a closed pipe and gets back the items that it had.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Protocol

from ise_gym.errors import UserError
from ise_gym.rollout import worker
from ise_gym.rollout.spec import Item, Plan, Result

MAX_BAD_STARTS = 3
"""Workers that die before they are ready, one after the other, until the pool gives up."""


@dataclass(frozen=True)
class Lost:
    """Items whose worker died, and how."""

    items: tuple[Item, ...]
    how: str


Event = Result | Lost


class Pool(Protocol):
    """Plays items somewhere; what the driver needs of worker processes or of a cluster.

    ``agent_name`` is known once the first worker is ready.
    """

    agent_name: str

    def room(self) -> int:
        """How many more items can be handed out now."""
        ...

    def submit(self, item: Item) -> None:
        """Hand out an item; only when there is room."""
        ...

    def events(self, timeout: float) -> Sequence[Event]:
        """Wait for what happened, up to ``timeout`` seconds; may be nothing. Raises `UserError` as a worker did."""
        ...

    def close(self, *, now: bool) -> None:
        """End the workers: ``now``, or as soon as they have nothing to do."""
        ...


@dataclass
class _Worker:
    process: SpawnProcess
    pipe: Connection
    ready: bool = False
    items: dict[Item, None] = field(default_factory=dict)
    moved: float = 0.0  # when it last ended an episode, or got one while it had none
    stuck: bool = False


class ProcessPool:
    """A `Pool` of spawned processes.

    Args:
        plan: what they play.
        workers: how many processes.
    """

    def __init__(self, plan: Plan, workers: int) -> None:
        self._plan = plan
        self._context = multiprocessing.get_context("spawn")
        self._bad_starts = 0
        self.agent_name = ""
        self._workers: list[_Worker] = []
        for _ in range(workers):
            self._workers.append(self._start())

    def pids(self) -> list[int]:
        """Process ids of the live workers."""
        return [w.process.pid for w in self._workers if w.process.pid is not None]

    def room(self) -> int:
        """How many more items can be handed out now."""
        return sum(self._slots(w) for w in self._workers)

    def submit(self, item: Item) -> None:
        """Hand an item to the worker with the most room."""
        chosen = max(self._workers, key=self._slots)
        if not chosen.items:
            chosen.moved = time.monotonic()
        chosen.items[item] = None
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # dead: `events` gives the item back
            chosen.pipe.send(item)

    def events(self, timeout: float) -> list[Event]:
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

    def _slots(self, w: _Worker) -> int:
        """Room of one worker; one item more than it plays, so that it never waits for the driver."""
        return self._plan.slots + 1 - len(w.items) if w.ready else 0

    def _read(self, w: _Worker) -> Iterator[Event]:
        try:
            kind, *rest = w.pipe.recv()
        except (EOFError, OSError):
            yield from self._buried(w)
            return
        if kind == "ready":
            w.ready, self._bad_starts, self.agent_name = True, 0, rest[0]
        elif kind == "result":
            result: Result = rest[0]
            w.items.pop(result.item, None)
            w.moved = time.monotonic()
            yield result
        else:
            is_user_error, text = rest
            raise UserError(text) if is_user_error else RuntimeError(f"a worker failed:\n{text}")

    def _buried(self, w: _Worker) -> Iterator[Event]:
        w.process.join()
        w.pipe.close()
        code = w.process.exitcode or 0
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        if w.stuck:
            how = f"stuck: no episode ended in {self._plan.stuck_after_s:g} s"
        if not w.ready:
            self._bad_starts += 1
            if self._bad_starts >= MAX_BAD_STARTS:
                raise RuntimeError(f"{MAX_BAD_STARTS} workers in a row died while starting (the last: {how})")
        self._workers.remove(w)
        if w.items:
            yield Lost(tuple(w.items), how)
        self._workers.append(self._start())

    def _kill_stuck(self) -> None:
        """Kill workers that hang, in a call that never returns; `_read` then finds them dead."""
        limit = self._plan.stuck_after_s
        for w in self._workers:
            if limit and w.items and not w.stuck and time.monotonic() - w.moved > limit:
                w.stuck = True
                w.process.kill()

    def _start(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=worker.main, args=(theirs, self._plan), name="ise-worker", daemon=False
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
