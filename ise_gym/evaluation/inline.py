"""Plays episodes in this very process, with an agent that exists already.

A model that was just trained sits in memory; sending it to a worker process would load it a second time.
"""

from __future__ import annotations

from collections import deque
from typing import Any, cast

from ise_gym.agents.base import BatchAgent
from ise_gym.rollout.play import BatchPlayer
from ise_gym.rollout.pool import Event
from ise_gym.rollout.spec import AnyAgent, Item, Plan, Result
from ise_gym.rollout.worker import Player, result_of


class InlinePool:
    """A rollout pool of one: no processes, the caller's agent, which stays the caller's to close.

    Args:
        plan: source, env and slots; its own ``make_agent`` is not used.
        agent: plays all episodes; a `BatchAgent` plays ``plan.slots`` of them in lockstep.
    """

    def __init__(self, plan: Plan, agent: AnyAgent) -> None:
        self.agent_name = agent.name
        self._plan = plan
        self._waiting: deque[Item] = deque()
        self._player: Player | None = None
        self._batch: BatchPlayer | None = None
        self._envs: list[Any] = []
        if hasattr(agent, "act_batch"):
            self._envs = [plan.make_env() for _ in range(plan.slots)]
            self._batch = BatchPlayer(self._envs, cast("BatchAgent", agent))
        else:
            self._player = Player(plan, agent)

    def room(self) -> int:
        """How many more items can be handed out now."""
        if self._batch is not None:
            return self._batch.free - len(self._waiting)
        return 1 - len(self._waiting)

    def submit(self, item: Item) -> None:
        """Hand out an item; only when there is room."""
        self._waiting.append(item)

    def events(self, timeout: float) -> list[Event]:
        """Play one episode to its end, or one step of every live one; ``timeout`` is not needed here."""
        if self._batch is not None:
            while self._waiting:
                item = self._waiting.popleft()
                self._batch.add(self._plan.source.scenario(item.index), item.seed, item)
            return [self._result(item, trajectory) for trajectory, item in self._batch.tick()]
        if self._player is not None and self._waiting:
            return [self._player.play(self._waiting.popleft())]
        return []

    def close(self, *, now: bool) -> None:
        """Close the envs; the agent stays open."""
        if self._player is not None:
            self._player.close_env()
        if self._batch is not None:
            self._batch.close()
        for env in self._envs:
            env.close()

    @staticmethod
    def _result(item: Item, trajectory: Any) -> Result:
        return result_of(item, trajectory)
