"""OpenAI-style chat messages: the one vocabulary that env, agents, trajectories, training and eval speak.

A message is a plain dict, so it can be dumped, hashed and sent as it is. The functions here build
well-formed ones; nothing else in the project writes a message literal by hand.

Source: the OpenAI chat-completions message format, plus two keys on tool messages that the ISETrace
format introduced or lost: ``success`` (the truth) and ``exit_code``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NotRequired, TypedDict

Role = Literal["system", "user", "assistant", "tool"]


class FunctionCall(TypedDict):
    """Name and arguments of a call; ``arguments`` is a JSON *string*, as OpenAI has it."""

    name: str
    arguments: str


class ToolCall(TypedDict):
    """One call that an assistant message asks for."""

    id: str
    type: Literal["function"]
    function: FunctionCall


class Message(TypedDict):
    """One chat message of any role.

    ``content`` is always a string (possibly empty). ``tool_calls`` and ``reasoning_content`` occur on
    assistant messages; ``tool_call_id``, ``name``, ``success`` and ``exit_code`` on tool messages.
    ``completion`` is what a model's server said of the message that an agent hands to the env (see
    `ise_gym.models.answer.Answer.completion`): it goes into the record's steps, never into the conversation.
    """

    role: Role
    content: str
    tool_calls: NotRequired[list[ToolCall]]
    reasoning_content: NotRequired[str]
    completion: NotRequired[dict[str, Any]]
    tool_call_id: NotRequired[str]
    name: NotRequired[str]
    success: NotRequired[bool]
    exit_code: NotRequired[int | None]


class FunctionSchema(TypedDict):
    """What a model is told of one function: ``parameters`` is a JSON schema of type object."""

    name: str
    description: str
    parameters: dict[str, Any]


class ToolSchema(TypedDict):
    """An OpenAI tool definition."""

    type: Literal["function"]
    function: FunctionSchema


def system(content: str) -> Message:
    """Build a system message."""
    return {"role": "system", "content": content}


def user(content: str) -> Message:
    """Build a user message."""
    return {"role": "user", "content": content}


def assistant(
    content: str = "", tool_calls: Sequence[ToolCall] = (), reasoning_content: str | None = None
) -> Message:
    """Build an assistant message; without tool calls it ends the agent's turn.

    >>> assistant("Done.")
    {'role': 'assistant', 'content': 'Done.'}
    """
    message: Message = {"role": "assistant", "content": content}
    if reasoning_content is not None:
        message["reasoning_content"] = reasoning_content
    if tool_calls:
        message["tool_calls"] = list(tool_calls)
    return message


def tool_call(name: str, arguments: Mapping[str, Any] | str, call_id: str = "") -> ToolCall:
    """Build a tool call; a mapping is dumped to a JSON string, a string is kept as it is (even if broken).

    An empty ``call_id`` is filled in by the env (``call_1``, ``call_2``, … in order of the episode).
    """
    text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": text}}


def tool_result(
    call_id: str, name: str, content: str, *, success: bool, exit_code: int | None = None
) -> Message:
    """Build the tool message that answers one call; ``success`` must be the truth."""
    return {
        "role": "tool",
        "tool_call_id": call_id,
        "name": name,
        "content": content,
        "success": success,
        "exit_code": exit_code,
    }


def tool_calls_of(message: Message) -> list[ToolCall]:
    """Return the message's tool calls (an empty list when it has none).

    >>> tool_calls_of(user("hello"))
    []
    """
    return list(message.get("tool_calls") or ())


def canonical_json(value: Any) -> str:
    """Dump to the one JSON text that hashes are taken of: sorted keys, no spaces, real characters.

    >>> canonical_json({"b": 1, "a": "é"})
    '{"a":"é","b":1}'
    """
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def sha256_of(value: Any) -> str:
    """Return the hex SHA-256 of a string's UTF-8 bytes, or of any other value's canonical JSON."""
    text = value if isinstance(value, str) else canonical_json(value)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
