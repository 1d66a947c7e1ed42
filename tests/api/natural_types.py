"""An agent, a user and a tool as somebody outside would write them; under mypy's strict mode, with nothing cast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import ise_gym
from ise_gym import (
    Agent,
    Message,
    Scenario,
    Tool,
    ToolContext,
    ToolOutcome,
    ToolSchema,
    UserSimulator,
    UserTurn,
    UserView,
    assistant,
    tool_call,
)


class Looker:
    """Looks around once, then says so."""

    name = "looker"

    def reset(self, scenario: Scenario, seed: int) -> None:
        self.seen: list[str] = []

    def act(self, messages: Sequence[Message], tools: Sequence[ToolSchema]) -> Message:
        last = messages[-1]
        if last["role"] == "tool":
            self.seen.append(last["content"])
            return assistant(f"I looked: {last['content']}")
        return assistant("", [tool_call(tools[0]["function"]["name"], {"text": "hello"})])

    def describe(self) -> dict[str, Any]:
        return {"agent": "looker"}

    def close(self) -> None: ...


class Curt:
    """Asks once and leaves."""

    name = "curt"

    def reset(self, scenario: Scenario, seed: int) -> UserTurn:
        first = scenario.requests[0]
        return UserTurn(text=first.text, request=first.name)

    def respond(self, view: UserView, feedback: str = "") -> UserTurn:
        return UserTurn(text="", request="", done=True)

    def state(self) -> Any:
        return None

    def set_state(self, state: Any) -> None: ...

    def describe(self) -> dict[str, Any]:
        return {"name": self.name}


def shout(context: ToolContext, arguments: Mapping[str, Any]) -> ToolOutcome:
    """Run the tool: what it is given, louder, through a real command in the box."""
    result = context.workspace.exec(["tr", "a-z", "A-Z"], stdin=str(arguments["text"]).encode())
    return ToolOutcome(result.output.decode(), success=result.exit_code == 0, exit_code=result.exit_code)


SHOUT = Tool(
    {
        "type": "function",
        "function": {
            "name": "shout",
            "description": "Say it louder.",
            "parameters": {
                "type": "object",
                "properties": {"text": {"type": "string"}},
                "required": ["text"],
                "additionalProperties": False,
            },
        },
    },
    shout,
)

agent: Agent = Looker()
user: UserSimulator = Curt()
env: ise_gym.ISEEnv
