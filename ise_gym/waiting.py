"""Waiting for one's turn, told apart from work: what decides that a worker hangs must not count it.

Whoever queues (for a place at an endpoint, for a judge, for a rate to allow the next request) does so inside `waiting`.
A process that plays episodes keeps a `Clock` and says who is told when it begins and ceases to play.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator


class Clock:
    """Knows whether anything is being played: something was begun, and not all of it waits.

    Args:
        told: called with True when playing begins and with False when it ceases.
    """

    def __init__(self, told: Callable[[bool], None]) -> None:
        self._told = told
        self._lock = threading.Lock()
        self._begun = self._waiting = 0
        self._playing = False

    @contextlib.contextmanager
    def playing(self) -> Iterator[None]:
        """Something is played inside."""
        self._change(1, 0)
        try:
            yield
        finally:
            self._change(-1, 0)

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Something that was begun waits inside."""
        self._change(0, 1)
        try:
            yield
        finally:
            self._change(0, -1)

    def _change(self, begun: int, waiting: int) -> None:
        with self._lock:  # held while telling: the last word must be the last change
            self._begun += begun
            self._waiting += waiting
            playing = self._begun > self._waiting
            if playing != self._playing:
                self._playing = playing
                self._told(playing)


_clock: Clock | None = None


def keep(clock: Clock | None) -> None:
    """Make a clock this process's own; None ends that."""
    global _clock
    _clock = clock


@contextlib.contextmanager
def waiting() -> Iterator[None]:
    """Wait for one's turn inside; without a clock this says nothing to anyone."""
    if _clock is None:
        yield
        return
    with _clock.waiting():
        yield
