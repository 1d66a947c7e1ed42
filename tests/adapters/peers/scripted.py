"""What the peers' scripts share: our own scores, and the scripted expert behind an endpoint or by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ise_gym.adapters.seat import Tasks
from ise_gym.agents import make_agent
from ise_gym.agents.base import Agent
from ise_gym.env import ISEEnv
from ise_gym.messages import Message, ToolSchema
from ise_gym.rollout.play import play_episode
from ise_gym.scenario import Scenario
from ise_gym.trajectory.record import Trajectory

SOURCE = "suite:demo-easy"
STEP = 6
"""Every so many tasks of the suite are played, so that several kinds are among them."""
NUMBERS = tuple(range(0, 48, STEP))
AGENTS = ("expert", "expert:0.1", "lazy")
"""Task by task in turn: some pass, some don't, so that equal scores mean something."""


def spec_for(number: int) -> str:
    return AGENTS[number // STEP % len(AGENTS)]


def agent_for(scenario: Scenario, seed: int, number: int) -> Agent:
    agent = make_agent(spec_for(number))
    agent.reset(scenario, seed)
    return agent


def ours(tasks: Tasks, numbers: Sequence[int] = NUMBERS) -> dict[str, Trajectory]:
    """Play tasks by ourselves: id → record."""
    env, found = ISEEnv(), {}
    for number in numbers:
        scenario = tasks.scenario(number)
        found[scenario.id] = play_episode(env, make_agent(spec_for(number)), scenario, tasks.seed(scenario))
    env.close()
    return found


class Many:
    """Agents of several episodes at once, told apart by the user's first message."""

    def __init__(self, tasks: Tasks, numbers: Sequence[int] = NUMBERS, spec: str = "") -> None:
        self.agents: dict[str, Agent] = {}
        for number in numbers:
            scenario = tasks.scenario(number)
            agent = make_agent(spec or spec_for(number))
            agent.reset(scenario, tasks.seed(scenario))
            self.agents[scenario.requests[0].text] = agent

    def act(self, messages: Sequence[Message], tools: Sequence[ToolSchema]) -> Any:
        first = next(m["content"] for m in messages if m["role"] == "user")
        asked = max((text for text in self.agents if text[1:] in first), key=len)
        return self.agents[asked].act(messages, tools)
