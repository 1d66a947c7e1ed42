"""How many requests a process has at an endpoint at once, found out instead of guessed.

Too few waste a server; too many get 429, or answers that come so late that they time out and are computed twice. So the
number is halved when the endpoint says that it is busy, or comes near its deadline, and grows by one a round of good
answers: additive increase, multiplicative decrease, as TCP does it (Chiu and Jain 1989).
"""

from __future__ import annotations

import asyncio
import math
import os
import time
from collections import deque
from typing import Any

from ise_gym.waiting import waiting

LATE = 0.5
"""Share of a try's deadline after which an answer counts as a sign that the server is full."""


class Gate:
    """Lets so many requests through as the endpoint bears; lives on one event loop.

    Args:
        most: never more than so many at once; None leaves it to the endpoint alone.

    Attributes:
        limit: of requests at once, at present; infinite until the endpoint was busy for the first time.
        running: requests under way.

    >>> gate = Gate(8)
    >>> began = [asyncio.run(gate.enter()) for _ in range(8)]
    >>> gate.leave(began[0], busy=True)
    >>> gate.limit
    4.0
    """

    def __init__(self, most: int | None = None) -> None:
        self.most = float(most or math.inf)
        self.limit = self.most
        self.running = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._slowed_at = -math.inf

    async def enter(self) -> float:
        """Wait for a place; return when it was got, for `leave`."""
        if self._waiting or self.running >= self.limit:
            place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(place)
            try:
                with waiting():
                    await place  # whoever wakes it has counted it already
            except asyncio.CancelledError:
                if place.done() and not place.cancelled():
                    self.running -= 1
                    self._wake()
                raise
        else:
            self.running += 1
        return time.monotonic()

    def leave(self, began: float, *, busy: bool = False, good: bool = False) -> None:
        """Give a place back.

        Args:
            began: as `enter` gave it.
            busy: the endpoint was too busy for the request, or answered late; ``good``: it answered in good time.
        """
        full = self.running + len(self._waiting) >= self.limit
        if busy and began > self._slowed_at:  # those that were under way then tell nothing new
            self.limit = max(1.0, min(self.limit, float(self.running)) / 2)
            self._slowed_at = time.monotonic()
        elif good and full and self.limit < self.most:
            self.limit = min(self.most, self.limit + 1 / self.limit)
        self.running -= 1
        self._wake()

    def _wake(self) -> None:
        while self._waiting and self.running + 1 <= self.limit:
            place = self._waiting.popleft()
            if not place.done():
                self.running += 1
                place.set_result(None)


_gates: dict[tuple[Any, ...], Gate] = {}


def shared_gate(endpoint: str, model: str, most: int | None) -> Gate:
    """Return this process' gate of a model at an endpoint; to be called on the loop that all talk runs on."""
    key = (os.getpid(), endpoint, model, most)
    if key not in _gates:
        _gates[key] = Gate(most)
    return _gates[key]
