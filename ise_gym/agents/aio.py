"""Agents that are awaited, and the two adapters between them and those that are called.

An agent that waits for an endpoint need not hold a thread meanwhile. What drives episodes here calls its agents; so one
that is written for asyncio is adapted by `Called`, and any agent can be used in an event loop by `Awaited`.
"""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, Protocol, TypeVar

from ise_gym.agents.base import Agent
from ise_gym.messages import Message, ToolSchema
from ise_gym.scenario import Scenario

T = TypeVar("T")
P = ParamSpec("P")


class AsyncAgent(Protocol):
    """An `ise_gym.agents.base.Agent` whose ``reset``, ``act`` and ``close`` are awaited."""

    name: str

    async def reset(self, scenario: Scenario, seed: int) -> None:
        """Get ready for a new episode."""
        ...

    async def act(self, messages: Sequence[Message], tools: Sequence[ToolSchema]) -> Message:
        """Return the next assistant message for a conversation that starts with the system message."""
        ...

    def describe(self) -> dict[str, Any]:
        """As `Agent.describe`; at once, it asks nobody."""
        ...

    async def close(self) -> None:
        """Free what it holds."""
        ...


class Awaited:
    """An agent as an `AsyncAgent`, for use in an event loop: it acts in a thread of its own."""

    def __init__(self, agent: Agent) -> None:
        self.agent, self.name = agent, agent.name
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="async-agent")

    async def reset(self, scenario: Scenario, seed: int) -> None:
        """Get ready for a new episode."""
        await self._run(self.agent.reset, scenario, seed)

    async def act(self, messages: Sequence[Message], tools: Sequence[ToolSchema]) -> Message:
        """Return the next assistant message."""
        return await self._run(self.agent.act, messages, tools)

    def describe(self) -> dict[str, Any]:
        """As the agent."""
        return self.agent.describe()

    async def close(self) -> None:
        """Close the agent and end its thread."""
        try:
            await self._run(self.agent.close)
        finally:
            self._thread.shutdown(wait=False)

    async def _run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        call = functools.partial(function, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)


class Called:
    """An `AsyncAgent` as an agent, for whatever calls its agents: it lives in an event loop of its own."""

    def __init__(self, agent: AsyncAgent) -> None:
        self.agent, self.name = agent, agent.name
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="async-agent", daemon=True)
        self._thread.start()

    def reset(self, scenario: Scenario, seed: int) -> None:
        """Get ready for a new episode."""
        self._wait(self.agent.reset(scenario, seed))

    def act(self, messages: Sequence[Message], tools: Sequence[ToolSchema]) -> Message:
        """Return the next assistant message."""
        return self._wait(self.agent.act(messages, tools))

    def describe(self) -> dict[str, Any]:
        """As the agent."""
        return self.agent.describe()

    def close(self) -> None:
        """Close the agent and end its loop; idempotent."""
        if self._loop.is_closed():
            return
        try:
            self._wait(self.agent.close())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def _wait(self, coroutine: Coroutine[object, object, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()
