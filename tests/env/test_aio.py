"""The asyncio faces of env and agents."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import pytest

import ise_gym  # noqa: F401
from ise_gym.agents import make_agent
from ise_gym.agents.aio import AsyncAgent, Awaited, Called
from ise_gym.env import ISEEnv
from ise_gym.env.aio import AsyncEnv
from ise_gym.errors import AgentError
from ise_gym.messages import Message, ToolSchema, assistant
from ise_gym.rollout.play import play_episode
from ise_gym.scenario import Scenario
from ise_gym.trajectory.record import content_hash
from made_scenarios import make_scenario, write


async def played(env: AsyncEnv, agent: AsyncAgent, scenario: Scenario, seed: int) -> dict[str, Any]:  # type: ignore[type-arg]
    _, info = await env.reset(seed=seed, options={"scenario": scenario})
    await agent.reset(scenario, seed)
    over = False
    while not over:
        episode = env.env.unwrapped.episode  # type: ignore[attr-defined]
        _, _, terminated, truncated, info = await env.step(
            await agent.act(episode.conversation, episode.offered)
        )
        over = terminated or truncated
    return info


def test_episodes_in_one_loop_end_as_they_do_without() -> None:
    async def both() -> list[dict[str, Any]]:
        async def one(seed: int) -> dict[str, Any]:
            agent = Awaited(make_agent("expert"))
            try:
                async with AsyncEnv(gym.make("ISE-OS-v0")) as env:
                    return await played(env, agent, make_scenario(), seed)
            finally:
                await agent.close()

        return list(await asyncio.gather(one(1), one(2)))

    infos = asyncio.run(both())
    env = ISEEnv()
    for seed, info in zip((1, 2), infos, strict=True):
        play_episode(env, make_agent("expert"), make_scenario(), seed)
        assert info == env.episode.info() and info["outcome"] == "passed"
    env.close()


class Noting(gym.Env):
    """Notes in which thread it is called, and how many calls there are at once."""

    action_space = observation_space = gym.spaces.Discrete(2)

    def __init__(self) -> None:
        self.threads: set[int] = set()
        self.steps, self.inside, self.closed = 0, 0, 0
        self.go = threading.Event()

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[int, dict[str, Any]]:
        self.threads.add(threading.get_ident())
        return 0, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        self.inside += 1
        assert self.inside == 1, "one call at a time"
        assert self.go.wait(30)
        self.threads.add(threading.get_ident())
        self.steps += 1
        self.inside -= 1
        return self.steps, 0.0, False, False, {}

    def close(self) -> None:
        self.threads.add(threading.get_ident())
        self.closed += 1


def test_an_env_lives_in_one_thread_and_the_loop_goes_on_meanwhile() -> None:
    async def main() -> Noting:
        inner = Noting()
        async with AsyncEnv(inner) as env:
            await env.reset()
            steps = [asyncio.create_task(env.step(0)) for _ in range(3)]
            await asyncio.sleep(0)  # a step that blocked the loop would never let it set the event
            inner.go.set()
            assert [result[0] for result in await asyncio.gather(*steps)] == [1, 2, 3]
            assert await env.run(lambda: inner.steps) == 3
        await env.close()
        with pytest.raises(RuntimeError, match="closed"):
            await env.step(0)
        return inner

    inner = asyncio.run(main())
    assert len(inner.threads) == 1 and threading.get_ident() not in inner.threads
    assert inner.closed == 1


def test_a_cancelled_step_runs_to_its_end_before_the_next_call() -> None:
    async def main() -> None:
        inner = Noting()
        env = AsyncEnv(inner)
        step = asyncio.create_task(env.step(0))
        while not inner.inside:
            await asyncio.sleep(0.001)
        step.cancel()
        with pytest.raises(asyncio.CancelledError):
            await step
        inner.go.set()
        assert (await env.step(0))[0] == 2
        await env.close()

    asyncio.run(main())


def test_what_a_step_raises_is_raised_where_it_is_awaited() -> None:
    async def main() -> None:
        async with AsyncEnv(ISEEnv(backend="dummy")) as env:
            await env.reset(seed=1, options={"scenario": make_scenario()})
            with pytest.raises(gym.error.InvalidAction):
                await env.step("text")  # type: ignore[arg-type]
            assert (await env.step(assistant("Hm.")))[0][0]["role"] == "user"

    asyncio.run(main())


class Plain:
    """An agent written for asyncio."""

    name = "plain"
    closed = False

    async def reset(self, scenario: Scenario, seed: int) -> None:
        self.loop = asyncio.get_running_loop()

    async def act(self, messages: Sequence[Message], tools: Sequence[ToolSchema]) -> Message:
        await asyncio.sleep(0)
        assert asyncio.get_running_loop() is self.loop, "one loop for its whole life"
        if messages[-1]["role"] == "tool":
            return assistant("greet.txt is there.")
        if "count" in messages[-1]["content"]:
            raise AgentError("503 from the endpoint")
        return write("greet.txt", "héllo")

    def describe(self) -> dict[str, Any]:
        return {"model": "none"}

    async def close(self) -> None:
        self.closed = True


def test_an_asyncio_agent_plays_where_agents_are_called() -> None:
    inner = Plain()
    agent = Called(inner)
    env = ISEEnv()
    record = play_episode(env, agent, make_scenario(), 1)
    again = play_episode(env, agent, make_scenario(), 1)
    env.close()
    assert record.agent == {"name": "plain", "model": "none"} and record.score == 0.5
    assert record.outcome == "infrastructure_error" and "503" in record.reason
    assert content_hash(record) == content_hash(again)
    agent.close()
    agent.close()
    assert inner.closed and not [t for t in threading.enumerate() if t.name == "async-agent"]
