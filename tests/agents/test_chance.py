"""The random tool user: calls that fit whatever schema, the same for the same conversation, then a claim."""

from __future__ import annotations

import json
import random
from typing import Any

import jsonschema
import pytest

from ise_gym.agents import make_agent
from ise_gym.agents.chance import CLAIM, RandomAgent, drawn
from ise_gym.errors import UserError
from ise_gym.messages import assistant, system, tool_calls_of, tool_result, user
from ise_gym.tools import TOOLS, tool_schemas

WORDS = ["notes/a.txt", "report.csv", "please", "ten"]


@pytest.mark.parametrize("name", list(TOOLS))
def test_arguments_fit_every_tool(name: str) -> None:
    schema: Any = TOOLS[name].schema["function"]["parameters"]
    for seed in range(40):
        jsonschema.validate(drawn(schema, WORDS, random.Random(seed)), schema)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "integer", "minimum": 5, "maximum": 9},
        {"type": "integer", "maximum": -3},
        {"type": "number", "minimum": 0.5, "maximum": 0.9},
        {"type": ["string", "null"]},
        {"anyOf": [{"type": "boolean"}, {"const": 7}]},
        {"enum": [None, "a", 3]},
        {"type": "array", "items": {"type": "integer"}, "minItems": 2},
        {
            "type": "object",
            "properties": {"a": {"type": "array", "items": {"type": "object"}}},
            "required": ["a"],
        },
        {"type": "array"},
        True,
        {},
    ],
)
def test_arguments_fit_schemas_that_packages_write(schema: Any) -> None:
    whole = {"type": "object", "properties": {"value": schema}, "required": ["value"]}
    for seed in range(40):
        jsonschema.validate(drawn(whole, WORDS, random.Random(seed)), whole)


def test_a_schema_that_holds_itself_ends() -> None:
    schema: dict[str, Any] = {"type": "object", "required": ["inner"]}
    schema["properties"] = {"inner": schema}
    assert "inner" in drawn(schema, WORDS, random.Random(0))


def play(agent: RandomAgent, turns: int) -> list[Any]:
    tools = tool_schemas(("exec", "read", "write"))
    messages: list[Any] = [system("s")]
    for number in range(turns):
        messages.append(user(f"Please count the lines of notes/{number}.txt"))
        while True:
            said = agent.act(messages, tools)
            messages.append(said)
            if not tool_calls_of(said):
                break
            messages.append(tool_result("c", "exec", "12 lines", success=True))
    return messages


def test_so_many_calls_a_user_message_then_a_claim() -> None:
    agent = make_agent("random:3")
    assert isinstance(agent, RandomAgent) and agent.name == "random:3"
    messages = play(agent, 2)
    roles = [len(tool_calls_of(m)) for m in messages if m["role"] == "assistant"]
    assert roles == [1, 1, 1, 0] * 2
    assert [m["content"] for m in messages if m["role"] == "assistant" and not tool_calls_of(m)] == [
        CLAIM
    ] * 2
    used = [call["function"] for m in messages for call in tool_calls_of(m)]
    assert all(isinstance(json.loads(one["arguments"]), dict) for one in used)


def test_equal_conversations_get_equal_calls_and_others_others() -> None:
    def of(start: str) -> list[Any]:
        agent = RandomAgent()
        agent._start = start
        return play(agent, 3)

    assert of("a") == of("a") != of("b")


def test_without_tools_it_only_claims() -> None:
    assert make_agent("random").act([user("hi")], []) == assistant(CLAIM)


@pytest.mark.parametrize("spec", ["random:x", "random:-1", "random:2.5"])
def test_a_wrong_number_is_refused(spec: str) -> None:
    with pytest.raises(UserError, match="number"):
        make_agent(spec)
