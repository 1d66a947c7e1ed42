"""Two scripted agents without a model: what a benchmark gives to one that does nothing, or only looks around.

They calibrate a suite (a task that the vacuous agent passes measures nothing) and make runs repeatable, which
is what comparing two harnesses needs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ise_gym.agents import make_agent
from ise_gym.agents.base import Agent
from ise_gym.errors import UserError
from ise_gym.messages import Message, ToolSchema, assistant, tool_call
from ise_gym.scenario import Scenario


class VacuousAgent:
    """Says one polite sentence and calls nothing."""

    name = "vacuous"

    def reset(self, scenario: Scenario, seed: int) -> None:
        """Nothing to get ready."""

    def act(self, messages: Sequence[Message], tools: Sequence[ToolSchema]) -> Message:
        """Answer."""
        return assistant("I have completed the task as requested.")

    def describe(self) -> dict[str, Any]:
        """Name only."""
        return {"name": self.name}

    def close(self) -> None:
        """Nothing to free."""


class ExplorerAgent(VacuousAgent):
    """Calls every tool once with arguments made from its schema, then repeats what it was told.

    It reaches every service route, failing ones included, which is what makes it good for comparing harnesses.
    """

    name = "explorer"

    def act(self, messages: Sequence[Message], tools: Sequence[ToolSchema]) -> Message:
        """Call the next tool, or sum up."""
        done = sum(message["role"] == "tool" for message in messages)
        if done < len(tools):
            function = tools[done]["function"]
            return assistant(
                f"Trying {function['name']}.", [tool_call(function["name"], made_up(function["parameters"]))]
            )
        found = [message["content"][:400] for message in messages if message["role"] == "tool"]
        return assistant("Summary of what I found:\n" + "\n".join(found))


def made_up(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Make arguments for the required properties of a JSON schema."""
    properties: Mapping[str, Any] = schema.get("properties") or {}
    return {name: _value(name, properties.get(name) or {}) for name in schema.get("required") or ()}


def _value(name: str, schema: Mapping[str, Any]) -> Any:
    if "default" in schema:
        return schema["default"]
    if schema.get("enum"):
        return schema["enum"][0]
    kind = schema.get("type")
    match kind:
        case "integer" | "number":
            return 1
        case "boolean":
            return True
        case "array":
            return [_value(name, schema.get("items") or {})]
        case "object":
            return made_up(schema)
    if "date" in name:
        return "2026-03-02"
    return f"test {name}"


def make_claw_agent(spec: str, options: Mapping[str, Any]) -> Agent:
    """Make an agent for the benchmark.

    Raises:
        UserError: unknown, or one that can only play our own scenarios.
    """
    if spec in ("vacuous", "explorer"):
        return VacuousAgent() if spec == "vacuous" else ExplorerAgent()
    if spec.partition(":")[0] in ("expert", "lazy"):
        raise UserError(
            f"agent '{spec}' plays our own scenarios only; here give vacuous, explorer or a model."
        )
    return make_agent(spec, **options)
