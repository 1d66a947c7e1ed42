"""Our agents behind the benchmark's own client.

The benchmark talks to a model through an OpenAI client object. Handing it an object of that shape leaves all
conversion between its message blocks and chat messages, in both directions, to the benchmark's own code.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, cast

from ise_gym.agents.base import Agent
from ise_gym.errors import AgentError, UserError
from ise_gym.messages import Message, ToolSchema, assistant, system, tool_calls_of, tool_result, user


class AgentBroke(BaseException):
    """The agent's endpoint failed.

    Not an `Exception`, so that no retry loop between here and the worker can swallow it or wait on it.
    """


class AgentRefused(BaseException):
    """The endpoint refused the key or does not know the model: the user's to fix, so the run ends.

    Not an `Exception` for the same reason: the benchmark's retries made a hung worker of it.
    """


class AgentClient:
    """Quacks like ``openai.OpenAI`` as far as ``chat.completions.create`` goes.

    Args:
        agent: who answers.

    Attributes:
        calls: how often it was asked; ``agent_failure``: why the agent itself gave up, "" if it did not.
    """

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self.chat = SimpleNamespace(completions=SimpleNamespace(create=self._create))
        self.calls = 0
        self.agent_failure = ""

    def _create(self, **request: Any) -> Any:
        self.calls += 1
        before = tokens_of(self._agent)
        messages = [from_openai(message) for message in request["messages"]]
        tools = cast("Sequence[ToolSchema]", request.get("tools") or [])
        try:
            said = self._agent.act(name_results(messages), tools)
        except UserError as error:
            raise AgentRefused(str(error)) from error
        except AgentError as error:
            if getattr(error, "infrastructure", True):
                raise AgentBroke(str(error)) from error
            # The model's own limit (its context, say): it says nothing more, and is graded on what it did.
            self.agent_failure = str(error)
            said = assistant("")
        read, written = (now - then for now, then in zip(tokens_of(self._agent), before, strict=True))
        return as_completion(said, self.calls, (read, written))


def tokens_of(agent: Agent) -> tuple[int, int]:
    """Return the tokens that an agent has read and written in this episode; zeros where it doesn't count."""
    usage = getattr(agent, "usage", None) or {}
    return int(usage.get("prompt_tokens", 0)), int(usage.get("completion_tokens", 0))


def from_openai(message: dict[str, Any]) -> Message:
    """Turn a chat-completions message into ours; parts that are not text are named in brackets."""
    content = message.get("content")
    text = content if isinstance(content, str) else "\n".join(_part_text(part) for part in content or ())
    match message["role"]:
        case "system":
            return system(text)
        case "user":
            return user(text)
        case "tool":
            return tool_result(message["tool_call_id"], message.get("name", ""), text, success=True)
        case _:
            calls = message.get("tool_calls") or ()
            return assistant(text, calls, message.get("reasoning") or message.get("reasoning_content"))


def _part_text(part: Mapping[str, object]) -> str:
    return str(part["text"]) if part.get("type") == "text" else f"[{part.get('type', 'attachment')}]"


def name_results(messages: Sequence[Message]) -> list[Message]:
    """Give tool messages the names of the tools that they answer, which the wire format leaves out."""
    names = {call["id"]: call["function"]["name"] for message in messages for call in tool_calls_of(message)}
    named: list[Message] = []
    for message in messages:
        if message["role"] == "tool" and not message.get("name"):
            message = {**message, "name": names.get(message["tool_call_id"], "")}
        named.append(message)
    return named


def as_completion(message: Message, turn: int, tokens: tuple[int, int] = (0, 0)) -> Any:
    """Shape an answer like a chat completion; empty call ids are filled in, unique within the episode."""
    calls = [
        SimpleNamespace(
            id=call["id"] or f"call_{turn}_{number}",
            function=SimpleNamespace(
                name=call["function"]["name"], arguments=_object(call["function"]["arguments"])
            ),
        )
        for number, call in enumerate(tool_calls_of(message), start=1)
    ]
    said = SimpleNamespace(
        content=message["content"] or None,
        tool_calls=calls or None,
        reasoning_content=message.get("reasoning_content"),
    )
    usage = SimpleNamespace(prompt_tokens=tokens[0], completion_tokens=tokens[1], total_tokens=sum(tokens))
    return SimpleNamespace(choices=[SimpleNamespace(message=said)], usage=usage)


def _object(arguments: str) -> str:
    """Arguments that aren't a JSON object become an empty one; the benchmark does so for broken JSON only."""
    try:
        return arguments if isinstance(json.loads(arguments), dict) else "{}"
    except ValueError:
        return arguments
