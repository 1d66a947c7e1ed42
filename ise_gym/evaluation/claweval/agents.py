"""Scripted agents without a model: what a benchmark gives to one that does nothing, only looks around, or digs.

They calibrate a suite (a task that the vacuous agent passes measures nothing) and make runs repeatable, which
is what comparing two harnesses needs.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ise_gym.agents import check_agent, make_agent
from ise_gym.agents.base import Agent
from ise_gym.arguments import check_options
from ise_gym.errors import UserError
from ise_gym.messages import (
    Message,
    ToolSchema,
    assistant,
    canonical_json,
    sha256_of,
    tool_call,
    tool_calls_of,
)
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


class DiligentAgent(VacuousAgent):
    """Works a task as far as that goes without understanding it.

    It calls what needs no arguments, takes ids and names out of the answers into the next calls, several in one
    message, drafts and creates, but sends, deletes and pays nothing, and reports all that it found.
    """

    name = "diligent"
    rounds = 5
    calls_a_round = 8
    values_a_property = 4
    _LEFT_ALONE = re.compile(
        r"(?i)send|delete|remove|cancel|forward|submit|pay|publish|screenshot|media|download"
    )

    def act(self, messages: Sequence[Message], tools: Sequence[ToolSchema]) -> Message:
        """Make the next calls, or report."""
        made = [call["function"] for message in messages for call in tool_calls_of(message)]
        done = {(function["name"], canonical_json(json.loads(function["arguments"]))) for function in made}
        rounds = sum(bool(tool_calls_of(message)) for message in messages)
        results = [message["content"] for message in messages if message["role"] == "tool"]
        if rounds < self.rounds:
            fresh = (
                tool_call(name, arguments)
                for name, arguments in self._candidates(tools, _values(results))
                if (name, canonical_json(arguments)) not in done
            )
            if calls := list(itertools.islice(fresh, self.calls_a_round)):
                return assistant("", calls)
        return assistant("Report. Found:\n" + "\n".join(result[:1500] for result in results))

    def _candidates(
        self, tools: Sequence[ToolSchema], values: Mapping[str, Sequence[object]]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        for tool in tools:
            function = tool["function"]
            if self._LEFT_ALONE.search(function["name"]):
                continue
            schema = function["parameters"]
            required = list(schema.get("required") or ())
            blank = made_up(schema)
            options = [
                list(values.get(name) or (values.get("id", ()) if name.endswith("_id") else ()))[
                    : self.values_a_property
                ]
                or [blank[name]]
                for name in required
            ]
            for chosen in itertools.islice(itertools.product(*options), self.values_a_property):
                yield function["name"], dict(zip(required, chosen, strict=True))


class HashedAgent(DiligentAgent):
    """Chooses its calls by a hash of everything that it is told, so two harnesses that differ anywhere part soon.

    Moments and ids that differ from run to run are not part of the hash.
    """

    name = "hashed"
    rounds = 4

    def act(self, messages: Sequence[Message], tools: Sequence[ToolSchema]) -> Message:
        """Make two of the possible calls, or report."""
        rounds = sum(bool(tool_calls_of(message)) for message in messages)
        told = [[m["role"], _CHANGING.sub("", m["content"])] for m in messages]
        names = sorted(tool["function"]["name"] for tool in tools)
        values = _values([message["content"] for message in messages if message["role"] == "tool"])
        possible = list(itertools.islice(self._candidates(tools, values), 200))
        if rounds >= self.rounds or not possible:
            return assistant(f"Report {sha256_of(told)[:8]}.")
        drawn = int(sha256_of([told, names])[:12], 16)
        chosen = [possible[drawn % len(possible)], possible[drawn // len(possible) % len(possible)]]
        return assistant("", [tool_call(name, arguments) for name, arguments in chosen])


_CHANGING = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d[:.\d+Z-]{0,24}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
)


def _values(results: Sequence[str]) -> dict[str, list[Any]]:
    """Collect the plain values of JSON answers by key, in order and without repeats."""
    found: dict[str, list[Any]] = {}

    def walk(value: object, key: str = "") -> None:
        if isinstance(value, dict):
            for name, inner in value.items():
                walk(inner, name)
        elif isinstance(value, list):
            for inner in value:
                walk(inner, key)
        elif isinstance(value, str | int) and value not in found.setdefault(key, []):
            found[key].append(value)

    for result in results:
        try:
            walk(json.loads(result))
        except ValueError:
            continue  # plain text holds no ids
    return found


_OURS = ("expert", "lazy")
SCRIPTED = {agent.name: agent for agent in (VacuousAgent, ExplorerAgent, DiligentAgent, HashedAgent)}
"""Scripted agents by name."""


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


def check_claw_agent(spec: str, options: Mapping[str, object]) -> None:
    """Check what `make_claw_agent` would make, without loading a local model.

    Raises:
        UserError: as there.
    """
    if spec in SCRIPTED or spec.partition(":")[0] in _OURS:
        make_claw_agent(spec, options).close()
    else:
        check_agent(spec, **options)


def make_claw_agent(spec: str, options: Mapping[str, object]) -> Agent:
    """Make an agent for the benchmark.

    Raises:
        UserError: unknown, or one that can only play our own scenarios.
    """
    if spec in SCRIPTED:
        check_options(SCRIPTED[spec], options, f"agent '{spec}'")
        return SCRIPTED[spec]()
    if spec.partition(":")[0] in _OURS:
        raise UserError(
            f"agent '{spec}' only plays this project's own scenarios; give {', '.join(SCRIPTED)} or a model."
        )
    return make_agent(spec, **options)
