"""The env for programs that wait in asyncio: many episodes in one event loop, each stepping in a thread of its own.

A step waits for a sandbox, not for the processor, so threads are enough. One env has one thread for its whole life: its
calls come one after the other, in the order in which they were made.

Example:
    >>> import asyncio, gymnasium as gym, ise_gym
    >>> from ise_gym.env.aio import AsyncEnv
    >>> from ise_gym.messages import assistant
    >>> async def play(seed):
    ...     async with AsyncEnv(gym.make("ISE-OS-v0")) as env:
    ...         await env.reset(seed=seed)
    ...         observation, reward, terminated, truncated, info = await env.step(assistant("Where is it?"))
    ...         return observation[0]["role"]
    >>> async def both():
    ...     return await asyncio.gather(play(7), play(8))
    >>> asyncio.run(both())
    ['user', 'user']
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Generic, ParamSpec, Self, SupportsFloat, TypeVar

import gymnasium as gym

ObsType = TypeVar("ObsType")
ActType = TypeVar("ActType")
T = TypeVar("T")
P = ParamSpec("P")


class AsyncEnv(Generic[ObsType, ActType]):
    """An env whose ``reset``, ``step``, ``render`` and ``close`` are awaited; what they raise is raised there.

    A task that is cancelled while it awaits a step leaves the step running to its end; the next call waits for it.

    Args:
        env: any Gymnasium env, wrapped or not; from now on used through this object alone.
    """

    def __init__(self, env: gym.Env[ObsType, ActType]) -> None:
        self.env = env
        self.action_space, self.observation_space = env.action_space, env.observation_space
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="async-env")
        self._closed = False

    async def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[ObsType, dict[str, Any]]:
        """Start an episode; as `gymnasium.Env.reset`."""
        return await self.run(self.env.reset, seed=seed, options=options)

    async def step(self, action: ActType) -> tuple[ObsType, SupportsFloat, bool, bool, dict[str, Any]]:
        """Play one action; as `gymnasium.Env.step`."""
        return await self.run(self.env.step, action)

    async def render(self) -> Any:
        """As `gymnasium.Env.render`."""
        return await self.run(self.env.render)

    async def close(self) -> None:
        """Close the env once what runs has ended; idempotent."""
        if self._closed:
            return
        self._closed = True
        try:
            await self._run(self.env.close)
        finally:
            self._thread.shutdown(wait=False)

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function in the env's thread, between its steps: ``await env.run(env.env.unwrapped.snapshot)``.

        Raises:
            RuntimeError: the env was closed.
        """
        if self._closed:
            raise RuntimeError("the env is closed")
        return await self._run(function, *args, **kwargs)

    async def _run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        call = functools.partial(function, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
