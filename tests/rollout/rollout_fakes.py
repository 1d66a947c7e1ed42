"""An env, agents and a source without a sandbox, for tests of what drives them. Must be importable by workers."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ise_gym.errors import AgentError, UserError, WorkspaceError
from ise_gym.messages import Message, ToolSchema, assistant, system, tool_call, tool_result, user
from ise_gym.scenario import Persona, Request, Scenario
from ise_gym.trajectory.record import Step, Timings
from ise_gym.waiting import waiting

SCHEMA: ToolSchema = {
    "type": "function",
    "function": {"name": "exec", "description": "Run.", "parameters": {"type": "object", "properties": {}}},
}


def scenario(number: int, **metadata: Any) -> Scenario:
    return Scenario(
        id=f"intent_{number}",
        seed=number,
        intent=f"do thing {number} – ünïcode",
        persona=Persona("Ada", "engineer", "energy", voice={"hedges": ("maybe",)}),
        requests=(Request("r", "do it"),),
        domains=("file-io",),
        tasks=("merge-csv",),
        metadata=metadata,
    )


@dataclass(frozen=True)
class FakeSource:
    """``trouble``: index → what befalls that episode, see `FakeEnv.step`."""

    count: int
    trouble: dict[int, str] = field(default_factory=dict, hash=False)
    name: str = "fake"

    def ids(self) -> list[str]:
        return [f"intent_{n}" for n in range(self.count)]

    def scenario(self, seed: int) -> Scenario:
        if self.trouble.get(seed) == "user error":
            raise UserError(f"intents.jsonl, line {seed + 1}: no such task")
        if self.trouble.get(seed) == "no scenario":
            raise KeyError(f"template {seed}")
        return scenario(seed, trouble=self.trouble.get(seed, ""))

    def __iter__(self) -> Iterator[Scenario]:
        return (self.scenario(n) for n in range(self.count))


@dataclass
class FakeEpisode:
    scenario: Scenario
    seed: int
    messages: list[Message] = field(default_factory=list)
    tool_schemas: list[ToolSchema] = field(default_factory=lambda: [SCHEMA])
    steps: list[Step] = field(default_factory=list)
    subgoals: dict[str, bool] = field(default_factory=lambda: {"r/done": False})
    score: float = 0.0
    outcome: str = ""
    reason: str = ""
    counts: dict[str, int] = field(default_factory=lambda: {"user_turns": 1, "messages": 2, "tool_calls": 0})
    timings: Timings = field(default_factory=Timings)
    sessions: list[dict[str, Any]] = field(default_factory=list)
    check_reasons: dict[str, str] = field(default_factory=dict)
    judged_at: dict[str, int] = field(default_factory=dict)
    failing_checks: dict[str, int] = field(default_factory=dict)
    first_attempt: bool | None = None

    @property
    def conversation(self) -> list[Message]:
        return self.messages

    @property
    def offered(self) -> list[ToolSchema]:
        return self.tool_schemas

    @property
    def user_report(self) -> dict[str, Any]:
        return {"name": "fake", "guard": {"turns": 1, "hits": {}}}


class FakeEnv:
    """Two turns: a call (failing for odd seeds), then a text ends the episode.

    ``marks`` is a folder in which trouble that shall strike once leaves a mark.
    """

    def __init__(self, marks: str, delay: float = 0.0) -> None:
        self.marks = Path(marks)
        self.delay = delay
        self.closed = False
        self.episode: Any = None

    @property
    def unwrapped(self) -> FakeEnv:
        return self

    def describe(self) -> dict[str, Any]:
        return {"id": "fake", "backend": "none"}

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        assert seed is not None and options is not None
        scenario = options["scenario"]
        self.episode = FakeEpisode(scenario, seed)
        self.episode.messages = [system("You help."), user(scenario.requests[0].text)]
        return tuple(self.episode.messages), {}

    def step(self, action: Message) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        time.sleep(self.delay)
        episode = self.episode
        trouble = episode.scenario.metadata["trouble"]
        if trouble == "always broken" or (trouble == "broken once" and self._first(episode)):
            raise WorkspaceError("the sandbox died")
        if trouble == "hang once" and self._first(episode):
            time.sleep(3600)
        if trouble == "hang always":
            time.sleep(3600)
        if trouble == "kill worker always" or (trouble == "kill worker" and self._first(episode)):
            os.kill(os.getpid(), signal.SIGKILL)
        if trouble == "wait":
            with waiting():
                time.sleep(4)
        if trouble == "exit":
            sys.exit(5)
        if trouble == "bug":
            raise ZeroDivisionError("oh no")
        episode.messages.append(action)
        episode.counts["messages"] += 1
        calls = action.get("tool_calls")
        position = len(episode.messages) - 1
        if calls:
            ok = episode.seed % 2 == 0
            episode.messages.append(
                tool_result("call_1", "exec", f"out {episode.seed}", success=ok, exit_code=0 if ok else 1)
            )
            episode.counts["tool_calls"] += 1
            episode.steps.append(Step(message=position, reward=0.0))
            return (), 0.0, False, False, {}
        episode.score, episode.subgoals, episode.outcome = 1.0, {"r/done": True}, "passed"
        episode.steps.append(Step(message=position, reward=1.0, score=1.0))
        return (), 1.0, True, False, {}

    def _first(self, episode: FakeEpisode) -> bool:
        mark = self.marks / episode.scenario.id
        if mark.exists():
            return False
        mark.touch()
        return True

    def close(self) -> None:
        self.closed = True


class FakeAgent:
    """Calls ``exec`` once, then says that it is done; ``fails`` names a scenario whose endpoint is down."""

    name = "fake"

    def __init__(self, fails: str = "none") -> None:
        self.fails = fails
        self.scenario = ""

    def reset(self, scenario: Scenario, seed: int) -> None:
        self.scenario = scenario.id

    def act(self, messages: Sequence[Message], tools: Sequence[ToolSchema]) -> Message:
        if self.scenario == self.fails:
            raise AgentError("503 from the endpoint")
        if messages[-1]["role"] == "user":
            return assistant("Looking.", [tool_call("exec", {"command": "ls"}, "call_1")])
        return assistant("Done.")

    def describe(self) -> dict[str, Any]:
        return {"model": "none", "chat_template_sha256": "ab" * 32}

    def close(self) -> None:
        pass


class SpendingAgent(FakeAgent):
    """Says that each episode spent 100 tokens, and 0.25."""

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), "usage": {"total_tokens": 100, "cost": 0.25}}


class FakeBatchAgent(FakeAgent):
    """The same, for many at once; keeps the sizes of its batches."""

    name = "fake-batch"

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def act_batch(
        self, conversations: Sequence[tuple[Sequence[Message], Sequence[ToolSchema]]]
    ) -> list[Message]:
        self.sizes.append(len(conversations))
        return [self.act(*conversation) for conversation in conversations]


def agent_that_cannot_start() -> FakeAgent:
    raise UserError("model 'x' is not there")


def agent_that_dies() -> FakeAgent:
    os._exit(7)
