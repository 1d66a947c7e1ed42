"""The serving command against a server that does with a completion what vLLM's parsers do."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ise_gym.agents.openai import OpenAIAgent
from ise_gym.messages import Message, assistant, system, tool_call, user
from ise_gym.models.parsing import render_completion
from ise_gym.tools import tool_schemas
from ise_gym.training.modelcard import serve_command
from ise_gym.training.runcard import RunCard
from openai_server import Answer, reply, serve

TALK = [system("You work."), user("Count.")]
TOOLS = tool_schemas(["exec"])


def card(with_reasoning: int) -> RunCard:
    return RunCard(
        config={"data": {"max_length": 8192}},
        data={"with_reasoning": with_reasoning},
        template_hash="",
        base={},
        seed=0,
        versions={},
    )


def parsed(command: str, completion: str) -> Answer:
    """What vLLM makes of a completion under the flags of its command.

    Its qwen3 reasoning parser begins in the reasoning state: without ``</think>`` the whole completion is reasoning and
    the content is null. Its hermes parser then takes ``<tool_call>`` blocks out of the content.
    """
    reasoning, content = None, completion
    if "--reasoning-parser qwen3" in command:
        reasoning, end, content = completion.removeprefix("<think>").partition("</think>")
        if not end:
            return reply(None, reasoning_content=reasoning)
        reasoning = reasoning.strip()
    calls = []
    if "--tool-call-parser hermes" in command:
        content, *blocks = content.split("<tool_call>")
        for block in blocks:
            call = json.loads(block.split("</tool_call>")[0])
            calls.append((call["name"], json.dumps(call["arguments"])))
    more = {"reasoning_content": reasoning} if reasoning else {}
    return reply(content.strip() or None, calls, "tool_calls" if calls else "stop", **more)


def played(command: str, message: Message) -> Message:
    with serve(parsed(command, render_completion(message))) as server:
        return OpenAIAgent("served", base_url=server.url, max_retries=1).act(TALK, TOOLS)


PLAIN = assistant("There are three.")
CALL = assistant("", [tool_call("exec", {"command": "ls"})])
THOUGHT = assistant("There are three.", (), "I counted them.")


@pytest.mark.parametrize("message", [PLAIN, CALL], ids=["words", "call"])
def test_a_model_that_does_not_think_is_heard_as_it_is_served(message: Any) -> None:
    command = serve_command(card(with_reasoning=0), "runs/m")
    assert "--reasoning-parser" not in command
    heard = played(command, message)
    assert heard["content"] == message["content"]
    assert len(heard.get("tool_calls") or ()) == len(message.get("tool_calls") or ())


def test_the_flag_that_is_left_out_would_empty_every_answer() -> None:
    """Were it there, the words would come as reasoning."""
    heard = played(serve_command(card(with_reasoning=3), "runs/m"), PLAIN)
    assert not heard["content"]


def test_a_model_that_thinks_is_served_with_its_parser() -> None:
    heard = played(serve_command(card(with_reasoning=3), "runs/m"), THOUGHT)
    assert (heard["content"], heard["reasoning_content"]) == ("There are three.", "I counted them.")
