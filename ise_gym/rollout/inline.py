"""Plays in this very process, with a player that exists already.

A model that was just trained sits in memory; sending it to a worker process would load it a second time.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from typing import Any, Generic, cast

from ise_gym.rollout.work import A, I, LockstepPlayer, Lost, Player


class InlinePool(Generic[I, A]):
    """A `Pool` of one: no processes, the caller's player.

    Args:
        player: plays all items; closed with the pool.
    """

    def __init__(self, player: Player[I, A] | LockstepPlayer[I, A]) -> None:
        self.about: Mapping[str, Any] = player.about
        self._waiting: deque[I] = deque()
        self._player = player
        self._lockstep = cast("LockstepPlayer[I, A]", player) if hasattr(player, "tick") else None

    def room(self) -> int:
        """How many more items can be handed out now."""
        return (1 if self._lockstep is None else self._lockstep.free) - len(self._waiting)

    def submit(self, item: I) -> None:
        """Hand out an item; only when there is room."""
        self._waiting.append(item)

    def events(self, timeout: float) -> list[A | Lost[I]]:
        """Play one item to its end, or one step of every live one; with nothing to play wait for ``timeout``."""
        if self._lockstep is not None:
            while self._waiting:
                self._lockstep.add(self._waiting.popleft())
            if self._lockstep.live:
                return list(self._lockstep.tick())
        elif self._waiting:
            return [cast("Player[I, A]", self._player).play(self._waiting.popleft())]
        time.sleep(timeout)
        return []

    def close(self, *, now: bool) -> None:
        """Close the player."""
        self._player.close()
