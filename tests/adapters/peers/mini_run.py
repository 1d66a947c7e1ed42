"""mini-swe-agent with a scripted model in episodes with our user; prints ours beside theirs."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from minisweagent.models.test_models import DeterministicModel
from scripted import NUMBERS, SOURCE, agent_for

from ise_gym.adapters.mini import MARK, ISEAgent, ISEEnvironment
from ise_gym.adapters.seat import Tasks
from ise_gym.agents.base import Agent
from ise_gym.env import ISEEnv
from ise_gym.messages import Message, ToolSchema, assistant, tool_call
from ise_gym.rollout.play import play_episode
from ise_gym.scenario import Scenario
from ise_gym.trajectory.store import read_trajectories


class ShellOnly:
    """An agent whose every call is a command."""

    def __init__(self, number: int) -> None:
        self.number, self.name = number, "mini-swe-agent"

    def reset(self, scenario: Scenario, seed: int) -> None:
        self.inner: Agent = agent_for(scenario, seed, self.number)

    def act(self, messages: Sequence[Message], tools: Sequence[ToolSchema]) -> Message:
        said = self.inner.act(messages, tools)
        calls = [tool_call("exec", {"command": as_command(call)}) for call in said.get("tool_calls", ())]
        return assistant(said["content"], calls)

    def describe(self) -> dict[str, Any]:
        return {}

    def close(self) -> None:
        """Nothing is held."""


def as_command(call: Any) -> str:
    arguments = json.loads(call["function"]["arguments"])
    if call["function"]["name"] == "exec":
        return str(arguments["command"])
    if call["function"]["name"] == "write":
        return f"mkdir -p \"$(dirname '{arguments['path']}')\"; cat > '{arguments['path']}' <<'END'\n{arguments['content']}\nEND"
    return "true"


class Scripted(DeterministicModel):  # type: ignore[misc]
    """A model that says what the agent of the episode says."""

    def __init__(self, agent: ShellOnly, env: ISEEnvironment) -> None:
        super().__init__(outputs=[])
        self.agent, self.env = agent, env

    def query(self, messages: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
        said = self.agent.act(self.env.seat.conversation, ())
        commands = [
            json.loads(call["function"]["arguments"])["command"] for call in said.get("tool_calls", ())
        ]
        actions = [{"command": command} for command in commands or [f"echo {MARK}"]]
        return {"role": "assistant", "content": said["content"], "extra": {"actions": actions, "cost": 0.0}}


where = Path(sys.argv[1])
tasks = Tasks(SOURCE)
for number in NUMBERS:
    scenario = tasks.scenario(number)
    env = ISEEnvironment(source=SOURCE, number=number, store=str(where / "store"))
    agent = ShellOnly(number)
    agent.reset(scenario, tasks.seed(scenario))
    templates = {"system_template": "{{instructions}}", "instance_template": "{{task}}"}
    run = ISEAgent(Scripted(agent, env), env, **templates)
    ended = run.run(env.task)
    kept = env.serialize()["info"]["ise_gym"]
    env.close()
    ours_env = ISEEnv(tools=["exec"])
    own = play_episode(ours_env, ShellOnly(number), scenario, tasks.seed(scenario))
    ours_env.close()
    heard = [m["content"] for m in run.messages if m["role"] in ("user", "exit")]
    users = [m["content"] for m in own.messages if m["role"] == "user"]
    record = next(r for r in read_trajectories(where / "store") if r.scenario_id == scenario.id)
    words = [m["content"] for m in record.messages] == [m["content"] for m in own.messages]
    told = all(any(user in one for one in heard) for user in users)
    print(json.dumps([scenario.id, kept["score"], own.score, ended["exit_status"], own.outcome, words, told]))
